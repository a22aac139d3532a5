"""What does corpus.optimize make of real icon sets? Conversion, fidelity, tokens, time, growth; picosvg beside it.

    npm pack @iconify-json/twemoji && tar xzf iconify-json-twemoji-*.tgz   # likewise noto, openmoji, fluent-emoji-flat
    python -m benchmarks.optimize [--json] [--icons 400] [--tokenizer BASE] [--dialect prompt] SET…

A SET is an Iconify icons.json or a folder of .svg files (or SVGO's .svg.txt test cases); ICONS of each are drawn with a
fixed seed. Fidelity: resvg at 256 pixels, mean absolute error ≤ 0.01 and ≤ 0.10 in the worst 16 × 16 tile. Tokens: of
the raw file over those of the result, comments included and without. Time: CPU milliseconds of optimize_svg_string
without comparing pictures, the better of two runs; "compared" is how many times as long all icons take with it, the
renderer's process included, the best of three rounds in turn. In doubt: by how much resvg finds more difference than
LunaSVG, at most, in the mean and in the worst tile of plain files (corpus/optimization/compare.py). picosvg, where it
is installed: on the first 50 icons, beside ours in turn, the ratio is the median of the icons' own. Growth: drawings of
the set, 1 to 64 of them in one file; the exponent fitted to CPU time against bytes.
"""

import argparse
import json
import math
import random
import statistics
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from benchmarks.measure import report
from corpus.optimization.compare import MAX_ERROR, MAX_TILE_ERROR
from corpus.optimization.document import write_document
from corpus.optimization.luna import luna_difference
from corpus.optimization.plain import is_plain
from corpus.optimization.refusal import Refused
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.optimization.svg_document import parse
from corpus.optimize import optimize_svg_string
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.svg.render import picture_difference, render_rgb

HEAD_MS = f"{'ms p50':>8}{'p90':>7}{'max':>7}{'compared':>10}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="Iconify JSON files and folders of .svg files")
    parser.add_argument("--icons", type=int, default=400)
    parser.add_argument("--tokenizer", default="Qwen/Qwen2.5-1.5B-Instruct")
    parser.add_argument("--dialect", default="prompt")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tokenizer = load_tokenizer(arguments.tokenizer)
    figures = {}
    print(f"{'':<24}{'converted':>10}{'faithful':>10}{'stable':>8}{'tokens':>9}{'bare':>8}" + HEAD_MS)
    for path in arguments.sets:
        icons = load(Path(path))
        names = sorted(icons)
        random.Random(0).shuffle(names)
        icons = {name: icons[name] for name in names[: arguments.icons]}
        figures[path] = f = measure(icons, tokenizer, arguments.dialect)
        print(
            f"{Path(path).parent.parent.name[:23] if path.endswith('.json') else Path(path).name[:23]:<24}"
            f"{f['converted']:>10.1%}{f['faithful']:>10.1%}{f['stable']:>8.1%}"
            f"{f['token_ratio']:>8.2f}x{f['bare_token_ratio']:>7.2f}x"
            f"{f['ms_median']:>8.1f}{f['ms_p90']:>7.1f}{f['ms_max']:>7.0f}{f['compared']:>9.2f}x"
        )
        print(f"    refused: {f['refused']}; worst: {f['worst']}; memory grew by {f['memory_mb']} MB")
        print(f"    plain: {f['plain']:.1%}; in doubt: {f['in_doubt']}")
        f["growth"] = growth(list(icons.values()), arguments.dialect)
        print(f"    growth: {f['growth']}")
        if peer := picosvg(list(icons.values())[:50], arguments.dialect):
            f["picosvg"] = peer
            print(f"    picosvg: {peer}")
    report(figures)


def load(path: Path) -> dict[str, str]:
    if path.is_dir():
        texts = {
            str(p.relative_to(path)): p.read_text(encoding="utf-8", errors="replace")
            .partition("\n@@@")[0]
            .split("\n===")[-1]
            for pattern in ("*.svg", "*.svg.txt")
            for p in path.rglob(pattern)
        }
        return {name: text for name, text in texts.items() if "<svg" in text}
    data = json.loads(path.read_text(encoding="utf-8"))
    icons = {}
    for name, icon in data["icons"].items():
        width, height = (icon.get(side, data.get(side, 16)) for side in ("width", "height"))
        icons[name] = (
            f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="{width}" '
            f'height="{height}" viewBox="{icon.get("left", 0)} {icon.get("top", 0)} {width} {height}">'
            f"{icon['body']}</svg>"
        )
    return icons


def measure(icons: dict[str, str], tokenizer, dialect: str) -> dict:
    import psutil

    refused: Counter[str] = Counter()
    results: dict[str, str] = {}
    times = []
    before = 0
    for i, (name, svg) in enumerate(icons.items()):
        if i == len(icons) // 4:  # everything is imported, the caches are warm
            before = psutil.Process().memory_info().rss
        try:
            results[name] = optimize_svg_string(svg, dialect)
        except Refused as refusal:
            refused[str(refusal)] += 1
            continue
        times.append(min(cpu_ms(lambda svg=svg: optimize_svg_string(svg, dialect, compare=False))[0] for _ in "12"))
    memory = psutil.Process().memory_info().rss - before
    rounds = [[seconds_for(icons, dialect, compare) for compare in (False, True)] for _ in range(3)]
    alone, compared = map(min, zip(*rounds, strict=True))
    ratios, bare, errors, in_doubt, stable = [], [], [], [], 0
    for name, result in results.items():
        svg = icons[name]
        stable += optimize_svg_string(result, dialect) == result
        raw = tokens(tokenizer, svg)
        ratios.append(raw / tokens(tokenizer, result))
        bare.append(raw / tokens(tokenizer, optimize_svg_string(svg, dialect, comments=False)))
        try:
            picture = render_rgb(svg)
        except ValueError:  # resvg refuses the original
            continue
        error = picture_difference(picture, render_rgb(result))
        errors.append((error[1], error[0], name))
        if is_plain(parse(svg)):
            try:
                by_luna = luna_difference(svg, result)
            except ValueError:  # a size that resvg rounds
                continue
            in_doubt.append((error[0] - by_luna[0], error[1] - by_luna[1]))
    faithful = sum(tile <= MAX_TILE_ERROR and mean <= MAX_ERROR for tile, mean, _ in errors)
    return {
        "icons": len(icons),
        "converted": len(times) / len(icons),
        "faithful": faithful / len(errors),
        "stable": stable / len(times),
        "token_ratio": statistics.median(ratios),
        "bare_token_ratio": statistics.median(bare),
        "ms_median": statistics.median(times),
        "ms_p90": statistics.quantiles(times, n=10)[-1],
        "ms_max": max(times),
        "compared": compared / alone,
        "plain": len(in_doubt) / len(results),
        "in_doubt": tuple(round(max(more), 4) for more in zip(*in_doubt, strict=True)),
        "memory_mb": round(memory / 2**20, 1),
        "refused": dict(refused),
        "worst": [(name, round(tile, 3), round(mean, 4)) for tile, mean, name in sorted(errors)[:-4:-1]],
    }


def tokens(tokenizer, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def cpu_ms(run):
    """Return (CPU milliseconds, what `run` returns)."""
    start = time.process_time()
    result = run()
    return 1000 * (time.process_time() - start), result


def seconds_for(icons: dict[str, str], dialect: str, compare: bool) -> float:
    """Return the CPU time for all icons, the renderer's process included."""
    import psutil

    def spent() -> float:
        others = [process.cpu_times() for process in psutil.Process().children()]
        return time.process_time() + sum(times.user + times.system for times in others)

    start = spent()
    for svg in icons.values():
        with suppress(Refused):
            optimize_svg_string(svg, dialect, compare=compare)
    return spent() - start


def growth(icons: list[str], dialect: str) -> dict:
    """Return the exponent of time against size, and (drawings, kB, ms) of each file: n drawings within one canvas."""

    def stages(svg: str) -> str:  # without the check, which ends at 64 kB
        return write_document(shorten(resolve(svg), dialect))

    rows = []
    for count in (1, 2, 4, 8, 16, 32, 64):
        sample = [icons[i * 7 % len(icons)] for i in range(count)]
        inner = "".join(svg[svg.index("<svg") :] for svg in sample)
        text = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">{inner}</svg>'
        try:
            rows.append((count, len(text) / 1000, min(cpu_ms(lambda t=text: stages(t))[0] for _ in range(3))))
        except Refused:  # more elements than are read
            break
    xs, ys = [math.log(row[1]) for row in rows], [math.log(row[2]) for row in rows]
    return {
        "exponent": round(statistics.linear_regression(xs, ys).slope, 2),
        "rows": [(n, round(kb, 1), round(ms, 1)) for n, kb, ms in rows],
    }


def picosvg(icons: list[str], dialect: str) -> dict | None:
    try:
        from picosvg.svg import SVG
    except ImportError:
        return None
    times, ratios = [], []
    for svg in icons:
        try:
            taken, _ = cpu_ms(lambda svg=svg: SVG.fromstring(svg).topicosvg().tostring())
        except Exception:  # it raises many types
            continue
        times.append(taken)
        ratios.append(taken / cpu_ms(lambda svg=svg: optimize_svg_string(svg, dialect))[0])
    return {
        "converted": len(times) / len(icons),
        "ms_median": round(statistics.median(times), 1),
        "times_ours": round(statistics.median(ratios), 1),
    }


if __name__ == "__main__":
    main()
