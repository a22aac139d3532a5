"""Which colours a drawing shows, in words of every day, by the area that is to be seen of each."""

import io
import math
from collections import Counter
from functools import cache

import numpy as np
from PIL import Image

from corpus.oklab import to_oklab
from qwen_svg.svg.render import png_bytes

SIDE = 64  # pixels
OPAQUE = 200  # of 255: paler pixels are edges, or glass
LEAST_SHARE = 0.05  # of what is to be seen, from which a colour is named
GRAY_CHROMA = 0.035  # OKLab chroma up to which a colour is a gray
HUES = (  # degrees in OKLab up to which a hue has the name; from 345 it is pink again
    (12, "pink"), (40, "red"), (75, "orange"), (115, "yellow"), (165, "green"), (210, "teal"), (285, "blue"),
    (335, "purple"), (360, "pink"),
)  # fmt: skip


def shown(svg: str) -> list[tuple[str, float]]:
    """Return (word, share) of the colours that are seen, the largest first; shares are of the opaque pixels."""
    with Image.open(io.BytesIO(png_bytes(svg, SIDE, transparent=True))) as image:
        pixels = np.asarray(image.convert("RGBA")).reshape(-1, 4)
    opaque = pixels[pixels[:, 3] >= OPAQUE][:, :3].astype(int) // 8 * 8 + 4
    values, counts = np.unique(opaque, axis=0, return_counts=True)
    words: Counter[str] = Counter()
    for (red, green, blue), count in zip(values.tolist(), counts.tolist(), strict=True):
        words[colour_word(f"#{red:02x}{green:02x}{blue:02x}")] += count
    found = [(word, count / max(1, len(opaque))) for word, count in words.most_common()]
    return [(word, share) for word, share in found if share >= LEAST_SHARE]


@cache
def colour_word(colour: str) -> str:
    """#rrggbb → what a person would call it: hues by their angle in OKLab, dark and pale ones by names of their own."""
    light, a, b = to_oklab(colour)
    chroma, hue = math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360
    if chroma < GRAY_CHROMA or light < 0.2:
        return _gray(light)
    if chroma < 0.06 and 180 < hue < 285 and light < 0.82:
        return "blue-gray"
    return _shade(next(name for limit, name in HUES if hue < limit), light, chroma)


def _gray(light: float) -> str:
    for limit, name in ((0.33, "black"), (0.5, "dark gray"), (0.75, "gray"), (0.92, "light gray")):
        if light < limit:
            return name
    return "white"


def _shade(hue: str, light: float, chroma: float) -> str:
    """Return the word for a hue that is as light (0 to 1) and as colourful as this."""
    if hue in ("orange", "yellow") and light > 0.83 and chroma < 0.085:
        return "beige"
    if hue in ("red", "orange") and light < 0.66 and chroma < (0.125 if hue == "red" else 0.14):
        return "brown"
    if hue == "orange" and chroma < 0.1:
        return "light brown"
    if hue == "yellow" and light < 0.7:
        return "olive" if light > 0.45 else "brown"
    if hue == "red" and light > 0.72:
        return "pink"
    if hue == "pink" and light < 0.55:
        return "purple" if light > 0.3 else "maroon"
    if hue == "blue" and light < 0.36:
        return "navy"
    if hue == "teal" and light > 0.8:
        return "cyan" if chroma > 0.09 else "light blue"
    if hue in ("blue", "green", "purple") and light > 0.77 and (hue != "green" or chroma < 0.12):
        return f"light {hue}"
    if hue in ("green", "purple", "red") and light < 0.42:
        return f"dark {hue}"
    return hue
