"""Numbers of the model: exact cross-entropy, left padding without effect or NaN, merged adapters, clear errors."""

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers import Qwen2Config

from qwen_svg.common import progress
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import Encoded, encode
from qwen_svg.model import loss
from qwen_svg.model.adapter import add_adapter, merge_adapter
from qwen_svg.model.attention import no_padding
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropy
from qwen_svg.model.load import load_base, load_config
from qwen_svg.model.loss import summed_loss
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training import memory
from tests.tiny import answer

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def rows(tokenizer):
    samples = [Sample(str(i), "a circle" + ", big" * i, answer(radius=10 * i + 5)) for i in range(8)]
    return encode(tokenizer, samples, "chat")


@pytest.fixture(scope="module")
def base(tiny_base):
    return load_base(str(tiny_base), CPU, torch.float32)


@pytest.fixture(scope="module")
def collator(tokenizer):
    return LeftPaddingCollator(tokenizer.pad_token_id)


def test_cross_entropy_is_that_of_each_sample_alone_by_the_library(base, rows, collator):
    """Against the plain Hugging Face loss: one row at a time, no padding, all logits, summed over tokens."""
    nats = tokens = 0
    for row in rows:
        labels = [-100] * len(row.prompt) + row.answer
        out = base(input_ids=torch.tensor([row.prompt + row.answer]), labels=torch.tensor([labels]))
        nats += out.loss.item() * len(row.answer)
        tokens += len(row.answer)
    result = cross_entropy(base, rows, collator, batch_size=3)
    assert result.tokens == tokens
    assert result.mean == pytest.approx(nats / tokens, abs=1e-6)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_cross_entropy_does_not_depend_on_batch_size(base, rows, collator, batch_size):
    whole = cross_entropy(base, rows, collator, batch_size=5).mean
    assert cross_entropy(base, rows, collator, batch_size).mean == pytest.approx(whole, abs=1e-6)


def test_summed_loss_and_gradients_are_the_librarys(base, rows, collator):
    """Against the model's own loss with all its logits: the value, and every adapter gradient."""
    gradients = []
    for ours in (False, True):
        torch.manual_seed(0)
        model = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0).train()
        for name, p in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(p, 0, 0.02)
        batch = collator(rows)
        count = len(batch["shift_labels"])
        loss = summed_loss(model, **batch) / count if ours else model(**batch, num_items_in_batch=count).loss
        loss.backward()
        gradients.append((loss.item(), [p.grad for p in model.parameters() if p.requires_grad]))
    (theirs, expected), (own, found) = gradients
    assert own == pytest.approx(theirs, rel=1e-6)
    assert own == pytest.approx(cross_entropy(model, rows, collator, 8).mean, rel=1e-6)
    assert len(found) == 28
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-7)


def test_frozen_head_loss_in_blocks_is_exact(monkeypatch):
    """Blocks of 16 rows against one matrix in double precision; half precision within its rounding."""
    monkeypatch.setattr(loss, "LOGITS_BYTES", {"cpu": 1})
    random = torch.Generator().manual_seed(0)
    hidden, weight = (torch.randn(n, 32, generator=random, dtype=torch.float64) for n in (50, 300))
    labels = torch.randint(0, 300, (50,), generator=random)
    exact = hidden.clone().requires_grad_()
    torch.nn.functional.cross_entropy(exact @ weight.T, labels, reduction="sum").backward()
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 3e-2)):
        ours = hidden.to(dtype).requires_grad_()
        value = loss._FrozenHeadLoss.apply(ours, weight.to(dtype), labels)[0]
        value.backward()
        torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=tolerance, atol=tolerance)
        assert value.item() == pytest.approx(
            torch.nn.functional.cross_entropy(hidden @ weight.T, labels, reduction="sum").item(), rel=tolerance
        )


@pytest.mark.parametrize("batch_size", [1, 2, 4])
def test_gradient_accumulation_sums_to_the_whole_step(base, rows, collator, batch_size):
    def gradient(size: int) -> torch.Tensor:
        torch.manual_seed(0)
        model = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0).train()
        labels = sum(len(row.answer) for row in rows)
        for start in range(0, len(rows), size):
            (summed_loss(model, **collator(rows[start : start + size])) / labels).backward()
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])

    torch.testing.assert_close(gradient(batch_size), gradient(8), rtol=1e-4, atol=1e-7)


def test_without_a_terminal_cross_entropy_says_how_far_it_is(base, rows, collator, monkeypatch, capsys):
    monkeypatch.setattr(progress, "SAID_EVERY", -1)
    cross_entropy(base, rows[:4], collator, 2, "base: cross-entropy")
    assert capsys.readouterr().out == (
        "base: cross-entropy: 1 of 2, about 0 min left\nbase: cross-entropy: 2 of 2, about 0 min left\n"
    )
    cross_entropy(base, rows[:4], collator, 2)  # within a training, which has lines of its own
    assert not capsys.readouterr().out


def test_cross_entropy_leaves_the_mode_alone(base, rows, collator):
    for training in (True, False):
        base.train(training)
        cross_entropy(base, rows[:1], collator, 1)
        assert base.training is training


def test_hidden_states_and_gradients_are_finite_under_left_padding(base, rows, collator):
    model = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0).train()
    out = model(**collator(rows), output_hidden_states=True)
    assert all(state.isfinite().all() for state in out.hidden_states)
    out.loss.backward()
    gradients = [p.grad for p in model.parameters() if p.requires_grad]
    assert gradients and all(g.isfinite().all() for g in gradients)


def test_adapter_is_fp32_on_a_half_base_and_covers_all_linear_layers(tiny_base):
    model = add_adapter(load_base(str(tiny_base), CPU, torch.float16), rank=4, alpha=8, dropout=0.0)
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert {p.dtype for p in trainable.values()} == {torch.float32}
    assert len(trainable) == 2 * 7 * 2  # A and B, 7 linear layers, 2 blocks


def test_merged_adapter_answers_like_the_adapter(base, rows, collator, tmp_path):
    model = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_B" in name:
                p.normal_(0, 0.05)
    model.save_pretrained(tmp_path)
    merged = merge_adapter(copy.deepcopy(base), tmp_path)
    with_adapter = cross_entropy(model, rows, collator, 4).mean
    assert cross_entropy(merged, rows, collator, 4).mean == pytest.approx(with_adapter, abs=1e-5)
    assert with_adapter != pytest.approx(cross_entropy(base, rows, collator, 4).mean, abs=1e-3)


def test_a_broken_adapter_is_one_sentence(base, tmp_path):
    model = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0)
    model.save_pretrained(tmp_path)
    weights = tmp_path / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(UserError, match="cannot be loaded"):
        merge_adapter(copy.deepcopy(base), tmp_path)


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/model", "nowhere.gguf", "nobody/nothing-at-all"])
def test_a_base_that_cannot_be_had_is_one_sentence_with_ways_out(name):
    with pytest.raises(UserError, match=r"in its place|with `--base-model`|another in its place"):
        load_tokenizer(name)


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be loaded"):
        load_base(str(tmp_path), CPU, torch.float32)


# GiB at the peak of a step of Qwen2.5-1.5B in fp16, rank 64, rows of 1,560 tokens and fewer, on a pretended GPU.
@pytest.mark.parametrize(
    ("rows", "checkpointing", "peak"), [(4, False, 13.19), (4, True, 5.35), (16, False, 41.4), (16, True, 10.27)]
)
def test_the_memory_estimate_holds_for_large_batches(rows, checkpointing, peak):
    config = Qwen2Config(
        vocab_size=151_936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    c = SimpleNamespace(BASE_QUANTIZATION="", OPTIMIZER="adamw", LOSS_ON="answer")
    batch = [Encoded(str(i), [1] * 413, [2] * (1147 - 20 * i)) for i in range(rows)]
    shape = {"rank": 64, "alpha": 128, "dropout": 0.0}, batch, torch.device("cuda"), torch.float16
    needed = memory.estimate(config, c, *shape, checkpointing)
    assert needed.total / memory.GIB == pytest.approx(peak, rel=0.09)


def test_memory_estimate_counts_what_autograd_keeps(tiny_base):
    """Against real tensors on the CPU: within 5 %, in fp32 and in half precision."""
    rows = [Encoded("a", [5] * 100, [6] * 92), Encoded("b", [5] * 100, [6] * 60)]
    batch = LeftPaddingCollator(0)(rows)
    c = SimpleNamespace(BASE_QUANTIZATION="", OPTIMIZER="adamw", LOSS_ON="answer")
    adapter = {"rank": 8, "alpha": 16, "dropout": 0.0}
    for dtype in (torch.float32, torch.float16):
        model = add_adapter(load_base(str(tiny_base), torch.device("cpu"), dtype), **adapter).train()
        own = {p.untyped_storage()._cdata for p in model.parameters()}
        kept: dict[int, torch.Tensor] = {}

        def keep(tensor, own=own, kept=kept):
            if tensor.untyped_storage()._cdata not in own:
                kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", torch.float16, enabled=dtype == torch.float16),
        ):
            ids = batch["input_ids"]
            model.get_decoder()(input_ids=ids, attention_mask=no_padding(ids), use_cache=False)
        real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
        needed = memory.estimate(load_config(str(tiny_base)), c, adapter, rows, torch.device("cuda"), dtype, False)
        assert needed.activations == pytest.approx(real, rel=0.05), dtype
        assert needed.heap == 0
        checkpointed = memory.estimate(load_config(str(tiny_base)), c, adapter, rows, torch.device("cuda"), dtype, True)
        assert checkpointed.total < needed.total
