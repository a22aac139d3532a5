"""One true run of all scripts, as a user runs them, on a tiny random Qwen2: what was written is checked.

Then the ways it goes wrong: each is one sentence, a non-zero exit, and nothing of the user's changed.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from PIL import Image

from qwen_svg.common.dataset import read_samples
from svg_constraint import DIALECTS
from tests.paths import ROOT

RUN = {"epochs": 3, "batch_size": 4, "learning_rate": 0.02, "lora_rank": 8, "lora_alpha": 16, "max_length": 1100}
RUN |= {"cpu_dtype": "fp32"}  # whatever this machine is faster in
STEPS = {"logging_steps": 2, "eval_steps": 10, "save_steps": 10}


def script(name: str, *arguments, cwd: Path, check: bool = True, **changes) -> subprocess.CompletedProcess:
    flags = [text for key, value in changes.items() for text in ("--" + key.replace("_", "-"), str(value))]
    done = subprocess.run(
        [sys.executable, str(ROOT / name), *arguments, *flags],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_base, data_file):
    """A folder in which training has run to its end and the test split was scored."""
    folder = tmp_path_factory.mktemp("work")
    common = {"data_path": data_file, "base_model": tiny_base}
    trained = script("train.py", cwd=folder, run_name="one", draw_samples=2, **common, **RUN, **STEPS)
    scores = ("--scores", "legality", "similarity")
    tested = script("evaluate_test.py", *scores, cwd=folder, model="one", max_new_tokens=260)
    (folder / "stderr.txt").write_text(trained.stderr + tested.stderr)
    return folder, common, trained.stdout, tested.stdout


SHARES = {
    "svg_accuracy", "reasoning_accuracy", "constraint_accuracy", "render_rate", "drawn_rate", "finished",
    "claims",
}  # fmt: skip


def metrics_of(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_training_leaves_what_the_design_promises(workplace, data_file):
    folder, _, printed, _ = workplace
    run = folder / "outputs" / "one"
    for name in ("config.yml", "environment.json", "split.json", "training.log", "loss.png", "README.md"):
        assert (run / name).stat().st_size > 0, name
    assert not list(run.glob("model*.safetensors")) and (run / "adapter_model.safetensors").stat().st_size < 200_000
    config = yaml.safe_load((run / "config.yml").read_text())
    assert {key: config[key] for key in RUN} == RUN
    split = json.loads((run / "split.json").read_text())
    ids = [id for part in ("train", "valid", "test") for id in split[part]]
    assert sorted(ids) == sorted(s.id for s in read_samples(data_file).samples)
    assert (len(split["train"]), len(split["valid"]), len(split["test"])) == (36, 2, 2)
    assert json.loads((run / "environment.json").read_text())["dtype"] == "float32"
    assert re.search(r"validation cross-entropy: [\d.]+ at the start, [\d.]+ after 27 steps", printed)
    assert "--model one" in printed and "wandb sync outputs/one/wandb/offline-run" in printed


def test_in_a_pipe_no_bar_is_drawn_and_the_first_line_names_the_run(workplace):
    folder, _, _, printed = workplace
    said = (folder / "stderr.txt").read_text() + printed
    assert "%|" not in said
    assert printed.splitlines()[0].startswith("run: outputs/one · ")


def test_training_learns_and_logs_at_the_steps_asked_for(workplace):
    records = metrics_of(workplace[0] / "outputs" / "one")
    validation = {r["step"]: r["eval_cross_entropy"] for r in records if "eval_cross_entropy" in r}
    assert list(validation) == [0, 10, 20, 27]
    assert validation[27] < 0.7 * validation[0]
    assert [r["step"] for r in records if "loss" in r] == [1, *range(2, 27, 2)]
    assert all(0 < r["grad_norm"] < 1e4 for r in records if "loss" in r)


def test_checkpoints_are_complete_and_limited(workplace):
    checkpoints = sorted(path.name for path in (workplace[0] / "outputs" / "one").glob("checkpoint-*"))
    assert checkpoints == ["checkpoint-10", "checkpoint-20", "checkpoint-27"]


def test_test_results_have_the_promised_form(workplace):
    folder, _, _, printed = workplace
    test = folder / "outputs" / "one" / "test"
    metrics = json.loads((test / "metrics.json").read_text())
    assert list(metrics) == ["tuned", "constrained", "base", "reference"]
    for name, figures in metrics.items():
        assert set(figures["constraint_accuracy"]) == set(DIALECTS)
        assert figures["samples"] == 2
        assert figures.get("engine") == (None if name == "reference" else "transformers")
        for loss in ("cross_entropy", "perplexity", "bits_per_byte"):
            assert (figures[loss] is None) == (name in ("reference", "constrained"))
        assert figures["drawn_rate"] <= figures["render_rate"] and 0 <= figures["claims"] <= 1
        assert figures["intervals"].keys() == SHARES - ({"finished"} if name == "reference" else set())
    assert metrics["constrained"]["constraint_accuracy"]["prompt"] == 1.0
    reference = metrics["reference"]
    assert reference["svg_accuracy"] == reference["reasoning_accuracy"] == reference["drawn_rate"] == 1.0
    assert reference["intervals"]["drawn_rate"] == [pytest.approx(0.3424, abs=1e-4), 1.0]  # 2 of 2
    assert reference["constraint_accuracy"] == dict.fromkeys(DIALECTS, 1.0) and reference["structural_score"] == 1.0
    assert metrics["tuned"]["cross_entropy"] < 0.7 * metrics["base"]["cross_entropy"]
    table = {line[:30].strip(): line[30:].split() for line in printed.splitlines()}
    assert table["renders"][:2] == table["not blank"][:2] == ["100.0%", "[34–100]"]
    assert "bits per byte" in table and "gallery.png" in printed and max(map(len, printed.splitlines())) <= 110
    split = json.loads((folder / "outputs" / "one" / "split.json").read_text())
    samples = [json.loads(line) for line in (test / "samples.jsonl").read_text().splitlines()]
    assert [s["id"] for s in samples] == split["test"]
    assert all(s["reference"]["legal"]["prompt"] and "answer" in s["tuned"] and "answer" in s["base"] for s in samples)


def test_pictures_are_pictures_and_the_report_stands_alone(workplace):
    from PIL import Image

    test = workplace[0] / "outputs" / "one" / "test"
    with Image.open(test / "gallery.png") as gallery:
        assert gallery.width > 600 and len(gallery.convert("RGB").getcolors(1 << 20)) > 20
    page = (test / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") >= 3  # the curve and two references
    assert not re.search(r"(src|href)=[\"'](?!data:)", page) and "<svg" not in page and "<script" not in page


def test_scores_are_in_the_figures_the_samples_and_a_picture(workplace):
    from PIL import Image

    test = workplace[0] / "outputs" / "one" / "test"
    metrics = json.loads((test / "metrics.json").read_text())
    samples = [json.loads(line) for line in (test / "samples.jsonl").read_text().splitlines()]
    assert metrics["reference"]["scores"] == {"legality": 1, "similarity": pytest.approx(1)}
    for name, figures in metrics.items():
        mean = sum(sample[name]["scores"]["similarity"] for sample in samples) / len(samples)
        assert figures["scores"]["similarity"] == pytest.approx(mean)
    assert metrics["constrained"]["scores"]["legality"] == 1 > metrics["constrained"]["scores"]["similarity"]
    assert "similarity (0 to 1)" in workplace[3]
    with Image.open(test / "ranking.png") as ranking:
        assert ranking.height > 4 * 132 and len(ranking.convert("RGB").getcolors(1 << 20)) > 20
    assert "Best and worst by score" in (test / "report.html").read_text(encoding="utf-8")


def test_a_score_that_cannot_be_had_is_refused_before_drawing(workplace):
    run = workplace[0] / "outputs" / "one"
    before = (run / "test" / "metrics.json").read_bytes()
    asked = ("--scores", "legality", "text_match=no/model")
    failed = script("evaluate_test.py", *asked, cwd=workplace[0], model="outputs/one", check=False)
    assert failed.returncode == 2 and "MODEL no/model cannot be loaded" in failed.stderr
    assert "tuned" not in failed.stdout + failed.stderr
    assert (run / "test" / "metrics.json").read_bytes() == before


def test_wandb_has_curves_constants_histogram_summary_and_table(workplace):
    """Read the offline files with wandb's own reader: what `wandb sync` would send."""
    from wandb.proto import wandb_internal_pb2
    from wandb.sdk.internal.datastore import DataStore

    seen: dict[str, set] = {"history": set(), "summary": set(), "config": set()}
    for path in sorted((workplace[0] / "outputs" / "one" / "wandb").glob("offline-run-*/*.wandb")):
        store = DataStore()
        store.open_for_scan(str(path))
        while (data := store.scan_data()) is not None:
            record = wandb_internal_pb2.Record()
            record.ParseFromString(data)
            kind = record.WhichOneof("record_type")
            if kind == "history":
                seen["history"] |= {i.key or "/".join(i.nested_key) for i in record.history.item}
            elif kind == "summary":
                seen["summary"] |= {i.key or "/".join(i.nested_key) for i in record.summary.update}
            elif kind in ("run", "config"):
                update = record.run.config.update if kind == "run" else record.config.update
                seen["config"] |= {i.key or "/".join(i.nested_key) for i in update}
    expected = {
        "history": [
            "train/loss",
            "valid/cross_entropy",
            "valid/drawings",
            "data/tokens_per_sample",
            "test/figures",
            "test/gallery",
        ],
        "summary": ["data/sha256", "data/train_samples", "test/tuned/cross_entropy", "test/reference/drawn_rate"],
        "config": ["LEARNING_RATE", "LORA_RANK", "environment", "evaluate"],
    }
    missing = {
        kind: [name for name in names if not any(key.split("/", name.count("/") + 1)[: name.count("/") + 1]
               == name.split("/") for key in seen[kind])]
        for kind, names in expected.items()
    }  # fmt: skip
    assert missing == {"history": [], "summary": [], "config": []}
    constants = {key.split("/")[0] for key in seen["config"]} - {"environment", "evaluate", "_wandb"}
    assert all(name.isupper() for name in constants)  # and no name of the Trainer's beside them
    # What the table is sent from lies in the run's folder too, drawings and references as pictures.
    staged = [path.read_bytes() for path in (workplace[0] / "outputs/one/wandb/data").rglob("*") if path.is_file()]
    tables = [json.loads(content) for content in staged if content.startswith(b'{"_type": "table"')]
    by_columns = {tuple(table["columns"]): table for table in tables}
    columns = ["id", "description", "reference", "base", "tuned", "constrained", "verdict", "reasoning", "svg"]
    table = by_columns[tuple(columns)]
    assert ["not blank", "100.0% [34–100]"] in [
        row[:2] for row in by_columns["figure", "reference", "base", "tuned", "constrained"]["data"]
    ]
    assert len(table["data"]) == 2 and all(row[2]["_type"] == "image-file" for row in table["data"])


def test_it_can_be_watched_as_it_learns_to_draw(workplace):
    """A sheet at each evaluation behind the first, of the validation part's two descriptions."""
    run = workplace[0] / "outputs" / "one"
    steps = [r["step"] for r in metrics_of(run) if "eval_cross_entropy" in r and r["step"]]
    sheets = sorted((run / "drawings").iterdir())
    assert [sheet.name for sheet in sheets] == [f"step-{step:05}.png" for step in steps] and len(steps) > 1
    assert Image.open(sheets[-1]).width == 10 + 2 * 170


def test_resumed_run_repeats_the_uninterrupted_one(workplace, tmp_path):
    folder, _, _, _ = workplace
    shutil.copytree(folder / "outputs" / "one", tmp_path / "outputs" / "one", symlinks=True)
    run = tmp_path / "outputs" / "one"
    expected = metrics_of(run)
    shutil.rmtree(run / "checkpoint-27")
    shutil.rmtree(run / "checkpoint-20")
    weights = (run / "adapter_model.safetensors").read_bytes()
    resumed = script("train.py", "--resume", cwd=tmp_path, run_name="one")
    assert "resuming from outputs/one/checkpoint-10" in resumed.stdout
    timings = {"eval_seconds", "train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss"}
    timings |= {"tokens_per_second", "peak_memory_gb", "minutes_left", "minutes", "padding"}  # since the line before
    runs = [
        [{k: v for k, v in r.items() if k not in timings} for r in records] for records in (metrics_of(run), expected)
    ]
    assert runs[0] == runs[1]  # losses, gradient norms, learning rates, validation: bit for bit
    assert (run / "adapter_model.safetensors").read_bytes() == weights


def test_interrupted_training_saves_and_says_how_to_go_on(tmp_path, tiny_base, data_file):
    command = [sys.executable, str(ROOT / "train.py"), "--data-path", str(data_file), "--base-model", str(tiny_base)]
    command += ["--run-name", "cut", "--epochs", "500", "--logging-steps", "1", "--no-wandb"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = tmp_path / "outputs" / "cut" / "training.log"
    while process.poll() is None and not (log.exists() and "loss" in log.read_text()):
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 2, printed
    assert "python train.py --resume --run-name cut" in printed and "Traceback" not in printed
    (checkpoint,) = (tmp_path / "outputs" / "cut").glob("checkpoint-*")
    assert (checkpoint / "complete.json").exists()


def test_a_training_stopped_at_once_frees_its_name(tmp_path, tiny_base, data_file):
    """Two Ctrl-C: the second does not wait for a checkpoint. wandb writes into the folder until the end."""
    command = [sys.executable, str(ROOT / "train.py"), "--data-path", str(data_file), "--base-model", str(tiny_base)]
    command += ["--run-name", "cut", "--epochs", "500", "--logging-steps", "1", "--gradient-accumulation", "200"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    log = tmp_path / "outputs" / "cut" / "training.log"
    while process.poll() is None and not log.exists():  # before the first step, which is long
        time.sleep(0.1)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 130, printed
    assert "outputs/cut is removed: no checkpoint had been saved" in printed and "Traceback" not in printed
    assert not (tmp_path / "outputs" / "cut").exists()


def test_a_loss_that_is_not_a_number_stops_the_run(tmp_path, tiny_base, data_file):
    changes = {"data_path": data_file, "base_model": tiny_base, "run_name": "nan", "learning_rate": 1e30, "warmup": 1}
    done = script("train.py", "--no-wandb", cwd=tmp_path, check=False, logging_steps=1, save_steps=1, **changes)
    assert done.returncode == 2 and "the training loss is nan at step" in done.stderr and "Traceback" not in done.stderr
    stopped_at = int(re.search(r"at step (\d+)", done.stderr).group(1))
    checkpoints = (tmp_path / "outputs" / "nan").glob("checkpoint-*")
    assert all(int(path.name.split("-")[1]) < stopped_at for path in checkpoints)  # none with the broken weights


def test_dry_run_shows_the_label_mask_and_memory_and_writes_nothing(workplace, tmp_path):
    common = workplace[1]
    shown = script("train.py", "--dry-run", cwd=tmp_path, **common, **RUN).stdout
    assert "### Instruction" in shown and "no loss: " in shown and "[loss: " in shown
    assert shown.rindex("<|im_end|>") > shown.rindex("[loss: ")  # the end of turn is learned
    assert "memory estimate" in shown and "activations" in shown
    assert list(tmp_path.iterdir()) == []


ERRORS = {
    "misspelt constant": (["--lerning-rate", "1"], "did you mean --learning-rate?"),
    "wrong type": (["--batch-size", "four"], "--batch-size must be a whole number"),
    "value out of range": (["--batch-size", "0"], "BATCH_SIZE must be above 0"),
    "unknown choice": (["--loss-on", "svg"], "LOSS_ON must be one of"),
    "missing data": (["--data-path", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
    "missing base": (["--base-model", "./nowhere"], "./nowhere does not exist"),
    "unknown scheduler": (["--lr-scheduler", "cosin"], "LR_SCHEDULER must be one of"),
    "nothing fits": (["--max-length", "10"], "raise MAX_LENGTH"),
    "run exists": (["--run-name", "one"], "outputs/one exists"),
    "nothing to resume": (["--resume", "--run-name", "nowhere"], "no run to resume"),
    "run name that leaves outputs": (["--run-name", "../x"], "RUN_NAME"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_one_sentence(workplace, kind):
    folder, common, _, _ = workplace
    arguments, words = ERRORS[kind]
    before = sorted(folder.rglob("*"))
    flags = [text for key, value in common.items() for text in ("--" + key.replace("_", "-"), str(value))]
    done = script("train.py", *flags, *arguments, cwd=folder, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ") and words in done.stderr and done.stderr.count("\n") == 1
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("content", ["", "{}\n", "one"])
def test_empty_and_one_sample_files_are_one_sentence(workplace, tmp_path, data_file, content):
    common = workplace[1]
    path = tmp_path / "few.jsonl"
    path.write_text(data_file.read_text().splitlines()[0] if content == "one" else content)
    for name in ("train.py",) if content == "one" else ("train.py", "preprocess_token_lengths.py"):
        model = {"base_model": common["base_model"]} if name == "train.py" else {"tokenizer": common["base_model"]}
        done = script(name, cwd=tmp_path, check=False, data_path=path, **model)
        assert done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_resume_without_a_sound_checkpoint_is_one_sentence(workplace, tmp_path):
    shutil.copytree(workplace[0] / "outputs" / "one", tmp_path / "outputs" / "one", symlinks=True)
    run = tmp_path / "outputs" / "one"
    damaged = run / "checkpoint-27" / "optimizer.pt"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    (run / "checkpoint-20" / "adapter_model.safetensors").unlink()
    (run / "checkpoint-10" / "complete.json").unlink()
    done = script("train.py", "--resume", cwd=tmp_path, run_name="one", check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    for words in ("optimizer.pt is damaged", "adapter_model.safetensors is missing", "saving was interrupted"):
        assert words in done.stderr


def test_evaluation_refuses_other_data_and_unfinished_runs(workplace, tmp_path, data_file):
    folder = workplace[0]
    other = tmp_path / "other.jsonl"
    other.write_text(data_file.read_text().replace("number 3 ", "number three "))
    done = script("evaluate_test.py", cwd=folder, check=False, run_dir="outputs/one", data_path=other)
    assert done.returncode == 2 and "not the ones" in done.stderr
    done = script("evaluate_test.py", cwd=folder, check=False, model="outputs")
    assert done.returncode == 2 and "outputs is not a run" in done.stderr


def test_token_lengths_report(tmp_path, tiny_base, data_file):
    script("preprocess_token_lengths.py", cwd=tmp_path, data_path=data_file, tokenizer=tiny_base, output_dir="D")
    figures = json.loads((tmp_path / "D" / "token_lengths.json").read_text())
    assert figures["samples"] == 40 and figures["limit"] == 1560 and figures["over_limit"] == 0
    for part in ("total", "answer", "reasoning", "svg"):
        assert 0 < figures[part]["p50"] <= figures[part]["p90"] <= figures[part]["p99"] <= figures[part]["max"]
    assert (tmp_path / "D" / "token_lengths.png").stat().st_size > 10_000


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mount"), reason="needs root to mount a small tmpfs")
def test_full_disk_is_one_sentence_and_earlier_checkpoints_stay(tmp_path, tiny_base, data_file):
    (tmp_path / "outputs").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(tmp_path / "outputs")]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("tmpfs cannot be mounted here")
    try:
        done = script("train.py", "--no-wandb", cwd=tmp_path, check=False, data_path=data_file, base_model=tiny_base,
                      run_name="full", save_steps=2, epochs=3, lora_rank=4, lora_alpha=8, logging_steps=1)  # fmt: skip
        assert done.returncode == 2, done.stdout + done.stderr
        assert "disk is full" in done.stderr and "Traceback" not in done.stderr
        complete = list((tmp_path / "outputs" / "full").glob("checkpoint-*/complete.json"))
        assert complete, "no checkpoint survived"
        assert len(list((tmp_path / "outputs" / "full").glob("checkpoint-*"))) == len(complete)
    finally:
        subprocess.run(["umount", str(tmp_path / "outputs")], check=True)
