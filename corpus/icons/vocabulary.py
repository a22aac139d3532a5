"""Words that say nothing about the thing an icon shows, which names, tags and concepts look past alike."""

COLOURS = frozenset(
    "red orange yellow green blue purple pink brown black white gray grey navy teal gold violet".split()
)
STYLE_WORDS = frozenset("outline outlined filled fill solid linear duotone bold thin line regular glyph flat".split())
SCRAP = frozenset("variant alt v2 icon icons px".split())  # of a name they say nothing


def singular(word: str) -> str:
    """Return a word without its plural: rough, but the same for the same word."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word
