"""Our data in other trainers' form and back: the same tokens, the same labels, the same samples."""

import ast
import json
from dataclasses import fields

import pytest
import yaml

import train
from corpus import from_chat, to_chat
from prompt_template import build_prompt
from qwen_svg.common.constants import constants_in_force
from qwen_svg.common.dataset import read_samples
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import IGNORED, encode
from qwen_svg.model.tokenizer import load_tokenizer
from tests.paths import ROOT
from tests.scripts import run_main
from tests.tiny import answer

OTHERS = ROOT / "configs/other_trainers"


@pytest.fixture
def chat(tmp_path, monkeypatch, tiny_base, data_file):
    monkeypatch.chdir(tmp_path)
    run_main(
        to_chat, str(data_file), "--tokenizer", str(tiny_base), "--output", "data/chat.jsonl", positional="DATA_PATH"
    )
    return tmp_path


def test_trl_makes_the_same_tokens_and_labels_of_it(chat, tiny_base, data_file):
    """By TRL's own command line, trainer and collator, as configs/other_trainers/trl.yml sets them."""
    from datasets import load_dataset
    from trl import (
        DatasetMixtureConfig,
        ModelConfig,
        ScriptArguments,
        SFTConfig,
        SFTTrainer,
        TrlParser,
        get_peft_config,
    )

    parser = TrlParser((ScriptArguments, SFTConfig, ModelConfig, DatasetMixtureConfig))
    given = ["--config", str(OTHERS / "trl.yml"), "--fp16", "false", "--use_cpu", "true", "--dtype", "float32"]
    _, arguments, model, data = parser.parse_args_and_config([*given, "--model_name_or_path", str(tiny_base)])
    files = load_dataset(data.datasets[0].path, data_files=data.datasets[0].data_files, split="train", cache_dir=chat)
    trainer = SFTTrainer(str(tiny_base), arguments, train_dataset=files, peft_config=get_peft_config(model))
    rows = encode(load_tokenizer(str(tiny_base)), read_samples(data_file).samples, "chat")
    assert len(trainer.train_dataset) == len(rows)
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(3)])
    for i, row in enumerate(rows[:3]):
        assert batch["input_ids"][i, : row.length].tolist() == row.prompt + row.answer
        labels = batch["labels"][i].tolist()
        assert labels[: row.length] == [IGNORED] * len(row.prompt) + row.answer and set(labels[row.length :]) <= {
            IGNORED
        }


def test_the_way_back_gives_the_same_samples(chat, data_file):
    run_main(from_chat, "data/chat.jsonl", "--output", "back.jsonl", positional="INPUT")
    assert (chat / "back.jsonl").read_text() == data_file.read_text()


def test_edits_and_repairs_go_there_and_back(tmp_path, monkeypatch, tiny_base):
    monkeypatch.chdir(tmp_path)
    asked = [
        {"description": "a coin"},
        {"description": "make it {svg}", "svg": "<svg>{description}</svg>", "task": "edit"},
        {"description": "Repair this drawing.", "svg": "```xml\n<svg", "task": "repair"},
    ]
    records = [{"id": str(i), **one, "svg_content": answer()} for i, one in enumerate(asked)]
    (tmp_path / "mix.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    flags = ("--tokenizer", str(tiny_base), "--output", "chat.jsonl")
    run_main(to_chat, "mix.jsonl", *flags, positional="DATA_PATH")
    chats = [json.loads(line)["messages"] for line in (tmp_path / "chat.jsonl").read_text().splitlines()]
    assert [messages[0]["content"] for messages in chats] == [
        build_prompt(record["description"], record.get("svg"), record.get("task")) for record in records
    ]
    tokenizer = load_tokenizer(str(tiny_base))
    tokenizer.chat_template = (tmp_path / "chat.jinja").read_text(encoding="utf-8")
    rows = encode(load_tokenizer(str(tiny_base)), read_samples("mix.jsonl").samples, "chat")
    whole = [tokenizer.apply_chat_template(messages, return_dict=False) for messages in chats]
    for ids, row in zip(whole, rows, strict=True):
        assert ids[: row.length] == row.prompt + row.answer
    run_main(from_chat, "chat.jsonl", "--output", "back.jsonl", positional="INPUT")
    assert [json.loads(line) for line in (tmp_path / "back.jsonl").read_text().splitlines()] == records


SVG = '<svg viewBox="0 0 9 9"><circle r="3"/></svg>'
FORMS = {
    "messages": {"messages": [{"role": "system", "content": "Draw."}, {"role": "user", "content": "a dot"},
                              {"role": "assistant", "content": SVG}]},
    "ShareGPT": {"conversations": [{"from": "human", "value": "a dot"}, {"from": "gpt", "value": SVG}]},
    "prompt and completion": {"prompt": "a dot", "completion": SVG},
    "prompt and completion, as turns": {"prompt": [{"role": "user", "content": "a dot"}],
                                        "completion": [{"role": "assistant", "content": SVG}]},
    "Alpaca": {"instruction": "a dot", "output": SVG},
}  # fmt: skip
FORMS["a list as text"] = {"conversations": json.dumps(FORMS["ShareGPT"]["conversations"])}


@pytest.mark.parametrize("form", FORMS)
def test_others_forms_come_in(form, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [FORMS[form], {"messages": [{"role": "user", "content": "no answer"}]}, {"messages": "no list"}, {}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run_main(from_chat, "in.jsonl", "--output", "out.jsonl", positional="INPUT")
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"id": "1", "description": "a dot", "svg_content": SVG}
    printed = capsys.readouterr().out
    assert "1 samples; 3 rows" in printed and "1 have no <reasoning>; `python -m corpus.build_dataset" in printed


def test_mistakes_are_one_sentence_and_nothing_is_written_over(chat, data_file, tiny_base):
    with pytest.raises(UserError, match=r"OUTPUT data/chat.jsonl exists"):
        run_main(to_chat, str(data_file), "--tokenizer", str(tiny_base), positional="DATA_PATH")
    with pytest.raises(UserError, match=r"OUTPUT data/chat.jsonl exists"):
        run_main(from_chat, "data/chat.jsonl", "--output", "data/chat.jsonl", positional="INPUT")
    (chat / "none.jsonl").write_text('{"text": "nothing of the kind"}\n')
    with pytest.raises(UserError, match=r"holds no message with an <svg> behind one of a user"):
        run_main(from_chat, "none.jsonl", "--output", "out.jsonl", positional="INPUT")
    assert not (chat / "out.jsonl").exists()


@pytest.mark.parametrize("file", ["trl.yml", "axolotl.yml", "llama_factory.yml"])
def test_the_others_train_what_train_py_does(file):
    c = constants_in_force(train.__file__, [])
    said = yaml.safe_load((OTHERS / file).read_text(encoding="utf-8"))
    names = [  # ours, and theirs, whichever it is
        (c.BASE_MODEL, ("model_name_or_path", "base_model")),
        (c.MAX_LENGTH, ("max_length", "sequence_len", "cutoff_len")),
        (c.LORA_RANK, ("lora_r", "lora_rank")),
        (c.LORA_ALPHA, ("lora_alpha",)),
        (c.EPOCHS, ("num_train_epochs", "num_epochs")),
        (c.BATCH_SIZE, ("per_device_train_batch_size", "micro_batch_size")),
        (c.LEARNING_RATE, ("learning_rate",)),
        (c.LR_SCHEDULER, ("lr_scheduler_type", "lr_scheduler")),
        (c.WARMUP, ("warmup_steps", "warmup_ratio")),
        (c.WEIGHT_DECAY, ("weight_decay",)),
        (c.LORA_DROPOUT, ("lora_dropout",)),
        (c.MAX_GRAD_NORM, ("max_grad_norm",)),
        (c.GRADIENT_ACCUMULATION, ("gradient_accumulation_steps",)),
    ]
    for value, theirs in names:
        assert [said[name] for name in theirs if name in said] == [value], theirs
    assert said["fp16"] == c.FP16 and said["seed"] == c.SEED and said["save_steps"] == c.SAVE_STEPS


def test_unsloth_takes_its_settings_from_trls_file():
    """It needs a GPU, so it is read and not run: each name that it takes out is there, and all others are TRL's own."""
    from trl import SFTConfig

    said = yaml.safe_load((OTHERS / "trl.yml").read_text(encoding="utf-8"))
    tree = ast.parse((OTHERS / "unsloth.py").read_text(encoding="utf-8"))
    taken = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "pop":
            taken |= {one.value for one in node.args if isinstance(one, ast.Constant)}
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "FOR_THE_MODEL":
            taken |= set(ast.literal_eval(node.value))
    assert {"datasets", "chat_template_path", "lora_r", "lora_alpha", "model_name_or_path"} <= taken <= set(said)
    assert set(said) - taken <= {field.name for field in fields(SFTConfig)}


def test_llama_factory_finds_what_to_chat_writes():
    said = yaml.safe_load((OTHERS / "llama_factory.yml").read_text(encoding="utf-8"))
    listed = json.loads((OTHERS / "dataset_info.json").read_text(encoding="utf-8"))[said["dataset"]]
    written = constants_in_force(to_chat.__file__, []).OUTPUT
    assert (ROOT / said["dataset_dir"] / listed["file_name"]).resolve() == ROOT / written
    tags = listed["tags"]
    message = {tags["role_tag"]: tags["assistant_tag"], tags["content_tag"]: "<svg/>"}
    assert message == {"role": "assistant", "content": "<svg/>"} and listed["columns"]["messages"] == "messages"
