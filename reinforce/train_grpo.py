"""Step 4, for those who want more: train a run's adapter on the scores of its own drawings (TRL's GRPOTrainer).

Reads   outputs/<run>/ (the adapter, config.yml, split.json) and the data file it was trained on.
Writes  outputs/<RUN_NAME>/: the adapter, as any run's, grpo.yml, checkpoints, metrics.jsonl, rewards.png, drawings/,
        wandb.

    python -m reinforce.train_grpo --run-dir outputs/first --run-name first-grpo
    python -m reinforce.train_grpo --resume --run-name first-grpo

Several drawings are made of each description of the run's training split, each is rewarded (reinforce/rewards.py), and
what was above its group's mean becomes more likely. The test split is not looked at.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run
from reinforce import continued_run
from svg_constraint import DIALECTS

# Where it begins
RUN_DIR: str = ""  # the folder of a run of train.py, outputs/<run>; "" = the latest run
DATA_PATH: str = ""  # the run's data file, where it has moved since; "" = as in the run's config.yml
# Rewards, each from 0 to 1; the weights are divided by their sum
WEIGHT_LEGALITY: float = 1.0  # 1 when it is legal, 1/2 with one violation, 1/3 with two …
WEIGHT_RENDERS: float = 0.5  # legal, and it shows more than one colour
WEIGHT_LIKENESS: float = 2.0  # legal, and like its sample's drawing or description, by LIKENESS
WEIGHT_LENGTH: float = 1.0  # legal, and about as long as its sample's answer, and with as much in it
WEIGHT_FORMAT: float = 0.5  # a reasoning and an SVG alone, not in the prompt's words
LIKENESS: str = "similarity"  # of scoring/: similarity, text_match, vqa …; NAME=MODEL for another model than its own
DIALECT: str = "prompt"  # of svg_constraint.py: what is legal
# Drawings
GENERATIONS: int = 8  # of each description; they are compared with each other
MAX_NEW_TOKENS: int = 0  # of an answer; 0 = what the run's MAX_LENGTH leaves behind the longest prompt
TEMPERATURE: float = 1.0
ENGINE: str = "auto"  # of drawing: "transformers", "vllm", or "auto": vLLM where it is installed
# Optimization (AdamW)
STEPS: int = 200
BATCH_SIZE: int = 8  # drawings per device and forward pass
GRADIENT_ACCUMULATION: int = 4  # forward passes per step: BATCH_SIZE times this many drawings, GENERATIONS of each
LEARNING_RATE: float = 1e-5  # falls to 0 in a straight line
BETA: float = 0.04  # weight of the KL divergence from the adapter it began as; 0 = none
MAX_GRAD_NORM: float = 1.0  # gradients are clipped to this norm
ACTIVATION_CHECKPOINTING: bool = False  # less memory, 1.3x the time
MAX_MINUTES: float = 0.0  # stop and save after this time; 0 = no limit
SEED: int = 42  # of the order of descriptions and of sampling
# Logging, drawings, checkpoints (in steps)
LOGGING_STEPS: int = 1
SAMPLE_STEPS: int = 20  # a sheet of the newest drawings; after the first step too
SAVE_STEPS: int = 50
SAVE_TOTAL_LIMIT: int = 3  # checkpoints kept
WANDB: bool = True  # online when logged in, else offline; WANDB_MODE is obeyed
WANDB_PROJECT: str = "qwen-svg"
# This run
RUN_NAME: str = ""  # folder under outputs/; "" = a time stamp (with --resume: the latest run)
RESUME: bool = False  # go on from the newest complete checkpoint of RUN_NAME, with that run's constants


def main(c: SimpleNamespace) -> None:
    c = continued_run.constants_of(__file__, c)
    check(c)
    source, config = continued_run.open_source(c)
    from scoring.scores import find_score

    _, likeness = find_score(c.LIKENESS)
    train(c, source, config, prepare_data(c, source, config), likeness)


def check(c: SimpleNamespace) -> None:
    """Refuse values that would fail, or do nothing sensible, only after minutes of work."""
    if c.DIALECT not in DIALECTS:
        raise UserError(f"DIALECT must be one of {', '.join(DIALECTS)}, not {c.DIALECT!r}.")
    given = [name for name in vars(c) if name.startswith("WEIGHT_")]
    continued_run.check(c, ("STEPS", "TEMPERATURE", "SAMPLE_STEPS"), ("BETA", "MAX_NEW_TOKENS", *given))
    if not sum(weights(c)):
        raise UserError("all WEIGHT_… are 0: there is nothing to reward.")
    if c.GENERATIONS < 2 or c.BATCH_SIZE * c.GRADIENT_ACCUMULATION % c.GENERATIONS:
        raise UserError(
            f"GENERATIONS ({c.GENERATIONS}) must be 2 or more, and BATCH_SIZE × GRADIENT_ACCUMULATION "
            f"({c.BATCH_SIZE * c.GRADIENT_ACCUMULATION}) a multiple of it."
        )


def weights(c: SimpleNamespace) -> list[float]:
    """Return the weight of each of REWARDS; they add up to 1, unless all are 0."""
    from reinforce.rewards import REWARDS

    given = [getattr(c, f"WEIGHT_{name.upper()}") for name in REWARDS]
    return [weight / (sum(given) or 1) for weight in given]


def prepare_data(c: SimpleNamespace, source: Path, config: dict) -> SimpleNamespace:
    """Return the training split's prompts with what the rewards need (rows), the tokens of the longest one, and those
    left for an answer (room).
    """
    from datasets import Dataset

    from prompt_template import format_prompt
    from qwen_svg.common.run_split import samples_of
    from qwen_svg.common.tokens import encode
    from qwen_svg.model.tokenizer import load_tokenizer

    samples = samples_of(source, "train", c.DATA_PATH)
    wanted = c.BATCH_SIZE * c.GRADIENT_ACCUMULATION // c.GENERATIONS
    if len(samples) < wanted:
        raise UserError(
            f"the training split of {source} has {len(samples)} descriptions and a step takes {wanted}; use a smaller "
            "GRADIENT_ACCUMULATION or more GENERATIONS."
        )
    tokenizer, form = load_tokenizer(config["base_model"]), config["prompt_form"]
    longest = max(len(row.prompt) for row in encode(tokenizer, samples, form))
    room = config["max_length"] - longest
    rows = Dataset.from_dict(
        {
            "prompt": [format_prompt(tokenizer, sample.description, form) for sample in samples],
            "description": [sample.description for sample in samples],
            "reference": [sample.answer for sample in samples],
        }
    )
    return SimpleNamespace(rows=rows, tokenizer=tokenizer, longest=longest, room=min(c.MAX_NEW_TOKENS or room, room))


def train(c: SimpleNamespace, source: Path, config: dict, data: SimpleNamespace, likeness) -> None:
    from qwen_svg.common.tracking import start_run
    from qwen_svg.generation.vllm_engine import pick_engine
    from reinforce.report import draw_rewards, first_and_last, records_with, write_card
    from reinforce.rewards import REWARDS

    engine = pick_engine(c.ENGINE, config)
    model, device, dtype = continued_run.load_adapter(source, config)
    folder, checkpoint = continued_run.open_folder(c, "grpo", source, config, device, dtype)
    print(f"{source}: {len(data.rows)} descriptions, {data.room} tokens an answer, {engine}, {dtype} on {device}")
    tracker = start_run(c.WANDB_PROJECT, folder, "grpo", vars(c)) if c.WANDB else None
    trainer = build_trainer(c, model, data, folder, device, dtype, engine, likeness, tracker)
    steps = continued_run.train_to_the_end(c, "grpo", trainer, folder, checkpoint)
    draw_rewards(folder / "metrics.jsonl", folder / "rewards.png")
    before, after = first_and_last(records_with("reward", folder / "metrics.jsonl"), "reward")
    given = ", ".join(f"{name} {getattr(c, 'WEIGHT_' + name.upper()):g}" for name in REWARDS)
    facts = {
        "rewards": f"{given}; likeness is {c.LIKENESS}, legal is {c.DIALECT}",
        "steps": f"{steps} of {c.BATCH_SIZE * c.GRADIENT_ACCUMULATION} drawings, {c.GENERATIONS} of each description",
        "learning rate, KL": f"{c.LEARNING_RATE:g}, beta {c.BETA:g}",
        "mean reward, 0 to 1": f"{before:.3f} over the first quarter of the steps, {after:.3f} over the last",
    }
    write_card(folder, c, config["base_model"], "grpo", "the scores of its drawings", facts, "rewards.png")
    print(f"mean reward: {before:.3f} over the first quarter of {steps} steps, {after:.3f} over the last")
    continued_run.print_next_steps(folder, "rewards.png, drawings/", tracker)


def build_trainer(
    c: SimpleNamespace, model, data: SimpleNamespace, folder: Path, device, dtype, engine: str, likeness, tracker
):
    from trl import GRPOConfig

    from qwen_svg.common.tokens import stop_tokens
    from reinforce.rewards import make_rewards
    from reinforce.rollouts import DrawingTrainer, Rewarder, Samples

    stops = stop_tokens(data.tokenizer)
    model.generation_config.eos_token_id = stops  # else TRL knows the tokenizer's EOS alone, and answers run on
    with_vllm = engine == "vllm"
    arguments = GRPOConfig(
        **continued_run.arguments(c, folder, device, dtype),
        max_steps=c.STEPS,
        num_generations=c.GENERATIONS,
        max_completion_length=data.room,
        temperature=c.TEMPERATURE,
        use_vllm=with_vllm,
        vllm_max_model_length=data.longest + data.room,
        generation_kwargs={"stop_token_ids": stops} if with_vllm else None,
        reward_weights=weights(c),
    )
    rewarder = Rewarder(make_rewards(c.DIALECT, likeness), weights(c))
    return DrawingTrainer(
        model=model,
        reward_funcs=rewarder.functions(),
        args=arguments,
        train_dataset=data.rows,
        processing_class=data.tokenizer,
        callbacks=[Samples(folder / "drawings", rewarder, c.SAMPLE_STEPS, tracker)],
    )


if __name__ == "__main__":
    run(main, start(__file__))
