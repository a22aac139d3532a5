"""Fine-tune an encoder so that drawings of the same thing lie close together, whoever drew them.

Reads   MODEL: the folder of a pretrained encoder; DATA: optimized drawings with a label: what they show.
Writes  outputs/<RUN_NAME>/, as encoder.pretrain does; the same model, whose mean-pooled states are the vectors.

    python -m encoder.contrast --model outputs/encoder-small --data pairs.jsonl --run-name encoder-emoji
    python -m encoder.contrast --resume --run-name encoder-emoji

InfoNCE in both directions (van den Oord et al. 2018, arXiv:1807.03748): of all drawings in a batch, each must find the
other one with its label. The drawings are moved, scaled, mirrored, recoloured, and lose elements, anew each time.
"""

from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import AtLeast, Between, NonNegativeFloat, PositiveFloat, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.run_folder import check_run_name
from qwen_svg.training.resume import constants_to_resume

# Data
DATA: str = ""  # file, pattern, folder or hub dataset with a labelled drawing in each row
SVG_COLUMN: str = "svg"
LABEL_COLUMN: str = "emoji"  # what is drawn; two rows with one label are a pair
GROUP_COLUMN: str = "group"  # labels of one group are never split between training and validation
SOURCE_COLUMN: str = "source"  # who drew it; validation asks from one source to another
# Model
MODEL: str = "outputs/encoder-small"  # folder of a pretrained encoder
# Optimization (StableAdamW, cosine decay)
STEPS: PositiveInt = 400
PAIRS: Annotated[int, AtLeast(2)] = 64  # labels in a batch; each of the 2 × PAIRS drawings is told from all others
MAX_TOKENS: Annotated[int, AtLeast(8)] = 224  # of a drawing; a longer one loses elements at random, others each time
TEMPERATURE: PositiveFloat = 0.05  # of the softmax over cosines
LEARNING_RATE: PositiveFloat = 1e-3  # peak
WARMUP: Annotated[float, Between(0, 0.99)] = 0.05  # share of all steps
WEIGHT_DECAY: NonNegativeFloat = 1e-5  # fully decoupled from the rate
MAX_GRAD_NORM: PositiveFloat = 1.0  # gradients are clipped to this norm
BF16: bool = True  # mixed precision on a GPU; a CPU always runs in fp32
MAX_MINUTES: NonNegativeFloat = 0.0  # stop and save after this time; 0 = no limit
SEED: Seed = 42  # of pairs and changes
# Logging, evaluation, checkpoints (in steps)
LOGGING_STEPS: PositiveInt = 10
EVAL_STEPS: PositiveInt = 100
SAVE_STEPS: PositiveInt = 100
SAVE_TOTAL_LIMIT: PositiveInt = 2  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg-encoder"
REPORT_TO: Literal["", "tensorboard", "trackio"] = ""  # another tracker beside wandb; requirements/trackers.txt
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def check_constants(c: SimpleNamespace) -> None:
    if not c.DATA:
        raise UserError("DATA is not given; name labelled drawings with `--data FILE`.")
    check_run_name(c.RUN_NAME, is_new=not c.RESUME)


if __name__ == "__main__":
    c = start(__file__)
    c = constants_to_resume(__file__, c.RUN_NAME) if c.RESUME else c
    check_constants(c)

from transformers import ModernBertModel, set_seed

from encoder.contrasting.pairs import PairBatches, read_labelled
from encoder.contrasting.trainer import ContrastiveTrainer
from encoder.loading import from_folder, load_tokenizer
from encoder.training import only, open_folder, train_and_save, trainer_arguments
from encoder.unpadded import UNPADDED
from qwen_svg.model.device import pick_device
from qwen_svg.training.callbacks import log_line as training_line

SCRIPT = "-m encoder.contrast"


def main(c: SimpleNamespace) -> None:
    # 1. The pretrained encoder and the labelled drawings.
    tokenizer = load_tokenizer(c.MODEL)
    model = from_folder(ModernBertModel, c.MODEL, attn_implementation=UNPADDED)
    training, validation, fingerprint = read_labelled(
        c.DATA, c.SVG_COLUMN, c.LABEL_COLUMN, c.GROUP_COLUMN, c.SOURCE_COLUMN
    )
    print(
        f"{len(training.texts):,} drawings of {len(set(training.labels)):,} labels, {len(validation.texts):,} set aside"
    )
    set_seed(c.SEED)
    batches = PairBatches(training, tokenizer, c.PAIRS, c.MAX_TOKENS, c.SEED, c.STEPS)

    # 2. The run folder, and training.
    device = pick_device()
    folder, checkpoint = open_folder(c, SCRIPT, device, fingerprint)
    steps = {"max_steps": c.STEPS, "lr_scheduler_type": "cosine", "warmup_steps": c.WARMUP}
    trainer = ContrastiveTrainer(
        model=model.to(device),
        args=trainer_arguments(c, folder, device, **steps),
        data_collator=only,
        train_dataset=batches,
        eval_dataset=validation,
    )
    trainer.tokenizer, trainer.temperature = tokenizer, c.TEMPERATURE
    less_memory = "take fewer PAIRS or a smaller MAX_TOKENS"
    last = train_and_save(c, SCRIPT, trainer, tokenizer, folder, checkpoint, log_line, less_memory)

    # 3. What came out.
    print(
        f"validation: the same thing by another hand comes first in {last['recall_at_1']:.1%}, among the first ten in "
        f"{last['recall_at_10']:.1%} of {last['queries']:,} queries\nmodel and tokenizer are in {folder}"
    )


def log_line(record: dict) -> str | None:
    """Return what is said of a logged record; None for one that says nothing new."""
    if "eval_recall_at_1" not in record:
        return training_line(record)
    return (
        f"step {record['step']:>5}  epoch {record['epoch']:.2f}  validation recall@1 {record['eval_recall_at_1']:.1%}  "
        f"recall@10 {record['eval_recall_at_10']:.1%}"
    )


if __name__ == "__main__":
    run(main, c)
