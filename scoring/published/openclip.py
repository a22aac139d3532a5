"""A CLIP in the layout of OpenAI's and OpenCLIP's checkpoints, in transformers: HPS has its weights in it only."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from PIL import Image
from torch.nn.functional import normalize
from transformers import AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel

from qwen_svg.common.hub import hub_reachable
from qwen_svg.model.device import pick_device
from scoring.hub_model import unavailable

# Of a block, and beside the blocks: our name → theirs.
BLOCK = {
    "layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}  # fmt: skip
BESIDE = {
    "vision_model.pre_layrnorm": "visual.ln_pre", "vision_model.post_layernorm": "visual.ln_post",
    "text_model.final_layer_norm": "ln_final",
}  # fmt: skip
ALONE = {
    "logit_scale": "logit_scale",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
}
HEADS_OF_H = 16  # of ViT-H's vision; other widths have a head for 64 numbers
WIDTH_OF_H = 1280


@dataclass(frozen=True)
class OpenClip:
    model: CLIPModel
    processor: Any
    tokenizer: Any

    def pictures(self, pictures: list[Image.Image]) -> torch.Tensor:
        """Return float32 (N, D), of length 1."""
        inputs = self.processor(images=pictures, return_tensors="pt").to(self.model.device)
        with torch.inference_mode():
            return normalize(self.model.get_image_features(**inputs).pooler_output.float(), dim=-1)

    def texts(self, texts: list[str]) -> torch.Tensor:
        """Return float32 (N, D), of length 1. What is too long is cut, its end kept."""
        most = self.model.config.text_config.max_position_embeddings
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=most, return_tensors="pt")
        with torch.inference_mode():
            made = self.model.get_text_features(**inputs.to(self.model.device))
        return normalize(made.pooler_output.float(), dim=-1)


@lru_cache(1)
def load_openclip(weights: str, words: str) -> OpenClip:
    """weights: a file, or REPOSITORY/FILE of the hub. words: a model whose tokenizer reads its texts.

    Raises WeightsMissing where one of them cannot be had.
    """
    try:
        file = weights
        if not Path(weights).is_file():
            repository, _, name = weights.rpartition("/")
            file = hf_hub_download(repository, name, local_files_only=not hub_reachable())
        state = torch.load(file, map_location="cpu", weights_only=True)
        model = from_openclip(state.get("state_dict", state)).to(pick_device()).eval()
        tokenizer = AutoTokenizer.from_pretrained(words, local_files_only=Path(words).is_dir() or not hub_reachable())
    except Exception as error:  # the hub, pickle and transformers each have their own
        raise unavailable(weights, error, f"`--weights {weights}=FILE`") from None
    side = model.config.vision_config.image_size
    processor = CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    return OpenClip(model, processor, tokenizer)


def from_openclip(state: dict[str, torch.Tensor]) -> CLIPModel:
    """Return the model that a checkpoint describes, its sizes taken from the weights' shapes."""
    model = CLIPModel(_config(state))
    model.load_state_dict(dict(_renamed(state)), strict=True)
    return model.float()


def _config(state: dict[str, torch.Tensor]) -> CLIPConfig:
    patches, width = state["visual.positional_embedding"].shape
    patch, (places, text_width) = state["visual.conv1.weight"].shape[-1], state["positional_embedding"].shape
    gelu = "gelu" if width == WIDTH_OF_H else "quick_gelu"  # OpenAI's own models have the quick one
    vision = _tower(state, "visual.", width) | {"patch_size": patch, "image_size": int((patches - 1) ** 0.5) * patch}
    text = _tower(state, "", text_width) | {
        "vocab_size": len(state["token_embedding.weight"]), "max_position_embeddings": places, "eos_token_id": 2,
    }  # fmt: skip
    both = {"hidden_act": gelu, "projection_dim": state["text_projection"].shape[1]}
    return CLIPConfig(text_config=text | both, vision_config=vision | both, projection_dim=both["projection_dim"])


def _tower(state: dict[str, torch.Tensor], prefix: str, width: int) -> dict[str, int]:
    blocks = f"{prefix}transformer.resblocks."
    layers = {name.removeprefix(blocks).partition(".")[0] for name in state if name.startswith(blocks)}
    return {
        "hidden_size": width, "num_hidden_layers": len(layers),
        "intermediate_size": len(state[f"{blocks}0.mlp.c_fc.weight"]),
        "num_attention_heads": HEADS_OF_H if width == WIDTH_OF_H else max(1, width // 64),
    }  # fmt: skip


def _renamed(state: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    for ours, theirs in ALONE.items():
        yield ours, state[theirs]
    yield "visual_projection.weight", state["visual.proj"].T
    yield "text_projection.weight", state["text_projection"].T
    for ours, theirs in BESIDE.items():
        for part in ("weight", "bias"):
            yield f"{ours}.{part}", state[f"{theirs}.{part}"]
    for tower, prefix in (("vision_model", "visual."), ("text_model", "")):
        blocks = f"{prefix}transformer.resblocks."
        for number in {name.removeprefix(blocks).partition(".")[0] for name in state if name.startswith(blocks)}:
            here, there = f"{tower}.encoder.layers.{number}", f"{blocks}{number}"
            for ours, theirs in BLOCK.items():
                for part in ("weight", "bias"):
                    yield f"{here}.{ours}.{part}", state[f"{there}.{theirs}.{part}"]
            for part in ("weight", "bias"):
                three = state[f"{there}.attn.in_proj_{part}"].chunk(3)
                for name, one in zip(("q_proj", "k_proj", "v_proj"), three, strict=True):
                    yield f"{here}.self_attn.{name}.{part}", one
