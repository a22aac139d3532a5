"""Unsloth, on a GPU: what train.py trains by default, on what corpus.to_chat writes. All else is as in trl.yml.

python configs/other_trainers/unsloth.py
"""

from pathlib import Path

import yaml
from unsloth import FastLanguageModel

# isort: split
from datasets import load_dataset  # behind unsloth, which changes trl
from trl import SFTConfig, SFTTrainer

FOR_THE_MODEL = (
    "model_name_or_path",
    "dtype",
    "use_peft",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
)

settings = yaml.safe_load(Path(__file__).with_name("trl.yml").read_text(encoding="utf-8"))
(data,), template = settings.pop("datasets"), settings.pop("chat_template_path")
settings.pop("assistant_only_loss")  # the rows below have their labels already
of_model = {name: settings.pop(name) for name in FOR_THE_MODEL}

model, tokenizer = FastLanguageModel.from_pretrained(
    of_model["model_name_or_path"], max_seq_length=settings["max_length"], load_in_4bit=False
)
model = FastLanguageModel.get_peft_model(
    model, r=of_model["lora_r"], lora_alpha=of_model["lora_alpha"], lora_dropout=of_model["lora_dropout"]
)
tokenizer.chat_template = Path(template).read_text(encoding="utf-8")


def as_tokens(row: dict) -> dict:
    made = tokenizer.apply_chat_template(
        row["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    labels = [id if kept else -100 for id, kept in zip(made["input_ids"], made["assistant_masks"], strict=True)]
    return {"input_ids": made["input_ids"], "labels": labels}


rows = load_dataset(data["path"], data_files=data["data_files"], split="train")
rows = rows.map(as_tokens, remove_columns=rows.column_names)
SFTTrainer(
    model=model,
    processing_class=tokenizer,
    args=SFTConfig(**settings | {"output_dir": "outputs/unsloth"}),
    train_dataset=rows,
).train()
model.save_pretrained("outputs/unsloth")
