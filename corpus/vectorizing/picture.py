"""Image files → pixels to work on: any mode and size, on white, fitted into a square."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from corpus.optimization.refusal import Refused

SIDES = 96, 512  # pixels, the least and the most of a picture that is worked on; 512 are two to a canvas unit
ENLARGED = 3, 256  # a smaller one so many times, up to so many pixels: lines of one pixel have no inside
# Read by Pillow itself; for EPS and PDF it would start other programs.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "PPM", "TGA", "ICO")
SUFFIXES = frozenset(".png .jpg .jpeg .webp .gif .bmp .tif .tiff .avif .ppm .pgm .tga .ico".split())


def read_picture(path: Path) -> Any:
    """Return uint8 (S, S, 3), S from 96 to 512: the image (the first one of an animation), centred on white.

    Raises Refused with the reason: no image, broken, too large, one colour all over.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)  # a small file may unfold to any size
            with Image.open(path, formats=FORMATS) as image:
                image.draft(None, (2 * SIDES[1], 2 * SIDES[1]))  # a JPEG need not be decoded larger
                return fitted(ImageOps.exif_transpose(image))
    except Refused:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise Refused(f"more than {Image.MAX_IMAGE_PIXELS // 1_000_000} megapixels") from None
    except Image.UnidentifiedImageError:
        raise Refused("no image that can be read") from None
    except Exception as error:  # a decoder may raise anything at a broken file
        raise Refused(f"a broken image ({type(error).__name__})") from None


def fitted(image: Any) -> Any:
    """Return a PIL image as read_picture does."""
    white = Image.new("RGB", image.size, "white")
    image = _eight_bits(image).convert("RGBA")
    white.paste(image, mask=image.getchannel("A"))
    longest = max(white.size)
    side = min(max(longest, min(ENLARGED[0] * longest, ENLARGED[1]), SIDES[0]), SIDES[1])
    scale = side / longest
    size = tuple(max(1, round(length * scale)) for length in white.size)
    if size != white.size:  # areas are averaged, so that edges stay where they are
        white = white.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (side, side), "white")
    canvas.paste(white, ((side - size[0]) // 2, (side - size[1]) // 2))
    pixels = np.asarray(canvas)
    if (pixels == pixels[0, 0]).all():
        raise Refused("nothing to see: one color all over")
    return pixels


def _eight_bits(image: Any) -> Any:
    """Pillow clips what has more than 8 bits where it should scale."""
    if image.mode == "F":
        raise Refused("pixels of floating-point numbers")
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8))
    return image
