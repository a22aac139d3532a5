"""Share a run on the Hugging Face hub: the adapter with a model card, the figures of its test and its gallery.

Reads   a run: the adapter, its model card, test/metrics.json and test/gallery.png where it was tested.
Writes  nothing here; TO on the hub, which must be new or empty.

    python -m qwen_svg.model.push outputs/first --to owner/name --license cc-by-4.0 --dry-run
    python -m qwen_svg.model.push outputs/first --to owner/name --license cc-by-4.0
    python -m qwen_svg.model.push outputs/first --to owner/name-gguf --license cc-by-4.0 --gguf

`hf auth login` or HF_TOKEN says who you are; HF_ENDPOINT names another hub. --dry-run prints the card and the files.
"""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, first_sentence, run
from qwen_svg.common.run_folder import Run, open_run
from qwen_svg.model.find import is_hub_id

MODEL: str = ""  # a run, by name or folder; the flag may be left out; "" = the newest run
TO: str = ""  # owner/name on the hub
LICENSE: str = ""  # of what is shared, by the hub's names: the stricter one of base and data, as cc-by-4.0
BASE_ID: str = ""  # the base's owner/name on the hub, where the run was trained from a file
MERGED: bool = False  # base and adapter as one model, in place of the adapter
GGUF: bool = False  # the same as a GGUF file, for llama.cpp and Ollama; with MERGED both
PRIVATE: bool = False  # for you alone
DRY_RUN: bool = False  # show the card and the files, send nothing


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what the card or the hub would lack, before anything heavy is imported."""
    tested = open_run(c.MODEL)
    if not is_hub_id(c.TO):
        raise UserError(f"TO is {c.TO!r}; give an owner and a name on the hub: `--to owner/name`.")
    if not c.LICENSE:
        raise UserError(
            "LICENSE is not given: an adapter has the licences of its base and of its training data; give the stricter "
            "one by the hub's name for it, as `--license apache-2.0`, `cc-by-4.0` or `other`."
        )
    base_id(c, tested)


def base_id(c: SimpleNamespace, tested: Run) -> str:
    """Return the base's owner/name. Raises UserError where only a file on this machine is known."""
    found = c.BASE_ID or tested.constants.BASE_MODEL
    if not is_hub_id(found) or Path(found).exists():
        raise UserError(
            f"{tested.folder} was trained from {found}, which nobody else has; say what it is on the hub with "
            "`--base-id owner/name`."
        )
    return found


if __name__ == "__main__":
    c = start(__file__, positional="MODEL")
    check_constants(c)

import shutil
import tempfile

from huggingface_hub import EvalResult, HfApi, ModelCardData, get_token
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from qwen_svg.common.files import read_json, write_json, write_text
from qwen_svg.common.hub import hub_reachable
from qwen_svg.model import export
from qwen_svg.model.source import EXPORTED, SETTINGS, find_source

FIGURES = {  # of test/metrics.json: where they are → what they are called
    ("cross_entropy",): "cross-entropy (nats per token)",
    ("constraint_accuracy", "prompt"): "legal drawings",
    ("drawn_rate",): "drawings that are not blank",
    ("claims",): "claims of the descriptions that hold",
}
ADAPTER_FILES = ("adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json")
PICTURES = ("loss.png", "test/gallery.png")


def main(c: SimpleNamespace) -> None:
    tested = open_run(c.MODEL)
    print(f"run: {tested.folder}")
    if not c.DRY_RUN:
        require_login()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "files"
        collect(c, tested, folder)
        if c.DRY_RUN:
            print((folder / "README.md").read_text(encoding="utf-8"))
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            print(f"  {path.relative_to(folder).as_posix():<40} {path.stat().st_size / 1e6:>10,.2f} MB")
        if c.DRY_RUN:
            return print(f"dry run: nothing was sent to {c.TO}.")
        print(f"sent: {upload(c, folder)}")


def collect(c: SimpleNamespace, tested: Run, folder: Path) -> None:
    """Put into a new folder what will be on the hub."""
    if c.MERGED or c.GGUF:
        form = "both" if c.MERGED and c.GGUF else "safetensors" if c.MERGED else "gguf"
        export.main(SimpleNamespace(MODEL=c.MODEL, BASE_MODEL="", OUTPUT=str(folder), FORMAT=form, DTYPE="float16"))
    else:
        folder.mkdir()
        for name in ADAPTER_FILES:
            if (tested.folder / name).is_file():
                shutil.copy(tested.folder / name, folder)
        adapter = read_json(tested.folder / "adapter_config.json")
        write_json(folder / "adapter_config.json", adapter | {"base_model_name_or_path": base_id(c, tested)})
        source = find_source(str(tested.folder))
        write_json(folder / SETTINGS, {key: getattr(source, key) for key in EXPORTED})
    for name in PICTURES:
        if (tested.folder / name).is_file():
            shutil.copy(tested.folder / name, folder)
    write_text(folder / "README.md", card(c, tested))


def card(c: SimpleNamespace, tested: Run) -> str:
    """Return the model card: what the hub reads at its head, then the run's own, without paths of this machine."""
    base, figures = base_id(c, tested), figures_of_test(tested)
    head = ModelCardData(
        base_model=base,
        base_model_relation="quantized" if c.GGUF and not c.MERGED else "finetune" if c.MERGED else "adapter",
        license=c.LICENSE,
        language="en",
        library_name="transformers" if c.MERGED else "gguf" if c.GGUF else "peft",
        pipeline_tag="text-generation",
        tags=["svg", "text-to-svg", "lora"],
        model_name=c.TO.partition("/")[2],
        eval_results=[
            EvalResult("text-generation", "json", "held-out test split", name, value, task_name="text to SVG")
            for name, value in figures.items()
        ]
        or None,
    )
    parts = [f"---\n{head.to_yaml()}\n---\n\n# {c.TO.partition('/')[2]}", about(c, base), facts(tested, base)]
    if figures:
        rows = "".join(f"| {name} | {value:.4f} |\n" for name, value in figures.items())
        parts.append(
            f"Of the held-out test split, greedily and without constraint:\n\n| | |\n|---|---|\n{rows.strip()}"
        )
    if (tested.folder / "test/gallery.png").is_file():
        parts.append("![the last descriptions of the test split, drawn](gallery.png)")
    parts.append(f"Licence: {c.LICENSE}. Those of the base model and of the training data apply too.")
    return "\n\n".join(parts) + "\n"


def about(c: SimpleNamespace, base: str) -> str:
    """Return what it is and how it is used."""
    name = c.TO.partition("/")[2]
    use = {
        "a LoRA adapter for": f'python generate.py --model {name} "a red fox"    # in a checkout of Qwen-SVG',
        "a LoRA adapter merged into": f'python generate.py --model {name} "a red fox"    # in a checkout of Qwen-SVG',
        "as a GGUF file:": f'ollama create {name} -f {name}/gguf/Modelfile && ollama run {name} "a red fox"',
    }
    what = list(use)[2 if c.GGUF and not c.MERGED else 1 if c.MERGED else 0]
    return (
        "Answers a description with a short reasoning and an SVG of 256 × 256; made by Qwen-SVG's `train.py`. It is "
        f"{what} {base}.\n\n```\nhf download {c.TO} --local-dir {name}\n{use[what]}\n```"
    )


def facts(tested: Run, base: str) -> str:
    """Return the table of the run's own card, the base by its id and the data by its file's name alone."""
    own = (tested.folder / "README.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in own.splitlines() if line.startswith("|"))
    table = re.sub(r"^\| base model \|.*$", lambda _: f"| base model | {base} |", table, flags=re.MULTILINE)
    return re.sub(r"^\| data \|[^(]*", lambda row: re.sub(r"[^|,]*/", " ", row[0]), table, flags=re.MULTILINE)


def figures_of_test(tested: Run) -> dict[str, float]:
    """Return the figures of the fine-tuned model's last test, by name; {} where there was none."""
    path = tested.folder / "test" / "metrics.json"
    found: dict[str, Any] = {}
    for keys, name in FIGURES.items() if path.is_file() else ():
        value: Any = read_json(path)["tuned"]
        for key in keys:
            value = (value or {}).get(key)
        if value is not None:
            found[name] = round(value, 4)
    return found


def require_login() -> None:
    """Raise UserError, before minutes of exporting, where nothing could be sent."""
    if not get_token():
        raise UserError("the hub does not know you; log in with `hf auth login`, or set HF_TOKEN.")
    if not hub_reachable():
        raise UserError("the hub cannot be reached; try again later, or see with `--dry-run` what it would get.")


def upload(c: SimpleNamespace, folder: Path) -> str:
    """Send the folder in one commit; return its address. UserError for what the hub says no to."""
    api = HfApi()
    if not get_token():
        raise UserError("the hub does not know you; log in with `hf auth login`, or set HF_TOKEN.")
    if not hub_reachable():
        raise UserError(
            f"the hub {api.endpoint} cannot be reached; try again, or see what it would get with `--dry-run`."
        )
    try:
        if there := files_of(api, c.TO):
            raise UserError(f"{c.TO} is on the hub and holds {there[0]}; give another name with `--to`.")
        api.create_repo(c.TO, private=c.PRIVATE, exist_ok=True)
        sent = api.upload_folder(repo_id=c.TO, folder_path=folder, commit_message=f"Share {c.TO.partition('/')[2]}")
    except (HfHubHTTPError, OSError, RuntimeError) as error:  # the last two from what sends large files
        raise UserError(f"the hub did not take {c.TO} ({first_sentence(error)}); may your token write there?") from None
    return str(sent.commit_url)


def files_of(api: HfApi, repo: str) -> list[str]:
    """Return the files of a repository, but those that the hub itself puts into a new one; [] where there is none."""
    try:
        return [name for name in api.list_repo_files(repo) if name != ".gitattributes"]
    except RepositoryNotFoundError:
        return []


if __name__ == "__main__":
    run(main, c)
