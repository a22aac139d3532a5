"""Which program computes while we draw: torch with transformers, or llama.cpp."""

from typing import Literal

from qwen_svg.common.errors import UserError
from qwen_svg.generation.llama_cpp import INSTALL, is_installed
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
    if engine == "llama.cpp" and not is_installed():
        raise UserError(f"ENGINE is 'llama.cpp', which needs xllamacpp; {INSTALL}, or take `--engine transformers`.")
    return engine
