"""What pretraining and contrastive fine-tuning share: the Trainer's arguments, the beginning and the end of a run."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import TrainingArguments

from qwen_svg.common import run_folder as runs
from qwen_svg.common.constants import write_config
from qwen_svg.training.callbacks import RunLog, install_callbacks, refuse_interrupted
from qwen_svg.training.trainer import CompleteCheckpoints


class InOrderTrainer(CompleteCheckpoints):
    """Trains on a dataset of whole batches, found by their number: a run that is resumed sees the same ones."""

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def figures(self) -> dict[str, float]:
        """Return the validation figures by name."""
        raise NotImplementedError

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> dict:
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in self.figures().items()}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def only(batch: list[dict]) -> dict:
    """The collator: a sample is a batch already."""
    (whole,) = batch
    return whole


def open_run(c: SimpleNamespace, device: Any, fingerprint: str) -> tuple[Path, Path | None]:
    """Return (run folder, checkpoint to go on from or None). A new folder holds the constants and the environment."""
    if not c.RESUME:
        folder = runs.new_run_folder(c.RUN_NAME)
        write_config(folder / "config.yml", c)
        dtype = "bfloat16" if in_halves(c, device) else "float32"
        runs.write_json(folder / "environment.json", runs.environment(device, dtype, c.DATA, fingerprint))
        return folder, None
    folder = runs.run_to_resume(c.RUN_NAME)
    runs.refuse_other_data(folder, c.DATA, fingerprint, "; restore the file, or start a new run.")
    return folder, runs.checkpoint_to_resume(folder)


def in_halves(c: SimpleNamespace, device: Any) -> bool:
    return c.BF16 and device.type == "cuda"


def arguments(c: SimpleNamespace, folder: Path, device: Any, **more: Any) -> TrainingArguments:
    """Return what both scripts ask of the Trainer; StableAdamW with the original's betas, epsilon and decoupling."""
    return TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,  # a whole batch
        learning_rate=c.LEARNING_RATE,
        weight_decay=c.WEIGHT_DECAY,
        max_grad_norm=c.MAX_GRAD_NORM,
        optim="stable_adamw",
        optim_args="decouple_lr=True",
        adam_beta2=0.98,
        adam_epsilon=1e-6,
        bf16=in_halves(c, device),
        use_cpu=device.type != "cuda",
        eval_strategy="steps",
        eval_steps=c.EVAL_STEPS,
        eval_on_start=not c.RESUME,
        logging_steps=c.LOGGING_STEPS,
        logging_first_step=True,
        logging_nan_inf_filter=False,  # it hides a NaN behind the running mean
        save_steps=c.SAVE_STEPS,
        save_total_limit=c.SAVE_TOTAL_LIMIT,
        seed=c.SEED,
        report_to=["wandb"] if c.WANDB else "none",
        remove_unused_columns=False,
        dataloader_num_workers=2 if device.type == "cuda" else 0,
        **more,
    )


def run_to_the_end(
    c: SimpleNamespace, trainer: InOrderTrainer, tokenizer: Any, folder: Path, checkpoint: Path | None, script: str
) -> dict[str, float]:
    """Train, evaluate, save model and tokenizer; return the last validation figures. UserError where it was stopped."""
    from qwen_svg.common.tracking import finish_run, start_run

    trainer.add_callback(RunLog(folder))
    stop = install_callbacks(trainer, c.MAX_MINUTES)
    tracker = start_run(c.WANDB_PROJECT, folder, script.rpartition(".")[2], vars(c)) if c.WANDB else None
    with stop:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    step = trainer.state.global_step
    refuse_interrupted(stop.reason, step, f"-m {script}", folder)
    records = [r for r in runs.read_jsonl(folder / "metrics.jsonl") if any(name.startswith("eval_") for name in r)]
    if not records or records[-1]["step"] != step:
        records.append(trainer.evaluate())
    trainer.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if stop.reason:
        print(f"{stop.reason} after step {step} of {trainer.state.max_steps}")
    if tracker:
        print(finish_run(tracker))
    return {name.removeprefix("eval_"): value for name, value in records[-1].items()}
