"""Cross-entropy of a model's answers: exact over a set whatever the batch size, and lean in training.

Neither ever holds the logits of all positions: only those that predict a label, a bounded number at a time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from tqdm import tqdm

from common.tokens import Encoded, LeftPaddingCollator, batches_by_length

# Bytes of fp32 logits that exist at one time, at least. Matrix products of few rows read the output layer again and
# again: on a CPU, with a vocabulary of 151,936, 110 rows at a time reach 70 % of the speed, 270 rows 90 %. So a large
# batch, which holds gigabytes of activations anyway, is done in LARGE_BATCH_BLOCKS blocks.
LOGITS_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
LARGE_BATCH_BLOCKS = 6


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


def training_loss(model: Any, batch: dict[str, torch.Tensor], labels_in_step: torch.Tensor | int) -> torch.Tensor:
    """Return the loss of one batch for the backward pass: its summed cross-entropy / the labels of the whole step.

    The same value as the model's own loss, without its (N, V) logits: see `_FrozenHeadLoss`.
    """
    with _autocast(model):
        hidden = _hidden_at_labels(model, batch)
        head = output_layer(model)
        return _FrozenHeadLoss.apply(hidden, head.weight, batch["shift_labels"], head.ids, head.rows) / labels_in_step


@dataclass(frozen=True)
class OutputLayer:
    """An output layer's frozen weight (V, H), and the rows (K, H) trained in place of its rows `ids`, or None."""

    weight: torch.Tensor
    ids: torch.Tensor | None = None
    rows: torch.Tensor | None = None


def output_layer(model: Any) -> OutputLayer:
    """Take the output layer apart. Asked for its weight, peft's wrapper around new rows would copy all of it."""
    head = model.get_output_embeddings()
    adapter = getattr(head, "token_adapter", None)
    if adapter is None:
        return OutputLayer(head.weight)
    weight = adapter.get_base_layer().weight
    (name,) = adapter.active_adapters
    ids = torch.tensor(adapter.token_indices[name], device=weight.device)
    return OutputLayer(weight, ids, adapter.trainable_tokens_delta[name])


class _FrozenHeadLoss(torch.autograd.Function):
    """Summed cross-entropy through a frozen output layer, with its gradient formed in the forward pass.

    d loss / d hidden = (softmax(hidden · Wᵀ) - one_hot(label)) · W needs the same logits as the loss, so both are made
    block by block while the logits are there, and nothing but a gradient of hidden's size is kept. Under LoRA the
    output layer is frozen: two matrix products instead of three. New tokens' rows are trained: their columns of the
    logits are made from `rows`, whose gradient is the same difference, transposed, times hidden.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        ids: torch.Tensor | None = None,
        trained: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """hidden (N, H), weight (V, H) of the same dtype, labels int64 (N,) → fp32 scalar, in nats.

        ids int64 (K,), trained (K, H): rows in place of those of `weight`.
        """
        gradient = torch.empty_like(hidden)
        trained_gradient = None if trained is None else torch.zeros_like(trained, dtype=torch.float32)
        new = None if trained is None else trained.to(weight.dtype)
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)  # thousands of nats, exact to 1e-6 per token
        rows = rows_at_a_time(len(labels), len(weight), weight.device)
        block = hidden.new_empty(min(rows, len(labels)), len(weight))  # used again: new memory costs page faults
        for start in range(0, len(labels), rows):
            part = slice(start, start + rows)
            logits = torch.mm(hidden[part], weight.T, out=block[: len(labels[part])])
            if new is not None:
                logits[:, ids] = hidden[part] @ new.T
            logits = logits.float()
            wanted = labels[part].unsqueeze(-1)
            shift = logits.amax(dim=-1, keepdim=True)
            of_label = logits.gather(-1, wanted)
            exponentials = logits.sub_(shift).exp_()  # in place: torch.logsumexp would hold a second block
            sums = exponentials.sum(dim=-1, keepdim=True)
            total += (sums.log() + shift - of_label).sum(dtype=torch.float64)
            probabilities = exponentials.div_(sums)
            probabilities.scatter_add_(-1, wanted, torch.full_like(wanted, -1.0, dtype=torch.float32))
            if new is None:
                torch.mm(probabilities.to(weight.dtype), weight, out=gradient[part])
            else:
                of_new = probabilities[:, ids]
                probabilities[:, ids] = 0
                torch.mm(probabilities.to(weight.dtype), weight, out=gradient[part])
                gradient[part] += of_new.to(weight.dtype) @ new
                trained_gradient += of_new.T @ hidden[part].float()
        ctx.save_for_backward(gradient, trained_gradient)
        return total.float()

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> tuple:
        gradient, trained = ctx.saved_tensors
        # In fp32: the GradScaler's factor times a sum over a batch may exceed fp16 before it is divided down.
        hidden = (gradient.float() * scale).to(gradient.dtype)
        return hidden, None, None, None, None if trained is None else trained * scale


def rows_at_a_time(labels: int, vocabulary: int, device: torch.device) -> int:
    """Return how many of a batch's rows of logits, one for each label, are made at one time."""
    least = max(16, LOGITS_BYTES.get(device.type, LOGITS_BYTES["cpu"]) // (4 * vocabulary))
    return max(least, labels // LARGE_BATCH_BLOCKS) if device.type == "cpu" else least


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
    with bar, _autocast(model):
        for members in batches_by_length(rows, batch_size):
            batch = {name: tensor.to(device) for name, tensor in collator(members).items()}
            for logits, labels in _logits_in_chunks(model, batch):
                nats += F.cross_entropy(logits.float(), labels, reduction="none").sum(dtype=torch.float64).item()
            tokens += len(batch["shift_labels"])
            bar.update()
    model.train(was_training)
    return CrossEntropy(nats, tokens)


def _logits_in_chunks(model: Any, batch: dict) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (logits (n, V), labels (n,)) for the positions that predict a label."""
    head, weight = model.get_output_embeddings(), output_layer(model).weight
    rows = rows_at_a_time(len(batch["shift_labels"]), len(weight), weight.device)
    parts = _hidden_at_labels(model, batch).split(rows), batch["shift_labels"].split(rows)
    for states, labels in zip(*parts, strict=True):
        yield head(states), labels


def _hidden_at_labels(model: Any, batch: dict) -> torch.Tensor:
    """Run the model's blocks; return the last hidden states (N, H) at the positions that predict a label."""
    return model.get_decoder()(
        input_ids=batch["input_ids"],
        attention_mask=batch["attention_mask"],
        position_ids=batch["position_ids"],
        use_cache=False,
    ).last_hidden_state[batch["logits_to_keep"]]


def _autocast(model: Any) -> torch.autocast:
    """Half precision around fp32 adapters on a base in half precision; nothing in fp32."""
    weight = output_layer(model).weight
    half = weight.dtype in (torch.float16, torch.bfloat16)
    return torch.autocast(weight.device.type, weight.dtype if half else None, enabled=half)
