"""TRL's GRPOTrainer as this project runs it: our prompts, our rewards, our checkpoints; and a look at what is drawn."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import wandb
from transformers import TrainerCallback
from trl import GRPOTrainer
from trl.models import unwrap_model_for_generation

from qwen_svg.common.sheet import write_sheet
from qwen_svg.common.tokens import prompts_ids, stop_tokens
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.engine import Engine, raise_first_error, rows_for
from qwen_svg.generation.vllm_engine import VLLMEngine
from qwen_svg.training.trainer import CompleteCheckpoints
from reinforce.progress import token_credits
from reinforce.rewards import Score
from scoring.candidate import Candidate

SHOWN = 24  # drawings on a sheet


class DrawingTrainer(CompleteCheckpoints, GRPOTrainer):
    """Group-relative policy optimization (Shao et al. 2024) of an adapter.

    Given a PeftModel and beta > 0, TRL adds a frozen copy of its adapter, "ref", before the first step: the KL term is
    to the adapter that training began with, not to the bare base. Checkpoints hold the trained adapter alone.
    """

    def __init__(
        self, *args: Any, prompt_form: str, vllm: VLLMEngine | None = None, progress: float = 0.0, **more: Any
    ):
        """The data set's "prompt" is the description alone. prompt_form: of the prompt that is made of it.

        progress: the weight of what a token adds to its drawing, beside the drawing's own advantage; 0 = none.
        """
        self.prompt_form, self.vllm, self.progress = prompt_form, vllm, progress
        super().__init__(*args, **more)

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict]:
        """As in fine-tuning: TRL would let the tokenizer add a BOS token, and read control tokens in descriptions."""
        asked = [(description, None, "draw") for description in prompts]
        return prompts_ids(self.processing_class, asked, self.prompt_form), None, {}

    def _generate_single_turn(self, prompt_ids: list[list[int]], *rest: Any) -> tuple[list[list[int]], Any]:
        """By this project's decoder, or by vLLM: TRL's batch would run on for its longest answer."""
        limits = self.max_completion_length, self.temperature
        with unwrap_model_for_generation(self.model_wrapped, self.accelerator) as model:
            if self.vllm:
                return sample_by_vllm(self.vllm, model, self.processing_class, prompt_ids, *limits), None
            model.eval()  # no dropout
            answers = sample(model, self.processing_class, prompt_ids, *limits)
            model.train()
        return answers, None

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        """TRL's, and with `progress` an advantage for each token (B, T) in place of one for each drawing (B)."""
        made = super()._generate_and_score_completions(inputs)
        if self.progress:
            added = torch.zeros(made["completion_ids"].shape)
            for row, ids, mask, asked in zip(
                added, made["completion_ids"], made["completion_mask"], inputs, strict=True
            ):
                found = token_credits(ids[mask.bool()].tolist(), self.processing_class, asked["reference"])
                row[: len(found)] = torch.tensor(found)
            made["advantages"] = made["advantages"][:, None] + self.progress * added.to(made["advantages"])
        return made

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """TRL writes one into the run folder with each checkpoint; ours is written at the end."""


def sample(model: Any, tokenizer: Any, prompts: list[list[int]], limit: int, temperature: float) -> list[list[int]]:
    """Return an answer of at most `limit` tokens for each prompt, with the stop token it chose, whatever comes before:
    what the policy says after its drawing shall be seen, and paid for. Random numbers come from torch's generator.
    """
    rows = rows_to_sample(prompts, limit, temperature)
    for advanced in Engine(model, tokenizer, len(prompts), past_the_drawing=True).run(rows):
        raise_first_error(advanced)
    return [row.tokens for row in rows]


def sample_by_vllm(
    engine: VLLMEngine, model: Any, tokenizer: Any, prompts: list[list[int]], limit: int, temperature: float
) -> list[list[int]]:
    """The same by vLLM, which reads the adapter as it is now from a file."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder, selected_adapters=["default"])  # not the reference's
        return engine.generate(rows_to_sample(prompts, limit, temperature), stop_tokens(tokenizer), Path(folder))


def rows_to_sample(prompts: list[list[int]], limit: int, temperature: float) -> list[RowState]:
    seed = int(torch.randint(2**31, ()))
    return rows_for(prompts, max(map(len, prompts)) + limit, limit, temperature, seed)


class Rewarder:
    """The rewards in the form in which TRL calls them, and what they gave the newest drawings."""

    def __init__(self, rewards: dict[str, Score], weights: list[float]):
        self.rewards, self.weights = rewards, weights
        self.drawings: list[Candidate] = []
        self.given: dict[str, list[float]] = {}  # by reward, for each of the drawings

    def functions(self) -> list[Callable[..., list[float]]]:
        return [self._function(name) for name in self.rewards]

    def _function(self, name: str) -> Callable[..., list[float]]:
        def function(completions: list[str], description: list[str], reference: list[str], **_: Any) -> list[float]:
            self.drawings = list(map(Candidate, completions, description, reference))
            self.given[name] = self.rewards[name](self.drawings)
            return self.given[name]

        function.__name__ = name  # TRL logs it under rewards/<name>
        return function

    def totals(self) -> list[float]:
        return [
            sum(weight * value for weight, value in zip(self.weights, values, strict=True))
            for values in zip(*self.given.values(), strict=True)
        ]


class Samples(TrainerCallback):
    """Every so many steps, the newest drawings as a sheet of pictures and as JSON lines with their rewards."""

    def __init__(self, folder: Path, rewarder: Rewarder, every: int, tracker: Any):
        self.folder, self.rewarder, self.every, self.tracker = folder, rewarder, every, tracker

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.is_world_process_zero and (state.global_step == 1 or state.global_step % self.every == 0):
            self.write(state.global_step)

    def write(self, step: int) -> None:
        sheet = self.folder / f"step-{step:05}.png"
        self.folder.mkdir(exist_ok=True)
        drawings, totals, given = self.rewarder.drawings, self.rewarder.totals(), self.rewarder.given
        with sheet.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
            for i, drawing in enumerate(drawings):
                rewards = {"reward": totals[i]} | {name: values[i] for name, values in given.items()}
                record = {"description": drawing.description, "answer": drawing.answer, "rewards": rewards}
                file.write(json.dumps(record, ensure_ascii=False) + "\n")
        shown = list(zip(drawings, totals, strict=True))[:SHOWN]
        write_sheet(sheet, [(f"{total:.2f} {one.description}", judge(one.answer).png) for one, total in shown])
        if self.tracker:
            self.tracker.log({"train/drawings": wandb.Image(str(sheet))}, step=step)
