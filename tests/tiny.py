"""A tiny random Qwen2 with a real tokenizer, and small data in the user's format: for tests and benchmarks."""

import json
from pathlib import Path
from typing import Any

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def answer(colour: str = "gold", radius: int = 40) -> str:
    return (
        f"<reasoning>\n1. A {colour} circle\n</reasoning>\n\n"
        '<svg viewBox="0 0 256 256" width="256" height="256" xmlns="http://www.w3.org/2000/svg">\n'
        f"<!-- {colour} circle -->\n"
        f'<circle cx="128" cy="128" r="{radius}" fill="{colour}"/>\n</svg>'
    )


def make_tokenizer() -> Any:
    """A byte-level BPE with ChatML tokens, trained on the template and the test answers: real, and tiny."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from prompt_template import TEMPLATE

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([TEMPLATE, *(answer(colour, 30) for colour in ("gold", "navy", "teal"))] * 3, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    fast.chat_template = CHATML
    fast.padding_side = "left"
    return fast


def qwen2_config(tokenizer: Any, **more: Any) -> Any:
    from transformers import Qwen2Config

    return Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.15,  # logits far enough from uniform for a frozen head to be steered
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )


def make_base(folder: Path, tokenizer: Any) -> Path:
    """Save a random Qwen2 of two small layers and its tokenizer, as `--base-model` takes it."""
    import torch
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(0)
    Qwen2ForCausalLM(qwen2_config(tokenizer, tie_word_embeddings=True)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_data(path: Path) -> Path:
    """40 legal samples with different descriptions, lengths and pictures."""
    colours = ("red", "green", "blue", "gold", "navy", "teal", "pink", "gray")
    records = [
        {
            "id": f"s{i}",
            "description": f"a {colours[i % 8]} circle, number {i}" + " of many" * (i % 5),
            "svg_content": answer(colours[i % 8], 20 + i),
        }
        for i in range(40)
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def make_prompts(tokenizer, count: int) -> list[list[int]]:
    """Token ids of `count` prompts with different descriptions."""
    from common.dataset import Sample
    from common.tokens import encode

    samples = [Sample(str(i), f"thing {i}", answer()) for i in range(count)]
    return [row.prompt for row in encode(tokenizer, samples, "chat")]
