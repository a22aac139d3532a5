"""Both stages, one after the other: any SVG → the same picture in the dialect, or a refusal by name."""

from collections.abc import Iterator

from corpus.optimization.compare import Original
from corpus.optimization.document import write_document
from corpus.optimization.drawn import Drawn, Group
from corpus.optimization.refusal import Refused
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.optimization.svg_document import SvgDocument
from corpus.optimization.svgo import run_svgo
from svg_constraint import check

MOST_DECIMALS = 2


def optimize_svg_string(
    svg: str | bytes,
    dialect: str = "prompt",
    decimals: int = 0,
    cubic_only: bool = False,
    comments: bool = True,
    svgo_config: str = "",
    compare: bool = True,
) -> str:
    """Return the picture in the dialect, scaled to the canvas. Raises Refused with a reason that can be counted.

    Arguments as the constants of corpus/optimize.py. comments: one before each visual block, as the prompt asks for;
    without them (and from SVGO, which drops them) the text is legal but for that. compare: render before and after, try
    again in more detail where the pictures differ, and refuse what still does; without it, that is not known.
    """
    try:
        return _optimized(svg, dialect, decimals, cubic_only, comments, svgo_config, compare)
    except Refused:
        raise
    except RecursionError:
        raise Refused("nested too deep") from None
    except Exception as error:  # whatever a library says of a file that nobody has thought of
        raise Refused(f"cannot be converted ({type(error).__name__})") from error


def _optimized(
    svg: str | bytes, dialect: str, decimals: int, cubic_only: bool, comments: bool, svgo_config: str, compare: bool
) -> str:
    document = SvgDocument(svg)
    drawn = resolve(document)
    original = Original(document.root)
    reason = ""
    for places, exact in _forms(svg, dialect, decimals, svgo_config):
        text, fault = _written(drawn, dialect, places, exact, cubic_only, comments, svgo_config)
        fault = fault or (original.change(text) if compare else "")
        if not fault:
            return text
        reason = reason or fault
        if text and not compare:
            break
    raise Refused(reason)


def _forms(svg: str | bytes, dialect: str, decimals: int, svgo_config: str) -> Iterator[tuple[int, bool]]:
    """Yield (decimals, exact), from the shortest text to the one nearest to the picture.

    exact: nothing is approximated; what is in the dialect already is not, again.
    """
    if svgo_config or (_on_the_canvas(svg) and check(svg, dialect).valid):
        yield decimals, True
        return
    for places in range(decimals, MOST_DECIMALS + 1):
        yield places, False
    yield MOST_DECIMALS, True


def _written(
    drawn: list[Drawn | Group],
    dialect: str,
    decimals: int,
    exact: bool,
    cubic_only: bool,
    comments: bool,
    svgo_config: str,
) -> tuple[str, str]:
    """Return the document, and what is not legal in it, or why there is none in so little detail."""
    try:
        shapes = shorten(drawn, dialect, decimals, exact=exact, cubic=cubic_only)
    except Refused as refusal:
        return "", str(refusal)
    text = write_document(shapes, comments)
    if svgo_config:
        text = run_svgo(text, svgo_config)
    commented = comments and not svgo_config
    faults = [v for v in check(text, dialect).violations if commented or v.rule != "comment-missing"]
    return text, f"not legal: {faults[0].rule}" if faults else ""


def _on_the_canvas(svg: str | bytes) -> bool:
    return (b'"0 0 256 256"' if isinstance(svg, bytes) else '"0 0 256 256"') in svg[:200]
