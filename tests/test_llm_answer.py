"""Reasoning and comments by a language model: nothing that is not legal, or draws something else, gets through."""

from functools import partial

import pytest

from corpus.chat_endpoint import ChatEndpoint
from corpus.llm_answer import answer_for
from prompt_template import build_prompt, extract_reasoning, extract_svg
from qwen_svg.common.errors import UserError
from svg_constraint import SVG_OPEN, check
from tests.chat_server import chat_server, completion

SVG = (
    f'{SVG_OPEN}\n<!-- gold circle -->\n<circle cx="128" cy="128" r="80" fill="gold"/>\n'
    '<!-- black circles -->\n<circle cx="100" cy="110" r="9"/>\n<circle cx="156" cy="110" r="9"/>\n</svg>'
)
COMMENTED = SVG.replace("gold circle", "the head, gold").replace("black circles", "two black eyes")
STEPS = "\n".join(f"{i}. Step" for i in range(1, 8))
GOOD = f"<reasoning>\n{STEPS}\n</reasoning>\n\n{COMMENTED}"

FAULTS = {
    "an illegal tag": (GOOD.replace("</svg>", "<!-- a title --><text>hi</text></svg>"), "not legal: tag", "<text>"),
    "no comments": (f"<reasoning>{STEPS}</reasoning>" + SVG.replace("<!-- gold circle -->", ""),
                    "not legal: comment-missing", "comment"),
    "no reasoning": (COMMENTED, "no reasoning", "<reasoning>"),
    "six steps": (GOOD.replace("7. Step", ""), "not seven steps", "1. to 7."),
    "no SVG": (f"<reasoning>{STEPS}</reasoning>", "no SVG", "<svg"),
    "a cut SVG": (GOOD.removesuffix("</svg>"), "no SVG", "<svg"),
    "SVG in the reasoning": (f"<reasoning>{STEPS}\n{SVG}</reasoning>{SVG}", "SVG in the reasoning", "reasoning holds"),
    "another picture": (GOOD.replace('r="80"', 'r="110"'), "the picture differs", "another picture"),
    "a small other mark": (GOOD.replace('cx="156" cy="110" r="9"', 'cx="156" cy="120" r="9"'), "the picture differs",
                           "another picture"),
}  # fmt: skip


@pytest.fixture
def endpoint():
    """Yield a function: answers in order → (ask, the server)."""
    servers = []

    def start(*answers):
        context = chat_server(lambda body, number: answers[min(number, len(answers) - 1)])
        server = context.__enter__()
        servers.append(context)
        return ChatEndpoint(server.url, "m", retries=0).ask, server

    yield start
    for context in servers:
        context.__exit__(None, None, None)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_named_and_asked_about_again(name, endpoint):
    faulty, reason, named = FAULTS[name]
    ask, server = endpoint(faulty, faulty, GOOD)
    answered = answer_for("a smiling face", SVG, ask)
    assert (answered.text, answered.reason, answered.attempts) == (GOOD, "", 3)
    follow_up = server.requests[1]["messages"]
    assert [message["role"] for message in follow_up] == ["user", "assistant", "user"]
    assert follow_up[1]["content"] == faulty.strip() and named in follow_up[2]["content"]
    assert len(server.requests[2]["messages"]) == 3  # the conversation does not grow
    refused = answer_for("a smiling face", SVG, endpoint(faulty)[0], attempts=2)
    assert (refused.text, refused.reason, refused.attempts) == (None, reason, 2)


def test_the_model_gets_the_instruction_and_the_drawing(endpoint):
    ask, server = endpoint(GOOD)
    answer_for("a {smiling} face", SVG, partial(ask, temperature=0.3))
    text = server.requests[0]["messages"][0]["content"]
    assert text.startswith(build_prompt("a {smiling} face")) and SVG in text
    assert server.requests[0]["temperature"] == 0.3


def test_an_answer_is_put_into_its_final_form(endpoint):
    """Fences, thoughts and chatter around it are left out; what is returned is what the training data has."""
    wrapped = "<think>Hm, <svg>?</think>Sure!\n" + GOOD.replace(SVG_OPEN, "```xml\n" + SVG_OPEN) + "\n```\nEnjoy!"
    answered = answer_for("a smiling face", SVG, endpoint(wrapped)[0])
    assert answered.text == GOOD
    assert extract_reasoning(answered.text) == STEPS and check(extract_svg(answered.text)).valid


def test_bounds_and_dialect_are_the_callers(endpoint):
    moved = GOOD.replace('cx="156" cy="110" r="9"', 'cx="156" cy="120" r="9"')
    assert answer_for("a face", SVG, endpoint(moved)[0], max_error=(0.1, 1.0)).text == moved
    shaded = SVG_OPEN + (
        '<defs><linearGradient id="a"><stop offset="0" stop-color="red"/><stop offset="1"/></linearGradient></defs>'
        '<!-- red to black --><rect width="256" height="256" fill="url(#a)"/></svg>'
    )
    explained = f"<reasoning>\n{STEPS}\n</reasoning>\n\n{shaded}"
    assert answer_for("a wall", shaded, endpoint(explained)[0], "prompt+gradients").text == explained
    assert answer_for("a wall", shaded, endpoint(explained)[0]).reason.startswith("not legal")


@pytest.mark.parametrize("reply, reason", [((503, {}), "answered 503"), (completion(GOOD, "length"), "cut at")])
def test_a_request_that_fails_is_a_reason(endpoint, reply, reason):
    answered = answer_for("a face", SVG, endpoint(reply)[0])
    assert answered.text is None and reason in answered.reason and answered.attempts == 1


def test_what_ends_a_run_is_not_swallowed():
    def ask(_):
        raise UserError("the key is refused")

    with pytest.raises(UserError):
        answer_for("a face", SVG, ask)
