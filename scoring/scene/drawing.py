"""A drawing as it is seen: what each shape covers, what of it is left to see, and in which colour.

Each shape is drawn alone, with all that its groups say, in a cell of one large picture: one call of the renderer gives
the pixels and the paint of all. Then they are laid over each other in the order of the document, which gives what is to
be seen of each. Comments and names are not looked at.
"""

import io
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import numpy as np
from PIL import Image

from qwen_svg.svg.render import png_bytes
from svg_constraint import CANVAS, SHAPES, SVG_NAMESPACE

CELL = 128  # pixels of the canvas on one side
MOST_SHAPES = 49  # of more, neighbours are looked at together
UNIT = CANVAS / CELL  # canvas units to a pixel
OPAQUE = 0.3  # from this opacity a pixel counts as covered


@dataclass(frozen=True)
class Drawing:
    """paint: float32 (shapes, CELL, CELL, 4), RGBA in [0, 1], not premultiplied, in painting order."""

    paint: Any

    @cached_property
    def covers(self) -> Any:
        """What each shape covers, also where others hide it: bool (shapes, CELL, CELL)."""
        return self.paint[..., 3] >= OPAQUE

    @cached_property
    def on_top(self) -> Any:
        """Which shape is to be seen at each pixel: int (CELL, CELL), -1 for the paper."""
        top = np.full((CELL, CELL), -1)
        for i, covered in enumerate(self.covers):
            top[covered] = i
        return top

    @cached_property
    def picture(self) -> Any:
        """All shapes over white paper: float32 (CELL, CELL, 3)."""
        return laid_over(self.paint)[0]


def laid_over(paint: Any) -> tuple[Any, Any]:
    """Return layers over white paper, float32 (height, width, 3), and how opaque they are together.

    paint: float32 (layers, height, width, 4), the first one lowest.
    """
    seen, clear = np.ones((*paint.shape[1:3], 3), np.float32), np.ones(paint.shape[1:3], np.float32)
    for layer in paint:
        alpha = layer[..., 3:]
        seen = seen * (1 - alpha) + layer[..., :3] * alpha
        clear = clear * (1 - layer[..., 3])
    return seen, 1 - clear


def read_drawing(svg: str) -> Drawing | None:
    """Return the drawing; None where it cannot be rendered or has no shape."""
    if "<!" in svg.replace("<!--", ""):  # entities, which may be made to grow without end
        return None
    try:
        root = ElementTree.fromstring(svg)
        alone = _shapes_alone(root)
        if not alone:
            return None
        each = math.ceil(len(alone) / MOST_SHAPES)
        alone = ["".join(alone[i : i + each]) for i in range(0, len(alone), each)]
        side = math.ceil(math.sqrt(len(alone)))
        with Image.open(io.BytesIO(png_bytes(_sheet(root, alone, side), side * CELL, transparent=True))) as image:
            pixels = np.asarray(image.convert("RGBA"), np.float32) / 255
    except (ValueError, ElementTree.ParseError, RecursionError):
        return None
    cells = pixels.reshape(side, CELL, side, CELL, 4).swapaxes(1, 2).reshape(-1, CELL, CELL, 4)
    return Drawing(cells[: len(alone)])


def _shapes_alone(root: ElementTree.Element) -> list[str]:
    """Return each shape as text, within copies of the groups that it stands in."""
    found: list[str] = []

    def walk(element: ElementTree.Element, before: str, behind: str) -> None:
        for child in element:
            name = _local(child.tag)
            if name in SHAPES:
                found.append(f"{before}<{name}{_attributes(child)}/>{behind}")
            elif name in ("g", "svg"):
                walk(child, f"{before}<{name}{_attributes(child)}>", f"</{name}>{behind}")

    walk(root, "", "")
    return found


def _sheet(root: ElementTree.Element, alone: list[str], side: int) -> str:
    """Return one SVG of side × side cells, a shape in each."""
    box = root.get("viewBox") or f"0 0 {root.get('width', CANVAS)} {root.get('height', CANVAS)}"
    style = "".join(f" {name}={quoteattr(value)}" for name, value in root.attrib.items() if name in _INHERITED)
    gradients = "".join(
        ElementTree.tostring(element, "unicode") for element in root.iter() if _local(element.tag).endswith("Gradient")
    )
    cells = "".join(
        f'<svg x="{i % side}" y="{i // side}" width="1" height="1" viewBox={quoteattr(box)}{style}>{shape}</svg>'
        for i, shape in enumerate(alone)
    )
    return f'<svg xmlns="{SVG_NAMESPACE}" viewBox="0 0 {side} {side}"><defs>{gradients}</defs>{cells}</svg>'


_INHERITED = ("fill", "stroke", "stroke-width", "opacity", "style", "preserveAspectRatio")


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _attributes(element: ElementTree.Element) -> str:
    return "".join(f" {_local(name)}={quoteattr(value)}" for name, value in element.attrib.items())
