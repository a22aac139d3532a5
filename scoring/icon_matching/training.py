"""Teaching a copy: InfoNCE in both directions between drawings and their words."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from qwen_svg.common.files import atomic_write
from scoring.icon_matching.augment import change, decoys
from scoring.icon_matching.drawings import Drawing, names_colour
from scoring.icon_matching.matcher import Matcher, as_ink

BATCH, DECOYS = 256, 32  # drawings with words, and pictures without
RATE, WARMUP, DECAY = 1.5e-3, 0.05, 0.05  # AdamW; the rate falls to 0 as a cosine
STAGE = 50  # steps between two lines on the terminal, and two states to go on from
RECOLOURED = 0.7  # of the pictures whose words name no colour


class Samples(NamedTuple):
    """Drawings, with all that is looked at of them."""

    drawings: list[Drawing]
    pixels: np.ndarray  # uint8 (N, 64, 64, 3)
    rows: list[list[int]]  # of each drawing's texts in `vectors`
    texts: list[str]
    vectors: np.ndarray  # float16 (T, WIDTH)

    def of(self, numbers: list[int]) -> "Samples":
        drawings, rows = ([whole[i] for i in numbers] for whole in (self.drawings, self.rows))
        return Samples(drawings, self.pixels[numbers], rows, self.texts, self.vectors)


def train(
    samples: Samples, seed: int, steps: int, state: Path, say: Callable[[int, float, Matcher], None], stop_at: int = 0
) -> Matcher:
    """Return the copy after all steps. It goes on from the file `state`, which is written each STAGE.

    A step's batch, words and changes depend on seed and step alone, so one that was stopped ends like one that was not.
    say: is given the step, the mean loss since the last one (nats), and the copy. stop_at: a step to end before, or 0.
    """
    torch.manual_seed(seed)
    matcher = Matcher().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(matcher.parameters(), lr=RATE, weight_decay=DECAY)
    done = 0
    if state.is_file():
        kept = torch.load(state, weights_only=True)
        matcher.load_state_dict(kept["matcher"])
        optimizer.load_state_dict(kept["optimizer"])
        done = kept["done"]
    draw, losses = Batches(samples, seed), []
    for step in range(done, min(steps, stop_at or steps)):
        for group in optimizer.param_groups:
            group["lr"] = RATE * _pace((step + 1) / steps)
        matcher.train()
        loss = loss_of(matcher, *draw(step))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(matcher.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
        if (step + 1) % STAGE == 0 or step + 1 == steps:
            kept = {"matcher": matcher.state_dict(), "optimizer": optimizer.state_dict(), "done": step + 1}
            with atomic_write(state) as part:
                torch.save(kept, part)
            say(step + 1, sum(losses) / len(losses), matcher.eval())
            losses = []
    return matcher.eval()


def _pace(share: float) -> float:
    return min(share / WARMUP, 0.5 + 0.5 * math.cos(math.pi * share))


class Batches:
    """Batches by their number."""

    def __init__(self, samples: Samples, seed: int) -> None:
        self.samples, self.seed = samples, seed
        names = {group: i for i, group in enumerate({drawing.group: 0 for drawing in samples.drawings})}
        self.groups = torch.tensor([names[drawing.group] for drawing in samples.drawings])

    def __call__(self, step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ink, float (BATCH + DECOYS, 3, 64, 64); directions of words, float (BATCH, WIDTH); groups (BATCH,)."""
        dice = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        picked = torch.randperm(len(self.groups), generator=dice)[:BATCH].tolist()
        roll = torch.rand(2, len(picked), generator=dice)
        rows = [self.samples.rows[i][int(len(self.samples.rows[i]) * r)] for i, r in zip(picked, roll[0], strict=True)]
        free = torch.tensor([not names_colour(self.samples.texts[row]) for row in rows])
        ink = change(as_ink(torch.from_numpy(self.samples.pixels[picked])), free & (roll[1] < RECOLOURED), dice)
        ink = torch.cat([ink, decoys(ink[:DECOYS], dice)])
        return ink, torch.from_numpy(self.samples.vectors[rows]).float(), self.groups[picked]


def loss_of(matcher: Matcher, ink: torch.Tensor, directions: torch.Tensor, groups: torch.Tensor) -> torch.Tensor:
    """Return the mean of both directions' InfoNCE (van den Oord et al. 2018, arXiv:1807.03748), in nats.

    Drawings of one concept are never held against each other's words; decoys belong to no words.
    """
    with torch.autocast("cpu", torch.bfloat16, enabled=torch.cpu._is_amx_tile_supported()):
        pictures, words = matcher.pictures(ink), matcher.words(directions)
    logits = words @ pictures.T / matcher.log_temperature.exp().clamp(min=0.01)
    same = groups[:, None] == groups
    same.fill_diagonal_(False)
    logits[:, : len(words)] = logits[:, : len(words)].masked_fill(same, -math.inf)
    right = torch.arange(len(words))
    return (cross_entropy(logits, right) + cross_entropy(logits[:, : len(words)].T, right)) / 2
