"""Is corpus.vectorize better than plain vtracer at the same bytes? Real icons at 512 pixels, by measures of others.

    npm pack @iconify-json/noto && tar xzf iconify-json-noto-*.tgz   # likewise fluent-emoji-flat
    python -m benchmarks.vectorize [--icons 200] [--budgets 2000,4000,10000] [--json] SOURCE…

A SOURCE is one of corpus/sources.py; the ICONS are drawn from all of them with a fixed seed. At each budget in bytes,
each contender gives the drawing that corpus/vectorizing/similarity.py finds most like the picture: the methods of
corpus.vectorize, and plain vtracer over a grid of its own settings (PLAIN), its files as they come. The judges are not
what is searched by: SSIM (scikit-image, of the luma) and the mean absolute error of RGB, both at 512 pixels. A
contender that has no drawing within the budget is compared as a white page. Time: CPU seconds of a search, without the
rendering, which is a process of its own; for plain vtracer the whole grid. Pictures: outputs/vectorize/.
"""

import argparse
import io
import itertools
import random
import statistics
import time
from functools import cache, partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.measure import report
from corpus.optimization.refusal import Refused
from corpus.sources import drawings
from corpus.vectorizing.methods import vectorized
from corpus.vectorizing.search import Budget, Comparator
from corpus.workers import in_processes
from qwen_svg.svg.render import png_bytes, render_rgb

SIZE = 512
FOLDER = Path("outputs/vectorize")
MODES = (
    {"mode": "polygon", "path_precision": 0},
    {"mode": "spline", "path_precision": 0, "length_threshold": 4.0},
    {"mode": "spline", "path_precision": 0, "length_threshold": 10.0},
)
PLAIN = [
    mode | {"filter_speckle": speckle, "layer_difference": difference}
    for mode, speckle, difference in itertools.product(MODES, (2, 8, 32, 128), (8, 32, 64, 128))
]
WHITE = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
NAMES = {"layers": "layers", "vtracer": "vtracer, normalised", "plain": "vtracer, plain"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", nargs="*", default=["twemoji"])
    parser.add_argument("--icons", type=int, default=200)
    parser.add_argument("--budgets", default="2000,4000,10000")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    budgets = [int(budget) for budget in arguments.budgets.split(",")]
    chosen = icons(arguments.sources, arguments.icons)
    work = partial(measure, budgets=budgets)
    done = in_processes(work, chosen, arguments.workers, lambda _: {})
    results = [result for _, result in tqdm(done, total=len(chosen), desc="icons", disable=None)]
    figures = {budget: summary([result[budget] for result in results]) for budget in budgets}
    print_table(figures)
    FOLDER.mkdir(parents=True, exist_ok=True)
    plot(figures, FOLDER / "similarity.png")
    for budget in budgets:
        sheet(results, budget, FOLDER / f"sheet-{budget}.png")
    print(f"pictures: {FOLDER}/similarity.png · " + " · ".join(f"{FOLDER}/sheet-{budget}.png" for budget in budgets))
    report(figures)


def icons(sources: list[str], count: int) -> list[tuple[str, str]]:
    """Return (name, SVG) of `count` icons in all, as many of each source, that differ from a white page."""
    chosen = []
    for i, source in enumerate(sources):
        wanted = count // len(sources) + (i < count % len(sources))
        found = [drawing for drawing in drawings(source) if drawing.description]
        random.Random(0).shuffle(found)
        shown = (drawing for drawing in found if render_rgb(drawing.svg, 64).min() < 240)
        chosen += [(drawing.description, drawing.svg) for drawing in itertools.islice(shown, wanted)]
    return chosen


def measure(icon: tuple[str, str], budgets: list[int]) -> dict:
    """Return name, svg and, for each budget, what each contender drew: svg, bytes, ssim, error, seconds."""
    name, svg = icon
    picture = render_rgb(svg, SIZE)
    judge = cache(partial(judged, picture=picture))  # two budgets often have one drawing
    comparator = Comparator(picture)
    start = time.process_time()
    plain = swept(png_bytes(svg, SIZE), comparator, max(budgets))
    sweep = time.process_time() - start
    figures: dict = {"name": name, "svg": svg}
    for budget in budgets:
        figures[budget] = {}
        for method in ("layers", "vtracer"):
            start = time.process_time()
            try:
                drawn = vectorized(picture, Budget(budget), method).svg + "\n"
            except Refused:
                drawn = ""
            figures[budget][method] = judge(drawn) | {"seconds": time.process_time() - start}
        best = max((one for one in plain if len(one[1]) <= budget), default=(0, ""))[1]
        figures[budget]["plain"] = judge(best) | {"seconds": sweep}
    return figures


def swept(png: bytes, comparator: Comparator, max_bytes: int) -> list[tuple[float, str]]:
    """Return (similarity, SVG) of plain vtracer for each of its settings, each text once."""
    import vtracer

    texts = {vtracer.convert_raw_image_to_svg(png, img_format="png", **settings) for settings in PLAIN}
    return [(comparator.compare(text).similarity, text) for text in sorted(texts, key=len) if len(text) <= max_bytes]


def judged(drawn: str, picture: Any) -> dict:
    import numpy as np
    from skimage.metrics import structural_similarity

    pixels = render_rgb(drawn or WHITE, SIZE)
    return {
        "svg": drawn,
        "bytes": len(drawn.encode()),
        "ssim": float(structural_similarity(luma(picture), luma(pixels), data_range=255)),
        "error": float(np.abs(picture.astype(np.int16) - pixels).mean() / 255),
    }


def luma(pixels: Any) -> Any:
    import numpy as np

    return pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


def summary(results: list[dict]) -> dict:
    """Return the means of each contender, and the share of icons on which it is better than plain vtracer."""
    figures = {}
    for name in NAMES:
        own = [result[name] for result in results]
        pairs = [(result[name], result["plain"]) for result in results]
        figures[name] = {
            "ssim": statistics.fmean(one["ssim"] for one in own),
            "error": statistics.fmean(one["error"] for one in own),
            "bytes": statistics.median(one["bytes"] for one in own),
            "largest": max(one["bytes"] for one in own),
            "seconds": statistics.median(one["seconds"] for one in own),
            "none": sum(not one["svg"] for one in own),
            "better_ssim": statistics.fmean(a["ssim"] > b["ssim"] for a, b in pairs),
            "better_error": statistics.fmean(a["error"] < b["error"] for a, b in pairs),
            "better_both": statistics.fmean(a["ssim"] > b["ssim"] and a["error"] < b["error"] for a, b in pairs),
        }
    return figures


def print_table(figures: dict) -> None:
    print(f"{'':<28}{'SSIM':>8}{'error':>8}{'bytes':>8}{'none':>6}{'CPU s':>7}   better than plain: SSIM, error, both")
    for budget, contenders in figures.items():
        for name, f in contenders.items():
            print(
                f"{budget:>6} {NAMES[name]:<21}{f['ssim']:>8.4f}{f['error']:>8.4f}{f['bytes']:>8.0f}{f['none']:>6}"
                f"{f['seconds']:>7.2f}"
                + (
                    ""
                    if name == "plain"
                    else f"{f['better_ssim']:>25.1%}{f['better_error']:>8.1%}{f['better_both']:>8.1%}"
                )
            )


def plot(figures: dict, path: Path) -> None:
    """Draw mean SSIM and error against the budget."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(10, 4))
    for axis, key, label in zip(axes, ("ssim", "error"), ("SSIM", "mean absolute error"), strict=True):
        for name, shown in NAMES.items():
            axis.plot(list(figures), [f[name][key] for f in figures.values()], marker="o", label=shown)
        axis.set(xlabel="bytes allowed", ylabel=label, xscale="log", xticks=list(figures))
        axis.set_xticklabels([f"{budget:,}" for budget in figures])
        axis.minorticks_off()
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def sheet(results: list[dict], budget: int, path: Path, rows: int = 12, side: int = 192) -> None:
    """Draw picture and contenders side by side: icons from all over the range of SSIM, the worst first."""
    from PIL import Image, ImageDraw, ImageFont

    ordered = sorted(results, key=lambda result: result[budget]["layers"]["ssim"] - result[budget]["plain"]["ssim"])
    shown = [ordered[i * (len(ordered) - 1) // max(rows - 1, 1)] for i in range(min(rows, len(ordered)))]
    half, columns = -(-len(shown) // 2), 1 + len(NAMES)
    canvas = Image.new("RGB", (2 * columns * side, half * (side + 30)), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(11)
    for i, result in enumerate(shown):
        x, y = i // half * columns * side, i % half * (side + 30)
        cells = [(result["svg"], result["name"][:30])]
        for name in NAMES:
            f = result[budget][name]
            cells.append((f["svg"] or WHITE, f"{NAMES[name]}\n{f['bytes']} bytes, SSIM {f['ssim']:.4f}"))
        for j, (svg, caption) in enumerate(cells):
            canvas.paste(Image.open(io.BytesIO(png_bytes(svg, side))).convert("RGB"), (x + j * side, y))
            draw.multiline_text((x + j * side + 4, y + side), caption, fill="#333333", font=font)
    canvas.save(path, optimize=True)


if __name__ == "__main__":
    main()
