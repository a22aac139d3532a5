"""ModernBERT as its authors train it ("FlexBERT", in Composer checkpoints), and what Hugging Face calls the same.

Sources: configuration_bert.py (names and defaults) and model.py, layers.py, embeddings.py, attention.py, mlp.py (names
of tensors, order of operations) in src/bert_layers of https://github.com/AnswerDotAI/ModernBERT, and its yamls/.
"""

import re
from typing import Any

from qwen_svg.common.errors import UserError

DEFAULTS = {  # of FlexBertConfig, where they matter here
    "attention_layer": "base", "attn_out_bias": False, "attn_out_dropout_prob": 0.0, "attn_qkv_bias": False,
    "bert_layer": "prenorm", "decoder_bias": True, "embed_dropout_prob": 0.0, "embed_norm": True, "final_norm": False,
    "embedding_layer": "absolute_pos", "mlp_dropout_prob": 0.0, "mlp_in_bias": False, "mlp_layer": "mlp",
    "mlp_out_bias": False, "norm_kwargs": {}, "normalization": "rmsnorm", "head_pred_act": "silu",
    "head_pred_bias": False, "head_pred_norm": True, "rotary_emb_dim": None, "rotary_emb_base": 10000.0,
    "rotary_emb_scale_base": None, "rotary_emb_interleaved": False, "skip_first_prenorm": False, "sliding_window": -1,
    "global_attn_every_n_layers": -1, "local_attn_rotary_emb_base": -1, "local_attn_rotary_emb_dim": None,
    "tie_word_embeddings": True, "hidden_act": "gelu", "initial_attention_layer": None, "initial_bert_layer": None,
    "initial_mlp_layer": None,
}  # fmt: skip
SIZES = ("num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads")
REQUIRED = {  # Hugging Face's ModernBERT has no other kind
    "attention_layer": "rope", "bert_layer": "prenorm", "embedding_layer": "sans_pos", "mlp_layer": "glu",
    "normalization": "layernorm", "embed_norm": True, "final_norm": True, "skip_first_prenorm": True,
    "head_pred_norm": True, "rotary_emb_scale_base": None, "rotary_emb_interleaved": False,
    "initial_attention_layer": None, "initial_bert_layer": None, "initial_mlp_layer": None,
}  # fmt: skip

NAMES = (  # pattern → Hugging Face's name; the same tensors, laid out the same way
    (r"bert\.embeddings\.(tok_embeddings|norm)\.(weight|bias)", r"model.embeddings.\1.\2"),
    (r"bert\.encoder\.layers\.(\d+)\.(attn_norm|mlp_norm)\.(weight|bias)", r"model.layers.\1.\2.\3"),
    (r"bert\.encoder\.layers\.(\d+)\.(attn\.Wqkv|attn\.Wo|mlp\.Wi|mlp\.Wo)\.(weight|bias)", r"model.layers.\1.\2.\3"),
    (r"bert\.final_norm\.(weight|bias)", r"model.final_norm.\1"),
    (r"head\.(dense|norm)\.(weight|bias)", r"head.\1.\2"),
    (r"decoder\.(weight|bias)", r"decoder.\1"),
)
WRAPPERS = re.compile(r"(?:(?:module|model|_orig_mod)\.)+|\b_orig_mod\.")  # of Composer, DDP and torch.compile
COMPUTED = re.compile(r".*rotary_emb\.(inv_freq|scale)")  # follow from the configuration


def config_arguments(flex: dict[str, Any], max_length: int) -> dict[str, Any]:
    """Return the arguments of transformers' ModernBertConfig that say the same, but for vocabulary and token ids.

    flex: the `model_config` of a training configuration. Raises UserError for a model that ModernBERT is not.
    """
    missing = [name for name in SIZES if name not in flex]
    if missing:
        raise UserError(f"CONFIG has no {', '.join(missing)}; give the configuration the model was trained with.")
    c = DEFAULTS | {name: value for name, value in flex.items() if value is not None or name in REQUIRED}
    for name, wanted in REQUIRED.items():
        value = c[name].removeprefix("unpadded_").removeprefix("padded_") if isinstance(c[name], str) else c[name]
        if value != wanted:
            raise UserError(f"CONFIG: {name} is {c[name]!r}, and Hugging Face's ModernBERT knows only {wanted!r}.")
    for one, other in (("attn_qkv_bias", "attn_out_bias"), ("mlp_in_bias", "mlp_out_bias")):
        if c[one] != c[other]:
            raise UserError(f"CONFIG: {one} and {other} differ; Hugging Face's ModernBERT has one switch for both.")
    head = c["hidden_size"] // c["num_attention_heads"]
    for name in ("rotary_emb_dim", "local_attn_rotary_emb_dim"):
        if c[name] not in (None, head):
            raise UserError(f"CONFIG: {name} is {c[name]}; Hugging Face's ModernBERT turns whole heads ({head}).")
    every, base = c["global_attn_every_n_layers"], c["rotary_emb_base"]
    local = c["local_attn_rotary_emb_base"]
    kinds = [_is_local(i, every, c["sliding_window"]) for i in range(c["num_hidden_layers"])]
    return {
        **{name: c[name] for name in SIZES},
        "hidden_activation": c["hidden_act"],
        "classifier_activation": c["head_pred_act"],
        "classifier_bias": c["head_pred_bias"],
        "decoder_bias": c["decoder_bias"],
        "attention_bias": c["attn_qkv_bias"],
        "mlp_bias": c["mlp_in_bias"],
        "norm_eps": float(c["norm_kwargs"].get("eps", 1e-5)),
        "norm_bias": c["norm_kwargs"].get("bias", True),  # PyTorch's LayerNorm has one unless told otherwise
        "embedding_dropout": c["embed_dropout_prob"],
        "mlp_dropout": c["mlp_dropout_prob"],
        "layer_types": ["sliding_attention" if is_local else "full_attention" for is_local in kinds],
        "local_attention": c["sliding_window"] if c["sliding_window"] > 0 else 128,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": float(base)},
            "sliding_attention": {"rope_type": "default", "rope_theta": float(base if local == -1 else local)},
        },
        "max_position_embeddings": max_length,
        "tie_word_embeddings": c["tie_word_embeddings"],
    }


def _is_local(layer: int, every: int, window: int) -> bool:
    return window > 0 and (every <= 0 or layer % every != 0)


def renamed(state: dict[str, Any]) -> dict[str, Any]:
    """Return the tensors under Hugging Face's names. Raises UserError for one that has none."""
    result, unknown = {}, []
    for name, tensor in state.items():
        bare = WRAPPERS.sub("", name)
        for pattern, new in NAMES:
            if match := re.fullmatch(pattern, bare):
                result[match.expand(new)] = tensor
                break
        else:
            if not COMPUTED.fullmatch(bare):
                unknown.append(name)
    if unknown:
        raise UserError(f"CHECKPOINT holds tensors that ModernBERT has no place for: {_some(unknown)}.")
    return result


def account(state: dict[str, Any], expected: dict[str, Any], tied: bool) -> None:
    """Raise UserError unless `state` has exactly the tensors of `expected`, each in its shape."""
    if missing := sorted(expected.keys() - state.keys() - ({"decoder.weight"} if tied else set())):
        raise UserError(f"CHECKPOINT lacks tensors of the model that CONFIG describes: {_some(missing)}.")
    if unexpected := sorted(state.keys() - expected.keys()):
        raise UserError(f"CHECKPOINT holds tensors that the model of CONFIG has not: {_some(unexpected)}.")
    shapes = [
        f"{name} is {tuple(tensor.shape)}, not {tuple(expected[name].shape)}"
        for name, tensor in state.items()
        if tensor.shape != expected[name].shape
    ]
    if shapes:
        raise UserError(f"CHECKPOINT and CONFIG differ in size: {_some(shapes)}.")
    embedding, decoder = state["model.embeddings.tok_embeddings.weight"], state.get("decoder.weight")
    if tied and decoder is not None and not embedding.equal(decoder):
        raise UserError("CHECKPOINT has an output layer of its own, and CONFIG says it is the embedding's.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
