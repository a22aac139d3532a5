"""`python -m scoring.<name> FILE…`: the same for every score."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import is_table, rows, text_in
from scoring.candidate import Candidate
from scoring.pictures import png


def score_files(score: Callable[..., list[float]], c: SimpleNamespace) -> None:
    """Print a line for each drawing of FILES, and their mean. The script's other constants are `score`'s arguments."""
    options = {name.lower(): value for name, value in vars(c).items()}
    of_files = {name: options.pop(name) for name in ("files", "description", "reference") if name in options}
    names, candidates = zip(*read_candidates(**of_files), strict=True)
    scores = score(candidates, **options)
    for name, value in zip(names, scores, strict=True):
        print(f"{value:.4f}  {name}")
    if len(scores) > 1:
        print(f"{sum(scores) / len(scores):.4f}  mean of {len(scores)}")


def read_candidates(files: list[str], description: str = "", reference: str = "") -> list[tuple[str, Candidate]]:
    """Return (name, candidate) for each drawing of .svg files, folders of them, and tables.

    Tables have svg_content and may have description and reference. description, reference (the path of an SVG): for
    those that bring none. Raises UserError for a file or a row that cannot be read, naming it, and where there is
    nothing to score.
    """
    ideal = _reference(reference) if reference else ""
    found = []
    for file in files:
        if not (is_table(file) or Path(file).is_dir()):
            found.append((file, Candidate(_text(file), description, ideal)))
            continue
        for row in rows(file):
            answer, fault = text_in(row, "svg_content")
            if fault:
                raise UserError(f"{row.place}: {fault}.")
            values = (str(row.values.get(name) or given) for name, given in
                      (("description", description), ("reference", ideal)))  # fmt: skip
            found.append((str(row.values.get("id") or row.place), Candidate(answer, *values)))
    if not found:
        what = f"{', '.join(files)} holds no drawing" if files else "there is nothing to score"
        raise UserError(f"{what}; name .svg files, folders of them, or tables with a column svg_content.")
    return found


def _reference(file: str) -> str:
    """All drawings are held against it: one that shows nothing would make all scores 0."""
    text = _text(file)
    if not file.endswith(".svg") or not png(extract_svg(text)):
        raise UserError(f"REFERENCE {file} is no .svg that renders; give the drawing that FILES should be like.")
    return text


def _text(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{file} cannot be read ({reason}); name .svg files, or tables with svg_content.") from None
