"""Which program computes while we draw: torch with transformers, llama.cpp, or vLLM."""

from types import SimpleNamespace
from typing import Literal

from qwen_svg.common.errors import UserError, require_package
from qwen_svg.generation.llama_cpp import is_installed
from qwen_svg.generation.vllm_engine import pick_engine as pick_vllm
from qwen_svg.model.device import pick_device
from qwen_svg.model.gguf_lora import obstacle as lora_obstacle
from qwen_svg.model.source import ModelSource

EngineName = Literal["auto", "transformers", "llama.cpp"]


def pick_engine(engine: EngineName, source: ModelSource) -> Literal["transformers", "llama.cpp"]:
    """Return what draws with a model: for "auto", on a CPU, llama.cpp where it is installed and can.

    It runs .gguf files, alone or with an adapter. Raises UserError where it is asked for and cannot.
    """
    if engine == "transformers":
        return engine
    if engine == "auto" and not (is_installed() and pick_device().type == "cpu"):
        return "transformers"
    reason = _obstacle(source)
    if engine == "auto":
        return "transformers" if reason else "llama.cpp"
    if reason:
        raise UserError(
            f"ENGINE is 'llama.cpp', which cannot run {source.adapter or source.base} ({reason}); make a .gguf file "
            "with `python -m qwen_svg.model.export --format gguf`, or take `--engine transformers`."
        )
    _require_llama_cpp()
    return engine


def _obstacle(source: ModelSource) -> str:
    if source.adapter:
        return lora_obstacle(source.base, source.adapter)
    return "" if source.base.endswith(".gguf") else "it is no .gguf file"


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
    require_package("xllamacpp", "ENGINE 'llama.cpp'", "take `--engine transformers`")
