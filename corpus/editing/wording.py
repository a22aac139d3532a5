"""Instructions in many wordings. {it} is the part's name with its article, other words are a change's own."""

from random import Random

from corpus.composing.names import with_articles
from corpus.editing.changes import Change

RECOLOUR = (
    "make {it} {color}", "make {it} {color}", "make {it} {color}", "color {it} {color}", "paint {it} {color}",
    "change {it} to {color}", "turn {it} {color}", "change the color of {it} to {color}", "{it} should be {color}",
    "I want {it} to be {color}", "recolor {it} in {color}", "give {it} a {color} fill",
)  # fmt: skip
BACKGROUND = (
    "change the background to {color}", "make the background {color}", "make the background {color}",
    "set the background to {color}", "give it a {color} background", "put it on a {color} background",
    "use a {color} background", "the background should be {color}",
)  # fmt: skip
SHADE = (
    "make {it} {how}",
    "make {it} {how}",
    "make {it} a bit {how}",
    "{it} should be {how}",
    "a {how} color for {it}",
)
MOVE = (
    "move {it} {way}", "move {it} to the {way}", "shift {it} {way}", "move {it} further {way}",
    "push {it} to the {way}", "slide {it} to the {way}",
)  # fmt: skip
MOVE_UPRIGHT = (
    "move {it} {way}", "move {it} {way} a bit", "shift {it} {way}", "move {it} further {way}", "put {it} {other}"
)  # fmt: skip
MOVE_BY = (
    "move {it} {way} by {by}",
    "move {it} {by} units {way}",
    "shift {it} {way} by {by} pixels",
    "move {it} {by} {way}",
)
MOVE_TO = (
    "move {it} {place}",
    "put {it} {place}",
    "place {it} {place}",
    "{it} should be {place}",
    "I want {it} {place}",
)
SCALE = {
    "bigger": ("make {it} bigger", "make {it} larger", "enlarge {it}", "scale {it} up", "increase the size of {it}"),
    "smaller": ("make {it} smaller", "shrink {it}", "scale {it} down", "reduce the size of {it}",
                "make {it} a bit smaller"),
    "twice": ("make {it} twice as big", "double the size of {it}", "scale {it} by 2", "make {it} twice as large"),
    "half": ("make {it} half as big", "halve the size of {it}", "scale {it} by 0.5", "make {it} half the size"),
}  # fmt: skip
ROTATE = ("rotate {it} {turn}", "turn {it} {turn}", "rotate {it} {turn}", "spin {it} {turn}")
FLIP = {
    "horizontally": ("flip {it} horizontally", "mirror {it}", "mirror {it} from left to right",
                     "flip {it} left to right"),
    "vertically": ("flip {it} vertically", "flip {it} from top to bottom", "mirror {it} vertically"),
}  # fmt: skip
DUPLICATE = ("duplicate {it}", "copy {it}", "make a copy of {it}", "double {it}", "add a second copy of {it}")
DUPLICATE_BESIDE = (
    "put a copy of {it} {beside} it", "duplicate {it} {beside} itself", "add a copy of {it} {beside} it",
    "copy {it} and put the copy {beside} it",
)  # fmt: skip
DELETE = (
    "remove {it}", "remove {it}", "remove {it}", "delete {it}", "delete {it}", "take {it} away", "get rid of {it}",
    "erase {it}", "take out {it}", "I don't want {it}", "leave out {it}",
)  # fmt: skip
OUTLINE = (
    "add a {color} outline to {it}", "give {it} a {color} outline", "outline {it} in {color}",
    "draw a {color} border around {it}", "add a {color} stroke to {it}", "put a {color} edge around {it}",
)  # fmt: skip
TIME = {
    "night": ("make it night", "turn it into night", "change the scene to night", "make it a night scene",
              "let it be night", "turn {before} into night"),
    "day": ("make it day", "turn it into day", "change the scene to daytime", "make it a day scene",
            "turn {before} into day"),
    "dusk": ("make it dusk", "turn it into a sunset", "change the scene to evening", "make it evening",
             "turn {before} into dusk"),
}  # fmt: skip
ADD = (
    "add {new} {where}", "add {new} {where}", "put {new} {where}", "draw {new} {where}", "place {new} {where}",
    "there should be {new} {where}",
)  # fmt: skip
REPAIR = (
    "Repair this drawing.", "Repair this drawing.", "Repair this SVG.", "Fix this drawing.", "Fix this SVG.",
    "Fix the SVG.", "Repair it.", "This SVG is broken, repair it.", "Mend this drawing.", "Make this SVG valid.",
    "Correct the errors in this SVG.", "The drawing does not show, fix it.",
)  # fmt: skip
POLITE = ("please {}", "{}, please", "can you {}?", "could you {}?")
BARE = ("I ", "the ", "there ", "a ", "all ")  # what such an instruction begins with is no verb


def instruction(draw: Random, change: Change, it: str) -> str:
    """Return what somebody would ask for, to get the change. it: words that name the part."""
    words = change.words | {"it": it}
    if place := words.get("place"):
        words["place"] = draw.choice(("to the {}", "in the {}", "at the {}")).format(corner(draw, place))
    return instruction_from(draw, wordings_of(change.edit, words), words)


def instruction_from(draw: Random, wordings: tuple[str, ...], words: dict[str, str]) -> str:
    text = draw.choice(wordings).format(**words)
    text = with_articles(" ".join(text.split()))
    if not text.startswith(BARE) and draw.random() < 0.12:
        return draw.choice(POLITE).format(text).capitalize()
    text = text[0].upper() + text[1:] if draw.random() < 0.6 else text
    return text + "." if draw.random() < 0.3 else text


def wordings_of(edit: dict, words: dict[str, str]) -> tuple[str, ...]:
    match edit["kind"]:
        case "move" if "place" in words:
            return MOVE_TO
        case "move" if words["by"]:
            return MOVE_BY
        case "move":
            return MOVE if words["way"] in ("left", "right") else MOVE_UPRIGHT
        case "scale":
            return SCALE[words["how"]]
        case "flip":
            return FLIP[words["axis"]]
        case "time":
            return TIME[words["time"]]
        case "duplicate":
            return DUPLICATE_BESIDE if words["beside"] else DUPLICATE
    return {
        "recolour": RECOLOUR, "background": BACKGROUND, "shade": SHADE, "rotate": ROTATE, "delete": DELETE,
        "outline": OUTLINE, "add": ADD,
    }[edit["kind"]]  # fmt: skip


def corner(draw: Random, place: str) -> str:
    """ "top left" → "top left corner", "upper left corner" """
    if " " in place:
        words = draw.choice((place, place.replace("top", "upper").replace("bottom", "lower")))
        return words + draw.choice(("", " corner"))
    return place if place != "center" else draw.choice(("center", "middle"))
