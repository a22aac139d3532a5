"""Step 4, for those who want more: train a run's adapter on preference pairs of drawings (TRL's DPOTrainer).

Reads   outputs/<run>/ (the adapter, config.yml, split.json), the data file it was trained on, and PAIRS.
Writes  outputs/<RUN_NAME>/: the adapter, as any run's, dpo.yml, checkpoints, metrics.jsonl, preferences.png, wandb.

    python generate.py --n 8 --free --input descriptions.txt --output drawings.jsonl
    python -m scoring.pairs --input drawings.jsonl --output data/pairs.jsonl --score text_match
    python -m reinforce.train_dpo --run-dir outputs/first --run-name first-dpo
    python -m reinforce.train_dpo --resume --run-name first-dpo

Of each pair the chosen answer becomes more likely than the rejected one, against how likely the run found them. Pairs
of descriptions in the run's validation or test split are left out.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run
from reinforce import continued_run

# Where it begins
RUN_DIR: str = ""  # the folder of a run of train.py, outputs/<run>; "" = the latest run
DATA_PATH: str = ""  # the run's data file, where it has moved since; "" = as in the run's config.yml
PAIRS: str = "data/pairs.jsonl"  # JSON lines with description, chosen, rejected, as `python -m scoring.pairs` writes
# Optimization (AdamW)
EPOCHS: float = 1.0  # passes over the pairs; after two or three they are known by heart
BATCH_SIZE: int = 4  # pairs per device and forward pass
GRADIENT_ACCUMULATION: int = 4  # forward passes per step
LEARNING_RATE: float = 5e-6  # falls to 0 in a straight line; ten times what DPO of all weights takes, as LoRA wants
BETA: float = 0.1  # how dear it is to move away from the adapter it began as; larger stays nearer
MAX_GRAD_NORM: float = 1.0  # gradients are clipped to this norm
ACTIVATION_CHECKPOINTING: bool = False  # less memory, 1.3x the time
MAX_MINUTES: float = 0.0  # stop and save after this time; 0 = no limit
SEED: int = 42  # of the order of pairs
# Logging, checkpoints (in steps)
LOGGING_STEPS: int = 1
SAVE_STEPS: int = 50
SAVE_TOTAL_LIMIT: int = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def main(c: SimpleNamespace) -> None:
    c = continued_run.constants_of(__file__, c)
    continued_run.check(c, above_0=("EPOCHS", "BETA"))
    source, config = continued_run.open_source(c)
    from reinforce.preferences import prepare

    data = prepare(c.PAIRS, source, config, c.DATA_PATH)
    if c.RESUME:
        refuse_other_pairs(c, data.facts["sha256"])
    train(c, source, config, data)


def refuse_other_pairs(c: SimpleNamespace, sha256: str) -> None:
    from qwen_svg.common.files import read_json
    from qwen_svg.common.run_folder import run_to_resume

    folder = run_to_resume(c.RUN_NAME)
    if read_json(folder / "environment.json")["pairs"]["sha256"] != sha256:
        raise UserError(f"{c.PAIRS} is not what {folder} was trained on; restore the file, or start a new run.")


def train(c: SimpleNamespace, source: Path, config: dict, data: SimpleNamespace) -> None:
    from trl import DPOConfig

    from qwen_svg.common.tracking import start_run
    from reinforce.preferences import PairTrainer
    from reinforce.report import draw_preferences, first_and_last, records_with, write_card

    model, device, dtype = continued_run.load_adapter(source, config)
    folder, checkpoint = continued_run.open_folder(c, "dpo", source, config, device, dtype, {"pairs": data.facts})
    print(f"{source}: {len(data.rows)} pairs to train on, {dtype} on {device}")
    tracker = start_run(c.WANDB_PROJECT, folder, "dpo", vars(c)) if c.WANDB else None
    trainer = PairTrainer(
        model=model,
        args=DPOConfig(
            **continued_run.arguments(c, folder, device, dtype),
            num_train_epochs=c.EPOCHS,
            max_length=None,  # nothing is cut
        ),
        train_dataset=data.rows,
        processing_class=data.tokenizer,
    )
    steps = continued_run.train_to_the_end(c, "dpo", trainer, folder, checkpoint)
    draw_preferences(folder / "metrics.jsonl", folder / "preferences.png")
    records = records_with("rewards/margins", folder / "metrics.jsonl")
    margin, share = (first_and_last(records, key) for key in ("rewards/margins", "rewards/accuracies"))
    came_out = f"{margin[0]:.3f} over the first quarter of the steps, {margin[1]:.3f} over the last"
    figures = {
        "pairs": f"{len(data.rows)} of the {data.facts['read']} in {c.PAIRS} (sha256 {data.facts['sha256'][:16]}…)",
        "steps": f"{steps} of {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION} pairs",
        "learning rate, DPO": f"{c.LEARNING_RATE:g}, beta {c.BETA:g}",
        "reward margin": f"{came_out}; above 0 in {share[1]:.0%} of the pairs",
    }
    write_card(folder, c, config["base_model"], "dpo", "preferences", figures, "preferences.png")
    print(f"reward margin: {came_out}, where it is above 0 in {share[1]:.0%} of the pairs")
    continued_run.print_next_steps(folder, "preferences.png", tracker)


if __name__ == "__main__":
    run(main, start(__file__))
