"""The grammar of legal answers, and decoding that is constrained by it."""

import json
import random
import re

import pytest
import torch

from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.generation.constrained import MAX_COMMENT, tokens_needed
from qwen_svg.generation.engine import generate_answers
from qwen_svg.generation.grammar import Automaton, Characters, Literal, to_lark
from qwen_svg.generation.svg_grammar import answer_grammar
from qwen_svg.model.load import load_base
from svg_constraint import SVG_OPEN, check
from tests.paths import ROOT
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
        '<circle cx="9" cy="9" r="4" transform="rotate(180 128 128)"/>',
        '<g transform="translate(300 0)"><circle r="4"/></g>',
        '<g transform="translate(32 32) scale(7)"><circle cx="-40" cy="4" r="4"/></g>',
        '<text x="1" y="1"/>',
        '<circle r="4"/></svg>',
        '<use href="#a"/>',
    ],
)
def test_what_the_checker_refuses_does_not(automaton, body):
    assert not belongs(automaton, f"{HEAD}{body}\n</svg>")


@pytest.mark.parametrize(
    "comment", ["<!---->", "<!-- -->", "<!-- a -- b -->", "<!--> -->", "<!-- <b> -->", "<!-- a --->"]
)
def test_comments_are_safe(automaton, comment):
    text = f'<reasoning>a</reasoning>{SVG_OPEN}{comment}<circle r="4"/></svg>'
    assert not belongs(automaton, text)


def random_text(automaton: Automaton, length: int, choose: random.Random) -> tuple[str, frozenset]:
    """Walk through the grammar at random behind the reasoning, with a bias out of comments; may stop anywhere."""
    text = "<reasoning>a</reasoning><svg"
    state = automaton.advance(automaton.start, text)
    while len(text) < length:
        options = set()
        for thread in state - {None}:
            part = automaton.parts[thread[0]]
            if isinstance(part, Literal):
                options.add(part.text[0])
            elif isinstance(part, Characters):
                options |= {chr(choose.randint(ord(a), ord(b))) for a, b in part.ranges}
        if not options:
            break
        character = "-" if "-" in options and choose.random() < 0.2 else choose.choice(sorted(options))
        text += character
        state = automaton.advance(state, character)
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


def test_demo_drawings_belong_to_the_grammar_mostly(automaton):
    """Once each shape of a block has its comment, as the grammar wants it."""
    path = ROOT / "data" / "twemoji.jsonl"
    if not path.is_file():
        pytest.skip("the demo data has not been built")
    texts = [json.loads(line)["svg_content"] for line in path.read_text(encoding="utf-8").splitlines()[::40]]
    commented = [re.sub(r"/>\n(?=<\w)", "/>\n<!-- another, the same -->\n", text) for text in texts]
    share = sum(belongs(automaton, text) for text in commented) / len(texts)
    assert share > 0.9, share
