"""What MODEL and BASE_MODEL name, found without a library: a wrong name is answered before seconds of imports."""

from pathlib import Path

from qwen_svg.common.constants import ROOT
from qwen_svg.common.errors import UserError
from qwen_svg.common.files import folder_note, read_json
from qwen_svg.common.run_folder import ended_runs, find_run, located, nearest_run, newest_run, require_ended

SHIPPED = ROOT / "adapters/scenes"  # drawn with before there is a run


def find_model(model: str, constant: str = "MODEL") -> str:
    """Return the path or hub id that a constant names: the folder of the run of that name; "" is the newest run.

    Before there is a run, "" is the adapter that comes with the project, once its base is there (`make draw`).
    Raises UserError where there is no such thing, and for a run whose training has not ended.
    """
    if not model:
        return str((not ended_runs() and _shipped()) or newest_run())
    if folder := find_run(model):
        require_ended(folder)
        return str(folder)
    path = Path(model).expanduser()
    if not path.exists() and not is_hub_id(model):
        raise UserError(
            f"{constant} {model} does not exist{folder_note()}{nearest_run(model)}; give the name of a run, a folder, "
            f"a .gguf file or a hub id with `--{constant.lower()}`."
        )
    if path.is_dir() and not any((path / name).is_file() for name in ("adapter_config.json", "config.json")):
        raise UserError(
            f"{constant} {model} is a folder without a model: there is no config.yml of a run, no adapter_config.json "
            f"and no config.json in it{nearest_run(model)}; give another with `--{constant.lower()}`."
        )
    return str(path)


def is_hub_id(name: str) -> bool:
    """Could it be owner/name on the hub? Not where the owner is a folder here: that is a path with a slip in it."""
    if name.count("/") != 1 or name[0] in "./~" or name.endswith(".gguf"):
        return False
    return not Path(name).parent.is_dir()


def require_base(base: str) -> None:
    """Raise UserError for a BASE_MODEL that is neither here nor a hub id."""
    path = Path(base).expanduser()
    if path.suffix == ".gguf" and not path.is_file():
        raise UserError(
            f"base model file {base} does not exist{folder_note()}; give another in its place, or get the small one "
            "with `make model` (Qwen2.5-Coder-0.5B: `make model-qwen`)."
        )
    if not path.exists() and not is_hub_id(base):
        raise UserError(
            f"base model folder {base} does not exist{folder_note()}; give a folder, a .gguf file or a hub id "
            "(owner/name) with `--base-model`."
        )


def base_of(adapter: Path) -> str:
    """Return where the base of an adapter's folder lies, by its adapter_config.json."""
    return located(read_json(adapter / "adapter_config.json")["base_model_name_or_path"], adapter)


def _shipped() -> Path | None:
    """Return the folder of the adapter that comes with the project, where its base is there too."""
    is_there = (SHIPPED / "adapter_config.json").is_file() and Path(base_of(SHIPPED)).is_file()
    return SHIPPED if is_there else None
