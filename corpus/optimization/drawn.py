"""What stage 1 hands to stage 2: painted outlines on the canvas, and groups of them."""

from dataclasses import dataclass, field

from corpus.optimization.outline import PLAIN, Ends
from corpus.optimization.paint import Paint
from qwen_svg.svg.values import Command


@dataclass(frozen=True)
class Drawn:
    """One painted outline on the canvas, filled by the nonzero rule.

    basic: ("circle", cx, cy, r), ("ellipse", cx, cy, rx, ry) or ("rect", x, y, width, height, rx, ry) where the outline
    is one on the canvas, without rotation.
    """

    path: list[Command]
    fill: Paint
    stroke: Paint = None
    width: float = 0.0
    opacity: float = 1.0
    basic: tuple = ()
    ends: Ends = PLAIN  # of the stroke


@dataclass
class Group:
    """Members drawn together, then made translucent together."""

    opacity: float
    members: list["Drawn | Group"] = field(default_factory=list)
