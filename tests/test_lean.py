"""The leaner forward and backward passes compute what the libraries' do: attention by rows, LoRA, RMSNorm, SwiGLU."""

import copy

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, MistralConfig, Qwen2Config, Qwen3Config
from transformers.masking_utils import causal_mask_function

from qwen_svg.model.adapter import ALL_LINEAR
from qwen_svg.model.attention import ROWS_SDPA, Rows, _GradientByProducts, no_padding, rows_mask
from qwen_svg.model.recompute import Again, _LoRALinear, recompute_cheap_inputs

SIZES = dict(
    vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2,
)  # fmt: skip
FAMILIES = {
    "llama": LlamaConfig(**SIZES),
    "qwen2": Qwen2Config(**SIZES),
    "qwen3": Qwen3Config(**SIZES, head_dim=8),
    "mistral": MistralConfig(**SIZES, sliding_window=8),  # its windows need a mask
}


def adapted(config, lean: bool, attention: str, dropout: float = 0.0):
    """A small random model with random adapters; the same weights at each call."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention)
    lora = LoraConfig(r=4, lora_alpha=8, lora_dropout=dropout, target_modules=ALL_LINEAR)
    model = get_peft_model(model, lora)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:
                p.normal_(0, 0.1)
    if lean:
        recompute_cheap_inputs(model)
    return model.train()


def batch():
    torch.manual_seed(1)
    ids = torch.randint(0, 99, (4, 20))
    mask = torch.ones_like(ids)
    for row, padding in enumerate((0, 7, 7, 3)):
        mask[row, :padding] = 0
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "position_ids": positions,
        "labels": ids.masked_fill(mask == 0, -100),
    }


def loss_and_gradients(model):
    out = model(**batch())
    out.loss.backward()
    return out, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_logits_and_gradients_are_those_of_the_libraries(family, checkpointing):
    lean, plain = (adapted(FAMILIES[family], lean, ROWS_SDPA if lean else "eager") for lean in (True, False))
    if checkpointing:
        lean.gradient_checkpointing_enable()
        lean.enable_input_require_grads()
    ours, our_gradients = loss_and_gradients(lean)
    theirs, their_gradients = loss_and_gradients(plain)
    real = batch()["attention_mask"].bool()
    torch.testing.assert_close(ours.logits[real], theirs.logits[real], atol=1e-5, rtol=1e-4)
    assert ours.loss.item() == pytest.approx(theirs.loss.item(), abs=1e-6)
    assert our_gradients.keys() == their_gradients.keys() and len(our_gradients) == 2 * 7 * 2
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, atol=1e-6, rtol=1e-3)


def test_a_half_precision_base_under_autocast_learns_in_the_same_direction():
    """As on a GPU with FP16, whose base is fp16 and whose adapters are fp32; here by the CPU's own half kernels."""
    full = adapted(FAMILIES["qwen2"], True, ROWS_SDPA)
    half = copy.deepcopy(full)
    for p in half.parameters():
        if not p.requires_grad:
            p.data = p.data.half()
    _, expected = loss_and_gradients(full)
    with torch.autocast("cpu", torch.float16):
        out = half(**batch())
    (64 * out.loss).backward()  # scaled, as a GradScaler does
    for name, p in half.named_parameters():
        if p.requires_grad:
            assert p.grad.dtype == torch.float32 and p.grad.isfinite().all()
            assert torch.cosine_similarity(p.grad.flatten(), expected[name].flatten(), dim=0) > 0.99, name


def test_the_gradient_by_products_is_that_of_the_fused_kernel():
    """300 queries are two whole blocks and a part of one; three query heads share a key head."""
    torch.manual_seed(0)
    query, key, value, grad = (torch.randn(2, heads, 300, 16, dtype=torch.float64) for heads in (6, 2, 2, 6))

    def gradients(attention, dtype):
        inputs = [x.to(dtype).requires_grad_() for x in (query, key, value)]
        return [g.double() for g in torch.autograd.grad(attention(*inputs), inputs, grad.to(dtype))]

    def fused(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    def by_products(q, k, v):
        return _GradientByProducts.apply(q, k, v, 16**-0.5)

    for exact, double, ours, theirs in zip(
        gradients(fused, torch.float64),
        gradients(by_products, torch.float64),
        gradients(by_products, torch.bfloat16),
        gradients(fused, torch.bfloat16),
        strict=True,
    ):
        assert (double - exact).norm() < 1e-6 * exact.norm()  # sums of keys' gradients are fp32
        assert (ours - exact).norm() < 1.3 * (theirs - exact).norm()  # no less exact in bf16 than the kernel is


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_bf16_base_learns_what_an_fp32_base_learns(checkpointing):
    """As on a CPU with units for bf16: loss within 0.5 %, gradients in the same direction, padding or not."""
    full = adapted(FAMILIES["qwen2"], True, ROWS_SDPA)
    half = copy.deepcopy(full)
    for p in half.parameters():
        if not p.requires_grad:
            p.data = p.data.bfloat16()
    if checkpointing:
        half.gradient_checkpointing_enable()
        half.enable_input_require_grads()
    theirs, expected = loss_and_gradients(full)
    with torch.autocast("cpu", torch.bfloat16):
        out = half(**batch())
    out.loss.backward()
    assert out.loss.item() == pytest.approx(theirs.loss.item(), rel=5e-3)
    for name, p in half.named_parameters():
        if p.requires_grad:
            assert p.grad.dtype == torch.float32
            assert torch.cosine_similarity(p.grad.flatten(), expected[name].flatten(), dim=0) > 0.97, name


def test_what_three_layers_ask_for_is_computed_once_and_then_forgotten():
    made = []
    again = Again(lambda x: made.append(x) or x + 1)
    again.asking = 3
    for backward in (1, 2):  # a graph may be gone through twice
        assert [again(5) for _ in range(3)] == [6, 6, 6] and again.result is None
        assert len(made) == backward


def test_four_tenths_of_what_autograd_kept_are_gone():
    def kept(lean: bool) -> int:
        model = adapted(LlamaConfig(**SIZES | {"hidden_size": 128, "intermediate_size": 512}), lean, ROWS_SDPA)
        own = {p.untyped_storage().data_ptr() for p in model.parameters()}
        storages = {}

        def keep(tensor):
            if tensor.untyped_storage().data_ptr() not in own:
                storages[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        inputs = {name: tensor for name, tensor in batch().items() if name != "labels"}
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.get_decoder()(**inputs, use_cache=False)
        return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())

    assert kept(lean=True) < 0.62 * kept(lean=False)


def test_dropout_is_on_the_adapters_input_alone_and_off_in_evaluation():
    config = FAMILIES["llama"]
    model = adapted(config, True, ROWS_SDPA, dropout=0.5)
    inputs = {name: tensor for name, tensor in batch().items() if name != "labels"}
    with torch.no_grad():
        assert not torch.equal(model(**inputs).logits, model(**inputs).logits)
        model.eval()
        plain = adapted(config, False, "eager").eval()
        real = inputs["attention_mask"].bool()
        torch.testing.assert_close(model(**inputs).logits[real], plain(**inputs).logits[real], atol=1e-5, rtol=1e-4)


def test_lora_gradients_with_dropout_are_the_numerical_ones():
    torch.manual_seed(0)
    x, a, b = (torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 5), (2, 5), (4, 2)))
    weight, bias = torch.randn(4, 5, dtype=torch.float64), torch.randn(4, dtype=torch.float64)
    keep = torch.rand(2, 3, 5) > 0.4
    for mask, p in ((None, 0.0), (keep, 0.4)):
        assert torch.autograd.gradcheck(
            lambda x, a, b, mask=mask, p=p: _LoRALinear.apply(x, None, lambda: weight, bias, a, b, 1.7, mask, p),
            (x, a, b),
        )


def test_disabled_adapters_and_several_adapters_go_pefts_way():
    model = adapted(FAMILIES["qwen2"], True, ROWS_SDPA).eval()
    bare = copy.deepcopy(model.get_base_model()).eval()
    inputs = {name: tensor for name, tensor in batch().items() if name != "labels"}
    with torch.no_grad():
        tuned = model(**inputs).logits
        with model.disable_adapter():
            base = model(**inputs).logits
        assert not torch.allclose(tuned, base, atol=1e-3)
        torch.testing.assert_close(bare(**inputs).logits, tuned)


def test_left_padding_is_cut_off_and_anything_else_is_masked():
    left = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]])
    arguments = dict(batch_size=3, q_length=4, kv_length=4)
    rows = rows_mask(**arguments, attention_mask=left)
    assert rows == Rows((2, 0, 0))
    assert list(rows.runs()) == [(slice(0, 1), 2), (slice(1, 3), 0)]
    assert rows_mask(**arguments) == rows_mask(**arguments, attention_mask=no_padding(left)) == Rows((0, 0, 0))
    assert rows_mask(1, 4, 4, attention_mask=no_padding(left[:1].to("meta"))) == Rows((0,))  # its values are not read
    for other in (left.flip(-1), torch.zeros_like(left)):  # right padding; nothing real at all
        mask = rows_mask(**arguments, attention_mask=other)
        assert mask.any(-1).all()

    def window(b, h, q, k):
        return causal_mask_function(b, h, q, k) & (q - k < 2)

    assert isinstance(rows_mask(**arguments, attention_mask=left, mask_function=window), torch.Tensor)


def test_rows_that_may_attend_to_nothing_see_everything():
    """The guard against NaN where a mask is needed: no row of it is empty, real rows are untouched."""
    padding = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1]], dtype=torch.bool)
    mask = rows_mask(2, 4, 4, mask_function=lambda b, h, q, k: causal_mask_function(b, h, q, k), attention_mask=padding)
    assert mask[0, 0].tolist() == [[True] * 4, [True] * 4, [False, False, True, False], [False, False, True, True]]
    assert mask[1, 0].tolist() == torch.ones(4, 4).tril().bool().tolist()


def test_decoding_with_a_cache_continues_what_the_rows_began():
    torch.manual_seed(0)
    model = LlamaForCausalLM(FAMILIES["llama"]).eval()
    model.set_attn_implementation(ROWS_SDPA)
    inputs = {name: tensor for name, tensor in batch().items() if name != "labels"}
    with torch.no_grad():
        whole = model(**inputs).logits[:, -1]
        first = model(**{name: tensor[:, :-1] for name, tensor in inputs.items()}, use_cache=True)
        last = {name: tensor[:, -1:] for name, tensor in inputs.items()} | {"attention_mask": inputs["attention_mask"]}
        step = model(**last, past_key_values=first.past_key_values).logits[:, -1]
    torch.testing.assert_close(step, whole, atol=1e-5, rtol=1e-4)
