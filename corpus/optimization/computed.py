"""Computed values: an element's own properties, else its parent's or the defaults; font sizes and what hangs on them in
pixels, because children inherit the length and not the `em` it was written in."""

import re
from typing import Any

from corpus.optimization.refusal import Refused
from corpus.optimization.svg_style import CHOICES, INHERITED, OWN, Style, StyleSheets, own_style
from corpus.optimization.units import font_size, length

MAX_ANCESTORS = 48
_SCALED = ("stroke-width", "stroke-dasharray", "stroke-dashoffset")
_RELATIVE = re.compile(r"[0-9.]+(?:e[+-]?[0-9]+)?(?:r?em|ex|ch)\b", re.IGNORECASE | re.ASCII)


def computed(element: Any, sheets: StyleSheets) -> Style:
    """Return the computed values of an element where it stands, whatever refers to it."""
    above = [element, *element.iterancestors()]
    if len(above) > MAX_ANCESTORS:
        raise Refused("nested too deep")
    style = inherit({}, {})
    for link in reversed(above):
        style = inherit(style, own_style(link, sheets))
        if link is above[-1]:
            style["rem"] = style["font-size"]
    return style


def inherit(parent: Style, own: Style) -> Style:
    """Return the computed values of an element: its own, else its parent's where they are inherited."""
    computed = {"rem": parent.get("rem", "16")}
    for name, default in INHERITED.items():
        value = own.get(name, "inherit")
        if value in ("inherit", "unset") or (name in CHOICES and value not in CHOICES[name] and value != "initial"):
            computed[name] = parent.get(name, default)
        else:
            computed[name] = default if value == "initial" else value
    if (size := own.get("font-size")) and computed["font-size"] == size:
        computed["font-size"] = font_size(size, parent)
    for name in _SCALED:
        if name in own and _RELATIVE.search(computed[name]):
            computed[name] = _RELATIVE.sub(lambda m: repr(length(m.group(), 0.0, computed)), computed[name])
    for name, default in OWN.items():
        value = own.get(name, default)
        if value == "inherit":
            value = parent.get(name, default)
            if name == "overflow" and not value:  # what is no viewport shows all it has
                value = "visible"
        computed[name] = default if value in ("initial", "unset") else value
    return computed
