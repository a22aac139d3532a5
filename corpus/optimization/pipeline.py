"""Both stages, one after the other: any SVG → the same picture in the dialect."""

from corpus.optimization.document import write_document
from corpus.optimization.refusal import Refused
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.optimization.svgo import run_svgo
from svg_constraint import check


def optimize_svg_string(
    svg: str | bytes,
    dialect: str = "prompt",
    decimals: int = 0,
    cubic_only: bool = False,
    comments: bool = True,
    svgo_config: str = "",
) -> str:
    """Return the picture in the dialect, scaled to the canvas. Raises Refused with a reason that can be counted.

    Arguments as the constants of corpus/optimize.py. comments: one before each visual block, as the prompt asks for;
    without them (and from SVGO, which drops them) the text is legal but for that.
    """
    # What is in the dialect already is not approximated again.
    exact = bool(svgo_config) or (_on_the_canvas(svg) and check(svg, dialect).valid)
    shapes = shorten(resolve(svg), decimals, gradients=dialect != "prompt", exact=exact, cubic=cubic_only)
    text = write_document(shapes, comments)
    if svgo_config:
        text = run_svgo(text, svgo_config)
    commented = comments and not svgo_config
    faults = [v for v in check(text, dialect).violations if commented or v.rule != "comment-missing"]
    if faults:
        raise Refused(f"not legal: {faults[0].rule}")
    return text


def _on_the_canvas(svg: str | bytes) -> bool:
    return (b'"0 0 256 256"' if isinstance(svg, bytes) else '"0 0 256 256"') in svg[:200]
