"""Tiny random models of the classes that scoring/ looks with, saved as the hub has them."""

import copy
import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPProcessor,
    Dinov2Config,
    Dinov2Model,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    PaliGemmaProcessor,
    SiglipConfig,
    SiglipModel,
    SiglipProcessor,
)
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

EYE = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "patch_size": 14}
MOUTH = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
SIDE = 56  # pixels
PIXELS = {"height": SIDE, "width": SIDE}


def make_clip(folder: Path, tokenizer: Any) -> Path:
    text = MOUTH | _words(tokenizer) | {"max_position_embeddings": 77}
    config = CLIPConfig(text_config=text, vision_config=EYE | {"image_size": SIDE}, projection_dim=24)
    model = _random(CLIPModel, config)
    eye = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=PIXELS)
    return _save(folder, model, CLIPProcessor(eye, tokenizer), "CLIPImageProcessor")


def make_siglip(folder: Path, tokenizer: Any) -> Path:
    text = MOUTH | _words(tokenizer) | {"max_position_embeddings": 64}
    model = _random(SiglipModel, SiglipConfig(text_config=text, vision_config=EYE | {"image_size": SIDE}))
    processor = SiglipProcessor(SiglipImageProcessorPil(size=PIXELS), tokenizer)
    return _save(folder, model, processor, "SiglipImageProcessor")


def make_dino(folder: Path) -> Path:
    model = _random(Dinov2Model, Dinov2Config(**EYE, image_size=SIDE))
    eye = BitImageProcessorPil(size={"shortest_edge": SIDE}, crop_size=PIXELS)
    return _save(folder, model, eye, "BitImageProcessor")


def make_paligemma(folder: Path, tokenizer: Any) -> Path:
    """PaliGemma 2: SigLIP's eyes and Gemma 2's mouth, which has words for yes and no."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_tokens(["yes", "no"])
    tokenizer.bos_token = tokenizer.eos_token
    eye = SiglipImageProcessorPil(size=PIXELS)
    eye.image_seq_length = (SIDE // EYE["patch_size"]) ** 2
    processor = PaliGemmaProcessor(eye, tokenizer)
    text = MOUTH | _words(tokenizer) | {"model_type": "gemma2", "num_key_value_heads": 1, "head_dim": 16}
    config = PaliGemmaConfig(
        text_config=text,
        vision_config=EYE | {"model_type": "siglip_vision_model", "image_size": SIDE, "vision_use_head": False},
        image_token_index=processor.image_token_id,
        projection_dim=32,
    )
    return _save(folder, _random(PaliGemmaForConditionalGeneration, config), processor, "SiglipImageProcessor")


def make_head(path: Path) -> Path:
    """LAION's aesthetic head in small: layers 0, 2 and 4, with dropout, which has no weights, between them."""
    torch.manual_seed(0)
    sizes = [24, 16, 8, 1]
    state = {f"layers.{2 * i}.weight": torch.randn(sizes[i + 1], sizes[i]) / 4 for i in range(3)}
    state |= {f"layers.{2 * i}.bias": torch.full((sizes[i + 1],), 1.0) for i in range(3)}
    save_file(state, path)
    return path


def _words(tokenizer: Any) -> dict:
    ends = {"bos_token_id": tokenizer.eos_token_id, "eos_token_id": tokenizer.eos_token_id}
    return {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id} | ends


def _random(kind: Any, config: Any) -> Any:
    """Weights large enough for different pictures to come out different."""
    torch.manual_seed(0)
    model = kind(config)
    for weight in model.parameters():
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model


def _save(folder: Path, model: Any, processor: Any, image_processor: str) -> Path:
    """With the class names that checkpoints on the hub have, whatever reads pictures on this machine."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    for name in ("preprocessor_config.json", "processor_config.json"):
        if (path := folder / name).is_file():
            content = json.loads(path.read_text())
            content.get("image_processor", content)["image_processor_type"] = image_processor
            path.write_text(json.dumps(content))
    return folder
