"""The grammar of answers that `svg_constraint.check` finds legal in the prompt dialect, for constrained decoding.

Made from the tables of svg_constraint.py. A grammar cannot calculate, so what the checker calculates is made certain by
narrower rules, and some legal drawings are not in the language:

    on the canvas    circles and ellipses have their centre on it, rectangles a corner; of lines, points and paths the
                     grammar remembers whether some x (some y) is above 0 and some below 256
    transform        rotate(a, x, y) about the middle on shapes that start near the middle, or translate(x, y) with
                     rotate(a) and scale(s) on shapes that start near the origin; also translate(x, y) scale(n) with
                     2 to 14 for n on shapes that start within 4 units of it: each way the start stays inside
    no zero lines    of two numbers that must differ one has an even and one an odd whole part
    blocks           each shape has its comment, or stands in a <g> that has one; <g> nests three deep
    path data        every command has its letter; an arc follows a command whose end point is known
    text             no <svg or <reasoning in the reasoning; `qwen_svg/generation/constrained.py` closes what runs on
    gradients        none: without id and offset they draw nothing in this dialect
"""

from functools import cache
from itertools import product

from qwen_svg.generation.grammar import Choice, Repeat, Rule, Rules, characters, choice, names, optional, sequence
from qwen_svg.svg.values import NAMED_COLOURS
from svg_constraint import PROMPT_TABLE, REQUIRED, SHAPES, SVG_OPEN

LOOKS = ("fill", "stroke", "stroke-width", "opacity", "transform")
GEOMETRY = {  # in the order they are written
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "line": ("x1", "y1", "x2", "y2"),
    "polyline": ("points",),
    "polygon": ("points",),
    "path": ("d",),
}
assert GEOMETRY.keys() == SHAPES and all({*GEOMETRY[tag], *LOOKS} == PROMPT_TABLE[tag] for tag in SHAPES)
DEPTH = 3  # of <g> in <g>

# Where a shape starts, and what then moves it. "" = anywhere on the canvas, and nothing may move it.
KINDS = {
    "plain": ("", None),
    "turned": ("middle", "rotate"),
    "moved": ("origin", "translate"),
    "enlarged": ("unit", "enlarge"),
    "in-turned": ("middle", None),  # in a group that has the transform
    "in-moved": ("origin", None),
    "in-enlarged": ("unit", None),
}

GROUPS = {"turned": "rotate", "moved": "translate", "enlarged": "enlarge"}  # that have a transform

DIGIT = characters("0-9")
SIGN = optional("-")
SEPARATOR = choice(" ", ",", ", ")  # between numbers
LINE = sequence(Repeat(choice("\n"), 0, 2), Repeat(choice(" "), 0, 12))  # white space between elements
WORD = "a-zA-Z0-9\u00c0-\u05ff\u3040-\u9fff\uac00-\ud7a3"
OTHER = "\u00a1-\u00bf\u0900-\u1fff\u2010-\u2027\u2030-\u205e\u2190-\u2bff\u3000-\u303f\U0001f000-\U0001faff"
MARKS = " !\"#$%&'()*+,./:;=?@[\\]^_`{|}~"


@cache
def answer_grammar() -> Rules:
    """Return the rules of a whole answer; `root` is the first."""
    rules: Rules = {"root": sequence(Rule("reasoning"), Repeat(choice("\n"), 0, 2), Rule("svg"))}
    rules |= _texts() | _numbers() | _values() | _looks()
    for start in ("", "middle", "origin", "unit"):
        rules |= _points(start) | _path(start) | _line(start)
    for kind in KINDS:
        for tag in GEOMETRY:
            rules[f"{tag}-{kind}"] = _shape(tag, kind)
        rules[f"shape-{kind}"] = Choice(tuple(Rule(f"{tag}-{kind}") for tag in GEOMETRY))
    return _reachable(rules | _blocks())


def _reachable(rules: Rules) -> Rules:
    """Leave out what no answer needs: rules are made for every combination, whether or not a shape uses it."""
    wanted, todo = set(), ["root"]
    while todo:
        name = todo.pop()
        if name not in wanted:
            wanted.add(name)
            todo += names(rules[name])
    return {name: body for name, body in rules.items() if name in wanted}


def _texts() -> Rules:
    """The reasoning: no "<" that begins one of its own tags or the drawing. Comments: no "<", no "--", never empty."""
    # Behind "<" any letters but those that begin "svg" or "reasoning", told apart as early as they differ: no "v"
    # behind "<s", no "a" behind "<re", and so on.
    letters = characters("a-qt-zA-Z")
    tag_like = choice(letters, sequence("r", characters("a-df-z")), sequence("re", characters("b-z")),
                      sequence("s", characters("a-uw-z")))  # fmt: skip
    free = Repeat(characters(WORD + MARKS + OTHER + "\n>-"), 0, None)
    plain = characters(WORD + MARKS + OTHER + ">")
    hyphen = sequence("-", characters(WORD + MARKS))
    word = characters(WORD)
    return {
        "reasoning": sequence(
            "<reasoning>", optional("\n"), word, free, Repeat(sequence("<", tag_like, free), 0, None), "</reasoning>"
        ),
        "comment": sequence("<!--", optional(" "), word, Repeat(choice(plain, hyphen), 0, None), "-->"),
    }


def _numbers() -> Rules:
    """Numbers by where they lie: low (up to 0), mid (between 0 and 256), high (from 256), each even or odd."""
    rules: Rules = {"decimals": optional(".", Repeat(DIGIT, 1, 2))}
    decimals = Rule("decimals")
    for name, last in (("even", "02468"), ("odd", "13579")):
        end, first = characters(last), characters(last.replace("0", ""))  # the last digit; a whole number of one digit
        even = name == "even"
        whole = choice(first, sequence(characters("1-9"), Repeat(DIGIT, 0, 1), end))
        below_256 = choice(
            first,
            sequence(characters("1-9"), end),
            sequence("1", DIGIT, end),
            sequence("2", characters("0-4"), end),
            sequence("25", characters("024" if even else "135")),
        )
        # Between 0 and 1, and not 0: it counts as even, as its whole part does.
        fraction = sequence("0.", choice(characters("1-9"), sequence("0", characters("1-9"))))
        from_256 = choice(
            sequence("25", characters("68" if even else "79")),
            sequence("2", characters("6-9"), end),
            sequence(characters("3-9"), DIGIT, end),
        )
        to_30 = choice(first, sequence(characters("12"), end), *(["30"] if even else []))
        rules |= {
            f"low-{name}": choice(sequence("-", whole, decimals), *(["0"] if even else [])),
            f"mid-{name}": choice(sequence(below_256, decimals), *([fraction] if even else [])),
            f"high-{name}": sequence(from_256, decimals),
            f"any-{name}": Choice(tuple(Rule(f"{where}-{name}") for where in ("low", "mid", "high"))),
            # 80 to 175 and -30 to 30: so near the middle or the origin that no turn takes them off the canvas; and
            # -4 to 4, which seven times as large are within -28 and 28, fourteen times as large within -56 and 56
            f"middle-{name}": choice(
                sequence(choice(characters("89"), sequence("1", characters("0-6"))), end),
                sequence("17", characters("024" if even else "135")),
            ),
            f"origin-{name}": choice(sequence(SIGN, to_30), *(["0"] if even else [])),
            f"unit-{name}": choice(sequence(SIGN, characters("24" if even else "13")), *(["0"] if even else [])),
        }
    for where in ("low", "mid", "high", "any", "middle", "origin", "unit"):
        rules[where] = choice(Rule(f"{where}-even"), Rule(f"{where}-odd"))
    rules["on-canvas"] = choice("0", Rule("mid"))
    rules["size"] = choice(
        sequence(characters("1-9"), Repeat(DIGIT, 0, 2), decimals),
        sequence("0.", characters("1-9"), Repeat(DIGIT, 0, 1)),
    )
    return rules


def _values() -> Rules:
    hexadecimal = characters("0-9a-fA-F")
    angle = sequence(SIGN, choice("0", sequence(characters("1-9"), Repeat(DIGIT, 0, 2))), Rule("decimals"))
    # With the starts above: 112 to 143 as the centre of a turn, 50 to 205 as an offset, a scale up to 1.09; and
    # 31 to 225 as an offset of what is enlarged, 57 to 199 where it is enlarged more.
    centre = choice(
        sequence("11", characters("2-9")), sequence("1", characters("23"), DIGIT), sequence("14", characters("0-3"))
    )
    offset = choice(sequence(characters("5-9"), DIGIT), sequence("1", DIGIT, DIGIT), sequence("20", characters("0-5")))
    near_edge = choice(
        offset, sequence("3", characters("1-9")), sequence("4", DIGIT), sequence("20", characters("6-9")),
        sequence("21", DIGIT), sequence("22", characters("0-5")),
    )  # fmt: skip
    inside = choice(sequence("5", characters("7-9")), sequence(characters("6-9"), DIGIT), sequence("1", DIGIT, DIGIT))
    scale = choice("1", sequence("0.", characters("1-9"), Repeat(DIGIT, 0, 1)), sequence("1.0", DIGIT))
    return {
        "colour": choice(
            "none",
            sequence("#", Repeat(hexadecimal, 3, 3), optional(Repeat(hexadecimal, 3, 3))),
            *sorted(NAMED_COLOURS),
        ),
        "opacity": choice("0", "1", sequence(Repeat(choice("0"), 0, 1), ".", Repeat(DIGIT, 1, 2))),
        "rotate": sequence("rotate(", angle, SEPARATOR, centre, SEPARATOR, centre, ")"),
        "translate": sequence(
            "translate(", offset, SEPARATOR, offset, ")",
            optional(optional(" "), "rotate(", angle, ")"), optional(optional(" "), "scale(", scale, ")"),
        ),
        "enlarge": choice(*(
            sequence("translate(", offset, SEPARATOR, offset, ")", optional(" "), "scale(", times, ")")
            for offset, times in (
                (near_edge, characters("2-7")), (inside, choice(characters("89"), sequence("1", characters("0-4"))))
            )
        )),
    }  # fmt: skip


# --- geometry: is something of it on the canvas? --------------------------------------------------------------------

# Of one axis a shape's points have shown: "l" only numbers up to 0, "h" only numbers from 256, "d" enough.
_AFTER = {("l", "low"): "l", ("h", "high"): "h", ("", "low"): "l", ("", "high"): "h"}


def _coordinates(shown: str, start: str) -> list[tuple[Rule, str, str]]:
    """What an axis may take next: (rule, even or odd, what it has shown then)."""
    if shown == "d":
        return [(Rule(f"any-{parity}"), parity, "d") for parity in ("even", "odd")]
    if shown == "" and start:
        return [(Rule(f"{start}-{parity}"), parity, "d") for parity in ("even", "odd")]
    return [
        (Rule(f"{where}-{parity}"), parity, _AFTER.get((shown, where), "d"))
        for where in ("low", "mid", "high")
        for parity in ("even", "odd")
    ]


def _merged(options: list[tuple[Rule, str, str]]) -> list[tuple[Rule, str]]:
    """The same without parity: (rule, what is shown then)."""
    return list(dict.fromkeys((Rule(rule.name.rpartition("-")[0]), shown) for rule, _, shown in options))


def _points(start: str) -> Rules:
    """`points` of polylines (2 or more) and polygons (3 or more)."""
    rules: Rules = {}
    for tag, least in (("polyline", 2), ("polygon", 3)):
        for shown_x, shown_y, count in [("", "", 0), *product("lhd", "lhd", range(1, least + 1))]:
            options = []
            if (shown_x, shown_y, count) == (
                "d",
                "d",
                least,
            ):  # enough points, both axes have shown enough: may end
                options.append("")
            for (x, after_x), (y, after_y) in product(
                _merged(_coordinates(shown_x, start)), _merged(_coordinates(shown_y, start))
            ):
                following = Rule(f"{tag}-{start}{after_x}{after_y}{min(count + 1, least)}")
                options.append(sequence(*([" "] if count else []), x, choice(",", " "), y, following))
            rules[f"{tag}-{start}{shown_x}{shown_y}{count or ''}"] = choice(*options)
    return rules


def _line(start: str) -> Rules:
    """x1 y1 x2 y2, the ends differing in the parity of x or of y, or in where they lie."""
    options = []
    for (x1, parity_x, shown_x), (y1, parity_y, shown_y) in product(_coordinates("", start), repeat=2):
        # Two ends are not one point where an axis went from one side of the canvas to the other (it had not shown
        # enough after the first end, and has after the second), or where whole parts differ in parity.
        ends = [
            sequence(' x2="', x2, '" y2="', y2, '"')
            for (x2, other_x, done_x), (y2, other_y, done_y) in product(
                _coordinates(shown_x, start), _coordinates(shown_y, start)
            )
            if done_x == done_y == "d"
            and (shown_x != "d" or shown_y != "d" or other_x != parity_x or other_y != parity_y)
        ]
        options.append(sequence(' x1="', x1, '" y1="', y1, '"', choice(*ends)))
    return {f"line-{start}": choice(*options)}


def _path(start: str) -> Rules:
    """Path data: M first, something drawn, every command with its letter.

    A rule's name says what x and y have shown, whether the end point's x is even, odd or unknown (an arc must go
    elsewhere), and whether something is drawn.
    """
    rules: Rules = {}
    gap, comma = Repeat(choice(" "), 0, 1), SEPARATOR
    any_number = Rule("any")
    pair = sequence(any_number, comma, any_number)

    def name(shown_x: str, shown_y: str, parity: str, drawn: bool) -> Rule:
        return Rule(f"path-{start}-{shown_x}{shown_y}-{parity}-{'drawn' if drawn else 'moved'}")

    def end_point(shown_x: str, shown_y: str, drawn: bool, not_parity: str = "") -> Choice:
        return Choice(
            tuple(
                sequence(x, comma, y, name(after_x, after_y, parity, drawn))
                for x, parity, after_x in _coordinates(shown_x, start)
                for y, after_y in _merged(_coordinates(shown_y, start))
                if parity != not_parity
            )
        )

    rules[f"path-{start}"] = sequence("M", gap, end_point("", "", False))
    ends: Rules = {}
    for shown_x, shown_y in product("lhd", "lhd"):
        there = Rule(f"path-{start}-to-{shown_x}{shown_y}")
        ends[there.name] = end_point(shown_x, shown_y, True)
        for parity, drawn in product(("even", "odd", "unknown"), (False, True)):
            here = name(shown_x, shown_y, parity, drawn)
            unknown = name(shown_x, shown_y, "unknown", True)
            arc = sequence(Rule("size"), comma, Rule("size"), comma, any_number, comma, characters("01"), comma,
                           characters("01"), comma)  # fmt: skip
            # Absolute commands lead on by what their end point shows. Where a relative one ends is not known: it shows
            # nothing more, and no arc may follow at once.
            options = [
                sequence(choice("L", "T"), gap, there),
                sequence("C", gap, pair, comma, pair, comma, there),
                sequence(choice("S", "Q"), gap, pair, comma, there),
                *(sequence("H", gap, x, name(after, shown_y, p, True)) for x, p, after in _coordinates(shown_x, start)),
                *(sequence("V", gap, y, name(shown_x, after, parity, True))
                  for y, after in _merged(_coordinates(shown_y, start))),
                sequence(choice("l", "t"), gap, pair, unknown),
                sequence("c", gap, pair, comma, pair, comma, pair, unknown),
                sequence(choice("s", "q"), gap, pair, comma, pair, unknown),
                sequence(choice("h", "v"), gap, any_number, unknown),
                sequence("a", gap, arc, SIGN, characters("1-9"), Repeat(DIGIT, 0, 2), comma, any_number, unknown),
            ]  # fmt: skip
            if parity != "unknown":
                options.append(sequence("A", gap, arc, end_point(shown_x, shown_y, True, not_parity=parity)))
            if drawn:
                options += [sequence(choice("Z", "z"), unknown), sequence("M", gap, there)]
            body = sequence(gap, Choice(tuple(options)))
            rules[here.name] = choice(body, "") if drawn and (shown_x, shown_y) == ("d", "d") else body
    return rules | ends


# --- elements -------------------------------------------------------------------------------------------------------


def _shape(tag: str, kind: str):
    """One element: its geometry, then its looks in any order."""
    start, transform = KINDS[kind]
    if tag == "line":
        geometry = Rule(f"line-{start}")
    elif len(GEOMETRY[tag]) == 1:
        geometry = sequence(f' {GEOMETRY[tag][0]}="', Rule(f"{tag}-{start}"), '"')
    else:
        parts = []
        for i, name in enumerate(GEOMETRY[tag]):
            value = sequence(f' {name}="', Rule(start or "on-canvas") if i < 2 else Rule("size"), '"')
            may_lack = not start if i < 2 else name not in REQUIRED[tag]  # left out, a coordinate is 0
            parts.append(optional(value) if may_lack else value)
        geometry = sequence(*parts)
    return sequence(f"<{tag}", geometry, Rule(f"looks-{transform or 'still'}"))


def _looks() -> Rules:
    """The attributes of LOOKS in any order, none twice, and the tag's end: a rule for each set still to come.

    The end is in the same rule because a lexer is greedy: it takes the space before "/>" for the next attribute's.
    """
    rules: Rules = {}

    def add(name: str, end: Choice, start: tuple[str, ...], left: tuple[str, ...]) -> Rule:
        """`left`: the attributes of `start` not yet written. A transform that can still come must come."""
        full = "-".join([name, *(look for look in start if look not in left)])
        if full not in rules:
            value = {"fill": "colour", "stroke": "colour", "stroke-width": "size", "transform": name.rpartition("-")[2]}
            options = [
                sequence(f' {look}="', Rule(value.get(look, look)), '"', add(name, end, start, without(look, left)))
                for look in left
            ]
            rules[full] = choice(*([] if "transform" in left else [end]), *options)
        return Rule(full)

    def without(look: str, looks: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(other for other in looks if other != look)

    for kind, end in (("looks", choice("/>", " />")), ("g-looks", choice(">"))):
        for transform in ("still", *GROUPS.values()):
            start = LOOKS if transform != "still" else without("transform", LOOKS)
            add(f"{kind}-{transform}", end, start, start)
    return rules


def _blocks() -> Rules:
    """A comment, and a shape or a group; in a group further comments may be left out."""
    shape = choice(*(Rule(f"shape-{kind}") for kind in ("plain", "turned", "moved", "enlarged")))
    remark = optional(Rule("comment"), LINE)
    rules: Rules = {
        "svg": sequence(SVG_OPEN, LINE, Rule("blocks"), "</svg>"),
        "blocks": sequence(
            Rule("comment"), LINE, choice(shape, Rule(f"group-{DEPTH}")), LINE, optional(Rule("blocks"))
        ),
    }
    for depth in range(1, DEPTH + 1):
        child = choice(shape, *([Rule(f"group-{depth - 1}")] if depth > 1 else []))
        still = sequence("<g", Rule("g-looks-still"), LINE, Rule(f"inside-{depth}"))
        rules[f"inside-{depth}"] = sequence(remark, child, LINE, optional(Rule(f"inside-{depth}")))
        rules[f"group-{depth}"] = sequence(choice(still, *(Rule(f"{kind}-group") for kind in GROUPS)), "</g>")
    for kind, transform in GROUPS.items():
        inside = Rule(f"inside-{kind}")
        rules[f"{kind}-group"] = sequence("<g", Rule(f"g-looks-{transform}"), LINE, inside)
        rules[inside.name] = sequence(remark, Rule(f"shape-in-{kind}"), LINE, optional(inside))
    return rules
