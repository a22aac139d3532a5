"""Two cards side by side: paired differences, the gallery, and the page that people vote on."""

import json
import shutil

import pytest

import benchmark
from qwen_svg.common.errors import UserError
from svg_constraint import SVG_OPEN
from tests.scripts import run_main

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TWO = f'{SVG_OPEN}<!-- c --><circle cx="128" cy="128" r="64" fill="red"/><circle cx="9" cy="9" r="9"/></svg>'
ONE = f'{SVG_OPEN}<!-- c --><circle cx="128" cy="128" r="64" fill="red"/></svg>'
IDS = ["a, b", "<i>b</i>", "c", "d"]


@pytest.fixture
def cards(tmp_path, monkeypatch):
    """Four prompts; "second" fails at the last one and draws the others longer."""
    monkeypatch.chdir(tmp_path)
    prompts = [{"id": id, "prompt": f"thing {id}"} for id in IDS]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in prompts))
    for name, svg in (("first", ONE), ("second", TWO)):
        lines = [
            {"id": id, "svg": "" if (name, id) == ("second", "d") else svg, "tokens": i} for i, id in enumerate(IDS)
        ]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run_main(benchmark, "--prompts", "prompts.jsonl", "--model", f"{name}.jsonl")
    return [str(benchmark.BENCHMARKS / f"ours-{name}") for name in ("first", "second")]


def test_differences_are_of_the_same_prompts(cards, capsys):
    run_main(benchmark, "--compare", *cards)
    folder = benchmark.BENCHMARKS / "ours-first-or-second"
    found = json.loads((folder / "comparison.json").read_text())
    assert found["n"] == 4 and found["differences"]["success"]["value"] == 0.25
    size = found["differences"]["bytes"]
    assert size == {"value": len(ONE) - len(TWO), "low": len(ONE) - len(TWO), "high": len(ONE) - len(TWO), "n": 3}
    assert found["differences"]["tokens"]["value"] == 0 and "bytes" in capsys.readouterr().out
    gallery = (folder / "comparison.html").read_text()
    assert gallery.count("data:image/png") == 7 and "does not render" in gallery and "<i>b" not in gallery


def test_cards_that_cannot_be_compared_are_one_sentence(cards, tmp_path):
    with pytest.raises(UserError, match=r"nowhere holds no card.json"):
        run_main(benchmark, "--compare", cards[0], "nowhere")
    (tmp_path / "others.txt").write_text("another\n")
    (tmp_path / "third.jsonl").write_text(json.dumps({"id": "1", "svg": ONE}) + "\n")
    run_main(benchmark, "--prompts", "others.txt", "--model", "third.jsonl")
    with pytest.raises(UserError, match="are of other prompts"):
        run_main(benchmark, "--compare", cards[0], str(benchmark.BENCHMARKS / "ours-third"))
    run_main(benchmark, "--prompts", "prompts.jsonl", "--model", "first.jsonl", "--profile", "sarena")
    with pytest.raises(UserError, match="are under ours and sarena"):
        run_main(benchmark, "--compare", cards[0], str(benchmark.BENCHMARKS / "sarena-first"))


def test_labels_must_be_of_these_prompts(cards, tmp_path):
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label,label_of_second\nz,ok,ok\n")
    with pytest.raises(UserError, match=r"labels.csv:2: id 'z' is not among the prompts"):
        run_main(benchmark, "--compare", *cards, "--labels", str(labels))
    labels.write_text("id,label\nc,ok\n")
    with pytest.raises(UserError, match=r"labels.csv:2: label_of_second is neither"):
        run_main(benchmark, "--compare", *cards, "--labels", str(labels))


@pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed")
def test_people_vote_with_four_keys_and_their_votes_come_back(cards, tmp_path):
    """The red circle with a dot is the second's. Always prefer the first; one vote is taken back."""
    playwright = pytest.importorskip("playwright.sync_api")
    run_main(benchmark, "--compare", *cards)
    vote = (benchmark.BENCHMARKS / "ours-first-or-second/vote.html").resolve()
    with playwright.sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=CHROMIUM)
        page = browser.new_context(accept_downloads=True).new_page()
        faults = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(vote.as_uri())
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Backspace")
        for number in range(len(IDS)):
            assert page.inner_text("#state") == f"{number + 1} of 4"
            assert page.inner_text(".pair:not([hidden]) h3") == f"thing {IDS[number]}"
            order = json.loads(page.get_attribute(".pair:not([hidden])", "data-pair"))["order"]
            page.keyboard.press("ArrowUp" if number == 2 else "ArrowLeft" if order[0] == 0 else "ArrowRight")
        assert page.inner_text("#state").startswith("All are judged")
        page.reload()
        assert page.inner_text("#state").startswith("All are judged")  # kept until it is saved
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(tmp_path / "labels.csv")
        browser.close()
    assert not faults
    assert (tmp_path / "labels.csv").read_text().split() == (
        'id,label,label_of_second "a, b",ok,not ok <i>b</i>,ok,not ok c,ok,ok d,ok,not ok'.split()
    )
    run_main(benchmark, "--compare", *cards, "--labels", str(tmp_path / "labels.csv"))
    found = json.loads((benchmark.BENCHMARKS / "ours-first-or-second/comparison.json").read_text())["differences"]
    assert found["ok to people"]["value"] == 0.75 and found["ok to people"]["n"] == 4
