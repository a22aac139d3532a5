"""Comparing what is optimized with its file: quickly where a file is plain, and never more kindly than resvg."""

import pytest
from lxml import etree

from corpus.optimization import compare, luna
from corpus.optimization.compare import Original
from corpus.optimization.luna import luna_difference
from corpus.optimization.plain import is_plain
from corpus.optimization.refusal import Refused
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_OPEN

BODIES = {
    "disc": '<circle cx="{0}" cy="60" r="40"/>',
    "edge": '<rect x="{0}" y="16" width="99" height="200" fill="#c00"/>',
    "stripes": '<path d="M{0} 0V256m9 0V0m9 0V256" stroke="navy" stroke-width="4" fill="none"/>',
    "current color": '<g fill="none" stroke="currentColor"><path d="M{0} 9V200" stroke-width="9"/></g>',
    "gradient": '<radialGradient id="g" r=".6"><stop stop-color="red"/><stop offset="1" stop-color="#00f"/>'
    '</radialGradient><ellipse cx="{0}" cy="120" rx="90" ry="60" fill="url(#g)" opacity=".8"/>',
}  # fmt: skip
PLAIN = [
    '<path d="M1 1h9v9a5 5 0 0 1-3-3z" fill-rule="evenodd"/>',
    '<g fill="none" stroke="#123456" stroke-width="1.5" stroke-linecap="round">'
    '<path d="M1-.003h9" stroke-linejoin="bevel"/></g>',
    '<defs><path id="a" d="M0 0h9v9"/></defs><use href="#a" x="5" transform="rotate(45)"/><title>a</title>',
    '<linearGradient id="a" x2="100%" gradientUnits="userSpaceOnUse"/><rect width="9" height="9" fill="url(#a)"/>',
    '<path d="M1 1c0-.0002 3e-4 5-2 5"/>',
    '<g id="a"><circle id="a" r="2"/></g>',
    '<path d="M1 1h9v9" fill="currentColor"/>',
]
NOT_PLAIN = [
    "<style>path{fill:red}</style>",
    '<path d="M1 1h9v9" style="fill:red"/>',
    '<path d="M1 1h9v9" fill="inherit"/>',
    '<path d="M1 1h9v9" fill="currentcolor"/>',
    '<g fill="currentColor" color="red"><path d="M1 1h9v9"/></g>',
    '<linearGradient id="a"><stop stop-color="currentColor"/></linearGradient>',
    '<path d="M1 1h9v9" fill="hsl(120,200%,25%)"/>',
    '<path d="M1 1h9" stroke="red" stroke-dasharray="2"/>',
    '<path d="M1 1h9" stroke="red" stroke-linecap="miter"/>',
    '<path d="M1 1h9" stroke="red" vector-effect="non-scaling-stroke"/>',
    '<path d="M1 1h9" stroke="red" stroke-miterlimit=".5"/>',
    '<path d="M1 1h123456v9"/>',
    '<path d="M1 1h1e9v9"/>',
    '<path d="M1 1h.0002v9" stroke="red"/>',
    '<path d="M1 1l-.0002 3e-4v9" stroke="red"/>',
    '<rect width=".0001" height="9" stroke="red"/>',
    '<circle id="a" r="1"/><circle id="a" r="2"/><use href="#a"/>',
    '<rect width="2em" height="9"/>',
    '<rect width="9" height="9" rx="-3"/>',
    '<circle r="0"/>',
    '<svg viewBox="0 0 9 9"><circle r="1"/></svg>',
    '<clipPath id="a"><circle r="1"/></clipPath><circle r="3" clip-path="url(#a)"/>',
    '<linearGradient id="b" href="#a"/>',
    '<radialGradient id="a" fx=".2"/>',
    '<rect width="9" height="9" systemLanguage="fr"/>',
    '<text>a</text>',
]  # fmt: skip


def document(body: str, attributes: str = 'viewBox="0 0 256 256"') -> str:
    return f'<svg xmlns="http://www.w3.org/2000/svg" {attributes}>{body}</svg>'


def fail(*_arguments):
    raise ValueError("is not to be asked")


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_luna_finds_nearly_what_resvg_finds_and_passes_nothing_beyond_the_bound(body, monkeypatch):
    before = document(body.format(100))
    passed = []
    for tenths in range(0, 41, 2):
        after = SVG_OPEN + body.format(100 + tenths / 10) + "</svg>"
        error, tile = picture_difference(render_rgb(before), render_rgb(after))
        error_by_luna, tile_by_luna = luna_difference(before, after)
        assert error - error_by_luna < compare.ERROR_IN_DOUBT and tile - tile_by_luna < compare.TILE_ERROR_IN_DOUBT
        within = error <= compare.MAX_ERROR and tile <= compare.MAX_TILE_ERROR
        assert (Original(etree.fromstring(before)).change(after) == "") == within
        with monkeypatch.context() as patch:
            patch.setattr(compare, "render_rgb", fail)
            try:
                passed.append(not Original(etree.fromstring(before)).change(after))
            except Refused:  # LunaSVG alone does not refuse
                passed.append(False)
        assert within or not passed[-1]
    assert passed[0] and not passed[-1]


@pytest.mark.parametrize("body", PLAIN)
def test_what_renderers_agree_on_is_plain(body):
    assert is_plain(etree.fromstring(document(body)))


@pytest.mark.parametrize("body", NOT_PLAIN)
def test_what_they_may_read_in_other_ways_is_not(body):
    assert not is_plain(etree.fromstring(document(body)))


def test_a_file_with_one_side_is_not_plain():
    """resvg takes the other from the viewBox as it is, browsers keep the viewBox's shape."""
    assert not is_plain(etree.fromstring(document(PLAIN[0], 'viewBox="0 0 20 31" width="40"')))


@pytest.mark.parametrize(
    ("attributes", "known"),
    [
        ('viewBox="0 0 30 20"', True),
        ('viewBox="0 0 20 31" width="40" height="62"', True),
        ('viewBox="0 0 31.6 31.6"', False),
        ('viewBox="0 0 256 257"', False),
    ],
)
def test_luna_draws_as_large_as_resvg_or_not_at_all(attributes, known):
    before = document('<rect x="3" y="2" width="14" height="15" fill="green"/>', attributes)
    if not known:
        with pytest.raises(ValueError, match="round"):
            luna_difference(before, before)
        return
    after = SVG_OPEN + "</svg>"
    by_resvg, by_luna = picture_difference(render_rgb(before), render_rgb(after)), luna_difference(before, after)
    assert by_luna == pytest.approx(by_resvg, abs=0.004)


def test_without_luna_resvg_decides(monkeypatch):
    monkeypatch.setattr(luna, "pylunasvg", None)
    before = document(BODIES["disc"].format(100))
    assert Original(etree.fromstring(before)).change(before) == ""
    assert Original(etree.fromstring(before)).change(document(BODIES["disc"].format(110))).startswith("changed: tile")
