"""A tiny random Qwen2 with a real tokenizer, and small data in the user's format: for tests and benchmarks."""

import json
from pathlib import Path
from typing import Any

from prompt_template import TEMPLATE
from qwen_svg.common.dataset import Sample
from qwen_svg.common.tokens import encode

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

LLAMA_CHAT = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ '<s>[INST] ' + message['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + message['content'] + ' </s>' }}{% endif %}{% endfor %}"
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


def make_llama_tokenizer() -> Any:
    """Code Llama's kind: spaces as "▁", one more before a text's first word, bytes where there is no token."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CodeLlamaTokenizer

    bpe = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    bpe.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    printable = [chr(code) for code in range(33, 127)]
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=special, initial_alphabet=printable, show_progress=False
    )
    texts = [TEMPLATE, *(answer(colour, 30) for colour in ("gold", "navy", "teal"))] * 3
    bpe.train_from_iterator((text.replace("\n", " ") for text in texts), trainer)
    made = json.loads(bpe.to_str())["model"]
    tokenizer = CodeLlamaTokenizer(vocab=made["vocab"], merges=[tuple(pair) for pair in made["merges"]])
    tokenizer.chat_template = LLAMA_CHAT
    tokenizer.pad_token, tokenizer.padding_side = tokenizer.eos_token, "left"
    return tokenizer


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


def make_base(folder: Path, tokenizer: Any, tied: bool = True) -> Path:
    """Save a random Qwen2 of two small layers and its tokenizer, as `--base-model` takes it.

    tied: is its output layer its embeddings?
    """
    import torch
    from transformers import Qwen2ForCausalLM

    torch.manual_seed(0)
    Qwen2ForCausalLM(qwen2_config(tokenizer, tie_word_embeddings=tied)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_llama(folder: Path) -> Path:
    """Save a random Llama as `make_base` does, with an output layer of its own and `make_llama_tokenizer`."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = make_llama_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
        initializer_range=0.15, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=2,
        max_position_embeddings=8192,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
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
    samples = [Sample(str(i), f"thing {i}", answer()) for i in range(count)]
    return [row.prompt for row in encode(tokenizer, samples, "chat")]
