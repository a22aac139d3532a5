"""From the names of icons to words that a person would say: no codes, no versions, no abbreviated additions."""

import re

from corpus.icons.vocabulary import SCRAP

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
