"""A legal drawing broken as models and people break them: one or two faults, of which no two touch one line.

What is broken can be told from what is left, and so the drawing is its own repair. One that is cut off keeps what is
there as a whole: an element of which only quotes, brackets and the slash are missing is made whole, one that lacks more
is left out.
"""

import colorsys
import re
from collections.abc import Callable
from random import Random

from qwen_svg.svg.values import NAMED_COLOURS
from svg_constraint import SVG_OPEN, check

TWO = 0.35  # share with two faults
Fault = tuple[list[str], str, set[int]]  # the lines with it, what is said of it, the lines that it touches
WEIGHTS = {
    "unclosed": 14, "misspelt tag": 12, "misspelt attribute": 7, "quote": 14, "color": 11, "element": 9, "attribute": 8,
    "root": 12, "ampersand": 6, "comment": 5, "no comment": 3, "twice": 4, "unit": 5, "fence": 8, "cut": 14,
}  # fmt: skip
ORDER = ("cut", "root", "fence")  # in which these come, others first: a text is cut, then wrapped
_TAG = re.compile(r"<([A-Za-z]+)((?: [^<>]*?)?)(/?)>")
_ATTRIBUTE = re.compile(r' ([a-zA-Z0-9-]+)="([^"]*)"')
_PAINT = re.compile(r'(fill|stroke)="([a-z]+)"')
_REST = re.compile(r'[)"/> -]*')
FENCES = ("```xml", "```svg", "```", "```html")
CHATTER = ("Here is the SVG:", "Sure! Here is the drawing:", "Here's your SVG code:", "")
ELEMENTS = (
    '<text x="128" y="240" font-size="16">{name}</text>', "<title>{name}</title>", "<desc>{name}</desc>",
    "<style>.a {{ fill: red; }}</style>", '<text x="20" y="30">{name}</text>', "<metadata>{name}</metadata>",
    '<animate attributeName="opacity" dur="2s"/>', '<filter id="blur"><feGaussianBlur stdDeviation="2"/></filter>',
    '<image href="{name}.png" width="64" height="64"/>', "<script>draw()</script>",
)  # fmt: skip
ATTRIBUTES = (
    'class="shape"', 'id="{tag}1"', 'stroke-linecap="round"', 'fill-opacity="1"', 'filter="url(#shadow)"',
    'data-name="{tag}"', 'stroke-linejoin="round"', 'vector-effect="none"', 'fill-rule="evenodd"', 'onclick="draw()"',
)  # fmt: skip
ROOTS = (
    SVG_OPEN.replace(' viewBox="0 0 256 256"', ""), SVG_OPEN.replace("0 0 256 256", "0 0 100 100"),
    SVG_OPEN.replace("0 0 256 256", "0 0 24 24"), SVG_OPEN.replace("0 0 256 256", "0 0 512 512"),
    SVG_OPEN.replace(' xmlns="http://www.w3.org/2000/svg"', ""), "<svg>", SVG_OPEN.replace("<svg", "<SVG"),
    SVG_OPEN.replace('width="256" height="256"', 'width="100%" height="100%"'), SVG_OPEN.replace("viewBox", "viewbox"),
    SVG_OPEN.replace('width="256" height="256"', 'width="512" height="512"'),
    SVG_OPEN.replace('width="256" height="256"', 'width="256px" height="256px"'),
    SVG_OPEN.replace(">", ' version="1.1">'), '<?xml version="1.0" encoding="UTF-8"?>\n' + SVG_OPEN,
    "<!DOCTYPE svg>\n" + SVG_OPEN, SVG_OPEN.replace("http://www.w3.org/2000/svg", "http://www.w3.org/2000/SVG"),
)  # fmt: skip


def broken(draw: Random, svg: str) -> tuple[str, str, str, list[str]] | None:
    """Return (the broken text, the drawing to be restored, what was wrong with it, the kinds of its faults).

    svg: legal, a tag or a comment on each line. None where a fault chosen does not fit it: choose again.
    """
    lines = target = svg.split("\n")
    count = 2 if draw.random() < TWO else 1
    kinds: list[str] = []
    while len(kinds) < count:
        kind = draw.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if kind not in kinds:
            kinds.append(kind)
    said, touched = [], {0}
    if "cut" in kinds:
        cut = cut_off(draw, lines)
        if cut is None:
            return None
        lines, target, sentence = cut
        touched.add(len(lines) - 1)
        said.append(sentence)
    for kind in sorted(kinds, key=lambda kind: ORDER.index(kind) if kind in ORDER else -1):
        if kind == "cut":
            continue
        found = FAULTS[kind](draw, lines, touched)
        if found is None or not check("\n".join(found[0])).violations:
            return None
        lines, sentence, more = found
        touched |= more
        said.insert(0, sentence)
    text, whole = "\n".join(lines), "\n".join(target)
    if not check(text).violations or check(whole).violations:
        return None
    return text, whole, " ".join(said), kinds


# --- faults ---------------------------------------------------------------------------------------------------------


def unclosed(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    """A slash, an angle, a `</g>` or the `</svg>` is missing."""
    ends = [i for i, line in enumerate(lines) if line in ("</g>", "</svg>") and i not in touched]
    if ends and draw.random() < 0.35:
        i = draw.choice(ends)
        return [*lines[:i], *lines[i + 1 :]], f"{lines[i]} is missing.", set()
    if (i := a_line(draw, lines, touched, "/>")) is None:
        return None
    missing = draw.choice(("/", "/", "/>", ">"))
    end = {"/": ">", "/>": "", ">": "/"}[missing]
    return (
        with_line(lines, i, lines[i].removesuffix("/>") + end),
        f"The end {missing} of <{tag(lines[i])}> is missing.",
        {i},
    )


def misspelt_tag(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if (i := a_line(draw, lines, touched, ">")) is None:
        return None
    right = tag(lines[i])
    wrong = misspelt(draw, right) if right != "g" else draw.choice(("group", "gg", "G"))
    if wrong in ("svg", "path", "circle", "rect", "line", "g"):
        return None
    return with_line(lines, i, lines[i].replace(f"<{right}", f"<{wrong}", 1)), f"<{wrong}> is <{right}>.", {i}


def misspelt_attribute(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if (found := an_attribute(draw, lines, touched, least=2)) is None:
        return None
    i, name, value = found
    wrong = misspelt(draw, name) if draw.random() < 0.7 else name.upper()
    line = lines[i].replace(f' {name}="{value}"', f' {wrong}="{value}"', 1)
    return with_line(lines, i, line), f"{wrong} is {name}.", {i}


def quote(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if (found := an_attribute(draw, lines, touched)) is None:
        return None
    i, name, value = found
    kept = draw.choice((f'"{value}', f'{value}"', value))
    lost = "quotes of" if kept == value else "quote after" if kept[0] == '"' else "quote before"
    line = lines[i].replace(f'{name}="{value}"', f"{name}={kept}", 1)
    return (
        with_line(lines, i, line),
        f"The {lost} the {name} of <{tag(line)}> {'are' if kept == value else 'is'} missing.",
        {i},
    )


def color(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    able = [i for i, line in enumerate(lines) if i not in touched and _PAINT.search(line) and 'fill="none"' not in line]
    if not able:
        return None
    i = draw.choice(able)
    name, right = _PAINT.search(lines[i]).groups()
    code = NAMED_COLOURS[right]
    red, green, blue = (int(code[at : at + 2], 16) for at in (1, 3, 5))
    h, light, s = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    wrong = draw.choice((
        misspelt(draw, right), misspelt(draw, right), f"bright {right}", f"very-{right}", f"{right}ish", f"--{right}",
        f"{code}ff", f"rgba({red}, {green}, {blue}, 1)", f"hsl({h * 360:.0f}, {s:.0%}, {light:.0%})", code[1:],
    ))  # fmt: skip
    if wrong in NAMED_COLOURS:
        return None
    line = lines[i].replace(f'{name}="{right}"', f'{name}="{wrong}"', 1)
    return with_line(lines, i, line), f"{wrong} is no color here; it is {right}.", {i}


def element(draw: Random, lines: list[str], touched: set[int], template: str = "") -> Fault | None:
    starts = [i for i, line in enumerate(lines) if line.startswith("<!--") and i not in touched]
    if not starts:
        return None
    i = draw.choice([*starts, len(lines) - 1]) if len(lines) - 1 not in touched else draw.choice(starts)
    name = draw.choice(("Label", "Scene", "drawing", "a picture"))
    more = (template or draw.choice(ELEMENTS)).format(name=name)
    return [*lines[:i], more, *lines[i:]], f"<{tag(more)}> is not allowed and taken out.", set()


def attribute(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if (i := a_line(draw, lines, touched, ">")) is None:
        return None
    paint = _PAINT.search(lines[i])
    if paint and draw.random() < 0.35:
        name, value = paint.groups()
        line = lines[i].replace(
            paint.group(0), draw.choice((f'style="{name}:{value}"', f'style="{name}: {value};"')), 1
        )
        return with_line(lines, i, line), f"style is not allowed; it is {name}={value}.", {i}
    more = draw.choice(ATTRIBUTES).format(tag=tag(lines[i]))
    line = (
        lines[i].replace(f"<{tag(lines[i])}", f"<{tag(lines[i])} {more}", 1)
        if draw.random() < 0.5
        else behind(lines[i], more)
    )
    return with_line(lines, i, line), f"{more.split('=')[0]} is not allowed and taken out.", {i}


def ampersand(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if draw.random() < 0.5:
        words = draw.choice(("a & b", "black & white", "sun & moon", "Tom & Jerry", "big & small", "top & bottom"))
        found = element(draw, lines, touched, draw.choice(("<title>{}</title>", "<desc>{}</desc>")).format(words))
        return found and (found[0], "The & and the element it stands in are taken out.", set())
    if (i := a_line(draw, lines, touched, ">")) is None:
        return None
    more = draw.choice(('id="a&b"', 'class="big & red"', 'data-name="one & two"', 'aria-label="this & that"'))
    sentence = f"{more.split('=')[0]} with its & is not allowed and taken out."
    return with_line(lines, i, behind(lines[i], more)), sentence, {i}


def root(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    return [draw.choice(ROOTS), *lines[1:]], "The <svg> line was wrong.", {0}


def comment(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    able = [i for i, line in enumerate(lines) if line.startswith("<!--") and line.endswith("-->") and i not in touched]
    if not able:
        return None
    i = draw.choice(able)
    words = lines[i][4:-3].strip()
    line = draw.choice((f"<!- {words} -->", f"<!-- {words} >", f"<!-- {words}", f"<! {words} -->", f"<!-- {words} --",
                        f"// {words}", f"# {words}", f"<!-- {words} -- it -->", "<!-- -->"))  # fmt: skip
    return with_line(lines, i, line), f"The comment {words!r} was not well written.", {i}


def no_comment(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    able = [i for i, line in enumerate(lines) if line.startswith("<!--") and i not in touched]
    if not able:
        return None
    i = draw.choice(able)
    return [*lines[:i], *lines[i + 1 :]], f"The comment {lines[i][4:-3].strip()!r} is missing.", set()


def twice(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    if (found := an_attribute(draw, lines, touched)) is None:
        return None
    i, name, value = found
    sentence = f"{name} stands twice in <{tag(lines[i])}>."
    return with_line(lines, i, behind(lines[i], f'{name}="{value}"')), sentence, {i}


def unit(draw: Random, lines: list[str], touched: set[int]) -> Fault | None:
    found = [(i, m) for i, line in enumerate(lines) if i not in touched for m in
             re.finditer(r' (c?[xy]|r|r[xy]|width|height|[xy][12]|stroke-width)="(-?[0-9]+)"', line)]  # fmt: skip
    if not found:
        return None
    i, match = draw.choice(found)
    wrong = match.group(2) + draw.choice(("px", "px", "pt", "%", "em", " "))
    line = lines[i].replace(match.group(0), f' {match.group(1)}="{wrong}"', 1)
    return with_line(lines, i, line), f"{match.group(1)} takes {match.group(2)} without a unit.", {i}


def fence(draw: Random, lines: list[str], touched: set[int]) -> Fault:
    opening, words = draw.choice(FENCES), draw.choice(CHATTER)
    closing = ["```"] if lines[-1] == "</svg>" and draw.random() < 0.8 else []
    before = [words, opening] if words else [opening]
    return [*before, *lines, *closing], "What stands around the drawing is taken out.", {0}


FAULTS: dict[str, Callable[[Random, list[str], set[int]], Fault | None]] = {
    "unclosed": unclosed, "misspelt tag": misspelt_tag, "misspelt attribute": misspelt_attribute, "quote": quote,
    "color": color, "element": element, "attribute": attribute, "root": root, "ampersand": ampersand,
    "comment": comment, "no comment": no_comment, "twice": twice, "unit": unit, "fence": fence,
}  # fmt: skip


def cut_off(draw: Random, lines: list[str]) -> tuple[list[str], list[str], str] | None:
    """Cut the text behind the last comment; return what is left of it, the drawing to be restored, and a sentence."""
    last = max(i for i, line in enumerate(lines) if line.startswith("<!--"))
    text, earliest = "\n".join(lines), len("\n".join(lines[: last + 1])) + 1
    end = draw.randrange(earliest, len(text) - 1) if draw.random() < 0.6 else len(text) - draw.randint(1, 12)
    kept = text[:end].split("\n")
    whole, rest = lines[: len(kept) - 1], lines[len(kept) - 1][len(kept[-1]) :]
    if _REST.fullmatch(rest) and kept[-1]:
        whole = lines[: len(kept)]
        sentence = "The end is missing and put back."
    elif kept[-1].startswith("</"):
        sentence = "The end is missing and put back."
    else:
        sentence = f"The text ends within <{tag(lines[len(kept) - 1])}>, which is left out."
    if whole[-1] == "</svg>":
        return kept, lines, "The end is missing and put back."
    while whole[-1].startswith(("<g", "<!--")):  # nothing is left of what they are for
        whole = whole[:-1]
    is_open = sum(line.startswith("<g") for line in whole) > whole.count("</g>")
    return kept, [*whole, *["</g>"] * is_open, "</svg>"], sentence


# --- lines ----------------------------------------------------------------------------------------------------------


def tag(line: str) -> str:
    found = re.match(r"</?([A-Za-z]+)", line)
    return found.group(1) if found else "svg"


def a_line(draw: Random, lines: list[str], touched: set[int], end: str) -> int | None:
    """Return the number of a line that opens an element and ends so."""
    able = [i for i, line in enumerate(lines) if i not in touched and re.match(r"<[a-z]", line) and line.endswith(end)]
    return draw.choice(able) if able else None


def an_attribute(draw: Random, lines: list[str], touched: set[int], least: int = 1) -> tuple[int, str, str] | None:
    """Return (line, name, value). least: letters of its name."""
    found = [(i, name, value) for i, line in enumerate(lines) if i not in touched and re.match(r"<[a-z]", line)
             for name, value in _ATTRIBUTE.findall(line) if len(name) >= least]  # fmt: skip
    return draw.choice(found) if found else None


def with_line(lines: list[str], i: int, line: str) -> list[str]:
    return [*lines[:i], line, *lines[i + 1 :]]


def behind(line: str, attribute: str) -> str:
    """Put an attribute at the end of a tag."""
    end = "/>" if line.endswith("/>") else ">"
    return f"{line.removesuffix(end)} {attribute}{end}"


def misspelt(draw: Random, word: str) -> str:
    """Leave out a letter, write one twice, or swap two."""
    i = draw.randrange(1, len(word)) if len(word) > 1 else 0
    ways = [word[:i] + word[i + 1 :], word[:i] + word[i] + word[i:]]
    ways += [word[: i - 1] + word[i] + word[i - 1] + word[i + 1 :]] if i and word[i] != word[i - 1] else []
    return draw.choice(ways)
