"""What of a drawing can be seen: shapes under others, beside the canvas or without a colour are left out."""

from functools import lru_cache
from xml.etree import ElementTree

import numpy as np

from qwen_svg.svg.render import render_rgb

SIZE = 128  # pixels; of a shape of one unit that is a quarter of a pixel
NOTICED = 8  # of 255 levels: what changes no channel of a pixel by more is not seen


@lru_cache(4096)
def visible(svg: str) -> str:
    """Return an SVG without the elements that can be taken out, one after the other, and not be missed.

    Of two shapes that hide each other's absence one is kept; comments are not. What cannot be drawn is returned as is.
    """
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError:
        return svg
    whole = _pixels(root)
    if whole is None:
        return svg
    for parent in reversed(list(root.iter())):  # inner groups first: they may be left empty
        for child in [child for child in parent if not len(child)]:
            place = list(parent).index(child)
            parent.remove(child)
            if _differ(_pixels(root), whole):
                parent.insert(place, child)
    return ElementTree.tostring(root, "unicode")


def _pixels(root: ElementTree.Element) -> np.ndarray | None:
    """Return the picture, int16 (SIZE, SIZE, 3); None where it does not render."""
    try:
        return render_rgb(ElementTree.tostring(root, "unicode"), SIZE).astype(np.int16)
    except ValueError:
        return None


def _differ(found: np.ndarray | None, whole: np.ndarray) -> bool:
    return found is None or abs(found - whole).max() > NOTICED
