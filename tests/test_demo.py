"""The demo data: the picture stays, the text is legal and true, refusals are named."""

import json
import re
import subprocess
import sys
from collections import Counter

import pytest
from lxml import etree

from common.render import picture_difference, render_rgb
from common.svg_values import parse_paint
from corpus.build_demo import MAX_ERROR, MAX_TILE_ERROR, artwork, build_one, emoji_name, square
from corpus.describe_plain import bounds, colour_name
from corpus.normalise import Refused, normalise
from prompt_template import extract_reasoning, extract_svg
from svg_constraint import CANVAS, SVG_OPEN, check
from tests.paths import ROOT

FILES = {path.stem: path for path in artwork()}
# a face of circles and ellipses, a flag, rotations, a matrix, a group with a fill, evenodd, opacity, arcs
NAMED = ("1f600", "1f1e7-1f1ea", "1f58d", "1f354", "1f408", "26f5", "1f4a7", "1f3b1", "2764")


def built(stem: str):
    return build_one(FILES[stem], 12_000, (MAX_ERROR, MAX_TILE_ERROR))


def test_only_base_emoji_of_the_package():
    assert len(FILES) == 1949
    assert not [stem for stem in FILES if re.search(r"1f3f[b-f]", stem)]
    assert emoji_name("1f600") == "grinning face" and emoji_name("2764") == "red heart"
    assert emoji_name("1f1e6") is None  # half a flag has no name


@pytest.mark.parametrize("stem", NAMED)
def test_the_picture_stays_and_the_drawing_is_legal(stem):
    record = built(stem).record
    svg = extract_svg(record["svg_content"])
    assert svg.startswith(SVG_OPEN) and check(svg).violations == []
    before = render_rgb(square(FILES[stem].read_text(encoding="utf-8")))
    error, worst_tile = picture_difference(before, render_rgb(svg))
    assert error <= 0.01 and worst_tile <= 0.10
    assert record["group"] == stem.split("-")[0] and record["license"] == "CC-BY-4.0"


@pytest.mark.parametrize("stem", NAMED)
def test_the_reasoning_is_true_of_the_svg(stem):
    record = built(stem).record
    reasoning = extract_reasoning(record["svg_content"])
    shapes = [e for e in etree.fromstring(extract_svg(record["svg_content"])) if isinstance(e.tag, str)]
    assert [line[:2] for line in reasoning.splitlines()] == [f"{i}." for i in range(1, 8)]
    assert record["description"] in reasoning
    paints = {
        parse_paint(e.get(name))[1] for e in shapes for name in ("fill", "stroke") if e.get(name, "none") != "none"
    }
    assert f"7. Review: {len(shapes)} shape" in reasoning and f"in {len(paints)} color" in reasoning
    named = re.search(r"2\. Color palette: (.*)", reasoning).group(1)
    assert {parse_paint(code)[1] for code in re.findall(r"#[0-9a-f]{3,6}", named)} == paints
    assert all(colour_name(paint) in named for paint in paints)
    tags = Counter(etree.QName(e).localname for e in shapes)
    for tag, word in (("circle", "circle"), ("ellipse", "ellipse"), ("line", "line")):
        said = re.search(rf"(\d+) {word}s?\b", reasoning.splitlines()[0])
        assert int(said.group(1) if said else 0) == tags[tag]


@pytest.mark.parametrize("stem", NAMED)
def test_comments_name_the_colour_that_follows(stem):
    svg = extract_svg(built(stem).record["svg_content"])
    for comment, fill in re.findall(r'<!-- (.*?) -->\n<[^>]*?fill="(#\w+)"', svg):
        assert colour_name(parse_paint(fill)[1]) in comment


@pytest.mark.parametrize("stem", NAMED)
def test_bounds_are_those_of_the_pixels(stem):
    """The bounds computed from path geometry against the pixels resvg paints (half a pixel of antialiasing)."""
    import numpy as np

    svg = extract_svg(built(stem).record["svg_content"])
    # All in black, so that white parts of the drawing are seen too.
    painted = (
        render_rgb(re.sub(r'(fill|stroke)="#\w+"', r'\1="#000"', re.sub(r' opacity="[^"]*"', "", svg))) < 128
    ).any(axis=2)
    ys, xs = np.nonzero(painted)
    box = bounds(normalise(FILES[stem].read_bytes()))
    for computed, seen in zip(
        (box.left, box.top, box.right, box.bottom), (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), strict=True
    ):
        assert min(max(computed, 0), CANVAS) == pytest.approx(seen, abs=1.6)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<linearGradient id="a"/>', "linearGradient"),
        ('<g clip-path="url(#a)"><path d="M0 0h9v9z"/></g>', "attribute clip-path"),
        ('<path d="M0 0h9v9z" fill="url(#a)"/>', "paint server"),
        ('<text x="1">a</text>', "text"),
        ('<g opacity=".5"><path d="M0 0h9v9z"/><path d="M0 0h9v9z"/></g>', "group opacity"),
        ('<path d="M0 0h9v"/>', "bad value: path"),
        ("", "nothing is drawn"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(body, reason):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 36 36">{body}</svg>'
    with pytest.raises(Refused, match=f"^{re.escape(reason)}$"):
        normalise(svg.encode())


@pytest.mark.parametrize(
    "body",
    [
        '<g transform="translate(3 4) rotate(20)"><rect x="5" y="2" width="14" height="9" fill="red"/></g>',
        '<path d="M2 2c4 0 8 4 8 8s-4 8-8 8q3-3 0-6t0-6z" transform="matrix(1 .2 .1 1 3 2)" fill="green"/>',
        '<ellipse cx="9" cy="9" rx="6" ry="3" transform="rotate(30 9 9)" fill="navy"/>',
        '<path d="M4 4a5 9 20 1 1 8 9a3 3 0 0 1-4-1z" fill="purple" opacity=".5"/>',
        '<g fill="orange" stroke="black"><circle cx="9" cy="9" r="5" stroke-width="2"/></g>',
        '<path style="fill:#123456;stroke:none" d="M1 1h20v10h-20z"/>',
    ],
)
@pytest.mark.parametrize("view_box", ["0 0 36 36", "2 1 30 20", "-10 0 40 64"])
def test_transforms_groups_and_view_boxes_keep_the_picture(body, view_box):
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{view_box}">{body}</svg>'
    result = SVG_OPEN + "".join(shape.text() for shape in normalise(svg.encode(), decimals=1)) + "</svg>"
    error, worst_tile = picture_difference(render_rgb(square(svg)), render_rgb(result))
    assert error < 0.004 and worst_tile < 0.05


def test_command_writes_the_same_bytes_each_time_with_card_and_sheet(tmp_path):
    outputs = []
    for name in ("a", "b"):
        command = [
            sys.executable,
            "-m",
            "corpus.build_demo",
            "--limit",
            "40",
            "--output",
            str(tmp_path / name / "d.jsonl"),
        ]
        printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        outputs.append([(tmp_path / name / f"d.{kind}").read_bytes() for kind in ("jsonl", "md", "png")])
    assert outputs[0] == outputs[1]
    records = [json.loads(line) for line in outputs[0][0].decode().splitlines()]
    assert f"{len(records)} samples written" in printed and len(records) >= 38
    assert list(records[0])[:3] == ["id", "description", "svg_content"]
    assert "CC-BY 4.0" in outputs[0][1].decode()
