"""The two towers: a small residual network on 64-pixel pictures, and a projection of the words' frozen directions."""

import json
import struct
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import normalize

from qwen_svg.common.constants import ROOT
from qwen_svg.common.errors import UserError
from scoring.icon_matching.words import WIDTH

ADAPTERS = ROOT / "adapters" / "icon_match"
WEIGHTS = "model.safetensors"
COPY_FOR = {"choose": "a", "report": "b"}  # what chose or rewarded a drawing never says how good it is
SIDE = 64  # pixels of a picture
SHARED = 256  # numbers in which pictures and words meet
CHANNELS = (48, 96, 160, 256)  # of the stem, 16 × 16 large, then of each block: 8 × 8, 4 × 4, 4 × 4


class Block(nn.Module):
    """Two convolutions beside a short cut (He et al. 2015, arXiv:1512.03385)."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.past = nn.Conv2d(before, after, 1, stride, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(after) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        inner = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(inner)) + self.norms[2](self.past(x)))


class Matcher(nn.Module):
    """Pictures and words as directions whose cosine says how well they go together.

    calibration: the slope and the bias that make a probability of a cosine. The temperature is the training's.
    """

    def __init__(self) -> None:
        super().__init__()
        stem = CHANNELS[0]
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 8, 4, 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.blocks = nn.Sequential(*(Block(*shape) for shape in zip(CHANNELS, CHANNELS[1:], (2, 2, 1), strict=False)))
        self.picture_head = nn.Linear(CHANNELS[-1], SHARED)
        self.words_head = nn.Linear(WIDTH, SHARED)
        self.log_temperature = nn.Parameter(torch.tensor(0.07).log())
        self.register_buffer("calibration", torch.tensor([10.0, -3.0]))

    def pictures(self, ink: torch.Tensor) -> torch.Tensor:
        """ink: float (N, 3, 64, 64), 0 on white paper and 1 on black. Returns float32 (N, SHARED), of length 1."""
        seen = self.blocks(self.stem(ink.contiguous(memory_format=torch.channels_last)))
        return normalize(self.picture_head(seen.mean(dim=(2, 3))).float(), dim=1)

    def words(self, directions: torch.Tensor) -> torch.Tensor:
        """directions: float (N, WIDTH) of `embed_words`. Returns float32 (N, SHARED), of length 1."""
        return normalize(self.words_head(directions).float(), dim=1)

    def probability(self, cosine: torch.Tensor) -> torch.Tensor:
        """Return how likely these are the picture's own words, where random ones are as frequent: in [0, 1]."""
        slope, bias = self.calibration
        return torch.sigmoid(slope * cosine + bias)


@lru_cache(2)
def load_matcher(use: str) -> Matcher:
    """use: "choose" (drawings are chosen or rewarded) or "report" (figures are given).

    The file says itself what it is for, and no other use gets it, whatever its folder. Raises UserError where it is
    missing, broken or for the other use.
    """
    path = ADAPTERS / COPY_FOR[use] / WEIGHTS
    try:
        with path.open("rb") as file:
            header = json.loads(file.read(*struct.unpack("<Q", file.read(8))))
        matcher = Matcher()
        matcher.load_state_dict(load_file(path))
    except (OSError, ValueError, struct.error, RuntimeError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UserError(f"{path} cannot be read ({reason}); `python -m scoring.train_icon_match` writes it.") from None
    if (meant := header.get("__metadata__", {}).get("use")) != use:
        raise UserError(f"{path} is made to {meant}, and cannot {use}: the judge that chooses never reports.")
    return matcher.float().eval()


def as_ink(pixels: torch.Tensor) -> torch.Tensor:
    """Return uint8 (N, S, S, 3) on white as float32 (N, 3, S, S), 0 on white and 1 on black."""
    return 1 - pixels.permute(0, 3, 1, 2).float() / 255


def folder_for(use: str) -> Path:
    return ADAPTERS / COPY_FOR[use]


def matchers_trained() -> bool:
    """Are both copies there?"""
    return all((folder_for(use) / WEIGHTS).is_file() for use in COPY_FOR)
