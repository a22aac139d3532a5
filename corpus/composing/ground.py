"""The grounds of scenes with a horizon: what they are called, and their outline. All reach over the whole width."""

from corpus.composing.scene import Ground
from svg_constraint import CANVAS

RISES = {"hills": 40, "forest": 64, "mountains": 96}  # canvas units over the horizon; others are flat
_TO_LEFT = f"M{CANVAS},{CANVAS} H0"


def element(ground: Ground) -> str:
    """Return the SVG element: a rectangle, or an outline that begins in the lower right corner."""
    y, fill = ground.horizon, f'fill="{ground.colour}"'
    if ground.name == "hills":
        outline = f"Q64,{y - 80} 128,{y} Q192,{y - 80} {CANVAS},{y}"
    elif ground.name == "forest":
        outline = " ".join(["l32,-64 l32,64"] * 4)
    elif ground.name == "mountains":
        outline = f"L64,{y - 96} L128,{y - 16} L192,{y - 64} L{CANVAS},{y}"
    else:
        return f'<rect y="{y}" width="{CANVAS}" height="{CANVAS - y}" {fill}/>'
    return f'<path d="{_TO_LEFT} V{y} {outline} Z" {fill}/>'
