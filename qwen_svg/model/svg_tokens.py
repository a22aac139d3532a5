"""New tokens for SVG: tags, attribute names, path commands and whole numbers, each one token instead of several pieces.

A tokenizer made for prose spells ` stroke-width="` in four pieces. The tokens below are added to it, and a row for each
to the model's embeddings, which begins as the mean of its pieces' rows; only these rows are trained (PEFT's trainable
token indices). They are written so that they are found in drawings and hardly ever in prose: an attribute with its
equals sign and quote, a path command between spaces. A run keeps its tokenizer beside its adapter.

A number is one token where it is whole: between characters that are no letters or digits, or behind a space. The 30 of
`L30`, `#303030` and `1300` stays digits, which the base knows; so do the decimals of `0.05`, while `12.75` is 12, a
point and 75. Behind a space only the first digits of a number above the largest token may be a token (` 300` is ` 30`
and a 0): tokenizers cannot look ahead there, and the text comes back the same.
"""

from typing import Any, Literal

import torch
from tokenizers import AddedToken

from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import ids_behind
from svg_constraint import CANVAS, CHILDREN, GRADIENT_TABLE, PROMPT_ATTRIBUTES, PROMPT_TAGS, SVG_OPEN

# What a path begins with, what is common in it, what it ends with. Not the rare commands: " A " is an English word.
PATH_TOKENS = (' d="M', " L ", " C ", " Q ", ' Z"')
NUMBERS = tuple(f"{space}{number}" for space in ("", " ") for number in range(CANVAS + 1))


def svg_tokens(kind: Literal["markup", "numbers"]) -> list[str]:
    """Return the texts of all tokens that are added where a tokenizer has not got them, in a fixed order.

    kind: "markup" (tags, attribute names, path commands), or "numbers", which has those and the numbers too.
    """
    attributes = dict.fromkeys([*PROMPT_ATTRIBUTES, *sorted(set().union(*GRADIENT_TABLE.values()))])
    return [
        SVG_OPEN,
        *(f"<{tag}" for tag in PROMPT_TAGS),
        *(f"</{tag}>" for tag in PROMPT_TAGS if CHILDREN[tag]),
        *(f' {name}="' for name in attributes),  # behind a tag
        *(f'" {name}="' for name in attributes),  # behind another attribute's value
        *PATH_TOKENS,
        *(NUMBERS if kind == "numbers" else ()),
    ]


def add_svg_tokens(tokenizer: Any, kind: Literal["markup", "numbers"]) -> None:
    """Add the tokens to a tokenizer; kind as of `svg_tokens`.

    Raises UserError where it then changes a text that it encodes and decodes.
    """
    texts = svg_tokens(kind)
    known = [text for text in texts if len(ids_behind(tokenizer, text)) == 1]
    kept = {text for text in texts if not text.isdecimal() and any(other.startswith(text) for other in known)}
    new = [text for text in texts if text not in kept.union(known)]  # " 25" would be cut out of a known " 256"
    # A "single word" must not touch letters or digits; a space in front of one would touch what stands before it.
    tokenizer.add_tokens(
        [AddedToken(text, normalized=False, special=False, single_word=text.isdecimal()) for text in new]
    )
    text = f'{SVG_OPEN}\n<g fill="red">\n <path stroke="none" d="M10 20 L 3.5 -47,300 Z" opacity=".5"/>\n</g>\n</svg>'
    if tokenizer.decode(tokenizer.encode(text, add_special_tokens=False)) != text:
        raise UserError(
            "SVG_TOKENS: this base's tokenizer does not give back a text with new tokens as it was; train without them "
            "(leave out `--svg-tokens`)."
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
