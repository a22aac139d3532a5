"""Cross-entropy over a whole set of samples: exact, whatever the batch size."""

import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from qwen_svg.common.progress import Progress
from qwen_svg.common.tokens import Encoded
from qwen_svg.model.batches import LeftPaddingCollator, batches_by_length
from qwen_svg.model.loss import label_losses, summed_loss


@dataclass(frozen=True)
class CrossEntropy:
    nats: float  # summed over all labels
    tokens: int  # number of labels

    @property
    def mean(self) -> float:
        """Cross-entropy in nats per token over the whole set."""
        return self.nats / self.tokens if self.tokens else math.nan

    @property
    def perplexity(self) -> float:
        return math.exp(min(self.mean, 700.0)) if self.tokens else math.nan  # e^710 overflows a double


@torch.no_grad()
def cross_entropy(
    model: Any,
    rows: list[Encoded],
    collator: LeftPaddingCollator,
    batch_size: int,
    progress: str | None = None,
    loss_of: Callable[..., torch.Tensor] | None = None,
) -> CrossEntropy:
    """Return the summed cross-entropy of `rows` (in fp32) and the number of labels.

    The Trainer's own eval_loss is a mean of batch means, which moves with the batch size
    (huggingface/transformers#39241); a sum over tokens does not. The model's mode is left as it was.
    loss_of: what gives a batch's `summed_loss`, where the model is wrapped for several processes.
    """
    nats, tokens = 0.0, 0
    for _, batch in _in_evaluation(model, rows, collator, batch_size, progress):
        nats += (loss_of(**batch) if loss_of else summed_loss(model, **batch)).item()
        tokens += len(batch["shift_labels"])
    return CrossEntropy(nats, tokens)


@torch.no_grad()
def cross_entropies(
    model: Any,
    rows: list[Encoded],
    collator: LeftPaddingCollator,
    batch_size: int,
    progress: str | None = None,
) -> list[CrossEntropy]:
    """Return the cross-entropy of each row; the others of its batch make no difference to it."""
    rows = list(rows)  # some stores make a row anew each time it is asked for
    found: dict[int, CrossEntropy] = {}
    for members, batch in _in_evaluation(model, rows, collator, batch_size, progress):
        labels_of_row = batch["logits_to_keep"].sum(dim=1).tolist()
        for row, nats in zip(members, label_losses(model, **batch).double().split(labels_of_row), strict=True):
            found[id(row)] = CrossEntropy(nats.sum().item(), len(nats))
    return [found[id(row)] for row in rows]


def _in_evaluation(
    model: Any, rows: list[Encoded], collator: LeftPaddingCollator, batch_size: int, progress: str | None
) -> Iterator[tuple[list[Encoded], dict[str, torch.Tensor]]]:
    """Yield (rows, batch of them) with the model in evaluation mode, and a progress bar of this name."""
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total = math.ceil(len(rows) / batch_size)
    with Progress(total, progress, "batch", leave=False) if progress else nullcontext() as bar:
        for members in batches_by_length(rows, batch_size):
            yield members, {name: tensor.to(device) for name, tensor in collator(members).items()}
            if bar:
                bar.update()
    model.train(was_training)
