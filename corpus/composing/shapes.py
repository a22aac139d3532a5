"""The plain shapes: outlines about 0,0, always the same text, moved to where they are and enlarged.

A small model copies well and adds badly. So a shape's place and size are three numbers, the same for all shapes, which
the reasoning notes first and the element then repeats. A shape has a centre and a radius, in whole canvas units; it
reaches `radius` to the left and the right.
"""

FLAT = ("oval", "rectangle")  # half as high as wide
HALF = 4  # the half width of an outline: radius / HALF is how much it is enlarged
# No two begin alike: what shape it is, is decided right behind its name in the comment. That is why a rectangle is a
# thick line, and a ring has no centre of its own (it is 0,0).
ELEMENTS = {
    "circle": '<circle cx="0" cy="0" r="4" fill="{colour}" transform="{where}"/>',
    "oval": '<ellipse cx="0" cy="0" rx="4" ry="2" fill="{colour}" transform="{where}"/>',
    "square": '<rect x="-4" y="-4" width="8" height="8" fill="{colour}" transform="{where}"/>',
    "rectangle": '<line x1="-4" y1="0" x2="4" y2="0" stroke="{colour}" stroke-width="4" transform="{where}"/>',
    "triangle": '<polygon points="0,-4 4,4 -4,4" fill="{colour}" transform="{where}"/>',
    "diamond": '<path d="M0,-4 l4,4 l-4,4 l-4,-4 z" fill="{colour}" transform="{where}"/>',
    "hexagon": '<polyline points="4,0 2,4 -2,4 -4,0 -2,-4 2,-4" fill="{colour}" transform="{where}"/>',
    "ring": '<circle r="3" fill="none" stroke="{colour}" stroke-width="2" transform="{where}"/>',
    "cross": '<g stroke="{colour}" stroke-width="2" transform="{where}">\n'
    '<line x1="0" y1="-4" x2="0" y2="4"/>\n<line x1="-4" y1="0" x2="4" y2="0"/>\n</g>',
}
SHAPES = tuple(ELEMENTS)


def height(shape: str, r: int) -> int:
    """Return how far a shape reaches up and down from its centre."""
    return r // 2 if shape in FLAT else r


def scale(r: int) -> int:
    return r // HALF


def element(shape: str, x: int, y: int, r: int, colour: str) -> str:
    """Return the SVG element, or elements in a <g>. `colour` is a CSS name."""
    return ELEMENTS[shape].format(colour=colour, where=f"translate({x},{y}) scale({scale(r)})")
