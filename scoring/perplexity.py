"""Is a drawing, as text, what the model would write? 1 / perplexity of the answer, given the prompt.

Reads   FILES, with DESCRIPTION or the tables' column of that name, and a model. Writes a line for each drawing.

    python -m scoring.perplexity drawing.svg --description "a red fox" --model outputs/first

That is the geometric mean of its tokens' probabilities: like the other scores in [0, 1], and larger is better.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from scoring.candidate import Candidate, require
from scoring.command import score_files

FILES: list[str] = []  # .svg files, and tables with columns svg_content and description; the flag may be left out
DESCRIPTION: str = ""  # of FILES that bring none themselves
MODEL: str = ""  # folder of a run, an adapter or a merged model; a .gguf file; a hub id; "" = the newest run
BATCH_SIZE: int = 8  # drawings read together


def score(candidates: Sequence[Candidate], model: str = MODEL, batch_size: int = BATCH_SIZE) -> list[float]:
    """Return 1 / perplexity of each whole answer, in [0, 1]; 0 where it holds no SVG."""
    from qwen_svg.common.dataset import Sample
    from qwen_svg.common.tokens import encode
    from qwen_svg.model.batches import LeftPaddingCollator
    from qwen_svg.model.cross_entropy import cross_entropies

    require(candidates, "description")
    base, tokenizer, prompt_form = load(model)
    drawn = [i for i, candidate in enumerate(candidates) if candidate.svg]
    samples = [Sample(str(i), candidates[i].description, candidates[i].answer) for i in drawn]
    rows = encode(tokenizer, samples, prompt_form)
    read = cross_entropies(base, rows, LeftPaddingCollator(tokenizer.pad_token_id), batch_size, "perplexity")
    found = [0.0] * len(candidates)
    for i, one in zip(drawn, read, strict=True):
        found[i] = 1 / one.perplexity
    return found


@lru_cache(1)
def load(model: str) -> tuple[Any, Any, str]:
    """Return (model with its adapter merged, tokenizer, prompt form)."""
    from qwen_svg.model.adapter import merge_adapter
    from qwen_svg.model.device import pick_device, pick_dtype
    from qwen_svg.model.load import load_base
    from qwen_svg.model.source import find_model, find_source
    from qwen_svg.model.tokenizer import load_tokenizer

    found = find_source(find_model(model))
    device = pick_device()
    dtype = pick_dtype(device, found.fp16, found.quantization)
    base = load_base(found.base, device, dtype, found.quantization)
    whole = merge_adapter(base, found.adapter) if found.adapter else base
    return whole, load_tokenizer(found.tokenizer), found.prompt_form


if __name__ == "__main__":
    score_files(__file__, score)
