"""A training that is watched as it learns to draw: a few descriptions, always the same, drawn at each evaluation."""

from pathlib import Path
from typing import Any

import torch
import wandb
from transformers import TrainerCallback

from qwen_svg.common.sheet import write_sheet
from qwen_svg.common.tokens import Encoded
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation.engine import generate_answers


class DrawingsSoFar(TrainerCallback):
    """At each evaluation behind the first, what the model makes of some descriptions, freely and greedily.

    Written as a sheet of pictures, `folder`/step-00050.png, and sent to wandb where it is on. An answer gets as many
    tokens as the longest of the rows' own: before it has learned where to stop, a model would go on for minutes.
    """

    def __init__(self, folder: Path, tokenizer: Any, rows: list[Encoded], descriptions: dict[str, str], tracker: Any):
        """rows: of the validation part. descriptions: of them, by id. tracker: a wandb run, or None."""
        self.folder, self.tokenizer, self.tracker = folder, tokenizer, tracker
        self.prompts, self.captions = [row.prompt for row in rows], [descriptions[row.id] for row in rows]
        self.room = max((len(row.answer) for row in rows), default=0)

    def on_evaluate(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
        if not (self.prompts and state.global_step and state.is_world_process_zero):
            return
        self.folder.mkdir(exist_ok=True)
        sheet = self.folder / f"step-{state.global_step:05}.png"
        write_sheet(sheet, zip(self.captions, [judge(answer).png for answer in self.answers(model)], strict=True))
        if self.tracker:
            self.tracker.log({"valid/drawings": wandb.Image(str(sheet))}, step=state.global_step)

    def answers(self, model: Any) -> list[str]:
        """model: the PeftModel in training, whose forward method is the loss; that of the model inside is its own."""
        inner, dtype = model.get_base_model(), model.get_output_embeddings().weight.dtype
        was_training = model.training
        model.eval()
        try:
            with torch.autocast(model.device.type, dtype, enabled=dtype in (torch.float16, torch.bfloat16)):
                found = generate_answers(
                    inner, self.tokenizer, self.prompts, max_total=max(map(len, self.prompts)) + self.room,
                    max_new=self.room, batch_size=len(self.prompts), temperature=0.0, seed=0, progress="drawing",
                )  # fmt: skip
        finally:
            model.train(was_training)
        return [answer.text for answer in found]
