"""Writing a model as one GGUF file, which llama.cpp and Ollama run: Qwen2 and Llama, with byte-level BPE tokens.

Keys and tensor names are those of the GGUF specification (ggml's docs/gguf.md), as the `gguf` package has them.
"""

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from tqdm import tqdm

from prompt_template import end_of_turn
from qwen_svg.common.errors import UserError

ARCHITECTURES = {"qwen2": gguf.MODEL_ARCH.QWEN2, "llama": gguf.MODEL_ARCH.LLAMA}  # by transformers' model_type
F32, F16, Q8 = (gguf.GGMLQuantizationType[name] for name in ("F32", "F16", "Q8_0"))
TYPES = {"float32": F32, "float16": F16, "q8_0": Q8}


def require_known(config: Any) -> None:
    """Raise UserError for a model of another kind than is written here. config: transformers', of a base."""
    rope = getattr(config, "rope_parameters", None) or {}
    if config.model_type not in ARCHITECTURES or rope.get("rope_type", "default") != "default":
        kinds = " and ".join(ARCHITECTURES)
        raise UserError(
            f"GGUF is written for {kinds} with plain rotary positions, not for {config.model_type} "
            f"({rope.get('rope_type')}); use `--format safetensors`."
        )


def write_gguf(path: Path, model: Any, tokenizer: Any, name: str, dtype: str, settings: dict[str, Any]) -> None:
    """Write weights, sizes and tokens. dtype: one of TYPES, of the matrices; vectors are always float32.

    settings: more keys and values, texts or whole numbers. Raises UserError for a model or a tokenizer of another kind.
    """
    config = model.config
    require_known(config)
    rope = config.rope_parameters
    architecture = ARCHITECTURES[config.model_type]
    writer = gguf.GGUFWriter(path, gguf.MODEL_ARCH_NAMES[architecture])
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType["ALL_F32" if dtype == "float32" else f"MOSTLY_{TYPES[dtype].name}"])
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(rope["rope_theta"])
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(config.vocab_size)
    for key, value in settings.items():
        writer.add_string(key, value) if isinstance(value, str) else writer.add_uint32(key, value)
    _add_tokens(writer, tokenizer, config.vocab_size)
    _add_tensors(writer, model, architecture, dtype)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file(progress=False)
    writer.close()


def _add_tensors(writer: gguf.GGUFWriter, model: Any, architecture: gguf.MODEL_ARCH, dtype: str) -> None:
    names = gguf.get_tensor_name_map(architecture, model.config.num_hidden_layers)
    for name, tensor in tqdm(model.state_dict().items(), desc="writing GGUF", unit="", leave=False, disable=None):
        if name == "lm_head.weight" and model.config.tie_word_embeddings:
            continue  # llama.cpp takes the embedding where there is no head
        values = tensor.float().cpu().numpy()
        if model.config.model_type == "llama" and (projection := re.search(r"\.([qk])_proj\.", name)):
            heads = model.config.num_attention_heads
            values = interleaved(values, heads if projection[1] == "q" else model.config.num_key_value_heads)
        kind = TYPES[dtype] if values.ndim > 1 else F32
        if kind == Q8 and values.shape[-1] % gguf.GGML_QUANT_SIZES[Q8][0]:
            kind = F16  # rows that are no whole number of blocks
        packed = gguf.quants.quantize(values, kind)
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight", ".bias")), packed, raw_dtype=kind)


def interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """Reorder the rows of each head: transformers turns the pair (i, i + D/2), ggml's Llama (2i, 2i + 1)."""
    halves = values.reshape(heads, 2, -1, *values.shape[1:])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(values.shape)


def _add_tokens(writer: gguf.GGUFWriter, tokenizer: Any, vocabulary: int) -> None:
    """vocabulary: the model's, which may be larger than the tokenizer's; what is over is filled up."""
    described = json.loads(tokenizer.backend_tokenizer.to_str())
    if described["model"]["type"] != "BPE" or "ByteLevel" not in json.dumps(described["pre_tokenizer"]):
        raise UserError("GGUF is written for byte-level BPE tokens only; use `--format safetensors`.")
    tokens = {id: token for token, id in tokenizer.get_vocab().items()}
    added = tokenizer.added_tokens_decoder
    types = []
    for id in range(vocabulary):
        if id not in tokens:
            types.append(gguf.TokenType.UNUSED)
        elif id in added:
            types.append(gguf.TokenType.CONTROL if added[id].special else gguf.TokenType.USER_DEFINED)
        else:
            types.append(gguf.TokenType.NORMAL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre_tokenizer(described["pre_tokenizer"]))
    writer.add_token_list([tokens.get(id, f"[PAD{id}]") for id in range(vocabulary)])
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in map(_pair, described["model"]["merges"])])
    writer.add_eos_token_id(tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)))
    writer.add_pad_token_id(tokenizer.pad_token_id)
    if tokenizer.bos_token_id is not None:
        writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_add_bos_token(False)  # the prompt is the whole text
    if tokenizer.chat_template:
        writer.add_chat_template(tokenizer.chat_template)


def _pair(merge: str | list[str]) -> list[str]:
    return merge.split(" ") if isinstance(merge, str) else merge  # older tokenizer files have text


def pre_tokenizer(described: dict) -> str:
    """Return llama.cpp's name for the way text is cut before byte pairs are merged (its llama-vocab.cpp has the list).

    described: the `pre_tokenizer` of a tokenizer.json. Raises UserError for a way that is none of these.
    """
    parts = described.get("pretokenizers", [described])
    kinds = [part["type"] for part in parts]
    pattern = parts[0].get("pattern", {}).get("Regex", "")
    if kinds == ["ByteLevel"] and parts[0]["use_regex"]:
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and parts[0]["individual_digits"] and parts[1]["use_regex"]:
        return "smollm"
    if kinds == ["Split", "ByteLevel"] and r"\p{N}{1,3}|" in pattern:
        return "llama-bpe"
    if kinds == ["Split", "ByteLevel"] and r"|\p{N}|" in pattern:
        return "qwen2"
    raise UserError(f"GGUF has no name for this tokenizer's pre-tokenizer ({kinds}); use `--format safetensors`.")
