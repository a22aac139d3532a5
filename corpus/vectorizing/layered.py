"""Method "layers": colours by K-means, regions as stacked outlines; searched over colours, small regions and detail."""

from functools import partial
from typing import Any

from corpus.oklab import pixels_to_oklab
from corpus.vectorizing.search import NEARLY, NOTHING, Budget, Candidate, Comparator, bisect_detail, hill_climb
from corpus.vectorizing.segments import calmed, colour_counts, k_means, label, regions, surfaces
from corpus.vectorizing.trace import COARSE, FINE, MIXED, Traced, trace
from svg_constraint import CANVAS

COLOURS = (48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
START = 5  # of these
SMALLEST = (8, 32, 128, 512, 2048)  # pixels of 512 × 512; smaller regions go to their neighbours
TEXTURED = 0.7  # share of the pixels inside surfaces, below which a picture is no flat drawing
REGION = 12  # bytes that a region takes at least: with more of them there is no need to try
SHAPE = "/>"  # the end of one; a text without leaves nothing of the picture but the paper
GRIDS = (FINE, MIXED, COARSE)
TOLERANCES = tuple(0.3 * 2 ** (i / 2) for i in range(11))  # pixels, 0.3 to 9.6


def by_layers(rgb: Any, budget: Budget, comparator: Comparator) -> list[Candidate]:
    """Return the drawings that were tried and fit, and shorter ones of the best."""
    flat = surfaces(rgb)
    if flat.mean() < TEXTURED:
        rgb = calmed(rgb)
        flat = surfaces(rgb)
    lab = pixels_to_oklab(rgb)
    points, weights = colour_counts(lab, rgb, flat)
    step = CANVAS / len(rgb)
    found: list[tuple[Candidate, Traced]] = []
    scores: dict[int, float] = {}  # by number of colours

    def with_colours(k: int) -> float:
        centres = k_means(points, weights, k)
        if len(centres) in scores:  # the picture has no more colours
            return scores[len(centres)]
        labels = label(lab, flat, centres)

        counted: dict[int, float] = {}  # score by number of regions

        def without(smallest: int) -> float:
            left = regions(labels, rgb, flat, smallest * (len(rgb) / 512) ** 2)
            if len(left.colours) * REGION > budget.max_bytes:
                return NOTHING
            if len(left.colours) not in counted:
                traced = trace(left, rgb)
                tried = _drawings(traced, step, budget, comparator)
                found.extend((one, traced) for one in tried)
                counted[len(left.colours)] = max((one.similarity for one in tried), default=NOTHING)
            return counted[len(left.colours)]

        best = hill_climb(SMALLEST, 0, without)
        scores[len(centres)] = without(0) if best == NOTHING else best  # a picture of a dot is all small regions
        return scores[len(centres)]

    hill_climb(COLOURS, START, with_colours)
    drawings = [one for one, _ in found]
    if found:
        best, traced = max(found, key=lambda pair: pair[0].similarity)
        drawings += _shorter(best, traced, step, comparator)
    return drawings


def _drawings(traced: Traced, step: float, budget: Budget, comparator: Comparator) -> list[Candidate]:
    """Return the drawing in most detail that fits on each grid: the coarse one is the best where edges lie on it.

    step: of a pixel.
    """
    if not traced.parts:  # a white page is no drawing
        return []
    found: dict[str, None] = {}
    for grid in GRIDS:
        full = traced.svg(TOLERANCES[0] * step, grid)
        texts = [partial(traced.svg, tolerance * step, grid) for tolerance in TOLERANCES]
        if text := full if budget.allows(full) else bisect_detail(texts, budget):
            found[text] = None
    return [comparator.compare(text) for text in found if SHAPE in text]


def _shorter(best: Candidate, traced: Traced, step: float, comparator: Comparator) -> list[Candidate]:
    """Return drawings of the same layers in less detail, as long as they are nearly as good as the best so far.

    At times they are better: an outline that is followed too closely has the steps of the pixels.
    """
    found, most = [], best.similarity
    for grid in GRIDS:
        for tolerance in TOLERANCES:
            text = traced.svg(tolerance * step, grid)
            if len(text) < len(best.svg) and SHAPE in text:
                found.append(comparator.compare(text))
                most = max(most, found[-1].similarity)
                if found[-1].similarity < most - NEARLY:
                    break
    return found
