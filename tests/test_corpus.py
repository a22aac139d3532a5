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
from corpus.build_dataset import MAX_ERROR, MAX_TILE_ERROR, build_one
from corpus.optimization.describe_geometry import bounds, colour_name, flat
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.sources import drawings, emoji_name
from prompt_template import extract_reasoning, extract_svg
from svg_constraint import CANVAS, SVG_OPEN, check
from tests.paths import ROOT

FILES = {drawing.id: drawing for drawing in drawings("twemoji")}
# a face of circles and ellipses, a flag, rotations, a matrix, a group with a fill, evenodd, opacity, arcs
NAMED = ("1f600", "1f1e7-1f1ea", "1f58d", "1f354", "1f408", "26f5", "1f4a7", "1f3b1", "2764")


def built(stem: str):
    return build_one(FILES[stem], "prompt", False, 12_000, (MAX_ERROR, MAX_TILE_ERROR))


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
    before = render_rgb(FILES[stem].svg)
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
    shapes = shorten(resolve(FILES[stem].svg), 0, gradients=False)
    box = bounds(flat(shapes))
    for computed, seen in zip(
        (box.left, box.top, box.right, box.bottom), (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), strict=True
    ):
        assert min(max(computed, 0), CANVAS) == pytest.approx(seen, abs=1.6)


def test_command_writes_the_same_bytes_each_time_with_card_and_sheet(tmp_path):
    outputs = []
    for name in ("a", "b"):
        command = [
            sys.executable,
            "-m",
            "corpus.build_dataset",
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


def test_iconify_files_and_folders_are_sources_too(tmp_path):
    """The same emoji of another set is in the same group; licences come from the file beside; skin tones stay out."""
    icons = {
        "fox": {"body": '<circle cx="8" cy="8" r="6" fill="orange"/>'},
        "wave-dark": {"body": '<rect width="9" height="9"/>'},
        "letter": {"body": "<text>a</text>", "width": 32},
        "old": {"body": '<rect width="9" height="9"/>', "hidden": True},
    }
    (tmp_path / "icons.json").write_text(json.dumps({"prefix": "tiny", "icons": icons, "width": 16, "height": 16}))
    (tmp_path / "info.json").write_text(json.dumps({"license": {"spdx": "MIT"}}))
    (tmp_path / "chars.json").write_text(json.dumps({"1f98a": "fox", "1f44b-1f3ff": "wave-dark"}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "red-square.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><rect width="9" height="9" fill="red"/></svg>'
    )
    (tmp_path / "mine" / "broken.svg").write_text("<svg")
    output = tmp_path / "out" / "d.jsonl"
    command = [sys.executable, "-m", "corpus.build_dataset", "--output", str(output)]
    sources = ["--sources", f"{tmp_path / 'icons.json'}, {tmp_path / 'mine'}"]
    done = subprocess.run([*command, *sources], cwd=ROOT, capture_output=True, text=True)
    assert "2 samples written, 2 left out" in done.stdout, done.stderr
    fox, square = (json.loads(line) for line in output.read_text().splitlines())
    assert (fox["description"], fox["group"], fox["license"]) == ("fox", "1f98a", "MIT")
    assert FILES["1f98a"].group == fox["group"]
    assert (square["description"], square["license"]) == ("red square", "unknown")
    card = output.with_suffix(".md").read_text()
    assert "| tiny | MIT | 1 |" in card and "not in the dialect: text | 1" in card and "not well-formed | 1" in card
    done = subprocess.run([*command, "--sources", "nowhere"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode and "'nowhere' is none of twemoji, openmoji" in done.stderr
