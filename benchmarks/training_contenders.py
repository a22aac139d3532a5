"""One contender of `benchmarks.training`, run by it in a process (and, for the peers, an environment) of its own.

    python benchmarks/training_contenders.py NAME JOB.json

Imports nothing of the project unless NAME is "ours": the peers' environments hold only the peers. JOB.json: `base` (a
folder with weights and tokenizer), `samples` (lists `prompt` and `answer` of token ids), `rank`, `alpha`, `batch_size`,
`max_length`, `learning_rate`, `fp16`, `cpu_dtype` (of the base, on a CPU), `scratch` (a folder). Prints a JSON object:
seconds and CPU seconds of training, tokens that are not padding, peak memory, seconds from the start of the process to
the end of the first step, the loss of each step.
"""

import json
import os
import sys
import time
from pathlib import Path

STARTED = time.time()
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def main() -> None:
    name, job = sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    trainer = CONTENDERS[name](job)
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        first_step = None

        def on_step_end(self, *args, **kwargs):
            self.first_step = self.first_step or time.time() - STARTED

    clock = Clock()
    trainer.add_callback(clock)
    start, cpu_start = time.perf_counter(), time.process_time()
    trainer.train()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_seconds": cpu_seconds,
                "tokens": sum(len(s["prompt"]) + len(s["answer"]) for s in job["samples"]),
                "peak_bytes": peak_bytes(),
                "first_step_seconds": clock.first_step,
                "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
            }
        )
    )


def common_arguments(job: dict) -> dict:
    """TrainingArguments that are the same for all, in names of transformers 5."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": job["scratch"],
        "num_train_epochs": 1,
        "per_device_train_batch_size": job["batch_size"],
        "learning_rate": job["learning_rate"],
        "lr_scheduler_type": "constant",
        "fp16": job["fp16"] and on_gpu,
        "bf16": job["cpu_dtype"] == "bf16" if not on_gpu else not job["fp16"],
        "use_cpu": not on_gpu,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "seed": 42,
    }


def dtype(job: dict):
    import torch

    if not torch.cuda.is_available():  # for all what this CPU is faster in: their own default is bf16 on every CPU
        return torch.bfloat16 if job["cpu_dtype"] == "bf16" else torch.float32
    return torch.float16 if job["fp16"] else torch.bfloat16


def lora(job: dict):
    from peft import LoraConfig

    return LoraConfig(task_type="CAUSAL_LM", r=job["rank"], lora_alpha=job["alpha"], target_modules=TARGETS)


def stock(job: dict):
    """The script most repositories carry: pad every sample to the maximum, labels on the answer, logits everywhere."""
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments, default_data_collator

    rows = []
    for sample in job["samples"]:
        padding = job["max_length"] - len(sample["prompt"]) - len(sample["answer"])
        ids = [0] * padding + sample["prompt"] + sample["answer"]
        mask = [0] * padding + [1] * (len(ids) - padding)
        labels = [-100] * (padding + len(sample["prompt"])) + sample["answer"]
        rows.append({"input_ids": ids, "attention_mask": mask, "labels": labels})
    model = AutoModelForCausalLM.from_pretrained(job["base"], dtype=dtype(job))
    if torch.cuda.is_available():
        model.cuda()
    return Trainer(
        model=get_peft_model(model, lora(job)),
        args=TrainingArguments(**common_arguments(job)),
        train_dataset=rows,
        data_collator=default_data_collator,
    )


def trl(job: dict):
    """TRL's SFTTrainer as fast as it goes here: batches by length, no activation checkpointing, answers only."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig, SFTTrainer

    rows = [
        {"input_ids": s["prompt"] + s["answer"], "completion_mask": [0] * len(s["prompt"]) + [1] * len(s["answer"])}
        for s in job["samples"]
    ]
    return SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job["base"], dtype=dtype(job)),
        args=SFTConfig(
            **common_arguments(job),
            max_length=job["max_length"],
            train_sampling_strategy="group_by_length",
            completion_only_loss=True,
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_list([row | {"length": len(row["input_ids"])} for row in rows]),
        processing_class=AutoTokenizer.from_pretrained(job["base"]),
        peft_config=lora(job),
    )


def unsloth(job: dict):
    """Unsloth's FastLanguageModel in its patched SFTTrainer, with batches by length as well."""
    from unsloth import FastLanguageModel  # isort: skip  # first: it patches what is imported after it
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    model, tokenizer = FastLanguageModel.from_pretrained(
        job["base"], max_seq_length=job["max_length"], dtype=dtype(job), load_in_4bit=False
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=job["rank"],
        lora_alpha=job["alpha"],
        lora_dropout=0,
        target_modules=TARGETS,
        use_gradient_checkpointing=False,
        random_state=42,
    )
    rows = [
        {"input_ids": s["prompt"] + s["answer"], "labels": [-100] * len(s["prompt"]) + s["answer"]}
        for s in job["samples"]
    ]
    return SFTTrainer(
        model=model,
        processing_class=tokenizer,
        args=SFTConfig(
            **common_arguments(job),
            max_length=job["max_length"],
            train_sampling_strategy="group_by_length",
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_list(rows),
    )


def ours(job: dict):
    """train.py, with its constants as they stand."""
    from qwen_svg.common.environment import configure_environment

    configure_environment()
    from types import SimpleNamespace

    import train
    from qwen_svg.common.tokens import Encoded
    from qwen_svg.model.device import pick_device, pick_precision
    from qwen_svg.model.load import load_config
    from qwen_svg.model.tokenizer import load_tokenizer
    from qwen_svg.training.token_store import TokenStore

    c = SimpleNamespace(**{name: value for name, value in vars(train).items() if name.isupper()})
    c.BASE_MODEL, c.LORA_RANK, c.LORA_ALPHA, c.CPU_DTYPE = job["base"], job["rank"], job["alpha"], job["cpu_dtype"]
    c.EPOCHS, c.BATCH_SIZE, c.LEARNING_RATE = 1.0, job["batch_size"], job["learning_rate"]
    c.LR_SCHEDULER, c.WARMUP, c.FP16, c.WANDB, c.LOGGING_STEPS = "constant_with_warmup", 0, job["fp16"], False, 1
    store = TokenStore()
    numbers = [store.append(Encoded(str(i), s["prompt"], s["answer"])) for i, s in enumerate(job["samples"])]
    data = SimpleNamespace(parts={"train": store.rows(numbers), "valid": store.rows(numbers[:1])})
    device = pick_device()
    dtype, _ = pick_precision(c, device, load_config(c.BASE_MODEL))
    loaded = train.build_model(c, load_tokenizer(c.BASE_MODEL), {}, device, dtype)
    trainer, _ = train.build_trainer(c, loaded, data, Path(job["scratch"]), checkpointing=False)
    trainer.args.eval_on_start = False  # what is timed is training
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    return trainer


CONTENDERS = {"stock": stock, "trl": trl, "unsloth": unsloth, "ours": ours}


def peak_bytes() -> int:
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    main()
