"""Hugging Face's Trainer for masked language models: exact validation figures, packs in their order, safe checkpoints."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from common.tokens import IGNORED
from common.trainer import SafeTrainer
from encoder.pretraining.packs import Packs


class MaskedTrainer(SafeTrainer):
    """Trains on `Packs`, whose order is their own."""

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> dict:
        """Cross-entropy and accuracy over all hidden tokens of the validation packs."""
        metrics = {
            f"{metric_key_prefix}_{name}": value
            for name, value in masked_figures(self.model, self.eval_dataset, self.autocast_smart_context_manager).items()
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)


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
