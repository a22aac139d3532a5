"""An adapter beside a .gguf file in llama.cpp writes what it writes in transformers; what llama.cpp cannot is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import encode
from qwen_svg.generation.llama_cpp import Context, Weights, is_installed
from qwen_svg.generation.pick_engine import pick_engine
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model.adapter import add_adapter, with_adapter
from qwen_svg.model.gguf import write_gguf
from qwen_svg.model.load import load_base
from qwen_svg.model.source import ModelSource, find_source
from tests.tiny import answer

pytestmark = pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")
CPU = torch.device("cpu")
SCALINGS = {
    "alpha by rank": {"alpha": 8},
    "by its root": {"alpha": 3, "rslora": True},
    "one layer by itself": {"alpha": 8, "pattern": {"q_proj": 1, "layers.1.mlp.down_proj": 20}},
}


@pytest.fixture(scope="module", params=["tiny_base", "tiny_llama"])
def base(request, tokenizer, tmp_path_factory):
    """A Qwen2, or a Llama, whose heads are in another order in a GGUF file."""
    file = tmp_path_factory.mktemp("gguf") / "base.f32.gguf"
    model = load_base(str(request.getfixturevalue(request.param)), CPU, torch.float32)
    write_gguf(file, model, tokenizer, "tiny", "float32", {})
    return file


def make_adapter(base, folder, alpha=8, rslora=False, pattern=None):
    """Save one that changes what the base says."""
    torch.manual_seed(1)
    model = add_adapter(load_base(str(base), CPU, torch.float32), 4, alpha, 0.0, rslora=rslora)
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, 0, 0.1)
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"alpha_pattern": pattern or {}}))
    return folder


@pytest.mark.parametrize("scaling", SCALINGS)
def test_the_scores_are_those_of_transformers(base, tokenizer, tmp_path, scaling):
    """As near as those of the base alone, whose keys and values llama.cpp has in float16."""
    adapter = make_adapter(base, tmp_path / "adapter", **SCALINGS[scaling])
    (row,) = encode(tokenizer, [Sample("1", "a fox", answer())], "chat")
    plain = load_base(str(base), CPU, torch.float32)
    without, found = scores(plain, row.prompt), scores(Weights(base), row.prompt)
    expected, adapted = scores(with_adapter(plain, adapter), row.prompt), scores(Weights(base, adapter), row.prompt)
    assert (found - without).abs().max() < 0.02
    assert (adapted - expected).abs().max() < 0.02
    assert (expected - without).abs().max() > 1


def scores(model, prompt: list[int]) -> torch.Tensor:
    """Return those behind each token, (T, V)."""
    count = len(prompt)
    if isinstance(model, Weights):
        context = Context(model, 1, 2 * count, count, 1)
        return torch.from_numpy(context.decode(prompt, list(range(count)), [0] * count, [True] * count).copy())
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0]


def test_an_adapter_draws_by_llama_cpp_unless_it_is_more_than_llama_cpp_can(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    source = find_source(str(adapter))
    assert source.base == str(base) and pick_engine("auto", source) == "llama.cpp"
    drawn = [
        Predictor(source, engine=engine).draw("a fox", Settings(free=True, max_new=40)).answer
        for engine in ("auto", "transformers")
    ]
    assert drawn[0] == drawn[1]
    config = json.loads((adapter / "adapter_config.json").read_text())
    for change, reason in (
        ({"use_dora": True}, "more than two factors"),
        ({"bias": "lora_only"}, "more than two factors"),
        ({"trainable_token_indices": {"embed_tokens": [7]}}, "rows for new tokens"),
    ):
        (adapter / "adapter_config.json").write_text(json.dumps(config | change))
        assert pick_engine("auto", source) == "transformers"
        with pytest.raises(UserError, match=f"cannot run .*adapter .*{reason}"):
            pick_engine("llama.cpp", source)
    (adapter / "adapter_config.json").write_text("{")
    with pytest.raises(UserError, match=r"adapter_config\.json cannot be read"):
        pick_engine("auto", source)
    elsewhere = ModelSource("Qwen/Qwen2.5-1.5B-Instruct", adapter)
    assert pick_engine("auto", elsewhere) == "transformers"


@pytest.mark.parametrize("fault", ["no weights", "half", "other layers"])
def test_an_adapter_that_cannot_be_read_is_named(base, tmp_path, fault):
    adapter = make_adapter(base, tmp_path / "adapter")
    weights = adapter / "adapter_model.safetensors"
    said = r"cannot be read \(.+\); copy adapter_model"
    if fault == "no weights":
        weights.unlink()
    elif fault == "half":
        weights.write_bytes(weights.read_bytes()[:1000])
    else:
        save_file({name.replace("q_proj", "w_proj"): tensor for name, tensor in load_file(weights).items()}, weights)
        said = r"has factors of model\.layers\.0\.self_attn\.w_proj, which llama\.cpp does not know"
    with pytest.raises(UserError, match=f"the adapter in .*adapter {said}"):
        Weights(base, adapter)


def test_an_adapter_of_another_base_is_refused(base, tmp_path):
    adapter = make_adapter(base, tmp_path / "adapter")
    weights = adapter / "adapter_model.safetensors"
    wider = {name: torch.cat([t, t], 1 if "lora_A" in name else 0) for name, t in load_file(weights).items()}
    save_file(wider, weights)
    with pytest.raises(UserError, match=r"llama\.cpp cannot load .*adapter \(.+\); try `--engine transformers`"):
        Weights(base, adapter)
