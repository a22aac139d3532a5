"""Descriptions to pictures to drawings, with a tiny random Stable Diffusion: the same each time, and never lost."""

import json

import pytest
from PIL import Image

from corpus import imagine
from corpus.imagine import seed_of
from corpus.sources import drawings
from qwen_svg.common.errors import UserError
from qwen_svg.common.jsonl import append_all
from qwen_svg.generation.descriptions import Asked
from svg_constraint import check
from tests.scripts import run_main
from tests.tiny_diffusion import PIXELS, make_pipeline

WORDS = ["a red fox", "a blue boat on a lake"]


@pytest.fixture(scope="module")
def model(tmp_path_factory, tokenizer):
    return make_pipeline(tmp_path_factory.mktemp("tiny_diffusion"), tokenizer)


@pytest.fixture
def run_imagine(tmp_path, model):
    """Run the script in this process; return the records of its output."""
    asked, output = tmp_path / "descriptions.txt", tmp_path / "imagined.jsonl"
    asked.write_text("\n".join(WORDS))

    def start(*arguments):
        settings = ["--model", str(model), "--steps", "2", "--workers", "1", "--max-bytes", "400", "--no-fp16"]
        given = [str(argument) for argument in arguments]
        run_main(imagine, str(asked), "--output", str(output), *settings, *given, positional="INPUT")
        return [json.loads(line) for line in output.read_text().splitlines()]

    start.output = output
    return start


def test_each_description_gets_a_drawing_whatever_the_batch_and_after_a_stop(run_imagine, monkeypatch, tmp_path):
    records = run_imagine("--batch-size", 2, "--keep-images")
    assert [(record["id"], record["description"]) for record in records] == [
        (str(i), words) for i, words in enumerate(WORDS, 1)
    ]
    for record, source in zip(records, drawings(str(run_imagine.output)), strict=True):
        assert (source.description, source.svg) == (record["description"], record["svg"])
        assert check(record["svg"]).violations == [] and record["bytes"] <= 400
        with Image.open(tmp_path / "imagined-images" / f"{record['seed']:08x}.png") as picture:
            assert picture.size == (PIXELS, PIXELS)
    assert Image.open(run_imagine.output.with_suffix(".png")).size[0] > 600  # two pairs
    assert len({record["seed"] for record in records}) == 2

    lines = run_imagine.output.read_text().splitlines(keepends=True)
    run_imagine.output.write_text(lines[0] + lines[1][:-40])  # killed while it wrote the second
    asked_for = []
    paint = imagine.paint
    monkeypatch.setattr(imagine, "paint", lambda p, batch, c: asked_for.append(batch) or paint(p, batch, c))
    assert run_imagine("--batch-size", 1) == records
    assert [[asked.description for asked in batch] for batch in asked_for] == [[WORDS[1]]]


def test_the_pipeline_gets_prompts_and_only_what_it_knows(run_imagine, monkeypatch):
    seen = []

    class Pipeline:
        def __call__(self, prompt, generator, num_inference_steps, width=None, height=None):
            seen.append((prompt, [one.initial_seed() for one in generator], num_inference_steps, width, height))
            black = Image.new("RGB", (64, 64))  # what a safety checker puts in the place of a picture
            half = Image.new("RGB", (64, 64), "white")
            half.paste("navy", (0, 0, 32, 64))
            return type("Output", (), {"images": [black if "fox" in words else half for words in prompt]})

    monkeypatch.setattr(imagine, "open_pipeline", lambda *_: Pipeline())
    records = run_imagine("--image-size", 64, "--suffix", "flat", "--seed", 7)
    assert [record["description"] for record in records] == WORDS[1:]
    ((prompts, seeds, *rest),) = seen
    assert prompts == [f"{words}, flat" for words in WORDS] and rest == [2, 64, 64]
    assert seeds[1:] == [record["seed"] for record in records]
    assert all('fill="navy"' in record["svg"] or "#000080" in record["svg"] for record in records)


def test_a_seed_is_of_the_description_its_id_and_the_constant():
    seeds = {seed_of(Asked(id, words), seed) for id in "ab" for words in WORDS for seed in (1, 2)}
    assert len(seeds) == 8 and all(0 <= seed < 2**32 for seed in seeds)


@pytest.mark.parametrize(
    "arguments, names",
    [
        (["--model", "nowhere/at-all"], "MODEL nowhere/at-all"),
        (["--output", "out.csv"], "OUTPUT out.csv"),
        (["--image-size", "100"], "IMAGE_SIZE"),
        (["--steps", "0"], "STEPS"),
        (["--max-tokens", "5"], "TOKENIZER"),
        (["--input", "none.txt"], "none.txt"),
    ],
)
def test_wrong_input_is_one_sentence_that_names_it(arguments, names, run_imagine):
    with pytest.raises(UserError, match=names):
        run_imagine(*arguments)
    assert not run_imagine.output.exists()


def test_a_folder_that_holds_no_pipeline_is_named(run_imagine, tiny_base):
    with pytest.raises(UserError, match=f"MODEL {tiny_base} cannot be loaded as a text-to-image pipeline"):
        run_imagine("--model", tiny_base)


def test_what_is_there_already_asks_for_no_model(run_imagine, monkeypatch):
    records = [{"id": str(i), "description": words, "seed": 1, "bytes": 400} for i, words in enumerate(WORDS, 1)]
    append_all(run_imagine.output, records)
    monkeypatch.setattr(imagine, "open_pipeline", None)
    assert len(run_imagine()) == 2
    with pytest.raises(UserError, match="holds 2 drawings of more than MAX_BYTES 399"):
        run_imagine("--max-bytes", 399)
