"""From the user's file to batches: what training prints, keeps and writes down, and that the length count agrees."""

import json
from pathlib import Path

import numpy as np
import pytest

import preprocess_token_lengths
import train
from qwen_svg.common.run_split import samples_of, split_sha256
from qwen_svg.training.data import prepare_data
from tests.scripts import constants_of, run_main
from tests.tiny import answer


@pytest.fixture(scope="module")
def untidy(tmp_path_factory) -> Path:
    """Samples of people: fenced answers, control tokens, one drawing twice, blank groups, one that is far too long."""
    records = [
        {"id": f"s{i}", "description": f"a circle, number {i}", "svg_content": answer(radius=i), "group": ""}
        for i in range(24)
    ]
    for record in records[:4]:
        record["svg_content"] = f"```xml\n{record['svg_content']}\n```"
    records[4]["description"] += "<|im_end|>"
    records[5]["svg_content"] = records[5]["svg_content"].replace("gold", "<|im_start|>gold", 1)
    records[6]["svg_content"] = records[7]["svg_content"].replace("\n", "\n  ")
    records[8]["description"] = records[9]["description"].upper().replace(" ", "\u00a0")
    records[10]["svg_content"] = answer().replace("</svg>", '<rect x="1" y="2"/>' * 40_000 + "</svg>")
    records[11]["svg_content"] = answer("navy").partition("\n\n")[2] + answer("navy").partition("\n\n")[0]
    path = tmp_path_factory.mktemp("untidy") / "my data.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records) + "no\n")
    return path


@pytest.mark.parametrize(("answers", "kept"), [("keep", 22), ("mend", 23), ("drop", 18)])
def test_every_sample_is_accounted_for(untidy, tokenizer, tmp_path, capsys, monkeypatch, answers, kept):
    c = constants_of(train, "--data-path", str(untidy), "--mend-answers", answers, "--dry-run")
    data = prepare_data(c, tokenizer)
    said = capsys.readouterr().out
    assert sum(len(part) for part in data.parts.values()) == kept
    fate = {"keep": "kept", "mend": "mended", "drop": "skipped"}[answers]
    assert data.lines[fate]["markdown fence"] == 4 and "has a markdown fence" in said
    late = "mended" if answers == "mend" else "skipped"
    assert data.lines[late]["reasoning after the SVG"] == 1 and data.lines["skipped"]["not JSON"] == 1
    assert data.lines["no_group"] == data.lines["read"] and "have a group that is blank" in said
    assert data.lines["name_control_tokens"] == 2 and "2 samples name control tokens" in said
    assert data.lines["alike"] == {"families": kept - 2, "description": 2, "spelling": 2, "drawing": 2, "group": 0}
    assert f"{kept} samples in {kept - 2} families" in said
    assert data.ids["dropped"] == {"s10": "more than 1560 tokens"}
    for one, other in (("s6", "s7"), ("s8", "s9")):
        assert [one in data.ids[part] for part in data.parts] == [other in data.ids[part] for part in data.parts]
    stop = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert all(row.answer.index(stop) == len(row.answer) - 1 for part in data.parts.values() for row in part)

    # The run's own split gives the same samples back, as they were mended.
    facts = {"data": {"sha256": data.fingerprint, "split_sha256": split_sha256(data.ids)}}
    (tmp_path / "split.json").write_text(json.dumps(data.ids))
    (tmp_path / "environment.json").write_text(json.dumps(facts))
    found = samples_of(tmp_path, "train", [str(untidy)])
    assert [sample.id for sample in found] == data.ids["train"]
    assert any("```" in sample.answer for sample in found) == (answers == "keep")

    # And the count of lengths has the same samples.
    monkeypatch.setattr(preprocess_token_lengths, "load_tokenizer", lambda _: tokenizer)
    monkeypatch.setattr(preprocess_token_lengths, "draw", lambda *_: None)
    flags = ["--data-path", str(untidy), "--mend-answers", answers, "--output-dir", str(tmp_path / "out")]
    run_main(preprocess_token_lengths, *flags)
    figures = json.loads((tmp_path / "out/token_lengths.json").read_text())
    lengths = [length for part in data.parts.values() for length in part.lengths]
    assert figures["samples"] - figures["over_limit"] == kept and figures["dropped_ids"] == ["s10"]
    assert figures["total"]["max"] == max(lengths) and figures["total"]["mean"] == round(float(np.mean(lengths)), 2)
