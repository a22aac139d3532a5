"""The training loss: cross-entropy of the answers' tokens, without ever holding the logits of all positions.

Only those that predict a label are made, a bounded number at a time.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from qwen_svg.model.attention import no_padding
from qwen_svg.model.onednn import linear

# Bytes of fp32 logits that exist at one time, at least. Matrix products of few rows read the output layer again and
# again: on a CPU, with a vocabulary of 151,936, 110 rows at a time reach 70 % of the speed, 270 rows 90 %. So a large
# batch, which holds gigabytes of activations anyway, is done in LARGE_BATCH_BLOCKS blocks.
LOGITS_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}
LARGE_BATCH_BLOCKS = 6


def summed_loss(model: Any, **batch: torch.Tensor) -> torch.Tensor:
    """Return the sum of `label_losses`: fp32 scalar, in nats. The model's own loss, without its (N, V) logits.

    `SVGTrainer` makes it the model's forward method: what wraps a model for several processes (DDP, FSDP, DeepSpeed)
    gathers weights and gradients around that method only.
    """
    return _losses(model, **batch)[0]


def label_losses(model: Any, **batch: torch.Tensor) -> torch.Tensor:
    """Return the cross-entropy of each label of a batch: fp32 (N,), in nats; without gradient."""
    return _losses(model, **batch)[1]


def _losses(
    model: Any,
    *,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    logits_to_keep: torch.Tensor,
    shift_labels: torch.Tensor,
    **_labels: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    dtype = output_layer(model).weight.dtype
    half = dtype in (torch.float16, torch.bfloat16)
    order = _padding_last(attention_mask)
    # Half precision around fp32 adapters on a base in half precision; nothing in fp32.
    with torch.autocast(input_ids.device.type, dtype if half else None, enabled=half):
        states = model.get_decoder()(
            input_ids=input_ids.gather(1, order), attention_mask=no_padding(input_ids), use_cache=False
        ).last_hidden_state
        # There are as many as labels. Indexing by a mask would wait for a GPU to count them, forward and backward.
        kept = logits_to_keep.gather(1, order).flatten().nonzero_static(size=len(shift_labels)).squeeze(-1)
        hidden = states.flatten(0, 1).index_select(0, kept)
        with gathered(model.get_output_embeddings()):
            head = output_layer(model)
            return _FrozenHeadLoss.apply(hidden, head.weight, shift_labels, head.ids, head.rows)


def _padding_last(attention_mask: torch.Tensor) -> torch.Tensor:
    """Return where each row's positions are to be taken from so that padding (0 in the mask) stands behind it: (B, T).

    Behind, no real position sees it, as attention is causal: no mask, and one call of attention for all rows.
    """
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (positions + (attention_mask == 0).sum(-1, keepdim=True)) % len(positions)


@contextmanager
def gathered(module: torch.nn.Module) -> Iterator[None]:
    """Let the module's weights be whole where FSDP2 has divided them.

    It gathers what it has wrapped by itself, such as an output layer that is no embedding, around its forward method
    alone, and that is not called here.
    """
    divided = [part for part in module.modules() if hasattr(part, "unshard")]  # only its FSDPModule has it
    for part in divided:
        part.unshard()
    try:
        yield
    finally:
        for part in divided:
            part.reshard()


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
    """Cross-entropy through a frozen output layer, with its gradient formed in the forward pass.

    d loss / d hidden = (softmax(hidden · Wᵀ) - one_hot(label)) · W needs the same logits as the loss, so both are made
    block by block while the logits are there, and nothing but a gradient of hidden's size is kept. Under LoRA the
    output layer is frozen: two matrix products instead of three; one where no gradient is wanted. New tokens' rows are
    trained: their columns of the logits are made from `trained`, whose gradient is the same difference, transposed,
    times hidden.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        ids: torch.Tensor | None = None,
        trained: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """hidden (N, H), weight (V, H) of the same dtype, labels int64 (N,) → fp32, in nats: their sum, and each (N,).

        ids int64 (K,), trained (K, H): rows in place of those of `weight`. Only the sum has a gradient.
        """
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        trained_gradient = None if trained is None else torch.zeros_like(trained, dtype=torch.float32)
        new = None if trained is None else trained.to(weight.dtype)
        losses = hidden.new_empty(len(labels), dtype=torch.float32)
        rows = rows_at_a_time(len(labels), len(weight), weight.device)
        for start in range(0, len(labels), rows):
            part = slice(start, start + rows)
            logits = exponentials = probabilities = None  # the block before is given back first: one block at a time
            logits = linear(hidden[part], weight)
            if new is not None:
                logits[:, ids] = linear(hidden[part], new)  # the frozen rows of these columns are not what is used
            logits = logits.float()
            wanted = labels[part].unsqueeze(-1)
            # loss = log Σ exp(logit) − logit of the label. With the largest logit taken off first, no exp overflows;
            # the label's own is read before the block is written over.
            shift = logits.amax(dim=-1, keepdim=True)
            of_label = logits.gather(-1, wanted)
            exponentials = logits.sub_(shift).exp_()  # in place: torch.logsumexp would hold a second block
            sums = exponentials.sum(dim=-1, keepdim=True)
            losses[part] = (sums.log() + shift - of_label).squeeze(-1)
            if gradient is None:
                continue
            # d loss / d logits = softmax − one_hot(label): the same block once more, in place.
            probabilities = exponentials.div_(sums)
            probabilities.scatter_add_(-1, wanted, torch.full_like(wanted, -1.0, dtype=torch.float32))
            if new is not None:  # their columns lead to the trained rows, and to nothing of the frozen weight
                of_new = probabilities[:, ids]
                probabilities[:, ids] = 0
            gradient[part] = linear(probabilities.to(weight.dtype), weight.T)
            if new is not None:
                gradient[part] += of_new.to(weight.dtype) @ new
                trained_gradient += of_new.T @ hidden[part].float()
        ctx.save_for_backward(gradient, trained_gradient)
        ctx.mark_non_differentiable(losses)
        return losses.sum(dtype=torch.float64).float(), losses  # thousands of nats, exact to 1e-6 per token

    @staticmethod
    def backward(ctx: Any, scale: torch.Tensor, _: torch.Tensor) -> tuple:
        gradient, trained = ctx.saved_tensors
        # In fp32: the GradScaler's factor times a sum over a batch may exceed fp16 before it is divided down.
        hidden = (gradient.float() * scale).to(gradient.dtype)
        return hidden, None, None, None, None if trained is None else trained * scale


def rows_at_a_time(labels: int, vocabulary: int, device: torch.device) -> int:
    """Return how many of a batch's rows of logits, one for each label, are made at one time."""
    least = max(16, LOGITS_BYTES.get(device.type, LOGITS_BYTES["cpu"]) // (4 * vocabulary))
    return max(least, labels // LARGE_BATCH_BLOCKS) if device.type == "cpu" else least
