"""Samples one by one: sample i depends on the seed and i alone."""

from collections.abc import Iterator
from random import Random

from corpus.composing.answer import drawing, tokens_about
from corpus.composing.held_out import unseen_kinds
from corpus.composing.samples import group, scenes
from corpus.editing.changes import CHANGES, WITHOUT_PART
from corpus.editing.drawing import Drawing, drawing_of
from corpus.editing.records import answer, differs, repair
from corpus.editing.referring import reference
from corpus.editing.wording import instruction
from qwen_svg.common.errors import UserError
from svg_constraint import check

LEVELS = {"1": 55, "2": 33, "3": 12}  # of 100 samples, where all are wanted
WEIGHTS = {
    "recolour": 24, "shade": 5, "move": 15, "scale": 12, "rotate": 5, "flip": 4, "duplicate": 6, "delete": 16,
    "outline": 6, "background": 3, "time": 12, "add": 8,
}  # fmt: skip
MOST_TOKENS = 270  # of an answer, as they are estimated: Qwen2.5 then needs some 250
TRIES_OF_KIND = 50  # scenes; then another kind of edit is tried
TRIES = 6  # of one kind of edit in one scene, with other numbers
MAY_NOT_SHOW = ("rotate", "flip", "delete")  # a circle turned, a white background taken out


def samples(seed: int, count: int, levels: list[str], share_of_repairs: float, unseen: float) -> Iterator[dict]:
    """Yield records of id, description, svg, svg_content, group; of an edit with `edit`, of a repair with `task`."""
    for i in range(count):
        yield sample(seed, i, levels, share_of_repairs, unseen)


def sample(seed: int, i: int, levels: list[str], share_of_repairs: float, unseen: float) -> dict:
    draw = Random(f"edits:{seed}:{i}")
    level = draw.choices(levels, [LEVELS[level] for level in levels])[0]
    is_repair, wanted = draw.random() < share_of_repairs, draw.random() < unseen
    weights = WEIGHTS | {"time": WEIGHTS["time"] * (level == "3")}  # elsewhere there is no sky to change
    for n, (scene, kinds) in enumerate(scenes(draw, level, wanted)):
        if n % TRIES_OF_KIND == 0:
            kind = draw.choices(list(weights), list(weights.values()))[0]
        found = repair(draw, drawing(scene)) if is_repair else edit(draw, kind, drawing_of(scene), kinds)
        if found is not None and tokens_about(found["svg_content"]) <= MOST_TOKENS:
            name = "repair" if is_repair else "edit"
            return {"id": f"{name}-{level}-{seed}-{i:06d}", **found, "group": group(scene, kinds)}
    raise UserError(f"no scene of level {level} was found for sample {i:,}; give another SEED or LEVEL.")


def edit(draw: Random, kind: str, before: Drawing, kinds: set[str]) -> dict | None:
    """Return the record of an edit of this kind, None where none of the parts can have one.

    kinds: of combinations held out that the scene has; the drawing after may have no others.
    """
    for _ in range(TRIES):
        part = draw.choice(before.parts)
        change = CHANGES[kind](draw, before, part)
        if change is None or (change.edit["kind"] == "delete" and part.number is None and draw.random() < 0.7):
            continue
        named = ("none", "it") if kind in WITHOUT_PART else reference(draw, before, part)
        if named is None or not unseen_kinds(change.scene) <= kinds:
            continue
        svg = "\n".join(change.lines)
        if check(svg).violations or (kind in MAY_NOT_SHOW and not differs(before.text, svg)):
            continue
        shapes = [] if kind in ("add", "background") else list(part.shapes)
        return {
            "description": instruction(draw, change, named[1]),
            "svg": before.text,
            "svg_content": answer(change.reason, svg),
            "edit": change.edit | {"shapes": shapes, "named": named[0]},
        }
    return None
