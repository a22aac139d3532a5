"""Method "vtracer": vtracer's outlines, brought into the dialect by corpus/optimize.py; searched over its settings."""

import io
from functools import partial
from typing import Any

import vtracer
from PIL import Image

from corpus.optimization.pipeline import optimize_svg_string
from corpus.vectorizing.search import NOTHING, Budget, Candidate, Comparator, bisect_detail, hill_climb

COLOURS = ((8, 8), (16, 6), (32, 5), (64, 4), (128, 3))  # levels of 255 between layers, bits of a colour
START = 1  # of these
DETAIL = ((4, 4), (8, 6), (16, 10), (32, 10), (64, 10))  # pixels: side of patches left out, length of segments


def by_vtracer(rgb: Any, budget: Budget, comparator: Comparator) -> list[Candidate]:
    """Return the drawings that were tried and fit."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "png")
    found: list[Candidate] = []

    def with_colours(colours: tuple[int, int]) -> float:
        best = NOTHING
        for decimals in (1, 0):
            texts = [partial(_drawn, file.getvalue(), *colours, *detail, decimals) for detail in DETAIL]
            if text := bisect_detail(texts, budget):
                found.append(comparator.compare(text))
                best = max(best, found[-1].similarity)
        return best

    hill_climb(COLOURS, START, with_colours)
    return found


def _drawn(png: bytes, difference: int, bits: int, speckle: int, length: float, decimals: int) -> str:
    svg = vtracer.convert_raw_image_to_svg(
        png,
        img_format="png",
        layer_difference=difference,
        color_precision=bits,
        filter_speckle=speckle,
        length_threshold=length,
        path_precision=2,
    )
    return optimize_svg_string(svg, decimals=decimals, compare=False)
