"""SVG text → vectors: what is read, hidden, packed, learned and found again; faults are one sentence each."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import optimi
import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM, AutoTokenizer, ModernBertConfig, ModernBertModel, TrainingArguments

from corpus.optimize import optimize_svg_string
from corpus.sources import drawings
from corpus.vectors import KINDS, Vectors, nearest, pairs_alike, read_vectors, write_vectors
from encoder import contrast, convert_to_hf, embed, pretrain, train_tokenizer
from encoder.contrasting.augment import augmented
from encoder.contrasting.pairs import Labelled, PairBatches
from encoder.contrasting.recall import recall
from encoder.contrasting.trainer import info_nce
from encoder.drawing_text import drawing_text
from encoder.loading import load_tokenizer, reading_of
from encoder.outline import outline
from encoder.pretraining.packs import Masking, Packs
from encoder.pretraining.token_file import TokenFile, make
from encoder.training import InOrderTrainer
from encoder.unpadded import UNPADDED, unpadded_batch
from encoder.vectors import Encoder
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import IGNORED
from qwen_svg.svg.render import picture_difference, render_rgb
from svg_constraint import SVG_OPEN
from tests import flexbert
from tests.scripts import run_main

TWEMOJI = [optimize_svg_string(drawing.svg, comments=False) for drawing in list(drawings("twemoji"))[::45]]
SMALL = {
    "layers": 2, "hidden_size": 32, "intermediate_size": 48, "heads": 2, "global_every": 2, "dropout": 0.0,
    "sequence_length": 256, "validation": 4, "tokens": 24_000, "pack_tokens": 2000, "gradient_accumulation": 2,
    "learning_rate": 0.03, "warmup_tokens": 4000, "decay_tokens": 8000, "logging_steps": 1, "eval_steps": 3,
    "save_steps": 3, "wandb": False,
}  # fmt: skip


def script(module, **constants) -> None:
    """Run a script's main() as from the command line, in this process: importing torch takes seconds."""
    argv = []
    for name, value in constants.items():
        flag = name.replace("_", "-")
        argv += ([f"--{flag}"] if value else [f"--no-{flag}"]) if isinstance(value, bool) else [f"--{flag}", str(value)]
    run_main(module, *argv)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with 44 drawings, a tokenizer, a pretrained encoder and one fine-tuned on pairs."""
    folder = tmp_path_factory.mktemp("encoder")
    lines = [{"id": f"e{i}", "svg": svg} for i, svg in enumerate(TWEMOJI)]
    (folder / "icons.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    pairs = [
        {"emoji": f"e{i}", "group": f"e{i}", "source": side, "svg": SVG_OPEN + text + "</svg>"}
        for i, svg in enumerate(TWEMOJI)
        for side, text in (("a", drawing_text(svg)), ("b", augmented(drawing_text(svg), np.random.default_rng(i))))
    ]
    (folder / "pairs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in pairs))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        script(train_tokenizer, data="icons.jsonl", output="tokenizer", vocabulary=1100)
        script(pretrain, data="icons.jsonl", tokenizer="tokenizer", run_name="small", **SMALL)
        script(
            contrast, data="pairs.jsonl", model="outputs/small", run_name="emoji", steps=4, pairs=8, max_tokens=64,
            eval_steps=2, save_steps=2, logging_steps=1, wandb=False,
        )  # fmt: skip
    return folder


@pytest.fixture
def here(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    return workplace


@pytest.fixture(scope="module")
def tokenizer(workplace):
    return load_tokenizer(str(workplace / "tokenizer"))


def metrics_of(run: str) -> list[dict]:
    return [json.loads(line) for line in Path(f"outputs/{run}/metrics.jsonl").read_text().splitlines()]


def validation_of(run: str) -> dict[int, float]:
    return {r["step"]: r["eval_cross_entropy"] for r in metrics_of(run) if "eval_accuracy" in r}


# --- what is read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("svg", TWEMOJI[::6])
def test_what_is_read_draws_the_same_picture(svg):
    text = drawing_text(svg)
    error, worst_tile = picture_difference(render_rgb(svg), render_rgb(f"{SVG_OPEN}{text}</svg>"))
    assert error < 0.01 and worst_tile < 0.1
    assert drawing_text(f"{SVG_OPEN}{text}</svg>") == text


def test_coordinates_are_absolute_integers_and_comments_go():
    svg = (
        f"<reasoning>1. a path</reasoning>\n\n{SVG_OPEN}\n<!-- a path -->\n"
        '<path d="m10.4 20 20 0v30z" fill="#aabbcc" opacity=".5"/>\n<circle cx="3.6" cy="4" r="2.2"/>\n</svg>'
    )
    assert drawing_text(svg) == (
        '<path d="M10 20L30 20V50Z" fill="#aabbcc" opacity=".5"/><circle cx="4" cy="4" r="2"/>'
    )
    assert drawing_text("no drawing") == "" and drawing_text("</svg><svg>") == ""
    assert drawing_text('<svg><path d="M1 2 nonsense"/></svg>') == '<path d="M1 2 nonsense"/>'


def test_an_outline_has_the_corners_and_colours_of_each_shape():
    text = (
        '<path d="M10 20L30 20L30 50C1 1 2 2 200 255Z" fill="#f2a104"/><g><circle cx="128" cy="128" r="40"/></g>'
        '<rect x="0" y="0" width="255" height="32" fill="none" stroke="red"/><polyline points="0 0 300 -9"/>'
    )
    assert outline(text) == (
        "<path #f90 0,1 1,1 1,3 12,15<circle #000 5,8 8,5 10,8 8,10<rect none /#f00 0,0 15,0 15,2 0,2"
        "<polyline #000 0,0 15,0"
    )
    many = " ".join(f"L{x} {x * x % 256}" for x in range(256))
    assert 2 <= len(outline(f'<path d="M0 0{many}"/>').split(",")) - 1 <= 8
    assert outline("") == outline('<path d=""/><g fill="#fff"></g>') == ""


# --- tokenizer ------------------------------------------------------------------------------------------------


def test_a_coordinate_is_one_token(tokenizer):
    for number in range(257):
        for text in (f"{number}", f" {number}"):
            assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1, text
    assert len(tokenizer("M12.5", add_special_tokens=False)["input_ids"]) == 3  # M, 12, .5


def test_a_point_of_an_outline_is_one_token_and_the_reading_is_kept(here):
    script(train_tokenizer, data="icons.jsonl", output="outlines", reading="outline", vocabulary=900)
    tokenizer = load_tokenizer("outlines")
    assert reading_of(tokenizer) is outline
    for svg in TWEMOJI[::7]:
        text = outline(drawing_text(svg))
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert len(ids) == text.count("<") + text.count(" ") and tokenizer.decode(ids) == text
    data = Labelled()
    for i in range(6):
        for side in "ab":
            data.add(drawing_text(TWEMOJI[i]) * (i > 0), str(i), side)  # the first has nothing to be read
    batch = PairBatches(data, tokenizer, pairs=6, limit=32, seed=0, count=1)[0]
    assert max(batch["attention_mask"]["full_attention"].lengths) <= 32


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60) | st.from_regex(r'<path d="([MLC](\d{1,3}[ ,-]){2,6}){1,3}"/>', fullmatch=True))
def test_tokens_give_the_text_back(tokenizer, text):
    ids = tokenizer(text)["input_ids"]
    assert (ids[0], ids[-1]) == (tokenizer.cls_token_id, tokenizer.sep_token_id)
    assert tokenizer.decode(ids[1:-1], clean_up_tokenization_spaces=False) == text


# --- attention, packs, hidden tokens ----------------------------------------------------------------------------


def test_sequences_in_one_row_are_as_if_each_were_alone():
    torch.manual_seed(0)
    config = ModernBertConfig(
        vocab_size=50, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=2,
        local_attention=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )  # fmt: skip
    model = ModernBertModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rows = [torch.randint(3, 50, (n,)) for n in (1, 600, 17, 16, 300)]
    with torch.no_grad():
        alone = torch.cat([model(input_ids=row[None]).last_hidden_state[0] for row in rows])
        model.set_attn_implementation(UNPADDED)
        together = model(**unpadded_batch(rows)).last_hidden_state[0]
    assert (alone - together).abs().max() < 1e-5


@pytest.fixture(scope="module")
def token_file(workplace, tokenizer):
    make(workplace / "made", map(drawing_text, TWEMOJI), tokenizer, validation=5)
    return TokenFile(workplace / "made")


def test_the_token_file_holds_every_drawing_and_cuts_the_long(token_file, tokenizer):
    expected = tokenizer([drawing_text(svg) for svg in TWEMOJI])["input_ids"]
    assert [token_file.sequence(i, 10**6).tolist() for i in range(len(token_file))] == expected
    assert token_file.lengths().tolist() == [len(ids) for ids in expected]
    longest = int(np.argmax(token_file.lengths()))
    assert token_file.sequence(longest, 20).tolist() == [*expected[longest][:19], tokenizer.sep_token_id]
    assert not set(token_file.valid) & set(token_file.train())
    assert len(token_file.valid) + len(token_file.train()) == len(TWEMOJI)


def test_a_pass_has_each_sequence_once_and_packs_are_found_by_number(token_file, tokenizer):
    def packs(count, seed=3):
        return Packs(token_file, token_file.train(), 200, 1500, Masking(tokenizer, 0.3), seed, count)

    once = packs(None)
    lengths = [pack["attention_mask"]["full_attention"].lengths for pack in once]
    assert sorted(n for some in lengths for n in some) == sorted(
        np.minimum(token_file.lengths(), 200)[token_file.train()]
    )
    assert all(sum(some) <= 1500 for some in lengths)
    many, again = packs(3 * len(once)), packs(3 * len(once))
    for number in (2 * len(once), 1, len(once) - 1):
        assert many[number]["input_ids"].equal(again[number]["input_ids"])
        assert many[number]["labels"].equal(again[number]["labels"])
    assert not many[0]["labels"].equal(packs(3 * len(once), seed=4)[0]["labels"])


def test_a_share_of_the_ordinary_tokens_is_hidden(tokenizer):
    random = np.random.default_rng(0)
    ids = np.concatenate([[tokenizer.cls_token_id], random.integers(5, 1100, 20_000), [tokenizer.sep_token_id]])
    hidden, labels = Masking(tokenizer, 0.3)(ids, random)
    predicted = labels != IGNORED
    assert abs(predicted.mean() - 0.3) < 0.02 and not predicted[[0, -1]].any()
    assert (labels[predicted] == ids[predicted]).all() and (hidden[~predicted] == ids[~predicted]).all()
    shares = [(hidden[predicted] == tokenizer.mask_token_id).mean(), (hidden[predicted] == ids[predicted]).mean()]
    assert abs(shares[0] - 0.8) < 0.02 and abs(shares[1] - 0.1) < 0.02


# --- pretraining ------------------------------------------------------------------------------------------------


def test_pretraining_learns_and_leaves_a_model(here):
    validation = validation_of("small")
    assert list(validation) == [0, 3, 6] and validation[6] < 0.9 * validation[0]
    said = Path("outputs/small/training.log").read_text()
    assert len(re.findall(r"validation cross-entropy .*  right [\d.]+%\n", said)) == 3
    rates = [r["learning_rate"] for r in metrics_of("small") if "loss" in r]
    assert rates[0] == 0 and rates[1:5] == [SMALL["learning_rate"]] * 4 and 0 < rates[5] < rates[4] / 2
    for name in ("model.safetensors", "config.json", "tokenizer.json", "config.yml", "environment.json", "loss.png"):
        assert Path("outputs/small", name).stat().st_size > 0
    assert yaml.safe_load(Path("outputs/small/config.yml").read_text())["pack_tokens"] == SMALL["pack_tokens"]


def test_a_resumed_run_ends_as_the_one_that_was_not_stopped(here):
    shutil.copytree("outputs/small", "outputs/stopped")
    shutil.rmtree("outputs/stopped/checkpoint-6")
    (Path("outputs/stopped") / "model.safetensors").unlink()
    script(pretrain, resume=True, run_name="stopped")
    assert validation_of("stopped") == pytest.approx(validation_of("small"), abs=1e-5)
    Path("fewer.jsonl").write_text(Path("icons.jsonl").read_text().rpartition("\n{")[0])
    with pytest.raises(UserError, match="not the ones"):
        script(pretrain, resume=True, run_name="stopped", data="fewer.jsonl")


@pytest.mark.parametrize(
    ("constants", "message"),
    [
        ({"data": "none.jsonl"}, "there is no file, pattern, folder or hub dataset"),
        ({"svg_column": "drawing"}, "no column 'drawing', but id, svg"),
        ({"tokenizer": "nowhere"}, "no tokenizer in nowhere; make one with"),
        ({"init_from": "nowhere"}, "nowhere holds no model"),
        ({"heads": 3}, "HIDDEN_SIZE .32. must be a multiple of 2 × HEADS"),
        ({"warmup_tokens": 20_000}, "together exceed TOKENS"),
        ({"masked": 1.0}, "MASKED must be from 0.01 to 0.99"),
        ({"run_name": "small"}, "run folder outputs/small exists"),
    ],
)
def test_pretraining_refuses_what_cannot_work(here, constants, message):
    before = sorted(Path("outputs").glob("*/config.yml"))
    with pytest.raises(UserError, match=message):
        script(pretrain, **{"data": "icons.jsonl", "tokenizer": "tokenizer", "run_name": "new", **SMALL, **constants})
    assert sorted(Path("outputs").glob("*/config.yml")) == before


# --- pairs ------------------------------------------------------------------------------------------------------


def test_changed_copies_have_the_same_elements_and_stay_paths():
    for i, svg in enumerate(TWEMOJI[::9]):
        text = drawing_text(svg)
        copy = augmented(text, np.random.default_rng(i))
        assert copy != text and copy.count("<") == text.count("<")
        assert drawing_text(f"{SVG_OPEN}{copy}</svg>") == copy  # path data that parse, absolute already
        render_rgb(f"{SVG_OPEN}{copy}</svg>", 32)


def test_the_loss_asks_each_for_its_partner():
    vectors = torch.nn.functional.normalize(torch.randn(6, 8), dim=-1)
    cosines = (vectors @ vectors.T / 0.1).tolist()
    expected = 0.0
    for i, partner in enumerate((3, 4, 5, 0, 1, 2)):
        others = [np.exp(cosines[i][j]) for j in range(6) if j != i]
        expected -= np.log(np.exp(cosines[i][partner]) / sum(others)) / 6
    assert info_nce(vectors, 0.1).item() == pytest.approx(expected, rel=1e-5)
    same = torch.eye(3).repeat(2, 1)
    assert info_nce(same, 0.05) < 1e-6 < info_nce(same.roll(1, 0)[[0, 1, 2, 4, 5, 3]], 0.05)


def test_recall_by_hand():
    similarity = np.array([[1, 0.5, 0.9, 0.1], [0.5, 1, 0.8, 0.7], [0.9, 0.8, 1, 0.2], [0.1, 0.7, 0.2, 1]])
    found = recall(similarity, ["x", "y", "x", "y"], ["a", "a", "b", "b"], at=(1, 2))
    assert found == {1: 0.75, 2: 1.0, "queries": 4}  # y of a takes x of b for its own
    assert recall(similarity, list("xyzw"), ["a", "a", "b", "b"])["queries"] == 0


def test_a_batch_holds_pairs_of_one_label_within_the_limit(tokenizer):
    data = Labelled()
    for i in range(6):
        for side in "ab":
            data.add(f'<rect width="{i}{i}"/>' * 30, str(i), side)
    batch = PairBatches(data, tokenizer, pairs=4, limit=32, seed=0, count=2)[1]
    lengths = batch["attention_mask"]["full_attention"].lengths
    assert len(lengths) == 8 and max(lengths) <= 32
    with pytest.raises(UserError, match="only 6 labels have two drawings"):
        PairBatches(data, tokenizer, pairs=7, limit=32, seed=0, count=1)


def test_fine_tuning_leaves_an_encoder_and_its_recall(here):
    found = [r["eval_recall_at_1"] for r in metrics_of("emoji") if "eval_recall_at_1" in r]
    assert len(found) == 3 and all(0 <= share <= 1 for share in found)
    said = Path("outputs/emoji/training.log").read_text()
    assert len(re.findall(r"validation recall@1 [\d.]+%  recall@10 ", said)) == 3 and said.count("learning rate") == 4
    assert not torch.equal(*(Encoder(f"outputs/{run}").vectors(TWEMOJI[:1]) for run in ("small", "emoji")))
    with pytest.raises(UserError, match="no column 'label'"):
        script(contrast, data="pairs.jsonl", model="outputs/small", run_name="new", label_column="label")


# --- vectors ----------------------------------------------------------------------------------------------------


def test_vectors_are_written_to_the_kinds_of_files_that_can_be_read(here):
    assert embed.OUTPUT_KINDS == KINDS
    with pytest.raises(UserError, match=r"OUTPUT must end in one of .npz"):
        script(embed, input="icons.jsonl", model="outputs/emoji", output="v.csv")


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_come_back_from_every_kind_of_file(tmp_path, kind):
    content = Vectors(["a", "ü"], ["1" * 32, "2" * 32], np.random.rand(2, 5).astype(np.float32), "m 1")
    write_vectors(tmp_path / f"v{kind}", content)
    back = read_vectors(tmp_path / f"v{kind}")
    assert (back.ids, back.hashes, back.model) == (content.ids, content.hashes, content.model)
    assert np.array_equal(back.vectors, content.vectors)
    (tmp_path / f"v{kind}").write_bytes(b"PK nonsense")
    with pytest.raises(UserError, match="holds no vectors that can be read"):
        read_vectors(tmp_path / f"v{kind}")


def test_pairs_and_neighbours_are_those_of_the_full_table(monkeypatch):
    monkeypatch.setattr("corpus.vectors.BLOCK", 7)
    monkeypatch.setattr("corpus.vectors.PART", 10)
    vectors = np.random.default_rng(0).normal(size=(40, 3))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = vectors @ vectors.T
    expected = {(i, j) for i in range(40) for j in range(i + 1, 40) if table[i, j] >= 0.9}
    found = [tuple(pair) for pairs, _ in pairs_alike(vectors, 0.9) for pair in pairs.tolist()]
    assert len(found) == len(expected) and set(found) == expected
    best, cosines = nearest(vectors, vectors[5], 3)
    assert best[0] == 5 and cosines[0] == pytest.approx(1) and cosines == pytest.approx(sorted(table[5])[:-4:-1])


def test_a_drawing_finds_itself_and_its_copy(here, capsys):
    Path("icons").mkdir()
    for i in (0, 5, 9, 12):
        Path(f"icons/{i}.svg").write_text(TWEMOJI[i])
    Path("icons/copy.svg").write_text(TWEMOJI[9].replace("\n", "\n<!-- the same -->\n", 1))
    script(
        embed, input="icons", model="outputs/emoji", output="v.npz", search="icons/9.svg", sheet="s.png",
        duplicates="d.jsonl", similarity=0.9999,
    )  # fmt: skip
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[-1] for line in lines if line.startswith(" 1.0000")} == {"9.svg", "copy.svg"}
    assert json.loads(Path("d.jsonl").read_text()) == {"a": "9.svg", "b": "copy.svg", "similarity": 1.0}
    assert Path("s.png").read_bytes().startswith(b"\x89PNG")
    norms = np.linalg.norm(read_vectors(Path("v.npz")).vectors, axis=1)
    assert norms == pytest.approx(1, abs=1e-5)
    before = Path("v.npz").read_bytes()
    script(embed, input="icons", model="outputs/emoji", output="v.npz")  # is used as it is
    with pytest.raises(UserError, match="made by another model"):
        script(embed, input="icons", model="outputs/small", output="v.npz")
    with pytest.raises(UserError, match="vectors of other drawings"):
        script(embed, input="icons.jsonl", model="outputs/emoji", output="v.npz")
    assert Path("v.npz").read_bytes() == before


def test_a_cpu_trains_where_triton_is_installed(tmp_path, monkeypatch):
    """As it is with the torch for GPUs that pip takes on Linux."""
    monkeypatch.setattr(sys.modules[optimi.StableAdamW.__module__], "_default_to_triton", lambda params: True)
    arguments = TrainingArguments(tmp_path, optim="stable_adamw", use_cpu=True, report_to=[])
    layer = torch.nn.Linear(2, 2)
    optimizer = InOrderTrainer(layer, arguments).create_optimizer()
    before = layer.weight.clone()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert not torch.equal(layer.weight, before)


def test_drawings_that_were_not_optimized_are_pointed_out(here, capsys):
    Path("raw.jsonl").write_text('{"svg": "<svg viewBox=\\"0 0 9 9\\"><rect/></svg>"}\nnonsense\n')
    script(embed, input="raw.jsonl", model="outputs/emoji", output="raw.parquet")
    assert "1 of 1 drawings are not on the 256 × 256 canvas" in capsys.readouterr().out
    Path("empty.jsonl").write_text("")
    with pytest.raises(UserError, match="holds no drawing"):
        script(embed, input="empty.jsonl", model="outputs/emoji", output="none.npz")


# --- ModernBERT's own checkpoints -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def state(tokenizer):
    return flexbert.random_state(len(tokenizer) + 4)  # their vocabulary is padded


def test_a_composer_checkpoint_computes_the_same_in_hugging_face(here, state, tokenizer):
    wrapped = {f"model.{name}": tensor for name, tensor in state.items()}
    torch.save({"state": {"model": wrapped, "optimizers": {"step": 3}}}, "latest-rank0.pt")
    Path("flex.yaml").write_text(
        yaml.safe_dump({"max_seq_len": 512, "model": {"name": "flex_bert", "model_config": flexbert.CONFIG}})
    )
    script(
        convert_to_hf, config="flex.yaml", checkpoint="latest-rank0.pt", tokenizer="tokenizer", output="hf",
        save_tokenizer=True,
    )  # fmt: skip
    model, saved = AutoModelForMaskedLM.from_pretrained("hf").eval(), AutoTokenizer.from_pretrained("hf")
    assert model.config.max_position_embeddings == saved.model_max_length == 512
    for text in (drawing_text(TWEMOJI[1]), '<rect width="9"/>'):
        ids = saved(text, truncation=True)["input_ids"]
        with torch.no_grad():
            ours = model(input_ids=torch.tensor([ids])).logits[0].double()
        assert (ours - flexbert.logits(state, ids)).abs().max() < 1e-5
    with pytest.raises(UserError, match="hf exists"):
        script(convert_to_hf, config="flex.yaml", checkpoint="latest-rank0.pt", tokenizer="tokenizer", output="hf")


def without(state, name):
    return {key: tensor for key, tensor in state.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: without(s, "bert.encoder.layers.2.mlp.Wo.weight"), "lacks .* model.layers.2.mlp.Wo.weight"),
        (lambda s: without(s, "decoder.bias"), "lacks tensors .* decoder.bias"),
        (lambda s: s | {"bert.pooler.weight": torch.ones(2)}, "no place for: bert.pooler.weight"),
        (lambda s: s | {"bert.final_norm.bias": torch.ones(48)}, "CONFIG has not: model.final_norm.bias"),
        (lambda s: s | {"head.dense.weight": torch.ones(48, 40)}, r"head.dense.weight is \(48, 40\), not \(48, 48\)"),
        (lambda s: s | {"decoder.weight": s["decoder.weight"] + 1}, "an output layer of its own"),
        (lambda s: without(s, "bert.embeddings.tok_embeddings.weight"), "no token embeddings"),
    ],
)
def test_every_tensor_is_accounted_for(state, tokenizer, change, message):
    with pytest.raises(UserError, match=message):
        convert_to_hf.convert(flexbert.CONFIG, 512, change(state), tokenizer)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bert_layer": "postnorm"}, "bert_layer is 'postnorm'"),
        ({"normalization": "rmsnorm"}, "normalization is 'rmsnorm'"),
        ({"skip_first_prenorm": False}, "skip_first_prenorm is False"),
        ({"attn_qkv_bias": True}, "attn_qkv_bias and attn_out_bias differ"),
        ({"rotary_emb_dim": 8}, r"rotary_emb_dim is 8; .* whole heads \(16\)"),
        ({"num_hidden_layers": 3}, "model of CONFIG has not: model.layers.3"),
    ],
)
def test_a_setting_that_modernbert_has_not_is_refused(state, tokenizer, change, message):
    with pytest.raises(UserError, match=message):
        convert_to_hf.convert(flexbert.CONFIG | change, 512, state, tokenizer)


def test_files_that_are_no_checkpoint_are_refused(here):
    Path("flex.json").write_text(json.dumps(flexbert.CONFIG))
    Path("text.pt").write_text("nonsense")
    torch.save({"state": {"model": {"epoch": 3}}}, "numbers.pt")
    torch.save({"state": Path("a")}, "objects.pt")
    for file, message in (
        ("text.pt", "cannot be read as tensors"),
        ("numbers.pt", "holds no tensors by name"),
        ("objects.pt", "cannot be read as tensors"),
        ("missing.pt", "does not exist"),
    ):
        with pytest.raises(UserError, match=message):
            script(convert_to_hf, config="flex.json", checkpoint=file, tokenizer="tokenizer", output="new")
        assert not Path("new").exists()


def test_a_vocabulary_without_room_for_coordinates_is_refused(here):
    with pytest.raises(UserError, match=r"VOCABULARY \(600\) is too small"):
        script(train_tokenizer, data="icons.jsonl", output="smaller", vocabulary=600)
    assert not Path("smaller").exists()
    with pytest.raises(UserError, match="tokenizer exists"):
        script(train_tokenizer, data="icons.jsonl", output="tokenizer")
