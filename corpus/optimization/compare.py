"""Is it the same picture? The file and what has become of it, rendered and compared by the product's own bound.

At 256 pixels and by resvg. That takes three times as long as to optimize, mostly to write PNG. So where a file is plain
LunaSVG is asked first: what it finds the same with room to spare needs no second look, everything else has one.
"""

import copy
from typing import Any

from lxml import etree

from corpus.optimization.luna import luna_difference
from corpus.optimization.plain import is_plain
from corpus.optimization.refusal import Refused
from corpus.optimization.svg_document import tag_of
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_NAMESPACE

MAX_ERROR, MAX_TILE_ERROR = 0.01, 0.10  # mean absolute difference at 256 pixels: of all, in the worst tile
# How much nearer than the bound LunaSVG's differences have to be. In 2,198 plain files resvg found more by 0.0026 and
# 0.022, at most, and no more in 4,554 others: benchmarks/RESULTS.md.
ERROR_IN_DOUBT, TILE_ERROR_IN_DOUBT = 0.003, 0.025


def same_picture(a: Any, b: Any) -> bool:
    """Are two uint8 arrays (256, 256, 3) one picture, by the bound?"""
    error, worst_tile = picture_difference(a, b)
    return error <= MAX_ERROR and worst_tile <= MAX_TILE_ERROR


class Original:
    """The picture of a file, drawn when it is first needed. root: of its tree, which is left as it is."""

    def __init__(self, root: Any):
        self.root = root
        self.picture: Any = None
        self.is_plain = is_plain(root)

    def change(self, svg: str) -> str:
        """Return "" where a drawing shows the same, else what differs. Raises Refused where the file shows nothing."""
        if self.is_plain and self._surely_shows(svg):
            return ""
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

    def _surely_shows(self, svg: str) -> bool:
        """Does LunaSVG find so little difference that resvg must find it small, too?"""
        try:
            error, worst_tile = luna_difference(_as_text(self.root), svg)
        except ValueError:
            return False
        return error <= MAX_ERROR - ERROR_IN_DOUBT and worst_tile <= MAX_TILE_ERROR - TILE_ERROR_IN_DOUBT


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
