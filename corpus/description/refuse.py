"""Which descriptions are no use for drawing in this project's form, and why: each reason is counted.

The rules of the competition "Drawing with LLMs" (Kaggle, 2025) for its own descriptions: common and generic subjects,
no brand names, trademarks or personal names, no people even in generic form, at most 200 characters. And nothing that
has to be written in the picture: the prompt forbids <text>.
"""

import re

MAX_WORDS = 14  # fewer than 15
MIN_WORDS = 2
MAX_CHARACTERS = 200

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
# "men's coat" shows none; kings, queens and babies are left out for chess, bees and ducklings.
_PEOPLE = re.compile(
    r"\b(?:person|people|m[ae]n|wom[ae]n|boys?|girls?|child|children|kids?|toddlers?|teenagers?|lad(?:y|ies)"
    r"|gentlem[ae]n|couples?|famil(?:y|ies)|crowds?|brides?|grooms?|princess(?:es)?|princes?|knights?|soldiers?|dancers?"
    r"|farmers?|fisherm[ae]n|sailors?|singers?|musicians?|artists?|chefs?|doctors?|nurses?|athletes?|runners?|surfers?"
    r"|skiers?|cyclists?|astronauts?|witch(?:es)?|wizards?|monks?|hikers?)\b(?!['’]|s['’])",
    re.IGNORECASE,
)
_WRITING = re.compile(
    r"[\"“”«»]|\b(?:text|letters?|lettering|words?|writing|written|inscription|inscribed|caption|typography|slogan|"
    r"reading \w+|saying|says|spell(?:s|ing)|initials|monogram|alphabet|numerals|logos?|brand(?:ed)?|trademark|"
    r"signature|autograph|barcode|qr code)\b",
    re.IGNORECASE,
)
# Brands and characters that models like to name in lower case too.
_BRANDS = re.compile(
    r"\b(?:nike|adidas|gucci|prada|chanel|rolex|ferrari|lamborghini|porsche|tesla|toyota|bmw|mercedes|volkswagen|vespa"
    r"|jeep|harley|lego|barbie|disney|pixar|batman|superman|spider-?man|pok[eé]mon|pikachu|super mario|hello kitty"
    r"|mickey mouse|coca-?cola|pepsi|starbucks|mcdonald|iphone|ipad|macbook|playstation|xbox|nintendo|google|facebook"
    r"|instagram|youtube|netflix|ikea|levi['’]s|crocs|rubik)(?:['’]?s)?\b",
    re.IGNORECASE,
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
    if _WRITING.search(description):
        return "has writing in it"
    if _BRANDS.search(description):
        return "names a brand"
    # The prompt asks for lower case, so that a capital within is a name.
    if any(word[0].isupper() and len(word) > 1 for word in words[1:]):
        return "names somebody or something"
    if _PEOPLE.search(description):
        return "shows people"
    return ""
