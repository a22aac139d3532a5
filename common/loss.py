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

from common.matmul import linear
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
        weight = model.get_output_embeddings().weight
        return _FrozenHeadLoss.apply(hidden, weight, batch["shift_labels"]) / labels_in_step


class _FrozenHeadLoss(torch.autograd.Function):
    """Summed cross-entropy through a frozen output layer, with its gradient formed in the forward pass.

    d loss / d hidden = (softmax(hidden · Wᵀ) - one_hot(label)) · W needs the same logits as the loss, so both are made
    block by block while the logits are there, and nothing but a gradient of hidden's size is kept. Under LoRA the
    output layer is frozen: two matrix products instead of three.
    """

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """hidden (N, H), weight (V, H) of the same dtype, labels int64 (N,) → fp32 scalar, in nats."""
        gradient = torch.empty_like(hidden)
        total = torch.zeros((), dtype=torch.float64, device=hidden.device)  # thousands of nats, exact to 1e-6 per token
        rows = rows_at_a_time(len(labels), len(weight), weight.device)
        for start in range(0, len(labels), rows):
            part = slice(start, start + rows)
            logits = linear(hidden[part], weight).float()
            wanted = labels[part].unsqueeze(-1)
            shift = logits.amax(dim=-1, keepdim=True)
            of_label = logits.gather(-1, wanted)
            exponentials = logits.sub_(shift).exp_()  # in place: torch.logsumexp would hold a second block
            sums = exponentials.sum(dim=-1, keepdim=True)
            total += (sums.log() + shift - of_label).sum(dtype=torch.float64)
            probabilities = exponentials.div_(sums)
            probabilities.scatter_add_(-1, wanted, torch.full_like(wanted, -1.0, dtype=torch.float32))
            gradient[part] = linear(probabilities.to(weight.dtype), weight.T)
            del logits, exponentials, probabilities  # before the next block is made
        ctx.save_for_backward(gradient)
        return total.float()

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        # In fp32: the GradScaler's factor times a sum over a batch may exceed fp16 before it is divided down.
        return (gradient.float() * scale).to(gradient.dtype), None, None


def rows_at_a_time(labels: int, vocabulary: int, device: torch.device) -> int:
    """Return how many of a batch's rows of logits, one for each label, are made at one time."""
    least = max(16, LOGITS_BYTES.get(device.type, LOGITS_BYTES["cpu"]) // (4 * vocabulary))
    return max(least, labels // LARGE_BATCH_BLOCKS) if device.type == "cpu" else least


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
    each = cross_entropies(model, rows, collator, batch_size, progress)
    return CrossEntropy(sum(one.nats for one in each), sum(one.tokens for one in each))


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
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found: dict[int, CrossEntropy] = {}
    total = math.ceil(len(rows) / batch_size)
    bar = tqdm(total=total, desc=progress, leave=False, disable=None if progress else True, unit="batch")
    with bar, _autocast(model):
        for members in batches_by_length(rows, batch_size):
            batch = {name: tensor.to(device) for name, tensor in collator(members).items()}
            chunks = _logits_in_chunks(model, batch)
            nats = torch.cat([F.cross_entropy(logits.float(), labels, reduction="none") for logits, labels in chunks])
            labels_of_row = batch["logits_to_keep"].sum(dim=1).tolist()
            for row, part in zip(members, nats.double().split(labels_of_row), strict=True):
                found[id(row)] = CrossEntropy(part.sum().item(), len(part))
            bar.update()
    model.train(was_training)
    return [found[id(row)] for row in rows]


def _logits_in_chunks(model: Any, batch: dict) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (logits (n, V), labels (n,)) for the positions that predict a label."""
    head = model.get_output_embeddings()
    rows = rows_at_a_time(len(batch["shift_labels"]), len(head.weight), head.weight.device)
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
    """Half precision around fp32 adapters on an fp16 base; nothing in fp32."""
    weight = model.get_output_embeddings().weight
    return torch.autocast(weight.device.type, torch.float16, enabled=weight.dtype == torch.float16)
