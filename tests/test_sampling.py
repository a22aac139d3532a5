"""Drawing all rows at once, as a GPU does: by the model's probabilities, each row for itself, with a single wait."""

import math

import pytest
import torch
from torch.overrides import TorchFunctionMode

from qwen_svg.generation import engine
from qwen_svg.generation.engine import Engine, rows_for
from qwen_svg.generation.sampling import Chance, chance_of, next_tokens
from qwen_svg.model.load import load_base
from tests.tiny import make_tokenizer

WAITS = {"tolist", "item", "cpu", "nonzero", "numpy", "__bool__", "__int__", "__float__"}


class Waits(TorchFunctionMode):
    """Counts what would wait for a GPU."""

    count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.count += getattr(function, "__name__", "") in WAITS
        return function(*args, **kwargs or {})


def test_tokens_are_drawn_as_often_as_their_probability_says():
    """Of 4,000 draws a token's share has a standard deviation of 0.008 at most; three of them are let pass."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.tensor([2.0, 0.0, -torch.inf, 1.0, 5.0])
    forbidden = torch.tensor([[False, False, False, False, True]]).expand(4000, 5)
    for temperature in (1.0, 0.5, 3.0):
        chances = [Chance(temperature, float(x)) for x in torch.rand(4000, generator=generator)]
        _, tokens = next_tokens(logits.repeat(4000, 1), forbidden, chances)
        wanted = torch.softmax(logits[:4] / temperature, dim=-1)
        found = torch.bincount(torch.tensor(tokens), minlength=5) / 4000
        torch.testing.assert_close(found[:4], wanted, atol=0.025, rtol=0)
        assert found[2] == 0 == found[4]


def test_what_a_row_draws_does_not_depend_on_its_neighbours():
    torch.manual_seed(0)
    scores = torch.randn(3, 1000)
    chances = [Chance(0.8, 0.3), None, Chance(1.2, 0.999)]
    largest, together = next_tokens(scores.clone(), None, chances)
    alone = [next_tokens(scores[i : i + 1].clone(), None, chances[i : i + 1])[1][0] for i in range(3)]
    assert together == alone and together[1] == int(scores[1].argmax())
    assert largest == scores.amax(dim=-1).tolist()


@pytest.mark.parametrize("number", [0.0, 1 - 2**-24])
@pytest.mark.parametrize("scores", [[3e38, -3e38, 0.0], [-torch.inf, 3e38, -torch.inf], [1e-45, 0.0, -1e-45]])
def test_any_finite_scores_give_a_token_that_is_allowed(scores, number):
    for temperature in (1e-3, 1.0, 1e300, math.inf):
        _, (token,) = next_tokens(torch.tensor([scores]), None, [Chance(temperature, number)])
        assert scores[token] > -torch.inf


def test_scores_that_are_no_numbers_are_told_even_where_they_are_forbidden():
    scores = torch.tensor([[1.0, torch.nan], [1.0, 2.0], [-torch.inf, -torch.inf]])
    largest, tokens = next_tokens(scores, torch.tensor([[False, True]] * 3), [None, Chance(1.0, 0.9), Chance(1.0, 0.9)])
    assert math.isnan(largest[0]) and largest[1:] == [1.0, -math.inf] and tokens[1] == 0


def test_a_token_step_waits_twice_however_many_rows_it_has(tiny_base, monkeypatch):
    """For the tokens, and in transformers, which asks whether its mask hides anything. It was one more a row."""
    slots = Engine(load_base(str(tiny_base), torch.device("cpu"), torch.float32), make_tokenizer(), 8)
    rows = rows_for([[5, 6, 7, 8 + i] for i in range(8)], 5000, 24, 0.7, 1)
    for row in rows:
        slots.add(row)
    slots.step()
    chances = [chance_of(row) for row in rows]  # of a host's random numbers
    monkeypatch.setattr(engine, "next_tokens", lambda scores, forbidden, _: next_tokens(scores, forbidden, chances))
    monkeypatch.setattr(engine, "sample", lambda *_: 9)
    with Waits() as seen:
        slots.step()
    assert seen.count <= 2 and all(len(row.tokens) == 2 for row in rows)
