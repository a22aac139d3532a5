"""Samples as token ids: prompt and answer, each by itself.

What a user writes is text, whatever it spells: `<|im_end|>` in a description is ten characters, and not the end of the
user's turn. Only the markup of the chat template around it holds control tokens.
"""

import json
import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from tokenizers import Tokenizer

from prompt_template import end_of_turn, format_prompt
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError

IGNORED = -100  # PyTorch's and transformers' label for "no loss here"
METASPACE = "▁"  # a space in the tokens of SentencePiece and its like (Llama 2, Code Llama)
CONTROL = re.compile(r"<\|.+\|>|</?(?:think|tool_call|tool_response)>")  # also where a base does not mark it as special

NONCE = secrets.token_hex(8)  # drawn anew in each process: nobody can write it into a description
RENAMED: WeakKeyDictionary = WeakKeyDictionary()  # by tokenizer: its length, and its copy with other names


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
        prompts = prompts_ids(tokenizer, [sample.asked for sample in samples], prompt_form)
    except ValueError as error:
        raise UserError(f"PROMPT_FORM: {error} (`--prompt-form raw`).") from None
    answers = text_ids(tokenizer, [sample.answer for sample in samples])
    return [
        Encoded(sample.id, prompt, [*answer, stop])
        for sample, prompt, answer in zip(samples, prompts, answers, strict=True)
    ]


def prompts_ids(tokenizer: Any, asked: list[tuple[str, str | None, str]], prompt_form: str) -> list[list[int]]:
    """Tokenise the prompts of (description, SVG or None, task).

    Raises ValueError where the tokenizer has no prompt of this form.
    """
    names = ControlNames(tokenizer)
    named = [names.within(f"{text} {svg}") for text, svg, _ in asked]
    texts = [
        format_prompt(tokenizer, text, prompt_form, svg=svg, task=task)
        for (text, svg, task), is_named in zip(asked, named, strict=True)
        if not is_named
    ]
    plain = iter(token_ids(tokenizer, texts))
    return [
        prompt_ids(tokenizer, text, prompt_form, svg=svg, task=task) if is_named else next(plain)
        for (text, svg, task), is_named in zip(asked, named, strict=True)
    ]


def prompt_ids(
    tokenizer: Any,
    description: str,
    prompt_form: str,
    before: Iterable[tuple[str, str]] = (),
    svg: str | None = None,
    task: str | None = None,
) -> list[int]:
    """Tokenise one prompt. Arguments as of `format_prompt`, which raises ValueError."""
    names, before = ControlNames(tokenizer), list(before)
    if not any(map(names.within, [description, svg or "", *(text for turn in before for text in turn)])):
        return token_ids(tokenizer, [format_prompt(tokenizer, description, prompt_form, before, svg, task)])[0]
    # Under other names while the template puts its markup around them; then these names are the markup's.
    turns = [(names.swap(asked), names.swap(answer)) for asked, answer in before]
    svg = svg and names.swap(svg)
    return names.ids(names.swap(format_prompt(tokenizer, names.swap(description), prompt_form, turns, svg, task)))


def text_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Tokenise what a user or a model wrote: the names of control tokens in it are text."""
    names = ControlNames(tokenizer)
    plain = iter(token_ids(tokenizer, [text for text in texts if not names.within(text)]))
    return [names.ids(text) if names.within(text) else next(plain) for text in texts]


def token_ids(tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """Tokenise texts as they are, control tokens too; no BOS or other special token is added by the tokenizer."""
    return tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else []


class ControlNames:
    """The names of a tokenizer's control tokens, and other names for them, which no text has."""

    def __init__(self, tokenizer: Any):
        self._tokenizer = tokenizer
        added = tokenizer.added_tokens_decoder.values()
        names = sorted({str(t) for t in added if t.special or CONTROL.fullmatch(str(t))}, key=lambda name: -len(name))
        self._others = {name: f"<{NONCE}.{i}>" for i, name in enumerate(names)}
        self._both = self._others | {other: name for name, other in self._others.items()}
        self._pattern = re.compile("|".join(map(re.escape, self._both)) or r"(?!)")

    def within(self, text: str) -> bool:
        return bool(self._pattern.search(text))

    def swap(self, text: str) -> str:
        """Put the other name in the place of each name, and the name in the place of each other name."""
        return self._pattern.sub(lambda found: self._both[found.group()], text)

    def ids(self, text: str) -> list[int]:
        """Tokenise a text in which only the other names stand for control tokens."""
        length, backend = RENAMED.get(self._tokenizer, (0, None))
        if length != len(self._tokenizer):  # new, or tokens have been added since
            backend = renamed(self._tokenizer.backend_tokenizer, self._others)
            RENAMED[self._tokenizer] = (len(self._tokenizer), backend)
        return backend.encode(text, add_special_tokens=False).ids


def renamed(backend: Tokenizer, names: dict[str, str]) -> Tokenizer:
    """Return a copy in which these tokens have other names, and the same ids. It takes a second, of a large one."""
    described = json.loads(backend.to_str())
    described |= {"truncation": None, "padding": None, "post_processor": None}
    for token in described["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    model = described["model"]
    if isinstance(model["vocab"], dict):
        model["vocab"] = {names.get(piece, piece): id for piece, id in model["vocab"].items()}
    else:  # Unigram's: [piece, score] by id
        model["vocab"] = [[names.get(piece, piece), score] for piece, score in model["vocab"]]
    if "merges" in model:  # a few tokenizers would put "<s" and ">" together
        pairs = (pair if isinstance(pair, list) else pair.split(" ") for pair in model["merges"])
        model["merges"] = [pair for pair in pairs if "".join(pair) not in names]
    if model.get("unk_token"):
        model["unk_token"] = names.get(model["unk_token"], model["unk_token"])
    return Tokenizer.from_str(json.dumps(described))


def within_reach(tokenizer: Any, samples: Iterable[Sample], max_length: int, beyond: list[str]) -> Iterator[Sample]:
    """Yield the samples that may have at most `max_length` tokens; put the ids of the others into `beyond`.

    Of a text that is longer than so many of the longest token, this is known without minutes of tokenising it.
    """
    limit = max_length * max(map(len, tokenizer.get_vocab()))
    for sample in samples:
        if len(sample.description) + len(sample.svg or "") + len(sample.answer) <= limit:
            yield sample
        else:
            beyond.append(sample.id)


def ids_behind(tokenizer: Any, text: str) -> list[int]:
    """Tokenise a text that goes on behind another: without the space that some tokenizers put before a first word."""
    ids, line = token_ids(tokenizer, [text, "\n"])
    if text[0] != " " and tokenizer.convert_ids_to_tokens(ids[0]).startswith(METASPACE):
        return token_ids(tokenizer, ["\n" + text])[0][len(line) :]
    return ids


def stop_tokens(tokenizer: Any) -> list[int]:
    """Return the ids that may end an answer: the end of a turn and the tokenizer's EOS, where they differ."""
    return sorted({tokenizer.convert_tokens_to_ids(end_of_turn(tokenizer)), tokenizer.eos_token_id})
