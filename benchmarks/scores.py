"""How long does a score take for a drawing, on a CPU and without any model of the hub? And does it tell good from bad?

    python -m benchmarks.scores [--json] [DATA.jsonl]

Over the first 200 drawings of a data file (default data/twemoji.jsonl), each held against itself; for similarity also
against another one (shuffled), itself blurred, and a square in its mean colour. One thread; resvg's own time, in
its process, is in the wall time only.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and onnxruntime read it

import sys
import time
from statistics import mean

from PIL import Image, ImageFilter

from benchmarks.measure import report
from qwen_svg.common.dataset import read_samples
from scoring import legality, ocr, pictures, render, similarity
from scoring.candidate import Candidate
from svg_constraint import SVG_OPEN

DRAWINGS = 200
READ = 40  # of them for writing: it takes longest


def main() -> None:
    path = next((a for a in sys.argv[1:] if not a.startswith("-")), "data/twemoji.jsonl")
    samples = read_samples(path).samples[:DRAWINGS]
    candidates = [Candidate(sample.answer, sample.description, sample.answer) for sample in samples]
    for candidate in candidates:
        pictures.png(candidate.svg, similarity.SIZE)  # so that similarity's time is its own
    figures = {}
    for name, score, asked in (
        ("render", render.score, candidates),
        ("legality", legality.score, candidates),
        ("similarity", similarity.score, candidates),
        ("ocr", ocr.score, candidates[:READ]),
    ):
        score(asked[:1])  # imports and models are not what is measured
        wall, cpu = time.perf_counter(), time.process_time()
        found = score(asked)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        figures[name] = {"wall_ms": 1000 * wall / len(asked), "cpu_ms": 1000 * cpu / len(asked), "mean": mean(found)}
        line = "{0:<12}{wall_ms:>8.1f} ms  {cpu_ms:>8.1f} ms of this process's CPU  mean {mean:.3f}"
        print(line.format(name, **figures[name]))
    figures["similarity of"] = sanity(candidates)
    for name, value in figures["similarity of"].items():
        print(f"similarity of {name:<28}{value:.3f}")
    report(figures)


def sanity(candidates: list[Candidate]) -> dict[str, float]:
    """Return mean similarities to the reference of what is like it more and less."""
    drawn = [found for one in candidates if (found := pictures.picture(one.svg, similarity.SIZE))]
    whole = [one for one in candidates if pictures.png(one.svg, similarity.SIZE)]
    squares = [Candidate(square(picture), reference=one.answer) for picture, one in zip(drawn, whole, strict=True)]
    blurred = {
        f"itself, blurred by {radius}": [picture.filter(ImageFilter.GaussianBlur(radius)) for picture in drawn]
        for radius in (1, 2, 4, 8)
    }
    others = {"itself": drawn} | blurred | {"another drawing": drawn[1:] + drawn[:1]}
    found = {name: mean(map(similarity.compare, spoilt, drawn)) for name, spoilt in others.items()}
    return found | {"a square in its mean colour": mean(similarity.score(squares))}


def square(picture: Image.Image) -> str:
    colour = "#{:02x}{:02x}{:02x}".format(*picture.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))
    return f'{SVG_OPEN}<rect x="38" y="38" width="180" height="180" fill="{colour}"/></svg>'


if __name__ == "__main__":
    main()
