"""What the steps of benchmarks.gpu share: a folder, the base, the samples, and a clock that waits for the GPU."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from qwen_svg.common.dataset import read_samples
from qwen_svg.common.tokens import Encoded, encode
from qwen_svg.model.adapter import add_adapter
from qwen_svg.model.load import load_base
from qwen_svg.model.tokenizer import load_tokenizer
from tests.tiny import make_base, make_data, make_tokenizer

QWEN_15B = dict(
    vocab_size=151_936, hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12,
    num_key_value_heads=2, tie_word_embeddings=True, max_position_embeddings=32_768,
)  # fmt: skip


@dataclass(frozen=True)
class Bench:
    device: torch.device
    small: bool  # a size that any CPU does in seconds, to try the steps out
    work: Path  # the base, runs, and whatever else is left
    data: Path

    @property
    def base(self) -> str:
        return str(self.work / "base")

    @property
    def half(self) -> torch.dtype:
        return torch.float16

    def rows(self) -> list[Encoded]:
        """Return the samples that fit, by length."""
        samples = read_samples(self.data).samples
        rows = encode(load_tokenizer(self.base), samples[:400], "chat")
        return sorted((row for row in rows if row.length <= 1560), key=lambda row: row.length)

    def adapted(self, device: torch.device, dtype: torch.dtype) -> Any:
        """Return the base with an adapter whose weights are all random: B is 0 in a fresh one, and A's gradient too."""
        rank = 4 if self.small else 64
        model = add_adapter(load_base(self.base, device, dtype), rank, 2 * rank, 0.0)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for p in model.parameters():
                if p.requires_grad:
                    p.copy_(torch.randn(p.shape, generator=generator) * 0.01)
        return model.train()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def seconds(self, work: Callable[[], Any], rounds: int = 10) -> float:
        """Return the median seconds of `work`, after three rounds that do not count."""
        times = []
        for _ in range(3 + rounds):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times[3:])


def open_bench(device: torch.device, small: bool, work: Path, data: str, tokenizer: str) -> Bench:
    """Make the base, where it is not there yet: random weights in fp16; small: a tiny one, and its own data."""
    work.mkdir(parents=True, exist_ok=True)
    bench = Bench(device, small, work.absolute(), work.absolute() / "data.jsonl" if small else Path(data).absolute())
    if small:
        make_base(Path(bench.base), make_tokenizer())
        make_data(bench.data)
    elif not Path(bench.base, "config.json").exists():
        torch.manual_seed(0)
        with device:
            model = Qwen2ForCausalLM(Qwen2Config(**QWEN_15B)).to(bench.half)
        model.save_pretrained(bench.base)
        load_tokenizer(tokenizer).save_pretrained(bench.base)
    return bench


def metrics(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
