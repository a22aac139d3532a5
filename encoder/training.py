"""What pretraining and contrastive fine-tuning share: the Trainer's arguments, the beginning and the end of a run."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optimi  # noqa: F401 - StableAdamW: the Trainer would miss it only when a run has its folder
import torch
from transformers import TrainingArguments

from qwen_svg.common.constants import write_config
from qwen_svg.common.files import apply_umask, write_json
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.run_folder import CONFIG, environment, new_run_folder, run_to_resume
from qwen_svg.common.run_split import refuse_other_data
from qwen_svg.common.tracking import finish_run, start_run
from qwen_svg.model.device import multiplies_bf16
from qwen_svg.training.arguments import shared_arguments
from qwen_svg.training.callbacks import install_callbacks, refuse_interrupted
from qwen_svg.training.checkpoints import checkpoint_to_resume, freed_if_stopped
from qwen_svg.training.trainer import CompleteCheckpoints, run_training


class InOrderTrainer(CompleteCheckpoints):
    """Trains on a dataset of whole batches, found by their number: a run that is resumed sees the same ones."""

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler:
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def create_optimizer(self, *arguments: Any) -> torch.optim.Optimizer:
        """torch-optimi 0.3.3 takes Triton's kernels wherever Triton is installed, also on a CPU, which has none."""
        optimizer = super().create_optimizer(*arguments)
        if self.args.device.type == "cpu":
            for group in optimizer.param_groups:
                group["triton"] = False
        return optimizer

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


def open_folder(c: SimpleNamespace, script: str, device: torch.device, fingerprint: str) -> tuple[Path, Path | None]:
    """Return (run folder, checkpoint to go on from or None). A new folder holds the constants and the environment.

    script: as python is asked for it. fingerprint: of the data.
    """
    if c.RESUME:
        folder = run_to_resume(c.RUN_NAME)
        refuse_other_data(folder, c.DATA, fingerprint, "; restore the file, or start a new run.")
        path = Path(__file__).with_name(f"{script.rpartition('.')[2]}.py")
        return folder, checkpoint_to_resume(folder, str(path), c)
    folder = new_run_folder(c.RUN_NAME)
    write_config(folder / CONFIG, c)
    dtype = "bfloat16" if in_halves(c, device) else "float32"
    write_json(folder / "environment.json", environment(script, device, dtype, c.DATA, fingerprint))
    return folder, None


def in_halves(c: SimpleNamespace, device: torch.device) -> bool:
    return c.BF16 and device.type == "cuda" and multiplies_bf16()


def trainer_arguments(c: SimpleNamespace, folder: Path, device: torch.device, **more: Any) -> TrainingArguments:
    """Return what both scripts ask of the Trainer; StableAdamW with the original's betas, epsilon and decoupling."""
    return TrainingArguments(
        **shared_arguments(c, folder, device),
        per_device_train_batch_size=1,  # a whole batch
        weight_decay=c.WEIGHT_DECAY,
        optim="stable_adamw",
        optim_args="decouple_lr=True",
        adam_beta2=0.98,
        adam_epsilon=1e-6,
        bf16=in_halves(c, device),
        eval_strategy="steps",
        eval_steps=c.EVAL_STEPS,
        eval_on_start=not c.RESUME,
        remove_unused_columns=False,
        dataloader_num_workers=2 if device.type == "cuda" else 0,
        **more,
    )


def train_and_save(
    c: SimpleNamespace,
    script: str,
    trainer: InOrderTrainer,
    tokenizer: Any,
    folder: Path,
    checkpoint: Path | None,
    line: Callable[[dict], str | None],
    less_memory: str,
) -> dict[str, float]:
    """Train, evaluate, save model and tokenizer; return the last validation figures. UserError where it was stopped.

    line: what is said of a logged record. less_memory: as of `run_training`.
    """
    with freed_if_stopped(folder):
        tracker = start_run(c.WANDB_PROJECT, folder, script.rpartition(".")[2], vars(c)) if c.WANDB else None
        stopped = run_training(
            trainer, install_callbacks(trainer, folder, c.MAX_MINUTES, line, tracker), checkpoint, less_memory
        )
    step = trainer.state.global_step
    refuse_interrupted(stopped, step, script, folder)
    records = [r for r in read_jsonl(folder / "metrics.jsonl") if any(name.startswith("eval_") for name in r)]
    if not records or records[-1]["step"] != step:
        records.append(trainer.evaluate())
    trainer.require_finite()
    trainer.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    apply_umask(folder)
    if stopped:
        print(f"{stopped} after step {step} of {trainer.state.max_steps}")
    if tracker:
        print(finish_run(tracker))
    return {name.removeprefix("eval_"): value for name, value in records[-1].items()}
