"""The figures of a test, and the table that shows them; evaluate_test.py's constants."""

import json
import math
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

import evaluate_test
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.judge import judge
from qwen_svg.evaluation.metrics import Column, bits_per_byte, figures, flat, loss_figures, table_text, wilson
from qwen_svg.evaluation.report import write_gallery, write_report, write_samples
from qwen_svg.model.cross_entropy import CrossEntropy
from svg_constraint import DIALECTS
from tests.paths import ROOT
from tests.tiny import answer

BLANK = answer("#fff")
ANSWERS = [answer(), BLANK, answer().replace("<circle", '<circle id="x"'), "I cannot"]


def written(finished: bool = True) -> SimpleNamespace:
    return SimpleNamespace(tokens=100, seconds=0.5, finished=finished)


# --- shares and their intervals -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (81, 263, 0.2553, 0.3662),  # Newcombe 1998, table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_of_the_textbook(successes, n, low, high):
    assert wilson(successes, n) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))


def test_every_share_has_its_interval():
    found = figures([judge(text) for text in ANSWERS], [written(), written(), written(), written(False)])
    counts = {"svg_accuracy": 3, "reasoning_accuracy": 3, "render_rate": 3, "drawn_rate": 2, "finished": 3}
    for name, count in counts.items():
        assert found[name] == count / 4 and found["intervals"][name] == list(wilson(count, 4))
    legal = {"prompt": 2, "prompt+gradients": 2, "prompt+strokes": 2, "kaggle": 3}  # Kaggle's rules allow an id
    assert found["constraint_accuracy"] == {dialect: legal[dialect] / 4 for dialect in DIALECTS}
    assert found["intervals"]["constraint_accuracy"] == {d: list(wilson(legal[d], 4)) for d in DIALECTS}
    assert found["intervals"].keys() == {*counts, "constraint_accuracy"}
    assert found["violations"] == {"attribute": 1, "no-svg": 1}


def claiming(*holds: bool, unseen: bool = False):
    judged = judge(answer())
    judged.claims, judged.unseen = [(f"claim {i}", one) for i, one in enumerate(holds)], unseen
    return judged


def test_claims_have_the_interval_of_a_share_of_drawings():
    """Eight claims of two drawings are no eight independent ones."""
    made = [
        claiming(True, True, True, False),
        claiming(True, True, True, True),
        claiming(),
        claiming(False, unseen=True),
    ]
    found = figures(made)
    assert found["claims"] == 7 / 8 and found["claims_unseen"] == 0
    assert found["intervals"]["claims"] == list(wilson(7 / 8 * 2, 2))
    assert found["intervals"]["claims_unseen"] == list(wilson(0, 1))
    assert made[0].to_json()["broken_claims"] == ["claim 3"] and made[0].to_json()["claims"] == 4
    rows = {line[:30].strip(): line[30:].split() for line in table_text({"tuned": found}).splitlines()}
    assert rows["claims that hold"] == ["87.5%", "[26–99]"] and rows["claims of unseen combinations"][0] == "0.0%"
    assert "claims that hold" not in table_text({"tuned": figures([claiming()])})


# --- drawn: renders, and is not blank -------------------------------------------------------------------------


def test_a_white_picture_renders_and_is_not_drawn():
    blank, shown = judge(BLANK), judge(answer())
    assert blank.renders and not blank.drawn and blank.legal("prompt") and blank.summary() == "legal, but blank"
    assert shown.renders and shown.drawn and shown.summary() == "legal"
    kept = blank.to_json()
    assert kept["renders"] and not kept["drawn"]
    assert [judge(text).why_not_drawn for text in ANSWERS] == ["", "blank", "", "no <svg> section"]


def test_gallery_and_report_say_blank(tmp_path):
    samples = [Sample(str(i), "a <b> circle", answer()) for i in range(len(ANSWERS))]
    judged = {name: [judge(text) for text in ANSWERS] for name in ("reference", "base", "tuned", "constrained")}
    metrics = {name: Column(column).metrics() for name, column in judged.items()}
    write_gallery(tmp_path / "gallery.png", samples, judged, 8)
    write_report(tmp_path / "report.html", tmp_path, metrics, samples, judged)
    page = (tmp_path / "report.html").read_text()
    assert page.count('<span class="good">legal</span>') == page.count('<div class="none">blank</div>') == len(judged)
    assert '<span class="bad">legal, but blank</span>' in page and "a &lt;b&gt; circle" in page
    assert "held to" not in page and "<th>constrained</th>" in page
    write_samples(tmp_path / "s.jsonl", samples, {"tuned": Column(judged["tuned"], [written()] * 4)})
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["tuned"]["drawn"] for line in lines] == [True, False, True, False] and lines[0]["tuned"]["finished"]


def test_figures_are_told_by_task():
    judged = [judge(text) for text in (answer(), answer("navy"), answer("teal"), BLANK)]
    judged[0].claims = [("gold circle", True)]
    judged[1].task, judged[1].as_reference = "edit", True
    judged[2].task = judged[3].task = "repair"
    metrics = {"tuned": Column(judged, [written()] * 4).metrics()}
    found = metrics["tuned"]["tasks"]
    assert {task: figures["samples"] for task, figures in found.items()} == {"draw": 1, "edit": 1, "repair": 2}
    assert [figures["drawn_rate"] for figures in found.values()] == [1, 1, 0.5]
    assert [figures.get("as_reference") for figures in found.values()] == [None, 1, 0]
    assert "as_reference" not in metrics["tuned"] and metrics["tuned"]["claims"] == found["draw"]["claims"] == 1
    table = {line[:30].strip(): line[30:].split() for line in table_text(metrics).splitlines()}
    assert table["repair: not blank"][0] == "50.0%" and table["edit: pixels of the reference"][0] == "100.0%"
    assert "draw: pixels of the reference" not in table
    alone = Column(judged[1:2], [written()]).metrics()
    assert alone["as_reference"] == 1 and "tasks" not in alone
    assert "pixels of the reference" in table_text({"tuned": alone})


# --- bits per byte --------------------------------------------------------------------------------------------


def test_bits_per_byte_count_bytes_and_bits():
    assert bits_per_byte(8 * math.log(2), ["abcd"]) == pytest.approx(2)
    assert bits_per_byte(8 * math.log(2), ["äö", "abcd"]) == pytest.approx(1)  # UTF-8: an umlaut is two bytes
    found = loss_figures(
        CrossEntropy(6 * math.log(256), 6), ["abcdef"], torch.float32
    )  # a byte-level model that knows nothing
    assert found["bits_per_byte"] == pytest.approx(8) and found["perplexity"] == pytest.approx(256)
    assert found["cross_entropy"] == pytest.approx(math.log(256)) and found["cross_entropy_samples"] == 1
    assert found["dtype"] == "float32"


# --- the table ------------------------------------------------------------------------------------------------


def columns(n: int) -> dict[str, dict]:
    judged, losses = (
        [judge(answer())] * (n - 1) + [judge(BLANK)],
        loss_figures(CrossEntropy(10.0, 20), ["abc"], "bfloat16"),
    )
    made = {
        "reference": Column(judged),
        "base": Column(judged, [written()] * n, losses),
        "tuned": Column(judged, [written()] * n, losses),
        "constrained": Column(judged, [written()] * n),
    }
    return {name: column.metrics() for name, column in made.items()}


def test_few_answers_have_their_intervals_in_the_table():
    lines = table_text(columns(8)).splitlines()
    assert max(map(len, lines)) <= 110
    rows = {line[:30].strip(): line[30:].split() for line in lines}
    assert rows["renders"] == ["100.0%", "[68–100]"] * 4 and rows["not blank"] == ["87.5%", "[53–98]"] * 4
    assert rows["bits per byte"] == ["–", "4.8090", "4.8090", "–"] and rows["answers"] == ["8"] * 4
    assert rows["answers ended by themselves"] == ["–", *["100.0%", "[68–100]"] * 3]
    ends = {line.index("%") for line in lines if line[:30].strip() in ("renders", "not blank")}
    assert len(ends) == 1  # figures stand below each other, whatever their intervals
    assert "95 % confidence interval" in lines[-1]


def test_many_answers_need_none():
    text = table_text(columns(100))
    assert "[" not in text and "interval" not in text and " 99.0%" in text
    assert max(map(len, text.splitlines())) <= 80


def test_wandbs_summary_is_flat():
    found = flat(columns(8))
    assert found["test/tuned/cross_entropy"] == 0.5 and found["test/constrained/drawn_rate"] == 0.875
    assert found["test/base/constraint_accuracy/prompt"] == 1
    assert all(isinstance(value, int | float) for value in found.values())
    assert not any(word in name for name in found for word in ("interval", "violations", "reference/cross_entropy"))


# --- evaluate_test.py's constants -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--temperature", "-1"], "TEMPERATURE must be 0 or more"),
        (["--temperature", "nan"], "--temperature must be a finite number"),
        (["--generate-samples", "-1"], "GENERATE_SAMPLES must be 0 or more"),
        (["--max-new-tokens", "-5"], "MAX_NEW_TOKENS must be 0 or more"),
        (["--batch-size", "0"], "BATCH_SIZE must be above 0"),
        (["--engine", "tgi"], "ENGINE must be one of 'auto', 'transformers', 'vllm'"),
        (["--labels-of", "free"], "LABELS_OF must be one of"),
        (["--model", "nowhere"], "nowhere is not a run"),
        (["--labels", "nowhere.csv"], "LABELS nowhere.csv does not exist"),
    ],
)
def test_wrong_constants_are_refused(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    run_folder(tmp_path / "outputs" / "first")
    with pytest.raises(UserError, match=words):
        evaluate_test.check_constants(constants_in_force(evaluate_test.__file__, arguments))


def test_wrong_constants_are_refused_before_torch_is_imported(tmp_path):
    command = [sys.executable, "-X", "importtime", str(ROOT / "evaluate_test.py")]
    for arguments, words in ((["--temperature=-1"], "must be 0 or more"), (["--run-dir", "nowhere"], "is not a run")):
        start = time.perf_counter()
        done = subprocess.run([*command, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert time.perf_counter() - start < 1.5  # a generous bound: it takes a tenth of a second
        (said,) = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
        assert done.returncode == 2 and said.startswith("error: ") and words in said
        assert not any(name in done.stderr for name in ("| torch", "| transformers", "| numpy", "| PIL"))


def run_folder(folder) -> None:
    folder.mkdir(parents=True)
    (folder / "config.yml").write_text("wandb: false\n")
    (folder / "adapter_model.safetensors").touch()
