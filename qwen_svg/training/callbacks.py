"""What happens beside the steps of a training: figures are logged, a stop is made safe, memory is given back."""

import math
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shlex import quote
from typing import Any

import torch
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainerCallback

from qwen_svg.common.errors import LossIsNotANumber, UserError
from qwen_svg.common.jsonl import append_jsonl
from qwen_svg.common.processes import is_main, processes
from qwen_svg.training.checkpoints import what_is_intact
from qwen_svg.training.malloc_trim import malloc_trim

# wandb's panels: what is logged under which name. Other figures (rewards, accuracies) are sent as train/… and valid/….
PANELS = {
    "loss": "train/loss",
    "learning_rate": "train/learning_rate",
    "grad_norm": "train/gradient_norm",
    "epoch": "train/epoch",
    "tokens_per_second": "train/tokens_per_second",
    "padding": "train/padding_share",
    "eval_cross_entropy": "valid/cross_entropy",
    "eval_perplexity": "valid/perplexity",
    "eval_seconds": "valid/seconds",
    "peak_memory_gb": "system/peak_memory_gb",
    "minutes_left": "system/minutes_left",
}

# Of no interest as a curve: what is on the other axis, or the Trainer's sums at the end.
NO_PANEL = {"step", "minutes", "eval_tokens", "eval_runtime", "total_flos"}


def panels(record: dict) -> dict[str, float]:
    """Return what wandb gets of a logged record: the figures by the names of their panels."""
    shown = {key: value for key, value in record.items() if key not in NO_PANEL and not key.startswith("train_")}
    return {PANELS.get(key) or _panel(key): value for key, value in shown.items()}


def _panel(key: str) -> str:
    return "valid/" + key.removeprefix("eval_") if key.startswith("eval_") else f"train/{key}"


def log_line(record: dict) -> str | None:
    """Return what is said of a logged record of fine-tuning; None for one that says nothing new."""
    step = f"step {record['step']:>5}  epoch {record['epoch']:.2f}"
    if "eval_cross_entropy" in record:
        figures = f"cross-entropy {record['eval_cross_entropy']:.4f}  perplexity {record['eval_perplexity']:.3f}"
        return f"{step}  validation {figures}"
    if "loss" not in record:
        return None
    line = (
        f"{step}  loss {record['loss']:.4f}  learning rate {record['learning_rate']:.2e}  "
        f"gradient norm {record['grad_norm']:.3f}"
    )
    if "tokens_per_second" not in record:
        return line
    return (
        f"{line}  {record['tokens_per_second']:,.0f} tokens/s  padding {record['padding']:.1%}  "
        f"{record['peak_memory_gb']:.1f} GB  {record['minutes_left']:.0f} min left"
    )


def not_a_number(what: str, step: int, folder: Path) -> LossIsNotANumber:
    """what: "the training loss is nan". folder: of the run."""
    return LossIsNotANumber(
        f"{what} at step {step}: training stopped, and nothing of that was saved "
        f"({what_is_intact(folder)}). Start again with a lower LEARNING_RATE, or without half precision."
    )


class RunLog(TrainerCallback):
    """Every logged figure goes to metrics.jsonl, training.log, the terminal and, with a tracker, to wandb's panels."""

    def __init__(self, folder: Path, line: Callable[[dict], str | None] = log_line, tracker: Any = None):
        """line: what is said of a record. tracker: a wandb run, or None."""
        self.folder, self.line, self.tracker = folder, line, tracker
        self.began = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **kwargs: Any) -> None:
        logs = logs or {}
        if not math.isfinite(logs.get("loss", 0)):
            raise not_a_number(f"the training loss is {logs['loss']}", state.global_step, self.folder)
        # With fp16, gradients overflow now and then: their step is skipped and the loss scaled down.
        if not args.fp16 and not math.isfinite(logs.get("grad_norm", 0)):
            raise not_a_number(f"the gradient norm is {logs['grad_norm']}", state.global_step, self.folder)
        if not state.is_world_process_zero:
            return
        minutes = round((time.perf_counter() - self.began) / 60, 2)  # of this process, validation included
        record = {"step": state.global_step, "epoch": round(state.epoch or 0, 3), **logs, "minutes": minutes}
        finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
        append_jsonl(self.folder / "metrics.jsonl", finite)  # JSON has no NaN
        if line := self.line(record):
            with (self.folder / "training.log").open("a", encoding="utf-8") as file:
                file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        if self.tracker:
            self.tracker.log(panels(record), step=state.global_step)


class SkippedSteps(TrainerCallback):
    """fp16: a step whose gradient overflows is skipped, and the loss scaled down. Many in a row are no overflow."""

    MOST = 20  # in a row; the scale is 65,536 at first and halves each time, so that it is below 1 by then

    def __init__(self, trainer: Trainer, folder: Path):
        self.trainer, self.folder, self.in_a_row = trainer, folder, 0

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        skipped = getattr(self.trainer.optimizer, "step_was_skipped", False)  # of accelerate's wrapper
        self.in_a_row = self.in_a_row + 1 if skipped else 0
        if self.in_a_row == self.MOST:
            what = f"the gradient is not a finite number, for {self.MOST} steps in a row,"
            raise not_a_number(what, state.global_step, self.folder)


class ProgressBar(ProgressCallback):
    """The Trainer's bar, with the log lines above it instead of printed dicts."""

    def __init__(self, line: Callable[[dict], str | None]):
        super().__init__()
        self.line = line

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **kwargs: Any) -> None:
        record = {"step": state.global_step, "epoch": state.epoch or 0, **(logs or {})}
        if line := self.line(record):
            self.training_bar.write(line) if self.training_bar else print(line)


TIME_IS_OVER = "MAX_MINUTES is over"
# SIGHUP: the terminal is gone. SIGUSR1: what Slurm sends ahead of a time limit, with `--signal=B:USR1@120`.
SIGNALS = {"SIGINT": "Ctrl-C", "SIGTERM": "SIGTERM", "SIGHUP": "SIGHUP", "SIGUSR1": "SIGUSR1"}
STOPS = ("", TIME_IS_OVER, *SIGNALS.values())


class SafeStop(TrainerCallback):
    """A signal or the time limit: finish the step, save a checkpoint, stop. A second Ctrl-C stops at once.

    `reason`, one of STOPS, says why training stopped early. Several processes stop in the same step. A launcher hands
    on the Ctrl-C that its processes have had from the terminal: within HANDED_ON seconds it is the same one.
    """

    HANDED_ON = 2.0

    def __init__(self, max_minutes: float):
        self.deadline = time.monotonic() + 60 * max_minutes if max_minutes else math.inf
        self.reason, self.asked = "", 0.0

    def __enter__(self) -> "SafeStop":
        self.process = os.getpid()
        known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]  # Windows lacks the last two
        hangup = getattr(signal, "SIGHUP", None)
        if hangup and signal.getsignal(hangup) is signal.SIG_IGN:
            known.remove(hangup)  # as nohup wishes; SIGINT a shell lets its background jobs ignore, unasked
        self._before = {number: signal.signal(number, self._on_signal) for number in known}
        return self

    def __exit__(self, *exception: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if os.getpid() != self.process:
            return  # a data worker, forked with this handler: it ends with its parent
        if self.reason and number == signal.SIGINT:
            if processes() == 1 or time.monotonic() - self.asked > self.HANDED_ON:
                raise KeyboardInterrupt
            return
        if not self.reason:  # a cluster sends SIGTERM to the launcher and to us, and the launcher hands it on
            self.reason, self.asked = SIGNALS[signal.Signals(number).name], time.monotonic()
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
        f"training stopped at step {step} ({reason}); go on with "
        f"`python {script} --resume --run-name {quote(folder.name)}`."
    )


class StepsOfNow(TrainerCallback):
    """A resumed run logs, evaluates and saves as its constants say; transformers would go on as the checkpoint says."""

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        state.compute_steps(args, state.max_steps)


class SmallHeap(TrainerCallback):
    """Lets no batch inherit the gaps of the one before; on a GPU torch has an allocator of its own for that."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if args.device.type == "cpu":
            malloc_trim()

    on_substep_end = on_step_end


def install_callbacks(
    trainer: Trainer,
    folder: Path,
    max_minutes: float,
    line: Callable[[dict], str | None] = log_line,
    tracker: Any = None,
) -> SafeStop:
    """Log as `RunLog` does, with our progress bar in place of the Trainer's printing; keep a CPU's heap small.

    Returns what stops the training safely. Arguments as of `RunLog`.
    """
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    stop = SafeStop(max_minutes)
    for callback in (
        RunLog(folder, line, tracker),
        ProgressBar(line),
        StepsOfNow(),
        SmallHeap(),
        SkippedSteps(trainer, folder),
        stop,
    ):
        trainer.add_callback(callback)
    return stop
