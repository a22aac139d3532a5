"""Shapes as an SVG document in the dialect: gradients first, a comment before each visual block, one element a line."""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby

from corpus.optimization.describe_geometry import describe_block, flat, reasoning
from corpus.optimization.gradients import gradient_text
from corpus.optimization.outline import PLAIN
from corpus.optimization.paint import Gradient, Paint, colour_text
from corpus.optimization.path_text import compact_path, plain_path
from corpus.optimization.shorten import Shape, ShapeGroup
from svg_constraint import SVG_OPEN

DEFAULT_ENDS = (PLAIN.cap, PLAIN.join)


def write_answer(name: str, parts: list[Shape | ShapeGroup], compact: bool = False) -> str:
    """Return `<reasoning>…</reasoning>` and the SVG: an answer as the training data has it."""
    comments = [describe_block(block) for block in _blocks(parts)]
    return f"<reasoning>\n{reasoning(name, parts, comments)}\n</reasoning>\n\n{write_document(parts, compact=compact)}"


def write_document(parts: list[Shape | ShapeGroup], comments: bool = True, compact: bool = True) -> str:
    """Return the SVG text. comments: one before each visual block, which the prompt dialects ask for.

    compact: path data in few tokens, else plain (corpus/optimization/path_text.py).
    """
    names: dict[Gradient, str] = {}
    for shape in flat(parts):
        for paint in (shape.fill, shape.stroke):
            if isinstance(paint, Gradient):
                names.setdefault(paint, f"g{len(names) + 1}")
    lines = [SVG_OPEN]
    if names:
        lines += ["<defs>", *(gradient_text(gradient, name) for gradient, name in names.items()), "</defs>"]
    for block in _blocks(parts):
        if comments:
            lines.append(f"<!-- {describe_block(block)} -->")
        said = _said_once(block)
        inner = [line for part in block for line in _lines(part, names, compact, said)]
        lines += [f"<g {_attributes(said)}>", *inner, "</g>"] if said else inner
    return "\n".join([*lines, "</svg>"])


def _blocks(parts: list[Shape | ShapeGroup]) -> Iterator[list[Shape | ShapeGroup]]:
    """Yield visual blocks as svg_constraint.py has them: a group, or a run of shapes of the same paint."""

    def look(part: Shape | ShapeGroup) -> tuple:
        return (id(part),) if isinstance(part, ShapeGroup) else (part.fill, part.stroke)

    for _, block in groupby(parts, key=look):
        yield list(block)


def _said_once(block: list[Shape | ShapeGroup]) -> list[tuple[str, str]]:
    """Return the cap and join that a <g> around the block says for all, where that is shorter."""
    seen = [pair for part in block if isinstance(part, Shape) for pair in _ends(part)]
    names = Counter(name for name, _ in {*seen})
    said = [pair for pair in dict.fromkeys(seen) if names[pair[0]] == 1 and pair[1] not in DEFAULT_ENDS]
    return said if sum(seen.count(pair) - 1 for pair in said) > 1 else []


def _ends(part: Shape) -> list[tuple[str, str]]:
    """Return the attributes of the stroke's cap and join, of those that are seen."""
    pairs = [("stroke-linecap", part.ends.cap), ("stroke-linejoin", part.ends.join)] if part.stroke else []
    return [pair for pair in pairs if pair[1]]


def _lines(
    part: Shape | ShapeGroup, names: dict[Gradient, str], compact: bool, said: Iterable[tuple[str, str]] = ()
) -> Iterable[str]:
    if isinstance(part, ShapeGroup):
        inner = [line for member in part.members for line in _lines(member, names, compact)]
        return [f'<g opacity="{part.opacity}">', *inner, "</g>"]
    paint = [
        ("fill", "" if part.fill == "#000000" else paint_text(part.fill, names)),
        ("stroke", paint_text(part.stroke, names) if part.stroke else ""),
        ("stroke-width", part.stroke_width),
        *(pair for pair in _ends(part) if pair not in said),
        ("opacity", part.opacity),
    ]
    path = {}
    if part.commands:
        path["d"] = compact_path(part.commands) if compact else plain_path(part.commands, closed=not part.stroke)
    attributes = [*path.items(), *part.geometry.items(), *paint]
    return [f"<{part.tag} {_attributes(attributes)}/>"]


def _attributes(pairs: list[tuple[str, str]]) -> str:
    return " ".join(f'{name}="{value}"' for name, value in pairs if value and value not in DEFAULT_ENDS)


def paint_text(paint: Paint, names: dict[Gradient, str]) -> str:
    if paint is None:
        return "none"
    return f"url(#{names[paint]})" if isinstance(paint, Gradient) else colour_text(paint)
