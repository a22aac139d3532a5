"""Our verdict beside people's labels: the figures, the reading of labels, the command on an earlier test."""

import json

import pytest
from PIL import Image

import evaluate_test
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.agreement import Verdict, agreement, read_labels, verdicts
from tests.tiny import answer


def verdict(ok: bool, follows: float | None = None) -> Verdict:
    return Verdict(ok, "" if ok else "bad", follows, True)


def test_the_figures_are_those_of_the_textbook():
    """Cohen's kappa of 20, 5, 10, 15 is 0.4: 0.7 agree, 0.5 would by chance."""
    counts = {(True, True): 20, (True, False): 5, (False, True): 10, (False, False): 15}
    cases = [pair for pair, n in counts.items() for _ in range(n)]
    found = agreement({str(i): human for i, (human, _) in enumerate(cases)}, [verdict(own) for _, own in cases])
    assert found["confusion"] == [[20, 5], [10, 15]] and found["accuracy"] == 0.7
    assert found["kappa"] == pytest.approx(0.4)
    assert (found["precision"], found["recall"]) == (pytest.approx(20 / 30), 0.8)
    precision, recall = found["precision"], found["recall"]
    assert found["f1"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert [one["id"] for one in found["disagreements"]] == [str(i) for i in range(20, 35)]


def test_what_would_divide_by_nothing_has_no_figure():
    found = agreement({"a": False, "b": False}, [verdict(False), verdict(False)])
    assert (found["accuracy"], found["precision"], found["recall"], found["f1"], found["kappa"]) == (1, *[None] * 4)


def test_the_best_threshold_is_found():
    scores = (0.1, 0.2, 0.3, 0.4)
    people = {str(i): score >= 0.2 for i, score in enumerate(scores)}
    found = agreement(people, [verdict(score >= 0.35, score) for score in scores])
    assert found["accuracy"] == 0.5 and found["best_follows_from"] == {"follows_from": 0.2, "accuracy": 1}


def test_ok_is_legal_and_shown_and_following():
    blank = answer().replace('fill="gold"', 'fill="#fff"')
    answers = [answer(), answer(), blank, answer().replace("<circle", '<circle id="x"'), "I cannot"]
    found = verdicts(answers, [0.3, 0.1, 0.9, 0.9, 0.0], 0.2)
    assert [one.ok for one in found] == [True, False, False, False, False]
    words = ["", "does not follow the description (0.100)", "legal, but blank", "attribute ×1", "no <svg> section"]
    assert [one.why for one in found] == words
    assert [one.ok for one in verdicts(answers[:2], None, 0.2)] == [True, True]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("l.csv", "id,label\na,ok\nz,ok\n", r"l.csv:3: id 'z' is not among"),
        ("l.csv", "id,label\na,ok\nb,fine\n", r"l.csv:3: label 'fine' is neither 'ok' nor 'not ok'"),
        ("l.csv", "id,label\na,ok\na,not ok\n", r"l.csv:3: id 'a' has a label already"),
        ("l.csv", "id,label\na,\n", r"l.csv:2: no text in 'label'"),
        ("l.csv", "id,verdict\na,ok\n", r"l.csv:2: no column 'label'"),
        ("l.csv", "id,label\n", "holds no label"),
        ("l.jsonl", '{"id": "a", "label": "ok"}\nnot json\n', r"l.jsonl:2: the line is not JSON"),
        ("l.jsonl", '{"label": "ok"}\n', r"l.jsonl:1: no column 'id'"),
    ],
)
def test_a_wrong_label_is_named_with_its_line(tmp_path, name, content, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=words):
        read_labels(str(tmp_path / name), {"a", "b"})


def test_labels_are_read_as_people_write_them(tmp_path):
    (tmp_path / "l.csv").write_text("id,label\na, OK\nb,Not_OK\nc,not  ok\nd,not-ok\n")
    assert read_labels(str(tmp_path / "l.csv"), set("abcd")) == {"a": True, "b": False, "c": False, "d": False}
    (tmp_path / "l.jsonl").write_text('{"id": 7, "label": "ok"}\n')
    assert read_labels(str(tmp_path / "l.jsonl"), {"7"}) == {"7": True}


def test_an_earlier_test_is_labelled_without_drawing_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs" / "first" / "test"
    folder.mkdir(parents=True)
    (folder.parent / "config.yml").write_text("seed: 42\n")
    (folder.parent / "adapter_model.safetensors").touch()
    records = [
        {
            "id": f"s{i}",
            "description": "a gold circle",
            "tuned": {"answer": answer() if i % 2 else "none", "scores": {"text_match": 0.3}},
            "reference": {"answer": answer()},
        }
        for i in range(6)
    ]
    (folder / "samples.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "l.csv").write_text(
        "id,label\n" + "".join(f"s{i},{'ok' if i in (1, 3, 4) else 'not ok'}\n" for i in range(5))
    )

    def said(*more: str) -> str:
        arguments = ["--model", "first", "--labels", "l.csv", *more]
        evaluate_test.main(constants_in_force(evaluate_test.__file__, arguments))
        return capsys.readouterr().out

    printed = said()
    assert "accuracy 0.800 · precision 1.000 · recall 0.667" in printed and "s4: people say ok, we not ok" in printed
    assert json.loads((folder / "labels.json").read_text())["confusion"] == [[2, 1], [0, 2]]
    assert Image.open(folder / "confusion.png").width > 300
    assert "accuracy 0.400" in said("--follows-from", "0.31")
    # Scores that the test did not write are made now.
    assert "accuracy 0.800" in said("--follows-score", "legality", "--follows-from", "1")
    # A model that cannot be had is no end of it: the way out is said, and works.
    with pytest.raises(UserError, match=r"connect to the hub.* by legality alone: `--follows-score ''`\.$"):
        said("--follows-score", "vqa")
    assert "accuracy 0.800" in said("--follows-score", "")
    with pytest.raises(UserError, match="holds no drawings of 'base'"):
        said("--labels-of", "base")
    (folder / "samples.jsonl").unlink()
    with pytest.raises(UserError, match=r"samples.jsonl does not exist; run evaluate_test.py without"):
        said()
