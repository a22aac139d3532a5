"""What things are on: the ground's outline and colour, the sky, and the time of day that it tells."""

from typing import Any

import numpy as np

from scoring.scene.colour import BASIC, colour_distance, lab_of
from scoring.scene.things_in import Content


def paper(content: Content) -> Any:
    """Return the colour of most pixels that show no thing, RGB."""
    return _most_common(content.drawing.picture[_free(content)])


def _free(content: Content) -> Any:
    """Return the pixels that show no thing, bool (CELL, CELL)."""
    seen = np.zeros(content.drawing.on_top.shape, bool)
    for thing in content.things:
        seen |= thing.seen
    return ~seen


def _most_common(pixels: Any) -> Any:
    if not len(pixels):
        return np.ones(3)
    coarse = (pixels.reshape(-1, 3) * 31 + 0.5).astype(np.int64)
    most = np.bincount(coarse @ (1024, 32, 1)).argmax()
    return np.array([most >> 10, most >> 5 & 31, most & 31]) / 31


def ground_and_sky(content: Content) -> tuple[str, Any, Any]:
    """Return the outline of what the lower part of the canvas shows, its colour and that of the sky, RGB.

    Outlines: "flat", "waves", "teeth" (many), "peaks" (few); "" where there is no ground.
    """
    drawing = content.drawing
    free = _free(content)
    height = free.shape[0]
    sky = _most_common(drawing.picture[: height // 3][free[: height // 3]])
    low = drawing.picture[int(height * 0.85) :][free[int(height * 0.85) :]]
    colour = _most_common(low)
    if np.linalg.norm(colour - sky) < 0.1:
        return "", None, sky
    shows_ground = (np.linalg.norm(drawing.picture - colour, axis=2) < 0.12) & free
    things = ~free
    tops, clear = [], []
    for ground, thing in zip(shows_ground.T, things.T, strict=True):
        found = np.flatnonzero(ground)
        if len(found):
            tops.append(found[0])
            clear.append(not thing[max(0, found[0] - 4) : found[0]].any())  # else a thing may hide more of it
    return _outline(np.array(tops), np.array(clear)), colour, sky


def _outline(tops: Any, clear: Any) -> str:
    """Name the upper edge of the ground. tops: in pixels, for each column; clear: columns where it is to be seen."""
    if clear.sum() < len(tops) / 8:
        return "flat"
    columns = np.arange(len(tops))
    tops = np.interp(columns, columns[clear], tops[clear])
    if np.percentile(tops, 95) - np.percentile(tops, 5) <= 4:
        return "flat"
    smooth = np.convolve(np.pad(tops, 1, "edge"), np.ones(3) / 3, "valid")
    if _peaks(smooth) >= 3:
        return "teeth"
    return "waves" if _is_round(smooth) else "peaks"


def _peaks(tops: Any) -> int:
    """Count how often the outline rises and falls again by a good part of its height."""
    much = 0.35 * (tops.max() - tops.min())
    found, rising, last = 0, True, tops[0]
    for y in tops:
        if rising:
            last = min(last, y)
            if y > last + much:
                found, rising, last = found + 1, False, y
        else:
            last = max(last, y)
            if y < last - much:
                rising, last = True, y
    return found + (rising and tops[0] > last + much)


def _is_round(tops: Any) -> bool:
    """Is it nearly level for a while at its highest, as a hill is and a peak is not?"""
    highest = int(tops.argmin())
    near = tops[max(0, highest - 8) : highest + 9]
    return float(near.max() - near.min()) <= 0.2 * float(tops.max() - tops.min())


_OUTLINES = {
    "field": ("flat",), "sea": ("flat",), "desert": ("flat",), "snow": ("flat",), "hills": ("waves",),
    "forest": ("teeth",), "mountains": ("peaks",),
}  # fmt: skip
_GROUND_COLOURS = {
    "sea": ("blue", "teal", "navy"), "desert": ("tan", "beige", "orange", "yellow"), "snow": ("white",),
    "field": ("green", "yellow", "brown"),
}  # fmt: skip


def is_ground(name: str, outline: str, colour: Any) -> bool:
    if outline not in _OUTLINES[name]:
        return False
    allowed = _GROUND_COLOURS.get(name)
    if not allowed:
        return True
    nearest = min({*BASIC, "tan", "beige"}, key=lambda basic: colour_distance(colour, basic))
    return nearest in allowed


def is_time(sky: Any, time: str) -> bool:
    """Night is dark; dusk warm, from pink over orange to purple; day light, and not warm."""
    lightness, red, _ = lab_of(sky)
    if time == "night":
        return lightness < 0.4 and red < 0.1
    warm = red > 0.04
    return lightness >= 0.35 and warm if time == "dusk" else lightness >= 0.6 and not warm
