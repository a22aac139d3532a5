"""New tokens for SVG: tags, attribute names and path commands, each one token instead of several pieces.

A tokenizer made for prose spells ` stroke-width="` in four pieces. The tokens below are added to it, and a row for each
to the model's embeddings, which begins as the mean of its pieces' rows; only these rows are trained (PEFT's trainable
token indices). They are written so that they are found in drawings and hardly ever in prose: an attribute with its
equals sign and quote, a path command between spaces. A run keeps its tokenizer beside its adapter.
"""

from typing import Any

import torch
from tokenizers import AddedToken

from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import ids_behind
from svg_constraint import CHILDREN, GRADIENT_TABLE, PROMPT_ATTRIBUTES, PROMPT_TAGS, SVG_OPEN

# What a path begins with, what is common in it, what it ends with. Not the rare commands: " A " is an English word.
PATH_TOKENS = (' d="M', " L ", " C ", " Q ", ' Z"')


def svg_tokens() -> list[str]:
    """Return the texts of all tokens that are added where a tokenizer has not got them, in a fixed order."""
    attributes = dict.fromkeys([*PROMPT_ATTRIBUTES, *sorted(set().union(*GRADIENT_TABLE.values()))])
    return [
        SVG_OPEN,
        *(f"<{tag}" for tag in PROMPT_TAGS),
        *(f"</{tag}>" for tag in PROMPT_TAGS if CHILDREN[tag]),
        *(f' {name}="' for name in attributes),  # behind a tag
        *(f'" {name}="' for name in attributes),  # behind another attribute's value
        *PATH_TOKENS,
    ]


def add_svg_tokens(tokenizer: Any) -> None:
    """Add the tokens to a tokenizer. Raises UserError where it then changes a text that it encodes and decodes."""
    new = [text for text in svg_tokens() if len(ids_behind(tokenizer, text)) > 1]
    tokenizer.add_tokens([AddedToken(text, normalized=False, special=False) for text in new])
    text = f'{SVG_OPEN}\n<g fill="red">\n <path stroke="none" d="M1 2 L 3.5 -4 Z" opacity=".5"/>\n</g>\n</svg>'
    if tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) != text:
        raise UserError(
            "SVG_TOKENS: this base's tokenizer does not give back a text with new tokens as it was; train without them "
            "(`--no-svg-tokens`)."
        )


def pieces_of_new(tokenizer: Any, base: Any) -> dict[int, list[int]]:
    """Return, for each token that `tokenizer` has on top of `base`, its id and the ids `base` spells it with."""
    known = base.get_vocab()
    new = {id: text for text, id in tokenizer.get_vocab().items() if text not in known}
    return {id: ids_behind(base, new[id]) for id in sorted(new)}


def make_rows(model: Any, rows: int) -> None:
    """Give the embeddings, and the output layer, at least this many rows. Many bases have some to spare."""
    if rows > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(rows, mean_resizing=False)


def init_new_embeddings(model: Any, pieces: dict[int, list[int]]) -> None:
    """Set the rows of new tokens, in the embeddings and in an untied output layer, to the mean of their pieces'."""
    with torch.no_grad():
        for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
            weight = layer.weight
            means = torch.stack([weight[ids].float().mean(0) for ids in pieces.values()])
            weight[list(pieces)] = means.to(weight.dtype)
