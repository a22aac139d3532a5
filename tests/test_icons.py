"""Icon sets become data: words that people wrote, colours that are there, a group by concept, a file by licence."""

import io
import json
import re
import tarfile
from pathlib import Path

import pytest

import corpus.build_icons as build_icons
from corpus.icons import packages
from corpus.icons.colours import colour_word, shown
from corpus.icons.concepts import Concepts, concept
from corpus.icons.drawings import PAINTS, icons_of
from corpus.icons.names import label_of_emoji, label_of_name
from corpus.icons.nouns import is_thing, things_of
from corpus.icons.packages import fetch, read_json, tarball
from corpus.icons.sets import EMOJIBASE, SETS, WORDS, IconSet
from corpus.icons.tags import tags_of
from corpus.icons.wordings import with_article, wordings
from corpus.icons.written import Written, code_key, read_written
from prompt_template import extract_svg
from qwen_svg.common.dataset import read_samples, split_samples
from qwen_svg.common.errors import UserError
from svg_constraint import check
from tests.scripts import constants_of, run_main

BY_PREFIX = {some.prefix: some for some in SETS}
LINE = 'fill="none" stroke="currentColor" stroke-linecap="round" stroke-linejoin="round" stroke-width="2"'
HEART = (
    "M35.885 11.833c0-5.45-4.418-9.868-9.867-9.868c-3.308 0-6.227 1.633-8.018 4.129c-1.791-2.496-4.71-4.129-8.017-4.129"
    "c-5.45 0-9.868 4.417-9.868 9.868c0 .772.098 1.52.266 2.241C1.751 22.587 11.216 31.568 18 34.034c6.783-2.466 16.249"
    "-11.447 17.617-19.959c.17-.721.268-1.469.268-2.242"
)
APPLE = "M24 7c-3 0-3 1-6 1s-3-1-6-1c-4 0-9 2-9 9c0 11 6 20 10 20c3 0 3-1 5-1s2 1 5 1c4 0 10-9 10-20c0-7.001-5-9-9-9"
OPEN_HEART = (
    "M59.5 25c0-6.904-5.596-12.5-12.5-12.5a12.5 12.5 0 0 0-11 6.56a12.5 12.5 0 0 0-11-6.56c-6.904 0-12.5 5.596-12.5"
    " 12.5c0 2.97 1.04 5.694 2.77 7.839l-.004.003l20.73 25.7l20.73-25.7l-.005-.003A12.44 12.44 0 0 0 59.491 25z"
)
EMOJI = [
    {"label": "red heart", "hexcode": "2764-FE0F", "tags": ["emotion", "heart", "love", "red", "<3"]},
    {"label": "red apple", "hexcode": "1F34E", "tags": ["diet", "fruit", "red"]},
    {"label": "blue heart", "hexcode": "1F499", "tags": ["143", "blue", "love"]},
]
TWEMOJI = {
    "red-heart": {"body": f'<path fill="#dd2e44" d="{HEART}"/>'},
    "red-apple": {
        "body": f'<path fill="#dd2e44" d="{APPLE}"/>'
        '<path fill="#77b255" d="M19 7s3-4 8-4c4 0 6 2 6 2s-4 3-7 3s-7-1-7-1"/>'
    },
    "thumbs-up-dark-skin-tone": {"body": '<path fill="#7c543e" d="M3 3h20v20H3z"/>'},
}
TABLER = {
    "heart": {"body": f'<path {LINE} d="M19.5 12.572L12 20l-7.5-7.428A5 5 0 1 1 12 6.006a5 5 0 1 1 7.5 6.572"/>'},
    "heart-plus": {
        "body": f'<path {LINE} d="m12 20l-7.5-7.428A5 5 0 1 1 12 6.006a5 5 0 1 1 7.96 6.053M16 19h6m-3-3v6"/>'
    },
    "bell-off": {"body": f'<path {LINE} d="M9 17v1a3 3 0 0 0 6 0v-1M3 3l18 18"/>'},
    "arrow-left": {"body": f'<path {LINE} d="M5 12h14M5 12l6 6m-6-6l6-6"/>'},
    "heart-filled": {"body": '<path fill="currentColor" d="M4 4h16v8l-8 9l-8-9z"/>'},
    "brand-github": {"body": f'<path {LINE} d="M9 19c-4 1-4-2-6-3"/>'},
}
TABLER_WORDS = {
    "heart": {"category": "Shapes", "tags": ["heart", "love", "like", "wishlist"]},
    "heart-plus": {"category": "Shapes", "tags": ["add-favorite", "love"]},
    "bell-off": {"category": "System", "tags": ["notification", "mute", "do-not-disturb"]},
    "brand-github": {"category": "Brand", "tags": ["git"]},
}


def pack(folder: Path, package: tuple[str, str], files: dict) -> Path:
    """Write a package as npm packs it."""
    path = tarball(folder, package)
    folder.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def pack_set(
    folder: Path, prefix: str, icons: dict, size: int, spdx: str, chars: dict | None = None, aliases=()
) -> None:
    data = {"prefix": prefix, "icons": icons, "width": size, "height": size, "aliases": dict(aliases)}
    info = {
        "name": prefix,
        "author": {"name": "its people"},
        "license": {"spdx": spdx, "title": spdx, "url": "a.example"},
    }
    files = {"icons.json": data, "info.json": info, "metadata.json": {"categories": {}}, "chars.json": chars or {}}
    pack(folder, BY_PREFIX[prefix].package, files)


@pytest.fixture
def npm(tmp_path) -> Path:
    """A folder of packages: real entries of four sets, small."""
    folder = tmp_path / "npm"
    codes = {"2764": "red-heart", "1f34e": "red-apple", "1f44d-1f3ff": "thumbs-up-dark-skin-tone"}
    pack_set(folder, "twemoji", TWEMOJI, 36, "CC-BY-4.0", codes)
    pack_set(folder, "tabler", TABLER, 24, "MIT")
    blue = f'<path fill="#1e50a0" stroke="#000" stroke-width="2" d="{OPEN_HEART}"/>'
    pack_set(folder, "openmoji", {"blue-heart": {"body": blue}}, 72, "CC-BY-SA-4.0", {"1f499": "blue-heart"})
    pack(folder, WORDS["tabler"], {"icons.json": TABLER_WORDS})
    pack(folder, EMOJIBASE, {"en/data.json": EMOJI})
    return folder


def built(npm: Path, *more: str) -> Path:
    output = npm.parent / "icons.jsonl"
    options = ("--tarballs", str(npm), "--sets", "twemoji, tabler, openmoji", "--output", str(output), "--workers", "1")
    run_main(build_icons, *options, *more)
    return output


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# --- the command ------------------------------------------------------------------------------------------------


def test_the_files_hold_words_colours_and_groups_by_licence(npm, capsys):
    output = built(npm)
    permissive, shared = read(output), read(output.with_stem("icons_sharealike"))
    assert {r["license"] for r in permissive} == {"CC-BY-4.0", "MIT"} and {r["license"] for r in shared} == {
        "CC-BY-SA-4.0"
    }
    by_id = {r["id"]: r["description"] for r in permissive}
    assert by_id["twemoji-red-heart:tags"].startswith("red heart: ") and "love" in by_id["twemoji-red-heart:tags"]
    assert "<3" not in by_id["twemoji-red-heart:tags"]
    assert not [id for id in by_id if "skin-tone" in id or "brand" in id]
    apple = by_id["twemoji-red-apple:sentence"]
    assert "red apple" in apple.lower() and "flat emoji" in apple and "mostly in red, with green" in apple
    assert "crossed-out bell" in by_id["tabler-bell-off:short"] and "do not disturb" in by_id["tabler-bell-off:tags"]
    assert "outline icon" in by_id["tabler-heart:sentence"] and "filled icon" in by_id["tabler-heart-filled:sentence"]
    hearts = [r for r in permissive + shared if "heart" in r["id"]]
    assert len({r["group"] for r in hearts}) == 1  # also across the two files
    assert all(check(extract_svg(r["svg_content"])).valid for r in permissive + shared)
    card = output.with_suffix(".md").read_text()
    assert "| tabler | MIT | 5 |" in card and "Artwork: twemoji by its people, CC-BY-4.0 (a.example)." in card
    assert "openmoji" not in card and "CC-BY-SA" in output.with_name("icons_sharealike.md").read_text()
    assert sorted(path.suffix for path in output.parent.glob("icons*")) == [
        ".jsonl",
        ".jsonl",
        ".md",
        ".md",
        ".png",
        ".png",
    ]
    assert "7 drawings in 20 samples" in capsys.readouterr().out


def test_the_named_paint_is_the_drawings_own(npm):
    painted = [record for record in read(built(npm)) if record["source"] == "tabler"]
    for record in painted:
        (seen,) = [word for word, _ in shown(extract_svg(record["svg_content"]))]
        assert seen in record["description"].lower()
    assert len(painted) == 14


def test_the_same_command_writes_the_same_bytes_and_a_split_keeps_concepts_apart(npm):
    first = built(npm).read_bytes()
    assert built(npm).read_bytes() == first
    parts = split_samples(read_samples(npm.parent / "icons.jsonl").samples, seed=1)
    groups = [{sample.group for sample in part} for part in parts.values()]
    assert not (groups[0] & groups[1] or groups[0] & groups[2] or groups[1] & groups[2])


def test_what_was_prepared_before_a_stop_is_not_prepared_again(npm, monkeypatch):
    whole = built(npm).read_bytes()
    monkeypatch.setattr(build_icons, "compare", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        built(npm)
    monkeypatch.undo()
    seen = []
    monkeypatch.setattr(build_icons.BuildPlan, "drawings", lambda self, some: iter(seen.extend(some) or ()))
    assert built(npm).read_bytes() == whole and seen == []


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda npm: tarball(npm, EMOJIBASE).write_bytes(b"\x1f\x8bnot"), "emojibase-data-17.0.0.tgz is broken"),
        (lambda npm: pack(npm, EMOJIBASE, {"en/other.json": []}), "has no en/data.json; delete it"),
        (lambda npm: pack(npm, EMOJIBASE, {"en/data.json": "{"}), "en/data.json in .* is not JSON"),
        (lambda npm: pack(npm, EMOJIBASE, {"en/data.json": [{"name": 1}]}), "has another form than its reader knows"),
        (lambda npm: pack_set(npm, "twemoji", TWEMOJI, 36, "GPL-3.0"), "GPL-3.0, is neither .* leave twemoji out"),
    ],
)
def test_a_package_that_cannot_be_used_is_named_with_the_way_out(npm, break_it, said):
    break_it(npm)
    with pytest.raises(UserError, match=said) as error:
        built(npm)
    assert "\n" not in str(error.value) and not (npm.parent / "icons.jsonl").exists()


def test_an_unknown_set_is_named():
    with pytest.raises(UserError, match="SETS: tablers is none of twemoji, "):
        build_icons.chosen("tablers, mdi")
    with pytest.raises(UserError, match="must end in"):
        constants_of(build_icons, "--output", "icons.json")


# --- packages ---------------------------------------------------------------------------------------------------


def test_without_npm_one_sentence_says_what_goes_where(tmp_path, monkeypatch):
    monkeypatch.setattr(packages.shutil, "which", lambda _: None)
    with pytest.raises(UserError) as error:
        fetch(tmp_path / "npm", [("@iconify-json/twemoji", "1.2.5"), EMOJIBASE])
    assert "npm is not installed" in str(error.value) and f"put the .tgz files into {tmp_path}/npm" in str(error.value)
    assert "`npm pack @iconify-json/twemoji@1.2.5 emojibase-data@17.0.0`" in str(error.value)
    pack(tmp_path / "npm", EMOJIBASE, {})
    fetch(tmp_path / "npm", [EMOJIBASE])  # nothing is missing, so npm is not looked for


@pytest.mark.parametrize("script", ["echo 404 >&2; exit 1", "exit 0"])
def test_a_failing_npm_leaves_no_half_of_a_package(tmp_path, monkeypatch, script):
    npm = tmp_path / "npm.sh"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setattr(packages.shutil, "which", lambda _: str(npm))
    with pytest.raises(
        UserError, match=r"npm could not fetch emojibase-data@17.0.0 \((404|no file)\); try again, or run"
    ):
        fetch(tmp_path / "npm", [EMOJIBASE])
    assert list((tmp_path / "npm").iterdir()) == []


def test_npm_puts_a_package_where_it_is_read(tmp_path, monkeypatch):
    packed = pack(tmp_path / "there", EMOJIBASE, {"en/data.json": EMOJI})
    npm = tmp_path / "npm.sh"
    npm.write_text(f'#!/bin/sh\nfor last; do :; done\ncp {packed} "$last"\n')
    npm.chmod(0o755)
    monkeypatch.setattr(packages.shutil, "which", lambda _: str(npm))
    fetch(tmp_path / "npm", [EMOJIBASE])
    assert [path.name for path in (tmp_path / "npm").iterdir()] == [packed.name]
    assert read_json(tarball(tmp_path / "npm", EMOJIBASE), "en/data.json") == EMOJI


# --- what people wrote ------------------------------------------------------------------------------------------

PHOSPHOR = """var e = ((i) => (i.COMMUNICATION = "communications", i.HEALTH = "health & wellness", i))(e || {});
const n = [
  {
    name: "heart",
    pascal_name: "Heart",
    categories: [
      e.COMMUNICATION,
      e.HEALTH
    ],
    figma_category: a.GAMES,
    tags: [
      "wellness",
      "*new*"
    ],
    codepoint: 58024
  },
  {
    name: "heart-break",
    pascal_name: "HeartBreak",
    categories: [e.COMMUNICATION],
    tags: ["love"]
  }
];"""


@pytest.mark.parametrize(
    ("kind", "files", "name", "written"),
    [
        ("tabler", {"icons.json": TABLER_WORDS}, "bell-off",
         Written(tags=("notification", "mute", "do-not-disturb"), categories=("System",))),
        ("lucide", {"tags.json": {"a-arrow-up": ["letter", "font size"]}}, "a-arrow-up",
         Written(tags=("letter", "font size"))),
        ("mdi", {"meta.json": [{"name": "heart", "aliases": ["favorite"], "tags": ["Gaming / RPG"]}]}, "heart",
         Written(aliases=("favorite",), categories=("Gaming / RPG",))),
        ("healthicons", {"public/icons/meta-data.json": [{"id": "vespa_motorcycle", "category": "vehicles",
         "title": "Motor Scooter", "tags": ["Motorbike", "dhis2:vespa_motorcycle"]}]}, "vespa-motorcycle",
         Written("Motor Scooter", (), ("Motorbike", "dhis2:vespa_motorcycle"), ("vehicles",))),
        ("ph", {"dist/index.mjs": PHOSPHOR}, "heart",
         Written(tags=("wellness", "*new*"), categories=("communications", "health & wellness"))),
        ("emojibase-data", {"en/data.json": EMOJI}, "2764",
         Written("red heart", tags=("emotion", "heart", "love", "red", "<3"), emoji=True)),
    ],
)  # fmt: skip
def test_readers_give_what_the_catalogues_say(tmp_path, kind, files, name, written):
    assert read_written(kind, pack(tmp_path, ("x", "1"), files))[name] == written


def test_code_points_are_compared_without_variation_selectors():
    assert code_key("2764-FE0F") == code_key("2764") == "2764" and code_key("0023-20E3") == "23-20e3"


def test_a_set_without_code_points_is_named_by_its_labels(npm):
    pack_set(npm, "fxemoji", {"redheart": {"body": "<g/>"}, "guyguy": {"body": "<g/>"}}, 512, "Apache-2.0")
    pack_set(npm, "streamline-emojis", {"red-apple-2": {"body": "<g/>"}}, 48, "CC-BY-4.0")
    assert [icon.label for icon in icons_of(npm, BY_PREFIX["fxemoji"])] == ["red heart"]
    assert [icon.label for icon in icons_of(npm, BY_PREFIX["streamline-emojis"])] == ["red apple"]


def test_of_several_sizes_the_largest_stays_and_other_weights_go(npm):
    box = {"body": '<path fill="currentColor" d="M0 0h9v9z"/>'}
    pack_set(npm, "fluent-color", {"book-16": box, "book-48": box, "ram-20": box}, 20, "MIT")
    assert [(icon.name, icon.label) for icon in icons_of(npm, BY_PREFIX["fluent-color"])] == [
        ("book-48", "book"), ("ram-20", "RAM"),
    ]  # fmt: skip
    solar = {f"cart-2-{style}": box for style in ("linear", "bold", "broken", "line-duotone", "bold-duotone")}
    pack_set(npm, "solar", solar, 24, "CC-BY-4.0")
    found = {icon.style for icon in icons_of(npm, BY_PREFIX["solar"])}
    assert found == {"outline icon", "filled icon", "duotone icon"}


def test_a_style_is_said_only_where_the_set_tells_two_apart(npm):
    box = {"body": '<path fill="currentColor" d="M0 0h9v9z"/>'}
    pack_set(npm, "mdi", {"anchor": box, "cup": box, "cup-outline": box, "blue-jeans": box}, 24, "Apache-2.0")
    pack(npm, WORDS["mdi"], {"meta.json": [{"name": "cup", "aliases": [], "tags": []}]})
    icons = {icon.name: icon.style for icon in icons_of(npm, BY_PREFIX["mdi"])}
    assert icons == {
        "anchor": "icon",
        "cup": "filled icon",
        "cup-outline": "outline icon",
    }  # jeans would be painted red


# --- words ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("shopping-cart-2", "shopping cart"), ("arrow-2", "arrow"), ("dice-5", "dice 5"), ("number-1", "number 1"),
        ("bell_off", "crossed-out bell"), ("toggle-off", "toggle off"), ("file-plus", "file with a plus sign"),
        ("7", "number 7"),
        ("alpha-a", "letter a"), ("plus", "plus"), ("double-check", "double check"), ("nfc-off", "crossed-out NFC"),
        ("flag-variant", "flag"), ("sky", "sky"), ("a", "letter A"), ("cart2", "cart"),
    ],
)  # fmt: skip
def test_names_become_what_one_would_say(name, label):
    assert label_of_name(name) == label


@pytest.mark.parametrize(
    ("label", "plain"),
    [
        ("flag: Kenya", "flag of Kenya"), ("flag: United States", "flag of the United States"),
        ("keycap: 5", "keycap 5"),
        ("woman: red hair", "woman with red hair"), ("family: man, woman, boy", "family of man, woman and boy"),
        ("Japanese “acceptable” button", "Japanese acceptable button"), ("twelve o’clock", "twelve o'clock"),
    ],
)  # fmt: skip
def test_labels_of_emoji_lose_their_colons(label, plain):
    assert label_of_emoji(label) == plain


def test_tags_say_more_than_the_label_and_nothing_untrue():
    written = Written("", ("cart-outline", "trolley"), ("Cart", "dhis2:cart", "*new*", "red", "filled", "E-commerce"),
                      ("FoodDrink", "Gaming / RPG"))  # fmt: skip
    assert tags_of(written, "shopping cart") == ("trolley", "e commerce", "food", "drink", "gaming")


def test_a_goes_before_things_alone():
    things = things_of(["shopping cart", "red heart", "ear of corn", "OK button", "flag: Kenya", "scissors"])
    assert [is_thing(label, things) for label in ("heart", "golf cart", "scissors", "zoom in", "corn", "nfc")] == [
        True, True, False, False, False, False,
    ]  # fmt: skip
    assert [with_article(word) for word in ("apple", "hourglass", "unicorn", "umbrella", "one-way sign", "eye")] == [
        "an apple", "an hourglass", "a unicorn", "an umbrella", "a one-way sign", "an eye",
    ]  # fmt: skip


def test_wordings_differ_and_say_style_and_colours():
    svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><path fill="{}" d="M0 0h8v8H0z"/>{}</svg>'
    words = {"label": "OK button", "tags": ["yes"], "style": "flat emoji", "paint": "", "thing": False}
    two = wordings(words, svg.format("#3f51b5", '<path fill="#fff" d="M0 0h4v6H0z"/>'))
    assert two["short"] == "OK button" and two["tags"] == "OK button: yes"
    assert two["sentence"] == "OK button as a flat emoji in blue and white."
    painted = wordings(words | {"paint": "teal", "style": "outline icon", "tags": []}, svg.format("teal", ""))
    assert painted["short"] == "teal OK button" and "tags" not in painted and "outline icon" in painted["sentence"]
    assert "teal" in painted["sentence"]
    heart = wordings(words | {"label": "red heart"}, svg.format("red", ""))
    assert heart["sentence"].lower().count("red") == 1
    lines = wordings(words | {"style": "filled outline icon"}, svg.format("red", ""))
    assert "filled" not in lines["sentence"] and "outline icon" in lines["sentence"]
    assert (
        "mostly in red, with gray"
        in wordings(words, svg.format("red", '<path fill="gray" d="M0 0h2v7H0z"/>'))["sentence"]
    )


# --- colours ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("colour", "word"),
    [
        *((paint, word) for word, paint in PAINTS.items()),
        ("#ffffff", "white"), ("#ffcc4d", "yellow"), ("#dd2e44", "red"), ("#77b255", "green"), ("#55acee", "blue"),
        ("#664500", "brown"), ("#292f33", "black"), ("#ccd6dd", "light gray"), ("#add8e6", "light blue"),
        ("#f4900c", "orange"), ("#aa8ed6", "purple"), ("#ffc0cb", "pink"), ("#000080", "navy"), ("#f5deb3", "beige"),
    ],
)  # fmt: skip
def test_colours_have_the_words_people_use(colour, word):
    assert colour_word(colour) == word


def test_only_what_is_seen_is_named_white_too():
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100"><path fill="#00f" d="M0 0h50v50H0z"/>'
        '<path fill="red" d="M0 0h50v50H0z"/><path fill="#fff" d="M50 0h50v50H50z"/>'
        '<path fill="green" d="M0 99h1v1H0z"/></svg>'
    )
    assert shown(svg) == [("red", 0.5), ("white", 0.5)] or shown(svg) == [("white", 0.5), ("red", 0.5)]


# --- concepts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        (("heart", "red heart", "hearts", "heart with a plus sign", "heart circle", "broken heart"), "heart"),
        (("arrow left", "arrow up circle"), "arrow"), (("circle", ), "circle"), (("circle play", "play"), "play"),
        (("woman astronaut", "astronaut"), "astronaut"), (("file heart", "file", "crossed-out file"), "file"),
    ],
)  # fmt: skip
def test_a_concept_is_what_labels_have_in_common(labels, key):
    assert {concept(label) for label in labels} == {key}


def test_other_names_of_one_drawing_make_one_concept_but_letters_do_not():
    concepts = Concepts()
    concepts.add("notification", ["bell", "nobody draws this", "a"])
    concepts.add("bell")
    concepts.add("letter a", ["bell"])
    concepts.add("cat", ["nobody draws this"])
    assert concepts.of("notification") == concepts.of("bell with a plus sign")
    assert len({concepts.of(label) for label in ("bell", "letter a", "cat")}) == 3


def test_every_set_is_pinned_and_there_once():
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for _, version in (s.package for s in SETS))
    assert len(BY_PREFIX) == len(SETS) and set(WORDS) <= set(BY_PREFIX) and isinstance(SETS[0], IconSet)
