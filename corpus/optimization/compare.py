"""Is it the same picture? The file and what has become of it, rendered and compared by the product's own bound.

At 256 pixels, although most of the time is the renderer's, which mostly writes PNG: drawings at half the size hide what
moves within a pixel. When less than half the bound there counted as the same, 2 of 600 logos were beyond it at 256.
"""

import copy
from typing import Any

from lxml import etree

from corpus.optimization.refusal import Refused
from corpus.optimization.svg_document import tag_of
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_NAMESPACE

MAX_ERROR, MAX_TILE_ERROR = 0.01, 0.10  # mean absolute difference at 256 pixels: of all, in the worst tile


class Original:
    """The picture of a file, drawn when it is first needed. root: of its tree, which is left as it is."""

    def __init__(self, root: Any):
        self.root = root
        self.picture: Any = None

    def change(self, svg: str) -> str:
        """Return "" where a drawing shows the same, else what differs. Raises Refused where the file does not."""
        if self.picture is None:
            try:
                self.picture = render_rgb(_as_text(self.root))
            except ValueError:
                raise Refused("does not render") from None
        try:
            error, worst_tile = picture_difference(self.picture, render_rgb(svg))
        except ValueError:
            return "changed: does not render"
        if worst_tile > MAX_TILE_ERROR:
            return f"changed: tile {worst_tile:.2f}"
        return f"changed: mean {error:.3f}" if error > MAX_ERROR else ""


def _images(root: Any) -> list[Any]:
    return [element for element in root.iter() if tag_of(element) in ("image", "feImage")]


def _as_text(root: Any) -> str:
    """Return the tree as the renderer takes it: entities resolved, in SVG's namespace, without images.

    An image that would be seen has been refused by then.
    """
    if _images(root):
        root = copy.deepcopy(root)
        for element in _images(root):
            element.getparent().remove(element)
    text = etree.tostring(root, encoding="unicode")
    return text if root.tag[0] == "{" else text.replace("<svg", f'<svg xmlns="{SVG_NAMESPACE}"', 1)
