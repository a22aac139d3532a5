"""The grammar of legal answers, and decoding that is constrained by it."""

import json
import random
import re

import pytest
import torch

from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.generation.constrained import MAX_COMMENT, GrammarConstraint, _automaton, grammar_for, tokens_needed
from qwen_svg.generation.engine import generate_answers
from qwen_svg.generation.grammar import Automaton, Due, State, to_lark
from qwen_svg.generation.svg_debts import nearly_full
from qwen_svg.generation.svg_grammar import answer_grammar
from qwen_svg.model.load import load_base
from svg_constraint import SVG_OPEN, check
from tests.paths import ROOT, SHARED
from tests.tiny import make_prompts

HEAD = f"<reasoning>\n1. A circle. Use <rect>, <ellipse>.\n</reasoning>\n\n{SVG_OPEN}\n<!-- gold -->\n"


@pytest.fixture(scope="module")
def automaton():
    return Automaton(answer_grammar())


def belongs(automaton: Automaton, text: str) -> bool:
    return automaton.is_complete(automaton.advance(automaton.start, text))


@pytest.mark.parametrize(
    "body",
    [
        '<circle cx="128" cy="128" r="40" fill="gold"/>',
        '<rect width="256" height="256" fill="skyblue"/>',
        '<path d="M0 180Q128 120 256 180L256 256L0 256Z" fill="#3c5a2a" opacity="0.5"/>',
        '<path d="M 10 10 A 5 5 0 0 1 21 10 Z" stroke="red" stroke-width="2" fill="none"/>',
        '<line x1="0" y1="200" x2="256" y2="200" stroke="black" stroke-width="1.5"/>',
        '<polygon points="0,256 256,256 128,40" fill="rgb" />'.replace("rgb", "tan"),
        '<ellipse cx="128" cy="100" rx="30" ry="20" transform="rotate(45 128 128)" fill="red"/>',
        '<g transform="translate(100, 80) rotate(30)"><circle cx="0" cy="0" r="9"/><rect x="5" y="-5" width="9" height="9"/></g>',  # noqa: E501
        '<path d="M0,4 V-8 H3" fill="red" transform="translate(32,224) scale(7)"/>',
        '<g fill="red" transform="translate(200,48) scale(3)"><circle cx="-4" cy="4" r="9"/><rect x="0" y="-4" width="5" height="9"/></g>',  # noqa: E501
        '<rect width="9" height="9" fill="red"/>\n<circle r="4" fill="red" opacity=".7"/><path d="M1 1H9" fill="red"/>',
        '<circle r="4" stroke="#Ab0"/>\n\n\t<circle r="5" opacity="1.0" stroke="#Ab0"/>',
        '<circle r="4"/><!-- red --><circle r="4" fill="red"/>',
        '<g transform="translate(10,10)"><circle cx="200" cy="30" r="4"/></g>',
        '<rect x="20" y="30" width="9" height="9" transform="rotate(-5, 24.5, 34)" fill="rgb(10, 20, 255)"/>',
        '<ellipse cx="40" cy="50" rx="9" ry="3" transform="rotate(30 40 50)"/>',
        '<rect x="-20" y="-20" width="40" height="40" transform="rotate(-20) translate(20, 10) scale(.5 1)"/>',
        '<line x1="40" y1="20" x2="40" y2="120" stroke="red"/><line x1="20" y1="7" x2="80" y2="7" stroke="red"/>',
        '<polyline points="10, 20, 30, 40 50,60"/>',
        '<path d="m20,30 a5 5 0 0 1 10 0 5 5 0 0 1-10 0z M40 40 V60 A 8 8, 0, 1, 0, 40 40 C1 2 3 4 5 6, 1 2 3 4 5 6"/>',
        '<g><!-- eye --><circle r="4"/><circle r="3"/></g>\n<!-- hand --><path d="M-9-9h4" transform="rotate(180)"/>',
        '<g fill="red">\n  <g opacity="0.5">\n    <!-- dot -->\n    <circle r="30"/>\n  </g>\n</g>',
    ],
)
def test_what_people_draw_belongs_to_the_grammar(automaton, body):
    text = f"{HEAD}{body}\n</svg>"
    assert check(extract_svg(text)).valid
    assert belongs(automaton, text)


@pytest.mark.parametrize(
    "body",
    [
        "",
        '<circle cx="128" cy="128" r="0"/>',
        '<circle cx="128" cy="128" r="4" fill="cerulean"/>',
        '<circle cx="128" cy="128" r="4" fill="red" fill="blue"/>',
        '<circle cx="300" cy="128" r="4"/>',
        '<polygon points="0,0 256,0 128,0"/>',  # never below the upper edge
        '<path d="M10 10"/>',
        '<path d="M10 10A5 5 0 0 1 10 10"/>',
        '<path d="M300 300L400 400"/>',
        '<line x1="4" y1="9" x2="4" y2="9"/>',
        '<circle cx="9" cy="9" r="4" transform="rotate(90)"/>',
        '<g transform="translate(300 0)"><circle r="4"/></g>',
        '<g transform="translate(32 32) scale(7)"><circle cx="-40" cy="4" r="4"/></g>',
        '<text x="1" y="1"/>',
        '<circle r="4" fill="red"/><circle r="4" fill="tan"/>',  # a block of its own, without comment
        '<circle r="4" fill="red"/><circle r="4"/>',
        '<circle r="4" fill="red"/><g><circle r="4" fill="red"/></g>',
        '<circle r="4" fill="rgb(256,0,0)"/>',
        '<line x1="4" y1="9" x2="4.0" y2="9.000"/>',
        '<path d="m10 10h5a5 5 0 0 1 0 0"/>',
        '<path d="M10 10H15A5 5 0 0 1 15 10"/>',
        '<circle r="4" transform="translate(-64,-64)"/>',
        '<g transform="scale(-1 1)"><rect x="9" y="9" width="5" height="5"/></g>',
        f'<polyline points="{"1 2 " * 1001}"/>',
        f'<path d="M1 1{"h1" * 2000}"/>',
        '<circle r="4"/></svg>',
        '<use href="#a"/>',
    ],
)
def test_what_the_checker_refuses_does_not(automaton, body):
    assert not belongs(automaton, f"{HEAD}{body}\n</svg>")


@pytest.mark.parametrize(
    "comment", ["<!---->", "<!-- -->", "<!-- a -- b -->", "<!--> -->", "<!-- <b> -->", "<!-- a --->", "<!-- \u3000-->"]
)
def test_comments_are_safe(automaton, comment):
    text = f'<reasoning>a</reasoning>{SVG_OPEN}{comment}<circle r="4"/></svg>'
    assert not belongs(automaton, text)


def random_text(automaton: Automaton, length: int, choose: random.Random) -> tuple[str, State]:
    """Walk through the grammar at random behind the reasoning, with a bias out of comments; may stop anywhere."""
    text = "<reasoning>a</reasoning><svg"
    state = automaton.advance(automaton.start, text)
    while len(text) < length:
        options = set()
        for first, _ in state.threads - {None}:
            if isinstance(first, int):
                options |= {chr(choose.randint(ord(a), ord(b))) for a, b in automaton.parts[first].ranges}
            else:
                options.add((first.text if isinstance(first, Due) else first)[0])
        if not options:
            break
        character = "-" if "-" in options and choose.random() < 0.2 else choose.choice(sorted(options))
        after = automaton.advance(state, character)
        if after.threads:  # else it is a last digit with which a line or an arc would end where it starts
            text, state = text + character, after
    return text, state


def test_every_text_of_the_grammar_is_legal_wherever_it_is_closed(automaton):
    choose = random.Random(0)
    for _ in range(250):
        text, state = random_text(automaton, choose.randint(30, 2500), choose)
        whole = text + automaton.completion(state)
        verdict = check(extract_svg(whole))
        assert verdict.valid, (whole, verdict.violations)
        assert extract_reasoning(whole) == "a"


def test_the_library_reads_the_same_grammar(automaton, tokenizer):
    import llguidance
    import llguidance.hf

    matcher = llguidance.LLMatcher(llguidance.hf.from_tokenizer(tokenizer), to_lark(answer_grammar()))
    assert not matcher.get_error()
    choose = random.Random(1)
    for _ in range(40):
        text, state = random_text(automaton, choose.randint(300, 1200), choose)
        tokens = tokenizer.encode(text + automaton.completion(state), add_special_tokens=False)
        row = matcher.deep_copy()
        assert row.try_consume_tokens(tokens) == len(tokens)
        assert row.is_accepting()


@pytest.fixture(scope="module")
def model(tiny_base):
    return load_base(str(tiny_base), torch.device("cpu"), torch.float32)


def answers(model, tokenizer, count: int, budget: int, temperature: float = 1.5):
    prompts = make_prompts(tokenizer, count)
    return generate_answers(model, tokenizer, prompts, 10_000, budget, 24, temperature, 0, "", constrained=True)


@pytest.mark.parametrize("budget", [0, 150, 600])
def test_a_random_model_draws_legally_whatever_the_budget(model, tokenizer, budget):
    """Budget 0 stands for the smallest there is. Without the grammar none of these is legal."""
    budget = tokens_needed(tokenizer) + budget
    for answer in answers(model, tokenizer, 24, budget):
        assert answer.tokens <= budget
        assert extract_reasoning(answer.text) is not None
        verdict = check(extract_svg(answer.text))
        assert verdict.valid, (answer.text, verdict.violations)
        comments = answer.text.split("<!--")[1:]
        assert all(len(comment.split("-->")[0]) < MAX_COMMENT + 40 for comment in comments)


def test_greedy_decoding_is_legal_too(model, tokenizer):
    assert all(check(extract_svg(answer.text)).valid for answer in answers(model, tokenizer, 4, 500, temperature=0.0))


def test_a_budget_too_small_for_any_answer_is_one_sentence(model, tokenizer):
    with pytest.raises(UserError, match="room for 40"):
        answers(model, tokenizer, 1, 40)


@pytest.mark.parametrize(
    ("path", "least"), [(ROOT / "data" / "twemoji.jsonl", 0.995), (SHARED / "data" / "svg_results.jsonl", 0.95)]
)
def test_what_is_taught_and_what_is_real_belongs_to_the_grammar(automaton, path, least):
    if not path.is_file():
        pytest.skip(f"there is no {path.name}")
    texts = [json.loads(line)["svg_content"] for line in path.read_text(encoding="utf-8").splitlines()]
    legal = [text for text in texts if check(extract_svg(text) or "").valid]
    share = sum(belongs(automaton, text) for text in legal) / len(legal)
    assert share >= least, share


def test_what_is_owed_is_said_and_nothing_else(automaton):
    """The paint of the run, and the way back to the canvas."""
    text = f'{HEAD}<circle r="4" fill="red" stroke="tan"/><path d="M300 300h9"'
    state = automaton.advance(automaton.start, text)
    assert not automaton.advance(state, "/").threads and not automaton.advance(state, ' fill="r"').threads
    closing = automaton.completion(state)
    assert set(re.findall('fill="red"|stroke="tan"|matrix', closing)) == {'fill="red"', 'stroke="tan"', "matrix"}
    assert check(extract_svg(text + closing)).valid


def test_a_digit_that_would_end_a_line_at_its_start_is_not_taken(automaton):
    state = automaton.advance(automaton.start, f'{HEAD}<line x1="0" y1="0.001" x2="0" y2="0.00')
    assert not automaton.advance(state, "1").threads and automaton.advance(state, "2").threads
    assert check(extract_svg(state.text + automaton.completion(state))).valid


@pytest.mark.parametrize(
    ("tag", "value", "more", "most"), [("polygon points", "1 2", " 7 9", 1000), ("path d", "M1 2", "h9", 2000)]
)
def test_points_and_commands_end_before_the_checker_stops_reading(tokenizer, tag, value, more, most):
    assert not nearly_full(value + more * (most * 9 // 10))
    grammar = grammar_for(tokenizer, len(tokenizer), (tokenizer.eos_token_id,))
    row = GrammarConstraint(tokenizer, grammar, 100_000, tokens_needed(tokenizer))
    row.state = _automaton().advance(row.state, f'{HEAD}<{tag}="{value}{more * (most - 20)}')
    allowed = row.mask(len(tokenizer)).nonzero()[0]
    assert [tokenizer.decode(token) for token in allowed] == ['"']
