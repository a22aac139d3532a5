"""Is a drawing, as text, what the model would write? 1 / perplexity of the answer, given the prompt.

Reads   FILES, with DESCRIPTION or the tables' column of that name, and a model. Writes a line for each drawing.

    python -m scoring.perplexity drawing.svg --description "a red fox" --model first

That is the geometric mean of its tokens' probabilities: like the other scores in [0, 1], and larger is better.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache, partial

from qwen_svg.common.constants import PositiveInt, start
from qwen_svg.common.errors import run

FILES: list[str] = []  # .svg files, folders of them, tables with svg_content and description; the flag may be left out
DESCRIPTION: str = ""  # of FILES that bring none themselves
MODEL: str = ""  # a run, by name or folder; an adapter, merged folder, .gguf file, hub id; "" = the newest run
BATCH_SIZE: PositiveInt = 8  # drawings read together

if __name__ == "__main__":
    c = start(__file__, positional="FILES")

from qwen_svg.common.dataset import Sample
from qwen_svg.common.tokens import encode
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropies
from qwen_svg.model.load import LoadedModel, load_model
from qwen_svg.model.source import find_source
from scoring.candidate import Candidate, require
from scoring.command import score_files


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return 1 / perplexity of each whole answer, in [0, 1]; 0 where it holds no SVG."""
    require(candidates, "description")
    loaded = load_once(model)
    drawn = [i for i, candidate in enumerate(candidates) if candidate.svg]
    samples = [Sample(str(i), candidates[i].description, candidates[i].answer) for i in drawn]
    rows = encode(loaded.tokenizer, samples, loaded.prompt_form)
    collator = LeftPaddingCollator(loaded.tokenizer.pad_token_id)
    read = cross_entropies(loaded.model, rows, collator, batch_size, "perplexity")
    found = [0.0] * len(candidates)
    for i, one in zip(drawn, read, strict=True):
        found[i] = 1 / one.perplexity
    return found


@lru_cache(1)
def load_once(model: str) -> LoadedModel:
    """Return the model with its adapter merged, and name it; `score` is called again and again."""
    source = find_source(model)
    print(f"model: {source.adapter or source.base}", file=sys.stderr)  # on stdout are scores
    return load_model(source)


if __name__ == "__main__":
    run(partial(score_files, score), c)
