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
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.measure import report
from corpus.composing.names import OTHER_NAMES
from corpus.composing.samples import samples as scenes
from corpus.composing.things import pictograms
from qwen_svg.common.dataset import Sample
from qwen_svg.common.sheet import write_sheet
from qwen_svg.common.tokens import encode
from qwen_svg.evaluation.judge import Judgement, judge
from qwen_svg.evaluation.metrics import claim_figures
from qwen_svg.generation.engine import generate_answers
from qwen_svg.model.load import load_model
from qwen_svg.model.source import find_source
from qwen_svg.svg.render import is_blank, png_bytes
from scoring.composition import claims_of
from scoring.icon_matching.drawings import HELD_OUT, Drawing, read_drawings, side_of
from scoring.icon_matching.held_out import one_of_each
from scoring.icon_matching.matcher import SIDE, as_ink, load_matcher
from scoring.icon_matching.words import embed_words
from scoring.pictures import picture

SEED = 1126  # of scenes that no configuration of the project trains on
OF, FIRST = 100, 10  # descriptions that a drawing's own is looked for among, and how far in front it should be
ON_SHEET = 48  # drawings of each set
SLOTS = 20  # drawings at once: a step costs little more than one of 8


class Asked(NamedTuple):
    description: str
    svg: str  # the reference
    group: str


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
    answers = draw(arguments.model, [a for pool in pools.values() for a in pool[:n]], arguments.constrained)
    judged = [judge(answer) for answer in answers]
    by_set = dict(zip(pools, (judged[i : i + n] for i in range(0, len(judged), n)), strict=True))
    figures = {
        "legal": sum(j.legal("prompt") for j in judged) / len(judged),
        "blank": sum(not j.drawn for j in judged) / len(judged),
        "claims_unseen": claims_that_hold(pools["scenes"][:n], by_set["scenes"]),
    }
    for name, pool in pools.items():
        figures[f"{name}_at10"] = share_in_front(pool, [j.svg for j in by_set[name]])
        references = share_in_front(pool, [asked.svg for asked in pool[:n]])
        figures["reference_at10" if name == "unseen" else f"{name}_reference_at10"] = references
    if arguments.sheet:
        shown = [
            (asked.description, j.png)
            for name, pool in pools.items()
            for asked, j in islice(zip(pool[:n], by_set[name], strict=True), ON_SHEET)
        ]
        write_sheet(arguments.sheet, shown, columns=8)
    report(figures)


def read_sets(path: str) -> dict[str, list[Asked]]:
    """Return "scenes", "known" and "unseen": OF descriptions each, the first of which are drawn."""
    drawings = read_drawings(path, most=10**9)
    things = {*pictograms(), *(name for names in OTHER_NAMES.values() for name in names)}
    known = [d for d in drawings if d.name.casefold().removeprefix("a ").removeprefix("an ") in things]
    groups = {d.group for d in known}
    unseen = [d for d in drawings if side_of(d.group) == HELD_OUT and d.group not in groups]
    composed = scenes(SEED, OF, "all", unseen=1.0)
    return {
        "scenes": [Asked(s["description"], judge(s["svg_content"]).svg, s["group"]) for s in composed],
        "known": as_asked(known),
        "unseen": as_asked(unseen),
    }


def as_asked(drawings: Sequence[Drawing]) -> list[Asked]:
    """Return a drawing of each concept with its short wording, and second ones where there are fewer than OF."""
    first = one_of_each(drawings)
    order = [*first, *sorted({*range(len(drawings))} - {*first})]
    texts: dict[str, Asked] = {}  # no description twice
    for drawing in (drawings[i] for i in order):
        texts.setdefault(drawing.texts[0].casefold(), Asked(drawing.texts[0], drawing.svg, drawing.group))
    return list(texts.values())[:OF]


def draw(model: str, asked: list[Asked], constrained: bool) -> list[str]:
    loaded = load_model(find_source(model))
    samples = [Sample(str(i), a.description, "", a.group) for i, a in enumerate(asked)]
    prompts = [row.prompt for row in encode(loaded.tokenizer, samples, loaded.prompt_form)]
    answers = generate_answers(
        loaded.model, loaded.tokenizer, prompts, max_total=loaded.max_length, max_new=loaded.max_length,
        temperature=0.0, seed=0, batch_size=SLOTS, progress="drawing", constrained=constrained,
    )  # fmt: skip
    return [answer.text for answer in answers]


def claims_that_hold(asked: list[Asked], judged: list[Judgement]) -> float | None:
    for one, judgement in zip(asked, judged, strict=True):
        judgement.unseen = True
        judgement.claims = [(claim.text, claim.holds) for claim in claims_of(one.description, judgement.svg)]
    return claim_figures(judged)[0].get("claims_unseen")


@torch.inference_mode()
def share_in_front(pool: list[Asked], svgs: list[str | None]) -> float:
    """Return the share of drawings with their own words, those of the pool at the same place, among the FIRST."""
    matcher = load_matcher("report")
    words = matcher.words(embed_words([asked.description for asked in pool]))
    found = 0
    for place, svg in enumerate(svgs):
        if svg is None or (png := png_bytes(svg)) is None or is_blank(png):
            continue
        pixels = np.array(picture(svg, SIDE))
        likeness = (matcher.pictures(as_ink(torch.from_numpy(pixels[None]))) @ words.T)[0]
        found += int((likeness >= likeness[place]).sum()) <= FIRST  # words as good as its own stand before them
    return found / len(svgs)


if __name__ == "__main__":
    main()
