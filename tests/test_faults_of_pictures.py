"""Kinds of files that once became other pictures, or raised: each is right now, or refused by name."""

import random
import re
from math import cos, pi, sin

import pytest

from corpus.mining.extract import extract
from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.refusal import Refused
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_OPEN, check


def svg(body: str, attributes: str = 'viewBox="0 0 100 100"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'


def polygon(n: int) -> str:

    points = [(50 + 45 * cos(2 * pi * i / n), 50 + 45 * sin(2 * pi * i / n)) for i in range(n)]
    return "M" + "L".join(f"{x:.3f} {y:.3f}" for x, y in points) + "z"


SQUARE = '<rect width="100" height="100"/>'
STOPS = '<stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue" stop-opacity=".3"/>'
STAR = '<path d="M50 5L79 95 5 38H95L21 95z"/>'
RIGHT = {
    "many short lines": svg(f'<path d="{polygon(720)}"/>'),
    "thin bars": svg("".join(f'<path d="M{i}.25 2v30h.4V2z"/>' for i in range(9)), 'viewBox="0 0 160 160"'),
    "an even-odd crossing of curves": svg(
        '<path fill-rule="evenodd" d="M20 20C120 20 -20 80 80 80C110 40 0 50 60 10"/>'
    ),
    "an even-odd hole in small units": svg(
        '<path fill-rule="evenodd" d="M0 0h1v1h-1zM.4.4h.1v.1h-.1z"/>', 'viewBox="0 0 1 1"'
    ),
    "a clip of two": svg(
        '<clipPath id="a"><circle cx="30" cy="50" r="28"/><rect x="40" y="20" width="50" height="30"/></clipPath>'
        '<g clip-path="url( #a )">' + SQUARE + "</g>"
    ),
    "clip-rule from the root": svg(
        f'<clipPath id="a">{STAR}</clipPath><rect width="100" height="100" clip-path="url(#a)"/>',
        'viewBox="0 0 100 100" style="clip-rule:evenodd"',
    ),
    "a clip path with an empty subpath": svg(
        f'<clipPath id="a"><path d="M5 5zQ90 5 50 90"/></clipPath><g clip-path="url(#a)">{SQUARE}</g>'
    ),
    "dashes in small units": svg(
        '<circle cx="6" cy="6" r="4" fill="none" stroke="red" stroke-dasharray="1 .7"/>', 'viewBox="0 0 12 12"'
    ),
    "dash offsets in percent": svg(
        '<path d="M5 50H95" stroke="red" stroke-width="9" stroke-dasharray="20" stroke-dashoffset="15%"/>'
    ),
    "an unknown cap": svg('<path d="M20 50H80" stroke="black" stroke-width="30" stroke-linecap="nice"/>'),
    "a square cap without a line": svg('<path d="M50 50h0" stroke="red" stroke-width="30" stroke-linecap="square"/>'),
    "a stroke behind an empty subpath": svg(
        '<path d="M20 20zL80 20 50 80" fill="none" stroke="red" stroke-width="6" stroke-linejoin="round"/>'
    ),
    "fill and stroke, translucent together": svg(
        '<rect x="20" y="20" width="60" height="60" fill="gold" stroke="green" stroke-width="20" '
        'stroke-linejoin="round" opacity=".5"/>'
    ),
    "a transform of the root": svg(
        SQUARE, 'viewBox="0 0 100 100" width="100" height="100" transform="translate(40 0)"'
    ),
    "a clip of the root": svg(
        '<clipPath id="a"><circle cx="50" cy="50" r="30"/></clipPath>' + SQUARE,
        'viewBox="0 0 100 100" clip-path="url(#a)"',
    ),
    "em of em": svg('<g font-size="10"><g font-size="2em"><rect width="4em" height="3em"/></g></g>'),
    "a stroke in em of the parent": svg(
        '<g font-size="5" stroke-width="2em" stroke="red"><g font-size="20"><path d="M0 50H100"/></g></g>'
    ),
    "another language": svg(SQUARE.replace("/>", ' fill="lime"/>') + SQUARE.replace("/>", ' systemLanguage="ru"/>')),
    "a gradient without a radius": svg(
        f'<radialGradient id="g" r="0">{STOPS}</radialGradient>' + SQUARE.replace("/>", ' fill="url(#g)"/>')
    ),
    "a negative radius": svg('<rect x="10" y="10" width="80" height="80" rx="-20" ry="30"/>'),
    "hsl beyond its bounds": svg(SQUARE.replace("/>", ' fill="hsl(120,200%,25%)"/>')),
    "a mask that is a clip": svg(
        '<mask id="m"><circle cx="50" cy="50" r="40" fill="#fff"/></mask><g mask="url(#m)">' + SQUARE + "</g>"
    ),
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_the_picture_stays_without_comparing(text):
    after = optimize_svg_string(text, compare=False)
    assert check(after).violations == [] and optimize_svg_string(after) == after
    error, worst_tile = picture_difference(render_rgb(text), render_rgb(after))
    assert error <= 0.01 and worst_tile <= 0.10


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
        ('<marker id="m"/><path d="M1 1h9" stroke="red" style="marker:url(#m)"/>', "marker"),
        (SQUARE.replace("/>", ' fill="oklch(60% .15 50)"/>'), "colour space oklch"),
        (f'<linearGradient id="g">{STOPS}</linearGradient>' + SQUARE.replace("/>", ' fill="url(#g)"/>'), "changed: "),
    ],
)
def test_what_browsers_honour_and_this_does_not_is_refused_by_name(body, reason):
    with pytest.raises(Refused, match=f"^{re.escape(reason)}"):
        optimize_svg_string(svg(body))


def test_a_turned_radial_gradient_stays_as_it_is_written():
    gradient = '<radialGradient id="a" r="1" gradientUnits="userSpaceOnUse" gradientTransform="{}">' + STOPS
    body = gradient.format("rotate(223.79 7.898 5.156)scale(6.27697 6.27698)") + "</radialGradient>"
    text = optimize_svg_string(svg(body + SQUARE.replace("/>", ' fill="url(#a)"/>')), "prompt+gradients")
    assert optimize_svg_string(text, "prompt+gradients") == text


def random_body(choose: random.Random) -> str:
    """A drawing of a few shapes with what goes wrong: clips, dashes, even-odd, gradients, transforms."""

    def n(low: float = 0, high: float = 100) -> str:
        return f"{choose.uniform(low, high):.{choose.randint(0, 3)}f}"

    def d() -> str:
        commands = {"L": 2, "Q": 4, "C": 6, "H": 1, "T": 2, "S": 4}
        text = f"M{n()} {n()}"
        for _ in range(choose.randint(1, 5)):
            letter = choose.choice("LQCHTSZ")
            text += letter + " ".join(n(-20, 120) for _ in range(commands.get(letter, 0)))
        return text

    shape = f'<path d="{d()}" fill-rule="{choose.choice(["evenodd", "nonzero"])}" '
    shape += choose.choice(["", f'stroke="red" stroke-width="{n(1, 20)}" stroke-linejoin="round" '])
    shape += choose.choice(["", f'stroke-dasharray="{n(1, 20)} {n(1, 9)}" '])
    shape += choose.choice(
        ["", 'fill="url(#g)" ', 'clip-path="url(#c)" ', f'transform="rotate({n()}) skewX({n(0, 30)})" ']
    )
    return (
        f'<linearGradient id="g">{STOPS}</linearGradient><clipPath id="c"><path d="{d()}"/></clipPath>{shape}/>'
        + f'<rect x="{n()}" y="{n()}" width="{n()}" height="{n()}" opacity=".5"/>'
    )


def test_random_drawings_are_the_same_or_refused():
    choose = random.Random(5)
    done = 0
    for _ in range(60):
        size = choose.choice(["0 0 100 100", "-10 5 120 80", "0 0 1000 500"])
        text = svg(random_body(choose), f'viewBox="{size}"')
        try:
            after = optimize_svg_string(text, "prompt+gradients")
        except Refused as refusal:
            assert not str(refusal).startswith("cannot be converted"), text
            continue
        done += 1
        error, worst_tile = picture_difference(render_rgb(text), render_rgb(after))
        assert error <= 0.01 and worst_tile <= 0.10
    assert done > 40


def test_a_symbol_keeps_its_own_attributes():
    page = (
        '<svg style="display:none"><symbol id="a" viewBox="0 0 24 24" fill="none" stroke="red" stroke-width="2">'
        '<path d="M4 4L20 20V4z"/></symbol></svg>'
    )
    (found,) = extract(page.encode(), "text/html", "utf-8", "http://localhost/").svgs
    assert all(text in found for text in ('fill="none"', 'stroke="red"', 'stroke-width="2"')) and "id=" not in found


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
