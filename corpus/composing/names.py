"""What things are called: other names, plurals, articles, numbers in words."""

import re

OTHER_NAMES = {
    "oval": ("ellipse",), "cross": ("plus sign",), "boat": ("sailboat",), "cup": ("mug",), "airplane": ("plane",),
    "gift": ("present",), "flying saucer": ("ufo",), "television": ("tv set",), "padlock": ("lock",), "gear": ("cog",),
    "raindrop": ("drop of water",), "smiley face": ("smiling face",), "pine tree": ("fir tree",), "rabbit": ("bunny",),
    "book": ("open book",), "fire": ("campfire",), "hat": ("top hat",), "shirt": ("t-shirt",), "lamp": ("table lamp",),
    "star": ("five-pointed star",), "moon": ("crescent moon",), "planet": ("ringed planet",), "ball": ("striped ball",),
}  # fmt: skip
PLURALS = {
    "leaf": "leaves", "snowman": "snowmen", "fish": "fish", "cactus": "cacti", "bunny": "bunnies",
    "butterfly": "butterflies", "bus": "buses", "cross": "crosses", "bench": "benches", "watch": "watches",
}  # fmt: skip
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
VOWELS = re.compile(r"\ba (?=[aeio]|u(?!fo|ni|se))")


def plural(name: str) -> str:
    """ "slice of pizza" → "slices of pizza" """
    head, of, rest = name.partition(" of ")
    *before, last = head.split(" ")
    last = PLURALS.get(last, last + "s")
    return " ".join([*before, last]) + of + rest


def with_articles(text: str) -> str:
    """ "a orange circle" → "an orange circle" """
    return VOWELS.sub("an ", text)
