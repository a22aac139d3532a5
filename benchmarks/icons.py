"""Does the shipped adapter draw what it is asked for, as a judge says that took no part in making it?

    make icons                                        # once: data/icons.jsonl
    python -m benchmarks.icons [--json] [--model adapters/scenes] [--samples 20] [--constrained] [--sheet FILE.png]
        [--answers FILE.jsonl]

Three sets of SAMPLES descriptions: scenes with a combination that is never trained on; known concepts, which are things
of the scenes as people name them who draw icons; unseen concepts, which neither the adapter nor the judge has met.
Greedy, free unless --constrained, no second try. Each drawing is ranked by copy B of scoring.icon_match: its own words
among OF, the others of which are other descriptions of the same set. Shares that come among the first ten are
known_at10 and unseen_at10, and reference_at10 is that of the icons themselves, for unseen concepts: the judge's
ceiling. ..._by_heart is what no drawing would do: of scenes like those of the training, the one whose description is
nearest by all-MiniLM-L6-v2. What does not render or is blank comes last. By chance they would be 10 %. --sheet: the
first 48 drawings of each set, in order. --answers: where they are kept, and read from when they are there already.
"""

import argparse
from collections.abc import Sequence
from functools import cache
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.drawn import drawn
from benchmarks.measure import report
from corpus.composing.names import OTHER_NAMES
from corpus.composing.samples import samples as scenes
from corpus.composing.things import pictograms
from evaluate_test import judge_all
from qwen_svg.common.dataset import Sample
from qwen_svg.common.jsonl import append_all, read_jsonl
from qwen_svg.common.sheet import write_sheet
from qwen_svg.evaluation.judge import Judgement, judge
from qwen_svg.evaluation.metrics import claim_figures
from scoring.icon_matching.drawings import HELD_OUT, Drawing, read_drawings, side_of
from scoring.icon_matching.held_out import one_of_each
from scoring.icon_matching.matcher import SIDE, as_ink, load_matcher
from scoring.icon_matching.words import embed_words
from scoring.pictures import picture

SEED, TRAINED_SEED = 1126, 1  # of scenes that no configuration of the project trains on; of those that one does
BY_HEART = {"all": 2000, "0": 600}  # scenes of levels, in number and kind what the adapter was trained on
OF, FIRST = 100, 10  # descriptions that a drawing's own is looked for among, and how far in front it should be
ON_SHEET = 48  # drawings of each set
SLOTS = 48  # drawings at once: on two cores a token of 64 takes 0.6 of the time of one of 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="adapters/scenes")
    parser.add_argument("--data", default="data/icons.jsonl")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--constrained", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--answers", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pools, n = read_sets(arguments.data), arguments.samples
    asked = {name: pool[:n] for name, pool in pools.items()}
    answers = iter(answered([*chain(*asked.values())], arguments))
    judged = {name: judge_all({}, samples, list(islice(answers, len(samples)))) for name, samples in asked.items()}
    by_heart = {name: judge_all({}, samples, nearest_scenes(samples)) for name, samples in asked.items()}
    drawings = [*chain(*judged.values())]
    figures = {
        "legal": sum(one.legal("prompt") for one in drawings) / len(drawings),
        "blank": sum(not one.drawn for one in drawings) / len(drawings),
        "claims_unseen": claim_figures(judged["scenes"])[0].get("claims_unseen"),
        "claims_by_heart": claim_figures(by_heart["scenes"])[0].get("claims_unseen"),
    }
    for name, pool in pools.items():
        figures[f"{name}_at10"] = share_in_front(pool, judged[name])
        figures[f"{name}_by_heart"] = share_in_front(pool, by_heart[name])
        references = share_in_front(pool, [judge(sample.answer) for sample in asked[name]])
        figures["reference_at10" if name == "unseen" else f"{name}_reference_at10"] = references
    if arguments.sheet:
        first = ((asked[name][:ON_SHEET], judged[name][:ON_SHEET]) for name in pools)
        shown = [(sample.description, one.png) for both in first for sample, one in zip(*both, strict=True)]
        write_sheet(arguments.sheet, shown, columns=8)
    report(figures)


def answered(samples: list[Sample], arguments: argparse.Namespace) -> list[str]:
    """Return what the model answers to samples, or answered when `--answers` was written."""
    if arguments.answers and arguments.answers.exists():
        kept = {record["id"]: record["answer"] for record in read_jsonl(arguments.answers)}
        return [kept[sample.id] for sample in samples]
    answers = drawn(arguments.model, samples, SLOTS, constrained=arguments.constrained)
    if arguments.answers:
        append_all(arguments.answers, [{"id": s.id, "answer": a} for s, a in zip(samples, answers, strict=True)])
    return answers


def read_sets(path: str) -> dict[str, list[Sample]]:
    """Return "scenes", "known" and "unseen": OF samples each, with their references; the first of them are drawn."""
    drawings = read_drawings(path, most=10**9)
    things = {*pictograms(), *(name for names in OTHER_NAMES.values() for name in names)}
    known = [d for d in drawings if d.name.casefold().removeprefix("a ").removeprefix("an ") in things]
    groups = {d.group for d in known}
    unseen = [d for d in drawings if side_of(d.group) == HELD_OUT and d.group not in groups]
    composed = scenes(SEED, OF, "all", unseen=1.0)
    return {
        "scenes": [Sample(s["id"], s["description"], s["svg_content"], s["group"]) for s in composed],
        "known": as_samples(known),
        "unseen": as_samples(unseen),
    }


def as_samples(drawings: Sequence[Drawing]) -> list[Sample]:
    """Return a drawing of each concept with its short wording, and second ones where there are fewer than OF."""
    first = one_of_each(drawings)
    order = [*first, *sorted({*range(len(drawings))} - {*first})]
    texts: dict[str, Sample] = {}  # no description twice
    for drawing in (drawings[i] for i in order):
        text = drawing.texts[0]
        texts.setdefault(text.casefold(), Sample(drawing.id, text, drawing.svg, drawing.group))
    return list(texts.values())[:OF]


@cache
def training_scenes() -> tuple[list[str], torch.Tensor]:
    """Return scenes without a combination that is never trained on, and the directions of their descriptions."""
    made = [one for level, count in BY_HEART.items() for one in scenes(TRAINED_SEED, count, level, unseen=0.0)]
    return [one["svg_content"] for one in made], embed_words([one["description"] for one in made])


def nearest_scenes(samples: list[Sample]) -> list[str]:
    """Return the training scene of each sample whose description is nearest to its own, as an answer."""
    svgs, directions = training_scenes()
    nearest = embed_words([sample.description for sample in samples]) @ directions.T
    return [svgs[i] for i in nearest.argmax(dim=1).tolist()]


@torch.inference_mode()
def share_in_front(pool: list[Sample], judged: list[Judgement]) -> float:
    """Return the share of drawings with their own words, those of the pool at the same place, among the FIRST."""
    matcher = load_matcher("report")
    words = matcher.words(embed_words([sample.description for sample in pool]))
    found = 0
    for place, one in enumerate(judged):
        if not one.drawn:
            continue
        pixels = np.array(picture(one.svg, SIDE))
        likeness = (matcher.pictures(as_ink(torch.from_numpy(pixels[None]))) @ words.T)[0]
        found += int((likeness >= likeness[place]).sum()) <= FIRST  # words as good as its own stand before them
    return found / len(judged)


if __name__ == "__main__":
    main()
