"""Step 4, for those who want more: train a run's adapter on preference pairs of drawings (TRL's DPOTrainer).

Reads   outputs/<run>/ (the adapter, config.yml, split.json), the data file it was trained on, and PAIRS.
Writes  outputs/<RUN_NAME>/: the adapter, as any run's, dpo.yml, checkpoints, metrics.jsonl, preferences.png, wandb.

    python generate.py --n 8 --free --input descriptions.txt --output drawings.jsonl
    python -m scoring.pairs --input drawings.jsonl --output data/pairs.jsonl --score text_match
    python -m reinforce.train_dpo --model first --run-name first-dpo
    python -m reinforce.train_dpo --resume --run-name first-dpo

Of each pair the chosen answer becomes more likely than the rejected one, against how likely the run found them. Pairs
of descriptions in the run's validation or test split are left out.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, NonNegativeFloat, PositiveFloat, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run
from reinforce.shared_constants import FORMERLY, check_constants, constants_of

# Where it begins
MODEL: str = ""  # a run of train.py, by name or folder; "" = the newest run
DATA_PATH: list[str] = []  # the run's data files, where they have moved since; none = as in the run's config.yml
PAIRS: str = "data/pairs.jsonl"  # JSON lines with description, chosen, rejected, as `python -m scoring.pairs` writes
# Optimization (AdamW)
EPOCHS: Annotated[float, Above(0, 10_000)] = 1.0  # passes over the pairs; after two or three they are known by heart
BATCH_SIZE: Annotated[int, Above(0, 65_536)] = 4  # pairs per device and forward pass
GRADIENT_ACCUMULATION: Annotated[int, Above(0, 65_536)] = 4  # forward passes per step
LEARNING_RATE: PositiveFloat = 5e-6  # falls to 0 in a straight line; ten times that of DPO of all weights
BETA: PositiveFloat = 0.1  # cost of moving away from the adapter it began as; larger stays nearer
MAX_GRAD_NORM: PositiveFloat = 1.0  # gradients are clipped to this norm
ACTIVATION_CHECKPOINTING: bool = False  # less memory, 1.3x the time
MAX_MINUTES: NonNegativeFloat = 0.0  # stop and save after this time; 0 = no limit
SEED: Seed = 42  # of the order of pairs
# Logging, checkpoints (in steps)
LOGGING_STEPS: PositiveInt = 1
SAVE_STEPS: PositiveInt = 50
SAVE_TOTAL_LIMIT: PositiveInt = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
REPORT_TO: Literal["", "tensorboard", "trackio"] = ""  # another tracker beside wandb; requirements/trackers.txt
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants

if __name__ == "__main__":
    c = constants_of(__file__, start(__file__, formerly=FORMERLY))
    check_constants(c)

from trl import DPOConfig

from qwen_svg.common.files import read_json
from qwen_svg.common.run_folder import Run, run_to_resume
from qwen_svg.common.tracking import start_run
from qwen_svg.training.checkpoints import freed_if_stopped
from reinforce.continued_run import (
    load_origin,
    open_folder,
    open_origin,
    print_next_steps,
    train_and_save,
    trl_arguments,
)
from reinforce.preferences import PairTrainer, TokenisedPairs, prepare_pairs
from reinforce.report import draw_preferences, first_and_last, records_with, write_card


def main(c: SimpleNamespace) -> None:
    # 1. The run to begin with, and the pairs it may be trained on.
    origin = open_origin(c)
    pairs = prepare_pairs(c.PAIRS, origin, c.DATA_PATH)
    if c.RESUME:
        refuse_other_pairs(c, pairs.facts["sha256"])

    # 2. The model, then the run folder: a base that cannot be loaded leaves none behind.
    loaded = load_origin(origin)
    folder, checkpoint = open_folder(c, "dpo", origin, loaded, {"pairs": pairs.facts})
    print(f"{c.MODEL}: {len(pairs.rows)} pairs to train on, {loaded.dtype} on {loaded.device}")

    # 3. Train.
    with freed_if_stopped(folder):
        tracker = start_run(c.WANDB_PROJECT, folder, "dpo", vars(c)) if c.WANDB else None
        trainer = PairTrainer(
            model=loaded.model,
            args=DPOConfig(
                **trl_arguments(c, folder, loaded),
                num_train_epochs=c.EPOCHS,
                max_length=None,  # nothing is cut
            ),
            train_dataset=pairs.rows,
            processing_class=loaded.tokenizer,
        )
        steps = train_and_save(c, "dpo", trainer, folder, checkpoint, log_line, tracker)

    # 4. What came out.
    report(c, origin, pairs, folder, steps)
    print_next_steps(folder, "preferences.png", tracker)


def refuse_other_pairs(c: SimpleNamespace, sha256: str) -> None:
    folder = run_to_resume(c.RUN_NAME)
    if read_json(folder / "environment.json")["pairs"]["sha256"] != sha256:
        raise UserError(f"{c.PAIRS} is not what {folder} was trained on; restore the file, or start a new run.")


def log_line(record: dict) -> str | None:
    """Return what is said of a logged record; None for one that says nothing new."""
    if "rewards/margins" not in record:
        return None
    return (
        f"step {record['step']:>5}  epoch {record['epoch']:.2f}  loss {record['loss']:.4f}  "
        f"margin {record['rewards/margins']:.4f}  above 0 {record['rewards/accuracies']:.0%}  "
        f"gradient norm {record['grad_norm']:.3f}"
    )


def report(c: SimpleNamespace, origin: Run, pairs: TokenisedPairs, folder: Path, steps: int) -> None:
    """Draw the curves, write the card, say what came out."""
    draw_preferences(folder / "metrics.jsonl", folder / "preferences.png")
    records = records_with("rewards/margins", folder / "metrics.jsonl")
    margin, share = (first_and_last(records, key) for key in ("rewards/margins", "rewards/accuracies"))
    came_out = f"{margin[0]:.3f} over the first quarter of the steps, {margin[1]:.3f} over the last"
    figures = {
        "pairs": f"{len(pairs.rows)} of the {pairs.facts['read']} in {c.PAIRS} (sha256 {pairs.facts['sha256'][:16]}…)",
        "steps": f"{steps} of {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION} pairs",
        "learning rate, DPO": f"{c.LEARNING_RATE:g}, beta {c.BETA:g}",
        "reward margin": f"{came_out}; above 0 in {share[1]:.0%} of the pairs",
    }
    write_card(folder, c, origin.constants.BASE_MODEL, "dpo", "preferences", figures, "preferences.png")
    print(f"reward margin: {came_out}, where it is above 0 in {share[1]:.0%} of the pairs")


if __name__ == "__main__":
    run(main, c)
