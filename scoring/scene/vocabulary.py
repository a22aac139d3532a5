"""The words that are understood in descriptions: things, colours, sizes, numbers, places, relations, grounds, times."""

from functools import cache

from corpus.composing import names, things, wording
from corpus.composing.scenery import COUNTRIES
from corpus.composing.shapes import SHAPES

Meaning = tuple[str, str]  # kind and value: ("thing", "circle"), ("relation", "left")

COLOURS = {  # word → CSS name
    "red": "red", "orange": "orange", "yellow": "yellow", "green": "green", "blue": "blue", "purple": "purple",
    "pink": "pink", "brown": "brown", "black": "black", "white": "white", "gray": "gray", "grey": "gray",
    "navy": "navy", "navy blue": "navy", "teal": "teal", "beige": "beige", "tan": "tan", "lavender": "lavender",
    "gold": "gold", "golden": "gold", "silver": "silver", "cyan": "cyan", "turquoise": "turquoise",
    "magenta": "magenta", "violet": "violet", "maroon": "maroon", "crimson": "crimson", "olive": "olive",
    "lime": "lime", "indigo": "indigo", "coral": "coral", "salmon": "salmon", "light blue": "lightblue",
    "light green": "lightgreen", "light gray": "lightgray", "dark blue": "darkblue", "dark green": "darkgreen",
    "dark red": "darkred", "dark gray": "dimgray", "sky blue": "skyblue",
}  # fmt: skip
MORE_THINGS = {
    "sphere": "circle", "disc": "circle", "disk": "circle", "dot": "circle", "box": "square", "cube": "square",
    "rhombus": "diamond", "plus": "cross", "hoop": "ring", "evergreen": "pine tree", "palm": "palm tree",
    "toadstool": "mushroom", "cottage": "house", "hut": "house", "sailing boat": "boat", "ship": "boat",
    "aeroplane": "airplane", "jet": "airplane", "traffic signal": "traffic light", "wristwatch": "clock",
    "coffee cup": "cup", "tea cup": "cup", "parasol": "umbrella", "kitten": "cat", "teddy bear": "bear",
    "hare": "rabbit", "ladybird": "ladybug", "cherries": "pair of cherries", "cherry": "pair of cherries",
    "watermelon": "slice of watermelon", "pizza": "slice of pizza", "birthday cake": "cake", "cogwheel": "gear",
    "letter": "envelope", "desk": "table", "dining table": "table", "television set": "television", "tv": "television",
    "telly": "television", "snow flake": "snowflake", "lightning": "lightning bolt", "drop": "raindrop",
    "water drop": "raindrop", "flame": "fire", "note": "musical note", "music note": "musical note",
    "t shirt": "shirt", "present": "gift", "gift box": "gift", "spaceship": "flying saucer",
    "ice cream": "ice cream cone", "bike helmet": "hat", "smiley": "smiley face",
    "sports ball": "ball", "snowmen": "snowman",
}  # fmt: skip
SIZES = {"small": "small", "tiny": "small", "little": "small", "large": "large", "big": "large", "huge": "large"}
NUMBERS = {word: str(n) for n, word in enumerate(names.NUMBERS) if n} | {str(n): str(n) for n in range(1, 11)}
RELATIONS = {phrase: name for name, phrases in wording.RELATIONS.items() for phrase in phrases} | {
    "on the top of": "on", "at the left of": "left", "at the right of": "right", "on the left side of": "left",
    "on the right side of": "right", "to the side of": "beside", "on side of": "beside",
    "on the side of": "beside", "near": "beside",
    "on the bottom of": "below", "in": "inside", "underneath": "below", "in back of": "behind", "hidden by": "behind",
}  # fmt: skip
RELATIONS.pop("in the middle of")  # of a thing: inside; of a ground: nothing
REVERSED = {
    template.format(its=its, it=it): name
    for name, template in wording.REVERSED.items()
    for its, it in (("its", "it"), ("their", "them"))
}
PLACES = {phrase: place for place, phrases in wording.PLACES.items() for phrase in phrases} | {
    template.format(f"{other} {column}"): f"{row} {column}"
    for row, others in (("top", ("top", "upper")), ("bottom", ("bottom", "lower")))
    for other in others
    for column in ("left", "right")
    for template in wording.CORNERS
}
GROUNDS = {
    "field": "field", "meadow": "field", "lawn": "field", "grass": "field", "sea": "sea", "ocean": "sea",
    "water": "sea", "desert": "desert", "sand": "desert", "beach": "desert", "beach of sand": "desert",
    "snow": "snow", "snowy plain": "snow", "snowy field": "snow", "field of snow": "snow", "hills": "hills",
    "forest": "forest", "mountains": "mountains", "range of mountains": "mountains", "sandy beach": "desert",
    "sandy desert": "desert",
}  # fmt: skip
TIMES = {
    "at night": "night", "night sky": "night", "dark night": "night", "at dusk": "dusk", "at sunset": "dusk",
    "in the evening": "dusk", "sunny day": "day", "by day": "day", "clear sky": "day", "in the dark": "night",
}  # fmt: skip
# Words that claim nothing that is checked.
EMPTY = frozenset(
    "a an the is are of with and overlooking standing sitting stands sits wide open calm empty rolling dense solid "
    "sky in on at under overhead among by front edge foot middle background against below beneath over near some to "
    "side it its their them there that this picture image icon drawing illustration scene simple flat range".split()
)


@cache
def vocabulary() -> dict[tuple[str, ...], Meaning]:
    """Return what each phrase means, by its words."""
    found: dict[str, Meaning] = {}

    def add(kind: str, table: dict[str, str]) -> None:
        found.update({phrase: (kind, value) for phrase, value in table.items()})

    things_by_name = {name: name for name in (*SHAPES, *things.pictograms())}
    things_by_name |= {other: name for name, others in names.OTHER_NAMES.items() for other in others} | MORE_THINGS
    things_by_name |= {names.plural(phrase): name for phrase, name in things_by_name.items()}
    add("thing", things_by_name)
    for kind, table in (
        ("color", COLOURS), ("size", SIZES), ("number", NUMBERS), ("relation", RELATIONS), ("reversed", REVERSED),
        ("place", PLACES), ("ground", GROUNDS), ("time", TIMES),
    ):  # fmt: skip
        add(kind, table)
    found |= {"background": ("background", ""), "and": ("and", ""), "with": ("with", ""), ",": ("comma", "")}
    found |= {word: ("on", "") for word in ("against", "on solid", "on a solid")}
    found |= {"in the middle of": ("middle of", ""), "a": ("article", ""), "an": ("article", "")}
    assert set(COUNTRIES) == set(GROUNDS.values())
    return {tuple(phrase.split()): meaning for phrase, meaning in found.items()}
