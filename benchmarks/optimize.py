"""What does corpus.optimize make of real icon sets? Conversion, fidelity, tokens, time; picosvg beside it.

    npm pack @iconify-json/twemoji && tar xzf iconify-json-twemoji-*.tgz   # likewise noto, openmoji, fluent-emoji-flat
    python -m benchmarks.optimize [--json] [--icons 400] [--tokenizer BASE] [--dialect prompt] SET…

A SET is an Iconify icons.json or a folder of .svg files; ICONS of each are drawn with a fixed seed. Fidelity: resvg at
256 pixels, mean absolute error ≤ 0.01 and ≤ 0.10 in the worst 16 × 16 tile. Tokens: of the raw file over those of the
result, comments included and without. Time: of optimize_svg_string alone, without any rendering. picosvg runs on 50 of
them where it is installed.
"""

import argparse
import json
import random
import statistics
import time
from collections import Counter
from pathlib import Path

from benchmarks.measure import report

MAX_ERROR, MAX_TILE_ERROR = 0.01, 0.10
HEAD_MS = f"{'ms p50':>8}{'p95':>7}{'max':>7}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", help="Iconify JSON files and folders of .svg files")
    parser.add_argument("--icons", type=int, default=400)
    parser.add_argument("--tokenizer", default="Qwen/Qwen2.5-1.5B-Instruct")
    parser.add_argument("--dialect", default="prompt")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    from common.model import load_tokenizer

    tokenizer = load_tokenizer(arguments.tokenizer)
    figures = {}
    print(f"{'':<24}{'converted':>10}{'faithful':>10}{'stable':>8}{'tokens':>9}{'bare':>8}" + HEAD_MS)
    for path in arguments.sets:
        icons = load(Path(path))
        names = sorted(icons)
        random.Random(0).shuffle(names)
        figures[path] = f = measure(
            {name: icons[name] for name in names[: arguments.icons]}, tokenizer, arguments.dialect
        )
        print(
            f"{Path(path).parent.parent.name[:23] if path.endswith('.json') else Path(path).name[:23]:<24}"
            f"{f['converted']:>10.1%}{f['faithful']:>10.1%}{f['stable']:>8.1%}"
            f"{f['token_ratio']:>8.2f}x{f['bare_token_ratio']:>7.2f}x"
            f"{f['ms_median']:>8.1f}{f['ms_p95']:>7.1f}{f['ms_max']:>7.0f}"
        )
        print(f"    refused: {f['refused']}; worst: {f['worst']}")
        if peer := picosvg({name: icons[name] for name in names[: min(50, arguments.icons)]}):
            f["picosvg"] = peer
            print(f"    picosvg: {peer}")
    report(figures)


def load(path: Path) -> dict[str, str]:
    if path.is_dir():
        return {str(p.relative_to(path)): p.read_text(encoding="utf-8") for p in path.rglob("*.svg")}
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
    from common.render import picture_difference, render_rgb
    from corpus.optimization.refusal import Refused
    from corpus.optimize import optimize_svg_string

    refused: Counter[str] = Counter()
    times, ratios, bare, errors, stable = [], [], [], [], 0
    for name, svg in icons.items():
        start = time.perf_counter()
        try:
            result = optimize_svg_string(svg, dialect)
        except Refused as refusal:
            refused[str(refusal)] += 1
            continue
        times.append(1000 * (time.perf_counter() - start))
        stable += optimize_svg_string(result, dialect) == result
        raw = tokens(tokenizer, svg)
        ratios.append(raw / tokens(tokenizer, result))
        bare.append(raw / tokens(tokenizer, optimize_svg_string(svg, dialect, comments=False)))
        error = picture_difference(render_rgb(svg), render_rgb(result))
        errors.append((error[1], error[0], name))
    faithful = sum(tile <= MAX_TILE_ERROR and mean <= MAX_ERROR for tile, mean, _ in errors)
    return {
        "icons": len(icons),
        "converted": len(times) / len(icons),
        "faithful": faithful / len(times),
        "stable": stable / len(times),
        "token_ratio": statistics.median(ratios),
        "bare_token_ratio": statistics.median(bare),
        "ms_median": statistics.median(times),
        "ms_p95": statistics.quantiles(times, n=20)[-1],
        "ms_max": max(times),
        "refused": dict(refused),
        "worst": [(name, round(tile, 3), round(mean, 4)) for tile, mean, name in sorted(errors)[:-4:-1]],
    }


def tokens(tokenizer, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])


def picosvg(icons: dict[str, str]) -> dict | None:
    try:
        from picosvg.svg import SVG
    except ImportError:
        return None
    times = []
    for svg in icons.values():
        start = time.perf_counter()
        try:
            SVG.fromstring(svg).topicosvg().tostring()
        except Exception:  # it raises many types
            continue
        times.append(1000 * (time.perf_counter() - start))
    return {"converted": len(times) / len(icons), "ms_median": statistics.median(times)}


if __name__ == "__main__":
    main()
