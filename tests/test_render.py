"""Rendering text that nobody has vouched for."""

import numpy as np
import pytest

from common.render import picture_difference, png_bytes, render_rgb
from svg_constraint import SVG_OPEN


def test_pixels_are_where_they_should_be():
    picture = render_rgb(f'{SVG_OPEN}<rect x="64" y="0" width="64" height="256" fill="#ff0000"/></svg>')
    assert picture.shape == (256, 256, 3)
    assert picture[128, 96].tolist() == [255, 0, 0] and picture[128, 32].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
    "text", ["", "<svg", "no svg", "<svg>\ud800</svg>", "<svg xmlns='http://www.w3.org/2000/svg'", "\x00"]
)
def test_what_cannot_be_rendered_is_a_value_error(text):
    with pytest.raises(ValueError):
        png_bytes(text)


def test_no_file_is_read(tmp_path):
    """resvg by itself paints the file that an <image> names into the picture."""
    secret = tmp_path / "secret.svg"
    secret.write_text(f'{SVG_OPEN}<rect width="256" height="256" fill="#ff0000"/></svg>')
    for tag in ("image", "x:image", "feImage"):
        svg = (
            SVG_OPEN.replace(">", ' xmlns:x="http://www.w3.org/2000/svg">')
            + f'<{tag} href="{secret}" width="256" height="256"/></svg>'
        )
        with pytest.raises(ValueError, match="images"):
            png_bytes(svg)


def test_difference_sees_a_small_mark_in_its_tile():
    a = np.full((256, 256, 3), 255, np.uint8)
    b = a.copy()
    b[32:48, 64:80] = 0
    assert picture_difference(a, a) == (0.0, 0.0)
    assert picture_difference(a, b) == (pytest.approx(1 / 256), 1.0)
