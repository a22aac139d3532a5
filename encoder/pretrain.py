"""Pretrain a ModernBERT on SVG text, by predicting hidden tokens.

Reads   DATA: tables with an optimized SVG in each row (corpus.optimize), and TOKENIZER (encoder.train_tokenizer).
Writes  outputs/<RUN_NAME>/: model and tokenizer as Hugging Face loads them, checkpoints, config.yml, metrics.jsonl,
        loss.png, wandb; once for each corpus, outputs/tokens-*/: its token ids, so that no corpus is held in memory.

    python -m encoder.pretrain --config configs/encoder/1-pretrain.yml --data "optimized/*.jsonl"
    python -m encoder.pretrain --config configs/encoder/2-context.yml --data "optimized/*.jsonl"
    python -m encoder.pretrain --config configs/encoder/3-decay.yml --data "optimized/*.jsonl"
    python -m encoder.pretrain --resume --run-name encoder-1-pretrain

The defaults are ModernBERT-base and its first stage (Warner et al. 2024, arXiv:2412.13663, and the recipe beside the
authors' code): 22 layers of 768, every third one global, 30 % hidden, sequences unpadded, StableAdamW, warm-up, then a
constant rate, then 1 - sqrt decay. Start small runs from configs/encoder/small.yml.
"""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal

from qwen_svg.common.constants import (
    Above,
    AtLeast,
    Between,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    start,
)
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.processes import processes
from qwen_svg.common.run_folder import OUTPUTS, check_run_name
from qwen_svg.training.resume import constants_to_resume

# Data
DATA: str = ""  # folder of .svg files; or table (.jsonl, .csv, .parquet): file, pattern, folder, hub dataset
SVG_COLUMN: str = "svg"  # of DATA
TOKENIZER: str = "outputs/svg-tokenizer"  # folder that encoder.train_tokenizer wrote
VALIDATION: PositiveInt = 1000  # drawings set aside, at most; 2 % of a small corpus
# Model
INIT_FROM: str = ""  # folder of a run whose model this one goes on with; "" = random weights
LAYERS: Annotated[int, Above(0, 1000)] = 22
HIDDEN_SIZE: Annotated[int, Above(0, 65_536)] = 768
INTERMEDIATE_SIZE: Annotated[int, Above(0, 262_144)] = 1152  # of the gated MLP
HEADS: Annotated[int, Above(0, 1024)] = 12
GLOBAL_EVERY: PositiveInt = 3  # layers 0, 3, 6 … see the whole sequence, the others LOCAL_WINDOW tokens
LOCAL_WINDOW: PositiveInt = 128  # tokens, both sides together
GLOBAL_THETA: PositiveFloat = 10_000.0  # rotary base of global layers; 160,000 from the context extension on
LOCAL_THETA: PositiveFloat = 10_000.0
DROPOUT: Annotated[float, Between(0, 0.95)] = 0.1  # on the output of attention
# Task
SEQUENCE_LENGTH: Annotated[int, AtLeast(8)] = 1024  # tokens; longer drawings are cut
MASKED: Annotated[float, Between(0.01, 0.99)] = 0.3  # share of tokens that are predicted
# Optimization (StableAdamW)
TOKENS: PositiveInt = 12_000_000_000  # of training; the run ends when it has seen them
PACK_TOKENS: PositiveInt = 98_304  # tokens per device and forward pass: whole sequences, without padding
GRADIENT_ACCUMULATION: PositiveInt = 8  # forward passes per step
LEARNING_RATE: PositiveFloat = 8e-4  # peak
WARMUP_TOKENS: NonNegativeInt = 120_000_000  # the rate rises linearly over so many tokens …
DECAY_TOKENS: NonNegativeInt = 0  # … and falls as 1 - sqrt over the last so many
WEIGHT_DECAY: NonNegativeFloat = 1e-5  # fully decoupled from the rate
MAX_GRAD_NORM: PositiveFloat = 1.0  # gradients are clipped to this norm
BF16: bool = True  # mixed precision on a GPU; a CPU always runs in fp32
MAX_MINUTES: NonNegativeFloat = 0.0  # stop and save after this time; 0 = no limit
SEED: Seed = 42  # of weights, order and hidden tokens
# Logging, evaluation, checkpoints (in steps)
LOGGING_STEPS: PositiveInt = 10
EVAL_STEPS: PositiveInt = 500
SAVE_STEPS: PositiveInt = 500
SAVE_TOTAL_LIMIT: PositiveInt = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg-encoder"
REPORT_TO: Literal["", "tensorboard", "trackio"] = ""  # another tracker beside wandb; requirements/trackers.txt
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    if not c.DATA:
        raise UserError("DATA is not given; name optimized drawings with `--data FILE`.")
    if c.HIDDEN_SIZE % (2 * c.HEADS):
        raise UserError(f"HIDDEN_SIZE ({c.HIDDEN_SIZE}) must be a multiple of 2 × HEADS ({c.HEADS}): rotary pairs.")
    if c.SEQUENCE_LENGTH > c.PACK_TOKENS:
        raise UserError(f"SEQUENCE_LENGTH ({c.SEQUENCE_LENGTH}) must be at most PACK_TOKENS ({c.PACK_TOKENS}).")
    if c.WARMUP_TOKENS + c.DECAY_TOKENS > c.TOKENS:
        raise UserError(f"WARMUP_TOKENS and DECAY_TOKENS together exceed TOKENS ({c.TOKENS:,}).")
    check_run_name(c.RUN_NAME, is_new=not c.RESUME)


if __name__ == "__main__":
    c = start(__file__)
    c = constants_to_resume(__file__, c.RUN_NAME) if c.RESUME else c
    check_constants(c)

import torch
from tqdm import tqdm
from transformers import ModernBertConfig, ModernBertForMaskedLM, set_seed

from encoder.drawing_text import drawing_text
from encoder.loading import from_folder, load_tokenizer, reading_of, special_ids
from encoder.pretraining.packs import Masking, Packs
from encoder.pretraining.token_file import TokenFile, make, token_file_name
from encoder.pretraining.trainer import MaskedTrainer
from encoder.training import only, open_folder, train_and_save, trainer_arguments
from encoder.unpadded import UNPADDED
from qwen_svg.common.plots import draw_loss
from qwen_svg.common.tables import rows, table_files, text_in
from qwen_svg.model.device import pick_device
from qwen_svg.training.callbacks import log_line as training_line

SCRIPT = "-m encoder.pretrain"


def main(c: SimpleNamespace) -> None:
    # 1. Data: token ids on disk, made once for each corpus and tokenizer.
    tokenizer = load_tokenizer(c.TOKENIZER)
    file = prepare_data(c, tokenizer)

    # 2. The model, then the run folder: a model that cannot be loaded leaves none behind.
    device = pick_device()
    set_seed(c.SEED)
    model = build_model(c, tokenizer).to(device)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters on {device}")
    folder, checkpoint = open_folder(c, SCRIPT, device, file.fingerprint)

    # 3. Train.
    trainer = build_trainer(c, model, tokenizer, file, folder, device)
    less_memory = "take a smaller PACK_TOKENS with more GRADIENT_ACCUMULATION"
    last = train_and_save(c, SCRIPT, trainer, tokenizer, folder, checkpoint, log_line, less_memory)

    # 4. What came out.
    draw_loss(folder / "metrics.jsonl", folder / "loss.png")
    print(
        f"validation: {last['accuracy']:.1%} of {last['predicted_tokens']:,} hidden tokens right, "
        f"cross-entropy {last['cross_entropy']:.4f} nats\nmodel, tokenizer and loss.png are in {folder}"
    )


def prepare_data(c: SimpleNamespace, tokenizer: Any) -> TokenFile:
    """Return the token file of DATA, made now if there is none yet."""
    folder = OUTPUTS / token_file_name(c.DATA, table_files(c.DATA), c.SVG_COLUMN, c.VALIDATION, tokenizer)
    if not folder.exists():
        make(folder, texts(c, tokenizer), tokenizer, c.VALIDATION)
    file = TokenFile(folder)
    valid, lengths = len(file.valid), file.lengths()
    if not valid or valid == len(file):
        raise UserError(f"{c.DATA} holds {len(file)} drawings in {c.SVG_COLUMN!r}: too few to train and validate on.")
    print(
        f"{folder}: {len(file):,} drawings ({valid:,} for validation), {lengths.sum():,} tokens; "
        f"{(lengths > c.SEQUENCE_LENGTH).mean():.1%} longer than {c.SEQUENCE_LENGTH} are cut"
    )
    return file


def texts(c: SimpleNamespace, tokenizer: Any) -> Iterator[str]:
    read = reading_of(tokenizer)
    for row in tqdm(rows(c.DATA, column=c.SVG_COLUMN), desc="drawings", unit="", disable=None):
        if text := read(drawing_text(text_in(row, c.SVG_COLUMN)[0])):
            yield text


def build_model(c: SimpleNamespace, tokenizer: Any) -> ModernBertForMaskedLM:
    """Return a model with unpadded attention: random, or INIT_FROM's with this run's rotary bases."""
    changes = {
        "max_position_embeddings": c.SEQUENCE_LENGTH,
        "attention_dropout": c.DROPOUT,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": c.GLOBAL_THETA},
            "sliding_attention": {"rope_type": "default", "rope_theta": c.LOCAL_THETA},
        },
    }
    if c.INIT_FROM:
        return from_folder(ModernBertForMaskedLM, c.INIT_FROM, attn_implementation=UNPADDED, **changes)
    config = ModernBertConfig(
        vocab_size=-(-len(tokenizer) // 64) * 64,  # whole tiles of a matrix product
        hidden_size=c.HIDDEN_SIZE,
        intermediate_size=c.INTERMEDIATE_SIZE,
        num_hidden_layers=c.LAYERS,
        num_attention_heads=c.HEADS,
        global_attn_every_n_layers=c.GLOBAL_EVERY,
        local_attention=c.LOCAL_WINDOW,
        sparse_prediction=True,  # logits of the hidden tokens only
        classifier_pooling="mean",
        **special_ids(tokenizer),
        **changes,
    )
    return ModernBertForMaskedLM._from_config(config, attn_implementation=UNPADDED)


def build_trainer(
    c: SimpleNamespace,
    model: ModernBertForMaskedLM,
    tokenizer: Any,
    file: TokenFile,
    folder: Path,
    device: torch.device,
) -> MaskedTrainer:
    packs_per_step = c.GRADIENT_ACCUMULATION * processes()
    step = c.PACK_TOKENS * packs_per_step  # tokens
    steps = -(-c.TOKENS // step)
    shape = (c.SEQUENCE_LENGTH, c.PACK_TOKENS, Masking(tokenizer, c.MASKED), c.SEED)
    return MaskedTrainer(
        model=model,
        args=trainer_arguments(
            c,
            folder,
            device,
            gradient_accumulation_steps=c.GRADIENT_ACCUMULATION,
            max_steps=steps,
            lr_scheduler_type="warmup_stable_decay",
            lr_scheduler_kwargs={"num_decay_steps": c.DECAY_TOKENS // step, "decay_type": "1-sqrt"},
            warmup_steps=c.WARMUP_TOKENS // step,
        ),
        data_collator=only,
        train_dataset=Packs(file, file.train(), *shape, count=steps * packs_per_step),
        eval_dataset=Packs(file, file.valid, *shape),
    )


def log_line(record: dict) -> str | None:
    """As of fine-tuning, and how many of the hidden tokens are right."""
    line = training_line(record)
    return f"{line}  right {record['eval_accuracy']:.1%}" if "eval_accuracy" in record else line


if __name__ == "__main__":
    run(main, c)
