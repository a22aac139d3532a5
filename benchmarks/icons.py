"""Does the shipped adapter draw what it is asked for, as a judge says that took no part in making it?

    make icons                                        # once: data/icons.jsonl
    python -m benchmarks.icons [--json] [--model adapters/scenes] [--samples 20] [--constrained] [--sheet FILE.png]

Three sets of SAMPLES descriptions: scenes with a combination that is never trained on; known concepts, which are things
of the scenes as people name them who draw icons; unseen concepts, which neither the adapter nor the judge has met.
Greedy, free unless --constrained, no second try. Each drawing is ranked by copy B of scoring.icon_match: its own words
among OF, the others of which are other descriptions of the same set. Shares that come among the first ten are
known_at10 and unseen_at10, and reference_at10 is that of the icons themselves, for unseen concepts: the judge's
ceiling. What does not render or is blank comes last. By chance they would be 10 %. --sheet: the first 48 drawings of
each set, in order.
"""

import argparse
from collections.abc import Sequence
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
from qwen_svg.common.sheet import write_sheet
from qwen_svg.evaluation.judge import Judgement, judge
from qwen_svg.evaluation.metrics import claim_figures
from scoring.icon_matching.drawings import HELD_OUT, Drawing, read_drawings, side_of
from scoring.icon_matching.held_out import one_of_each
from scoring.icon_matching.matcher import SIDE, as_ink, load_matcher
from scoring.icon_matching.words import embed_words
from scoring.pictures import picture

SEED = 1126  # of scenes that no configuration of the project trains on
OF, FIRST = 100, 10  # descriptions that a drawing's own is looked for among, and how far in front it should be
ON_SHEET = 48  # drawings of each set
SLOTS = 20  # drawings at once: a step costs little more than one of 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="adapters/scenes")
    parser.add_argument("--data", default="data/icons.jsonl")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--constrained", action="store_true")
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    pools, n = read_sets(arguments.data), arguments.samples
    asked = {name: pool[:n] for name, pool in pools.items()}
    answers = iter(drawn(arguments.model, [*chain(*asked.values())], SLOTS, constrained=arguments.constrained))
    judged = {name: judge_all({}, samples, list(islice(answers, len(samples)))) for name, samples in asked.items()}
    drawings = [*chain(*judged.values())]
    figures = {
        "legal": sum(one.legal("prompt") for one in drawings) / len(drawings),
        "blank": sum(not one.drawn for one in drawings) / len(drawings),
        "claims_unseen": claim_figures(judged["scenes"])[0].get("claims_unseen"),
    }
    for name, pool in pools.items():
        figures[f"{name}_at10"] = share_in_front(pool, judged[name])
        references = share_in_front(pool, [judge(sample.answer) for sample in asked[name]])
        figures["reference_at10" if name == "unseen" else f"{name}_reference_at10"] = references
    if arguments.sheet:
        first = ((asked[name][:ON_SHEET], judged[name][:ON_SHEET]) for name in pools)
        shown = [(sample.description, one.png) for both in first for sample, one in zip(*both, strict=True)]
        write_sheet(arguments.sheet, shown, columns=8)
    report(figures)


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
