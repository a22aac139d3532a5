"""Level 0: one thing by itself, in few words ("a red lock", "a cloud on a teal background"), as large as an icon."""

from random import Random

from corpus.composing import colours, things
from corpus.composing.layout import colour_for, on_canvas, radius, shows_on
from corpus.composing.scene import Item, Scene
from corpus.composing.shapes import SHAPES
from svg_constraint import CANVAS

SIZE = "full"  # which no description says: what stands alone fills the canvas
SHAPE_SHARE = 0.1  # of the things
BACKGROUND_SHARE = 0.25

KINDS = {"colour told": 60, "colour not told": 40}  # of 100 scenes


def alone_scene(draw: Random, kind: str) -> Scene | None:
    """Return a scene of a kind of KINDS, or None where the choices did not fit together: then draw again."""
    thing = draw.choice(SHAPES if draw.random() < SHAPE_SHARE else list(things.pictograms()))
    background = draw.choice(colours.BACKGROUNDS) if draw.random() < BACKGROUND_SHARE else ""
    paper, told = background or "white", kind == "colour told"
    colour = colour_for(draw, thing, (paper,)) if told else usual_colour(thing, paper)
    if colour is None:
        return None
    item = Item(thing, colour, ((CANVAS // 2, CANVAS // 2),), radius(thing, SIZE), SIZE, tells_colour=told)
    return Scene(0, (item,), background=background) if on_canvas(item.bounds()) and shows_on(item, paper) else None


def usual_colour(thing: str, paper: str) -> str | None:
    """Return the first of a thing's colours that is told from the paper; None where there is none."""
    known = colours.THINGS if thing in SHAPES else things.pictograms()[thing].colours
    return next((colour for colour in known if not colour or colours.differ(colour, paper)), None)
