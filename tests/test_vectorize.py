"""Pictures to drawings: like the picture, legal, never over the budget; and what image files can do to the run."""

import io
import json
import re
import struct
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from corpus import vectorize
from corpus.oklab import pixels_to_oklab, to_oklab
from corpus.optimization.refusal import Refused
from corpus.sources import drawings
from corpus.vectorizing.curves import path, trees
from corpus.vectorizing.methods import vectorized
from corpus.vectorizing.picture import fitted, read_picture
from corpus.vectorizing.search import NEARLY, NOTHING, Budget, Candidate, bisect_detail, hill_climb
from corpus.vectorizing.similarity import similarity
from qwen_svg.common.errors import UserError
from qwen_svg.model.tokenizer import load_tokenizer
from qwen_svg.svg.render import picture_difference, png_bytes, render_rgb
from svg_constraint import SVG_OPEN, check
from tests.scripts import run_main

SIZE = 256  # pixels
TWEMOJI = [icon for icon in drawings("twemoji") if icon.id in ("1f388", "1f4d7", "1faf1")]


def drawn(svg: str, max_bytes: int = 10_000, method: str = "layers") -> str:
    return vectorized(render_rgb(svg, SIZE), Budget(max_bytes), method).svg


# --- drawings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("icon", TWEMOJI, ids=lambda icon: icon.id)
def test_an_icon_keeps_its_picture_and_is_legal(icon):
    svg = drawn(icon.svg)
    assert check(svg).violations == [] and check(svg, "kaggle").violations == []
    error, worst_tile = picture_difference(render_rgb(icon.svg), render_rgb(svg))
    assert error < 0.003 and worst_tile < 0.06


@pytest.mark.parametrize("method", ["layers", "vtracer"])
@pytest.mark.parametrize("max_bytes", [600, 1500])
def test_no_drawing_is_over_the_budget(method, max_bytes):
    try:
        svg = drawn(TWEMOJI[0].svg, max_bytes, method)
    except Refused as refusal:
        assert method == "vtracer" and str(refusal) == "no drawing fits into the budget"
    else:
        assert len((svg + "\n").encode()) <= max_bytes and check(svg).violations == []


def test_of_what_looks_the_same_the_shortest_is_taken():
    """A wavy outline that full detail would follow with all its curves: there is room, and no need."""
    icon = render_rgb(TWEMOJI[2].svg, SIZE)
    roomy, tight = (vectorized(icon, Budget(max_bytes)) for max_bytes in (10_000, 2_000))
    assert len(roomy.svg) < 4_000 and roomy.similarity > max(0.97, tight.similarity - 0.001)


def test_the_shortest_is_taken_of_the_nearly_best_and_not_of_the_others(monkeypatch):
    found = [
        Candidate("x" * length, similarity) for length, similarity in ((9, 0.9), (7, 0.8995), (8, 0.8993), (2, 0.89))
    ]
    monkeypatch.setattr("corpus.vectorizing.methods.by_layers", lambda *_: found)
    assert vectorized(np.zeros((128, 128, 3), np.uint8), Budget(100)) == found[1]


def test_tokens_are_a_budget_too():
    wanted = render_rgb(TWEMOJI[1].svg, 128)

    def pairs(text: str) -> int:
        return len(text) // 2

    free = vectorized(wanted, Budget(10_000))
    held = vectorized(wanted, Budget(10_000, pairs(free.svg) * 2 // 3, pairs))
    assert pairs(held.svg) <= pairs(free.svg) * 2 // 3 and held.similarity < free.similarity
    with pytest.raises(Refused, match="no drawing fits into the budget"):
        vectorized(wanted, Budget(10_000, 20, pairs))


def test_edges_are_found_between_pixels():
    """A circle whose middle and radius lie on no pixel: the element, to a tenth of a canvas unit."""
    svg = drawn(f'{SVG_OPEN}<circle cx="101.3" cy="90.7" r="60.4" fill="#2244cc"/></svg>')
    (circle,) = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="([\d.]+)" fill="#24c"/>', svg)
    assert np.abs(np.array(circle, float) - (101.3, 90.7, 60.4)).max() <= 0.11


def test_no_seam_shows_between_neighbours_and_the_canvas_is_full_to_its_edge():
    halves = f'{SVG_OPEN}<path d="M0 0H256V256H0" fill="#103080"/><path d="M0 0H133.3L90 256H0" fill="#a03010"/></svg>'
    before, after = render_rgb(halves, SIZE).astype(int), render_rgb(drawn(halves), SIZE).astype(int)
    assert np.abs(before - after).max() < 60  # white paper between them, or around, would be brighter by 60 and more


def test_the_lowest_layer_is_the_whole_canvas():
    """So that no tolerance lets the paper through where others lie at its edge."""
    shapes = "".join(f'<circle cx="{x}" cy="{y}" r="19" fill="#c0a000"/>' for x in (0, 250) for y in range(20, 250, 50))
    svg = drawn(f'{SVG_OPEN}<path d="M0 0H256V256H0" fill="#205030"/>{shapes}</svg>', 700)
    assert '<path d="M0 0h256v256H0" fill="#205030"/>' in svg


def test_pixels_of_an_edge_make_no_line_of_a_third_color():
    """Half covered, a pixel between black and white has the grey of the rectangle."""
    svg = f'{SVG_OPEN}<circle cx="90" cy="90" r="70" fill="#000"/><path d="M180 180h60v60h-60" fill="#808080"/></svg>'
    assert re.findall("<(path|circle)", drawn(svg)) == ["circle", "path"]


def test_thin_lines_stay():
    """Three pixels wide they have no inside in which all neighbours are alike."""
    lines = '<path d="M20 200L230 150M30 30V200" fill="none" stroke="#204080" stroke-width="1.5"/>'
    before = render_rgb(f"{SVG_OPEN}{lines}</svg>", 512)
    after = render_rgb(vectorized(before, Budget(4000)).svg, 512)
    wanted, found = ((picture < 128).any(axis=2) for picture in (before, after))
    assert (wanted ^ found).sum() < 0.1 * wanted.sum()


def test_what_shows_through_holes_is_drawn_on_top():
    ring = f'{SVG_OPEN}<circle cx="128" cy="128" r="100" fill="#a02020"/><circle cx="128" cy="128" r="60" fill="#fff"/>'
    svg = drawn(ring + '<circle cx="128" cy="128" r="30" fill="#2040a0"/></svg>')
    assert re.findall(r'<circle [^>]*fill="([^"]+)"', svg) == ["#a02020", "white", "#2040a0"]


def test_the_same_picture_gives_the_same_text():
    assert drawn(TWEMOJI[2].svg, 1500) == drawn(TWEMOJI[2].svg, 1500)


def test_a_white_page_is_no_drawing():
    """Of a speck, nothing but the paper fits."""
    with pytest.raises(Refused, match="no drawing fits"):
        drawn(f'{SVG_OPEN}<path d="M100 100h30l-9 30z" fill="#123456"/></svg>', 150)


def drawn_with_pillow(size: tuple[int, int], draw) -> np.ndarray:
    image = Image.new("RGB", size, "white")
    draw(ImageDraw.Draw(image))
    return fitted(image)


def test_a_larger_budget_gives_no_worse_a_drawing():
    """Edges that lie on the grid: the coarse grid, which a large budget does not need, is the nearest to them."""

    def flags(draw):
        draw.rectangle((0, 0, 100, 66), fill="red")
        draw.rectangle((0, 175, 150, 199), fill="black")
        draw.polygon([(150, 65), (200, 133), (100, 133)], fill="green")
        draw.rectangle((200, 0, 299, 33), fill="blue")

    picture = drawn_with_pillow((300, 200), flags)
    similar = [vectorized(picture, Budget(most)).similarity for most in (450, 600, 1_500, 10_000)]
    assert all(later >= earlier - NEARLY for earlier, later in pairwise(similar)), similar


@pytest.mark.parametrize(
    ("size", "draw"),
    [
        ((300, 300), lambda draw: draw.point((150, 150), "black")),
        ((512, 512), lambda draw: draw.rectangle((80, 80, 82, 82), fill="red")),
        (
            (10_000, 10),
            lambda draw: [draw.rectangle((x, 0, x + 99, 9), fill=(x // 40, 80, 200)) for x in range(0, 10_000, 200)],
        ),
    ],
    ids=("a dot", "a speck", "a strip"),
)
def test_what_is_small_or_thin_is_a_drawing_too(size, draw):
    svg = vectorized(drawn_with_pillow(size, draw), Budget(10_000)).svg
    assert check(svg).violations == []


def test_noise_and_gradients_end_and_fit():
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    assert len(vectorized(noise[:128, :128], Budget(900)).svg) < 900


# --- curves and search ------------------------------------------------------------------------------------------


def test_a_path_is_as_near_as_it_was_asked_to_be_and_shorter_where_it_may_be_further():
    turn = np.linspace(0, 2 * np.pi, 700, endpoint=False)
    radius = 80 + 12 * np.sin(5 * turn)
    flower = np.stack([128 + radius * np.cos(turn), 128 + radius * np.sin(turn)], axis=1)
    (tree,) = trees([flower], 0.5)
    counts = []
    for tolerance in (0.15, 0.6, 2.4):
        commands = path(tree, tolerance)
        counts.append(len(commands))
        d = " ".join(letter + " ".join(f"{x:.3f}" for x in v) for letter, v in commands)
        outline = f"{SVG_OPEN}<path d='{d}'/></svg>"
        exact = f"{SVG_OPEN}<path d='M{' '.join(f'{x:.3f} {y:.3f}' for x, y in flower)}'/></svg>"
        missed = (render_rgb(outline, 1024) != render_rgb(exact, 1024)).any(axis=2).sum() / 16  # square units, at most
        length = np.hypot(*np.diff(flower, axis=0, append=flower[:1]).T).sum()
        assert missed < length * (tolerance + 0.6)  # half covered pixels along the whole outline count as missed
    assert counts[0] > counts[1] > counts[2]


def test_corners_stay_sharp():
    star = [
        (128 + r * np.cos(a), 128 + r * np.sin(a))
        for a, r in zip(np.arange(10) * np.pi / 5, [100, 40] * 5, strict=True)
    ]
    svg = drawn(f"{SVG_OPEN}<path d='M{' '.join(f'{x:.2f} {y:.2f}' for x, y in star)}' fill='#c02020'/></svg>")
    assert "c" not in re.search(r' d="([^"]*)"', svg)[1].lower()  # ten lines and no curve


@pytest.mark.parametrize("fits_from", range(6))
def test_the_finest_detail_is_the_first_that_fits(fits_from):
    texts = ["x" * (100 - 10 * i) for i in range(5)]
    found = bisect_detail([lambda text=text: text for text in texts], Budget(101 - 10 * fits_from))
    assert found == (texts[fits_from] if fits_from < 5 else None)


@pytest.mark.parametrize(
    "scores, start, best",
    [
        ([1, 2, 3, 2], 1, 3),
        ([5, 4, 3, 2], 3, 5),
        ([3, 9, 8, 1], 2, 9),
        ([NOTHING, NOTHING, 7, 8], 0, 8),
        ([NOTHING] * 3, 1, NOTHING),
    ],
)
def test_hill_climbing_finds_the_top(scores, start, best):
    assert hill_climb(range(len(scores)), start, lambda i: scores[i]) == best


# --- similarity and color ---------------------------------------------------------------------------------------


def test_similarity_falls_with_blur_with_color_and_with_another_picture():
    picture = render_rgb(TWEMOJI[0].svg)
    blurred = [
        np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4, 8)
    ]
    values = [similarity(picture, other) for other in blurred]
    assert values[0] == pytest.approx(1) and values == sorted(values, reverse=True) and len(set(values)) == 5
    assert similarity(picture, picture[..., ::-1]) < 0.99
    assert similarity(picture, render_rgb(TWEMOJI[1].svg)) < values[-1]
    assert similarity(picture, blurred[2]) == pytest.approx(similarity(blurred[2], picture))
    with pytest.raises(ValueError, match="sizes"):
        similarity(picture, picture[:-1])


def test_similarity_sees_plain_colour_and_layout_and_not_what_nobody_sees():
    random = np.random.default_rng(0)

    def noisy(ground, much: int):
        return (ground + random.integers(-much, much + 1, (64, 64, 3))).astype(np.uint8)

    plain = np.full((64, 64, 3), 128)
    assert similarity(noisy(plain - 20, 0), noisy(plain + 20, 0)) < 0.9
    assert similarity(noisy(plain, 1), noisy(plain, 1)) > 0.95
    halves = np.where(np.arange(64)[None, :, None] < 32, 60, 180) + plain * 0
    assert similarity(noisy(halves, 50), noisy(halves, 50)) > 0.2  # seen from afar they are alike


def test_pixels_have_the_oklab_of_their_color():
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    wanted = [[to_oklab("#" + bytes(pixel).hex()) for pixel in row] for row in pixels]
    assert np.abs(pixels_to_oklab(pixels) - wanted).max() < 1e-12


# --- image files ------------------------------------------------------------------------------------------------


def disc(mode: str = "RGBA") -> Image.Image:
    """A red disc, transparent around it."""
    image = Image.new("RGBA", (120, 60), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((40, 10, 80, 50), fill=(200, 30, 30, 255))
    return image.convert(mode)


def on_white() -> Image.Image:
    white = Image.new("RGB", (120, 60), "white")
    white.paste(disc(), mask=disc().getchannel("A"))
    return white


def sixteen_bit() -> Image.Image:
    return Image.fromarray(np.asarray(on_white().convert("L")).astype(np.uint16) * 257)


FILES = {
    "rgba.png": disc,
    "gray-alpha.png": lambda: disc("LA"),
    "palette.png": lambda: on_white().quantize(8),
    "sixteen.png": sixteen_bit,
    "cmyk.jpg": lambda: on_white().convert("CMYK"),
    "one-bit.png": lambda: on_white().convert("1", dither=Image.Dither.NONE),
    "transparent.gif": disc,
    "plain.webp": on_white,
}


@pytest.mark.parametrize("name", FILES)
def test_any_kind_of_image_is_read_as_it_looks(name, tmp_path):
    FILES[name]().save(tmp_path / name)
    picture = read_picture(tmp_path / name)
    assert picture.shape == (256, 256, 3) and picture.dtype == np.uint8
    assert (picture[:64] == 255).all() and picture[75, 4].min() > 240  # fitted into the middle, on white
    red, green, _ = picture[128, 128].astype(int)
    assert green < 120 and (red > 170 or red == green)  # the disc, red or grey


def test_turned_and_moving_images_show_their_first_upright_picture(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown a quarter turn further
    half = Image.new("RGB", (120, 60), "white")
    half.paste("red", (0, 0, 60, 60))
    half.save(tmp_path / "turned.png", exif=exif)
    picture = read_picture(tmp_path / "turned.png")  # the left half is the upper one now
    assert (picture[:, :60] == 255).all() and (picture[10:118, 70:186] == (255, 0, 0)).all()
    assert (picture[138:] == 255).all()
    other = Image.new("RGB", (120, 60), "blue")
    on_white().save(tmp_path / "moving.gif", save_all=True, append_images=[other])
    assert read_picture(tmp_path / "moving.gif")[128, 128, 0] > 170


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb(side: int) -> bytes:
    """A PNG of a few bytes that says it has side × side pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "png")
    return file.getvalue()


BROKEN = {
    "text.png": (b"not an image", "no image that can be read"),
    "empty.png": (b"", "no image that can be read"),
    "drawing.png": (TWEMOJI[0].svg.encode(), "no image that can be read"),
    "script.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no image that can be read"),
    "cut.png": (png_bytes(TWEMOJI[0].svg)[:900], "a broken image (OSError)"),
    "large.png": (bomb(20_000), "more than 89 megapixels"),
    "larger.png": (bomb(10_000), "more than 89 megapixels"),
    "pixel.png": (png(Image.new("RGB", (1, 1), "red")), "nothing to see: one color all over"),
    "clear.png": (png(Image.new("RGBA", (64, 64), (9, 9, 9, 0))), "nothing to see: one color all over"),
    "line.png": (png(Image.new("L", (5000, 1))), None),  # a thin line across the middle
}


@pytest.fixture
def folder(tmp_path):
    """Three images, two of them further down, with the same stem."""
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    for i, name in enumerate(("a_red-thing.png", "more/b.png", "more/b.webp")):
        image = Image.new("RGB", (64, 64), "white")
        ImageDraw.Draw(image).rectangle((10, 10 + 9 * i, 40, 50), fill="red")
        image.save(images / name)
    return images


@pytest.fixture
def run_vectorize():
    def start(*arguments):
        run_main(vectorize, "--workers", "1", "--max-bytes", "4000", *map(str, arguments), positional="INPUT")

    return start


def test_a_folder_becomes_a_folder_and_goes_on_where_it_stopped(folder, run_vectorize, tmp_path, capsys):
    for name, (data, _) in BROKEN.items():
        (folder / name).write_bytes(data)
    (folder / "folder.png").mkdir()
    output = tmp_path / "drawings"
    output.mkdir()
    (output / "a_red-thing.svg").write_text("mine")
    run_vectorize(folder, "--output", output)
    written = {str(path.relative_to(output)): path for path in output.rglob("*.*")}
    assert set(written) == {"a_red-thing.svg", "line.svg", "more/b.png.svg", "more/b.webp.svg"}
    assert written["a_red-thing.svg"].read_text() == "mine"
    assert all(path.stat().st_size <= 4000 for path in written.values())
    said = capsys.readouterr()
    assert "3 drawings written, 1 were there" in said.out and "folder.png" not in said.out + said.err
    for name, (_, reason) in BROKEN.items():
        assert (f"{folder / name}: {reason}" in said.out + said.err) == (reason is not None)
    stamps = {name: path.stat().st_mtime_ns for name, path in written.items()}
    run_vectorize(folder, "--output", output)
    assert {name: path.stat().st_mtime_ns for name, path in written.items()} == stamps
    with pytest.raises(UserError, match="holds 4 drawings of more than MAX_BYTES 3"):
        run_vectorize(folder, "--output", output, "--max-bytes", 3)


def test_lines_are_a_source_and_a_half_one_is_written_again(folder, run_vectorize, tmp_path):
    output = tmp_path / "drawings.jsonl"
    run_vectorize(folder, "--output", output)
    whole = output.read_bytes()
    output.write_bytes(whole[:-50])
    run_vectorize(folder, "--output", output)
    assert output.read_bytes() == whole
    records = [json.loads(line) for line in whole.decode().splitlines()]
    assert [record["id"] for record in records] == ["a_red-thing", "more/b.png", "more/b.webp"]
    for record, source in zip(records, drawings(str(output)), strict=True):
        assert (source.id, source.svg) == (record["id"], record["svg"]) and check(source.svg).valid
        assert record["bytes"] == len(record["svg"]) + 1 <= 4000 and 0 < record["similarity"] <= 1
    assert records[0]["description"] == "a red thing"
    with pytest.raises(UserError, match="holds 3 drawings of more than MAX_BYTES 20"):
        run_vectorize(folder, "--output", output, "--max-bytes", 20)
    assert output.read_bytes() == whole


def test_tokens_are_counted_by_the_tokenizer_that_is_named(folder, run_vectorize, tmp_path, tiny_base):
    output = tmp_path / "drawings.jsonl"
    run_vectorize(folder / "more", "--output", output, "--tokenizer", tiny_base, "--max-tokens", "2000")
    records = [json.loads(line) for line in output.read_text().splitlines()]
    tokenizer = load_tokenizer(str(tiny_base))
    assert len(records) == 2
    for record in records:
        assert record["tokens"] == len(tokenizer(record["svg"])["input_ids"]) <= 2000


@pytest.mark.parametrize(
    "arguments, names",
    [
        ([], "INPUT"),
        (["{images}"], "OUTPUT"),
        (["nowhere/*.png", "--output", "x"], "nowhere"),
        (["{images}", "--output", "x.svg"], "folder"),
        (["{images}", "--output", "{images}/a_red-thing.png"], "OUTPUT"),
        (["{images}", "--output", "x", "--method", "magic"], "METHOD"),
        (["{images}", "--output", "x", "--max-bytes", "0"], "MAX_BYTES"),
        (["{images}", "--output", "x", "--max-tokens", "9"], "TOKENIZER"),
        (["{images}", "--output", "{tmp}/out", "--max-bytes", "60"], "no drawing was written"),
    ],
)
def test_wrong_input_is_one_sentence_that_names_it(arguments, names, folder, run_vectorize, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    places = {"images": str(folder), "tmp": str(tmp_path)}
    with pytest.raises(UserError, match=names):
        run_vectorize(*(argument.format(**places) for argument in arguments))
    assert not list(Path(tmp_path).glob("x*"))


def test_somebody_elses_lines_are_left_alone(folder, run_vectorize, tmp_path):
    other = tmp_path / "mine.jsonl"
    other.write_text('{"name": 1}\n')
    with pytest.raises(UserError, match=r"mine\.jsonl:1"):
        run_vectorize(folder, "--output", other)
    assert other.read_text() == '{"name": 1}\n'
