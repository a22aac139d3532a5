"""Hugging Face's Trainer with what this task needs: exact validation loss, length-grouped batches, safe stops."""

import math
import shutil
import signal
import sys
import time
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback, TrainingArguments

from qwen_svg.common.errors import LossIsNotANumber, UserError
from qwen_svg.common.processes import is_main
from qwen_svg.common.run_folder import append_jsonl, mark_complete
from qwen_svg.common.tokens import LengthGroupedSampler, share
from qwen_svg.model.loss import CrossEntropy, cross_entropy, summed_loss
from qwen_svg.training.malloc_trim import give_back


class CompleteCheckpoints(Trainer):
    """A checkpoint is marked when it is whole, and removed when it could not be."""

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        checkpoint = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(*args, **kwargs)
            self.accelerator.wait_for_everyone()  # each writes its random state, and its part of what is divided
            if self.args.should_save:
                mark_complete(checkpoint)
        except Exception:  # a full disk above all: give the space of the half-written one back
            shutil.rmtree(checkpoint, ignore_errors=True)
            raise


class SVGTrainer(CompleteCheckpoints):
    """Trains a model with a LoRA adapter on `StoredRows`; the collator must be a `LeftPaddingCollator`.

    The same in one process and in several: each step has the same samples, divided among the processes.
    """

    def __init__(self, model: Any, args: TrainingArguments, **more: Any):
        args._n_gpu = min(args.n_gpu, 1)  # else the Trainer splits batches over all GPUs in threads, which is slower
        super().__init__(model=model, args=args, **more)
        model.forward = MethodType(summed_loss, model)
        if self.is_fsdp_enabled:  # each weight in its own type, as without FSDP: the base fp16, the adapter fp32
            self.accelerator.state.fsdp_plugin.mixed_precision_policy = None

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> dict:
        """Token-weighted cross-entropy over the whole validation set, instead of the mean of batch means."""
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        size = self.args.per_device_eval_batch_size
        start = time.perf_counter()
        rows = share(rows, size, self.args.process_index, self.args.world_size)
        wrapped = self.model_wrapped
        part = cross_entropy(wrapped, rows, self.data_collator, size, "validation", loss_of=wrapped)
        sums = torch.tensor([part.nats, part.tokens], dtype=torch.float64, device=self.args.device)
        nats, tokens = self.accelerator.reduce(sums).tolist()
        result = CrossEntropy(nats, int(tokens))
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
        """The loss alone, without logits. Gradients are averaged over the processes, where they should be summed."""
        return model(**inputs) / num_items_in_batch * self.args.world_size

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        together = self.args.per_device_train_batch_size * self.args.world_size
        step = together * self.args.gradient_accumulation_steps
        return LengthGroupedSampler(rows.lengths, step, self.args.seed, together)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save the adapter, gathered where FSDP has divided it. All processes must call this; one writes."""
        if self.is_deepspeed_enabled:  # which gathers in a way of its own
            return super().save_model(output_dir, _internal_call)
        adapter = None
        if self.is_fsdp_enabled:
            trained = {name: p for name, p in self.model.named_parameters() if p.requires_grad}
            adapter = {name: getattr(p, "full_tensor", lambda p=p: p)().cpu() for name, p in trained.items()}
        if self.args.should_save:
            self.model.save_pretrained(output_dir or self.args.output_dir, state_dict=adapter)


class RunLog(TrainerCallback):
    """Every logged figure goes to metrics.jsonl, training.log and the terminal, one line each."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.tokens, self.since = 0, time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **kwargs: Any) -> None:
        logs = logs or {}
        if "loss" in logs and not math.isfinite(logs["loss"]):
            raise LossIsNotANumber(
                f"the training loss is {logs['loss']} at step {state.global_step}: training stopped, and earlier "
                "checkpoints are intact. Lower LEARNING_RATE, or train without half precision."
            )
        if not state.is_world_process_zero:
            return
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
        if "rewards/margins" in record:
            return (
                f"{step}  loss {record['loss']:.4f}  margin {record['rewards/margins']:.4f}  "
                f"above 0 {record['rewards/accuracies']:.0%}  gradient norm {record['grad_norm']:.3f}"
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


TIME_IS_OVER = "MAX_MINUTES is over"
STOPS = ("", TIME_IS_OVER, "Ctrl-C", "SIGTERM")


class SafeStop(TrainerCallback):
    """Ctrl-C, SIGTERM or the time limit: finish the step, save a checkpoint, stop. A second Ctrl-C stops at once.

    `reason`, one of STOPS, says why training stopped early. Several processes stop in the same step.
    """

    def __init__(self, max_minutes: float):
        self.deadline = time.monotonic() + 60 * max_minutes if max_minutes else math.inf
        self.reason = ""

    def __enter__(self) -> "SafeStop":
        self._before = {number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self.reason and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.reason:  # a cluster sends SIGTERM to the launcher and to us, and the launcher hands it on
            self.reason = "Ctrl-C" if number == signal.SIGINT else "SIGTERM"
            print(f"\n{self.reason}: finishing this step, then saving a checkpoint (Ctrl-C to stop at once)")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        reason = self.reason
        if not reason and time.monotonic() > self.deadline:
            reason = TIME_IS_OVER
        if args.world_size > 1:  # one that stopped a step before the others would leave them waiting for it
            number = torch.tensor(STOPS.index(reason), device=args.device)
            torch.distributed.all_reduce(number, torch.distributed.ReduceOp.MAX)
            reason = STOPS[number]
        if reason:
            self.reason = reason
            control.should_save = True
            control.should_training_stop = True
        return control


def refuse_interrupted(reason: str, step: int, script: str, folder: Path) -> None:
    """Raise UserError where training was stopped from outside; one that ran out of time is complete as far as it went.

    reason: of a `SafeStop`. script: as python is asked for it. Of several processes the first one says it.
    """
    if reason in ("", TIME_IS_OVER):
        return
    if not is_main():
        sys.exit(2)
    raise UserError(
        f"training stopped at step {step} ({reason}); go on with `python {script} --resume --run-name {folder.name}`."
    )


class SmallHeap(TrainerCallback):
    """Lets no batch inherit the gaps of the one before; on a GPU torch has an allocator of its own for that."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.device.type == "cpu":
            give_back()

    on_substep_end = on_step_end


def look_after(trainer: Trainer, max_minutes: float) -> SafeStop:
    """Put our progress bar in place of the Trainer's printing, keep its heap small, and return what stops it safely."""
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    stop = SafeStop(max_minutes)
    for callback in (ProgressBar(), SmallHeap(), stop):
        trainer.add_callback(callback)
    return stop
