"""Exact validation figures of a masked language model: over all hidden tokens, whatever the packs."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from encoder.pretraining.packs import Packs
from encoder.training import InOrderTrainer
from qwen_svg.common.tokens import IGNORED


class MaskedTrainer(InOrderTrainer):
    """Trains and validates on `Packs`."""

    def figures(self) -> dict[str, float]:
        return masked_figures(self.model, self.eval_dataset, self.autocast_smart_context_manager)


@torch.no_grad()
def masked_figures(model: Any, packs: Packs, autocast: Any) -> dict[str, float]:
    """Return cross_entropy (nats), perplexity, accuracy (0 to 1) and tokens, over the predicted tokens of all packs."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    nats, right, count = 0.0, 0, 0
    for i in tqdm(range(len(packs)), desc="validation", leave=False, disable=None):
        batch = {name: x.to(device) if torch.is_tensor(x) else x for name, x in packs[i].items()}
        labels = batch["labels"].view(-1)
        labels = labels[labels != IGNORED]
        with autocast():
            logits = model(**batch).logits.float()
        nats += F.cross_entropy(logits, labels, reduction="sum").item()
        right += (logits.argmax(-1) == labels).sum().item()
        count += len(labels)
    model.train(was_training)
    mean = nats / count
    return {
        "cross_entropy": mean,
        "perplexity": math.exp(min(mean, 700.0)),
        "accuracy": right / count,
        "predicted_tokens": count,
    }
