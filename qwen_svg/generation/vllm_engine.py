"""Free decoding by vLLM, where `make vllm` has installed it: several times the speed of engine.py on a GPU.

vLLM brings a torch and a transformers of its own, with which train.py would not run. So it has an environment beside
this one, in which a process (vllm_worker.py) draws. It loads hub ids and folders, not .gguf files, and knows nothing of
closing an answer before its budget ends: constrained decoding stays with qwen_svg/generation/engine.py. It takes LoRA
alone for an adapter: where that has rows of new tokens too, a base is written that has them. Written for vLLM 0.33.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import torch

from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import stop_tokens
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.engine import Answer, answer_from_tokens, rows_for
from qwen_svg.model.export import write_folder
from qwen_svg.model.load import load_base
from qwen_svg.model.source import new_rows, tokenizer_of
from qwen_svg.model.token_rows import copy_without_rows, put_into_base
from qwen_svg.model.tokenizer import load_tokenizer

PYTHON = Path(__file__).resolve().parents[2] / ".venv-vllm/bin/python"
WORKER = Path(__file__).with_name("vllm_worker.py")
# What vLLM's kernels are built for; an adapter's rank is rounded up to one of them (its own default is 16).
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
MEMORY_SHARE = 0.5  # of the GPU, for weights and caches; the rest is for the model of this process
PATIENCE = 5  # seconds in which the process may end by itself


def pick_engine(engine: Literal["auto", "transformers", "vllm"], constants: SimpleNamespace) -> str:
    """Return "vllm" or "transformers"; refuse vLLM where it is asked for and cannot run. constants: the run's."""
    if engine == "transformers":
        return engine
    obstacle = _obstacle(constants)
    if engine == "vllm" and obstacle:
        raise UserError(f"ENGINE is 'vllm', but {obstacle}; or take `--engine transformers`.")
    return "transformers" if obstacle else "vllm"


def _obstacle(constants: SimpleNamespace) -> str:
    """Say why vLLM cannot run, or ""."""
    if constants.BASE_MODEL.endswith(".gguf") or constants.BASE_QUANTIZATION:
        return f"it cannot load {constants.BASE_MODEL} as this run had it, but a whole base"
    if not PYTHON.exists():
        return "its environment is missing: `make vllm` installs it, on a machine with a GPU"
    return ""


class VLLMEngine:
    """A base in vLLM, answering with adapters or without one."""

    def __init__(self, base: str, rank: int, dtype: Any, max_total: int, seed: int, run: Path | None = None):
        """rank: of the adapters. dtype: torch.float16 or torch.float32. max_total: tokens of prompt + answer.

        run: whose rows of new tokens, if it has any, the adapters have too.
        """
        if rank > RANKS[-1]:
            raise UserError(f"vLLM takes adapters up to rank {RANKS[-1]}, not {rank}; use `--engine transformers`.")
        folder = tempfile.mkdtemp(prefix="vllm-")  # of its sockets, whose paths must be short
        if run and new_rows(run):
            base = base_with_rows(base, run, Path(folder) / "base", dtype)
        environment = {name: value for name, value in os.environ.items() if not name.endswith("ALLOC_CONF")}
        self.process = subprocess.Popen(
            [str(PYTHON), "-I", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment | {"TMPDIR": folder, "VLLM_LOGGING_LEVEL": "ERROR"},
            start_new_session=True,  # so that its own processes can be ended with it, and Ctrl-C is ours
        )
        # Gives the GPU's memory back: by name, when nobody needs the engine any more, or when Python ends.
        self.close = weakref.finalize(self, _end, self.process, folder)
        self.adapters = count(1)
        self._ask(
            {
                "model": base,
                "dtype": str(dtype).removeprefix("torch."),
                "max_model_len": max_total,
                "enable_lora": True,
                "max_lora_rank": next(size for size in RANKS if size >= rank),
                "gpu_memory_utilization": MEMORY_SHARE,
                "seed": seed,
            }
        )

    def generate_answers(
        self,
        tokenizer: Any,
        prompts: list[list[int]],
        max_total: int,
        max_new: int,
        temperature: float,
        seed: int,
        adapter: Path | None,
    ) -> list[Answer]:
        """Return one answer for each prompt (token ids), in the order given, ended as engine.py ends them."""
        rows, stops = rows_for(prompts, max_total, max_new, temperature, seed), stop_tokens(tokenizer)
        start = time.perf_counter()
        answers = self.generate(rows, stops, adapter)
        seconds = (time.perf_counter() - start) / len(rows)
        return [answer_from_tokens(tokenizer, tokens, stops, seconds) for tokens in answers]

    def generate(self, rows: list[RowState], stops: list[int], adapter: Path | None) -> list[list[int]]:
        """Return the tokens of each row's answer, its stop token included. adapter: a folder, read anew each time."""
        settings = [
            {
                "temperature": row.temperature,
                "max_tokens": row.limit,
                "stop_token_ids": stops,
                "seed": row.sampler.initial_seed(),
            }
            for row in rows
        ]
        with tempfile.TemporaryDirectory() as folder:
            if adapter and new_rows(adapter):
                adapter = copy_without_rows(adapter, Path(folder))
            which = [next(self.adapters), str(adapter.resolve())] if adapter else None
            asked = {"prompts": [row.prompt for row in rows], "settings": settings, "adapter": which}
            return self._ask(asked)["tokens"]

    def _ask(self, request: dict) -> dict:
        answer = ""
        with suppress(BrokenPipeError):
            print(json.dumps(request), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline()
        if answer:
            return json.loads(answer)
        self.close()
        raise UserError(
            f"vLLM has ended (exit code {self.process.returncode}), and what it said is above; `--engine transformers` "
            "does without it."
        )


def base_with_rows(base: str, run: Path, folder: Path, dtype: Any) -> str:
    """Write the base with the rows of the run's new tokens to `folder`, and return it."""
    model = load_base(base, torch.device("cpu"), dtype)
    put_into_base(model, run)
    write_folder(folder, model, load_tokenizer(tokenizer_of(run)), str(dtype).removeprefix("torch."))
    return str(folder)


def _end(process: subprocess.Popen, folder: str) -> None:
    """End the process and those it has started; remove its temporary folder."""
    with suppress(BrokenPipeError):
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    shutil.rmtree(folder, ignore_errors=True)
