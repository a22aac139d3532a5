"""In which style an icon is drawn, by the ending of its name, and which of its copies in weights and sizes is read."""

import re

from corpus.icons.sets import IconSet

SIZES = (16, 20, 24, 28, 32, 48)  # pixels


def style_of(name: str, some: IconSet, icons: dict) -> tuple[str, str | None]:
    """Return (the name without its style, the style), with None for the style where this one is left out.

    icons: the set's, by name. In a mixed set a plain name says its style only where the other style has a name too.
    """
    base = re.sub(rf"-({'|'.join(map(str, SIZES))})$", "", name)
    if base != name and any(f"{base}-{size}" in icons for size in _larger(name)):
        return base, None
    for ending in some.skipped:
        if base.endswith(f"-{ending}"):
            return base, None
    for ending, style in some.styles.items():
        if ending and base.endswith(f"-{ending}"):
            return base.removesuffix(f"-{ending}"), style
    unsure = some.mixed and not any(f"{base}-{ending}" in icons for ending in some.styles if ending)
    return base, "icon" if unsure else some.styles.get("")


def _larger(name: str) -> list[int]:
    size = int(name.rpartition("-")[2])
    return [other for other in SIZES if other > size]
