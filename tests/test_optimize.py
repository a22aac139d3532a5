"""Any SVG into the dialect: the picture stays, the text is legal, short, and the same when optimized again."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from corpus.optimization import outline
from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.recognise import NEAR, recognised
from corpus.optimization.refusal import Refused
from corpus.optimization.svgo import check_svgo, find_svgo
from corpus.optimize import SvgTask, convert_one
from corpus.sources import drawings
from corpus.workers import CRASHED, in_processes
from qwen_svg.common.errors import UserError
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_OPEN, check
from tests.paths import ROOT, SHARED

TWEMOJI = list(drawings("twemoji"))[::20]


def svg(body: str, attributes: str = 'viewBox="0 0 100 100"') -> str:
    namespaces = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    return f"<svg {namespaces} {attributes}>{body}</svg>"


def differences(before: str, after: str) -> tuple[float, float]:
    return picture_difference(render_rgb(before), render_rgb(after))


@pytest.mark.parametrize("drawing", TWEMOJI, ids=lambda drawing: drawing.id)
def test_artwork_keeps_its_picture_is_legal_and_stays_as_it_is(drawing):
    before = drawing.svg
    after = optimize_svg_string(before)
    assert check(after).violations == []
    assert optimize_svg_string(after) == after
    error, worst_tile = differences(before, after)
    assert error <= 0.011 and worst_tile <= 0.13  # single files; the share within 0.01 and 0.10 is a benchmark


FEATURES = sorted((ROOT / "tests/svg").glob("*.svg"))
GRADIENTS = sorted((ROOT / "tests/svg/gradients").glob("*.svg"))
CANVASES = ('viewBox="0 0 100 100"', 'viewBox="-10 5 120 80" width="60mm"', 'width="100" height="90"')


@pytest.mark.parametrize("canvas", CANVASES)
@pytest.mark.parametrize("path", FEATURES, ids=lambda path: path.stem)
def test_what_real_files_hold_keeps_its_picture(path, canvas):
    before = path.read_text(encoding="utf-8").replace(CANVASES[0], canvas, 1)
    after = optimize_svg_string(before)
    assert check(after).violations == []
    assert optimize_svg_string(after) == after
    error, worst_tile = differences(before, after)
    assert error <= 0.01 and worst_tile <= 0.10


@pytest.mark.parametrize("path", GRADIENTS, ids=lambda path: path.stem)
def test_gradients_are_kept_where_the_dialect_has_them(path):
    before = path.read_text(encoding="utf-8")
    after = optimize_svg_string(before, "prompt+gradients")
    assert check(after, "prompt+gradients").violations == [] and "Gradient" in after
    assert optimize_svg_string(after, "prompt+gradients") == after
    error, worst_tile = differences(before, after)
    assert error <= 0.006 and worst_tile <= 0.09
    flat = optimize_svg_string(before, compare=False)  # a mean colour is another picture
    assert check(flat).violations == [] and "Gradient" not in flat


@pytest.mark.parametrize("path", FEATURES, ids=lambda path: path.stem)
def test_caps_and_joins_are_kept_where_the_dialect_has_them(path):
    before = path.read_text(encoding="utf-8")
    after = optimize_svg_string(before, "prompt+strokes")
    assert check(after, "prompt+strokes").violations == []
    assert optimize_svg_string(after, "prompt+strokes") == after
    error, worst_tile = differences(before, after)
    assert error <= 0.01 and worst_tile <= 0.10


LINES = '<g fill="none" stroke="black" stroke-width="8" stroke-linecap="round" stroke-linejoin="round">'


@pytest.mark.parametrize(
    ("body", "has", "has_not"),
    [
        ('<path d="M20 20H80V80"/>', ['stroke-linecap="round" stroke-linejoin="round"'], ["<g"]),
        ('<path d="M20 20H80"/>', ['stroke-linecap="round"'], ["stroke-linejoin"]),
        ('<path d="M20 20H80V80z"/>', ['stroke-linejoin="round"'], ["stroke-linecap"]),
        ('<circle cx="50" cy="50" r="30"/>', ["<circle"], ["stroke-line"]),
        ('<path d="M50 50h.01M20 20H80"/>', ['<circle cx="128" cy="128" r="10.2"/>', 'stroke-linecap="round"'], []),
        ('<path d="M20 20H80" stroke-linecap="butt"/>', ["M51 51h154"], ["stroke-linecap"]),
        (
            '<path d="M20 20H80V80"/><path d="M20 90h60" stroke-linecap="butt" stroke-dasharray="30 30"/>',
            ['linecap="round" stroke-linejoin="round"'],
            ["<g", "dash"],
        ),
        (
            '<path d="M20 20H80V80"/><rect x="15" y="60" width="20" height="20"/><path d="M20 40h9" opacity=".5"/>',
            ['<g stroke-linecap="round" stroke-linejoin="round">'],
            [],
        ),
    ],
)
def test_of_a_stroke_only_what_is_seen_is_written(body, has, has_not):
    before = svg(LINES + body + "</g>")
    after = optimize_svg_string(before, "prompt+strokes")
    assert check(after, "prompt+strokes").violations == []
    assert all(text in after for text in has) and not any(text in after for text in has_not), after
    assert optimize_svg_string(after, "prompt+strokes") == after
    error, worst_tile = differences(before, after)
    assert error <= 0.004 and worst_tile <= 0.06


def test_a_curve_that_stays_on_one_height_has_a_bounding_box():
    """All coefficients of its y are 0. By the box of nothing a gradient paints nothing, as SVG has it."""
    gradient = '<linearGradient id="g"><stop stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient>'
    filled = '<path d="M20 100C40 100 160 100 180 100L100 180z" fill="url(#g)"/>'
    alone = '<path d="M20 40C40 40 160 40 180 40" stroke="url(#g)" stroke-width="9"/>'
    before = svg(gradient + filled + alone, 'viewBox="0 0 200 200"')
    after = optimize_svg_string(before, "prompt+gradients")
    assert after.count("<path") == 1 and "url(#" in after
    error, worst_tile = differences(before, after)
    assert error <= 0.006 and worst_tile <= 0.09


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<text x="1">a</text>', "text"),
        ('<defs><text id="a">a</text></defs><text><tref href="#a"/></text>', "text"),
        ('<image href="a.png" width="9" height="9"/>', "image"),
        ('<foreignObject><p xmlns="http://www.w3.org/1999/xhtml">a</p></foreignObject>', "foreignObject"),
        ('<filter id="f"/><rect width="9" height="9" filter="url(#f)"/>', "filter"),
        ('<mask id="m"><circle r="9" fill="gray"/></mask><g mask="url(#m)"><rect width="9" height="9"/></g>', "mask"),
        ('<pattern id="p"/><rect width="9" height="9" fill="url(#p)"/>', "pattern"),
        ('<marker id="m"><path d="M0 0h3v3"/></marker><path d="M1 1h9" marker-end="url(#m)"/>', "marker"),
        ('<rect width="9" height="9" style="mix-blend-mode:multiply"/>', "blend mode"),
        ('<use href="other.svg#a"/>', "reference to another file"),
        ('<path d="M0 0h9v"/>', "bad value: path"),
        ('<g id="a"><use href="#a"/></g>', "a reference cycle"),
        ("", "nothing is drawn"),
        ('<rect width="9" height="9" fill="none"/>', "nothing is drawn"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(body, reason):
    with pytest.raises(Refused, match=f"^{re.escape(reason)}$"):
        optimize_svg_string(svg(body))


def test_documents_that_are_none_are_refused_by_name():
    for text, reason in (
        ("<svg", "not well-formed"),
        ("<html/>", "not an SVG"),
        (svg('<rect width="9" height="9"/>', ""), "no size"),
        (svg('<rect width="9" height="9"/>', 'viewBox="0 0 0 9"'), "empty viewBox"),
        ('<!DOCTYPE svg [<!ENTITY a "b&#37;">]>' + svg("&a;"), "entities in its DOCTYPE"),
        ("x" * (4 * 2**20 + 1), "larger than 4 MB"),
    ):
        with pytest.raises(Refused, match=f"^{reason}$"):
            optimize_svg_string(text)


def test_illustrators_namespace_entities_and_doctypes_are_no_hindrance():
    text = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd" '
        '[<!ENTITY ns_svg "http://www.w3.org/2000/svg">]><svg xmlns="&ns_svg;" viewBox="0 0 9 9">'
        '<rect width="9" height="9"/></svg>'
    )
    assert "<rect" in optimize_svg_string(text)
    assert "<rect" in optimize_svg_string(text.encode("utf-16"))
    assert "<rect" in optimize_svg_string('<svg viewBox="0 0 9 9"><rect width="9" height="9"/></svg>')  # no namespace


def doubling(levels: int) -> str:
    defs = '<g id="a0"><rect width="9" height="9"/></g>'
    for i in range(levels):
        defs += f'<g id="a{i + 1}"><use href="#a{i}"/><use href="#a{i}" x="1"/></g>'
    return svg(f'<defs>{defs}</defs><use href="#a{levels}"/>')


RECT = '<rect width="99" height="99"/>'
CLIPPED, FILLED = RECT.replace("/", ' clip-path="url(#a)"/'), RECT.replace("/", ' fill="url(#a)"/')
TANGLE = "M0 0" + "".join(f"L{i * 61 % 97} {i * 37 % 89}" for i in range(1900))
STOPS = "".join(f'<stop offset="{i / 20000}" stop-color="#{i:06x}"/>' for i in range(20000))
CYCLE = '<clipPath id="a" clip-path="url(#b)">', '</clipPath><clipPath id="b" clip-path="url(#a)">', "</clipPath>"
NAMES = ["a" + "b" * i for i in range(41)]
DOUBLE = "".join(
    f'<clipPath id="{name}">{CLIPPED.replace("#a", "#" + after) * 2}</clipPath>' for name, after in pairwise(NAMES)
)
BOMBS = {
    "4096 uses": doubling(12),
    "2^40 uses": doubling(40),
    "deep": svg("<g>" * 200 + "</g>" * 200),
    "clip paths in a cycle": svg(RECT.join(CYCLE) + CLIPPED),
    "clip paths that double": svg(DOUBLE + CLIPPED),
    "a tangle to clip with": svg('<clipPath id="a"><path d="' + TANGLE + '"/></clipPath>' + CLIPPED),
    "a tangle by the even-odd rule": svg('<path fill-rule="evenodd" d="' + TANGLE + '"/>'),
    "dashes": svg('<path d="M0 0h100v100" stroke="red" stroke-dasharray=".01"/>' * 400),
    "many commands": svg(('<path d="' + TANGLE + '"/>') * 80),
    "a long path": svg('<path d="M0 0' + "L1 1" * 900_000 + '"/>'),
    "style sheet": svg("<style>" + "a{b:c}" * 300_000 + "</style>" + RECT),
    "style attribute": svg('<rect width="9" height="9" style="' + "a:b(1);" * 300_000 + '"/>'),
    "selectors": svg("<style>" + "rect:nth-last-child(2n+1) ~ rect{fill:red}" * 300 + "</style>" + RECT * 3000),
    "attributes": svg("<rect " + " ".join(f'a{i}="1"' for i in range(200_000)) + "/>"),
    "a long colour": svg('<rect width="9" height="9" fill="' + "rgb(1," * 300_000 + '"/>'),
    "gradient stops": svg('<linearGradient id="a">' + STOPS + "</linearGradient>" + FILLED * 1000),
    "doctypes": "<!DOCTYPE " * 400_000,
    "entities": f'<!DOCTYPE svg [<!ENTITY a "{"x" * 1000}">]>' + svg("&a;" * 99_999),
}


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bombs_are_refused_within_a_second_and_200_megabytes(text):
    before = psutil.Process().memory_info().rss
    start = time.process_time()
    with pytest.raises(Refused):
        optimize_svg_string(text)
    assert time.process_time() - start < 1 and psutil.Process().memory_info().rss - before < 200e6


def test_what_is_in_the_dialect_is_kept_to_its_last_decimal():
    shapes = ('<circle cx="100.53" cy="20.127" r="30.456" fill="red"/>',
              '<rect x="1.234" y="3.3" width="50.55" height="40.123" rx="3.333" stroke="red" stroke-width="1.255"/>',
              '<path d="M1.125 1h9.123v8.777z" stroke="blue" stroke-width=".25" opacity=".333"/>')  # fmt: skip
    before = "\n".join([SVG_OPEN, *(f"<!-- a shape -->\n{shape}" for shape in shapes), "</svg>"])
    assert check(before).violations == []
    after = optimize_svg_string(before)
    assert all(shape in after for shape in shapes)


def test_paths_of_one_look_are_joined_unless_what_lies_between_would_change():
    red, blue = '<path fill="red" d="M{0} {0}h20l-5 20z"/>', '<path fill="blue" d="M{0} {0}h20l-5 20z"/>'
    joined = optimize_svg_string(svg(red.format(5) + blue.format(40) + red.format(70)))
    apart = optimize_svg_string(svg(red.format(5) + blue.format(60) + red.format(70)))
    assert (joined.count("<path"), apart.count("<path")) == (2, 3)
    line = '<path d="M{0} 10L50 {0}" fill="none" stroke="black" stroke-width="5" opacity="{1}"/>'
    crossing = optimize_svg_string(svg(line.format(10, 1) + line.format(90, 1)))
    translucent = optimize_svg_string(svg(line.format(10, 0.5) + line.format(90, 0.5)))
    assert (crossing.count("<path"), translucent.count("<path")) == (1, 2)


def test_cubic_only_and_decimals():
    before = svg('<path d="M10 10h50a20 20 0 0 1 0 40q-9 9-20 0z"/>')
    cubic = optimize_svg_string(before, cubic_only=True)
    assert set(re.search(r' d="([^"]*)"', cubic).group(1)) & set("LlHhVvQqTtAa") == set()
    assert max(differences(before, cubic)) < 0.09
    fine = optimize_svg_string(svg('<path d="M10.12 10.3h50.4v30.77z"/>'), decimals=2)
    assert re.search(r"\.\d\d", fine)


@pytest.mark.skipif(not (SHARED / "corpora/picosvg").is_dir(), reason="the shared corpora are not here")
def test_picosvgs_own_cases_keep_their_picture_or_are_refused():
    refused, wrong, right = {}, [], 0
    for path in sorted((SHARED / "corpora/picosvg").glob("*.svg")):
        if path.stem.endswith("-nano"):
            continue
        text = path.read_text(encoding="utf-8")
        try:
            after = optimize_svg_string(text)
        except Refused as refusal:
            refused[path.name] = str(refusal)
            continue
        assert check(after).violations == []
        assert optimize_svg_string(after) == after
        try:
            before = render_rgb(text)
        except ValueError:  # resvg or our renderer refuses it
            continue
        error, worst_tile = picture_difference(before, render_rgb(after))
        right += error <= 0.02 and worst_tile <= 0.15
        if error > 0.02 or worst_tile > 0.15:
            wrong.append((path.name, round(error, 3), round(worst_tile, 3)))
    assert not [reason for reason in refused.values() if reason.startswith("error")]
    assert len(wrong) <= 0.1 * right, wrong


def kill(task: SvgTask) -> tuple[str, str]:
    if task.svg == "kill":
        os._exit(3)
    return convert_one(task)


def test_one_bad_file_never_stops_a_batch():
    good = svg('<circle r="9"/>')
    tasks = [SvgTask(good), SvgTask("kill"), SvgTask(b"\xff\xfe\x00"), SvgTask(good), SvgTask("")] * 3
    results = [result for _, result in in_processes(kill, tasks, 2, lambda _: ("", CRASHED))]
    assert [bool(text) for text, _ in results] == [True, False, False, True, False] * 3
    assert results[1][1] == CRASHED and not results[2][1].startswith("error")


def optimize(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "corpus.optimize", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_command_takes_folders_and_lines(tmp_path: Path):
    source = tmp_path / "in"
    (source / "deep").mkdir(parents=True)
    (source / "a.svg").write_text(svg('<circle r="50"/>'))
    (source / "deep" / "b.svg").write_text(svg("<text>a</text>"))
    done = optimize("--input-dir", str(source), "--output-dir", str(tmp_path / "out"))
    assert "1 optimized, 1 refused" in done.stdout and "1  text" in done.stdout, done.stderr
    assert check((tmp_path / "out" / "a.svg").read_text().strip()).valid
    lines = tmp_path / "in.jsonl"
    lines.write_text("\n".join(json.dumps({"svg": svg(f'<circle r="{r}"/>'), "n": r}) for r in (0, 20, 30)))
    done = optimize("--input-file", str(lines), "--output-file", str(tmp_path / "out.jsonl"))
    written = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [record["n"] for record in written] == [20, 30] and all(check(record["svg"]).valid for record in written)
    for wrong, sentence in (
        ((), "give one of INPUT_DIR"),
        (("--input-dir", str(source)), "OUTPUT_DIR is not given"),
        (("--input-dir", str(source), "--output-dir", str(tmp_path / "out")), "is not empty"),
        (("--input-file", str(lines), "--output-file", str(tmp_path / "out.jsonl")), "exists; remove it"),
        (("--input-file", str(lines), "--svg-field", "x", "--output-file", str(tmp_path / "o")), "in.jsonl:1"),
    ):
        done = optimize(*wrong)
        assert done.returncode and sentence in done.stderr and "Traceback" not in done.stderr


def on_canvas(d: str) -> str:
    """A file in another size, so that it is not taken as it is: optimized, its shape's line."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512"><path transform="scale(2)" d="{}"/></svg>'
    return optimize_svg_string(svg.format(d), comments=False).splitlines()[1]


@pytest.mark.parametrize(
    ("d", "element"),
    [
        (
            "M28 0H228C243.46 0 256 12.54 256 28V228C256 243.46 243.46 256 228 256"
            "H28C12.54 256 0 243.46 0 228V28C0 12.54 12.54 0 28 0",
            '<rect width="256" height="256" rx="28"/>',
        ),
        ("M20 60a40 40 0 0 1 80 0v90a40 40 0 0 1-80 0z", '<rect x="20" y="20" width="80" height="170" rx="40"/>'),
        (
            "M228 128A100 60 0 0 1 128 188A100 60 0 0 1 28 128A100 60 0 0 1 228 128Z",
            '<ellipse cx="128" cy="128" rx="100" ry="60"/>',
        ),
        ("M228 128A100 100 0 1 1 28 128A100 100 0 1 1 228 128", '<circle cx="128" cy="128" r="100"/>'),
    ],
)
def test_paths_that_are_basic_shapes_become_them(d, element):
    assert on_canvas(d) == element


@pytest.mark.parametrize(
    "d",
    [
        "M20 20H80V80H20Z",  # as path data it is shorter
        "M20 20H80V80H20V19L70 50Z",  # a corner more
        "M20 20H80V80H24L20 76Z",  # a corner cut
        "M20 20H200V200H20Z M60 60V80H80V60Z",  # a hole
        "M20 60a40 40 0 0 1 80 0v90a40 40 0 0 0-80 0z",  # the lower end bulges in
        "M128 28C200 28 200 228 128 228C56 228 56 28 128 28",  # an egg
    ],
)
def test_what_only_looks_like_a_basic_shape_stays_a_path(d):
    assert on_canvas(d).startswith("<path")


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 100), st.floats(0, 100), st.floats(3, 150), st.floats(3, 150), st.floats(0.5, 1), st.booleans())
def test_rounded_rectangles_are_recognised_as_what_they_are(x, y, width, height, share, stroked):
    r = share * min(width, height) / 2
    right, bottom = x + width, y + height
    d = (
        f"M{x + r} {y}H{right - r}A{r} {r} 0 0 1 {right} {y + r}V{bottom - r}A{r} {r} 0 0 1 {right - r} {bottom}"
        f"H{x + r}A{r} {r} 0 0 1 {x} {bottom - r}V{y + r}A{r} {r} 0 0 1 {x + r} {y}Z"
    )
    assume(r > 1.5)
    kind, *values = recognised(outline.parse(d), stroked)
    if kind == "rect":
        assert values[:4] == pytest.approx([x, y, width, height], abs=1e-6)
        assert values[4] == pytest.approx(r, abs=2 * NEAR)
    else:
        assert r > min(width, height) / 2 - 2 * NEAR and kind in ("circle", "ellipse")


@pytest.mark.skipif(not (shutil.which("node") and find_svgo("svgo.config.mjs")), reason="SVGO is not installed")
def test_svgo_can_be_stage_2(tmp_path: Path):
    config = tmp_path / "svgo.config.mjs"
    config.write_text('export default { floatPrecision: 0, plugins: ["preset-default", "removeXMLNS"] };')
    before = svg('<title>a</title><path d="M10.123 10.4h60v50.2z" fill="#ff0000"/>')
    after = optimize_svg_string(before, svgo_config=str(config))
    assert {v.rule for v in check(after).violations} <= {"comment-missing"} and "<title" not in after
    assert differences(before, after)[0] <= 0.01
    config.write_text("export default {")
    source = tmp_path / "in"
    source.mkdir()
    (source / "a.svg").write_text(before)
    done = optimize("--input-dir", str(source), "--output-dir", str(tmp_path / "out"), "--svgo-config", str(config))
    assert done.returncode and "SVGO cannot use" in done.stderr and "SyntaxError" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_svgo_is_said_before_the_first_file(tmp_path: Path, monkeypatch):
    config = tmp_path / "svgo.config.mjs"
    with pytest.raises(UserError, match="does not exist"):
        check_svgo(str(config))
    config.write_text("export default {};")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="npm install svgo"):
        check_svgo(str(config))
