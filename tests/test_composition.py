"""Composition: each thing done to a drawing loses the claims that it breaks, and no others."""

import json
import re
from itertools import pairwise

import pytest

from corpus import compose
from prompt_template import extract_svg
from qwen_svg.common.errors import UserError
from scoring import composition
from scoring.candidate import Candidate
from scoring.composition import claims_of
from scoring.scene.claims import read_claims
from scoring.scene.colour import BASIC
from scoring.scene.vocabulary import COLOURS
from svg_constraint import SVG_OPEN
from tests.scripts import constants_of, run_main

TWO = "a large red circle to the left of a small blue square on a yellow background"
PAPER = '<rect width="256" height="256" fill="yellow"/>'
CIRCLE = '<circle cx="72" cy="128" r="56" fill="red"/>'
SQUARE = '<rect x="172" y="108" width="40" height="40" fill="blue"/>'
APPLE = '<g fill="red" transform="translate({x},128) scale(3)"><circle cy="1" r="7"/><path d="M0,-4 Q0,-8 6,-8 Q5,-4 0,-4 Z" fill="green"/></g>'  # noqa: E501


def broken(description: str, *shapes: str) -> set[str]:
    """Return the claims that do not hold of the shapes, as "kind text"."""
    svg = f"{SVG_OPEN}{''.join(shapes)}</svg>"
    return {f"{claim.kind} {claim.text}" for claim in claims_of(description, svg) if not claim.holds}


def apples(*xs: int) -> list[str]:
    return [APPLE.format(x=x) for x in xs]


def test_every_colour_that_a_paint_is_called_can_be_read():
    assert set(BASIC) <= set(COLOURS.values())


def test_a_true_drawing_holds_all():
    assert broken(TWO, PAPER, CIRCLE, SQUARE) == set()
    assert len(claims_of(TWO, f"{SVG_OPEN}{PAPER}{CIRCLE}{SQUARE}</svg>")) == 8


def test_swapped_colours_lose_the_colours():
    swapped = [CIRCLE.replace("red", "blue"), SQUARE.replace("blue", "red")]
    assert broken(TWO, PAPER, *swapped) == {"color red circle", "color blue square"}


def test_a_mirrored_relation_loses_the_relation():
    mirrored = [CIRCLE.replace("72", "184"), SQUARE.replace("172", "44")]
    assert broken(TWO, PAPER, *mirrored) == {"relation circle left square"}


def test_other_sizes_and_another_background_lose_these():
    smaller = CIRCLE.replace("56", "20")
    assert broken(TWO, PAPER, smaller, SQUARE) == {"size large circle"}
    assert broken(TWO, PAPER.replace("yellow", "teal"), CIRCLE, SQUARE) == {"background yellow"}


def test_a_missing_third_apple_loses_the_count():
    three = "three small red apples on the table".removesuffix(" on the table")
    assert broken(three, *apples(48, 128, 208)) == set()
    assert broken(three, *apples(48, 128)) == {"count 3 apple"}
    assert broken(three, *apples(40, 100, 160, 216)) == {"count 3 apple"}


def test_what_is_hidden_is_not_there():
    hidden = {"thing square", "color blue square", "size small square", "relation circle left square"}
    cover = '<circle cx="192" cy="128" r="36" fill="red"/>'
    assert broken("a small blue square to the right of a red circle", SQUARE, cover) >= {"thing square"}
    assert broken(TWO, PAPER, CIRCLE, SQUARE, PAPER) >= hidden | {"thing circle"}
    assert broken(TWO, SQUARE, PAPER, CIRCLE) == hidden


def test_comments_and_names_count_for_nothing():
    named = broken(TWO, PAPER, CIRCLE, "<!-- small blue square -->", '<g id="square"></g>')
    assert "thing square" in named and "thing circle" not in named


def test_one_giant_rectangle_is_none_of_the_things():
    giant = '<rect width="256" height="256" fill="red"/>'
    assert {"thing circle", "thing square", "color red circle"} <= broken(TWO, giant)


def test_another_ones_drawing_holds_what_they_share():
    other = ['<circle cx="64" cy="64" r="56" fill="red"/>', '<path d="M192,120 l56,112 h-112 z" fill="black"/>']
    found = broken(TWO, PAPER, *other)
    assert found == {"thing square", "color blue square", "size small square", "relation circle left square"}


def test_nothing_is_asked_for_twice_in_vain():
    """A drawing full of circles at all places does not satisfy what is said of one."""
    everywhere = [f'<circle cx="{x}" cy="{y}" r="20" fill="red"/>' for x in (48, 128, 208) for y in (48, 128, 208)]
    assert broken("a small red circle in the upper left corner", *everywhere) == {"place circle top left"}


@pytest.mark.parametrize(
    "body",
    [
        '<path d="M72,72 A56,56 0 1 1 72,184 A56,56 0 1 1 72,72 Z" fill="#f00"/><polygon points="172,108 212,108 212,148 172,148" fill="#00f"/>',  # noqa: E501
        '<g fill="blue"><rect x="172" y="108" width="20" height="40"/><path d="M192,108 h20 v40 h-20 z"/></g>'
        '<g transform="translate(72 128) scale(56)"><ellipse rx="1" ry="1" fill="rgb(250, 10, 10)"/></g>',
        '<path d="M72,72 A56,56 0 1 1 72,184 A56,56 0 1 1 72,72 Z" fill="red" stroke="red"/><line x1="172" x2="212" y1="128" y2="128" stroke="blue" stroke-width="40"/>',  # noqa: E501
    ],
)
def test_it_does_not_matter_how_it_is_drawn(body):
    assert broken(TWO, PAPER, body) == set()


def test_behind_and_inside_are_seen():
    sun, cloud = (
        '<circle cx="96" cy="96" r="56" fill="red"/>',
        '<rect x="104" y="104" width="80" height="80" fill="blue"/>',
    )
    assert broken("a red circle behind a blue square", sun, cloud) == set()
    assert broken("a red circle in front of a blue square", sun, cloud) == {"relation circle before square"}
    small = '<circle cx="144" cy="144" r="16" fill="red"/>'
    assert broken("a red circle inside a blue square", cloud, small) == set()
    assert broken("a blue square inside a red circle", cloud, small) == {"relation square inside circle"}


@pytest.mark.parametrize(
    ("description", "unread"),
    [
        ("a lighthouse overlooking the ocean", []),
        ("a purple forest at dusk", []),
        ("a bicycle leaning on a red wooden fence", ["bicycle leaning", "wooden fence"]),
        ("Three red apples and two green cups.", []),
        ("2 bottles, 3 umbrellas and 4 clocks", []),  # these three are like SGP-CompBench's
        ("2 stop signs and 2 boats", ["stop signs"]),
        ("a wooden cup and a fabric airplane", ["wooden", "fabric"]),
    ],
)
def test_what_cannot_be_read_is_named(description, unread):
    assert read_claims(description).unread == unread


def test_words_of_what_is_not_known_are_not_given_to_something_else():
    claims = read_claims("a red bicycle next to a blue house")
    assert [(phrase.thing, phrase.colour) for phrase in claims.phrases] == [("house", "blue")]
    assert not claims.relations and not claims.background


def test_a_relation_to_something_unknown_is_none():
    """ "it" is the outline of a folder, which is no thing that is known, and so is what stands behind it."""
    text = "a black outline folder with an orange L-shaped element behind it"
    assert read_claims(text).relations == []
    assert claims_of(text, f'{SVG_OPEN}<circle cx="99" cy="99" r="50"/></svg>') == []


def test_no_drawing_holds_nothing_and_no_text_makes_it_fail():
    assert composition.score([Candidate("", TWO), Candidate("<svg", TWO), Candidate("<svg></svg>", TWO)]) == [0, 0, 0]
    bomb = '<!DOCTYPE svg [<!ENTITY a "aaaa">]><svg xmlns="http://www.w3.org/2000/svg"><rect width="&a;"/></svg>'
    assert composition.score([Candidate(bomb, TWO)]) == [0]
    with pytest.raises(UserError, match="description"):
        composition.score([Candidate(CIRCLE)])


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    path = tmp_path_factory.mktemp("scenes") / "scenes.jsonl"
    run_main(compose, "--output", str(path), "--samples", "60", "--seed", "3")
    return path


def test_references_hold_and_answers_are_put_in_their_place(scenes, tmp_path, capsys):
    run_main(composition, "--input", str(scenes), "--json")
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert figures.keys() == {"samples", "claims", "hold", "unread"}
    assert figures["samples"] == 60 and figures["hold"] >= 0.99 and figures["unread"] == 0

    records = [json.loads(line) for line in scenes.read_text().splitlines()]
    shifted = [(one["id"], other["svg_content"]) for one, other in pairwise(records)]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("".join(json.dumps({"id": id, "answer": answer}) + "\n" for id, answer in shifted))
    run_main(composition, "--input", str(scenes), "--answers", str(answers), "--json")
    others = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert others["claims"] == figures["claims"] and others["hold"] < 0.35
    answers.write_text('{"id": "nobody", "answer": "<svg/>"}\n')
    with pytest.raises(UserError, match="nobody"):
        run_main(composition, "--input", str(scenes), "--answers", str(answers))


def test_comments_of_the_references_make_no_difference(scenes):
    for line in scenes.read_text().splitlines()[:12]:
        record = json.loads(line)
        svg = extract_svg(record["svg_content"])
        bare = re.sub("<!--.*?-->", "", svg)
        assert claims_of(record["description"], bare) == claims_of(record["description"], svg)


def test_nothing_to_score_is_one_sentence():
    with pytest.raises(UserError, match="nothing to score"):
        constants_of(composition)
