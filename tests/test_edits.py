"""Edits and repairs: what they change, that they are legal and the same again; and what the judge lets pass."""

import json
import re
from random import Random

import pytest

from corpus import edits
from corpus.composing import things
from corpus.composing.held_out import is_held_out
from corpus.composing.scene import Item, Scene
from corpus.composing.shapes import SHAPES
from corpus.editing.drawing import drawing_of
from corpus.editing.referring import all_references
from corpus.editing.samples import WEIGHTS, samples
from corpus.editing.shades import DARKER, LIGHTER
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.svg.values import NAMED_COLOURS
from scoring import edits as judging
from scoring.editing.judge import is_shade, judge_edit
from scoring.edits import Change, judge
from svg_constraint import SVG_OPEN, check
from tests.paths import SHARED
from tests.scripts import constants_of, run_main

QWEN_DATA = SHARED / "data" / "svg_results.jsonl"
LEVELS = ["1", "2", "3"]


@pytest.fixture(scope="module")
def made():
    return list(samples(seed=5, count=300, levels=LEVELS, share_of_repairs=0.3, unseen=0.1))


def change_of(sample: dict) -> Change:
    return Change(sample["id"], sample["svg"], sample["svg_content"], sample.get("edit"), ("kind",))


def of_kind(made: list[dict], kind: str) -> dict:
    return next(sample for sample in made if sample.get("edit", {}).get("kind") == kind)


# --- the data -------------------------------------------------------------------------------------------------------


def test_answers_are_legal_and_short_and_every_kind_is_there(made):
    assert {sample["edit"]["kind"] for sample in made if "edit" in sample} == set(WEIGHTS)
    for sample in made:
        assert not check(extract_svg(sample["svg_content"])).violations
        assert 0 < len(extract_reasoning(sample["svg_content"]).split()) <= 40
        assert bool(check(sample["svg"]).violations) == ("task" in sample)


def test_an_edit_leaves_all_other_lines_as_they_are(made):
    for sample in made:
        if "edit" not in sample or sample["edit"]["kind"] == "time":
            continue
        before, after = sample["svg"].split("\n"), extract_svg(sample["svg_content"]).split("\n")
        gone, new = set(before) - set(after), set(after) - set(before)
        if sample["edit"]["kind"] in ("move", "scale", "rotate", "flip", "outline"):
            assert (len(gone), len(new)) == (1, 1) and len(before) == len(after)
        elif sample["edit"]["kind"] == "delete":
            assert not new and len(before) - len(after) > len(sample["edit"]["shapes"])
        elif sample["edit"]["kind"] in ("add", "duplicate"):
            assert not gone


def test_the_same_seed_gives_the_same_samples_however_many(made):
    assert list(samples(5, 20, LEVELS, 0.3, 0.1)) == made[:20]
    assert list(samples(6, 5, LEVELS, 0.3, 0.1)) != made[:5]


def test_combinations_that_are_held_out_are_in_groups_for_the_test_alone(made):
    """The colour of every thing, before and after, as its comment says it."""
    for sample in made:
        for svg in (sample["svg"] if "edit" in sample else "", extract_svg(sample["svg_content"])):
            for colour, thing in re.findall(r"<!-- (\w+) ([a-z ]+) -->", svg):
                if thing in {*SHAPES, *things.pictograms()} and is_held_out(("color", colour, thing)):
                    assert unseen_kind(sample["group"]) == "color", sample["id"]


def test_words_name_exactly_one_part():
    def item(thing: str, colour: str, x: int, r: int = 20) -> Item:
        return Item(thing, colour, ((x, 128),), r)

    two = drawing_of(Scene(1, (item("circle", "red", 64), item("circle", "blue", 192, 56)), background="yellow"))
    left = two.things()[0]
    found = all_references(Random(1), two, left)
    assert "name" not in found  # there are two circles
    assert found["color and name"] == ["the red circle"]
    assert {"the left one", "the left circle"} <= set(found["place"])
    assert {"the small one", "the small circle"} <= set(found["size"])
    both_red = drawing_of(Scene(1, (item("circle", "red", 64), item("square", "red", 80)), background="yellow"))
    found = all_references(Random(1), both_red, both_red.things()[0])
    assert found["name"] == ["the circle"] and "color" not in found and not found["place"] and not found["size"]


def test_shades_are_what_they_are_called():
    for table, sign in ((DARKER, -1), (LIGHTER, 1)):
        for colour, shade in table.items():
            assert is_shade(NAMED_COLOURS[colour.replace("-", "")], NAMED_COLOURS[shade], sign), colour


def test_the_script_writes_what_the_judge_reads(tmp_path, capsys):
    path = tmp_path / "edits.jsonl"
    run_main(edits, "--output", str(path), "--samples", "20", "--seed", "3", "--level", "1,2")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 20 and {line["id"].split("-")[1] for line in lines} == {"1", "2"}
    run_main(judging, "--input", str(path), "--json", "--baselines")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["samples"] == figures["edits"] + figures["repairs"] == 20
    assert figures["edits_right"] == figures["repaired"] == figures["legal"] == 1.0


@pytest.mark.skipif(not QWEN_DATA.is_file(), reason="no shared data")
def test_drawings_of_which_nothing_is_known_are_edited(tmp_path, capsys):
    path, drawings = tmp_path / "edits.jsonl", tmp_path / "drawings.jsonl"
    drawings.write_text("".join(QWEN_DATA.open(encoding="utf-8").readlines()[:40]), encoding="utf-8")
    run_main(edits, "--output", str(path), "--samples", "15", "--drawings", str(drawings))
    made = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({sample["id"] for sample in made}) == 15
    for sample in made:  # both sides of an edit are of the drawing's own group
        assert sample["group"] == f"drawing: {sample['id'].split('-')[1]}"
    run_main(judging, "--input", str(path), "--json")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures["edits_right"] == figures["repaired"] == figures["legal"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "OUTPUT is not given"),
        (("--output", "x.jsonl", "--level", "1,5"), "LEVEL has '5'"),
    ],
)
def test_what_is_wrong_is_said(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        constants_of(edits, *arguments)


def test_drawings_that_cannot_be_edited_are_said(tmp_path):
    table = tmp_path / "drawings.jsonl"
    table.write_text(json.dumps({"id": "a", "svg_content": "<svg></svg>"}) + "\n")
    with pytest.raises(UserError, match="no drawing that can be edited"):
        run_main(edits, "--output", str(tmp_path / "x.jsonl"), "--samples", "2", "--drawings", str(table))
    assert not (tmp_path / "x.jsonl").exists()


# --- the judge ------------------------------------------------------------------------------------------------------


def test_every_reference_is_right_and_no_copy_is(made):
    for sample in made[:150]:
        change = change_of(sample)
        assert judge(change, sample["svg_content"]).right, sample["id"]
        copied = judge(change, sample["svg"])
        assert not copied.right, sample["id"]
        assert copied.unchanged == ("edit" in sample)


def svg_of(*shapes: str) -> str:
    return "\n".join([SVG_OPEN, *(f"<!-- it -->\n{shape}" for shape in shapes), "</svg>"])


CIRCLE = '<circle cx="64" cy="128" r="32" fill="red"/>'
SQUARE = '<rect x="160" y="96" width="64" height="64" fill="green"/>'
BEFORE = svg_of(CIRCLE, SQUARE)
BLUE = {"kind": "recolour", "from": "red", "to": "blue", "shapes": [0]}


def verdict(edit: dict, *shapes: str) -> tuple[bool, bool]:
    judged = judge_edit(BEFORE, svg_of(*shapes), edit)
    return judged.holds, judged.unchanged


def test_a_right_answer_counts_however_it_is_written():
    for answer in (
        '<circle cx="64" cy="128" r="32" fill="#00f"/>',
        '<ellipse cx="0" cy="0" rx="8" ry="8" fill="rgb(0, 0, 250)" transform="translate(64,128) scale(4)"/>',
        '<path d="M96,128 A32,32 0 0 1 32,128 A32,32 0 0 1 96,128 Z" fill="blue"/>',
    ):
        assert verdict(BLUE, answer, SQUARE) == (True, True)


def test_faults_lose():
    blue = CIRCLE.replace("red", "blue")
    assert verdict(BLUE, CIRCLE, SQUARE) == (False, True)  # nothing changed, not even with another comment
    assert judge_edit(BEFORE, BEFORE.replace("<!-- it -->", "<!-- blue circle -->"), BLUE).holds is False
    assert verdict(BLUE, CIRCLE, SQUARE.replace("green", "blue")) == (False, False)  # the wrong part
    assert verdict(BLUE, blue, SQUARE.replace("green", "black")) == (True, False)  # another one, too
    assert verdict(BLUE, blue, SQUARE.replace("160", "150")) == (True, False)
    assert verdict(BLUE, blue.replace('r="32"', 'r="40"'), SQUARE) == (False, True)  # and larger
    assert verdict(BLUE, SQUARE) == (False, True)  # taken out in place of blue
    assert verdict(BLUE, blue) == (True, False)  # the other one is gone
    assert verdict(BLUE, CIRCLE.replace("red", "navy"), SQUARE)[0] is False
    assert verdict(BLUE, SQUARE, blue)[1] is False  # in another order of painting
    assert judge_edit(BEFORE, None, BLUE).holds is judge_edit(BEFORE, "<svg", BLUE).holds is False


def test_moves_are_judged_by_what_was_asked():
    def moved(x: int, y: int = 128, **edit: object) -> bool:
        said = {"kind": "move", "shapes": [0]} | edit
        return verdict(said, CIRCLE.replace('cx="64" cy="128"', f'cx="{x}" cy="{y}"'), SQUARE) == (True, True)

    assert moved(96, direction="right", by=None) and moved(80, direction="right", by=None)  # as far as it likes
    assert not moved(68, direction="right", by=None) and not moved(32, direction="right", by=None)
    assert not moved(96, 160, direction="right", by=None)
    assert moved(106, direction="right", by=40) and not moved(96, direction="right", by=40)
    assert moved(64, 60, place="top left") and not moved(64, 150, place="top left")


def test_sizes_turns_and_outlines_are_judged_by_what_was_asked():
    def of(kind: str, answer: str, **edit: object) -> bool:
        return verdict({"kind": kind, "shapes": [1]} | edit, CIRCLE, answer) == (True, True)

    larger, smaller = ('<rect x="144" y="80" width="96" height="96" fill="green"/>',
                       '<rect x="176" y="112" width="32" height="32" fill="green"/>')  # fmt: skip
    assert of("scale", larger, how="bigger", factor=None) and of("scale", smaller, how="smaller", factor=0.5)
    assert not of("scale", larger, how="smaller", factor=None) and not of("scale", larger, how="bigger", factor=2.0)
    assert not of("scale", '<rect x="144" y="80" width="96" height="64" fill="green"/>', how="bigger", factor=None)
    turned = '<polygon points="192,82.7 237.3,128 192,173.3 146.7,128" fill="green"/>'
    assert of("rotate", turned, angle=45) and not of("rotate", SQUARE, angle=45) and not of("rotate", turned, angle=30)
    lined = SQUARE.replace("/>", ' stroke="black" stroke-width="2"/>')
    assert of("outline", lined, to="black") and not of("outline", lined, to="red")
    assert not of("outline", lined.replace("green", "blue"), to="black")


def test_what_is_added_must_be_what_was_asked_and_one_thing():
    edit = {"kind": "add", "thing": "circle", "color": "blue", "size": "", "place": "top right", "shapes": []}
    before = svg_of(SQUARE)

    def added(*shapes: str) -> tuple[bool, bool]:
        judged = judge_edit(before, svg_of(SQUARE, *shapes), edit)
        return judged.holds, judged.unchanged

    right = '<circle cx="192" cy="48" r="32" fill="blue"/>'
    assert added(right) == (True, True)
    assert added() == (False, True)
    assert added(right.replace("blue", "red"))[0] is added(right.replace('cx="192"', 'cx="64"'))[0] is False
    assert added('<rect x="170" y="20" width="50" height="50" fill="blue"/>')[0] is False
    assert added(right, '<circle cx="40" cy="220" r="16" fill="red"/>')[1] is False


def test_repairs_must_be_legal_whole_and_alone(made):
    sample = next(s for s in made if s.get("faults") == ["quote"])
    change, svg = change_of(sample), extract_svg(sample["svg_content"])
    assert judge(change, svg).right  # also without a reasoning
    assert not judge(change, f"<reasoning>x</reasoning>\n```xml\n{svg}\n```").right
    assert not judge(change, svg.replace("</svg>", '<!-- more -->\n<circle r="90" fill="red"/>\n</svg>')).right
    assert not judge(change, svg.replace("256 256", "128 128", 1)).right


def test_the_judge_says_what_it_cannot_read(tmp_path):
    with pytest.raises(UserError, match="nothing to judge"):
        constants_of(judging)
    table = tmp_path / "drawings.jsonl"
    table.write_text(json.dumps({"id": "a", "description": "a", "svg_content": BEFORE}) + "\n")
    with pytest.raises(UserError, match="no edits and no repairs"):
        run_main(judging, "--input", str(table))
    table.write_text(json.dumps({"id": "a", "svg": BEFORE, "svg_content": BEFORE}) + "\n")
    with pytest.raises(UserError, match=r"drawings.jsonl:1: no 'edit'"):
        run_main(judging, "--input", str(table))
