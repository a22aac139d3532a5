"""Train the two copies of scoring.icon_match: A, which chooses and rewards drawings, and B, which reports.

Reads   DATA, which `make icons` writes. Writes adapters/icon_match/a/ and b/: weights (fp16, 4 MB) and a card each.

    python -m scoring.train_icon_match

They have other seeds and no concept in common, and a tenth of the concepts neither sees: by these the card gives its
figures. Pictures, words and every 50th step are kept in outputs/icon_match/; whoever was stopped starts it again.
"""

from types import SimpleNamespace

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import UserError, run

DATA: str = "data/icons.jsonl"  # columns id, description, svg_content and group; of `make icons`
DRAWINGS: PositiveInt = 100_000  # at most, by hash
STEPS: PositiveInt = 1500  # of 256 drawings, for each copy

if __name__ == "__main__":
    c = start(__file__)

import time
from pathlib import Path

import torch

from scoring.icon_matching.card import save_copy
from scoring.icon_matching.drawings import CACHE, COPIES, HELD_OUT, in_chunks, read_drawings, see, side_of
from scoring.icon_matching.held_out import calibrate, one_of_each, recall_by_neighbour, recall_of
from scoring.icon_matching.training import Samples, train
from scoring.icon_matching.words import embed_words

SEEDS = {"a": 1, "b": 2}


def main(c: SimpleNamespace) -> None:
    # 1. The drawings, their pixels, and their words as directions.
    print("with the default STEPS some 20 minutes of a core with bf16 units (AMX), 45 of another", flush=True)
    samples = read_samples(c.DATA, c.DRAWINGS)
    sides = {
        side: [i for i, d in enumerate(samples.drawings) if side_of(d.group) == side] for side in (*COPIES, HELD_OUT)
    }
    if not all(sides.values()) or len({samples.drawings[i].group for i in sides[HELD_OUT]}) < 4:
        raise UserError(f"DATA {c.DATA} has too few concepts to hold some out and share the others between two copies.")
    held_out = samples.of(sides[HELD_OUT])
    asked = held_out.of(one_of_each(held_out.drawings))
    for side, numbers in sides.items():
        concepts = len({samples.drawings[i].group for i in numbers})
        print(f"{side}: {len(numbers):,} drawings of {concepts:,} concepts")

    # 2. Each copy, its figures on the concepts held out, and its card.
    for copy in COPIES:
        trained = samples.of(sides[copy])
        began = time.monotonic()

        def say(step: int, loss: float, matcher: torch.nn.Module, copy: str = copy, began: float = began) -> None:
            found = recall_of(matcher, asked)["recall@10"]
            minutes = (time.monotonic() - began) / 60
            print(f"{copy}  step {step:>5}  loss {loss:.3f}  recall@10 {found:.1%}  {minutes:.1f} min", flush=True)

        state = CACHE.parent / f"{copy}-{c.DRAWINGS}-{c.STEPS}.pt"
        matcher = train(trained, SEEDS[copy], c.STEPS, state, say)
        figures = {
            "recall": recall_of(matcher, asked),
            "thumbnail": recall_by_neighbour(asked, trained, "thumbnail"),
            "hash": recall_by_neighbour(asked, trained, "hash"),
            "calibration": calibrate(matcher, held_out, SEEDS[copy]),
            "steps": c.STEPS,
            "seed": SEEDS[copy],
            "concepts held out": len(asked.drawings),
        }
        print(f"{copy}: {save_copy(matcher, copy, trained.drawings, figures)}")


def read_samples(data: str, most: int) -> Samples:
    """Return `most` drawings of DATA at most with pixels and directions; the first time that takes minutes."""
    if not Path(data).is_file():
        raise UserError(f"DATA {data} does not exist; `make icons` writes it.")
    drawings = read_drawings(data, most)
    texts = sorted({text for drawing in drawings for text in drawing.texts}, key=lambda text: (len(text), text))
    pixels = in_chunks("pictures", drawings, [drawing.svg for drawing in drawings], see)
    vectors = in_chunks("words", texts, texts, lambda some: embed_words(some).half().numpy())
    number = {text: row for row, text in enumerate(texts)}
    return Samples(drawings, pixels, [[number[text] for text in d.texts] for d in drawings], texts, vectors)


if __name__ == "__main__":
    run(main, c)
