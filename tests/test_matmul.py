"""oneDNN's products are torch's, forward and backward."""

import copy

import pytest
import torch
import torch.nn.functional as F

from qwen_svg.model.onednn import ONEDNN, linear, use_onednn

SHAPES = [(1, 1, 96), (3, 1, 96), (2, 17, 96), (5, 96), (96,), (0, 4, 96)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_linear_is_torchs_whatever_the_shape_and_the_strides(shape, bias):
    torch.manual_seed(0)
    weight, b = torch.randn(64, 96), torch.randn(64) if bias else None
    for w in (weight, weight.T.contiguous().T):
        for x in (torch.randn(shape), torch.randn(*shape[:-1], 192)[..., ::2]):
            torch.testing.assert_close(linear(x, w, b), F.linear(x, w, b), rtol=1e-5, atol=1e-4)
    assert linear(torch.randn(2, 96).half(), weight.half()).dtype == torch.float16


@pytest.mark.parametrize("frozen", [True, False])
def test_a_quickened_layer_has_the_gradients_of_the_plain_one(frozen):
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Linear(32, 48), torch.nn.SiLU(), torch.nn.Linear(48, 8, bias=False))
    plain.requires_grad_(not frozen)
    quick = copy.deepcopy(plain)
    use_onednn(quick)
    quick = copy.deepcopy(quick)  # a copy computes with its own weights
    x = torch.randn(3, 5, 32)
    gradients = []
    for model in (plain, quick):
        x.requires_grad_().grad = None
        model(x).square().sum().backward()
        gradients.append([x.grad.clone(), *(p.grad for p in model.parameters() if not frozen)])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        quick[0].weight.zero_()
        assert not torch.equal(quick(x), plain(x))


@pytest.mark.skipif(not ONEDNN, reason="this build of torch has no oneDNN")
def test_it_is_onednn_that_computes():
    layer = torch.nn.Linear(32, 48).requires_grad_(False)
    use_onednn(layer)
    with torch.no_grad(), torch.profiler.profile() as profile:
        layer(torch.randn(2, 32))
    assert "mkldnn::_linear_pointwise" in {event.key for event in profile.key_averages()}


def test_the_weights_are_not_copied_for_the_last_of_several_rows():
    """torch.matmul of a slice would multiply each row by its own copy of the matrix."""
    weight, hidden = torch.randn(64, 96).bfloat16(), torch.randn(3, 17, 96).bfloat16()
    last = hidden[:, -1:]
    with torch.no_grad(), torch.profiler.profile(record_shapes=True) as profile:
        scores = linear(last, weight)
    torch.testing.assert_close(scores, F.linear(last.contiguous(), weight))
    assert [3, 96, 64] not in [shape for event in profile.events() for shape in event.input_shapes]
