"""Step 4, for those who want more: train a run's adapter on the scores of its own drawings (TRL's GRPOTrainer).

Reads   outputs/<run>/ (the adapter, config.yml, split.json) and the data file it was trained on.
Writes  outputs/<RUN_NAME>/: the adapter, as any run's, grpo.yml, checkpoints, metrics.jsonl, rewards.png, drawings/,
        wandb.

    python -m reinforce.train_grpo --model first --run-name first-grpo
    python -m reinforce.train_grpo --resume --run-name first-grpo

Several drawings are made of each description of the run's training split, each is rewarded (reinforce/rewards.py), and
what was above its group's mean becomes more likely. The test split is not looked at.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal, NamedTuple

from qwen_svg.common.constants import (
    Above,
    AtLeast,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Seed,
    start,
)
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.processes import processes
from reinforce import shared_constants
from reinforce.shared_constants import FORMERLY, constants_of

# Where it begins
MODEL: str = ""  # a run of train.py, by name or folder; "" = the newest run
DATA_PATH: list[str] = []  # the run's data files, where they have moved since; none = as in the run's config.yml
# Rewards, each from 0 to 1; the weights are divided by their sum
WEIGHT_LEGALITY: NonNegativeFloat = 1.0  # 1 when it is legal, 1/2 with one violation, 1/3 with two …
WEIGHT_RENDERS: NonNegativeFloat = 0.5  # legal, and it shows more than one colour
WEIGHT_LIKENESS: NonNegativeFloat = 2.0  # legal, and like its sample's drawing or description, by LIKENESS
WEIGHT_LENGTH: NonNegativeFloat = 1.0  # legal, and about as long as its sample's answer, and with as much in it
WEIGHT_FORMAT: NonNegativeFloat = 0.5  # a reasoning and an SVG alone, not in the prompt's words
LENGTH_FORM: Literal["factor", "efficiency"] = "factor"  # "efficiency": CTRL-S's, the shorter the SVG the better
FORMAT_GATE: bool = False  # an answer without the format has no reward at all, as in CTRL-S
PROGRESS: NonNegativeFloat = 0.0  # not in that sum: × what its commands add, to a token's advantage; 10 in IR4RL
LIKENESS: str = "similarity"  # of scoring/: similarity, text_match, vqa …; NAME=MODEL for another model than its own
DIALECT: Literal["prompt", "prompt+gradients", "prompt+strokes", "kaggle"] = "prompt"  # what is legal
# Drawings
GENERATIONS: Annotated[int, AtLeast(2)] = 8  # of each description; they are compared with each other
MAX_NEW_TOKENS: NonNegativeInt = 0  # of an answer; 0 = what the run's MAX_LENGTH leaves behind the longest prompt
TEMPERATURE: PositiveFloat = 1.0
ENGINE: Literal["auto", "transformers", "vllm"] = "auto"  # of drawing; auto: vLLM where `make vllm` was
# Optimization (AdamW)
STEPS: PositiveInt = 200
BATCH_SIZE: Annotated[int, Above(0, 65_536)] = 8  # drawings per device and forward pass
GRADIENT_ACCUMULATION: Annotated[int, Above(0, 65_536)] = 4  # passes per step; a multiple of GENERATIONS
LEARNING_RATE: PositiveFloat = 1e-5  # falls to 0 in a straight line
BETA: NonNegativeFloat = 0.04  # weight of the KL divergence from the adapter it began as; 0 = none
MAX_GRAD_NORM: PositiveFloat = 1.0  # gradients are clipped to this norm
ACTIVATION_CHECKPOINTING: bool = False  # less memory, 1.3x the time
MAX_MINUTES: NonNegativeFloat = 0.0  # stop and save after this time; 0 = no limit
SEED: Seed = 42  # of the order of descriptions and of sampling
# Logging, drawings, checkpoints (in steps)
LOGGING_STEPS: PositiveInt = 1
SAMPLE_STEPS: PositiveInt = 20  # a sheet of the newest drawings; after the first step too
SAVE_STEPS: PositiveInt = 50
SAVE_TOTAL_LIMIT: PositiveInt = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
REPORT_TO: Literal["", "tensorboard", "trackio"] = ""  # another tracker beside wandb; requirements/trackers.txt
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def check_constants(c: SimpleNamespace) -> None:
    """Refuse values that do not go together, before anything heavy is imported."""
    shared_constants.check_constants(c)
    if not any(value for name, value in vars(c).items() if name.startswith("WEIGHT_")):
        raise UserError("all WEIGHT_… are 0: there is nothing to reward.")
    if c.ENGINE == "vllm" and processes() > 1:
        raise UserError("ENGINE 'vllm' draws for one process; leave out the launcher, or take `--engine transformers`.")
    drawings = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION
    if drawings % c.GENERATIONS:
        raise UserError(
            f"a step's drawings, BATCH_SIZE × GRADIENT_ACCUMULATION ({drawings}), must be a multiple of GENERATIONS "
            f"({c.GENERATIONS})."
        )


if __name__ == "__main__":
    c = constants_of(__file__, start(__file__, formerly=FORMERLY))
    check_constants(c)

from datasets import Dataset
from trl import GRPOConfig

from qwen_svg.common.run_folder import Run
from qwen_svg.common.run_split import samples_of
from qwen_svg.common.tokens import encode, stop_tokens
from qwen_svg.common.tracking import start_run
from qwen_svg.generation.vllm_engine import VLLMEngine, pick_engine
from qwen_svg.model.load import LoadedModel
from qwen_svg.model.source import tokenizer_of
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.training.checkpoints import freed_if_stopped
from reinforce.continued_run import (
    load_origin,
    open_folder,
    open_origin,
    print_next_steps,
    train_and_save,
    trl_arguments,
)
from reinforce.report import draw_rewards, first_and_last, records_with, write_card
from reinforce.rewards import REWARDS, make_rewards
from reinforce.rollouts import DrawingTrainer, Rewarder, Samples
from scoring.scores import find_score


class Prompts(NamedTuple):
    """Of the training split."""

    rows: Dataset  # with what the rewards need
    longest: int  # tokens of the longest one
    room: int  # tokens left for an answer


def main(c: SimpleNamespace) -> None:
    # 1. The run to begin with, what scores likeness, the prompts.
    origin = open_origin(c)
    _, likeness = find_score(c.LIKENESS)
    prompts = prepare_prompts(c, origin)
    engine = pick_engine(c.ENGINE, origin.constants) if processes() == 1 else "transformers"

    # 2. The model, then the run folder: a base that cannot be loaded leaves none behind.
    loaded = load_origin(origin)
    folder, checkpoint = open_folder(c, "grpo", origin, loaded)
    print(
        f"{c.MODEL}: {len(prompts.rows)} descriptions, {prompts.room} tokens an answer, {engine}, {loaded.dtype} on "
        f"{loaded.device}"
    )

    # 3. Train.
    with freed_if_stopped(folder):
        tracker = start_run(c.WANDB_PROJECT, folder, "grpo", vars(c)) if c.WANDB else None
        rewarder = Rewarder(make_rewards(c.DIALECT, likeness, c.LENGTH_FORM, c.FORMAT_GATE), weights(c))
        vllm = open_vllm(c, origin, loaded, prompts) if engine == "vllm" else None
        trainer = build_trainer(c, loaded, prompts, folder, vllm, rewarder)
        trainer.add_callback(Samples(folder / "drawings", rewarder, c.SAMPLE_STEPS, tracker))
        steps = train_and_save(c, "grpo", trainer, folder, checkpoint, log_line, tracker)

    # 4. What came out.
    report(c, origin, folder, steps)
    print_next_steps(folder, "rewards.png, drawings/", tracker)


def prepare_prompts(c: SimpleNamespace, origin: Run) -> Prompts:
    """Return the prompts of the run's training split, without edits and repairs: the rewards are for drawings.

    Raises UserError where a step takes more than there are.
    """
    samples = [sample for sample in samples_of(origin.folder, "train", c.DATA_PATH) if sample.task == "draw"]
    wanted = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION // c.GENERATIONS
    if len(samples) < wanted:
        raise UserError(
            f"the training split of {origin.folder} has {len(samples)} descriptions and a step takes {wanted}; use a "
            "smaller GRADIENT_ACCUMULATION or more GENERATIONS."
        )
    tokenizer = load_tokenizer(tokenizer_of(origin.folder) or origin.constants.BASE_MODEL)
    form = origin.constants.PROMPT_FORM
    longest = max(len(row.prompt) for row in encode(tokenizer, samples, form))
    room = origin.constants.MAX_LENGTH - longest
    rows = Dataset.from_dict(
        {
            "prompt": [sample.description for sample in samples],  # made one by the trainer
            "description": [sample.description for sample in samples],
            "reference": [sample.answer for sample in samples],
        }
    )
    return Prompts(rows, longest, min(c.MAX_NEW_TOKENS or room, room))


def weights(c: SimpleNamespace) -> list[float]:
    """Return the weight of each of REWARDS; they add up to 1."""
    given = [getattr(c, f"WEIGHT_{name.upper()}") for name in REWARDS]
    return [weight / sum(given) for weight in given]


def open_vllm(c: SimpleNamespace, origin: Run, loaded: LoadedModel, prompts: Prompts) -> VLLMEngine:
    rank, tokens = origin.constants.LORA_RANK, prompts.longest + prompts.room
    return VLLMEngine(loaded.source.base, rank, loaded.dtype, tokens, c.SEED, origin.folder)


def build_trainer(
    c: SimpleNamespace, loaded: LoadedModel, prompts: Prompts, folder: Path, vllm: VLLMEngine | None, rewarder: Rewarder
) -> DrawingTrainer:
    # Else TRL knows the tokenizer's EOS alone, and answers run on.
    loaded.model.generation_config.eos_token_id = stop_tokens(loaded.tokenizer)
    arguments = GRPOConfig(
        **trl_arguments(c, folder, loaded),
        max_steps=c.STEPS,
        num_generations=c.GENERATIONS,
        max_completion_length=prompts.room,
        temperature=c.TEMPERATURE,
        reward_weights=weights(c),
    )
    return DrawingTrainer(
        model=loaded.model,
        reward_funcs=rewarder.functions(),
        args=arguments,
        train_dataset=prompts.rows,
        processing_class=loaded.tokenizer,
        prompt_form=loaded.prompt_form,
        vllm=vllm,
        progress=c.PROGRESS,
    )


def log_line(record: dict) -> str | None:
    """Return what is said of a logged record; None for one that says nothing new."""
    if "reward" not in record:
        return None
    return (
        f"step {record['step']:>5}  epoch {record['epoch']:.2f}  reward {record['reward']:.3f}  "
        f"legality {record['rewards/legality/mean']:.3f}  KL {record.get('kl', 0):.4f}  "
        f"tokens {record['completions/mean_length']:.0f}"
    )


def report(c: SimpleNamespace, origin: Run, folder: Path, steps: int) -> None:
    """Draw the curves, write the card, say what came out."""
    draw_rewards(folder / "metrics.jsonl", folder / "rewards.png")
    before, after = first_and_last(records_with("reward", folder / "metrics.jsonl"), "reward")
    given = ", ".join(f"{name} {getattr(c, 'WEIGHT_' + name.upper()):g}" for name in REWARDS)
    facts = {
        "rewards": f"{given}; likeness is {c.LIKENESS}, legal is {c.DIALECT}; progress {c.PROGRESS:g}",
        "steps": f"{steps} of {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION} drawings, {c.GENERATIONS} of each description",
        "learning rate, KL": f"{c.LEARNING_RATE:g}, beta {c.BETA:g}",
        "mean reward, 0 to 1": f"{before:.3f} over the first quarter of the steps, {after:.3f} over the last",
    }
    write_card(folder, c, origin.constants.BASE_MODEL, "grpo", "the scores of its drawings", facts, "rewards.png")
    print(f"mean reward: {before:.3f} over the first quarter of {steps} steps, {after:.3f} over the last")


if __name__ == "__main__":
    run(main, c)
