"""Hugging Face's Trainer with what this task needs: exact validation loss, length-grouped batches, safe stops."""

import math
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import torch
from transformers import ProgressCallback, Trainer, TrainerCallback

from common.errors import UserError
from common.loss import cross_entropy, training_loss
from common.run_folder import append_jsonl, mark_complete
from common.tokens import LengthGroupedSampler


class CompleteCheckpoints(Trainer):
    """A checkpoint is marked when it is whole, and removed when it could not be."""

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(*args, **kwargs)
            mark_complete(checkpoint)
        except Exception:  # a full disk above all: give the space of the half-written one back
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise


class SVGTrainer(CompleteCheckpoints):
    """Trains on `StoredRows`; the collator must be a `LeftPaddingCollator`."""

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> dict:
        """Token-weighted cross-entropy over the whole validation set, instead of the mean of batch means."""
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        model = self.accelerator.unwrap_model(self.model)
        start = time.perf_counter()
        result = cross_entropy(model, rows, self.data_collator, self.args.per_device_eval_batch_size, "validation")
        metrics = {
            f"{metric_key_prefix}_cross_entropy": result.mean,
            f"{metric_key_prefix}_perplexity": result.perplexity,
            f"{metric_key_prefix}_tokens": result.tokens,
            f"{metric_key_prefix}_seconds": round(time.perf_counter() - start, 2),
        }
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the labels of the whole step

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The loss alone, without logits. Several processes take the library's way, which their wrappers rely on."""
        if self.args.world_size > 1 or self.args.n_gpu > 1 or return_outputs:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return training_loss(self.accelerator.unwrap_model(model), inputs, num_items_in_batch)

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        step = self.args.per_device_train_batch_size * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(rows.lengths, step, self.args.seed)


class RunLog(TrainerCallback):
    """Every logged figure goes to metrics.jsonl, training.log and the terminal, one line each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokens, self.since = 0, time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **kwargs: Any) -> None:
        logs = logs or {}
        if "loss" in logs and not math.isfinite(logs["loss"]):
            raise UserError(
                f"the training loss is {logs['loss']} at step {state.global_step}: training stopped, and earlier "
                "checkpoints are intact. Lower LEARNING_RATE, or train without half precision (`--no-fp16`)."
            )
        record = {"step": state.global_step, "epoch": round(state.epoch or 0, 3), **logs}
        append_jsonl(self.folder / "metrics.jsonl", record)
        if line := self._line(record):
            with (self.folder / "training.log").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")

    @staticmethod
    def _line(record: dict) -> str | None:
        step = f"step {record['step']:>5}  epoch {record['epoch']:.2f}"
        if "eval_cross_entropy" in record:
            return (
                f"{step}  validation cross-entropy {record['eval_cross_entropy']:.4f}  "
                f"perplexity {record['eval_perplexity']:.3f}"
            )
        if "reward" in record:
            return (
                f"{step}  reward {record['reward']:.3f}  legality {record['rewards/legality/mean']:.3f}  "
                f"KL {record.get('kl', 0):.4f}  tokens {record['completions/mean_length']:.0f}"
            )
        if "loss" in record:
            return (
                f"{step}  loss {record['loss']:.4f}  learning rate {record['learning_rate']:.2e}  "
                f"gradient norm {record['grad_norm']:.3f}"
            )
        return None


class ProgressBar(ProgressCallback):
    """The Trainer's bar, with the log lines of `RunLog` above it instead of printed dicts."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **kwargs: Any) -> None:
        record = {"step": state.global_step, "epoch": state.epoch or 0, **(logs or {})}
        if line := RunLog._line(record):
            self.training_bar.write(line) if self.training_bar else print(line)


class SafeStop(TrainerCallback):
    """Ctrl-C, SIGTERM or the time limit: finish the step, save a checkpoint, stop. A second Ctrl-C stops at once.

    `reason` says why training stopped early, or is None.
    """

    def __init__(self, max_minutes: float):
        self.deadline = time.monotonic() + 60 * max_minutes if max_minutes else math.inf
        self.reason: str | None = None

    def __enter__(self) -> "SafeStop":
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.reason:
            raise KeyboardInterrupt
        self.reason = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
        print(f"\n{self.reason}: finishing this step, then saving a checkpoint (again to stop at once)")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        if self.reason is None and time.monotonic() > self.deadline:
            self.reason = "MAX_MINUTES is over"
        if self.reason:
            control.should_save = True
            control.should_training_stop = True
        return control
