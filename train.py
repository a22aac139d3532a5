"""Step 2: teach an instruct model to draw, by LoRA fine-tuning with Hugging Face's Trainer.

Reads   JSONL of {id, description, svg_content} and a base model (hub id, local folder or .gguf file).
Writes  outputs/<RUN_NAME>/: the adapter, checkpoints, config.yml, split.json, metrics.jsonl, loss.png, wandb.

    python train.py --data-path data/svg_results.jsonl --run-name first
    python train.py --data-path data/scenes.jsonl data/edits.jsonl:0.5    # all of one file, half of another
    python train.py --dry-run                        # look at one batch and the memory estimate; no weights
    python train.py --resume --run-name first        # go on from the newest complete checkpoint
    torchrun --nproc-per-node 8 train.py             # on eight GPUs; more in configs/accelerate/

The test split is not looked at here: `python evaluate_test.py --model <RUN_NAME>` is step 3.
"""

from pathlib import Path
from shlex import quote
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from qwen_svg.common.constants import (
    Above,
    Between,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    start,
    write_config,
)
from qwen_svg.common.errors import LossIsNotANumber, UserError, require_package, run
from qwen_svg.common.files import require_data_files, write_json
from qwen_svg.common.processes import broadcast, init_distributed, is_main, processes, sharding
from qwen_svg.common.run_folder import check_run_name, environment, mark_ended, new_run_folder, run_to_resume
from qwen_svg.model.find import require_base
from qwen_svg.training.resume import constants_to_resume

# Data
DATA_PATH: list[str] = ["data/svg_results.jsonl"]  # JSON lines, id, description, svg_content; FILE:0.5 = half of it
ON_BAD_LINE: Literal["skip", "stop"] = "skip"  # "skip" bad lines and count them, or "stop" at the first
MEND_ANSWERS: Literal["keep", "mend", "drop"] = "keep"  # those with fences, chatter, a second SVG …; always counted
MAX_SAMPLES: NonNegativeInt = 0  # use a random subset of this many samples that fit; 0 = all
TRAIN_DIALECT: Literal["", "prompt", "prompt+gradients", "prompt+strokes", "kaggle"] = ""  # legal in it only; "" = all
# Model
BASE_MODEL: str = "Qwen/Qwen2.5-1.5B-Instruct"  # hub id, local folder, or a .gguf file
BASE_QUANTIZATION: Literal["", "nf4"] = ""  # "nf4": the base in 4 bits (requirements/gpu.txt); "" = whole
SVG_TOKENS: Literal["", "markup", "numbers"] = ""  # new tokens: "markup" (tags, attributes); "numbers": 0 to 256 too
PROMPT_FORM: Literal["chat", "raw"] = "chat"  # "chat" (instruct bases) or "raw" (the template alone)
MAX_LENGTH: Annotated[int, Above(0, 10**6)] = 1560  # tokens, prompt + answer; longer samples are dropped, never cut
LOSS_ON: Literal["answer", "all"] = "answer"  # reasoning, SVG and end of turn; "all": the prompt too
# LoRA
ADAPTER: str = ""  # begin with this one, a run or a folder, and its rank, alpha and targets; "" = a fresh one
LORA_RANK: Annotated[int, Above(0, 8192)] = 64
LORA_ALPHA: Annotated[int, Above(0, 10**6)] = 128  # the update is scaled by alpha / rank
LORA_RANK_STABILISED: bool = False  # scaled by alpha / sqrt(rank) instead (rsLoRA): large ranks learn more
LORA_TARGETS: list[str] = ["all-linear"]  # all linear layers of the blocks, or some by name: q_proj v_proj
LORA_DROPOUT: Annotated[float, Between(0, 0.95)] = 0.0  # on its input; costs a third more activation memory
# Optimization
OPTIMIZER: Literal["adamw", "adamw_8bit", "paged_adamw_8bit"] = "adamw"  # state in fp32 or 8 bits
EPOCHS: Annotated[float, Above(0, 10_000)] = 3.0  # passes over the training split
BATCH_SIZE: Annotated[int, Above(0, 65_536)] = 4  # samples per device and forward pass
GRADIENT_ACCUMULATION: Annotated[int, Above(0, 65_536)] = 1  # forward passes per step
LEARNING_RATE: PositiveFloat = 5e-5  # peak, reached after warm-up
LR_SCHEDULER: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"  # after warm-up
WARMUP: Annotated[float, Between(0, 1e9)] = 0.05  # share of all steps; 1 or more = that many steps
WEIGHT_DECAY: Annotated[float, Between(0, 100)] = 0.01
MAX_GRAD_NORM: PositiveFloat = 1.0  # gradients are clipped to this norm
FP16: bool = True  # mixed precision on a GPU (base fp16, or bf16 behind nf4; adapter fp32)
BF16: bool = False  # on a GPU from Ampere on: the base in bf16 instead, which has fp32's range
CPU_DTYPE: Literal["auto", "fp32", "bf16"] = "auto"  # of the base on a CPU; "auto": bf16 where it measures faster
ACTIVATION_CHECKPOINTING: Literal["auto", "on", "off"] = "auto"  # on: less memory, 1.3x the time
EARLY_STOPPING: NonNegativeInt = 0  # stop after so many evaluations without a better one, keep the best; 0 = never
FIT_MINUTES: NonNegativeFloat = 0.0  # fewer EPOCHS where a measured step says that they take longer; 0 = no limit
MAX_MINUTES: NonNegativeFloat = 0.0  # stop and save after this time; 0 = no limit
DEVICE: Literal["auto", "cpu"] = "auto"  # a GPU where there is one, or "cpu"
SEED: Seed = 42  # of split, subset, adapter and sample order
# Logging, evaluation, checkpoints (in steps)
LOGGING_STEPS: PositiveInt = 10
EVAL_STEPS: PositiveInt = 50  # validation cross-entropy; also before the first and after the last step
EVAL_BATCH_SIZE: Annotated[int, Above(0, 65_536)] = 8  # the result does not depend on it
DRAW_SAMPLES: NonNegativeInt = 0  # validation descriptions drawn at each evaluation: drawings/step-*.png, and wandb
SAVE_STEPS: PositiveInt = 200
SAVE_TOTAL_LIMIT: PositiveInt = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
REPORT_TO: Literal["", "tensorboard", "trackio"] = ""  # another tracker beside wandb; requirements/trackers.txt
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants
LR_SWEEP: NonNegativeInt = 0  # learning-rate finder: that many steps at each of five rates around it; 0 = train
DRY_RUN: bool = False  # tokenise, show one batch and a memory estimate, then stop; loads no weights


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    if c.LR_SWEEP and (c.RESUME or processes() > 1):
        raise UserError("LR_SWEEP starts anew and runs in one process; leave out `--resume` and the launcher.")
    if not c.LORA_TARGETS:
        raise UserError('LORA_TARGETS is empty; name linear layers, or "all-linear".')
    if c.EARLY_STOPPING and c.SAVE_STEPS != c.EVAL_STEPS:
        raise UserError(
            f"EARLY_STOPPING keeps the best adapter, so each evaluated one must be saved: set SAVE_STEPS "
            f"({c.SAVE_STEPS}) to EVAL_STEPS ({c.EVAL_STEPS})."
        )
    if c.BASE_QUANTIZATION and c.BASE_MODEL.endswith(".gguf"):
        raise UserError(
            f"BASE_QUANTIZATION quantises a base of whole weights, not {c.BASE_MODEL}, which is quantised already; "
            "give the hub id or folder it was made from, or leave BASE_QUANTIZATION empty."
        )
    check_run_name(c.RUN_NAME, is_new=not (c.RESUME or c.DRY_RUN))


if __name__ == "__main__":  # what is wrong with the constants is said here, before seconds of imports
    c = start(__file__)
    c = constants_to_resume(__file__, c.RUN_NAME) if c.RESUME else c
    check_constants(c)
    require_data_files(c.DATA_PATH)
    require_base(c.BASE_MODEL)

import torch
from transformers import EarlyStoppingCallback, set_seed

from qwen_svg.common.plots import draw_loss
from qwen_svg.common.run_split import read_split, refuse_other_data, split_sha256
from qwen_svg.common.tracking import finish_run, log_data, start_run
from qwen_svg.generation.watch import DrawingsSoFar
from qwen_svg.model.adapter import add_adapter, train_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.device import pick_device, pick_precision
from qwen_svg.model.load import LoadedModel, load_config, load_model
from qwen_svg.model.source import source_of, tokenizer_of
from qwen_svg.model.svg_tokens import add_svg_tokens, init_new_embeddings, make_rows, pieces_of_new
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.arguments import training_arguments
from qwen_svg.training.callbacks import SafeStop, install_callbacks, refuse_interrupted
from qwen_svg.training.checkpoints import checkpoint_to_resume, freed_if_stopped, refuse_other_steps
from qwen_svg.training.data import TrainingData, prepare_data
from qwen_svg.training.dry_run import show_batch
from qwen_svg.training.first_adapter import take_shape
from qwen_svg.training.lr_sweep import print_sweep, short_training, sweep
from qwen_svg.training.memory import plan
from qwen_svg.training.model_card import write_model_card
from qwen_svg.training.schedule import fit_schedule
from qwen_svg.training.sharding import refuse_with_sharding
from qwen_svg.training.trainer import SVGTrainer, run_training


def main(c: SimpleNamespace) -> None:
    # 1. What is asked for can be done here.
    check_machine(c)
    if c.ADAPTER and not c.RESUME:
        take_shape(c)

    # 2. Data: read, checked, tokenised, split.
    tokenizer, new_tokens = pick_tokenizer(c)
    data = prepare_data(c, tokenizer, read_split(run_to_resume(c.RUN_NAME)) if c.RESUME else None)

    # 3. Memory: an estimate from shapes alone decides about activation checkpointing.
    device, config = pick_device(c.DEVICE), load_config(c.BASE_MODEL)
    init_distributed(device)
    dtype, measured = pick_precision(c, device, config)
    rows, adapter = data.parts["train"], adapter_arguments(c, new_tokens)
    if c.DRY_RUN:
        show_batch(tokenizer, rows[: c.BATCH_SIZE], c.LOSS_ON)
    checkpointing = plan(config, c, adapter, rows, device, dtype)
    if c.DRY_RUN:
        return print("dry run: nothing was written.")

    # 4. The model, then the run folder: a base that cannot be loaded leaves none behind.
    facts = environment("train.py", device, dtype, ", ".join(c.DATA_PATH), data.fingerprint) | measured
    facts["data"] |= {"split_sha256": split_sha256(data.ids), "tasks": data.tasks}
    checkpoint = pick_checkpoint(c, data) if c.RESUME else None
    set_seed(c.SEED)
    loaded = build_model(c, tokenizer, new_tokens, device, dtype)
    if not (c.RESUME or c.LR_SWEEP) and (asked := fit_schedule(c, loaded, rows, data.parts["valid"])):
        facts["asked"] = asked
    folder = checkpoint.parent if checkpoint else broadcast(start_run_folder(c, tokenizer, new_tokens, facts, data))

    # 5. Train.
    with freed_if_stopped(folder):
        if c.LR_SWEEP:
            return sweep_rates(c, loaded, data, folder, checkpointing)
        tracker = None
        if c.WANDB and is_main():
            tracker = start_run(c.WANDB_PROJECT, folder, "train", vars(c) | {"environment": facts})
            log_data(tracker, data)
        trainer, stop = build_trainer(c, loaded, data, folder, checkpointing, tracker)
        stopped = run_training(trainer, stop, checkpoint)

    # 6. What came out.
    finish(c, trainer, folder, data, stopped)
    if tracker:
        print(finish_run(tracker))
    print(f"next: python evaluate_test.py --model {quote(folder.name)}")


def check_machine(c: SimpleNamespace) -> None:
    """Refuse what this machine or launch cannot do, and what accelerate would pass over in silence."""
    if not c.DRY_RUN:
        for name, plain in (("BASE_QUANTIZATION", ""), ("OPTIMIZER", "adamw")):
            if getattr(c, name) != plain:
                require_package("bitsandbytes", f"{name} {getattr(c, name)!r}")
    gpus = torch.cuda.device_count()
    refuse_with_sharding(c, sharding(), gpus)
    if processes() == 1 and gpus > 1:
        print(f"one of {gpus} GPUs is used; all of them: `torchrun --nproc-per-node {gpus} train.py …`")


def pick_tokenizer(c: SimpleNamespace) -> tuple[Any, dict[int, list[int]]]:
    """Return the tokenizer, and of each token that is new to the base its id and the ids of its pieces."""
    tokenizer = load_tokenizer(c.BASE_MODEL)
    if not c.SVG_TOKENS:
        return tokenizer, {}
    if c.RESUME:
        tokenizer = load_tokenizer(tokenizer_of(run_to_resume(c.RUN_NAME)))
    else:
        add_svg_tokens(tokenizer, c.SVG_TOKENS)
    return tokenizer, pieces_of_new(tokenizer, load_tokenizer(c.BASE_MODEL))


def adapter_arguments(c: SimpleNamespace, new_tokens: dict[int, list[int]]) -> dict[str, Any]:
    """Return the arguments of `add_adapter`."""
    return {
        "rank": c.LORA_RANK,
        "alpha": c.LORA_ALPHA,
        "dropout": c.LORA_DROPOUT,
        "targets": c.LORA_TARGETS,
        "rslora": c.LORA_RANK_STABILISED,
        "new_tokens": list(new_tokens),
    }


def pick_checkpoint(c: SimpleNamespace, data: TrainingData) -> Path:
    """Return the checkpoint to go on from. UserError where the run had other data, or its steps other samples."""
    folder = run_to_resume(c.RUN_NAME)
    refuse_other_data(folder, c.DATA_PATH, data.fingerprint, "; restore the file, or start a new run.")
    refuse_other_steps(__file__, c, folder)
    return checkpoint_to_resume(folder, __file__, c)


def build_model(c: SimpleNamespace, tokenizer: Any, new_tokens: dict, device: torch.device, dtype: Any) -> LoadedModel:
    """Load the base, give new tokens their rows, and put an adapter around it."""
    place = torch.device("cpu") if sharding() else device  # what is divided is first put together there
    base = load_model(source_of(c), "none", place, dtype).model
    if new_tokens:
        make_rows(base, max(new_tokens) + 1)
        init_new_embeddings(base, new_tokens)
    if c.ADAPTER and not c.RESUME:  # whose checkpoint has all
        model = train_adapter(base, c.ADAPTER)
    else:
        model = add_adapter(base, **adapter_arguments(c, new_tokens))
    trainable, total = model.get_nb_trainable_parameters()
    print(
        f"{c.BASE_MODEL}: {total - trainable:,} frozen + {trainable:,} adapter parameters, {dtype} on {device}"
        + (f", the blocks in {c.BASE_QUANTIZATION}" if c.BASE_QUANTIZATION else "")
        + (f"; {len(new_tokens)} new tokens" if new_tokens else "")
    )
    return LoadedModel(model, tokenizer, source_of(c), device, dtype)


def start_run_folder(
    c: SimpleNamespace, tokenizer: Any, new_tokens: dict, facts: dict, data: TrainingData
) -> Path | None:
    """Return the new folder, with what is known before the first step in it; None in all but the main process."""
    if not is_main():
        return None
    folder = new_run_folder(c.RUN_NAME)
    if new_tokens:  # the base's own folder lacks them
        tokenizer.save_pretrained(folder)
    write_config(folder / "config.yml", c)
    write_json(folder / "environment.json", facts)
    write_json(folder / "split.json", data.ids | {"lines": data.lines})
    return folder


def build_trainer(
    c: SimpleNamespace, loaded: LoadedModel, data: TrainingData, folder: Path, checkpointing: bool, tracker: Any = None
) -> tuple[SVGTrainer, SafeStop]:
    """Return the trainer, and what stops it safely. tracker: a wandb run, or None."""
    arguments = training_arguments(c, folder, loaded.device, loaded.dtype, checkpointing)
    trainer = SVGTrainer(
        model=loaded.model,
        args=arguments,
        data_collator=LeftPaddingCollator(loaded.tokenizer.pad_token_id, c.LOSS_ON),
        train_dataset=data.parts["train"],
        eval_dataset=data.parts["valid"],
    )
    stop = install_callbacks(trainer, folder, c.MAX_MINUTES, tracker=tracker)
    if c.DRAW_SAMPLES:
        rows = data.parts["valid"][: c.DRAW_SAMPLES]
        drawings = DrawingsSoFar(folder / "drawings", loaded.tokenizer, rows, data.valid_descriptions, tracker)
        trainer.add_callback(drawings)
    if c.EARLY_STOPPING:
        trainer.add_callback(EarlyStoppingCallback(c.EARLY_STOPPING))
    return trainer, stop


def sweep_rates(c: SimpleNamespace, loaded: LoadedModel, data: TrainingData, folder: Path, checkpointing: bool) -> None:
    """Find a learning rate: LR_SWEEP steps at each of five; leaves a table, a figure and no adapter."""
    if c.LR_SWEEP <= c.WARMUP >= 1:
        print(f"warning: WARMUP ({c.WARMUP:g} steps) is no shorter than LR_SWEEP ({c.LR_SWEEP}): no rate is reached")

    def train_at(rate: float, run: Path) -> list[dict]:
        trainer, stop = build_trainer(short_training(c, rate), loaded, data, run, checkpointing)
        try:
            stopped = run_training(trainer, stop)
        except LossIsNotANumber:
            stopped = ""  # a rate that is too high: this is what one wants to see
        if stopped:
            raise UserError(f"the sweep was stopped ({stopped}); what has been done is in {folder}/lr_sweep.json.")
        return trainer.state.log_history

    print_sweep(sweep(loaded.model, c.LEARNING_RATE, folder, train_at), folder)


def finish(c: SimpleNamespace, trainer: SVGTrainer, folder: Path, data: TrainingData, stopped: str) -> None:
    """Evaluate once more, save the adapter, draw the loss, write the card, say what came out.

    With early stopping the Trainer has put the best adapter back by now.
    """
    step, best = trainer.state.global_step, trainer.state.best_global_step
    refuse_interrupted(stopped, step, "train.py", folder)
    history = trainer.state.log_history
    if not best and not any("eval_cross_entropy" in record and record["step"] == step for record in history):
        trainer.evaluate()
    records = [record for record in history if "eval_cross_entropy" in record]
    trainer.require_finite()
    trainer.save_model(str(folder))  # the adapter alone
    if not is_main():
        return
    mark_ended(folder, step, trainer.state.max_steps)
    draw_loss(folder / "metrics.jsonl", folder / "loss.png")
    before, last = (records[i]["eval_cross_entropy"] for i in (0, -1))
    after = trainer.state.best_metric if best else last
    write_model_card(folder, c, data.ids, before, after, step, best)
    if stopped:
        print(f"{stopped} after step {step} of {trainer.state.max_steps}")
    print(f"validation cross-entropy: {before:.4f} at the start, {after:.4f} after {best or step} steps")
    if best:
        print(f"best of {len(records)} evaluations: the adapter is that of step {best} of {step}")
    print(f"adapter, loss.png and model card are in {folder}")


if __name__ == "__main__":
    run(main, c)
