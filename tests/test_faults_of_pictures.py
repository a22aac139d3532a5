"""Kinds of files that once became other pictures, or raised: each is right now, or refused by name."""

import json
import os
import re
from itertools import islice

import pytest

from corpus.mining.extract import extract
from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.refusal import Refused
from qwen_svg.generation.grammar import Automaton
from qwen_svg.generation.svg_grammar import answer_grammar
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_OPEN, check
from tests.paths import ROOT, SHARED
from tests.random_drawings import random_drawings


def svg(body: str, attributes: str = 'viewBox="0 0 100 100"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'


SQUARE = '<rect width="100" height="100"/>'
STOPS = '<stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue" stop-opacity=".3"/>'
PAIRS = sorted(path for path in (ROOT / "tests/svg/pairs").glob("*.svg") if ".optimized" not in path.name)


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.stem)
def test_a_pair_shows_one_picture_and_it_stays_without_comparing(path):
    before, wanted = (p.read_text(encoding="utf-8") for p in (path, path.with_suffix(".optimized.svg")))
    picture = render_rgb(before)
    for after in (wanted, optimize_svg_string(before, "prompt+gradients", compare=False)):
        assert check(after, "prompt+gradients").violations == []
        assert optimize_svg_string(after, "prompt+gradients") == after.strip()
        error, worst_tile = picture_difference(picture, render_rgb(after))
        assert error <= 0.01 and worst_tile <= 0.10


FAULTS = SHARED / "corpora/faults"


def reported(tool: str) -> list:
    manifest = FAULTS / "manifest.jsonl"
    lines = manifest.read_text(encoding="utf-8").splitlines() if manifest.is_file() else []
    names = [fault["file"] for fault in map(json.loads, lines) if tool in fault["tool"]]
    return names or [pytest.param("", marks=pytest.mark.skip(f"there is no {manifest}"))]


@pytest.mark.parametrize("dialect", ["prompt", "prompt+gradients"])
@pytest.mark.parametrize("name", reported("corpus.optimize"))
def test_a_reported_file_shows_what_it_should_or_is_refused_by_name(name, dialect):
    text = (FAULTS / name).read_text(encoding="utf-8")
    wanted = FAULTS / name.replace(".svg", ".expected.svg")
    try:
        after = optimize_svg_string(text, dialect)
    except Refused as refusal:
        assert not str(refusal).startswith("cannot be converted")
        return
    picture = render_rgb(wanted.read_text(encoding="utf-8") if wanted.is_file() else text)
    error, worst_tile = picture_difference(picture, render_rgb(after))
    assert error <= 0.01 and worst_tile <= 0.10
    assert optimize_svg_string(after, dialect) == after


@pytest.mark.parametrize("name", reported("svg_grammar"))
def test_a_reported_answer_belongs_to_the_grammar_where_it_is_legal(name):
    automaton = Automaton(answer_grammar())
    text = (FAULTS / name).read_text(encoding="utf-8").strip()
    legal = check(text[text.index("<svg") :]).valid
    assert (
        automaton.is_complete(automaton.advance(automaton.start, text)) == legal == (name != "grammar-1001-points.txt")
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ('<path d="M1 1h9" stroke="red" vector-effect="non-scaling-stroke"/>', "vector-effect"),
        ('<path d="M1 1h9" stroke="red" stroke-dasharray="2" pathLength="4"/>', "pathLength"),
        ('<rect width="9" height="9" style="rotate:45deg"/>', "rotate"),
        ('<rect width="9" height="9" style="transform-box:fill-box"/>', "transform-box"),
        ("<style>@supports (fill:red){rect{fill:red}}</style>" + SQUARE, "style rule @supports"),
        ("<style>@layer a{rect{fill:red}}</style>" + SQUARE, "style rule @layer"),
        ("<style>svg{rect{fill:red}}</style>" + SQUARE, "nested style rules"),
        ("<style>@media print{rect{fill:red}}</style>" + SQUARE, "media query"),
        ('<style media="print">rect{fill:red}</style>' + SQUARE, "style sheet for other media"),
        ('<marker id="m"><path d="M0 0h3v3"/></marker><path d="M1 1h9" style="marker:url(#m)"/>', "marker"),
        (SQUARE.replace("/>", ' fill="oklch(60% .15 50)"/>'), "colour space oklch"),
        (SQUARE.replace("/>", ' fill="context-stroke"/>'), "context paint"),
        (f'<linearGradient id="g">{STOPS}</linearGradient>' + SQUARE.replace("/>", ' fill="url(#g)"/>'), "changed: "),
    ],
)
def test_what_browsers_honour_and_this_does_not_is_refused_by_name(body, reason):
    with pytest.raises(Refused, match=f"^{re.escape(reason)}"):
        optimize_svg_string(svg(body))


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ('width="24" height="24" viewBox="0 0 24 24" transform="scale(-1 1)"', "transform"),
        ('width="48" height="48" viewBox="0 0 24 24" transform="translate(5 0)"', "transform"),
        ('width="48" height="48" viewBox="0 0 24 24" transform="rotate(30)" transform-origin="0 4px"', "transform"),
        ('viewBox="0 0 24 24" transform="translate(5 0)"', "transform"),
        ('viewBox="0 0 24 24" clip-path="url(#a)"', "clip path"),
        ('width="48" height="48" viewBox="0 0 24 24" clip-path="url(#a)"', "clip path"),
    ],
)
def test_what_browsers_do_to_the_root_in_its_own_pixels_is_refused_by_name(attributes, what):
    body = '<clipPath id="a"><circle cx="9" cy="9" r="6"/></clipPath><rect x="6" y="6" width="12" height="6"/>'
    with pytest.raises(Refused, match=f"^{what} of the root$"):
        optimize_svg_string(svg(body, attributes))


@pytest.mark.parametrize("turn", ['transform="translate(5 0)"', 'transform="rotate(30)" transform-origin="center"'])
def test_a_root_whose_transform_has_one_reading_is_drawn_by_it(turn):
    text = svg('<rect x="6" y="6" width="12" height="6"/>', f'width="24" height="24" viewBox="0 0 24 24" {turn}')
    after = optimize_svg_string(text, compare=False)
    error, worst_tile = picture_difference(render_rgb(text), render_rgb(after))
    assert error <= 0.01 and worst_tile <= 0.10


def test_stripes_thinner_than_a_unit_are_drawn_in_more_detail():
    """On the whole numbers each of them has no inside, so that nothing would be left."""
    stripes = "".join(f"M{x}.2435 0v500" for x in range(12, 500, 42))
    before = svg(f'<path d="{stripes}" stroke="green" stroke-width="2.3"/>', 'viewBox="0 0 1000 500"')
    after = optimize_svg_string(before)
    error, worst_tile = picture_difference(render_rgb(before), render_rgb(after))
    assert error <= 0.01 and worst_tile <= 0.10
    assert optimize_svg_string(after) == after


def test_a_turned_radial_gradient_stays_as_it_is_written():
    gradient = '<radialGradient id="a" r="1" gradientUnits="userSpaceOnUse" gradientTransform="{}">' + STOPS
    body = gradient.format("rotate(223.79 7.898 5.156)scale(6.27697 6.27698)") + "</radialGradient>"
    text = optimize_svg_string(svg(body + SQUARE.replace("/>", ' fill="url(#a)"/>')), "prompt+gradients")
    assert optimize_svg_string(text, "prompt+gradients") == text


def test_random_drawings_are_the_same_or_refused():
    """RANDOM_DRAWINGS=2000 for a long look: two minutes."""
    count = int(os.environ.get("RANDOM_DRAWINGS", "60"))
    done = 0
    for text in islice(random_drawings(5), count):
        try:
            after = optimize_svg_string(text, "prompt+gradients")
        except Refused as refusal:
            assert not str(refusal).startswith("cannot be converted"), text
            continue
        done += 1
        error, worst_tile = picture_difference(render_rgb(text), render_rgb(after))
        assert error <= 0.01 and worst_tile <= 0.10, text
        assert optimize_svg_string(after, "prompt+gradients") == after, text
    assert done > count / 2


def test_a_symbol_keeps_its_own_attributes():
    page = (
        '<svg style="display:none"><symbol id="a" viewBox="0 0 24 24" fill="none" stroke="red" stroke-width="2">'
        '<path d="M4 4L20 20V4z"/></symbol></svg>'
    )
    (found,) = extract(page.encode(), "text/html", "utf-8", "http://localhost/").svgs
    assert all(text in found for text in ('fill="none"', 'stroke="red"', 'stroke-width="2"')) and "id=" not in found


def test_a_symbol_that_is_used_twice_is_written_once():
    page = (
        '<svg style="display:none"><symbol id="a" viewBox="0 0 9 9"><path d="M0 0h9v9z"/></symbol></svg>'
        '<svg viewBox="0 0 20 9"><use href="#a" width="9"/><use href="#a" x="10" width="9"/></svg>'
    )
    found = extract(page.encode(), "text/html", "utf-8", "http://localhost/").svgs
    assert [text.count("<symbol") for text in found if "<use" in text] == [1]
    assert [text.count("<path") for text in found] == [1] * len(found)


@pytest.mark.parametrize(
    ("rule", "taken"),
    [
        (".icon{fill:none;stroke:red}", 0),
        ("main > svg path { stroke-width: 3 }", 0),
        ("@media screen{.icon path{fill:#123456}}", 0),
        (".other{fill:red}", 1),
        (".icon{width:1em;fill:currentColor}", 1),
        (".icon:hover{fill:red}", 1),
    ],
)
def test_what_the_style_sheet_of_a_page_paints_is_passed_over(rule, taken):
    page = f'<style>{rule}</style><main><svg class="icon" viewBox="0 0 9 9"><path d="M1 1h7v7z"/></svg></main>'
    found = extract(page.encode(), "text/html", "utf-8", "http://localhost/")
    assert len(found.svgs) == taken and found.passed["painted by the page"] == 1 - taken


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ('<circle r="1" transform="scale(100000)"/>', "range"),
        ('<circle r="1" stroke="red" stroke-width="90000" transform="scale(9)"/>', "range"),
        ('<path d="M-90000 0L90000 9 0 99z" transform="scale(2)"/>', "range"),
        ("<g>" + '<g opacity=".5"><rect width="256" height="256"/></g>' * 600 + "</g>", "layers"),
        ('<g opacity=".9">' * 60 + '<rect width="256" height="256"/>' * 60 + "</g>" * 60, None),
        ("<g>" + '<circle cx="99" cy="99" r="3" opacity=".5"/>' * 600 + "</g>", None),
    ],
)
def test_what_a_renderer_cannot_draw_or_takes_seconds_for_is_a_violation(body, rule):
    verdict = check(f"{SVG_OPEN}\n<!-- a -->\n{body}\n</svg>")
    assert {violation.rule for violation in verdict.violations} == ({rule} if rule else set())


def test_what_paints_nothing_is_a_warning():
    for shape, warned in (
        ('<line x1="1" y1="1" x2="99" y2="99"/>', True),
        ('<line x1="1" y1="1" x2="99" y2="99" stroke="red"/>', False),
        ('<circle cx="9" cy="9" r="4" fill="none"/>', True),
        ('<g stroke="red"><circle cx="9" cy="9" r="4" fill="none"/></g>', False),
        ('<circle cx="9" cy="9" r="4"/>', False),
    ):
        verdict = check(f"{SVG_OPEN}\n<!-- a -->\n{shape}\n</svg>")
        assert verdict.valid
        assert any(warning.rule == "unpainted" for warning in verdict.warnings) == warned, shape
