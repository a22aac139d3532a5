"""Which program computes while we draw: torch with transformers, llama.cpp, or vLLM."""

from types import SimpleNamespace
from typing import Literal

from qwen_svg.common.errors import UserError
from qwen_svg.generation.llama_cpp import INSTALL, is_installed
from qwen_svg.generation.vllm_engine import pick_engine as pick_vllm
from qwen_svg.model.device import pick_device
from qwen_svg.model.source import ModelSource

EngineName = Literal["auto", "transformers", "llama.cpp"]


def pick_engine(engine: EngineName, source: ModelSource) -> Literal["transformers", "llama.cpp"]:
    """Return what draws with a model: for "auto" llama.cpp for a .gguf file on a CPU, where it is installed.

    Raises UserError where llama.cpp is asked for and cannot run it.
    """
    is_file = source.base.endswith(".gguf") and not source.adapter
    if engine == "auto":
        return "llama.cpp" if is_file and is_installed() and pick_device().type == "cpu" else "transformers"
    if engine == "llama.cpp" and not is_file:
        raise UserError(
            f"ENGINE is 'llama.cpp', which runs .gguf files, not {source.adapter or source.base}; make one with "
            "`python -m qwen_svg.model.export --format gguf`, or take `--engine transformers`."
        )
    if engine == "llama.cpp":
        _require_llama_cpp()
    return engine


def pick_test_engine(
    engine: Literal["auto", "transformers", "vllm", "llama.cpp"], constants: SimpleNamespace
) -> Literal["transformers", "vllm", "llama.cpp"]:
    """Return what draws in the test of a run; llama.cpp only where it is asked for. constants: the run's.

    Raises UserError for what cannot run.
    """
    if engine != "llama.cpp":
        return pick_vllm(engine, constants)
    _require_llama_cpp()
    return engine


def _require_llama_cpp() -> None:
    if not is_installed():
        raise UserError(f"ENGINE is 'llama.cpp', which needs xllamacpp; {INSTALL}, or take `--engine transformers`.")
