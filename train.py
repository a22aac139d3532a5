"""Step 2: teach an instruct model to draw, by LoRA fine-tuning with Hugging Face's Trainer.

Reads   a JSONL of {id, description, svg_content} and a base model (hub id, local folder or .gguf file).
Writes  outputs/<RUN_NAME>/: the adapter, checkpoints, config.yml, split.json, metrics.jsonl, loss.png, wandb.

    python train.py --data-path data/svg_results.jsonl --run-name first
    python train.py --dry-run                        # look at one batch and the memory estimate; no weights
    python train.py --resume --run-name first        # go on from the newest complete checkpoint
    torchrun --nproc-per-node 8 train.py             # on eight GPUs; more in configs/accelerate/

The test split is not looked at here: `python evaluate_test.py --run-dir outputs/<RUN_NAME>` is step 3.
"""

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import check_numbers, constants_in_force, write_config
from qwen_svg.common.errors import LossIsNotANumber, UserError, run
from qwen_svg.common.processes import is_main, meet, processes, quiet_unless_main, sharding, tell_all
from svg_constraint import DIALECTS

# Data
DATA_PATH: str = "data/svg_results.jsonl"  # JSON lines with id, description, svg_content (and group, optional)
ON_BAD_LINE: str = "skip"  # "skip" bad lines and count them, or "stop" at the first
MAX_SAMPLES: int = 0  # use a random subset of this many samples that fit; 0 = all
TRAIN_DIALECT: str = ""  # keep only samples legal in this dialect of svg_constraint.py; "" = keep all
# Model
BASE_MODEL: str = "Qwen/Qwen2.5-1.5B-Instruct"  # hub id, local folder, or a .gguf file
BASE_QUANTIZATION: str = ""  # "nf4": the base in 4 bits (requirements/gpu.txt); "" = whole
SVG_TOKENS: bool = False  # add tags, attribute names and path commands to the tokenizer, and train their embeddings
PROMPT_FORM: str = "chat"  # "chat" (instruct bases) or "raw" (the template alone)
MAX_LENGTH: int = 1560  # tokens, prompt + answer; longer samples are dropped and counted, never cut
LOSS_ON: str = "answer"  # "answer": loss on reasoning, SVG and end of turn; "all": on the prompt too
# LoRA
LORA_RANK: int = 64
LORA_ALPHA: int = 128  # the update is scaled by alpha / rank
LORA_RANK_STABILISED: bool = False  # scaled by alpha / sqrt(rank) instead (rsLoRA): large ranks learn more
LORA_TARGETS: list[str] = ["all-linear"]  # all linear layers of the blocks, or some by name: q_proj v_proj
LORA_DROPOUT: float = 0.0  # on the adapter's input; above 0 costs a third more activation memory
# Optimization
OPTIMIZER: str = "adamw"  # "adamw_8bit": its state in 8 bits; "paged_adamw_8bit": the same, and paged to the host
EPOCHS: float = 3.0  # passes over the training split
BATCH_SIZE: int = 4  # samples per device and forward pass
GRADIENT_ACCUMULATION: int = 1  # forward passes per step
LEARNING_RATE: float = 5e-5  # peak, reached after warm-up
LR_SCHEDULER: str = "cosine"  # after warm-up: "cosine", "linear" (both to 0) or "constant_with_warmup"
WARMUP: float = 0.05  # share of all steps; 1 or more = that many steps
WEIGHT_DECAY: float = 0.01
MAX_GRAD_NORM: float = 1.0  # gradients are clipped to this norm
FP16: bool = True  # mixed precision on a GPU (base fp16, or bf16 behind nf4; adapter fp32); a CPU runs in fp32
ACTIVATION_CHECKPOINTING: str = "auto"  # "on": less memory, 1.3x the time; "off"; "auto": by a memory estimate
EARLY_STOPPING: int = 0  # stop after so many evaluations without a better one, keep the best adapter; 0 = never
MAX_MINUTES: float = 0.0  # stop and save after this time; 0 = no limit
DEVICE: str = "auto"  # a GPU where there is one, or "cpu"
SEED: int = 42  # of split, subset, adapter and sample order
# Logging, evaluation, checkpoints (in steps)
LOGGING_STEPS: int = 10
EVAL_STEPS: int = 50  # validation cross-entropy; also before the first and after the last step
EVAL_BATCH_SIZE: int = 8  # the result does not depend on it
SAVE_STEPS: int = 200
SAVE_TOTAL_LIMIT: int = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants
LR_SWEEP: int = 0  # learning-rate finder: that many steps at each of five rates around LEARNING_RATE; 0 = train
DRY_RUN: bool = False  # tokenise, show one batch and a memory estimate, then stop; loads no weights


def main() -> None:
    quiet_unless_main()
    c = constants_in_force(__file__)
    if c.RESUME:
        from qwen_svg.common.run_folder import constants_to_resume

        c = constants_to_resume(__file__, c.RUN_NAME)
    check(c)
    from qwen_svg.common.environment import settle

    settle()
    check_launch()
    tokenizer, pieces = pick_tokenizer(c)
    data = prepare_data(c, tokenizer)
    if c.DRY_RUN:
        dry_run(c, tokenizer, pieces, data)
    else:
        train(c, tokenizer, pieces, data)


def check(c: SimpleNamespace) -> None:
    """Refuse values that would fail, or do nothing sensible, only after minutes of work."""
    from prompt_template import PROMPT_FORMS
    from qwen_svg.common.run_folder import check_run_name

    for name, allowed in (
        ("LOSS_ON", ("answer", "all")),
        ("PROMPT_FORM", PROMPT_FORMS),
        ("ACTIVATION_CHECKPOINTING", ("auto", "on", "off")),
        ("LR_SCHEDULER", ("cosine", "linear", "constant_with_warmup")),
        ("TRAIN_DIALECT", ("", *DIALECTS)),
        ("BASE_QUANTIZATION", ("", "nf4")),
        ("OPTIMIZER", ("adamw", "adamw_8bit", "paged_adamw_8bit")),
        ("DEVICE", ("auto", "cpu")),
    ):
        if getattr(c, name) not in allowed:
            raise UserError(f"{name} must be one of {', '.join(map(repr, allowed))}, not {getattr(c, name)!r}.")
    check_numbers(
        c,
        above_0=("MAX_LENGTH", "LORA_RANK", "LORA_ALPHA", "BATCH_SIZE", "GRADIENT_ACCUMULATION", "EPOCHS",
                 "LEARNING_RATE", "EVAL_BATCH_SIZE", "LOGGING_STEPS", "EVAL_STEPS", "SAVE_STEPS", "SAVE_TOTAL_LIMIT",
                 "MAX_GRAD_NORM"),
        from_0=("WARMUP", "WEIGHT_DECAY", "LORA_DROPOUT", "MAX_SAMPLES", "MAX_MINUTES", "EARLY_STOPPING", "LR_SWEEP"),
    )  # fmt: skip
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
    if not c.DRY_RUN:
        from qwen_svg.model.quantization import require_bitsandbytes

        for name, plain in (("BASE_QUANTIZATION", ""), ("OPTIMIZER", "adamw")):
            if getattr(c, name) != plain:
                require_bitsandbytes(f"{name} {getattr(c, name)!r}")
    check_run_name(c.RUN_NAME, is_new=not (c.RESUME or c.DRY_RUN))


def check_launch() -> None:
    """Refuse what accelerate would pass over in silence; say what more there is."""
    import torch

    gpus = torch.cuda.device_count()
    if sharding() and not gpus:
        raise UserError(f"{sharding()} divides a model among GPUs, and here is none; use configs/accelerate/cpu.yml.")
    if processes() == 1 and gpus > 1:
        print(f"one of {gpus} GPUs is used; all of them: `torchrun --nproc-per-node {gpus} train.py …`")


def pick_tokenizer(c: SimpleNamespace) -> tuple[Any, dict[int, list[int]]]:
    """Return the tokenizer, and of each token that is new to the base its id and the ids of its pieces."""
    from qwen_svg.common.run_folder import OUTPUTS
    from qwen_svg.model.load import load_tokenizer
    from qwen_svg.model.svg_tokens import add_svg_tokens, pieces_of_new, tokenizer_of

    tokenizer = load_tokenizer(c.BASE_MODEL)
    if not c.SVG_TOKENS:
        return tokenizer, {}
    if c.RESUME:
        tokenizer = load_tokenizer(tokenizer_of(OUTPUTS / c.RUN_NAME, c.BASE_MODEL))
    else:
        add_svg_tokens(tokenizer)
    return tokenizer, pieces_of_new(tokenizer, load_tokenizer(c.BASE_MODEL))


def prepare_data(c: SimpleNamespace, tokenizer) -> SimpleNamespace:
    """Read, check, tokenise, drop what does not fit, and split. Prints what happened to every sample.

    The file is streamed: what stays in memory of a sample is its id, description and length.
    Returns parts (name → sequence of Encoded), ids (the content of split.json), lines and fingerprint.
    """
    from qwen_svg.common.dataset import (
        ReadResult,
        SampleKey,
        fingerprint,
        in_batches,
        split_samples,
        stream_samples,
        take,
    )
    from qwen_svg.common.tokens import encode
    from qwen_svg.training.token_store import TokenStore

    read, store = ReadResult(Path(c.DATA_PATH)), TokenStore()
    legal: Counter[str] = Counter()
    dropped: dict[str, str] = {}
    numbers: dict[str, int] = {}  # in the store, by id
    keys: list[SampleKey] = []
    for batch in in_batches(stream_samples(read, c.ON_BAD_LINE), 256):
        for sample, row in zip(batch, encode(tokenizer, batch, c.PROMPT_FORM), strict=True):
            dialects = legal_dialects(sample)
            legal.update(dialects)
            if c.TRAIN_DIALECT and c.TRAIN_DIALECT not in dialects:
                dropped[sample.id] = f"not legal in {c.TRAIN_DIALECT}"
            elif row.length > c.MAX_LENGTH:
                dropped[sample.id] = f"{row.length} tokens"
            else:
                keys.append(SampleKey.of(sample))
                numbers[sample.id] = store.append(row)
    print("\n".join(read.report()))
    print("legal by svg_constraint: " + ", ".join(f"{d} {legal[d] / read.read:.1%}" for d in DIALECTS))
    if too_long := sum(reason.endswith("tokens") for reason in dropped.values()):
        print(f"{too_long} samples are longer than {c.MAX_LENGTH} tokens and are dropped (see split.json)")
    if not keys:
        raise UserError(
            f"no sample of {c.DATA_PATH} is left to train on: {len(dropped)} dropped; raise MAX_LENGTH "
            f"({c.MAX_LENGTH}) or see `python preprocess_token_lengths.py` for the lengths."
        )
    keys = take(keys, c.MAX_SAMPLES, c.SEED)
    parts = {name: [key.id for key in part] for name, part in split_samples(keys, c.SEED).items()}
    print("split: " + ", ".join(f"{len(part)} {name}" for name, part in parts.items()))
    return SimpleNamespace(
        parts={name: store.rows(numbers[id] for id in part) for name, part in parts.items()},
        ids={"seed": c.SEED, **parts, "dropped": dropped},
        lines=read.counts(),
        fingerprint=fingerprint(keys),
    )


def legal_dialects(sample) -> set[str]:
    from prompt_template import extract_svg
    from svg_constraint import check

    svg = extract_svg(sample.answer) or ""
    return {dialect for dialect in DIALECTS if check(svg, dialect).valid}


def adapter_of(c: SimpleNamespace, pieces: dict[int, list[int]]) -> dict[str, Any]:
    """Return the arguments of `add_adapter`."""
    return {
        "rank": c.LORA_RANK,
        "alpha": c.LORA_ALPHA,
        "dropout": c.LORA_DROPOUT,
        "targets": c.LORA_TARGETS,
        "rslora": c.LORA_RANK_STABILISED,
        "new_tokens": list(pieces),
    }


def dry_run(c: SimpleNamespace, tokenizer, pieces: dict, data: SimpleNamespace) -> None:
    """Show what would be trained on and what it would take, without loading weights."""
    from qwen_svg.model.load import load_config, pick_device, pick_dtype
    from qwen_svg.training.dry_run import show_batch
    from qwen_svg.training.memory import plan

    rows, device = data.parts["train"], pick_device(c.DEVICE)
    dtype = pick_dtype(device, c.FP16, c.BASE_QUANTIZATION)
    show_batch(tokenizer, rows[: c.BATCH_SIZE], c.LOSS_ON)
    plan(load_config(c.BASE_MODEL), c, adapter_of(c, pieces), rows, device, dtype)
    print("dry run: nothing was written.")


def train(c: SimpleNamespace, tokenizer, pieces: dict, data: SimpleNamespace) -> None:
    from transformers import set_seed

    from qwen_svg.common import run_folder as runs
    from qwen_svg.common.tracking import finish_run, start_run
    from qwen_svg.model.load import load_config, pick_device, pick_dtype
    from qwen_svg.training.memory import plan

    device = pick_device(c.DEVICE)
    dtype = pick_dtype(device, c.FP16, c.BASE_QUANTIZATION)
    facts = runs.environment(device, dtype, c.DATA_PATH, data.fingerprint)
    meet(device)
    checkpoint = None
    if c.RESUME:
        folder = runs.find_run_folder(c.RUN_NAME)
        runs.refuse_other_data(folder, c.DATA_PATH, data.fingerprint, "; restore the file, or start a new run.")
        refuse_other_steps(c, folder)
        checkpoint = runs.checkpoint_to_resume(folder)
    checkpointing = plan(load_config(c.BASE_MODEL), c, adapter_of(c, pieces), data.parts["train"], device, dtype)
    set_seed(c.SEED)
    model = build_model(c, pieces, device, dtype)  # before the run folder: a base that cannot be had leaves none behind
    if not c.RESUME:
        folder = tell_all(start_run_folder(c, tokenizer if pieces else None, facts, data) if is_main() else None)
    trainable, total = model.get_nb_trainable_parameters()
    print(
        f"{c.BASE_MODEL}: {total - trainable:,} frozen + {trainable:,} adapter parameters, {dtype} on {device}"
        + (f", the blocks in {c.BASE_QUANTIZATION}" if c.BASE_QUANTIZATION else "")
        + (f"; {len(pieces)} new tokens" if pieces else "")
    )

    if c.LR_SWEEP:
        return sweep_rates(c, model, tokenizer, data, folder, device, dtype, checkpointing)
    tracker = None
    if c.WANDB and is_main():
        tracker = start_run(c.WANDB_PROJECT, folder, "train", vars(c) | {"environment": facts})
        log_lengths(tracker, data)
    trainer = build_trainer(c, model, tokenizer, data, folder, device, dtype, checkpointing)
    stopped = run_training(c, trainer, checkpoint)
    finish(c, trainer, folder, data, stopped)
    if tracker:
        print(finish_run(tracker))
    print(f"next: python evaluate_test.py --run-dir {folder}")


def start_run_folder(c: SimpleNamespace, tokenizer, facts: dict, data: SimpleNamespace) -> Path:
    """tokenizer: one with new tokens, which the base's own folder lacks; else None."""
    from qwen_svg.common.run_folder import new_run_folder, write_json

    folder = new_run_folder(c.RUN_NAME)
    if tokenizer:
        tokenizer.save_pretrained(folder)
    write_config(folder / "config.yml", c)
    write_json(folder / "environment.json", facts)
    write_json(folder / "split.json", data.ids | {"lines": data.lines})
    return folder


def build_model(c: SimpleNamespace, pieces: dict, device, dtype):
    """Load the base, give new tokens their rows, and put the adapter around it."""
    import torch

    from qwen_svg.model.load import add_adapter, load_base
    from qwen_svg.model.svg_tokens import begin_as_mean, make_rows

    place = torch.device("cpu") if sharding() else device  # what is divided is first put together there
    model = load_base(c.BASE_MODEL, place, dtype, c.BASE_QUANTIZATION)
    if pieces:
        make_rows(model, max(pieces) + 1)
        begin_as_mean(model, pieces)
    return add_adapter(model, **adapter_of(c, pieces))


def refuse_other_steps(c: SimpleNamespace, folder: Path) -> None:
    """Raise UserError where a step would not take the samples it took before, or the checkpoint is of another kind."""
    from qwen_svg.common.run_folder import read_json

    before = constants_in_force(__file__, argv=[], base_config=folder / "config.yml")
    launch = read_json(folder / "environment.json").get("launch", {"processes": 1, "sharding": ""})
    if launch["sharding"] != sharding():
        raise UserError(
            f"{folder} was trained with {launch['sharding'] or 'the whole model in each process'}, whose checkpoints "
            f"{sharding() or 'a launch without FSDP or DeepSpeed'} cannot read; launch it as before."
        )
    step = before.BATCH_SIZE * before.GRADIENT_ACCUMULATION * launch["processes"]
    if c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes() != step:
        raise UserError(
            f"a step of {folder} takes {step} samples, and BATCH_SIZE {c.BATCH_SIZE} × GRADIENT_ACCUMULATION "
            f"{c.GRADIENT_ACCUMULATION} × {processes()} process(es) makes "
            f"{c.BATCH_SIZE * c.GRADIENT_ACCUMULATION * processes()}; choose them so that they make {step}."
        )


def log_lengths(tracker, data: SimpleNamespace) -> None:
    """Send the length histogram and the data's fingerprint and counts to wandb."""
    import wandb

    lengths = [length for part in data.parts.values() for length in part.lengths]
    tracker.log({"data/tokens_per_sample": wandb.Histogram(lengths)})
    tracker.summary.update({f"data/{name}_samples": len(part) for name, part in data.parts.items()})
    tracker.summary.update({"data/sha256": data.fingerprint, "data/dropped": len(data.ids["dropped"])})


def build_trainer(
    c: SimpleNamespace, model, tokenizer, data: SimpleNamespace, folder: Path, device, dtype, checkpointing: bool
):
    import torch
    from transformers import EarlyStoppingCallback, TrainingArguments

    from qwen_svg.common.tokens import LeftPaddingCollator
    from qwen_svg.training.trainer import RunLog, SVGTrainer, look_after

    on_gpu = device.type == "cuda"
    arguments = TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=c.EPOCHS,
        max_steps=c.LR_SWEEP or -1,
        per_device_train_batch_size=c.BATCH_SIZE,
        per_device_eval_batch_size=c.EVAL_BATCH_SIZE,
        gradient_accumulation_steps=c.GRADIENT_ACCUMULATION,
        learning_rate=c.LEARNING_RATE,
        lr_scheduler_type=c.LR_SCHEDULER,
        warmup_steps=c.WARMUP if c.WARMUP < 1 else int(c.WARMUP),
        weight_decay=c.WEIGHT_DECAY,
        max_grad_norm=c.MAX_GRAD_NORM,
        optim="adamw_torch_fused" if c.OPTIMIZER == "adamw" else c.OPTIMIZER,
        fp16=dtype == torch.float16,
        bf16=dtype == torch.bfloat16,
        use_cpu=not on_gpu,
        activation_checkpointing=checkpointing,
        eval_strategy="steps",
        eval_steps=c.EVAL_STEPS,
        eval_on_start=not (c.RESUME or c.LR_SWEEP),
        logging_steps=c.LOGGING_STEPS,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it hides a NaN behind the running mean, and syncs the GPU each step
        save_strategy="no" if c.LR_SWEEP else "steps",
        save_steps=c.SAVE_STEPS,
        save_total_limit=c.SAVE_TOTAL_LIMIT,
        load_best_model_at_end=c.EARLY_STOPPING > 0,
        metric_for_best_model="eval_cross_entropy" if c.EARLY_STOPPING else None,
        greater_is_better=False if c.EARLY_STOPPING else None,
        restore_callback_states_from_checkpoint=c.EARLY_STOPPING > 0,  # how long there has been no better one
        seed=c.SEED,
        data_seed=c.SEED,
        report_to=["wandb"] if c.WANDB else "none",
        remove_unused_columns=False,  # the samples are objects; the collator knows what to take from them
        dataloader_num_workers=2 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,  # every adapter weight gets a gradient in every step
        ddp_broadcast_buffers=False,  # they are constants
    )
    trainer = SVGTrainer(
        model=model,
        args=arguments,
        data_collator=LeftPaddingCollator(tokenizer.pad_token_id, c.LOSS_ON),
        train_dataset=data.parts["train"],
        eval_dataset=data.parts["valid"],
        callbacks=[RunLog(folder)],
    )
    trainer.safe_stop = look_after(trainer, c.MAX_MINUTES)
    if c.EARLY_STOPPING:
        trainer.add_callback(EarlyStoppingCallback(c.EARLY_STOPPING))
    return trainer


def run_training(c: SimpleNamespace, trainer, checkpoint: Path | None) -> str:
    """Train to the end or to a stop; return the reason of an early stop, or ""."""
    import torch

    try:
        with trainer.safe_stop as stop:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError:
        raise UserError(
            f"the GPU ran out of memory with BATCH_SIZE {c.BATCH_SIZE} and MAX_LENGTH {c.MAX_LENGTH}; use "
            "`--activation-checkpointing on`, or a smaller `--batch-size` with `--gradient-accumulation`."
        ) from None
    return stop.reason


def sweep_rates(
    c: SimpleNamespace, model, tokenizer, data: SimpleNamespace, folder: Path, device, dtype, checkpointing: bool
) -> None:
    """Find a learning rate: LR_SWEEP steps at each of five; leaves a table, a figure and no adapter."""
    from qwen_svg.training.lr_sweep import best, sweep

    def train_at(rate: float, run: Path) -> list[dict]:
        changes = {
            "LEARNING_RATE": rate,
            "LOGGING_STEPS": 1,
            "EVAL_STEPS": c.LR_SWEEP,
            "EARLY_STOPPING": 0,
            "WANDB": False,
            "MAX_MINUTES": 0,
        }
        short = SimpleNamespace(**vars(c) | changes)
        trainer = build_trainer(short, model, tokenizer, data, run, device, dtype, checkpointing)
        try:
            stopped = run_training(short, trainer, None)
        except LossIsNotANumber:
            stopped = ""  # a rate that is too high: this is what one wants to see
        if stopped:
            raise UserError(f"the sweep was stopped ({stopped}); what has been done is in {folder}/lr_sweep.json.")
        return trainer.state.log_history

    results = sweep(model, c.LEARNING_RATE, folder, train_at)
    print("\nlearning rate  last loss  validation cross-entropy")
    for result in results:
        figures = [*result["losses"].values()][-1], result["validation_cross_entropy"]
        print(f"{result['learning_rate']:>13.1e}  " + "  ".join("–" if f is None else f"{f:.4f}" for f in figures))
    if winner := best(results):
        print(f"lowest at {winner['learning_rate']:.1e}: `--learning-rate {winner['learning_rate']:.1e}`")
    print(f"figure: {folder}/lr_sweep.png")


def finish(c: SimpleNamespace, trainer, folder: Path, data: SimpleNamespace, stopped: str) -> None:
    """Evaluate once more, save the adapter, draw the loss, write the card, say what came out.

    With early stopping the Trainer has put the best adapter back by now.
    """
    from qwen_svg.common.plots import draw_loss
    from qwen_svg.training.model_card import write_model_card
    from qwen_svg.training.trainer import refuse_interrupted

    step, best = trainer.state.global_step, trainer.state.best_global_step
    refuse_interrupted(stopped, step, "train.py", folder)
    history = trainer.state.log_history
    if not best and not any("eval_cross_entropy" in record and record["step"] == step for record in history):
        trainer.evaluate()
    records = [record for record in history if "eval_cross_entropy" in record]
    trainer.save_model(str(folder))  # the adapter alone
    if not is_main():
        return
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
    run(main)
