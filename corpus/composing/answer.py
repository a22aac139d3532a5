"""A scene as the answer a model shall write: seven short steps of reasoning, then the SVG, block by block.

The third step notes each thing's centre and size; the SVG then repeats these numbers, so that the one decision is made
where nothing else is to be written. All is true of the drawing.
"""

from corpus.composing import colours, shapes
from corpus.composing.scene import Item, Scene
from svg_constraint import CANVAS, SVG_OPEN

SAID = {"left": "left of", "right": "right of"}


def answer(scene: Scene) -> str:
    return f"<reasoning>\n{reasoning(scene)}\n</reasoning>\n{drawing(scene)}"


def reasoning(scene: Scene) -> str:
    """The template's seven steps in at most 60 words."""
    names = [item.thing for item in scene.items]
    elements = ", ".join(names)
    if scene.relation:
        a, relation, b = scene.relation
        elements = f"{names[a]} {SAID.get(relation, relation)} {names[b]}"
    used = dict.fromkeys([*(item.colour for item in scene.items), *filter(None, [scene.background])])
    steps = (
        elements,
        ", ".join(map(colours.paint, used)),
        "; ".join(shapes.note(item.thing, item.x, item.y, item.r) for item in scene.items),
        f"{colours.paint(scene.background)} background" if scene.background else "white paper",
        "none",
        "none",
        "all visible",
    )
    return "\n".join(f"{number}. {step}" for number, step in enumerate(steps, 1))


def drawing(scene: Scene) -> str:
    lines = [SVG_OPEN]
    if scene.background:
        fill = colours.paint(scene.background)
        lines += [f"<!-- {fill} background -->", f'<rect width="{CANVAS}" height="{CANVAS}" fill="{fill}"/>']
    for item in scene.items:
        lines += block(item)
    return "\n".join([*lines, "</svg>"])


def block(item: Item) -> list[str]:
    """Return the lines of a thing: its comment, and what draws it."""
    return [
        f"<!-- {item.colour} {item.thing} -->",
        shapes.element(item.thing, item.x, item.y, item.r, colours.paint(item.colour)),
    ]
