"""Do new tokens pay? Trained for the same CPU time without them, with markup's and with numbers', what comes out?

    python -m benchmarks.number_tokens [--arms ARM …] [--data FILE] [--minutes 6] [--drawings 48] [--json]

ARM: none, markup or numbers; all of them by default. Each is trained as configs/quickstart.yml says, with its
SVG_TOKENS, for so many minutes of this process's CPU time in training steps (all threads; validation is not counted),
while the learning rate falls to 0. FILE: plain scenes (`corpus.compose --samples 500 --level 1 --unseen 0.05`). Then,
with the same held-out samples for all arms: bits per byte of the validation split's answers, since tokens differ and
bytes do not; and of the first drawings of the test split, greedy and without constraint, the share that is legal and
the claims that hold, of combinations that training had and had not. What a training writes is in a temporary folder.
"""

import argparse
import math
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, set_seed

import train
from benchmarks.measure import report
from benchmarks.scenes import figures
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.dataset import Sample, read_samples
from qwen_svg.common.tokens import encode
from qwen_svg.generation.engine import generate_answers
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropy
from qwen_svg.model.device import pick_precision
from qwen_svg.model.load import LoadedModel, load_config
from qwen_svg.training.data import TrainingData, prepare_data
from qwen_svg.training.trainer import run_training

ARMS = ("none", "markup", "numbers")
RECIPE = ("--config", "quickstart")
CPU = torch.device("cpu")
MOST_STEPS = 10**6  # before EPOCHS or an evaluation comes, the time is over


class ByCpuTime(TrainerCallback):
    """A training that ends after so many seconds of CPU time in its steps, by when its learning rate is 0."""

    def __init__(self, seconds: float, peak: float, warmup: float, trainer: Trainer):
        """warmup: steps. trainer: whose optimizer has the learning rate."""
        self.seconds, self.peak, self.warmup, self.trainer = seconds, peak, warmup, trainer
        self.spent = self.began = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        rate = self.peak * (1 + math.cos(math.pi * min(1, self.spent / self.seconds))) / 2  # half a cosine
        for group in self.trainer.optimizer.param_groups:
            group["lr"] = rate * min(1, (state.global_step + 1) / self.warmup)
        self.began = time.process_time()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.spent += time.process_time() - self.began
        control.should_training_stop |= self.spent >= self.seconds


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--data", default="data/scenes.jsonl")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--drawings", type=int, default=48)
    parser.add_argument("--json", action="store_true")
    asked, found, held_out = parser.parse_args(), {}, []
    samples = {sample.id: sample for sample in read_samples(Path(asked.data)).samples}
    for arm in asked.arms:
        with TemporaryDirectory() as folder:
            loaded, data, made = trained(arm, asked.data, 60 * asked.minutes, Path(folder))
        held_out.append((data.ids["valid"], data.ids["test"]))
        if held_out[0] != held_out[-1]:
            raise RuntimeError(f"{arm} holds other samples out: some are too long for one of the arms")
        valid, test = ([samples[id] for id in ids] for ids in held_out[0])
        found[arm] = made | losses(loaded, valid) | drawn(loaded, test[: asked.drawings])
        print(arm, found[arm], flush=True)
    report(found)


def trained(arm: str, data_path: str, seconds: float, folder: Path) -> tuple[LoadedModel, TrainingData, dict]:
    """Return the trained model with its adapter merged, the data, and how far it came."""
    c = constants_of(arm, data_path)
    tokenizer, new_tokens = train.pick_tokenizer(c)
    data = prepare_data(c, tokenizer)
    dtype, _ = pick_precision(c, CPU, load_config(c.BASE_MODEL))
    set_seed(c.SEED)
    loaded = train.build_model(c, tokenizer, new_tokens, CPU, dtype)
    trainer, stop = train.build_trainer(c, loaded, data, folder, checkpointing=False)
    trainer.args.eval_on_start = False
    clock = ByCpuTime(seconds, c.LEARNING_RATE, c.WARMUP, trainer)
    trainer.add_callback(clock)
    start = time.perf_counter()
    run_training(trainer, stop)
    steps, rows = trainer.state.global_step, data.parts["train"]
    made = {"steps": steps, "epochs": round(steps * c.BATCH_SIZE / len(rows), 2), "cpu_seconds": round(clock.spent, 1)}
    made |= {"wall_seconds": round(time.perf_counter() - start), "tokens_a_sample": sum(rows.lengths) / len(rows)}
    model = loaded.model.merge_and_unload().eval()
    return LoadedModel(model, tokenizer, loaded.source, CPU, dtype), data, made


def constants_of(arm: str, data_path: str) -> SimpleNamespace:
    c = constants_in_force(train.__file__, [*RECIPE, "--data-path", data_path, "--no-wandb"])
    c.SVG_TOKENS = "" if arm == "none" else arm
    c.EPOCHS, c.EVAL_STEPS, c.SAVE_STEPS = float(MOST_STEPS), MOST_STEPS, MOST_STEPS
    return c


def losses(loaded: LoadedModel, samples: list[Sample]) -> dict:
    """The end of a turn is among the tokens, and not among the bytes."""
    rows = encode(loaded.tokenizer, samples, loaded.prompt_form)
    loss = cross_entropy(loaded.model, rows, LeftPaddingCollator(loaded.tokenizer.pad_token_id), 8)
    size = sum(len(sample.answer.encode()) for sample in samples)
    return {"bits_per_byte": loss.nats / math.log(2) / size, "nats_per_token": loss.mean}


def drawn(loaded: LoadedModel, samples: list[Sample]) -> dict:
    prompts, start = [row.prompt for row in encode(loaded.tokenizer, samples, loaded.prompt_form)], time.process_time()
    answers = generate_answers(
        loaded.model, loaded.tokenizer, prompts, max_total=loaded.max_length, max_new=loaded.max_length,
        temperature=0.0, seed=0, batch_size=8, progress="drawing",
    )  # fmt: skip
    tokens, seconds = sum(answer.tokens for answer in answers), time.process_time() - start
    made = {"tokens_an_answer": tokens / len(answers), "cpu_seconds_an_answer": seconds / len(answers)}
    return figures(samples, [answer.text for answer in answers]) | made


if __name__ == "__main__":
    main()
