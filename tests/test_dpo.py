"""A true DPO run on a tiny model: what it is fed, what it comes to prefer, what it leaves, resumed, and gone wrong."""

import json
import math
import shutil

import pytest
import torch
import yaml
from peft import PeftModel
from transformers import AutoModelForCausalLM

import train
from qwen_svg.common.dataset import Sample, fingerprint
from qwen_svg.common.errors import UserError
from qwen_svg.common.run_split import kin_of_held_out
from qwen_svg.common.tokens import encode
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model.tokenizer import load_tokenizer
from reinforce import train_dpo
from reinforce.preferences import PairTrainer
from tests.test_end_to_end import metrics_of
from tests.test_reinforce import SFT, call
from tests.tiny import answer

DPO = {"model": "sft", "pairs": "pairs.jsonl", "epochs": 2, "batch_size": 4, "gradient_accumulation": 1,
       "learning_rate": 2e-3, "save_steps": 2}  # fmt: skip
PAIRS = 12  # that may be trained on: three steps an epoch


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_base, data_file):
    """A folder with a fine-tuned run, "sft", pairs for it, and the run that went on from it, "dpo"."""
    folder, fed, compute_loss = tmp_path_factory.mktemp("work"), [], PairTrainer.compute_loss

    def watched(self, model, inputs, **more):
        fed.append({name: tensor.clone() for name, tensor in inputs.items()})
        return compute_loss(self, model, inputs, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call(train, "--no-wandb", run_name="sft", data_path=data_file, base_model=tiny_base, **SFT)
        write_pairs(folder, data_file)
        patch.setattr(PairTrainer, "compute_loss", watched)
        call(train_dpo, "--no-wandb", run_name="dpo", **DPO)
    torch.save(fed, folder / "fed.pt")
    return folder


def write_pairs(folder, data_file) -> None:
    """Circles that are gold are preferred; and of the validation split, of the test split, and too long, one each."""
    ids = json.loads((folder / "outputs/sft/split.json").read_text())
    data = map(json.loads, data_file.read_text(encoding="utf-8").splitlines())
    described = {record["id"]: record["description"] for record in data}
    good, bad = (answer(colour) for colour in ("gold", "navy"))
    pairs = [(described[id], good, bad) for id in ids["train"][:PAIRS]]
    pairs[3:3] = [
        (described[ids["valid"][0]], good, bad),
        (f" {described[ids['test'][0]].upper()}  ".replace(" ", "\t "), good, bad),
        (described[ids["train"][0]], good, bad.replace("</svg>", "<!-- and so on -->" * 400 + "</svg>")),
    ]
    with open(folder / "pairs.jsonl", "w", encoding="utf-8") as file:
        for i, (description, chosen, rejected) in enumerate(pairs):
            record = {"id": str(i), "description": description, "chosen": chosen, "rejected": rejected}
            file.write(json.dumps(record) + "\n")


def used(workplace) -> list[dict]:
    records = [json.loads(line) for line in (workplace / "pairs.jsonl").read_text().splitlines()]
    return records[:3] + records[6:]


@pytest.fixture(scope="module")
def as_trained(tiny_base):
    """As training loads it."""
    return load_tokenizer(str(tiny_base))


def encoded(workplace, tokenizer, side: str) -> list:
    return encode(tokenizer, [Sample(r["id"], r["description"], r[side]) for r in used(workplace)], "chat")


def test_the_model_is_fed_what_fine_tuning_feeds_it(workplace, as_trained):
    both = [encoded(workplace, as_trained, side) for side in ("chosen", "rejected")]
    found = []
    for batch in torch.load(workplace / "fed.pt"):
        assert batch["input_ids"][batch["attention_mask"] == 0].unique().tolist() in ([], [as_trained.pad_token_id])
        good, bad = (prompts_and_answers(batch, half) for half in (slice(None, 4), slice(4, None)))
        assert [prompt for prompt, _ in good] == [prompt for prompt, _ in bad]
        found += [(*one, other) for one, (_, other) in zip(good, bad, strict=True)]
    expected = [(good.prompt, good.answer, bad.answer) for good, bad in zip(*both, strict=True)]
    assert sorted(found) == sorted(2 * expected)
    stop = as_trained.convert_tokens_to_ids("<|im_end|>")
    assert all(good[-1] == bad[-1] == stop for _, good, bad in found)


def prompts_and_answers(batch: dict, rows: slice) -> list[tuple[list[int], list[int]]]:
    """What is seen of each row, and of that what is learned from."""
    fed = zip(*(batch[name][rows] for name in ("input_ids", "attention_mask", "completion_mask")), strict=True)
    return [(ids[(seen == 1) & (learned == 0)].tolist(), ids[learned == 1].tolist()) for ids, seen, learned in fed]


def test_the_reference_is_the_adapter_it_began_as(workplace):
    """Then loss and margins are those of two models that are the same; the bare base is far from the adapter."""
    first = metrics_of(workplace / "outputs/dpo")[0]
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert first["rewards/chosen"] == first["rewards/rejected"] == 0
    rows = [ids[None] for ids in torch.load(workplace / "fed.pt")[0]["input_ids"]]
    tuned, bare = (nats(workplace, run, rows) for run in ("sft", ""))
    assert all(abs(one - other) > 1 for one, other in zip(tuned, bare, strict=True))


def nats(workplace, run: str, rows: list[torch.Tensor]) -> list[float]:
    """Of whole rows (1, T), by plain transformers and peft."""
    base = yaml.safe_load((workplace / "outputs/sft/config.yml").read_text())["base_model"]
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if run:
        model = PeftModel.from_pretrained(model, workplace / "outputs" / run)
    with torch.no_grad():
        return [model(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1) for ids in rows]


def test_what_was_chosen_is_preferred_in_the_end(workplace, as_trained):
    """By the adapter as saved, read without TRL, against the run it began as: in every pair, and in the log."""
    margins = []
    for side in ("chosen", "rejected"):
        rows = encoded(workplace, as_trained, side)
        ids = [torch.tensor([row.prompt + row.answer]) for row in rows]
        before, after = (nats(workplace, run, ids) for run in ("sft", "dpo"))
        margins.append([b - a for b, a in zip(before, after, strict=True)])
    assert all(good > bad + 1 for good, bad in zip(*margins, strict=True)), margins
    records = [r for r in metrics_of(workplace / "outputs/dpo") if "rewards/margins" in r]
    assert [r["step"] for r in records] == [1, 2, 3, 4, 5, 6]
    assert records[-1]["rewards/accuracies"] == 1 and records[-1]["rewards/margins"] > 0.1
    assert records[-1]["loss"] < math.log(2) - 0.05


def test_pairs_of_the_tests_and_too_long_ones_are_left_out_and_counted(workplace):
    facts = json.loads((workplace / "outputs/dpo/environment.json").read_text())["pairs"]
    assert (facts["read"], facts["held out"], facts["too long"]) == (PAIRS + 3, 2, 1)
    assert f"{PAIRS} of the {PAIRS + 3}" in (workplace / "outputs/dpo/README.md").read_text()


def test_kin_are_found_by_description_and_by_group_as_the_split_finds_them(tmp_path):
    """Even through a sample that the run did not use, and through a group that only the other sample has."""
    data = [("s1", "a cat", None), ("s2", "a dog", "animals"), ("s3", "a hen", "animals"), ("s4", "a car", None)]
    samples = [Sample(id, description, answer(), group) for id, description, group in data]
    with (tmp_path / "data.jsonl").open("w") as file:
        for s in samples:
            record = {"id": s.id, "description": s.description, "svg_content": s.answer, "group": s.group}
            file.write(json.dumps(record) + "\n")
    (tmp_path / "split.json").write_text(json.dumps({"train": ["s1"], "valid": ["s4"], "test": ["s2"]}))
    trained = fingerprint([sample for sample in samples if sample.id != "s3"])
    (tmp_path / "environment.json").write_text(json.dumps({"data": {"sha256": trained}}))
    asked = [("A  Dog", None), ("a hen", None), ("a fox", "animals"), ("a CAR", None), ("a cat", None), ("a bus", "x")]
    pairs = [Sample("s1", description, "", group) for description, group in asked]
    assert kin_of_held_out(tmp_path, pairs, [str(tmp_path / "data.jsonl")]) == set(pairs[:4])
    (tmp_path / "environment.json").write_text('{"data": {"sha256": ""}}')
    with pytest.raises(UserError, match="not the ones"):
        kin_of_held_out(tmp_path, pairs, [str(tmp_path / "data.jsonl")])


def test_a_run_is_left_that_others_take_for_any_run(workplace, monkeypatch):
    run, sft = workplace / "outputs/dpo", workplace / "outputs/sft"
    for name in ("adapter_model.safetensors", "dpo.yml", "preferences.png", "README.md", "training.log",
                 "checkpoint-6/complete.json"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert (run / "split.json").read_bytes() == (sft / "split.json").read_bytes()
    assert not (run / "ref").exists() and not list(run.glob("checkpoint-*/ref"))
    monkeypatch.chdir(workplace)
    drawn = Predictor("outputs/dpo").draw("a red circle", Settings(max_new=8, free=True))
    assert drawn.tokens == 8 or drawn.finished
    with pytest.raises(UserError, match="reinforced"):
        call(train, "--resume", run_name="dpo")


def test_resumed_run_repeats_the_uninterrupted_one(workplace, tmp_path, monkeypatch):
    """Stopped by MAX_MINUTES in the first epoch: even then it is a whole run."""
    shutil.copytree(workplace / "outputs/sft", tmp_path / "outputs/sft")
    shutil.copy(workplace / "pairs.jsonl", tmp_path)
    monkeypatch.chdir(tmp_path)
    run, whole = tmp_path / "outputs/stopped", workplace / "outputs/dpo"
    call(train_dpo, "--no-wandb", run_name="stopped", max_minutes=1e-6, **DPO)
    assert (run / "adapter_model.safetensors").is_file() and steps(run) == steps(whole)[:1]
    call(train_dpo, "--resume", run_name="stopped", max_minutes=0)
    assert steps(run) == steps(whole)
    weights = [(folder / "adapter_model.safetensors").read_bytes() for folder in (run, whole)]
    assert weights[0] == weights[1]


def test_ctrl_c_before_the_first_checkpoint_leaves_the_name_free(workplace, monkeypatch, capsys):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(workplace)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(PairTrainer, "compute_loss", stopped)
        call(train_dpo, "--no-wandb", run_name="early", **DPO)
    assert "outputs/early is removed" in capsys.readouterr().out and not (workplace / "outputs/early").exists()


def steps(run) -> list[dict]:
    """All that was logged of each step, but the time, and how many tokens were seen, which TRL counts anew."""
    return [{k: v for k, v in r.items() if k not in ("num_tokens", "minutes")} for r in metrics_of(run) if "loss" in r]


def test_other_pairs_are_refused_when_resuming(workplace, tmp_path, monkeypatch):
    others = tmp_path / "others.jsonl"
    others.write_text("".join((workplace / "pairs.jsonl").read_text().splitlines(keepends=True)[1:]))
    monkeypatch.chdir(workplace)
    with pytest.raises(UserError, match="restore the file"):
        call(train_dpo, "--resume", run_name="dpo", pairs=others)


def lines(*records: dict | str) -> str:
    return "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records)


PAIR = {"id": 1, "description": "a sun", "chosen": answer("gold"), "rejected": answer("navy")}
WRONG_PAIRS = {
    "no JSON": (lines(PAIR, "so it goes"), "wrong.jsonl:2 is no pair: the line is not JSON"),
    "no rejected": (lines({k: v for k, v in PAIR.items() if k != "rejected"}), "no column 'rejected'"),
    "chosen is empty": (lines(PAIR, PAIR | {"chosen": " "}), "wrong.jsonl:2 is no pair: no text in 'chosen'"),
    "chosen is a number": (lines(PAIR | {"chosen": 3}), "no text in 'chosen'"),
    "both the same": (lines(PAIR | {"rejected": PAIR["chosen"] + "\n"}), "the same"),
    "half an emoji": (lines(PAIR | {"description": "\ud83d 🧠"}), "'description' is not UTF-8"),
    "empty": ("", "no pair of wrong.jsonl is left"),
    "all too long": (lines(PAIR | {"rejected": "x" * 9000}), "no pair of wrong.jsonl is left"),
}


@pytest.mark.parametrize("kind", WRONG_PAIRS)
def test_pairs_that_are_none_are_named(workplace, monkeypatch, kind):
    content, words = WRONG_PAIRS[kind]
    (workplace / "wrong.jsonl").write_text(content)
    refused(workplace, monkeypatch, words, "--model", "outputs/sft", "--pairs", "wrong.jsonl")


ERRORS = {
    "no such pairs": (["--model", "outputs/sft", "--pairs", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
    "no such run": (["--model", "outputs/nowhere"], "is not a run"),
    "unfinished run": (["--model", "outputs/unfinished"], "train_dpo --resume --run-name unfinished"),
    "base in 4 bits": (["--model", "outputs/base_quantization"], "BASE_QUANTIZATION"),
    "run exists": (["--model", "outputs/sft", "--run-name", "dpo"], "outputs/dpo exists"),
    "no beta": (["--model", "outputs/sft", "--beta", "0"], "BETA must be above 0"),
    "resuming another script's run": (["--resume", "--run-name", "sft"], "no run of this script"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_one_sentence_and_write_nothing(workplace, monkeypatch, kind):
    outputs = workplace / "outputs"
    (outputs / "base_quantization").mkdir(exist_ok=True)
    shutil.copy(outputs / "sft/adapter_model.safetensors", outputs / "base_quantization")
    config = yaml.safe_load((outputs / "sft/config.yml").read_text()) | {"base_quantization": "nf4"}
    (outputs / "base_quantization/config.yml").write_text(yaml.safe_dump(config))
    (outputs / "unfinished").mkdir(exist_ok=True)
    for name in ("config.yml", "dpo.yml", "environment.json"):
        shutil.copy(outputs / "dpo" / name, outputs / "unfinished")
    flags, words = ERRORS[kind]
    refused(workplace, monkeypatch, words, *flags)


def test_without_trl_the_way_to_it_is_named(workplace, monkeypatch):
    monkeypatch.setattr("qwen_svg.common.errors.find_spec", lambda name: None)
    refused(workplace, monkeypatch, "requirements/reinforce.txt", "--model", "outputs/sft")


def refused(workplace, monkeypatch, words: str, *flags: str) -> None:
    before = sorted(workplace.rglob("*"))
    monkeypatch.chdir(workplace)
    with pytest.raises(UserError) as raised:
        call(train_dpo, *flags)
    assert words in str(raised.value) and "\n" not in str(raised.value)
    assert sorted(workplace.rglob("*")) == before
