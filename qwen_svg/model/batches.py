"""Encoded samples as a model takes them: batches padded on the left, with the loss where the answer is."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from qwen_svg.common.tokens import IGNORED, Encoded


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
