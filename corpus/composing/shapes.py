"""The plain shapes: their element, and the numbers that the reasoning notes first and the element then repeats.

A shape has a centre and a radius, in whole canvas units; it reaches `radius` to the left and the right. A small model
copies well and adds badly, so what the reasoning notes (centre and radius) stands in the element literally as far as it
goes, and outlines are written relative to their first point: then they are one fixed phrase for each size.
"""

FLAT = ("oval", "rectangle")  # half as high as wide
OUTLINES = {
    "triangle": lambda x, y, r: f"M{x},{y - r} l{r},{2 * r} h{-2 * r} z",
    "diamond": lambda x, y, r: f"M{x - r},{y} l{r},{-r} l{r},{r} l{-r},{r} z",
    "hexagon": lambda x, y, r: f"M{x - r},{y} l{r // 2},{-r} h{r} l{r // 2},{r} l{-r // 2},{r} h{-r} z",
    "cross": lambda x, y, r: (
        f"M{x - r},{y - r // 4} h{(a := r - r // 4)} v{-a} h{(b := r // 4 * 2)} v{a} h{a} v{b} h{-a} v{a} h{-b} v{-a} "
        f"h{-a} z"
    ),
}
SHAPES = ("circle", "oval", "square", "rectangle", "triangle", "diamond", "hexagon", "ring", "cross")


def height(shape: str, r: int) -> int:
    """Return how far a shape reaches up and down from its centre."""
    return r // 2 if shape in FLAT else r


def element(shape: str, x: int, y: int, r: int, colour: str) -> str:
    """Return the SVG element. `colour` is a CSS name."""
    if shape == "ring":
        return f'<circle cx="{x}" cy="{y}" r="{r}" fill="none" stroke="{colour}" stroke-width="{r // 4}"/>'
    if shape == "circle":
        geometry = f'circle cx="{x}" cy="{y}" r="{r}"'
    elif shape == "oval":
        geometry = f'ellipse cx="{x}" cy="{y}" rx="{r}" ry="{r // 2}"'
    elif shape in ("square", "rectangle"):
        h = height(shape, r)
        geometry = f'rect x="{x - r}" y="{y - h}" width="{2 * r}" height="{2 * h}"'
    else:
        geometry = f'path d="{OUTLINES[shape](x, y, r)}"'
    return f'<{geometry} fill="{colour}"/>'
