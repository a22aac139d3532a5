"""The contrastive loss, and recall on the labels set aside."""

from typing import Any

import torch
import torch.nn.functional as F

from encoder.contrasting.recall import recall
from encoder.loading import reading_of
from encoder.training import InOrderTrainer
from encoder.vectors import pooled, vectors_of


def info_nce(vectors: torch.Tensor, temperature: float) -> torch.Tensor:
    """vectors (2N, H) of length 1, the i-th and the (N + i)-th a pair → the mean cross-entropy, in nats.

    Of the 2N - 1 other vectors each must find its partner by their cosines.
    """
    count = len(vectors)
    cosines = vectors @ vectors.T / temperature
    cosines = cosines.masked_fill(torch.eye(count, dtype=torch.bool, device=vectors.device), float("-inf"))
    partners = torch.arange(count, device=vectors.device).roll(count // 2)
    return F.cross_entropy(cosines, partners)


class ContrastiveTrainer(InOrderTrainer):
    """Trains on `PairBatches`; validates on a `Labelled`."""

    tokenizer: Any
    temperature: float

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        return info_nce(pooled(model, inputs), self.temperature)

    def figures(self) -> dict[str, float]:
        data, read = self.eval_dataset, reading_of(self.tokenizer)
        limit = self.model.config.max_position_embeddings
        rows = self.tokenizer(list(map(read, data.texts)), truncation=True, max_length=limit)["input_ids"]
        vectors = vectors_of(self.model, rows).numpy()
        found = recall(vectors @ vectors.T, data.labels, data.sources)
        return {"recall_at_1": found[1], "recall_at_10": found[10], "queries": found["queries"]}
