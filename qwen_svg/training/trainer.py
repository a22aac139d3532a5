"""Hugging Face's Trainer, with exact validation loss, batches of like lengths and checkpoints that are whole."""

import math
import shutil
import time
from pathlib import Path
from types import MethodType
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import apply_umask
from qwen_svg.model.cross_entropy import CrossEntropy, cross_entropy
from qwen_svg.model.loss import summed_loss
from qwen_svg.training.callbacks import SafeStop, not_a_number
from qwen_svg.training.checkpoints import mark_complete
from qwen_svg.training.sampler import LengthGroupedSampler, share
from qwen_svg.training.throughput import Throughput


class CompleteCheckpoints(Trainer):
    """A checkpoint is marked when it is whole, and removed when it could not be; all numbers in it are finite."""

    def require_finite(self) -> None:
        """Raise LossIsNotANumber where a trained weight, or what the optimizer keeps of it, is not finite."""
        tensors = [p for p in self.model.parameters() if p.requires_grad]
        if self.optimizer is not None:
            kept = getattr(self.optimizer, "optimizer", self.optimizer).state.values()  # within accelerate's wrapper
            tensors += [value for state in kept for value in state.values() if torch.is_tensor(value)]
        local = (getattr(tensor, "to_local", lambda t=tensor: t)() for tensor in tensors)
        broken = not all(torch.isfinite(tensor).all() for tensor in local if tensor.is_floating_point())
        flag = torch.tensor(float(broken), device=self.args.device)  # all processes stop, or none
        if self.accelerator.reduce(flag) > 0:
            what, folder = "a trained weight is not a finite number", Path(self.args.output_dir)
            raise not_a_number(what, self.state.global_step, folder)

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        self.require_finite()
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
        self.throughput = Throughput(self.args.device, self.args.world_size)
        self.validation_seconds = 0.0  # of the last one
        if self.is_fsdp_enabled:  # each weight in its own type, as without FSDP: the base fp16, the adapter fp32
            self.accelerator.state.fsdp_plugin.mixed_precision_policy = None

    def evaluate(self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval") -> dict:
        """Token-weighted cross-entropy over the whole validation set, instead of the mean of batch means."""
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        size = self.args.per_device_eval_batch_size
        start = time.perf_counter()
        rows = share(rows, size, self.args.process_index, self.args.world_size)
        wrapped = self.model_wrapped
        with self.throughput.pause():
            part = cross_entropy(wrapped, rows, self.data_collator, size, "validation", loss_of=wrapped)
            sums = torch.tensor([part.nats, part.tokens], dtype=torch.float64, device=self.args.device)
            nats, tokens = self.accelerator.reduce(sums).tolist()
        result = CrossEntropy(nats, int(tokens))
        if not math.isfinite(result.mean):
            what, folder = f"the validation cross-entropy is {result.mean}", Path(self.args.output_dir)
            raise not_a_number(what, self.state.global_step, folder)
        metrics = {
            f"{metric_key_prefix}_cross_entropy": result.mean,
            f"{metric_key_prefix}_perplexity": result.perplexity,
            f"{metric_key_prefix}_tokens": result.tokens,
            f"{metric_key_prefix}_seconds": round(time.perf_counter() - start, 2),
        }
        self.log(metrics)
        with self.throughput.pause():
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        self.validation_seconds = time.perf_counter() - start  # with what callbacks do then
        return metrics

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the labels of the whole step

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The loss alone, without logits. Gradients are averaged over the processes, where they should be summed."""
        self.throughput.count(inputs["attention_mask"])
        return model(**inputs) / num_items_in_batch * self.args.world_size

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Training's log lines say how fast it goes. All processes of a launch log at the same steps."""
        if "loss" in logs:
            logs = logs | self.throughput.figures(*self._left())
        super().log(logs, *args, **kwargs)

    def _left(self) -> tuple[float, float]:
        """Return how many tokens are still to be trained on, by the mean length, and how long validation will take."""
        lengths, steps = self.train_dataset.lengths, self.state.max_steps - self.state.global_step
        samples = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        validations = math.ceil(steps / self.args.eval_steps) if self.args.eval_strategy != "no" else 0
        return steps * samples * sum(lengths) / len(lengths), validations * self.validation_seconds

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        with self.throughput.pause():
            super()._save_checkpoint(*args, **kwargs)

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
            folder = output_dir or self.args.output_dir
            self.model.save_pretrained(folder, state_dict=adapter)
            apply_umask(Path(folder))


LESS_MEMORY = "turn ACTIVATION_CHECKPOINTING on, or take a smaller BATCH_SIZE with more GRADIENT_ACCUMULATION"


def run_training(
    trainer: Trainer, stop: SafeStop, checkpoint: Path | None = None, less_memory: str = LESS_MEMORY
) -> str:
    """Train to the end or to a stop; return the reason of an early stop, or "". stop: of `install_callbacks`.

    Raises UserError, with the advice `less_memory`, where a GPU's memory is too small.
    """
    try:
        with stop:
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    except torch.OutOfMemoryError:
        raise UserError(f"the GPU ran out of memory; {less_memory}.") from None
    return stop.reason
