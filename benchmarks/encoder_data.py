"""The drawings that benchmarks.encoder trains and tests on: icon and emoji sets from npm, optimized, split by emoji.

    npm install --prefix sets @iconify-json/{noto@1.2.9,openmoji@1.2.29,twemoji@1.2.5,fluent-emoji-flat@1.2.6} \\
        @iconify-json/{noto-v1@1.2.5,emojione@1.2.3,emojione-v1@1.2.3,fluent-emoji-high-contrast@1.2.6} \\
        @iconify-json/{tabler@1.2.41,mdi@1.2.3,ph@1.2.2,lucide@1.2.137}
    python -m benchmarks.encoder_data sets/node_modules/@iconify-json --output outputs/encoder_data

The first four are compared, the others only learned from. Writes JSON lines {id, emoji, group, source, svg}:
heldout.jsonl, emoji of the four sets, each once for a set; pairs.jsonl, the other emoji, of all sets; icons.jsonl,
these and the icons without a code point. A fifth of the groups is held out: an emoji with its skin tones, genders and
families is one group, and no group falls on two sides.
"""

import argparse
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tqdm import tqdm

from corpus.optimize import SvgTask, convert_one
from corpus.sources import drawings
from corpus.workers import CRASHED, in_processes

FOUR = ("twemoji", "fluent-emoji-flat", "openmoji", "noto")
MORE = ("noto-v1", "emojione", "emojione-v1", "fluent-emoji-high-contrast")  # they have names, but no code points
ICONS = ("tabler", "mdi", "ph", "lucide")
HELD_OUT = 5  # one group in so many
JOINERS = {0x200D, 0xFE0F, 0x2640, 0x2642}  # with them an emoji is still the same, or its other gender
PEOPLE = {0x1F468: 0x1F9D1, 0x1F469: 0x1F9D1, 0x1F466: 0x1F9D2, 0x1F467: 0x1F9D2}  # man, woman; boy, girl


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, help="the folder with a folder for each set")
    parser.add_argument("--output", type=Path, default=Path("outputs/encoder_data"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    files = {name: (arguments.output / f"{name}.jsonl").open("w") for name in ("icons", "pairs", "heldout")}
    counts = dict.fromkeys(files, 0)
    jobs = (SvgTask(svg, record=record) for record, svg in records(arguments.sets))
    done = in_processes(partial(convert_one, comments=False), jobs, 2, lambda _: ("", CRASHED))
    held = set()
    for job, (svg, _) in tqdm(done, desc="drawings", unit="", disable=None):
        if not svg:
            continue
        for name in parts(job.record):
            which = job.record["emoji"], job.record["source"]
            if name == "heldout" and which in held:  # its other gender
                continue
            held.add(which)
            files[name].write(json.dumps(job.record | {"svg": svg}) + "\n")
            counts[name] += 1
    print(", ".join(f"{count} in {name}.jsonl" for name, count in counts.items()))


def records(sets: Path) -> Iterator[tuple[dict, str]]:
    """Yield ({id, emoji, group, source}, SVG). emoji: code points without joiners, "" for none."""
    code_of_name: dict[str, str] = {}
    for source in (*FOUR, *MORE, *ICONS):
        codes = {}
        if source in FOUR:
            chars = json.loads((sets / source / "chars.json").read_text())
            codes = {name: code for code, name in reversed(chars.items())}
            code_of_name = codes | code_of_name
        for drawing in drawings(str(sets / source / "icons.json")):
            name = drawing.id.removeprefix(f"{source}-")
            code = "" if source in ICONS else codes.get(name) or code_of_name.get(name, "")
            emoji = [point for point in (int(point, 16) for point in code.split("-") if code) if point not in JOINERS]
            group = f"{PEOPLE.get(emoji[0], emoji[0]):x}" if emoji else ""
            yield (
                {"id": drawing.id, "emoji": "-".join(f"{p:x}" for p in emoji), "group": group, "source": source},
                drawing.svg,
            )


def parts(record: dict) -> list[str]:
    if not record["emoji"]:
        return [] if record["source"] in MORE else ["icons"]  # without a code point it may be a held-out one
    held = hashlib.sha256(record["group"].encode()).digest()[0] % HELD_OUT == 0
    if held:
        return ["heldout"] if record["source"] in FOUR else []
    toned = any(0x1F3FB <= int(point, 16) <= 0x1F3FF for point in record["emoji"].split("-"))  # in sets without codes
    return ["icons"] if toned else ["pairs", "icons"]


if __name__ == "__main__":
    main()
