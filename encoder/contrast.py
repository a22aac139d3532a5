"""Fine-tune an encoder so that drawings of the same thing lie close together, whoever drew them.

Reads   MODEL: the folder of a pretrained encoder; DATA: optimized drawings with a label: what they show.
Writes  outputs/<RUN_NAME>/, as encoder.pretrain does; the same model, whose mean-pooled states are the vectors.

    python -m encoder.contrast --model outputs/encoder-small --data pairs.jsonl --run-name encoder-emoji
    python -m encoder.contrast --resume --run-name encoder-emoji

InfoNCE in both directions (van den Oord et al. 2018, arXiv:1807.03748): of all drawings in a batch, each must find the
other one with its label. The drawings are moved, scaled, mirrored, recoloured, and lose elements, anew each time.
"""

from types import SimpleNamespace

from qwen_svg.common.constants import check_numbers, start
from qwen_svg.common.errors import UserError, run

# Data
DATA: str = ""  # file, pattern, folder or hub dataset with a labelled drawing in each row
SVG_COLUMN: str = "svg"
LABEL_COLUMN: str = "emoji"  # what is drawn; two rows with one label are a pair
GROUP_COLUMN: str = "group"  # labels of one group are never split between training and validation
SOURCE_COLUMN: str = "source"  # who drew it; validation asks from one source to another
# Model
MODEL: str = "outputs/encoder-small"  # folder of a pretrained encoder
# Optimization (StableAdamW, cosine decay)
STEPS: int = 400
PAIRS: int = 64  # labels in a batch; each of the 2 × PAIRS drawings is told from all others
MAX_TOKENS: int = 224  # of a drawing in training; a longer one loses elements at random, others each time
TEMPERATURE: float = 0.05  # of the softmax over cosines
LEARNING_RATE: float = 1e-3  # peak
WARMUP: float = 0.05  # share of all steps
WEIGHT_DECAY: float = 1e-5  # fully decoupled from the rate
MAX_GRAD_NORM: float = 1.0  # gradients are clipped to this norm
BF16: bool = True  # mixed precision on a GPU; a CPU always runs in fp32
MAX_MINUTES: float = 0.0  # stop and save after this time; 0 = no limit
SEED: int = 42  # of pairs and changes
# Logging, evaluation, checkpoints (in steps)
LOGGING_STEPS: int = 10
EVAL_STEPS: int = 100
SAVE_STEPS: int = 100
SAVE_TOTAL_LIMIT: int = 2  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg-encoder"
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def main(c: SimpleNamespace) -> None:
    if c.RESUME:
        from qwen_svg.common.run_folder import constants_to_resume

        c = constants_to_resume(__file__, c.RUN_NAME)
    check(c)
    train(c)


def check(c: SimpleNamespace) -> None:
    from qwen_svg.common.run_folder import check_run_name

    if not c.DATA:
        raise UserError("DATA is not given; name labelled drawings with `--data FILE`.")
    check_numbers(c, above_0=("STEPS", "TEMPERATURE", "LEARNING_RATE", "MAX_GRAD_NORM", "LOGGING_STEPS", "EVAL_STEPS",
                              "SAVE_STEPS", "SAVE_TOTAL_LIMIT"))  # fmt: skip
    if c.MAX_TOKENS < 8:
        raise UserError(f"MAX_TOKENS must be 8 or more, not {c.MAX_TOKENS}.")
    if c.PAIRS < 2:
        raise UserError(f"PAIRS must be 2 or more, not {c.PAIRS}: a drawing is told from those of the other labels.")
    if not 0 <= c.WARMUP < 1 or min(c.WEIGHT_DECAY, c.MAX_MINUTES) < 0:
        raise UserError("WARMUP must be a share below 1, and WEIGHT_DECAY and MAX_MINUTES 0 or more.")
    check_run_name(c.RUN_NAME, is_new=not c.RESUME)


def train(c: SimpleNamespace) -> None:
    from transformers import ModernBertModel, set_seed

    from encoder.contrasting.pairs import PairBatches, read_labelled
    from encoder.contrasting.trainer import ContrastiveTrainer
    from encoder.loading import from_folder, load_tokenizer
    from encoder.training import arguments, only, open_run, run_to_the_end
    from encoder.unpadded import UNPADDED
    from qwen_svg.model.device import pick_device

    tokenizer = load_tokenizer(c.MODEL)
    model = from_folder(ModernBertModel, c.MODEL, attn_implementation=UNPADDED)
    training, validation, fingerprint = read_labelled(
        c.DATA, c.SVG_COLUMN, c.LABEL_COLUMN, c.GROUP_COLUMN, c.SOURCE_COLUMN
    )
    print(
        f"{len(training.texts):,} drawings of {len(set(training.labels)):,} labels, {len(validation.texts):,} set aside"
    )
    set_seed(c.SEED)
    device = pick_device()
    batches = PairBatches(training, tokenizer, c.PAIRS, c.MAX_TOKENS, c.SEED, c.STEPS)
    folder, checkpoint = open_run(c, device, fingerprint)
    trainer = ContrastiveTrainer(
        model=model.to(device),
        args=arguments(c, folder, device, max_steps=c.STEPS, lr_scheduler_type="cosine", warmup_steps=c.WARMUP),
        data_collator=only,
        train_dataset=batches,
        eval_dataset=validation,
    )
    trainer.tokenizer, trainer.temperature = tokenizer, c.TEMPERATURE
    last = run_to_the_end(c, trainer, tokenizer, folder, checkpoint, "encoder.contrast")
    print(
        f"validation: the same thing by another hand comes first in {last['recall_at_1']:.1%}, among the first ten in "
        f"{last['recall_at_10']:.1%} of {last['queries']:,} queries\nmodel and tokenizer are in {folder}"
    )


if __name__ == "__main__":
    run(main, start(__file__))
