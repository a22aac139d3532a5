"""What a name stands for (a run, an adapter, a merged folder, a .gguf file, a hub id), and how it was trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.errors import UserError, first_sentence
from qwen_svg.common.files import read_json
from qwen_svg.common.hub import hub_reachable
from qwen_svg.common.run_folder import constants_of, is_run, open_run
from qwen_svg.model.find import base_of, find_model, require_base
from qwen_svg.model.gguf_reading import first_fields, hasten_reading

EXPORTED = ("prompt_form", "max_length", "edits")  # what travels with a model that leaves its run
SETTINGS = "qwen_svg.json"  # holds them in a folder
KEY = "qwen_svg."  # stands before their names in a GGUF file


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from, and what it was trained with."""

    base: str
    adapter: Path | None = None
    tokenizer: str = ""  # where it is: new tokens' beside the adapter; "" = the base's
    prompt_form: str = "chat"
    max_length: int = 1560  # tokens, prompt and answer; train.py's MAX_LENGTH
    edits: bool = False  # has it learned to change a drawing that is given?
    fp16: bool = True
    bf16: bool = False
    quantization: str = ""  # of the base


def find_source(model: str, base: str = "") -> ModelSource:
    """Return what MODEL names. base: where its base lies, if it is not where its training says.

    Raises UserError for what does not exist, and for a run whose training has not ended.
    """
    source = _named(find_model(model))
    return replace(source, base=base) if base and source.adapter else source


def _named(found: str) -> ModelSource:
    folder = Path(found)
    if is_run(folder):
        run = open_run(found)
        return replace(source_of(run.constants, run.folder), edits=has_learned_edits(run.folder))
    if (folder / "adapter_config.json").is_file():
        if is_run(folder.parent):  # a checkpoint draws as its run does
            edits = has_learned_edits(folder.parent)
            return replace(source_of(constants_of(folder.parent), folder), edits=edits)
        return replace(ModelSource(base_of(folder), folder, tokenizer_of(folder)), **exported_settings(folder))
    return replace(ModelSource(found), **exported_settings(folder))


def has_learned_edits(run: Path) -> bool:
    """Were there edits among what a run was trained on? Runs of the past, which do not say, had none."""
    facts = run / "environment.json"
    return facts.is_file() and "edit" in read_json(facts).get("data", {}).get("tasks", {})


def exported_settings(path: Path) -> dict[str, Any]:
    """Return what EXPORTED names, of a model that has left its run (a folder, a .gguf file) and says it; else {}."""
    if path.is_dir() and (path / SETTINGS).is_file():
        settings = read_json(path / SETTINGS)
        return {name: settings[name] for name in EXPORTED if name in settings}
    if path.suffix == ".gguf" and path.is_file():
        fields = first_fields(path)
        return {name: fields[KEY + name] for name in EXPORTED if KEY + name in fields}
    return {}


def source_of(c: SimpleNamespace, adapter: Path | None = None) -> ModelSource:
    """Return the source that a training's constants describe. adapter: the folder where it has left one."""
    tokenizer = tokenizer_of(adapter) if adapter else ""
    return ModelSource(
        base=c.BASE_MODEL,
        adapter=adapter,
        tokenizer=tokenizer,
        prompt_form=c.PROMPT_FORM,
        max_length=c.MAX_LENGTH,
        fp16=c.FP16,
        bf16=c.BF16,
        quantization=c.BASE_QUANTIZATION,
    )


def tokenizer_of(adapter: Path) -> str:
    """Return the folder with the tokenizer of a run, an adapter or a checkpoint; "" where it is the base's own.

    Raises UserError where the adapter has rows for tokens that no tokenizer here knows.
    """
    for place in (adapter, adapter.parent):  # a checkpoint's is the run's
        if (place / "tokenizer.json").is_file():
            return str(place)
    if new_rows(adapter):
        raise UserError(
            f"the adapter in {adapter} was trained with new tokens, and its tokenizer is missing; copy tokenizer.json "
            "and tokenizer_config.json from the run's folder."
        )
    return ""


def new_rows(adapter: Path) -> int:
    """Return how many rows of embeddings an adapter folder was trained with, or 0 where it has no rows of its own."""
    if not (adapter / "adapter_config.json").is_file():
        return 0
    indices = read_json(adapter / "adapter_config.json").get("trainable_token_indices") or {}
    return max((max(ids) + 1 for ids in indices.values()), default=0)


def pretrained_arguments(base: str) -> dict[str, Any]:
    """Turn the BASE_MODEL constant into arguments of `from_pretrained`."""
    require_base(base)
    path = Path(base).expanduser()
    if path.suffix == ".gguf":
        hasten_reading()
        return {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    if path.is_dir():
        return {"pretrained_model_name_or_path": str(path)}
    if not hub_reachable():
        # Straight to the cache: the hub client would retry for the better part of a minute.
        return {"pretrained_model_name_or_path": base, "local_files_only": True}
    return {"pretrained_model_name_or_path": base}


@contextmanager
def base_errors(base: str) -> Iterator[None]:
    """Turn the many ways a base can be missing or broken into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = f"{type(error).__name__}: {first_sentence(error)}"
        raise UserError(
            f"base model {base} cannot be loaded ({reason}). Three ways out: connect this machine "
            "to the hub (`hf auth login` for gated models); give a local folder or .gguf file in its place "
            "(`--base-model` to train, `--model` to draw); or take the small model that `make model` fetches."
        ) from None
