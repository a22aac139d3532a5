"""What trainings ask of Hugging Face's Trainer."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import TrainingArguments

# Recomputation's name in this transformers: the second one until 5.22.
CHECKPOINTING = next(n for n in ("activation_checkpointing", "gradient_checkpointing") if hasattr(TrainingArguments, n))


def shared_arguments(c: SimpleNamespace, folder: Path, device: torch.device) -> dict[str, Any]:
    """Return what every training here asks of TrainingArguments or its kin in TRL. c: the script's constants."""
    return {
        "output_dir": str(folder),
        "learning_rate": c.LEARNING_RATE,
        "max_grad_norm": c.MAX_GRAD_NORM,
        "use_cpu": device.type != "cuda",
        "logging_steps": c.LOGGING_STEPS,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,  # it hides a NaN behind the running mean, and syncs the GPU each step
        "save_steps": c.SAVE_STEPS,
        "save_total_limit": c.SAVE_TOTAL_LIMIT,
        "seed": c.SEED,
        "report_to": c.REPORT_TO or "none",  # RunLog sends wandb what belongs on the dashboard
        "project": c.WANDB_PROJECT,  # trackio's
        "run_name": folder.name,
    }


def training_arguments(
    c: SimpleNamespace, folder: Path, device: torch.device, dtype: torch.dtype, checkpointing: bool
) -> TrainingArguments:
    """Return the arguments of train.py's Trainer. c: its constants; folder: of the run."""
    on_gpu = device.type == "cuda"
    return TrainingArguments(
        **shared_arguments(c, folder, device),
        **{CHECKPOINTING: checkpointing},
        num_train_epochs=c.EPOCHS,
        max_steps=c.LR_SWEEP or -1,
        per_device_train_batch_size=c.BATCH_SIZE,
        per_device_eval_batch_size=c.EVAL_BATCH_SIZE,
        gradient_accumulation_steps=c.GRADIENT_ACCUMULATION,
        lr_scheduler_type=c.LR_SCHEDULER,
        warmup_steps=c.WARMUP if c.WARMUP < 1 else int(c.WARMUP),
        weight_decay=c.WEIGHT_DECAY,
        optim="adamw_torch_fused" if c.OPTIMIZER == "adamw" else c.OPTIMIZER,
        fp16=dtype == torch.float16,
        bf16=dtype == torch.bfloat16,
        eval_strategy="steps",
        eval_steps=c.EVAL_STEPS,
        eval_on_start=not (c.RESUME or c.LR_SWEEP),
        save_strategy="no" if c.LR_SWEEP else "steps",
        load_best_model_at_end=c.EARLY_STOPPING > 0,
        metric_for_best_model="eval_cross_entropy" if c.EARLY_STOPPING else None,
        greater_is_better=False if c.EARLY_STOPPING else None,
        restore_callback_states_from_checkpoint=c.EARLY_STOPPING > 0,  # how long there has been no better one
        data_seed=c.SEED,
        remove_unused_columns=False,  # the samples are objects; the collator knows what to take from them
        dataloader_num_workers=2 if on_gpu else 0,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,  # every adapter weight gets a gradient in every step
        ddp_broadcast_buffers=False,  # they are constants
    )
