"""SVG text to pixels, with resvg. What it renders may come from a model or a stranger."""

import io
import re
from typing import Any

# resvg opens the file an <image> names. Entities could hide one, so they go too.
_READS_FILES = re.compile(r"<(?:[\w.-]+:)?(?:image|feImage)(?![\w.-])|<!ENTITY", re.IGNORECASE)


def png_bytes(svg: str, size: int = 256, background: str | None = "#ffffff") -> bytes:
    """Return the drawing as PNG, `size` pixels wide, on `background` (None = transparent).

    Raises ValueError when it cannot be rendered or refers to images.
    """
    import resvg_py

    if _READS_FILES.search(svg):
        raise ValueError("the SVG refers to images or declares entities, which are not rendered")
    try:
        data = svg.encode("utf-8").decode("utf-8")  # a lone surrogate is a ValueError here, a crash further on
        return bytes(resvg_py.svg_to_bytes(svg_string=data, width=size, background=background, skip_system_fonts=True))
    except ValueError:
        raise
    except BaseException as error:  # resvg's panics do not derive from Exception
        if isinstance(error, KeyboardInterrupt):
            raise
        raise ValueError(f"resvg cannot render the SVG ({error})") from None


def render_rgb(svg: str, size: int = 256) -> Any:
    """Return the drawing on white as a uint8 array (size, size, 3); ValueError when it cannot be rendered."""
    import numpy as np
    from PIL import Image

    with Image.open(io.BytesIO(png_bytes(svg, size))) as image:
        return np.asarray(
            image.convert("RGB").resize((size, size)) if image.size != (size, size) else image.convert("RGB")
        )


def picture_difference(a: Any, b: Any, tile: int = 16) -> tuple[float, float]:
    """Return (mean absolute error, that of the worst tile) of two uint8 arrays (S, S, 3), both in [0, 1]."""
    import numpy as np

    error = np.abs(a.astype(np.int16) - b.astype(np.int16)).mean(axis=2) / 255
    tiles = error.reshape(error.shape[0] // tile, tile, error.shape[1] // tile, tile).mean(axis=(1, 3))
    return float(error.mean()), float(tiles.max())
