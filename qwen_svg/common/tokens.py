"""Samples as token ids: prompt and answer, each by itself."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prompt_template import end_of_turn, format_prompt
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError

IGNORED = -100  # PyTorch's and transformers' label for "no loss here"
METASPACE = "▁"  # a space in the tokens of SentencePiece and its like (Llama 2, Code Llama)


@dataclass(frozen=True)
class Encoded:
    """A sample as token ids. `answer` ends with the end-of-turn token, which is a label like any other."""

    id: str
    prompt: list[int]
    answer: list[int]

    @cached_property
    def length(self) -> int:
        return len(self.prompt) + len(self.answer)


# A row without a label: it makes batches of several processes equal in number, and adds nothing to loss or gradient.
FILLER = Encoded("", [0], [])


def encode(tokenizer: Any, samples: Iterable[Sample], prompt_form: str) -> list[Encoded]:
    """Tokenise samples, prompt and answer apart.

    Apart, because the tokens of an answer must not depend on whether the prompt stands before it: in
    generation it does not yet exist when the prompt is tokenised.
    """
    samples = list(samples)
    stop = tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer))
    try:
        prompts = [format_prompt(tokenizer, sample.description, prompt_form) for sample in samples]
    except ValueError as error:
        raise UserError(f"PROMPT_FORM: {error} (`--prompt-form raw`).") from None
    prompt_ids = token_ids(tokenizer, prompts)
    answer_ids = token_ids(tokenizer, [sample.answer for sample in samples])
    return [
        Encoded(sample.id, prompt, [*answer, stop])
        for sample, prompt, answer in zip(samples, prompt_ids, answer_ids, strict=True)
    ]


def token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Tokenise texts as they are: no BOS or other special token is added by the tokenizer."""
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


def ids_behind(tokenizer: Any, text: str) -> list[int]:
    """Tokenise a text that goes on behind another: without the space that some tokenizers put before a first word."""
    ids, line = token_ids(tokenizer, [text, "\n"])
    if text[0] != " " and tokenizer.convert_ids_to_tokens(ids[0]).startswith(METASPACE):
        return token_ids(tokenizer, ["\n" + text])[0][len(line) :]
    return ids


def stop_tokens(tokenizer: Any) -> list[int]:
    """Return the ids that may end an answer: the end of a turn and the tokenizer's EOS, where they differ."""
    return sorted({tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)), tokenizer.eos_token_id})
