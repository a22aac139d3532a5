"""Letting a model answer: rows sorted by length, decoded in batches, stopped where the answer ends."""

import time
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm
from transformers import GenerationConfig, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from prompt_template import end_of_turn, extract_svg

CLOSING = "</svg>"
CLOSING_WINDOW = 8  # tokens looked back over for `</svg>`; no tokenizer needs more than 6 for these 6 characters


@dataclass(frozen=True)
class Answer:
    text: str
    tokens: int  # generated, the end-of-turn token included
    seconds: float  # this row's share of its batch
    finished: bool  # ended by itself; False = cut at the token limit


def generate_answers(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    max_total: int,
    max_new: int,
    batch_size: int,
    temperature: float,
    seed: int,
    progress: str,
    constrained: bool = False,
) -> list[Answer]:
    """Return one answer for each prompt (token ids), in the order given.

    max_total: tokens of prompt + answer; max_new: of the answer alone. temperature 0 is greedy decoding.
    constrained: only answers that `svg_constraint` finds legal in the prompt dialect, whatever the model.
    Batches hold prompts of like length: a batch runs until its last row ends, and padding is work.
    """
    torch.manual_seed(seed)
    stops = sorted({tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)), tokenizer.eos_token_id})
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]), reverse=True)
    answers: dict[int, Answer] = {}
    with tqdm(total=len(prompts), desc=progress, unit="drawing", disable=None) as bar:
        for start in range(0, len(order), batch_size):
            members = order[start : start + batch_size]
            longest = len(prompts[members[0]])
            limit = max(1, min(max_new, max_total - longest))
            rows = [prompts[i] for i in members]
            batch = _generate_batch(model, tokenizer, rows, limit, temperature, stops, bar, constrained)
            answers.update(zip(members, batch, strict=True))
            bar.update(len(members))
    return [answers[i] for i in range(len(prompts))]


@torch.no_grad()
def _generate_batch(
    model: Any,
    tokenizer: Any,
    rows: list[list[int]],
    limit: int,
    temperature: float,
    stops: list[int],
    bar: tqdm,
    constrained: bool,
) -> list[Answer]:
    from common.constrained import LegalAnswers

    width = max(len(row) for row in rows)
    input_ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    for i, row in enumerate(rows):
        input_ids[i, -len(row) :] = torch.tensor(row)
        attention_mask[i, -len(row) :] = 1
    start = time.perf_counter()
    output = model.generate(
        input_ids=input_ids.to(model.device),
        attention_mask=attention_mask.to(model.device),
        # Everything said explicitly: a base's own generation config may sample, or punish repetition, and an
        # SVG repeats itself.
        generation_config=GenerationConfig(
            max_new_tokens=limit,
            do_sample=temperature > 0,
            temperature=temperature if temperature > 0 else None,
            top_k=0 if temperature > 0 else None,
            top_p=1.0 if temperature > 0 else None,
            repetition_penalty=1.0,
            eos_token_id=stops,
            pad_token_id=tokenizer.pad_token_id,
        ),
        logits_processor=LogitsProcessorList([LegalAnswers(tokenizer, width, limit, stops)] if constrained else []),
        stopping_criteria=StoppingCriteriaList([_SvgClosed(tokenizer, width, bar)]),
    )
    seconds = (time.perf_counter() - start) / len(rows)
    return [_read_answer(tokenizer, ids, stops, seconds) for ids in output[:, width:].tolist()]


def _read_answer(tokenizer: Any, ids: list[int], stops: list[int], seconds: float) -> Answer:
    """Cut a row at its first stop token; behind it, and behind `</svg>`, there is only padding."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    if end is not None:
        ids = ids[: end + 1]
    while end is None and ids and ids[-1] == tokenizer.pad_token_id:
        ids.pop()
    text = tokenizer.decode(ids, skip_special_tokens=True)
    return Answer(text, len(ids), seconds, finished=end is not None or extract_svg(text) is not None)


class _SvgClosed(StoppingCriteria):
    """Ends a row once it has written `</svg>`, and keeps the progress bar's token count moving."""

    def __init__(self, tokenizer: Any, prompt_width: int, bar: tqdm):
        self.tokenizer, self.prompt_width, self.bar = tokenizer, prompt_width, bar

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        new = input_ids[:, self.prompt_width :]
        self.bar.set_postfix_str(f"token {new.shape[1]}", refresh=new.shape[1] % 20 == 0)
        tails = self.tokenizer.batch_decode(new[:, -CLOSING_WINDOW:])
        closed = [CLOSING in tail and self._has_svg(row) for tail, row in zip(tails, new, strict=True)]
        return torch.tensor(closed, device=input_ids.device)

    def _has_svg(self, row: torch.Tensor) -> bool:
        return extract_svg(self.tokenizer.decode(row)) is not None  # a reasoning may name `</svg>` in passing
