"""`python -m scoring.<name> FILE…`: the same for every score."""

from collections.abc import Callable

from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError, run
from scoring.candidate import read_candidates


def score_files(script: str, score: Callable[..., list[float]]) -> None:
    """Print a line for each drawing of FILES, and their mean. The script's other constants are `score`'s arguments."""

    def main() -> None:
        options = {name.lower(): value for name, value in vars(constants_in_force(script, positional="FILES")).items()}
        of_files = {name: options.pop(name) for name in ("files", "description", "reference") if name in options}
        if options.get("batch_size", 1) < 1:
            raise UserError("BATCH_SIZE must be 1 or more.")
        from qwen_svg.common.environment import configure_environment

        configure_environment()
        names, candidates = zip(*read_candidates(**of_files), strict=True)
        scores = score(candidates, **options)
        for name, value in zip(names, scores, strict=True):
            print(f"{value:.4f}  {name}")
        if len(scores) > 1:
            print(f"{sum(scores) / len(scores):.4f}  mean of {len(scores)}")

    run(main)
