"""A run as a submission to the public competition "Drawing with LLMs" (Kaggle, 2025).

Reads   a model: a run, an adapter, a merged folder, a hub id.
Writes  OUTPUT/: submission.py with the competition's `Model`, the merged weights, what of this project it needs, and
        requirements.txt with what Kaggle's own environment lacks.

    python -m qwen_svg.generation.kaggle_package --model first --output exported/kaggle

Upload the folder as a data set, add it to a notebook with the packages of its requirements.txt as wheels (a submission
has no network), and hand the competition's gateway `Model` of submission.py.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import ROOT, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import refuse_existing
from qwen_svg.model.find import find_model

MODEL: str = ""  # a run, by name or folder; an adapter, merged folder, hub id; "" = the newest run
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
OUTPUT: str = ""  # folder to write, which must not exist


def check_constants(c: SimpleNamespace) -> None:
    """Refuse a folder that cannot be written to, and a model that is not there."""
    if not c.OUTPUT:
        raise UserError("OUTPUT is empty; name a folder to write with `--output`.")
    refuse_existing("OUTPUT", c.OUTPUT)
    find_model(c.MODEL)


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

import re
import shutil

from qwen_svg.common.files import atomic_folder, write_text
from qwen_svg.model import export

PARTS = ("qwen_svg", "prompt_template.py", "svg_constraint.py")  # of this project
LACKING = ("peft", "gguf", "llguidance", "resvg", "resvg-py")  # in Kaggle's environment, beside torch and transformers
SUBMISSION = '''"""A submission to "Drawing with LLMs", written by Qwen-SVG."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from qwen_svg.generation import competition  # noqa: E402


class Model(competition.Model):
    def __init__(self):
        super().__init__(HERE / "model")
'''


def main(c: SimpleNamespace) -> None:
    pins = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    needed = "".join(f"{pin}\n" for name in LACKING for pin in re.findall(rf"^{name}==\S+", pins, re.MULTILINE))
    with atomic_folder(Path(c.OUTPUT)) as folder:
        model = str(folder / "model")
        export.main(SimpleNamespace(**vars(c) | {"OUTPUT": model, "FORMAT": "safetensors", "DTYPE": "float16"}))
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, folder)
        write_text(folder / "submission.py", SUBMISSION)
        write_text(folder / "requirements.txt", needed)
    size = sum(path.stat().st_size for path in Path(c.OUTPUT).rglob("*") if path.is_file())
    print(f"{c.OUTPUT}: submission.py with Model, and what it needs, {size / 1e6:,.0f} MB")


if __name__ == "__main__":
    run(main, c)
