"""The credit of tokens for what their drawing commands add: which prefixes are drawn, whose it is, in a training."""

import pytest

from qwen_svg.model.tokenizer import load_tokenizer
from reinforce import progress, rollouts, train_grpo
from reinforce.progress import DECAY, prefixes, token_credits
from scoring.candidate import Candidate
from scoring.similarity import score as similarity
from svg_constraint import SVG_OPEN
from tests.test_end_to_end import metrics_of
from tests.test_reinforce import GRPO, call
from tests.test_reinforce import workplace as workplace

GROUND = '<rect width="256" height="256" fill="lightgray"/>'
DISC = '<circle cx="128" cy="128" r="64" fill="green"/>'
COVER = '<rect width="256" height="256" fill="red"/>'


def answer(*shapes: str) -> str:
    return "<reasoning>a disc</reasoning>\n" + "\n".join((SVG_OPEN, *shapes, "</svg>"))


@pytest.fixture(scope="module")
def reads(tiny_base):
    return load_tokenizer(str(tiny_base))


def told(tokenizer, text: str, reference: str) -> tuple[list[str], list[float]]:
    """Return the tokens, and what each of them adds by itself: the credit without that of what comes behind."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    found = token_credits(ids, tokenizer, reference)
    behind = [*found[1:], 0.0]
    return [tokenizer.decode([id]) for id in ids], [a - DECAY * b for a, b in zip(found, behind, strict=True)]


def likeness(text: str, reference: str) -> float:
    return similarity([Candidate(text, reference=reference)])[0]


def test_a_prefix_ends_behind_each_command_and_is_closed():
    path = '<path d="M10,10 L200,20 q5,5 9,9 Z" fill="red" transform="scale(2)"/>'
    text = answer(f'<g fill="blue">{path}</g>', DISC)
    found = prefixes(text)
    ends = [SVG_OPEN, '<g fill="blue">', "M10,10 ", "L200,20 ", "q5,5 9,9 ", path, "</g>", DISC, "</svg>"]
    assert [text[:end].endswith(last) for (end, _), last in zip(found, ends, strict=True)] == [True] * len(ends)
    assert found[2][1].endswith('<path d="M10,10 "/></g></svg>') and found[-1][1] == text[text.index("<svg") :]


@pytest.mark.parametrize("text", ["no drawing", "<svg", "<reasoning>x</reasoning><svg><path d='M1,1 L", ""])
def test_what_is_no_drawing_has_no_credit(reads, text):
    ids = reads(text, add_special_tokens=False)["input_ids"]
    assert token_credits(ids, reads, answer(DISC)) == [0.0] * len(ids) and prefixes(text) == []


def test_what_all_commands_add_is_the_likeness_of_the_whole(reads):
    for drawn in (answer(GROUND, DISC), answer(DISC), answer(GROUND, DISC, COVER)):
        reference = answer(GROUND, DISC)
        _, adds = told(reads, drawn, reference)
        assert sum(adds) == pytest.approx(likeness(drawn, reference), abs=1e-9)


def test_a_shape_that_covers_what_was_right_pays_itself(reads):
    drawn, reference = answer(GROUND, DISC, COVER), answer(GROUND, DISC)
    tokens, adds = told(reads, drawn, reference)
    ends = [i for i, added in enumerate(adds) if abs(added) > 1e-3]
    right, wrong = ends[-2:]
    lost = likeness(answer(GROUND, DISC), reference) - likeness(drawn, reference)
    assert adds[right] > 0.5 and adds[wrong] == pytest.approx(-lost, abs=1e-9) and lost > 0.5
    assert "".join(tokens[: right + 1]).endswith(DISC[-2:]) and "".join(tokens[: wrong + 1]).endswith(COVER[-2:])


def test_credit_falls_with_the_distance_to_the_command(reads, monkeypatch):
    """λ^(b - t) Δ, by hand: one command, which ends with the last token and adds 0.5."""
    monkeypatch.setattr(progress, "prefixes", lambda text: [(len(text), text)])
    monkeypatch.setattr(progress, "compare", lambda drawn, wanted: 0.5)
    monkeypatch.setattr(progress, "picture", lambda svg, size: svg)
    ids = reads("<svg></svg>", add_special_tokens=False)["input_ids"]
    expected = [0.5 * 0.9 ** (len(ids) - 1 - t) for t in range(len(ids))]
    assert token_credits(ids, reads, answer(DISC)) == pytest.approx(expected)


def test_training_adds_it_to_the_advantage_of_each_token(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    seen, made = [], rollouts.DrawingTrainer._compute_loss

    def watched(self, model, inputs):
        seen.append(inputs)
        return made(self, model, inputs)

    monkeypatch.setattr(rollouts.DrawingTrainer, "_compute_loss", watched)
    monkeypatch.setattr(rollouts, "token_credits", lambda tokens, tokenizer, reference: [0.25] * len(tokens))
    monkeypatch.setattr("reinforce.rewards.answer_format", lambda candidate: 0.0)
    call(train_grpo, "--no-wandb", model="sft", run_name="with-progress", progress=4, **GRPO | {"steps": 1})
    (inputs,) = seen
    mask = inputs["completion_mask"].bool()
    assert inputs["advantages"].shape == mask.shape and mask.any()
    # No drawing is rewarded more than another: what is left is 4 × 0.25, and nothing behind the answer's end.
    assert (inputs["advantages"][mask] == 1.0).all() and (inputs["advantages"][~mask] == 0.0).all()
    record = next(r for r in metrics_of(workplace / "outputs" / "with-progress") if "reward" in r)
    assert record["grad_norm"] > 0  # where the drawings' own advantages are all 0
