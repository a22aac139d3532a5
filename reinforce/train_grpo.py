"""Step 4, for those who want more: train a run's adapter on the scores of its own drawings (TRL's GRPOTrainer).

Reads   outputs/<run>/ (the adapter, config.yml, split.json) and the data file it was trained on.
Writes  outputs/<RUN_NAME>/: the adapter, as any run's, grpo.yml, checkpoints, metrics.jsonl, rewards.png, drawings/,
        wandb.

    python -m reinforce.train_grpo --run-dir outputs/first --run-name first-grpo
    python -m reinforce.train_grpo --resume --run-name first-grpo

Several drawings are made of each description of the run's training split, each is rewarded (reinforce/rewards.py), and
what was above its group's mean becomes more likely. The test split is not looked at.
"""

from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

from common.constants import constants_in_force, write_config
from common.errors import UserError, run
from svg_constraint import DIALECTS

# Where it begins
RUN_DIR: str = ""  # the folder of a run of train.py, outputs/<run>; "" = the latest run
DATA_PATH: str = ""  # the run's data file, where it has moved since; "" = as in the run's config.yml
# Rewards, each from 0 to 1; the weights are divided by their sum
WEIGHT_LEGALITY: float = 1.0  # 1 when it is legal, 1/2 with one violation, 1/3 with two …
WEIGHT_RENDERS: float = 0.5  # legal, and it shows more than one colour
WEIGHT_LIKENESS: float = 2.0  # legal, and like its sample's drawing or description, by LIKENESS
WEIGHT_LENGTH: float = 1.0  # legal, and about as long as its sample's answer, and with as much in it
WEIGHT_FORMAT: float = 0.5  # a reasoning and an SVG alone, not in the prompt's words
LIKENESS: str = "similarity"  # of scoring/: similarity, text_match, vqa …; NAME=MODEL for another model than its own
DIALECT: str = "prompt"  # of svg_constraint.py: what is legal
# Drawings
GENERATIONS: int = 8  # of each description; they are compared with each other
MAX_NEW_TOKENS: int = 0  # of an answer; 0 = what the run's MAX_LENGTH leaves behind the longest prompt
TEMPERATURE: float = 1.0
ENGINE: str = "auto"  # of drawing: "transformers", "vllm", or "auto": vLLM where it is installed
# Optimization (AdamW)
STEPS: int = 200
BATCH_SIZE: int = 8  # drawings per device and forward pass
GRADIENT_ACCUMULATION: int = 4  # forward passes per step: BATCH_SIZE times this many drawings, GENERATIONS of each
LEARNING_RATE: float = 1e-5  # falls to 0 in a straight line
BETA: float = 0.04  # weight of the KL divergence from the adapter it began as; 0 = none
MAX_GRAD_NORM: float = 1.0  # gradients are clipped to this norm
ACTIVATION_CHECKPOINTING: bool = False  # less memory, 1.3x the time
MAX_MINUTES: float = 0.0  # stop and save after this time; 0 = no limit
SEED: int = 42  # of the order of descriptions and of sampling
# Logging, drawings, checkpoints (in steps)
LOGGING_STEPS: int = 1
SAMPLE_STEPS: int = 20  # a sheet of the newest drawings; after the first step too
SAVE_STEPS: int = 50
SAVE_TOTAL_LIMIT: int = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants

CONSTANTS = "grpo.yml"  # in the run folder; config.yml is the one of RUN_DIR, for those that draw and test


def main() -> None:
    c = constants_in_force(__file__)
    if c.RESUME:
        c = constants_of_run(c.RUN_NAME)
    check(c)
    from common.before_imports import settle

    settle()
    source, config = open_source(c)
    from scoring.scores import find_score

    _, likeness = find_score(c.LIKENESS)
    train(c, source, config, prepare_data(c, source, config), likeness)


def constants_of_run(name: str) -> SimpleNamespace:
    """Return the constants of a run that is to be resumed, with what the command line changes."""
    from common.run_folder import constants_to_resume, find_run_folder

    folder = find_run_folder(name)
    if not (folder / CONSTANTS).is_file():
        raise UserError(f"{folder} is no run of this script (no {CONSTANTS}); name one with `--run-name`.")
    return constants_to_resume(__file__, folder.name, CONSTANTS)


def check(c: SimpleNamespace) -> None:
    """Refuse values that would fail, or do nothing sensible, only after minutes of work."""
    from common.run_folder import check_run_name

    if find_spec("trl") is None:
        raise UserError("GRPO needs TRL; run `pip install -r requirements-reinforce.txt`.")
    if c.DIALECT not in DIALECTS:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS)}, not {c.DIALECT!r}.")
    for name in ("STEPS", "BATCH_SIZE", "GRADIENT_ACCUMULATION", "LEARNING_RATE", "TEMPERATURE", "MAX_GRAD_NORM",
                 "LOGGING_STEPS", "SAMPLE_STEPS", "SAVE_STEPS", "SAVE_TOTAL_LIMIT"):  # fmt: skip
        if getattr(c, name) <= 0:
            raise UserError(f"{name} must be above 0, not {getattr(c, name)}.")
    for name in ("BETA", "MAX_MINUTES", "MAX_NEW_TOKENS", *(name for name in vars(c) if name.startswith("WEIGHT_"))):
        if getattr(c, name) < 0:
            raise UserError(f"{name} must be 0 or more, not {getattr(c, name)}.")
    if not sum(weights(c)):
        raise UserError("all WEIGHT_… are 0: there is nothing to reward.")
    if c.GENERATIONS < 2 or c.BATCH_SIZE * c.GRADIENT_ACCUMULATION % c.GENERATIONS:
        raise UserError(
            f"GENERATIONS ({c.GENERATIONS}) must be 2 or more, and BATCH_SIZE × GRADIENT_ACCUMULATION "
            f"({c.BATCH_SIZE * c.GRADIENT_ACCUMULATION}) a multiple of it."
        )
    check_run_name(c.RUN_NAME, is_new=not c.RESUME)


def weights(c: SimpleNamespace) -> list[float]:
    """Return the weight of each of REWARDS; they add up to 1, unless all are 0."""
    from reinforce.rewards import REWARDS

    given = [getattr(c, f"WEIGHT_{name.upper()}") for name in REWARDS]
    return [weight / (sum(given) or 1) for weight in given]


def open_source(c: SimpleNamespace) -> tuple[Path, dict]:
    """Return the folder of the run to begin with and its constants (lower case)."""
    import yaml

    from common.run_folder import find_run_folder, require_adapter

    source = Path(c.RUN_DIR) if c.RUN_DIR else find_run_folder("")
    if not (source / "config.yml").is_file():
        raise UserError(f"{source} is not the folder of a run (no config.yml); give one with `--run-dir`.")
    require_adapter(source)
    c.RUN_DIR = str(source)
    config = yaml.safe_load((source / "config.yml").read_text(encoding="utf-8"))
    for name in ("svg_tokens", "base_quantization"):  # the reference of the KL term would lack the new rows
        if config.get(name):
            raise UserError(f"{source} was trained with {name.upper()}, which GRPO cannot go on from; give another.")
    return source, config


def prepare_data(c: SimpleNamespace, source: Path, config: dict) -> SimpleNamespace:
    """Return the training split's prompts with what the rewards need (rows), the tokens of the longest one, and those
    left for an answer (room).
    """
    from datasets import Dataset

    from common.model import load_tokenizer
    from common.run_folder import samples_of
    from common.tokens import encode
    from prompt_template import format_prompt

    c.DATA_PATH = c.DATA_PATH or config["data_path"]
    samples = samples_of(source, "train", c.DATA_PATH)
    wanted = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION // c.GENERATIONS
    if len(samples) < wanted:
        raise UserError(
            f"the training split of {source} has {len(samples)} descriptions and a step takes {wanted}; use a smaller "
            "GRADIENT_ACCUMULATION or more GENERATIONS."
        )
    tokenizer, form = load_tokenizer(config["base_model"]), config["prompt_form"]
    longest = max(len(row.prompt) for row in encode(tokenizer, samples, form))
    room = config["max_length"] - longest
    rows = Dataset.from_dict(
        {
            "prompt": [format_prompt(tokenizer, sample.description, form) for sample in samples],
            "description": [sample.description for sample in samples],
            "reference": [sample.answer for sample in samples],
        }
    )
    return SimpleNamespace(rows=rows, tokenizer=tokenizer, longest=longest, room=min(c.MAX_NEW_TOKENS or room, room))


def train(c: SimpleNamespace, source: Path, config: dict, data: SimpleNamespace, likeness) -> None:
    from common import run_folder as runs
    from common.model import load_base, pick_device, pick_dtype, train_adapter
    from common.tracking import finish_run, start_run
    from common.vllm_engine import pick_engine

    engine = pick_engine(c.ENGINE, config)
    device = pick_device()
    dtype = pick_dtype(device, config["fp16"])
    model = train_adapter(load_base(config["base_model"], device, dtype), source)
    checkpoint = None
    if c.RESUME:
        checkpoint, folder = checkpoint_to_resume(c.RUN_NAME)
    else:
        folder = new_folder(c, source, config, runs.environment(device, dtype, c.DATA_PATH, data_sha256(source)))
    print(f"{source}: {len(data.rows)} descriptions, {data.room} tokens an answer, {engine}, {dtype} on {device}")
    tracker = start_run(c.WANDB_PROJECT, folder, "grpo", vars(c)) if c.WANDB else None
    trainer = build_trainer(c, model, data, folder, device, dtype, engine, likeness, tracker)
    stopped = run_training(c, trainer, checkpoint)
    finish(c, trainer, folder, config, stopped)
    if tracker:
        print(finish_run(tracker))
    print(f"next: python evaluate_test.py --run-dir {folder}")


def data_sha256(source: Path) -> str:
    from common.run_folder import read_json

    return read_json(source / "environment.json")["data"]["sha256"]


def new_folder(c: SimpleNamespace, source: Path, config: dict, facts: dict) -> Path:
    """Make a run folder that others take for any run's; its `reinforced` keeps train.py from resuming it."""
    import shutil

    import yaml

    from common.run_folder import new_run_folder, write_json

    folder = new_run_folder(c.RUN_NAME)
    c.RUN_NAME = folder.name
    facts["packages"]["trl"] = metadata.version("trl")
    config = config | {"data_path": c.DATA_PATH, "run_name": folder.name, "reinforced": str(source)}
    (folder / "config.yml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    write_config(folder / CONSTANTS, c)
    write_json(folder / "environment.json", facts)
    shutil.copy(source / "split.json", folder)
    return folder


def checkpoint_to_resume(name: str) -> tuple[Path, Path]:
    """Return the newest complete checkpoint and its run folder."""
    from common.run_folder import find_run_folder, forget_after, newest_complete_checkpoint

    folder = find_run_folder(name)
    checkpoint, warnings = newest_complete_checkpoint(folder)
    for warning in warnings:
        print(f"warning: {warning}")
    forget_after(folder, int(checkpoint.name.rpartition("-")[2]))
    print(f"resuming from {checkpoint}")
    return checkpoint, folder


def build_trainer(
    c: SimpleNamespace, model, data: SimpleNamespace, folder: Path, device, dtype, engine: str, likeness, tracker
):
    import torch
    from trl import GRPOConfig

    from common.decoding import stop_tokens
    from common.trainer import RunLog, show_and_stop
    from reinforce.rewards import make_rewards
    from reinforce.rollouts import DrawingTrainer, Rewarder, Samples

    stops = stop_tokens(data.tokenizer)
    model.generation_config.eos_token_id = stops  # else TRL knows the tokenizer's EOS alone, and answers run on
    on_gpu, with_vllm = device.type == "cuda", engine == "vllm"
    arguments = GRPOConfig(
        output_dir=str(folder),
        max_steps=c.STEPS,
        num_generations=c.GENERATIONS,
        max_completion_length=data.room,
        temperature=c.TEMPERATURE,
        use_vllm=with_vllm,
        vllm_max_model_length=data.longest + data.room,
        generation_kwargs={"stop_token_ids": stops} if with_vllm else None,
        reward_weights=weights(c),
        beta=c.BETA,
        per_device_train_batch_size=c.BATCH_SIZE,
        gradient_accumulation_steps=c.GRADIENT_ACCUMULATION,
        learning_rate=c.LEARNING_RATE,
        lr_scheduler_type="linear",
        max_grad_norm=c.MAX_GRAD_NORM,
        fp16=dtype == torch.float16,
        bf16=False,  # TRL's default
        use_cpu=not on_gpu,
        gradient_checkpointing=c.ACTIVATION_CHECKPOINTING,
        logging_steps=c.LOGGING_STEPS,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=c.SAVE_STEPS,
        save_total_limit=c.SAVE_TOTAL_LIMIT,
        seed=c.SEED,
        report_to=["wandb"] if c.WANDB else "none",
    )
    rewarder = Rewarder(make_rewards(c.DIALECT, likeness), weights(c))
    trainer = DrawingTrainer(
        model=model,
        reward_funcs=rewarder.functions(),
        args=arguments,
        train_dataset=data.rows,
        processing_class=data.tokenizer,
        callbacks=[RunLog(folder), Samples(folder / "drawings", rewarder, c.SAMPLE_STEPS, tracker)],
    )
    trainer.safe_stop = show_and_stop(trainer, c.MAX_MINUTES)
    return trainer


def run_training(c: SimpleNamespace, trainer, checkpoint: Path | None) -> str | None:
    """Train to the end or to a stop; return the reason of an early stop."""
    import torch

    try:
        with trainer.safe_stop as stop:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError:
        raise UserError(
            f"the GPU ran out of memory with BATCH_SIZE {c.BATCH_SIZE}; use `--activation-checkpointing`, or a smaller "
            "`--batch-size` with more `--gradient-accumulation`."
        ) from None
    return stop.reason


def finish(c: SimpleNamespace, trainer, folder: Path, config: dict, stopped: str | None) -> None:
    """Save the adapter, draw the curves, write the card, say what came out."""
    from reinforce.report import draw_rewards, first_and_last, reward_records, write_card

    step = trainer.state.global_step
    if stopped and stopped != "MAX_MINUTES is over":
        raise UserError(
            f"training stopped at step {step} ({stopped}); go on with "
            f"`python -m reinforce.train_grpo --resume --run-name {folder.name}`."
        )
    trainer.model.save_pretrained(folder)  # the adapter alone
    draw_rewards(folder / "metrics.jsonl", folder / "rewards.png")
    before, after = first_and_last(reward_records(folder / "metrics.jsonl"))
    write_card(folder, c, config["base_model"], before, after, step)
    if stopped:
        print(f"{stopped} after step {step} of {trainer.state.max_steps}")
    print(f"mean reward: {before:.3f} over the first quarter of {step} steps, {after:.3f} over the last")
    print(f"adapter, rewards.png, drawings/ and model card are in {folder}")


if __name__ == "__main__":
    run(main)
