"""Drawing a file of descriptions: a line for each when it is done, gone on with after a stop, pictures at the end."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import require_writable
from qwen_svg.common.jsonl import append_all, written_before
from qwen_svg.common.progress import Progress
from qwen_svg.common.sheet import sheet_beside, write_sheet
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation.best_of_n import DrawingPlan, Request, draw_each
from qwen_svg.generation.descriptions import Asked, read_descriptions
from qwen_svg.generation.drawings import DRAWINGS
from qwen_svg.generation.predictor import Predictor

SHEET = 60  # pictures, the first ones


def draw_file(
    load: Callable[[], Predictor], model: str, plan: DrawingPlan, best: bool, source: Path, output: Path | None
) -> int:
    """Write the drawings of `source` to `output`, JSONL, and a sheet of them beside it; return the exit code.

    load: called once it is known that there is something to draw. model: its name, for the lines. output: None = in
    outputs/drawings/, named after the source. Raises UserError where the files are not what they should be, and where
    `output` was begun with another model or other settings.
    """
    asked, faults = read_descriptions(source)
    output = output or DRAWINGS / f"{source.stem}.jsonl"
    if output.suffix != ".jsonl" or output.resolve() == source.resolve():
        raise UserError(f"OUTPUT {output} must be a .jsonl file, and another one than INPUT.")
    sheet = sheet_beside(output)
    settings = plan.settings
    way = {"model": model, "n": plan.n, "best": best, "retries": plan.sensible_retries, "score": plan.scored_by}
    way |= vars(settings)
    todo = _not_done(asked, output, way)
    for fault in faults[:5]:
        print(f"skipped {fault}")
    print(f"{source}: {len(asked)} descriptions, {len(asked) - len(todo)} drawn before, {len(faults)} rows skipped")
    require_writable(output, sheet)
    if todo:
        _draw(load(), todo, plan, best, output, way)
    records = [record for record in written_before(output, "id", "way") if record["id"] in {one.id for one in asked}]
    write_sheet(sheet, _pictures(records[:SHEET]))
    legal = sum(record["legal"] for record in records)
    failed = [record for record in records if record["error"]]
    renders = sum(record["renders"] for record in records)
    drawn = sum(record.get("drawn", record["renders"]) for record in records)  # lines from before have no such field
    print(f"{len(records)} drawings, {legal} legal, {renders} render, {drawn} not blank")
    for record in failed[:5]:
        print(f"not drawn: {record['id']}: {record['error']}")
    print(f"  {output}\n  {sheet}")
    return 0 if legal == len(records) else 1


def _not_done(asked: list[Asked], output: Path, way: dict) -> list[Asked]:
    """Return what is still to be drawn, those with long descriptions first: alike in length, they share steps best."""
    done = {}
    for record in written_before(output, "id", "way"):
        done[record["id"]] = record.get("description")
        other = {"score": ""} | (record.get("way") or {})  # files from before there were scores
        if other != way:
            names = ", ".join(name for name in way if other.get(name) != way[name])
            raise UserError(f"{output} was begun with another {names}; give another OUTPUT, or draw as before.")
    for one in asked:
        if done.get(one.id, one.description) != one.description:
            raise UserError(f"{output} has {one.id!r} drawn for another description; give another OUTPUT.")
    return sorted((one for one in asked if one.id not in done), key=lambda one: -len(one.description))


def _draw(predictor: Predictor, todo: list[Asked], plan: DrawingPlan, best: bool, output: Path, way: dict) -> None:
    tokens = 0
    with Progress(len(todo), "drawing", "drawing") as bar:

        def watch(row: object) -> None:
            nonlocal tokens
            tokens += 1
            bar.set_postfix_str(f"{tokens} tokens", refresh=tokens % 200 == 0)  # a first drawing may take minutes

        with closing(draw_each(predictor, [Request(*one) for one in todo], plan, watch=watch)) as requests:
            for request in requests:
                append_all(output, list(_records(request, best, way)))
                bar.update()


def _records(request: Request, best: bool, way: dict) -> Iterator[dict]:
    """Yield a line for each drawing that is kept, or the one that says why there is none."""
    asked = {"id": request.id, "description": request.description}
    if request.fault:
        nothing = {"svg_content": "", "legal": False, "renders": False, "drawn": False}
        yield asked | nothing | {"error": request.fault, "way": way}
    for attempt in request.attempts[: 1 if best else None]:
        made = attempt.drawing
        yield asked | {
            "svg_content": made.answer,
            "legal": made.legal,
            "renders": made.png is not None,
            "drawn": made.drawn,
            "structural_score": made.verdict.score if made.verdict else 0.0,
            "finished": made.finished,
            "score": attempt.score,
            "seed": attempt.seed,
            "tries": attempt.tries,
            "tokens": made.tokens,
            "seconds": round(made.seconds, 3),
            "error": "",
            "way": way,
        }


def _pictures(records: list[dict]) -> Iterator[tuple[str, bytes | None]]:
    for record in records:
        yield record["description"], judge(record["svg_content"]).png
