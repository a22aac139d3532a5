"""Samples as token ids, and batches of them: padded on the left, with the loss where the answer is."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from prompt_template import end_of_turn, format_prompt
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError

IGNORED = -100  # PyTorch's and transformers' label for "no loss here"
METASPACE = "▁"  # a space in the tokens of SentencePiece and its like (Llama 2, Code Llama)


@dataclass(frozen=True)
class Encoded:
    """A sample as token ids. `answer` ends with the end-of-turn token, which is a label like any other."""

    id: str
    prompt: list[int]
    answer: list[int]

    @cached_property
    def length(self) -> int:
        return len(self.prompt) + len(self.answer)


# A row without a label: it makes batches of several processes equal in number, and adds nothing to loss or gradient.
FILLER = Encoded("", [0], [])


def encode(tokenizer: Any, samples: Iterable[Sample], prompt_form: str) -> list[Encoded]:
    """Tokenise samples, prompt and answer apart.

    Apart, because the tokens of an answer must not depend on whether the prompt stands before it: in
    generation it does not yet exist when the prompt is tokenised.
    """
    samples = list(samples)
    stop = tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer))
    try:
        prompts = [format_prompt(tokenizer, sample.description, prompt_form) for sample in samples]
    except ValueError as error:
        raise UserError(f"PROMPT_FORM: {error} (`--prompt-form raw`).") from None
    prompt_ids = token_ids(tokenizer, prompts)
    answer_ids = token_ids(tokenizer, [sample.answer for sample in samples])
    return [
        Encoded(sample.id, prompt, [*answer, stop])
        for sample, prompt, answer in zip(samples, prompt_ids, answer_ids, strict=True)
    ]


def token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Tokenise texts as they are: no BOS or other special token is added by the tokenizer."""
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def ids_behind(tokenizer: Any, text: str) -> list[int]:
    """Tokenise a text that goes on behind another: without the space that some tokenizers put before a first word."""
    ids, line = token_ids(tokenizer, [text, "\n"])
    if text[0] != " " and tokenizer.convert_ids_to_tokens(ids[0]).startswith(METASPACE):
        return token_ids(tokenizer, ["\n" + text])[0][len(line) :]
    return ids


@dataclass(frozen=True)
class LeftPaddingCollator:
    """Turn encoded samples into one batch, padded on the left to the longest.

    Returns tensors (B rows, T positions, N = positions whose next token is a label):
    input_ids, attention_mask, position_ids, labels: int64 (B, T), labels IGNORED outside the loss;
    logits_to_keep: bool (B, T), True at the N positions that predict a label;
    shift_labels: int64 (N,), the labels these positions predict, in row order.
    With the last two the model computes logits at N positions instead of B × T.
    """

    pad_id: int
    loss_on: str = "answer"  # "answer" or "all" (prompt too)

    def __call__(self, rows: list[Encoded]) -> dict[str, torch.Tensor]:
        width = max(row.length for row in rows)
        input_ids = torch.full((len(rows), width), self.pad_id)
        attention_mask = torch.zeros_like(input_ids)
        labels = torch.full_like(input_ids, IGNORED)
        for i, row in enumerate(rows):
            input_ids[i, -row.length :] = torch.tensor(row.prompt + row.answer)
            attention_mask[i, -row.length :] = 1
            with_loss = len(row.answer) if self.loss_on == "answer" else row.length
            labels[i, -with_loss:] = input_ids[i, -with_loss:]
        keep = torch.zeros_like(input_ids, dtype=torch.bool)
        # Position t predicts token t+1; the first real token of a row has nothing before it to predict it.
        keep[:, :-1] = (labels[:, 1:] != IGNORED) & (attention_mask[:, :-1] == 1)
        return {
            "input_ids": input_ids,
            "attention_mask": attention_mask,
            "position_ids": (attention_mask.cumsum(-1) - 1).clamp(min=0),
            "labels": labels,
            "logits_to_keep": keep,
            "shift_labels": labels[:, 1:][keep[:, :-1]],
        }


def batches_by_length(rows: list[Encoded], batch_size: int) -> Iterator[list[Encoded]]:
    """Yield batches of rows of like length, longest first: little padding, and memory runs out early if at all."""
    ordered = sorted(rows, key=lambda row: row.length, reverse=True)
    for start in range(0, len(ordered), batch_size):
        yield ordered[start : start + batch_size]


def share(rows: Sequence[Encoded], batch_size: int, rank: int, processes: int) -> list[Encoded]:
    """Return what process `rank` takes of `batches_by_length`: every n-th batch, all processes the same number."""
    missing = -len(rows) % (batch_size * processes)
    batches = list(batches_by_length([*rows, *[FILLER] * missing], batch_size))
    return [row for batch in batches[rank::processes] for row in batch]


class LengthGroupedSampler(torch.utils.data.Sampler[int | None]):
    """Random order in which every consecutive `step` samples have about the same length.

    Shuffled each epoch from (seed, epoch) alone, so a resumed run sees the same order. Samples are sorted by
    length only inside random pools of 50 steps, and the steps are then shuffled: a step's members stay random,
    and the loss curve shows no long-to-short runs.

    step: samples in a step of all processes together. together: samples in one forward pass of all processes; where the
    last pass of an epoch would leave some of them without, None (see `StoredRows`) stands for a `FILLER`. So a step has
    the same samples however many processes share it.
    """

    def __init__(self, lengths: list[int], step: int, seed: int, together: int = 1):
        self.lengths, self.step, self.seed, self.epoch = lengths, step, seed, 0
        self.fillers = -len(lengths) % together

    def set_epoch(self, epoch: int) -> None:
        """Called by the Trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths) + self.fillers

    def __iter__(self) -> Iterator[int | None]:
        random = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
        order = torch.randperm(len(self.lengths), generator=random).tolist()
        pool = 50 * self.step
        pools = [order[i : i + pool] for i in range(0, len(order), pool)]
        order = [i for members in pools for i in sorted(members, key=lambda i: self.lengths[i])]
        steps = [order[i : i + self.step] for i in range(0, len(order), self.step)]
        short = [steps.pop()] if len(steps[-1]) < self.step else []  # stays last, or it would shift the others
        for i in torch.randperm(len(steps), generator=random).tolist():
            yield from steps[i]
        for members in short:
            yield from members
        yield from [None] * self.fillers
