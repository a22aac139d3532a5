"""Step 4: draw. One description, a chat, a change of a drawing, or a file of descriptions → SVG.

Reads   a model (the newest run in outputs/, or what MODEL says) and, for a batch, a file of descriptions.
Writes  outputs/drawings/: an SVG and a PNG for each drawing; for a batch OUTPUT, and a sheet of its pictures beside it.

    python generate.py "a blue circular button with power symbol"
    python generate.py --n 8 --best "a fox in the snow"
    python generate.py --n 8 --best --score text_match "a fox in the snow"
    python generate.py --interactive
    python generate.py --edit drawing.svg "make the circle blue"
    python generate.py --repair broken.svg
    python generate.py --input descriptions.txt --output drawings.jsonl

Answers are constrained to the grammar of legal drawings; with --free they are what the model says itself. Exit code 1
when a drawing is not legal.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.model.find import find_model

# What
DESCRIPTION: str = ""  # what to draw; the flag may be left out
INTERACTIVE: bool = False  # a chat, in which drawings are changed
EDIT: str = ""  # an .svg file; the description says what to change in it
REPAIR: str = ""  # a broken .svg file; a description may be left out
INPUT: str = ""  # descriptions to draw: .txt, one to a line; .jsonl or .csv with description and, if wanted, id
OUTPUT: str = ""  # .jsonl for the drawings of INPUT; one that exists is gone on with; "" = named after INPUT
# With what
MODEL: str = ""  # a run, by name or folder; an adapter, merged folder, .gguf file, hub id; "" = the newest run, or ours
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
ENGINE: Literal["auto", "transformers", "llama.cpp"] = "auto"  # "auto": llama.cpp for .gguf bases on CPUs, if installed
# How
N: Annotated[int, Above(0, 10_000)] = 1  # drawings of a description, with seeds SEED, SEED + 1 …
BEST: bool = False  # of the N, keep only the best: legal, renders, shows something, SCORE, structural score
SCORE: str = ""  # of scoring/ that decides among legal ones: "text_match", "vqa" …; NAME=MODEL for another model
FREE: bool = False  # not constrained by the grammar
RETRIES: NonNegativeInt = 3  # of a free answer that is not legal, with other seeds
TEMPERATURE: NonNegativeFloat = 0.7  # 0 = greedy: the same whatever the seed
SEED: Seed = 0  # the same seed, the same drawing
MAX_NEW_TOKENS: NonNegativeInt = 0  # of an answer; 0 = up to the length the model was trained with
SLOTS: PositiveInt = 8  # drawings made side by side


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    if (c.INPUT != "") + (c.DESCRIPTION != "") + c.INTERACTIVE > 1:
        raise UserError("a description, --input and --interactive are three ways to ask; give one of them.")
    if c.N > 1 and c.TEMPERATURE == 0:
        raise UserError(f"N is {c.N}, but at TEMPERATURE 0 every drawing is the same; give a `--temperature`, as 0.7.")
    if c.SCORE and c.N == 1:
        raise UserError("SCORE chooses among several drawings; give `--n 8`, say.")
    if c.OUTPUT and not c.INPUT:
        raise UserError("OUTPUT is for the drawings of a file; give one with `--input`.")
    if (c.EDIT or c.REPAIR) and ((c.EDIT and c.REPAIR) or c.INPUT or c.INTERACTIVE):
        raise UserError(
            "--edit and --repair change one drawing, one way; leave the other, --input and --interactive out."
        )
    for name in ("EDIT", "REPAIR"):
        if getattr(c, name) and not Path(getattr(c, name)).is_file():
            raise UserError(f"{name} {getattr(c, name)} is no file; give the path of an SVG.")
    if not (c.INPUT or c.INTERACTIVE or c.REPAIR or c.DESCRIPTION.strip()):
        raise UserError("the description is empty; say in a few words what to draw.")
    find_model(c.MODEL)


if __name__ == "__main__":
    c = start(__file__, positional="DESCRIPTION")
    check_constants(c)

from functools import partial

import prompt_template
from qwen_svg.common.files import require_writable
from qwen_svg.generation.batch import draw_file
from qwen_svg.generation.best_of_n import DrawingPlan
from qwen_svg.generation.chat import Chat
from qwen_svg.generation.descriptions import checked
from qwen_svg.generation.drawings import DRAWINGS
from qwen_svg.generation.pick_engine import pick_engine
from qwen_svg.generation.predictor import Change, Predictor, Settings
from qwen_svg.generation.terminal import draw_one, show
from qwen_svg.model.source import find_source
from scoring.candidate import Candidate
from scoring.scores import find_score
from svg_constraint import SVG_OPEN


def main(c: SimpleNamespace) -> int:
    """Return the exit code: 1 when a drawing is not legal."""
    words, change = c.DESCRIPTION or (prompt_template.REPAIR if c.REPAIR else ""), change_of(c)
    description = checked(words) if words else ""
    model, source = find_model(c.MODEL), find_source(c.MODEL, c.BASE_MODEL)
    print(f"model: {model} · engine: {pick_engine(c.ENGINE, source)}")
    settings = Settings(c.TEMPERATURE, c.SEED, c.MAX_NEW_TOKENS, c.FREE)
    plan = DrawingPlan(settings, c.N, c.RETRIES, scorer(c.SCORE, model) if c.SCORE else None, c.SCORE)
    load = partial(Predictor, source, c.SLOTS, engine=c.ENGINE)
    if c.INPUT:
        output = Path(c.OUTPUT) if c.OUTPUT else None
        return draw_file(load, model, plan, c.BEST, Path(c.INPUT), output)
    require_writable(DRAWINGS / "drawing-1.svg")
    predictor = load()
    if c.INTERACTIVE:
        return Chat(predictor, plan).run()
    attempts = draw_one(predictor, description, plan, change=change)
    kept = attempts[:1] if c.BEST else attempts
    for attempt in attempts:
        show(attempt, keep=attempt in kept)
    return 0 if all(attempt.drawing.legal for attempt in kept) else 1


def change_of(c: SimpleNamespace) -> Change | None:
    """Return what is to be changed. Raises UserError where it is no text, or no legal drawing for an edit."""
    file = c.EDIT or c.REPAIR
    if not file:
        return None
    try:
        svg = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}); give an SVG in UTF-8.") from None
    if not svg.strip():
        raise UserError(f"{file} is empty; give another.")
    return Change(svg, "edit" if c.EDIT else "repair").checked()


def scorer(name: str, drawn_by: str):
    """Return what scores drawings. Whatever it lacks is said now, by a trial, and not after minutes of drawing."""
    _, score = find_score(name, references=False, drawn_by=drawn_by)
    score([Candidate(f'{SVG_OPEN}<circle cx="128" cy="128" r="64"/></svg>', "a circle")])
    return lambda drawings: score([Candidate(made.answer, made.description) for made in drawings])


if __name__ == "__main__":
    run(main, c)
