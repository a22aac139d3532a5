"""Cross-entropy of a model on a set of answers, exact: weighted by token, whatever the batch size."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from common.tokens import Encoded, LeftPaddingCollator, batches_by_length

# Positions whose logits exist at one time: 512 × 151,936 (Qwen's vocabulary) × 4 bytes = 311 MB.
POSITIONS_AT_A_TIME = 512


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
) -> CrossEntropy:
    """Return the summed cross-entropy of `rows` (in fp32) and the number of labels.

    The Trainer's own eval_loss is a mean of batch means, which moves with the batch size
    (huggingface/transformers#39241); a sum over tokens does not. The model's mode is left as it was.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    nats, tokens = 0.0, 0
    total = math.ceil(len(rows) / batch_size)
    bar = tqdm(total=total, desc=progress, leave=False, disable=None if progress else True, unit="batch")
    with bar, torch.autocast(device.type, torch.float16, enabled=_half_base(model)):
        for members in batches_by_length(rows, batch_size):
            batch = {name: tensor.to(device) for name, tensor in collator(members).items()}
            for logits, labels in _logits_in_chunks(model, batch):
                nats += F.cross_entropy(logits.float(), labels, reduction="sum").item()
            tokens += len(batch["shift_labels"])
            bar.update()
    model.train(was_training)
    return CrossEntropy(nats, tokens)


def _logits_in_chunks(model: Any, batch: dict) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (logits (n, V), labels (n,)) for the positions that predict a label, a bounded number at a time."""
    hidden = model.get_decoder()(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        use_cache=False,
    ).last_hidden_state[batch["logits_to_keep"]]
    head = model.get_output_embeddings()
    parts = hidden.split(POSITIONS_AT_A_TIME), batch["shift_labels"].split(POSITIONS_AT_A_TIME)
    for states, labels in zip(*parts, strict=True):
        yield head(states), labels


def _half_base(model: Any) -> bool:
    """fp32 adapters on an fp16 base need autocast; in fp32 it must stay off."""
    return any(p.dtype == torch.float16 for p in model.parameters())
