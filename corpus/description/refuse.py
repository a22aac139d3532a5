"""Which descriptions are no use for drawing in this project's form, and why: each reason is counted.

The rules of the competition "Drawing with LLMs" (Kaggle, 2025) for its own descriptions: common and generic subjects,
no brand names, trademarks or personal names, no people even in generic form, at most 200 characters. And nothing that
has to be written in the picture: the prompt forbids <text>.
"""

import re
from collections import Counter

MAX_WORDS = 14  # fewer than 15
MIN_WORDS = 2
MAX_CHARACTERS = 200


def _any_of(words: str, not_before: str = "") -> re.Pattern:
    """A pattern of words with commas between, in any letter case and plurals too."""
    return re.compile(rf"\b(?:{'|'.join(words.split(', '))})(?:s|es)?\b{not_before}", re.IGNORECASE)


_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_TALK = re.compile(r"^(?:this|these|here|it|they|the following|sure|certainly|of course|i|we)\b", re.IGNORECASE)
# "men's coat" shows none; kings, queens and babies are left out for chess, bees and elephants.
_PEOPLE = _any_of(
    "person, people, man, men, woman, women, boy, girl, child, children, kid, toddler, teenager, lady, ladies, "
    "gentleman, gentlemen, couple, family, families, crowd, bride, groom, princess, prince, knight, soldier, dancer, "
    "farmer, fisherman, fishermen, sailor, singer, musician, guitarist, violinist, pianist, artist, chef, doctor, "
    "nurse, worker, driver, rider, athlete, runner, surfer, skier, cyclist, astronaut, witch, wizard, monk, hiker",
    not_before="(?!['’])",
)
_WRITING = _any_of(
    "text, letter, lettering, word, writing, written, inscription, inscribed, caption, typography, slogan, "
    "saying, say, spell, spelling, initial, monogram, alphabet, numeral, logo, brand, branded, trademark, "
    "signature, autograph, barcode, qr code"
)
_QUOTED = re.compile('["“”«»]')
# Brands and characters that models like to name in lower case too.
_BRANDS = _any_of(
    "nike, adidas, gucci, prada, chanel, rolex, ferrari, lamborghini, porsche, tesla, toyota, bmw, mercedes, "
    "volkswagen, vespa, jeep, harley, lego, barbie, disney, pixar, batman, superman, spider-?man, pok[eé]mon, pikachu, "
    "super mario, hello kitty, mickey mouse, coca-?cola, pepsi, starbucks, mcdonald, iphone, ipad, macbook, "
    "playstation, xbox, nintendo, google, facebook, instagram, youtube, netflix, ikea, crocs, rubik"
)


def fault(description: str) -> str:
    """Return why a description is no use, "" where it is one."""
    words = _WORD.findall(description)
    if len(words) > MAX_WORDS or len(description) > MAX_CHARACTERS:
        return f"more than {MAX_WORDS} words or {MAX_CHARACTERS} characters"
    if len(words) < MIN_WORDS:
        return f"fewer than {MIN_WORDS} words"
    if any(ord(c) < 32 or (c.isalpha() and ord(c) > 0x24F) for c in description):
        return "not in English"
    if _TALK.search(description):
        return "speaks about the description"
    if max(Counter(word.lower() for word in words if len(word) > 3).values(), default=0) > 2:
        return "says a word three times"
    if _WRITING.search(description) or _QUOTED.search(description):
        return "has writing in it"
    if _BRANDS.search(description):
        return "names a brand"
    # The prompt asks for lower case, so that a capital within is a name.
    if any(word[0].isupper() and len(word) > 1 for word in words[1:]):
        return "names somebody or something"
    if _PEOPLE.search(description):
        return "shows people"
    return ""
