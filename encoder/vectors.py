"""SVG text → vectors: the mean of the last hidden states over a drawing's tokens, of length 1."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm
from transformers import ModernBertModel

from encoder.drawing_text import drawing_text
from encoder.loading import from_folder, load_tokenizer, reading_of
from encoder.unpadded import UNPADDED, unpadded_batch
from qwen_svg.model.device import pick_device

TOKENS_AT_ONCE = 16_384


class Encoder:
    """A pretrained or fine-tuned ModernBERT from a folder, and its tokenizer."""

    def __init__(self, folder: str):
        self.tokenizer = load_tokenizer(folder)
        model = from_folder(ModernBertModel, folder, attn_implementation=UNPADDED)
        self.model = model.to(pick_device()).eval()

    def vectors(self, svgs: Sequence[str]) -> torch.Tensor:
        """Return float32 (N, H), one row of length 1 for each of the drawings."""
        read = reading_of(self.tokenizer)
        texts = [read(drawing_text(svg)) for svg in svgs]
        limit = self.model.config.max_position_embeddings
        return vectors_of(self.model, self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"])


def pooled(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Return (sequences, H): means over each sequence of an unpadded batch, normalised."""
    hidden = model(**batch).last_hidden_state.squeeze(0)
    lengths = batch["attention_mask"]["full_attention"].lengths
    return F.normalize(torch.stack([part.mean(dim=0) for part in hidden.float().split(lengths)]), dim=-1)


@torch.no_grad()
def vectors_of(model: Any, rows: Sequence[list[int]]) -> torch.Tensor:
    """Return float32 (N, H) on the CPU for N rows of token ids; sequences of like length go together."""
    device, was_training = next(model.parameters()).device, model.training
    model.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    result = torch.empty(len(rows), model.config.hidden_size)
    with tqdm(total=len(rows), desc="vectors", unit="", leave=False, disable=None) as bar:
        for some in _by_tokens(order, rows):
            batch = unpadded_batch([rows[i] for i in some])
            batch = {name: x.to(device) if torch.is_tensor(x) else x for name, x in batch.items()}
            result[some] = pooled(model, batch).cpu()
            bar.update(len(some))
    model.train(was_training)
    return result


def _by_tokens(order: list[int], rows: Sequence[list[int]]) -> Iterator[list[int]]:
    some: list[int] = []
    tokens = 0
    for i in order:
        if some and tokens + len(rows[i]) > TOKENS_AT_ONCE:
            yield some
            some, tokens = [], 0
        some.append(i)
        tokens += len(rows[i])
    if some:
        yield some
