"""What a training step launches on a GPU, counted on a pretended one, and what saves it there."""

import copy

import pytest
import torch
from torch import nn
from transformers import Qwen2Config, Qwen2ForCausalLM

from benchmarks import kernels
from benchmarks.gpu_bench import QWEN_15B
from benchmarks.pretended_gpu import launches
from qwen_svg.common.tokens import Encoded
from qwen_svg.model import recompute
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.attention import ROWS_SDPA
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.loss import summed_loss
from qwen_svg.model.recompute import _fused_norm, _RMSNorm

LAYERS = 2


def test_a_step_launches_fewer_kernels_than_stock_peft_and_waits_for_nothing():
    """They were more than stock's, with some 65 casts a block and two waits."""
    config = Qwen2Config(**QWEN_15B | {"num_hidden_layers": LAYERS})
    ours = kernels.counted(config, kernels.our_model, kernels.our_loss)
    stock = kernels.counted(config, kernels.stock_model, kernels.stock_loss)
    assert ours.kernels <= 0.65 * stock.kernels
    assert ours.syncs == 0
    assert ours.casts <= 2 * LAYERS + 12  # a block's adapter, forward and backward; loss and positions are fp32
    assert ours.by_name["mm"] <= 39 * LAYERS + 8  # 3 + 5 products for each of 7 layers, of which addmm are 17


def test_lists_of_tensors_are_launched_as_often_as_cuda_does():
    small, large = torch.empty(10), torch.empty(200 * 65_536, device="meta")
    assert launches("_foreach_copy_", ([small] * 64, [small] * 64)) == 1
    assert launches("_foreach_copy_", ([small] * 65, [small] * 65)) == 2  # 64 tensors at once of two lists
    assert launches("_foreach_mul", ([small] * 64, 2.0)) == 1  # whose results are another list
    assert launches("_foreach_mul_", ([large] * 2, 2.0)) == 2  # 320 blocks at once


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_fused_norm_is_ours_but_for_rounding(dtype):
    torch.manual_seed(0)
    x, weight, grad = torch.randn(3, 5, 64).to(dtype), torch.rand(64).to(dtype), torch.randn(3, 5, 64).to(dtype)

    def result_and_gradient(norm):
        inner = x.clone().requires_grad_()
        out = norm(inner)
        return out.detach(), *torch.autograd.grad(out, inner, grad)

    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        fused = result_and_gradient(lambda x: _fused_norm(x, weight, 1e-6))
        ours = result_and_gradient(lambda x: _RMSNorm.apply(x, weight, 1e-6)[0])
    assert fused[0].dtype == dtype  # under autocast too
    close = dict(atol=1e-5, rtol=1e-5) if dtype == torch.float32 else dict(atol=0.02, rtol=0.02)
    torch.testing.assert_close(fused, ours, **close)


@pytest.fixture
def model():
    config = Qwen2Config(
        vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    torch.manual_seed(0)
    base = Qwen2ForCausalLM._from_config(config, dtype=torch.bfloat16, attn_implementation=ROWS_SDPA)
    model = add_adapter(base, 4, 6, 0.0).train()
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.normal_(0, 0.1)
    return model


def loss_and_gradients(model: nn.Module) -> list[torch.Tensor]:
    batch = LeftPaddingCollator(0)([Encoded("a", [1, 2, 3], [4, 5, 6, 7]), Encoded("b", [8], [9, 10])])
    loss = summed_loss(model, **batch)
    trained = [p for p in model.parameters() if p.requires_grad]
    return [loss.detach(), *torch.autograd.grad(loss, trained)]


def test_a_blocks_factors_are_cast_together_and_anew_in_each_forward_pass(model, monkeypatch):
    monkeypatch.setattr(recompute, "pays", lambda _: True)  # as on a GPU
    together = loss_and_gradients(model)
    alone = copy.deepcopy(model)
    for module in alone.modules():
        if hasattr(module, "block"):
            module.block.layers.clear()  # nothing to cast together: each layer casts its own
    assert all(torch.equal(a, b) for a, b in zip(together, loss_and_gradients(alone), strict=True))
    for one in (model, alone):  # what an optimizer does, without a version that tells of it: as FSDP2 does
        for p in one.parameters():
            if p.requires_grad:
                p.data.mul_(1.5)
    changed = loss_and_gradients(model)
    assert not torch.equal(changed[0], together[0])
    assert all(torch.equal(a, b) for a, b in zip(changed, loss_and_gradients(alone), strict=True))


def test_factors_that_are_divided_among_processes_are_left_to_their_layer(model):
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    other = model.base_model.model.model.layers[0].mlp.up_proj
    other.lora_B["default"].weight.data = torch.empty(0)  # as ZeRO-3 leaves it until the layer is called
    assert layer.block is other.block
    assert layer.block.of(other, "default", torch.bfloat16, False) is None
    assert layer.block.of(layer, "default", torch.bfloat16, False)[0].dtype == torch.bfloat16
