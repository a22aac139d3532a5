"""Does corpus.optimize keep the pictures of resvg's own test suite, as the suite itself has them?

    python -m benchmarks.optimize_suite FOLDER [--json]

FOLDER: crates/resvg/tests/tests of resvg's sources, where x.png is what x.svg looks like. No package has them; Debian's
source package of resvg 0.45.1 does (resvg_0.45.1.orig.tar.gz, 8 MB). Each file is converted in both dialects; what
comes out is held against the suite's picture, by the bounds that the product has. Prints how many were converted,
refused (by reason), raised, and which are other pictures.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.measure import report
from corpus.optimization.compare import same_picture
from corpus.optimization.pipeline import optimize_svg_string
from corpus.optimization.refusal import Refused
from qwen_svg.svg.render import render_rgb

SIDE = 256


def main() -> None:
    folder = Path(next(a for a in sys.argv[1:] if not a.startswith("-")))
    files = sorted(path for path in folder.rglob("*.svg") if path.with_suffix(".png").is_file())
    found = {}
    for dialect in ("prompt", "prompt+gradients"):
        reasons: Counter[str] = Counter()
        wrong, raised = [], []
        for path in files:
            name = str(path.relative_to(folder))
            try:
                after = optimize_svg_string(path.read_bytes(), dialect)
            except Refused as reason:
                reasons[str(reason).split(":")[0]] += 1
            except Exception as error:
                raised.append(f"{name}: {error!r}")
            else:
                if differs(after, path.with_suffix(".png")):
                    wrong.append(name)
        converted = len(files) - reasons.total() - len(raised)
        print(f"{dialect}: {converted} of {len(files)} converted, {len(wrong)} of them wrong, {len(raised)} raised")
        print("  refused: " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
        print("\n".join(f"  {line}" for line in [*wrong, *raised]))
        found[dialect] = {"files": len(files), "converted": converted, "wrong": len(wrong), "raised": len(raised)}
    report(found)


def differs(svg: str, expected: Path) -> bool:
    """Is the drawing another picture than the suite's? Both in the suite's size, then scaled to SIDE alike."""
    picture = Image.open(expected).convert("RGBA")
    size = max(picture.size)
    canvas = Image.new("RGBA", (size, size), "white")
    canvas.alpha_composite(picture, ((size - picture.width) // 2, (size - picture.height) // 2))
    drawn = Image.fromarray(render_rgb(svg, size))
    before, after = (np.asarray(one.convert("RGB").resize((SIDE, SIDE))) for one in (canvas, drawn))
    return not same_picture(before, after)


if __name__ == "__main__":
    main()
