"""Reading the user's file: every fault is named with its line; splits are exact, deterministic and leak-free."""

import hashlib
import json
import tracemalloc
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_template import extract_svg
from qwen_svg.common.answers import KINDS
from qwen_svg.common.dataset import (
    LINE_LIMIT,
    Sample,
    SampleKey,
    families_of,
    fingerprint,
    kin_counts,
    read_samples,
    split_samples,
    take,
)
from qwen_svg.common.errors import UserError
from qwen_svg.common.kinship import description_key
from tests.paths import SHARED
from tests.tiny import answer

REAL = SHARED / "data" / "svg_results.jsonl"


def line(**changes) -> bytes:
    record = {"id": "1", "description": "a fox", "svg_content": answer()} | changes
    return json.dumps({k: v for k, v in record.items() if v is not ...}).encode() + b"\n"


FAULTS = {
    "not JSON": b"{'id': 1}\n",
    "missing field": line(id="2", description=...),
    "number too long": line(id="2").replace(b'"id"', b'"n": ' + b"7" * 5000 + b', "id"'),
    "line too long": line(id="2", note="x" * LINE_LIMIT),
    "empty field": line(id="2", description=" \u200b\u3000"),
    "wrong type": line(id="2", description=["a", "fox"]),
    "duplicate id": line(),
    "no <svg>": line(id="2", svg_content="<reasoning>a</reasoning>"),
    "no <reasoning>": line(id="2", svg_content="<svg>a</svg>"),
    "invalid UTF-8": line(id="2", description="caf").replace(b"caf", b"caf\xe9"),
    "wrong task": line(id="2", svg="<svg/>", task="paint"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_are_named_with_line_number_and_skipped(tmp_path, kind):
    path = tmp_path / "d.jsonl"
    path.write_bytes(line() + FAULTS[kind] + line(id="3"))
    read = read_samples(path)
    assert [sample.id for sample in read.samples] == ["1", "3"]
    assert [(fault.line, fault.kind) for fault in read.faults] == [(2, kind)]
    assert read.counts() == {"read": 2, "skipped": {kind: 1}, "mended": {}, "kept": {}}
    assert any(f"{path}:2: " in text for text in read.report())
    with pytest.raises(UserError, match=r"d\.jsonl:2: "):
        read_samples(path, "stop")


def test_other_shapes_of_bad_lines(tmp_path):
    path = tmp_path / "d.jsonl"
    lone_surrogate = b'{"id":"4","description":"\\ud83d","svg_content":"x"}\n'
    deep = b"[" * 100_000 + b"\n"
    path.write_bytes(line() + b"[1, 2]\n" + b"null\n" + lone_surrogate + deep + line(id=True) + line(id=5))
    read = read_samples(path)
    assert [sample.id for sample in read.samples] == ["1", "5"]
    assert [fault.kind for fault in read.faults] == [
        "wrong type",
        "wrong type",
        "invalid UTF-8",
        "not JSON",
        "wrong type",
    ]


CHANGED = {
    "'svg' must be text, not dict": {"svg": {"circle": 1}},
    "'task' must be text, not list": {"svg": "<svg/>", "task": ["edit"]},
    "'svg' is empty": {"svg": " "},
    "'svg' or 'task' holds a lone surrogate": {"svg": "\ud83d"},
    "task 'paint' is unknown; it is one of draw, edit, repair": {"svg": "<svg/>", "task": "paint"},
    "task 'repair' goes with an 'svg'": {"task": "repair"},
    "task 'edit' goes with an 'svg'": {"svg": None, "task": "edit"},
    "task 'draw' goes without an 'svg'": {"svg": "<svg/>", "task": "draw"},
}


@pytest.mark.parametrize("message", CHANGED)
def test_bad_edits_and_repairs_are_named(tmp_path, message):
    path = tmp_path / "d.jsonl"
    path.write_bytes(line() + line(id="2", **CHANGED[message]))
    (fault,) = read_samples(path).faults
    assert fault.line == 2 and message in fault.message
    with pytest.raises(UserError, match=r"d\.jsonl:2: "):
        read_samples(path, "stop")


def test_edits_and_repairs_are_read_and_told_apart(tmp_path):
    path = tmp_path / "d.jsonl"
    changes = [{}, {"svg": None, "task": None}, {"svg": "<svg/>"}, {"svg": "<svg>"}, {"svg": " <svg", "task": "repair"}]
    path.write_bytes(b"".join(line(id=str(i), **change) for i, change in enumerate(changes)))
    samples = read_samples(path).samples
    expected = [(None, "draw"), (None, "draw"), ("<svg/>", "edit"), ("<svg>", "edit"), (" <svg", "repair")]
    assert [(sample.svg, sample.task) for sample in samples] == expected
    assert len({replace(sample, id="1").digest() for sample in samples}) == 4  # what is learned is of task and SVG too
    plain = hashlib.sha256(json.dumps(["0", "a fox", answer()]).encode())
    assert samples[0].digest() == plain.digest()  # as it was before there were tasks


def test_an_edit_is_kin_of_its_drawings_and_not_of_its_words():
    drawing, after = extract_svg(answer("gold")), answer("navy")
    samples = [
        Sample("draw", "a coin", answer("gold")),
        Sample("edit", "make it navy", after, svg=drawing.replace("\n", "\n "), task="edit"),
        Sample("repair", "make it navy", answer("navy"), svg="<svg", task="repair"),
        Sample("other edit", "make it navy", answer("teal"), svg=extract_svg(answer("pink")), task="edit"),
        Sample("other repair", "make it navy", answer("red"), svg="<svg", task="repair"),
        Sample("by group", "make it navy", answer("gray"), "g", extract_svg(answer("tan")), "edit"),
        Sample("its scene", "a can", answer("black"), "g"),
    ]
    families = [sorted(sample.id for sample in family) for family in families_of(samples)]
    assert families == [["draw", "edit", "repair"], ["other edit"], ["other repair"], ["by group", "its scene"]]
    assert kin_counts(samples) == {"families": 4, "description": 0, "spelling": 0, "drawing": 4, "group": 2}
    assert families_of(list(map(SampleKey.of, samples))) == [
        [SampleKey.of(sample) for sample in family] for family in families_of(samples)
    ]


def test_bom_and_crlf_are_reported_and_mended(tmp_path):
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + line().replace(b"\n", b"\r\n") + b"\n" + line(id="2"))
    read = read_samples(path)
    assert [sample.id for sample in read.samples] == ["1", "2"]
    assert [(fault.line, fault.kind) for fault in read.faults] == [(1, "byte order mark"), (1, "CRLF")]
    with pytest.raises(UserError, match="byte order mark"):
        read_samples(path, "stop")


@pytest.mark.parametrize("content", [b"", b"\n\n", b"{}\n"])
def test_a_file_without_samples_is_an_error(tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"empty\.jsonl holds no usable sample"):
        read_samples(path)


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_missing_file_or_a_folder_is_an_error(tmp_path, name):
    with pytest.raises(UserError, match="--data-path"):
        read_samples(tmp_path / name)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_the_reader_fail(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("fuzz") / "d.jsonl"
    path.write_bytes(line() + content + b"\n" + line(id="zzz"))
    samples = read_samples(path).samples
    assert samples[0].id == "1" and len(samples) <= 2 + content.count(b"\n")


def make(n: int, **shared) -> list[Sample]:
    return [
        Sample(str(i), shared.get("description", f"thing {i}"), answer(radius=i), shared.get("group")) for i in range(n)
    ]


@pytest.mark.parametrize("n", [3, 4, 19, 20, 100, 876])
def test_split_is_90_5_5_and_complete(n):
    parts = split_samples(make(n), seed=1)
    assert {name: len(part) for name, part in parts.items()} == {
        "train": n - 2 * max(1, round(0.05 * n)),
        "valid": max(1, round(0.05 * n)),
        "test": max(1, round(0.05 * n)),
    }
    assert sorted(s.id for part in parts.values() for s in part) == sorted(s.id for s in make(n))


def test_what_is_never_to_be_trained_on_is_tested_beside_the_five_percent():
    plain, unseen = make(100), make(130, group="unseen:color: red fox")[100:]
    kin = replace(plain[7], id="kin", group="unseen:count: three foxes")  # of the same description
    parts = split_samples([*plain, *unseen, kin], seed=1)
    assert {*unseen, kin, plain[7]} <= {*parts["test"]}
    assert [len(parts[name]) for name in ("train", "valid", "test")] == [89, 5, 5 + 32]  # 99 are dealt
    with pytest.raises(UserError, match="0 distinct"):
        split_samples(unseen, seed=1)


def test_split_depends_on_the_seed_alone():
    samples = make(200)
    assert split_samples(samples, 1) == split_samples(samples[::-1], 1)
    assert split_samples(samples, 1)["test"] != split_samples(samples, 2)["test"]


@pytest.mark.parametrize("group", ["", " \t", "\u200b", None, float("nan"), "NaN", "null", [], {}])
def test_a_group_that_says_nothing_is_none(tmp_path, group):
    path = tmp_path / "d.jsonl"
    path.write_bytes(b"".join(line(id=str(i), description=f"thing {i}", group=group) for i in range(5)))
    read = read_samples(path)
    assert [sample.group for sample in read.samples] == [None] * 5
    assert read.no_group == 5 and any("5 samples have a group that is blank" in text for text in read.report())
    path.write_bytes(line(group=0) + line(id="2", group=" a "))
    assert [sample.group for sample in read_samples(path).samples] == ["0", "a"]


ALIKE = [
    ("a café", "a cafe\u0301", "A CAFÉ", "ａ ｃａｆé"),  # NFC, NFD, letter case, full width
    (
        "a red fox",
        "a  red\u00a0fox",
        "a red\u3000fox ",
        "a r\u200bed fox\ufeff",
        "a\u2028red\u2009fox",
        "a red\u00adfox",
    ),
    ("Straße ☀", "STRASSE ☀\ufe0f"),
    ("ﬁre", "fire", "FIRE"),
]


@pytest.mark.parametrize("spellings", ALIKE)
def test_one_description_in_many_spellings_is_one_family(spellings):
    samples = [Sample(f"s{i}", text, answer(radius=100 + i)) for i, text in enumerate(spellings)]
    others = make(6)
    assert sorted(map(len, families_of([*samples, *others]))) == [1] * 6 + [len(spellings)]
    counts = kin_counts([*samples, *others])
    assert counts == {
        "families": 7,
        "description": len(spellings),
        "spelling": len(spellings),
        "drawing": 0,
        "group": 0,
    }
    assert len({description_key(text) for text in ("a fox", "a fix", "a foxy", "a f0x", "fox a", "狐", "狸")}) == 7


def test_one_drawing_under_two_descriptions_is_one_family():
    same = answer()
    indented = (
        same.replace("<circle", "\r\n\t  <circle").replace("<!-- gold circle -->", "").replace("gold circle", "x")
    )
    samples = [Sample("a", "sun", same), Sample("b", "a coin", indented), Sample("c", "a sun", answer("navy"))]
    assert sorted(map(len, families_of(samples))) == [1, 2] and kin_counts(samples)["drawing"] == 2
    assert [[key.id for key in family] for family in families_of(list(map(SampleKey.of, samples)))] == [
        ["a", "b"],
        ["c"],
    ]
    bare = [Sample(str(i), f"thing {i}", "no drawing") for i in range(3)]
    assert len(families_of(bare)) == 3


SVG, REASONING = answer().partition("\n\n")[::-2]
TIDY = f"{REASONING}\n\n{SVG}"
UNTIDY = [
    (f"```xml\n{TIDY}\n```", ["markdown fence"]),
    (f"{REASONING}\n~~~svg\n{SVG}\n~~~", ["markdown fence"]),
    (f"Sure! Here it is:\n{TIDY}", ["text around the sections"]),
    (f"<think>hm</think>{TIDY}\nEnjoy.", ["text around the sections"]),
    (f"{TIDY}\n{SVG}", ["second <svg>"]),
    (f"{TIDY}<svg>cut", ["second <svg>"]),
    (f"{SVG}\n{REASONING}", ["reasoning after the SVG"]),
    (f"{TIDY}\n<reasoning>once more</reasoning>", ["reasoning after the SVG"]),
    (f"{REASONING}<reasoning>and</reasoning>{SVG}", ["second <reasoning>"]),
    (f"Of course.\n```\n{TIDY}\n```\n{SVG}", ["markdown fence", "text around the sections", "second <svg>"]),
]


@pytest.mark.parametrize(("text", "kinds"), UNTIDY)
@pytest.mark.parametrize("answers", ["keep", "mend", "drop"])
def test_answers_with_more_than_their_sections_are_counted_and_mended_or_dropped(tmp_path, text, kinds, answers):
    path = tmp_path / "d.jsonl"
    path.write_bytes(line() + line(id="2", svg_content=text) + line(id="3", svg_content=f"\n{REASONING}\n\n\n{SVG} \n"))
    read = read_samples(path, answers=answers)
    lost = answers == "drop" or (answers == "keep" and text.startswith("<svg"))
    fate = "skipped" if lost else "mended" if answers == "mend" else "kept"
    assert [(fault.line, fault.kind, fault.fate) for fault in read.faults] == [(2, kind, fate) for kind in kinds]
    assert any(f":2: 'svg_content' has {KINDS[kinds[0]]}" in said for said in read.report())
    kept = {sample.id: sample.answer for sample in read.samples}
    assert kept.get("2") == (None if lost else TIDY if answers == "mend" else text)
    assert kept["1"] == answer() and kept["3"] == f"{REASONING}\n\n\n{SVG}"
    if answers == "keep":
        with pytest.raises(UserError, match=r"d\.jsonl:2: "):
            read_samples(path, "stop")
    else:
        assert read_samples(path, "stop", answers).read == read.read


def test_a_line_of_any_length_takes_little_memory(tmp_path):
    path = tmp_path / "d.jsonl"
    with path.open("wb") as file:
        file.write(line())
        for _ in range(2):
            file.write(b'{"id": "' + b"x" * (5 * LINE_LIMIT))
        file.write(b'"}\n' + line(id="3") + b"[" * (2 * LINE_LIMIT))
    tracemalloc.start()
    read = read_samples(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [sample.id for sample in read.samples] == ["1", "3"] and peak < 3 * LINE_LIMIT
    assert [(fault.line, fault.kind) for fault in read.faults] == [(2, "line too long"), (4, "line too long")]


@given(
    st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 6)), min_size=5, max_size=60),
    st.integers(0, 5),
)
@settings(max_examples=150, deadline=None)
def test_no_description_and_no_group_is_on_two_sides(keys, seed):
    spellings = ("A fox {}", " a  FOX {}")  # the same description in another letter case and spacing
    samples = [
        Sample(str(i), spellings[i % 2].format(d), "x", None if g is None else str(g)) for i, (d, g) in enumerate(keys)
    ]
    try:
        parts = split_samples(samples, seed)
    except UserError:
        return  # fewer than three families
    assert all(parts.values())
    for key in (lambda s: " ".join(s.description.lower().split()), lambda s: s.group):
        sides = [{key(s) for s in part} - {None} for part in parts.values()]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])
    assert Counter(s.id for part in parts.values() for s in part) == Counter(s.id for s in samples)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_descriptions_to_split(n):
    with pytest.raises(UserError, match="at least 3"):
        split_samples(make(n), 1)
    with pytest.raises(UserError, match="1 distinct"):
        split_samples(make(10, description="the same"), 1)


def test_fingerprint_sees_every_field_and_no_order():
    samples = make(5)
    assert fingerprint(samples) == fingerprint(samples[::-1])
    changed = [*samples[:4], Sample("4", "thing 4", answer("navy"))]
    assert fingerprint(changed) != fingerprint(samples)


def test_take_is_a_subset_that_grows():
    samples = make(50)
    assert set(take(samples, 10, 3)) < set(take(samples, 20, 3))
    assert len(take(samples, 0, 3)) == 50


@pytest.mark.skipif(not REAL.exists(), reason="the real samples are not here")
def test_real_data():
    read = read_samples(REAL)
    assert read.counts() == {"read": 873, "skipped": {"no <svg>": 3}, "mended": {}, "kept": {}}
    assert {name: len(part) for name, part in split_samples(read.samples, 42).items()} == {
        "train": 785,
        "valid": 44,
        "test": 44,
    }
