"""The plain shapes: their element, and the numbers that the reasoning notes first and the element then repeats.

A shape has a centre and a radius, in whole canvas units; it reaches `radius` to the left and the right. A small model
copies well and adds badly, so what the reasoning notes stands in the element literally. What is round has its centre
and its radius; what has corners is an outline about 0,0, always the same text, moved to the centre and enlarged.
"""

FLAT = ("oval", "rectangle")  # half as high as wide
HALF = 4  # the half width of an outline: radius / HALF is how much it is enlarged
OUTLINES = {
    "square": 'rect x="-4" y="-4" width="8" height="8"',
    "rectangle": 'rect x="-4" y="-2" width="8" height="4"',
    "triangle": 'path d="M0,-4 l4,8 h-8 z"',
    "diamond": 'path d="M0,-4 l4,4 l-4,4 l-4,-4 z"',
    "hexagon": 'path d="M-4,0 l2,-4 h4 l2,4 l-2,4 h-4 z"',
    "cross": 'path d="M-4,-1 h3 v-3 h2 v3 h3 v2 h-3 v3 h-2 v-3 h-3 z"',
}
SHAPES = ("circle", "oval", "square", "rectangle", "triangle", "diamond", "hexagon", "ring", "cross")


def height(shape: str, r: int) -> int:
    """Return how far a shape reaches up and down from its centre."""
    return r // 2 if shape in FLAT else r


def size(shape: str, r: int) -> str:
    """Return the size as the reasoning notes it: "r 32", "r 32,16", "scale 8"."""
    if shape in OUTLINES:
        return f"scale {r // HALF}"
    return f"r {r},{height(shape, r)}" if shape in FLAT else f"r {r}"


def element(shape: str, x: int, y: int, r: int, colour: str) -> str:
    """Return the SVG element. `colour` is a CSS name."""
    if shape == "ring":
        return f'<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="{colour}" stroke-width="{r // 4}"/>'
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="{r}" fill="{colour}"/>'
    if shape == "oval":
        return f'<ellipse cx="{x}" cy="{y}" rx="{r}" ry="{height(shape, r)}" fill="{colour}"/>'
    return f'<{OUTLINES[shape]} fill="{colour}" transform="translate({x},{y}) scale({r // HALF})"/>'
