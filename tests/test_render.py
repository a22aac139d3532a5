"""Rendering text that nobody has vouched for."""

import io
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from qwen_svg.svg import render
from qwen_svg.svg.render import is_blank, picture_difference, png_bytes, render_rgb
from svg_constraint import SVG_NAMESPACE, SVG_OPEN


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


@pytest.mark.parametrize("tag", ["image", "feImage", "x:image", "a\u0301b:image", "a\u00b7b:image"])
def test_no_file_is_read(tmp_path, tag):
    """resvg by itself paints the file that an <image> names into the picture."""
    secret = tmp_path / "secret.svg"
    secret.write_text(f'{SVG_OPEN}<rect width="256" height="256" fill="#ff0000"/></svg>')
    prefix = f' xmlns:{tag.split(":")[0]}="{SVG_NAMESPACE}"' if ":" in tag else ""
    svg = SVG_OPEN.replace(">", f'{prefix}><{tag} href="{secret}" width="256" height="256"/></svg>')
    with pytest.raises(ValueError, match="images"):
        png_bytes(svg)


def test_cairosvg_draws_too_and_fetches_nothing(tmp_path):
    wide = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 128"><path d="M0 0h256v128H0z" fill="#f00"/></svg>'
    with Image.open(io.BytesIO(png_bytes(wide, 200, renderer="cairosvg"))) as picture:
        assert picture.size == (200, 200)
        assert picture.getpixel((100, 100)) == (255, 0, 0) and picture.getpixel((100, 20)) == (255, 255, 255)
    (tmp_path / "secret.svg").write_text(wide.replace("<path", '<path id="p"'))
    for body in (
        f'<use href="{tmp_path}/secret.svg#p"/>',
        f"<style>@import url({tmp_path}/secret.svg);</style><path/>",
    ):
        with pytest.raises(ValueError, match="not fetched"):
            png_bytes(f"{SVG_OPEN}{body}</svg>", renderer="cairosvg")


def test_entities_are_refused_and_a_comment_about_images_is_not():
    doctype = f'<!DOCTYPE svg [<!ENTITY i "<image/>">]>{SVG_OPEN}&i;</svg>'
    with pytest.raises(ValueError, match="entities"):
        png_bytes(doctype)
    assert png_bytes(f"{SVG_OPEN}<!-- an <image> of the sea --></svg>").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "body",
    [
        "<g>" * 5000 + "</g>" * 5000,
        '<filter id="f"><feTurbulence numOctaves="100000000"/></filter><path d="M0 0h256v256" filter="url(#f)"/>',
        '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>',
    ],
    ids=["depth", "hang", "cycle"],
)
def test_what_kills_resvg_costs_one_drawing_only(body, monkeypatch, root=SVG_OPEN):
    monkeypatch.setattr(render, "TIME_LIMIT", 1.0)
    with pytest.raises(ValueError, match="resvg"):
        png_bytes(f"{root}{body}</svg>")
    test_pixels_are_where_they_should_be()


def test_what_overflows_the_stack_costs_one_drawing_only(monkeypatch):
    """Of resvg-py, which draws what has a width alone; the other package's stack is deeper than its limit of nodes."""
    width_alone = SVG_OPEN.replace(' height="256"', "")
    deep = '<g opacity=".9">' * 900 + "<path/>" + "</g>" * 900
    test_what_kills_resvg_costs_one_drawing_only(deep, monkeypatch, width_alone)
    assert not is_blank(png_bytes(SVG_OPEN + deep.replace("<path/>", '<path d="M0 0h99v99z"/>') + "</svg>"))


@pytest.mark.parametrize(
    ("root", "size"),
    [
        ('viewBox="0 0 30 10"', (256, 86)),
        ('viewBox="0 0 10 30" width="5" height="15"', (86, 256)),
        ('viewBox="-10 5 120 80" width="60mm"', (256, 171)),  # the height by the viewBox
        ('viewBox="0 0 120 80" height="1in"', (256, 171)),
        ('width="1in" height="48"', (256, 128)),
    ],
)
def test_a_picture_has_the_shape_of_its_drawing(root, size):
    svg = f'<svg xmlns="{SVG_NAMESPACE}" {root}><rect x="-99" y="-99" width="999" height="999" fill="lime"/></svg>'
    with Image.open(io.BytesIO(png_bytes(svg))) as picture:
        assert picture.size == size and picture.convert("RGB").getcolors() == [(size[0] * size[1], (0, 255, 0))]


def test_who_asks_for_english_is_shown():
    circles = "".join(
        f'<circle systemLanguage="{language}" cx="128" cy="128" r="64" fill="{color}"/>'
        for language, color in (("de", "red"), ("en", "blue"))
    )
    picture = render_rgb(f"{SVG_OPEN}<switch>{circles}</switch></svg>")
    assert tuple(picture[128, 128]) == (0, 0, 255)


def test_a_drawing_is_fitted_and_centred():
    tower = f'<svg xmlns="{SVG_NAMESPACE}" viewBox="0 0 64 128"><rect width="64" height="128" fill="#0000ff"/></svg>'
    picture = render_rgb(tower)
    blue = (picture == [0, 0, 255]).all(axis=2)
    assert blue[:, 64:192].all() and not blue[:, :63].any() and not blue[:, 193:].any()
    absurd = f'<svg xmlns="{SVG_NAMESPACE}" viewBox="0 0 1 10000000"><rect width="1" height="9"/></svg>'
    assert render_rgb(absurd).shape == (256, 256, 3)


def test_forked_processes_and_threads_get_their_own_pictures():
    svgs = [f'{SVG_OPEN}<rect width="256" height="256" fill="#{i:06x}"/></svg>' for i in range(40)]
    want = [png_bytes(svg) for svg in svgs]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(png_bytes, svgs)) == want
    with ProcessPoolExecutor(2) as processes:
        assert list(processes.map(png_bytes, svgs)) == want


def test_difference_sees_a_small_mark_in_its_tile():
    a = np.full((256, 256, 3), 255, np.uint8)
    b = a.copy()
    b[32:48, 64:80] = 0
    assert picture_difference(a, a) == (0.0, 0.0)
    assert picture_difference(a, b) == (pytest.approx(1 / 256), 1.0)


@pytest.mark.parametrize(
    ("body", "blank"),
    [
        ("", True),
        ('<rect width="256" height="256" fill="#fff"/>', True),
        ('<circle cx="0" cy="0" r="1"/>', True),  # what the grammar closes with: a few pixels in a corner
        ('<circle cx="128" cy="128" r="1"/>', True),
        ('<circle cx="128" cy="128" r="3"/>', False),
        ('<rect width="256" height="256" fill="#fefefe"/><rect width="256" height="128" fill="#fff"/>', False),
    ],
)
def test_a_drawing_that_nobody_would_see_is_blank(body, blank):
    picture = render.png_bytes(f'<svg viewBox="0 0 256 256" xmlns="http://www.w3.org/2000/svg">{body}</svg>')
    assert render.is_blank(picture) is blank
    assert render.is_blank(None)
