"""Does a drawing match its words? A probability, by a small model trained on icons here; no hub, no download.

Reads   FILES, and WORDS or the tables' column description. Writes a number, of several drawings a line for each.

    python -m scoring.icon_match drawing.svg --words "red heart"

Two copies share no concept and no seed (adapters/icon_match/): A chooses and rewards drawings, B reports, as here.
Which one answers follows from what is asked, and cannot be set: a judge that was optimised for would flatter. The
probability is calibrated against random words: 0.5 where the right and the wrong ones are equally likely.
"""

from collections.abc import Sequence
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
WORDS: str = ""  # that FILES should match, where they bring none themselves

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

import numpy as np
import torch

from qwen_svg.common.tables import is_table
from qwen_svg.svg.render import is_blank
from scoring.batches import in_batches
from scoring.candidate import Candidate, require
from scoring.command import read_candidates, score_files
from scoring.icon_matching.matcher import SIDE, as_ink, load_matcher
from scoring.icon_matching.words import embed_words
from scoring.pictures import picture, png

TOGETHER = 64  # drawings


def score(candidates: Sequence[Candidate], use: str = "report") -> list[float]:
    """Return the probability for each, in [0, 1]; 0 where a drawing does not render or is blank.

    use: "choose" where drawings are chosen or rewarded by it, "report" where it is only told.
    """
    require(candidates, "description")
    matcher = load_matcher(use)

    def look(candidate: Candidate) -> tuple[np.ndarray, str] | None:
        if is_blank(png(candidate.svg)):
            return None
        return np.asarray(picture(candidate.svg, SIDE)), candidate.description

    def probabilities(seen: list) -> list[float]:
        pixels, texts = zip(*seen, strict=True)
        with torch.inference_mode():
            pictures = matcher.pictures(as_ink(torch.from_numpy(np.stack(pixels))))
            cosine = (pictures * matcher.words(embed_words(list(texts)))).sum(dim=1)
            return matcher.probability(cosine).tolist()

    return in_batches(candidates, TOGETHER, look, probabilities, "icon_match")


def main(c: SimpleNamespace) -> None:
    if len(c.FILES) == 1 and not is_table(c.FILES[0]):
        ((_, candidate),) = read_candidates(c.FILES, c.WORDS)
        print(f"{score([candidate])[0]:.4f}")
    else:
        score_files(score, SimpleNamespace(FILES=c.FILES, DESCRIPTION=c.WORDS))


if __name__ == "__main__":
    run(main, c)
