"""The value grammars, read as SVG reads them and not as Python's float() does."""

import math
import re
import time

import pytest

from corpus.optimization.outline import canonical, points_on
from qwen_svg.svg import values
from qwen_svg.svg.render import render_rgb
from qwen_svg.svg.values import ValueFault


@pytest.mark.parametrize("text", ["0", "-1", "+.5", "1.25", "1e2", "-1E-2", " 7 ", "\t3\n"])
def test_numbers(text):
    assert values.parse_number(text) == float(text)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        *(
            (t, "number")
            for t in ("", "NaN", "Infinity", "-inf", "1_0", "６０", "٣", "1.", "1e", "0x10", "1,5", "5px", "5%")
        ),
        ("1e999", "number"),
        ("9" * 5000, "number"),
        ("1e308", "range"),
        ("100001", "range"),
    ],
)
def test_what_float_takes_and_svg_does_not(text, rule):
    with pytest.raises(ValueFault) as fault:
        values.parse_number(text)
    assert fault.value.rule == rule


def test_path_commands_are_made_explicit():
    assert values.parse_path("M1 2 3 4 5 6z m1-1.5.5.5") == [
        ("M", (1, 2)),
        ("L", (3, 4)),
        ("L", (5, 6)),
        ("z", ()),
        ("m", (1, -1.5)),
        ("l", (0.5, 0.5)),
    ]
    assert values.parse_path("M0 0a5 5 0 01.5.5")[1] == ("a", (5, 5, 0, 0, 1, 0.5, 0.5))
    assert values.parse_path("M0,0 10,10H5 6V7")[1:] == [("L", (10, 10)), ("H", (5,)), ("H", (6,)), ("V", (7,))]


@pytest.mark.parametrize(
    "d",
    ["", " ", "L1 2", "M1", "M1 2 3", "M1,,2", "M1 2L", "M1 2 L3 4,", "M1 2,L3 4", "M1 2X", "M1 2 z 3 4",
     "M0 0A5 5 0 2 0 1 1", "M0 0A-5 5 0 0 0 1 1", "M1 2é", "M 1 2 NaN"],
)  # fmt: skip
def test_bad_path_data(d):
    with pytest.raises(ValueFault) as fault:
        values.parse_path(d)
    assert fault.value.rule == "path"


def test_absolute_path_ends_where_the_relative_one_does():
    relative = "m10 10h10v10h-10z l5 5c1 1 2 2 3 3s1 1 2 2q1 1 2 2t1 1a5 5 0 0 1 4 4"
    absolute = values.absolute_path(values.parse_path(relative))
    assert [letter for letter, _ in absolute] == list("MHVHZLCSQTA")
    assert absolute[:5] == [("M", (10, 10)), ("H", (20,)), ("V", (20,)), ("H", (10,)), ("Z", ())]
    assert absolute[5] == ("L", (15, 15)) and absolute[6] == ("C", (16, 16, 17, 17, 18, 18))
    assert absolute[-1] == ("A", (5, 5, 0, 0, 1, 27, 27))


def test_hull_holds_the_curve():
    for d in (
        "M10 10C200 0 0 200 100 100S250 250 20 200",
        "M10 10Q200 0 50 90T100 10T0 0",
        "M50 50A90 20 30 1 0 80 90",
        "M5 5a3 3 0 1 1 9 9a40 40 0 0 1-20 3",
    ):
        commands = values.absolute_path(values.parse_path(d))
        xs, ys = zip(*values.path_hull(commands), strict=True)
        for x, y in points_on(canonical(commands), steps=40):
            assert min(xs) - 1e-9 <= x <= max(xs) + 1e-9 and min(ys) - 1e-9 <= y <= max(ys) + 1e-9


def test_points_come_in_pairs():
    assert values.parse_points(" 1,2 3 4,-5-6 ") == [(1, 2), (3, 4), (-5, -6)]
    assert values.parse_points("1 2 3", spare_coordinate=True) == [(1, 2)]
    for text in ("1 2 3", "1,2,", "1 x", "1;2", "1 2 " * 1001):
        with pytest.raises(ValueFault, match=r"pairs|wanted|comma|more than"):
            values.parse_points(text)


def test_transforms_multiply_like_matrices():
    matrix = values.transform_matrix(values.parse_transform("translate(10 20) rotate(90) scale(2)"))
    x, y = 1.0, 0.0
    a, b, c, d, e, f = matrix
    assert (a * x + c * y + e, b * x + d * y + f) == pytest.approx((10, 22))
    about = values.transform_matrix(values.parse_transform("rotate(180,128,128)"))
    assert about[4:] == pytest.approx((256, 256))
    skew = values.transform_matrix(values.parse_transform("skewX(45)"))
    assert skew[2] == pytest.approx(math.tan(math.pi / 4))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rotate()",
        "rotate(1 2)",
        "rotate(45deg)",
        "translate(1px)",
        "matrix(1 2 3)",
        "spin(3)",
        "rotate(1",
        "scale 2",
    ],
)
def test_bad_transforms(text):
    with pytest.raises(ValueFault) as fault:
        values.parse_transform(text)
    assert fault.value.rule == "transform"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", ("none", "")),
        ("#FA0", ("colour", "#ffaa00")),
        ("DarkSeaGreen", ("colour", "#8fbc8f")),
        ("rgb(255, 0,10)", ("colour", "#ff000a")),
        ("url(#a.b-1)", ("url", "a.b-1")),
    ],
)
def test_paints(text, expected):
    assert values.parse_paint(text) == expected


def test_named_colours_are_the_148_of_css_and_render_so():
    """Compared with resvg's own table, which is SVG 1.1's: all but the younger rebeccapurple."""
    assert len(values.NAMED_COLOURS) == 148
    colours = {name: code for name, code in values.NAMED_COLOURS.items() if name != "rebeccapurple"}
    cell = '<rect x="{x}" y="0" width="1" height="1" fill="{fill}"/>'
    svgs = []
    for fills in (colours.keys(), colours.values()):
        cells = "".join(cell.format(x=x, fill=fill) for x, fill in enumerate(fills))
        svgs.append(
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 147 147" width="147" height="147">{cells}</svg>'
        )
    by_name, by_hex = (render_rgb(svg, 147)[0] for svg in svgs)
    assert (by_name == by_hex).all()


HOSTILE = {
    values.parse_path: lambda n: ["M" + "1" * n, "M1 1 " + "1." * (n // 2), "M1" + "\n" * n + "x", "M0 0" + "L1 1" * n],
    values.parse_points: lambda n: [" " * n, "1" * n, "." * n, "1 " * n, "," * n, "1e" * n],
    values.parse_transform: lambda n: ["rotate(" * n, " " * n, "a" * n, "rotate(" + "1" * n, "rotate(" + " " * n],
    values.parse_paint: lambda n: ["a" * n, "url(#" + "a" * n, "rgb(" + " " * n, "#" + "f" * n, "a " * n],
    values.parse_number: lambda n: ["1" * n, "1." + "1" * n, " " * n, "1e" + "1" * n, "+-" * n],
}


@pytest.mark.parametrize("parse", HOSTILE, ids=lambda parse: parse.__name__)
def test_hostile_text_costs_linear_time(parse):
    """A bound a hundred times above the measured few milliseconds: it catches the quadratic, not a slow machine."""
    start = time.perf_counter()
    for text in HOSTILE[parse](100_000):
        try:
            parse(text)
        except ValueFault as fault:
            assert len(str(fault)) < 300 and not re.search(r"[\x00-\x1f]", str(fault))
    assert time.perf_counter() - start < 2
