"""A benchmark's card: every figure with its interval, under which protocol, of which prompts, drawn by what."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import read_json, write_json, write_text
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.evaluation.bootstrap import mean_interval
from qwen_svg.evaluation.judge import Judgement
from qwen_svg.evaluation.made_drawings import Made
from qwen_svg.evaluation.metrics import wilson
from qwen_svg.evaluation.profile import Profile
from qwen_svg.evaluation.prompts import Prompt
from svg_constraint import DIALECTS

CARD, SAMPLES, SVGS = "card.json", "samples.jsonl", "svg"  # in the benchmark's folder
FEW_FOR_FID = 1000  # even true samples are far from each other then: 93 to 118 with 150 of MMSVG's own pictures
LEGAL = "prompt"  # the dialect of the card's "legal"; the others are among its metrics


@dataclass(frozen=True)
class Measured:
    """A metric: a value for each prompt (None where it does not apply), one for all of them, or why there is none."""

    values: Sequence[float | None] | None = None
    value: float | None = None
    fault: str = ""
    model: str = ""  # what it was looked at with, and its revision


@dataclass
class Sample:
    """A prompt, what was made of it, and the verdict on it."""

    prompt: Prompt
    made: Made
    judged: Judgement
    scores: dict[str, float | None] = field(default_factory=dict)

    def shares(self) -> dict[str, bool]:
        """Return what is true or not of the drawing."""
        legal = {f"legal in {dialect}": self.judged.legal(dialect) for dialect in DIALECTS}
        blank = self.judged.renders and not self.judged.drawn
        return {"success": self.judged.renders} | legal | {"blank": blank}

    def costs(self) -> dict[str, float | None]:
        size = len(self.made.svg.encode("utf-8", "replace")) if self.made.svg else None
        return {"tokens": self.made.tokens, "bytes": size, "seconds": self.made.seconds}

    def to_json(self, file: str) -> dict:
        found = {"id": self.prompt.id, "prompt": self.prompt.text, "svg": file if self.made.svg else None}
        return found | self.shares() | self.costs() | {"finished": self.made.finished, "scores": self.scores}


def make_card(profile: Profile, samples: list[Sample], measured: dict[str, Measured], said: dict[str, Any]) -> dict:
    """Return the card. said: what else it is to say: model, prompts and their revision, how it was drawn.

    `metrics` has {value, low, high, n} or, where `missing` says why there is none, null. Shares have Wilson's interval,
    means the bootstrap's; a distance of two sets has none.
    """
    n = len(samples)
    shares = {name: sum(one.shares()[name] for one in samples) for name in samples[0].shares()}
    figures: dict[str, dict | None] = {name: _share(count, n) for name, count in shares.items()}
    for name in samples[0].costs():
        figures[name] = _mean([one.costs()[name] for one in samples])
    missing = {name: "not known of these drawings" for name, figure in figures.items() if figure is None}
    for name, found in measured.items():
        figures[name] = _mean(found.values) if found.values is not None else _alone(found.value, n)
        if figures[name] is None:
            missing[name] = found.fault or "applies to none of the prompts"
    return {
        "profile": profile.name,
        "prompts": said["prompts"],
        "n": n,
        "success": figures["success"]["value"],
        "legal": figures[f"legal in {LEGAL}"]["value"],
        "blank": figures["blank"]["value"],
        "tokens": figures["tokens"]["value"] if figures["tokens"] else None,
        "metrics": figures,
        "missing": missing,
        "warnings": _warnings(measured, n),
        "models": {name: found.model for name, found in measured.items() if found.model},
        **{name: value for name, value in said.items() if name != "prompts"},
        "protocol": profile.to_json(),
    }


def _share(count: int, n: int) -> dict:
    low, high = wilson(count, n)
    return {"value": count / n, "low": low, "high": high, "n": n}


def _mean(values: Sequence[float | None]) -> dict | None:
    known = [float(value) for value in values if value is not None]
    if not known:
        return None
    mean, low, high = mean_interval(known)
    return {"value": mean, "low": low, "high": high, "n": len(known)}


def _alone(value: float | None, n: int) -> dict | None:
    return None if value is None else {"value": value, "low": None, "high": None, "n": n}


def _warnings(measured: dict[str, Measured], n: int) -> list[str]:
    distances = [name for name, found in measured.items() if found.value is not None]
    if not distances or n >= FEW_FOR_FID:
        return []
    return [f"{' and '.join(distances)} of {n} drawings: under n = {FEW_FOR_FID:,} it is mostly n that it measures."]


def card_text(card: dict) -> str:
    """Return card.md: the table, then everything that it depends on."""
    lines = [f"# {card['model']} under {card['profile']}", "", card["protocol"]["about"], ""]
    lines += ["| | value | 95 % interval | n |", "|---|---|---|---|"]
    for name, figure in card["metrics"].items():
        if figure is None:
            lines.append(f"| {name} | – | {card['missing'][name]} | |")
        else:
            lines.append(f"| {name} | {number(figure['value'])} | {interval(figure)} | {figure['n']} |")
    lines += ["", *(f"**{warning}**\n" for warning in card["warnings"])]
    files = ", ".join(f"`{name}` (SHA-256 {digest[:12]}…)" for name, digest in card["prompt_files"].items())
    lines += [f"- prompts: {card['n']} of {files}", *(f"- {name}: {said}" for name, said in card["drawn"].items())]
    lines += [f"- {name} looks with {model}" for name, model in card["models"].items()]
    protocol = card["protocol"]
    lines += ["", "## Protocol", "", f"- {protocol['renderer']}, {protocol['size']} × {protocol['size']}, on white"]
    lines.append(f"- a drawing that does not render: {protocol['failure']}")
    lines += [f"- {name}: {_spelled(spec)}" for name, spec in protocol["metrics"].items()]
    lines += [f"- {note}" for note in protocol["notes"]]
    lines += ["", "Sources: " + "; ".join(protocol["sources"]) + ".", ""]
    return "\n".join(lines)


def number(value: float) -> str:
    """Return four digits or so; what a sum of zeros leaves by rounding is 0."""
    return f"{value:.1f}" if abs(value) >= 100 else f"{round(value, 9):.4g}"


def interval(figure: dict) -> str:
    return "" if figure["low"] is None else f"{number(figure['low'])} to {number(figure['high'])}"


def _spelled(spec: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in spec.items())


def write_card(folder: Path, card: dict, samples: list[Sample]) -> None:
    """Write card.json, card.md, samples.jsonl and every SVG, named after its prompt."""
    svgs = folder / SVGS
    svgs.mkdir(exist_ok=True)
    lines = []
    for position, sample in enumerate(samples):
        file = svg_file(sample.prompt.id, position)
        if sample.made.svg:
            (svgs / file).write_bytes(sample.made.svg.encode("utf-8", "replace"))
        lines.append(sample.to_json(file))
    write_text(folder / SAMPLES, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    write_text(folder / "card.md", card_text(card))
    write_json(folder / CARD, card)


def svg_file(id: str, position: int) -> str:
    """Return the name of a prompt's SVG: its id where that can be one, else its position."""
    return f"{id}.svg" if re.fullmatch(r"\w[\w.-]{0,150}", id) else f"{position:05d}.svg"


def read_card(path: str) -> tuple[dict, list[dict]]:
    """Return a card and its samples. path: card.json, or its folder. UserError where there is none."""
    folder = Path(path)
    folder = folder.parent if folder.name == CARD else folder
    if not (folder / CARD).is_file() or not (folder / SAMPLES).is_file():
        raise UserError(f"{folder} holds no {CARD} with its {SAMPLES}; benchmark.py makes them.")
    card = read_json(folder / CARD)
    return card, read_jsonl(folder / SAMPLES)
