"""From the names and tags of icons to words that a person would say: no codes, no sizes, no styles, no brands."""

import re
import zlib

from corpus.icons.written import Written

COLOURS = frozenset(
    "red orange yellow green blue purple pink brown black white gray grey navy teal gold violet".split()
)
STYLE_WORDS = frozenset("outline outlined filled fill solid linear duotone bold thin line regular glyph flat".split())
SCRAP = frozenset("variant alt v2 icon icons px".split())  # of a name they say nothing
NUMBERED = frozenset(  # what a number behind it belongs to; behind other words it counts versions: "cart-2"
    "number numbers numeric digit dice level strength bars beaufort index clock keycap battery counter angle rotate "
    "rotation hexagon pentagon octagon multiplier version exposure step speed signal".split()
)
SPELLED = {"alpha": "letter", "numeric": "number", "horiz": "horizontal", "vert": "vertical", "emoticon": "face"}
ADDITIONS = {
    "plus": "a plus sign", "minus": "a minus sign", "check": "a check mark", "x": "an X", "question": "a question mark",
    "exclamation": "an exclamation mark", "heart": "a heart", "star": "a star", "dollar": "a dollar sign",
}  # fmt: skip
NOT_ADDED_TO = frozenset("double all spell letter alpha number wild broken red open a one half north sea lone".split())
NOT_CROSSED_OUT = frozenset("toggle power switch light hand take drop log sign cut kick turn day show one back".split())
ABBREVIATIONS = frozenset(
    "usb api ai ui id url cpu gpu ram rom atm sos led hiv iud sim wifi pdf eur usd tv 3d 2d".split()
)
NOT_SPELLED = frozenset("cm mm km kg ml st nd rd th vs cw ccw hmm shh pm mr mrs".split())
BRANDS = frozenset(("brand", "brands", "brand / logo", "logos", "social media", "brands & logos"))
MOST_TAGS, LONGEST_TAG = 5, 24  # tags, characters
SEVERAL = r" ?[/&+] ?|(?<=[a-z])(?=[A-Z])"  # between categories in one: "Food & Drink", "FoodDrink"
_PLACES_WITH_THE = re.compile(r"^(United|Netherlands|Philippines|Bahamas|Maldives)|(Islands|Republic|Territory|Lands)$")


def label_of_name(name: str, scrap: tuple[str, ...] = ()) -> str:
    """Return the words of a name: "shopping-cart-2" → "shopping cart", "dice-5" → "dice 5"; "" where none is left."""
    words = [word for word in re.split(r"[-_\s]+", name.lower()) if word]
    words = [word for word in words if word not in SCRAP]
    while len(words) > 1 and (words[-1] in scrap or re.fullmatch(r"\d{1,2}", words[-1])) and words[-2] not in NUMBERED:
        words.pop()
    words = [re.sub(r"^([a-z]{4,})\d$", r"\1", word) for word in words]
    return _spoken([_capitals(SPELLED.get(word, word)) for word in words])


def _spoken(words: list[str]) -> str:
    """Return words as one would say them: "bell", "plus" → "bell with a plus sign"."""
    if words[0:1] == ["a"] and len(words) > 1:  # a letter: no name of an icon begins with the article
        words = ["letter A", *words[1:]]
    *rest, last = words or [""]
    if not rest and re.fullmatch(r"[0-9a-z]", last):
        return f"{'number' if last.isdigit() else 'letter'} {last.upper()}"
    if last in ADDITIONS and not set(rest) & NOT_ADDED_TO:
        return f"{' '.join(rest)} with {ADDITIONS[last]}" if rest else last
    if last in ("off", "slash") and rest and not set(rest) & NOT_CROSSED_OUT:
        return f"crossed-out {' '.join(rest)}"
    return " ".join(words)


def _capitals(word: str) -> str:
    """Return abbreviations in capitals: what no vowel helps to speak, and some more."""
    spelled = word in ABBREVIATIONS or (re.fullmatch(r"[b-df-hj-np-tv-xz]{2,5}", word) and word not in NOT_SPELLED)
    return word.upper() if spelled else word


def label_of_emoji(label: str) -> str:
    """Return a label of emojibase as plain words: "flag: Kenya" → "flag of Kenya"."""
    label = label.replace("’", "'").replace("“", "").replace("”", "").strip()
    label = label.replace("regional indicator", "letter")
    kind, colon, rest = label.partition(": ")
    if not colon:
        return label
    if kind == "flag":
        return f"flag of {'the ' if _PLACES_WITH_THE.search(rest) else ''}{rest}"
    if kind == "keycap":
        return f"keycap {rest}"
    *first, last = rest.split(", ")
    rest = f"{', '.join(first)} and {last}" if first else last
    return f"{kind} with {rest}" if kind in ("woman", "man", "person") else f"{kind} of {rest}"


def tags_of(written: Written, label: str) -> tuple[str, ...]:
    """Return up to MOST_TAGS tags that say more than the label, in the order they were written; categories last.

    Left out: codes ("dhis2:war"), styles, what is not English words, and what the label says already.
    """
    said = set(_words(label))
    tags: list[str] = []
    aliases = [label_of_name(alias) for alias in written.aliases if "-outline" not in alias]
    categories = [part for category in written.categories for part in re.split(SEVERAL, category)]
    for tag in (*aliases, *written.tags, *([] if written.emoji else categories)):
        tag = " ".join(tag.replace("-", " ").replace("_", " ").lower().split())
        words = _words(tag)
        if _is_said(tag) and not words & (STYLE_WORDS | COLOURS) and not words <= said:
            tags.append(tag)
            said |= words
    if written.emoji:  # whose tags are in the order of the alphabet, which is no reason to take the first ones
        tags.sort(key=lambda tag: zlib.crc32(f"{label} {tag}".encode()))
    return tuple(tags[:MOST_TAGS])


def _is_said(tag: str) -> bool:
    return len(tag) <= LONGEST_TAG and bool(re.fullmatch(r"[a-z][a-z ']+[a-z]", tag)) and tag not in NOT_TAGS


NOT_TAGS = frozenset(
    "new other others unknown misc general system icon extras unicode openmoji base parts basic ily tbt bae bro "
    "interface essential sign symbol pictogram".split()
)


def _words(text: str) -> set[str]:
    return {singular(word) for word in re.findall(r"[a-z']+", text.lower())}


def singular(word: str) -> str:
    """Return a word without its plural: rough, but the same for the same word."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def spaced(category: str) -> str:
    """ "ComputersDevices" → "Computers Devices"."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", category)


def is_brand(name: str, written: Written) -> bool:
    """Trademarks cannot be guessed from their names, and are not ours to teach."""
    categories = {spaced(category).lower() for category in written.categories}
    return bool(categories & BRANDS) or name.startswith("brand-") or bool(re.search(r"-logo(-|$)", name))
