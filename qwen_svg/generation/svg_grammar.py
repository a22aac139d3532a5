"""The grammar of answers that `svg_constraint.check` finds legal in the prompt dialect, for constrained decoding.

Made from the tables of svg_constraint.py. What depends on what is written already is a debt (grammar.py, svg_debts.py):
that a shape without a comment has the paint of the one before, that lines and arcs end elsewhere, that a shape shows
itself on the canvas, or else is moved there. The rest is narrower than the checker where that keeps it small:

    attributes    geometry first and in its order, then looks in any
    numbers       within ±999; decimals as the checker has them
    transforms    translate and rotate, up to two, then scale by 0.2 to 14, once from the drawing to a shape
    groups        three deep
    text          no <svg or <reasoning in the reasoning; `qwen_svg/generation/constrained.py` closes what runs on
    gradients     none: without id and offset they draw nothing in this dialect
"""

from functools import cache
from itertools import product
from typing import Any

from qwen_svg.generation import svg_debts as debts
from qwen_svg.generation.grammar import (
    Owed,
    Paid,
    Repeat,
    Rule,
    Rules,
    characters,
    choice,
    names,
    optional,
    sequence,
)
from qwen_svg.svg.values import NAMED_COLOURS
from svg_constraint import MAX_COMMENT, MAX_DECIMALS, PROMPT_TABLE, REQUIRED, SHAPES, SVG_OPEN

LOOKS = ("fill", "stroke", "stroke-width", "opacity", "transform")
GEOMETRY = {  # in the order they are written
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),  # or the sizes first
    "rect": ("x", "y", "width", "height", "rx", "ry"),
    "line": ("x1", "y1", "x2", "y2"),
    "polyline": ("points",),
    "polygon": ("points",),
    "path": ("d",),
}
assert GEOMETRY.keys() == SHAPES and all({*GEOMETRY[tag], *LOOKS} == PROMPT_TABLE[tag] for tag in SHAPES)
DEPTH = 3  # of <g> in <g>
MAX_SPACE = 100  # characters of white space between elements and sections

DIGIT = characters("0-9")
SIGN = optional(characters("+-"))
SPACE = characters(" \n\t")
GAP = Repeat(SPACE, 0, 12)  # where white space may stand within a value
BETWEEN = choice(sequence(Repeat(SPACE, 1, 12), optional(",", GAP)), sequence(",", GAP))  # numbers
LINE = optional(Rule("line"))
WORD = "a-zA-Z0-9\u00c0-\u05ff\u3040-\u9fff\uac00-\ud7a3"
OTHER = (  # no white space
    "\u00a1-\u00bf\u0900-\u167f\u1681-\u1fff\u2010-\u2027\u2030-\u205e\u2190-\u2bff\u3001-\u303f\ufe0f"
    "\U0001f000-\U0001faff"
)
MARKS = " !\"#$%&'()*+,./:;=?@[\\]^_`{|}~"


@cache
def answer_grammar() -> Rules:
    """Return the rules of a whole answer; `root` is the first."""
    rules: Rules = {"root": sequence(Rule("reasoning"), LINE, Rule("svg")), "line": Repeat(SPACE, 1, MAX_SPACE)}
    rules |= _texts() | _numbers() | _colours() | _transforms() | _paths() | _looks()
    for scaled, is_run in product((False, True), repeat=2):
        shapes = {_name("shape", tag, scaled, is_run): _shape(tag, scaled, is_run) for tag in GEOMETRY}
        rules |= {_name("shape", "", scaled, is_run): choice(*map(Rule, shapes)), **shapes}
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


def _name(kind: str, of: object, scaled: bool, is_run: bool = False) -> str:
    """Of a rule. scaled: something around it has a scale, so that it may have none. is_run: without a comment."""
    return "-".join(filter(None, (kind, str(of), "scaled" * scaled, "run" * is_run)))


def _texts() -> Rules:
    """The reasoning: no "<" that begins one of its own tags or the drawing. Comments: no "<", no "--", never empty."""
    # Behind "<" any letters but those that begin "svg" or "reasoning", told apart as early as they differ: no "v"
    # behind "<s", no "a" behind "<re", and so on.
    letters = characters("a-qt-zA-Z")
    tag_like = choice(letters, sequence("r", characters("a-df-z")), sequence("re", characters("b-z")),
                      sequence("s", characters("a-uw-z")))  # fmt: skip
    free = Repeat(characters(WORD + MARKS + OTHER + "\n\t>-"), 0, None)
    plain = characters(WORD + MARKS + OTHER + "\n>")
    hyphen = sequence("-", characters(WORD + MARKS + "\n"))
    first = characters((WORD + MARKS + OTHER).replace(" ", ""))
    return {
        "reasoning": sequence(
            "<reasoning>", LINE, first, free, Repeat(sequence("<", tag_like, free), 0, None), "</reasoning>"
        ),
        "comment": sequence(
            "<!--", Repeat(SPACE, 0, 4), first, Repeat(choice(plain, hyphen), 0, MAX_COMMENT // 2 - 5), "-->"
        ),
    }


def _numbers() -> Rules:
    decimals = sequence(".", Repeat(DIGIT, 1, MAX_DECIMALS))
    to_999 = sequence(characters("1-9"), Repeat(DIGIT, 0, 2))
    small = choice(characters("1-9"), sequence(characters("1-9"), DIGIT), sequence(characters("12"), DIGIT, DIGIT))
    above_0 = choice(
        sequence(characters("1-9"), Repeat(DIGIT, 0, 2)), sequence("0", characters("1-9"), Repeat(DIGIT, 0, 1)),
        sequence("00", characters("1-9")),
    )  # fmt: skip
    factor = choice(
        sequence(choice(characters("1-9"), sequence("1", characters("0-4"))), optional(decimals)),
        sequence(optional("0"), ".", characters("2-9"), Repeat(DIGIT, 0, 2)),
    )
    return {
        "amount": choice(sequence(choice("0", to_999), optional(decimals)), decimals),  # 0 to 999
        "number": sequence(SIGN, Rule("amount")),
        "next": choice(sequence(BETWEEN, Rule("number")), sequence("-", Rule("amount"))),  # behind another
        "size": choice(sequence(to_999, optional(decimals)), sequence(optional("0"), ".", above_0)),  # above 0
        "share": choice(sequence("1", optional(".", Repeat(choice("0"), 1, MAX_DECIMALS))), "0",
                        sequence(optional("0"), decimals)),
        "move": sequence(SIGN, choice(sequence(choice("0", small), optional(decimals)), decimals)),  # to ±299
        "factor": sequence(optional("-"), factor),  # 0.2 to 14
        "far": sequence(optional("-"), choice("0", sequence(characters("1-9"), Repeat(DIGIT, 0, 4)))),
    }  # fmt: skip


def _several(count: int) -> Any:
    """So many numbers."""
    return sequence(Rule("number"), *([Rule("next")] * (count - 1)))


def _more(count: int) -> Any:
    """So many behind others."""
    return sequence(*([Rule("next")] * count))


def _colours() -> Rules:
    hexadecimal = characters("0-9a-fA-F")
    byte = choice(
        characters("0-9"), sequence(characters("1-9"), DIGIT), sequence("1", DIGIT, DIGIT),
        sequence("2", characters("0-4"), DIGIT), sequence("25", characters("0-5")),
    )  # fmt: skip
    space = Repeat(choice(" "), 0, 2)
    comma = sequence(space, ",", space)
    hashed = sequence("#", Repeat(hexadecimal, 3, 3), optional(Repeat(hexadecimal, 3, 3)))
    rgb = sequence("rgb(", space, byte, comma, byte, comma, byte, space, ")")
    return {"colour": choice("none", hashed, rgb, *sorted(NAMED_COLOURS))}


# --- transforms -----------------------------------------------------------------------------------------------------


def _transforms() -> Rules:
    """Up to two moves, and then a scale where nothing around has one.

    So a product of three groups' and a shape's stays within what the checker takes, ±100,000, whatever the numbers;
    and so do `way_back` and what it leads to.
    """
    angle, move, factor, then = Rule("number"), Rule("move"), Rule("factor"), choice("", " ", ",", ", ")
    moves = choice(
        sequence("translate(", GAP, move, optional(BETWEEN, move), GAP, ")"),
        sequence("rotate(", GAP, angle, optional(BETWEEN, move, BETWEEN, move), GAP, ")"),
    )
    scale = sequence("scale(", GAP, factor, optional(BETWEEN, factor), GAP, ")")
    few_moves = sequence(Rule("moves"), optional(then, Rule("moves")))
    with_scale = sequence(Repeat(sequence(Rule("moves"), then), 0, 2), scale)
    back = Rule("way-back")
    shown = choice(Paid(debts.way_back), Owed(debts.way_back, sequence(" ", back)))
    return {
        "moves": moves,
        "group-moves": few_moves,
        "group-scale": with_scale,
        "transform": choice(sequence(choice(few_moves, with_scale), shown), Owed(debts.way_back, back)),
        "way-back": sequence("matrix(1 0 0 1 ", Rule("far"), " ", Rule("far"), ")"),
        "transform-scaled": choice(sequence(few_moves, shown), Owed(debts.way_back, back)),
    }


# --- geometry -------------------------------------------------------------------------------------------------------


def _paths() -> Rules:
    """Path data: M first, something drawn. Arguments may be repeated without the letter."""
    flag = sequence(BETWEEN, characters("01"))
    arc = sequence(
        Rule("size"), BETWEEN, Rule("size"), Rule("next"), flag, flag, Rule("next"), Rule("next"),
        Paid(debts.other_point),
    )  # fmt: skip
    drawn = [sequence(choice("A", "a"), GAP, arc, Repeat(sequence(BETWEEN, arc), 0, None))]
    for letters, count in (("LlTt", 2), ("HhVv", 1), ("Cc", 6), ("SsQq", 4)):
        again = Repeat(_more(count), 0, None)
        drawn.append(sequence(characters(letters), GAP, _several(count), again))
    start = sequence(characters("Mm"), GAP, _several(2))
    closed = optional(GAP, characters("Zz"))
    further = choice(Rule("drawn"), sequence(Rule("start"), Repeat(_more(2), 0, None)))
    return {
        "start": start,
        "drawn": choice(*drawn),
        "path": sequence(
            GAP, Rule("start"), choice(Repeat(_more(2), 1, None), sequence(GAP, Rule("drawn"))), closed,
            Repeat(sequence(GAP, further, closed), 0, None), GAP,
        ),
    }  # fmt: skip


def _points(least: int) -> Any:
    return sequence(GAP, _several(2), Repeat(_more(2), least - 1, None), GAP)


def _geometry(tag: str) -> Any:
    if tag == "path":
        return sequence(' d="', Rule("path"), '"', Paid(debts.fewer))
    if tag in ("polyline", "polygon"):
        return sequence(' points="', _points(2 if tag == "polyline" else 3), '"', Paid(debts.fewer))
    if tag == "line":
        *starts, last = GEOMETRY[tag]
        values = [q for name in starts for q in (f' {name}="', Rule("number"), '"')]
        return sequence(*values, f' {last}="', Rule("number"), Paid(debts.other_end), '"')
    parts = []
    for i, name in enumerate(GEOMETRY[tag]):
        needed = name in REQUIRED[tag]
        value = sequence(f' {name}="', Rule("size" if needed else "number" if i < 2 else "amount"), '"')
        parts.append(value if needed else optional(value))
    whole = sequence(*parts)
    return choice(whole, sequence(*parts[2:], *parts[:2])) if tag == "ellipse" else whole


# --- elements -------------------------------------------------------------------------------------------------------


def _shape(tag: str, scaled: bool, is_run: bool) -> Any:
    """One element: its geometry, then its looks in any order."""
    return sequence(f"<{tag}", _geometry(tag), Rule(_name("looks", "", scaled, is_run)))


VALUES = {"fill": "colour", "stroke": "colour", "stroke-width": "amount", "opacity": "share"}


def _looks() -> Rules:
    """The attributes of LOOKS in any order, none twice, and the tag's end: a rule for each set still to come.

    The end is in the same rule because a lexer is greedy: it takes the space before "/>" for the next attribute's.
    """
    rules: Rules = {}
    paints = {"fill": debts.fill, "stroke": debts.stroke}

    def add(name: str, transform: str, end: Any, owed: tuple[str, ...], left: tuple[str, ...]) -> Rule:
        """owed: paints that must be the ones of the shape before. left: the attributes not yet written."""
        full = "-".join([name, *(look for look in LOOKS if look not in left)])
        if full in rules:
            return Rule(full)
        rules[full] = None  # its place, before those it names
        options = []
        if closing := end(left):
            options.append(sequence(*(Paid(paints[paint]) for paint in owed if paint in left), closing))
        for look in left:
            value = sequence(f' {look}="', Rule(VALUES.get(look, transform)), '"')
            after = add(name, transform, end, owed, tuple(other for other in left if other != look))
            options.append(sequence(Owed(paints[look], value) if look in owed else value, after))
            if look == "transform" and name.startswith("looks"):
                options.append(sequence(Owed(debts.way_back, sequence(' transform="', Rule("way-back"), '"')), after))
        rules[full] = choice(*options)
        return Rule(full)

    def shape_end(left: tuple[str, ...]) -> Any:
        end = choice("/>", " />")
        return sequence(Paid(debts.way_back), end) if "transform" in left else end

    for scaled, is_run in product((False, True), repeat=2):
        name = _name("looks", "", scaled, is_run)
        add(name, _name("transform", "", scaled), shape_end, tuple(paints) if is_run else (), LOOKS)
    add("group-looks", "group-moves", lambda left: ">", (), LOOKS)
    add("group-scaled-looks", "group-scale", lambda left: None if "transform" in left else ">", (), LOOKS)
    return rules


def _blocks() -> Rules:
    """What stands in the drawing and in groups, by the depth that groups in it may have.

    A block is a <g> with all it holds, or a run of shapes with one fill and stroke, and needs a comment before it. In
    a <g> that has its comment anything may stand, in one that has none there are blocks again.
    """
    rules: Rules = {"svg": sequence(SVG_OPEN, LINE, Rule(f"bare-{DEPTH}"), "</svg>")}
    remark = sequence(Rule("comment"), LINE)
    for depth, scaled in product(range(DEPTH + 1), (False, True)):

        def rule(kind: str, depth: int = depth, scaled: bool = scaled) -> Rule:
            return Rule(_name(kind, depth, scaled))

        def groups(inside: str, depth: int = depth, scaled: bool = scaled) -> list:
            """<g> with a transform that scales or one that does not, and what `inside` it has."""
            kinds = ([] if scaled else [("group-scaled-looks", True)]) + [("group-looks", scaled)] if depth else []
            return [
                sequence("<g", Rule(looks), LINE, Rule(_name(inside, depth - 1, within)), "</g>", LINE)
                for looks, within in kinds
            ]

        shape = sequence(Rule(_name("shape", "", scaled)), LINE)
        same = sequence(Rule(_name("shape", "", scaled, True)), LINE)
        opened = [sequence(group, rule("on")) for group in groups("bare")]
        block = [sequence(remark, rule("said")), sequence(shape, rule("run"))]
        block += [sequence(group, rule("on")) for group in groups("inside")]
        child = [sequence(part, rule("rest")) for part in (shape, *groups("inside"))]
        rules |= {
            rule("bare").name: choice(sequence(remark, rule("said")), *opened),  # a block must come
            rule("said").name: choice(*block),  # its comment is there
            rule("run").name: choice("", sequence(same, rule("run")), sequence(remark, rule("told")), *opened),
            rule("on").name: choice("", sequence(remark, rule("told")), *opened),  # another block may come
            rule("told").name: choice("", sequence(remark, rule("told")), *block[1:]),
            rule("inside").name: choice(sequence(remark, rule("inside")), *child),  # of a group with its comment
            rule("rest").name: choice("", sequence(remark, rule("rest")), *child),
        }
    return rules
