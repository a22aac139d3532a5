"""Tables in every form: the same rows, bad ones handed on with their fault, messages that name file and line."""

import csv
import gzip
import json

import pyarrow
import pytest
from pyarrow import parquet

from qwen_svg.common.errors import UserError
from qwen_svg.common.tables import rows, table_files, text_in

RECORDS = [{"drawing": f'<svg>{i}, "{"x" * 200_000 * (i == 3)}"</svg>', "id": str(i)} for i in range(12)]


def lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def write(path, records: list[dict]) -> None:
    """In the form that the name says."""
    kind = path.name.removesuffix(".gz").rpartition(".")[2]
    if kind == "parquet":
        parquet.write_table(pyarrow.Table.from_pylist(records), path)
        return
    with (gzip.open if path.suffix == ".gz" else open)(path, "wt", encoding="utf-8", newline="") as file:
        if kind == "csv":
            writer = csv.DictWriter(file, list(records[0]))
            writer.writeheader()
            writer.writerows(records)
        else:
            file.write(json.dumps(records) if kind == "json" else lines(records))


@pytest.mark.parametrize("name", ["t.jsonl", "t.json", "t.csv", "t.parquet", "t.jsonl.gz", "t.csv.gz", "t.json.gz"])
def test_every_form_gives_the_same_rows(tmp_path, name):
    write(tmp_path / name, RECORDS)
    found = list(rows(str(tmp_path / name)))
    assert [row.values for row in found] == RECORDS
    assert text_in(found[5], "drawing") == (RECORDS[5]["drawing"], "")
    with pytest.raises(UserError, match=rf"{name}\S*( \w+)?:? ?\d+: no column 'svg', but drawing, id"):
        text_in(found[0], "svg")


def test_folders_and_patterns_are_read_in_the_order_of_names(tmp_path):
    deep = tmp_path / "shards" / "deep"
    deep.mkdir(parents=True)
    for i in range(3):
        (deep / f"{i}_stage2.jsonl").write_text(lines(RECORDS[4 * i : 4 * i + 4]))
    (deep / "0_stage1.jsonl").write_text(lines([{"drawing": "raw"}]))
    (deep / "notes.txt").write_text("no table")
    for source, within in ((tmp_path / "shards", "*_stage2*"), (deep / "*_stage2.jsonl", "")):
        assert [row.values for row in rows(str(source), within)] == RECORDS
    assert len(table_files(str(tmp_path / "shards"))) == 4


def test_a_hub_dataset_is_streamed(monkeypatch):
    """`datasets` itself, given rows in place of the network."""
    import datasets

    made = datasets.Dataset.from_list(RECORDS[:3]).to_iterable_dataset()
    asked = []
    monkeypatch.setattr(datasets, "load_dataset", lambda *a, **k: asked.append((a, k)) or made)
    monkeypatch.setattr("qwen_svg.common.tables.hub_reachable", lambda: True)
    for name in ("VectorGraphics/svg-corpus", "hub:VectorGraphics/svg-corpus"):
        assert [row.values for row in rows(name, "*_stage2*")] == RECORDS[:3]
    options = {"data_files": "*_stage2*", "split": "train", "streaming": True}
    assert asked == [(("VectorGraphics/svg-corpus",), options)] * 2
    monkeypatch.setattr("qwen_svg.common.tables.hub_reachable", lambda: False)
    with pytest.raises(UserError, match="neither a file nor a folder here, and the hub cannot be reached"):
        list(rows("VectorGraphics/svg-corpus"))


def test_a_bad_line_costs_one_row(tmp_path):
    path = tmp_path / "t.jsonl"
    bad = ["{not json", '["a"]', "7", "[" * 100_000, '{"drawing": null}', '{"drawing": " "}', '{"drawing": 3}']
    path.write_bytes("\n".join([lines(RECORDS[:1]), *bad]).encode() + b'\n{"drawing": "\xff<svg/>"}\n' + b'{"draw')
    found = [text_in(row, "drawing") for row in rows(str(path)) if row.fault or "drawing" in row.values]
    assert [fault for _, fault in found] == [
        "",
        "the line is not JSON",
        "the line is no JSON object",
        "the line is no JSON object",
        "the line is not JSON",
        *["no text in 'drawing'"] * 3,
        "",
        "the line is not JSON",
    ]


def test_a_record_that_lacks_what_others_have_costs_one_row(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text(lines([{"drawing": "a"}, {"id": "b"}, {}, {"drawing": "d"}]))
    no_drawing = ("", "no 'drawing'")
    assert [text_in(row, "drawing") for row in rows(str(path))] == [("a", ""), no_drawing, no_drawing, ("d", "")]


def test_a_folder_of_svg_files_is_a_table_too(tmp_path):
    (tmp_path / "more").mkdir()
    for name in ("b.svg", "more/a.svg", "more/note.txt"):
        (tmp_path / name).write_text(f"<svg>{name}</svg>")
    found = [row.values for row in rows(str(tmp_path))]
    assert found == [{"id": name, "svg": f"<svg>{name}</svg>", "svg_content": f"<svg>{name}</svg>"}
                     for name in ("b.svg", "more/a.svg")]  # fmt: skip
    (tmp_path / "t.jsonl").write_text('{"svg": "a table goes before"}\n')
    assert [row.values for row in rows(str(tmp_path))] == [{"svg": "a table goes before"}]


@pytest.mark.parametrize("missing", ["no/where/at/all", "nowhere.jsonl", "a/b*", "x.xml"])
def test_what_is_not_there_is_named(missing):
    with pytest.raises(UserError, match=r"there is no file, pattern, folder or hub dataset \(OWNER/NAME\) like"):
        list(rows(missing))


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("t.parquet", b"PAR1", "is no Parquet file"),
        ("t.jsonl.gz", b"no gzip", "cannot be read"),
        ("u.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 9000)[:-20], "cannot be read"),
        ("t.json", b'[{"a": 1},\n{', "t.json:2 is not JSON"),
        ("t.json", b"[" + b"7" * 5000 + b"]", "t.json is not JSON"),
        ("t.json", b"[" * 100_000, "t.json is not JSON"),
    ],
)
def test_files_that_are_not_what_their_name_says_are_named(tmp_path, name, content, fault):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=fault):
        list(rows(str(tmp_path / name)))
