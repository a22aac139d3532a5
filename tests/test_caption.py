"""Pictures to words: what a model is asked, what becomes of its answers, and what no fault may lose."""

import base64
import io
import json
import subprocess
import sys
import threading
from collections import Counter
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from corpus import caption, chat_endpoint
from corpus.captioning.clean import clean_caption
from corpus.captioning.pictures import draw
from corpus.captioning.prompts import FOCUSES, STYLES, WORD_LIMITS, prompt_for
from corpus.captioning.transformers_engine import TransformersEngine
from qwen_svg.common.errors import UserError
from qwen_svg.svg.content_hash import content_hash
from qwen_svg.svg.render import render_rgb
from svg_constraint import SVG_OPEN
from tests.chat_server import DROP, chat_server, completion
from tests.paths import ROOT
from tests.scripts import run_main
from tests.tiny_vlm import make_vlm

SEED = 12343  # the script's own
SVGS = [f'{SVG_OPEN}<circle cx="{60 + 8 * i}" cy="128" r="50" fill="#{i:02x}8040"/></svg>' for i in range(12)]
HASHES = [content_hash(svg) for svg in SVGS]
HANGS = (
    f'{SVG_OPEN}<filter id="f"><feTurbulence numOctaves="100000000"/></filter>'
    '<path d="M0 0h256v256" filter="url(#f)"/></svg>'
)


@pytest.fixture
def mined(tmp_path):
    """A shard as corpus.mine writes them."""
    path = tmp_path / "mined.jsonl"
    path.write_text("".join(json.dumps({"url": "u", "timestamp": "t", "svg": svg}) + "\n" for svg in SVGS))
    return path


@pytest.fixture
def run_caption(tmp_path):
    """Run the script in this process; return the lines of its output."""
    output = tmp_path / "out" / "captions.jsonl"

    def start(*arguments):
        run_main(caption, "--output", str(output), *map(str, arguments))
        return [json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()]

    start.output = output
    return start


def to_endpoint(server, dataset, *more):
    return ["--engine", "endpoint", "--base-url", server.url, "--model", "eyes", "--dataset", dataset, *more]


def picture_in(request):
    """The PNG that a request carries, as a PIL image, and the words."""
    image, text = request["messages"][0]["content"]
    return Image.open(io.BytesIO(base64.b64decode(image["image_url"]["url"].split(",")[1]))), text["text"]


# --- the endpoint ---------------------------------------------------------------------------------------------


def test_each_picture_goes_out_once_with_its_prompt(mined, run_caption, monkeypatch, capsys):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with chat_server(lambda body, number: f"A circle, {picture_in(body)[1][:30]}") as server:
        lines = run_caption(*to_endpoint(server, mined, "--resolution", 48, "--batch-size", 5))
    assert [line["hash"] for line in lines] == HASHES and list(lines[0]) == ["hash", "caption", "source", "prompt"]
    sent = {picture_in(request)[1]: picture_in(request)[0] for request in server.requests}
    assert len(server.requests) == len(SVGS)
    for line in lines:
        assert line["prompt"] == prompt_for(line["hash"], SEED) and line["source"] == "eyes"
        assert line["caption"] == f"A circle, {line['prompt'][:30]}"
        assert sent[line["prompt"]].format == "PNG" and sent[line["prompt"]].size == (48, 48)
    pictures = {np.asarray(picture_in(request)[0]).tobytes() for request in server.requests}
    assert pictures == {render_rgb(svg, 48).tobytes() for svg in SVGS}
    for request in server.requests:  # 0.01 is greedy
        assert (request["temperature"], request["seed"], request["max_tokens"]) == (0.0, SEED, 128)
        assert request["model"] == "eyes"
    assert set(server.keys) == {"Bearer sk-secret"}
    written = [path.read_bytes() for path in run_caption.output.parent.iterdir()]
    assert len(written) == 2 and not any(b"sk-secret" in data for data in written)  # captions and contact sheet
    assert "sk-secret" not in str(capsys.readouterr())


def test_passing_faults_cost_no_caption(mined, run_caption):
    soon = {"retry-after-ms": "5"}
    faults = {0: (429, {"Retry-After": "0.01"}), 1: (500, soon), 2: DROP, 5: (503, soon), 6: (429, soon)}
    with chat_server(lambda body, number: faults.get(number, "A circle")) as server:
        lines = run_caption(*to_endpoint(server, mined, "--batch-size", 4))
    assert [line["hash"] for line in lines] == HASHES
    assert len(server.requests) == len(SVGS) + len(faults)


@pytest.mark.parametrize(
    "answer, reason",
    [
        ((400, {}), "the endpoint answered 400"),
        (completion("A circle that", "length"), "the answer was cut at its limit of tokens"),
        ("  ", "the answer is empty"),
        ("I'm sorry, I can't assist.", "the model declined"),
        ({"choices": None}, "the endpoint's answer is no chat completion"),
    ],
)
def test_a_picture_that_fails_is_counted_and_asked_about_again_next_time(answer, reason, mined, run_caption, capsys):
    unlucky = prompt_for(HASHES[3], SEED)

    with chat_server(lambda body, number: answer if picture_in(body)[1] == unlucky else "A circle") as server:
        lines = run_caption(*to_endpoint(server, mined))
        failed = set(HASHES) - {line["hash"] for line in lines}
        assert HASHES[3] in failed and f"{len(failed)}  {reason}" in capsys.readouterr().out
        server.reply = lambda body, number: "A circle"
        server.requests.clear()
        lines = run_caption(*to_endpoint(server, mined))
    assert Counter(line["hash"] for line in lines) == Counter(HASHES)
    assert len(server.requests) == len(failed)


def test_a_server_that_only_fails_ends_the_run(mined, run_caption, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setattr(chat_endpoint, "FAILED_IN_A_ROW", 3)
    with chat_server(lambda body, number: (400, {})) as server:
        with pytest.raises(UserError, match=r"3 requests .* answered 400 \(told to fail Bearer …\)") as error:
            run_caption(*to_endpoint(server, mined, "--batch-size", 1))
        assert len(server.requests) == 3 and "sk-secret" not in str(error.value)
        server.reply = lambda body, number: (401, {})
        with pytest.raises(UserError, match="OPENAI_API_KEY"):
            run_caption(*to_endpoint(server, mined))
        server.reply = lambda body, number: (404, {})
        with pytest.raises(UserError, match="does not serve 'eyes'"):
            run_caption(*to_endpoint(server, mined))
        server.reply = lambda body, number: "A circle"
        assert len(run_caption(*to_endpoint(server, mined))) == len(SVGS)
    with pytest.raises(UserError, match="nobody answers"):
        run_caption(*to_endpoint(server, mined))


def test_killed_and_started_again_it_writes_what_an_undisturbed_run_writes(mined, run_caption):
    """kill -9 with seven captions written and a half line behind them, as a kill in the middle of a write leaves it."""
    stuck, let_go = threading.Event(), threading.Event()

    def reply(body, number):
        if number >= 7 and not let_go.is_set():
            stuck.set()
            let_go.wait(20)
        return picture_in(body)[1][::-1]

    with chat_server(reply) as server:
        arguments = [*to_endpoint(server, mined, "--batch-size", 1), "--output", run_caption.output]
        process = subprocess.Popen([sys.executable, "-m", "corpus.caption", *map(str, arguments)], cwd=ROOT)
        assert stuck.wait(20)
        process.kill()
        process.wait()
        let_go.set()
        written = run_caption.output.read_text()
        assert written.count("\n") == 7
        run_caption.output.write_text(written + '{"hash": "0123')
        server.requests.clear()
        resumed = run_caption(*arguments)
        assert len(server.requests) == len(SVGS) - 7
        for path in (run_caption.output, run_caption.output.with_suffix(".png")):
            path.unlink()
        assert resumed == run_caption(*arguments)


@pytest.mark.parametrize("foreign", ['{"id": 1}\n', '{"hash": "a"}\nnotes\n', "notes", "\n", "[]\n"])
def test_somebody_elses_file_is_left_alone(foreign, mined, run_caption):
    run_caption.output.parent.mkdir()
    run_caption.output.write_text(foreign)
    with chat_server(lambda body, number: "A circle") as server, pytest.raises(UserError, match=r"captions.jsonl:\d"):
        run_caption(*to_endpoint(server, mined))
    assert run_caption.output.read_text() == foreign and not server.requests


# --- the model in this process --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_vlm(tmp_path_factory, tokenizer):
    return make_vlm(tmp_path_factory.mktemp("vlm") / "tiny-eyes", tokenizer)


@pytest.fixture
def engine(tiny_vlm):
    return TransformersEngine(str(tiny_vlm), batch_size=16, temperature=0.0, max_new_tokens=6, seed=1)


PICTURES = [Image.fromarray(render_rgb(svg, 32)) for svg in SVGS]
PROMPTS = [prompt_for(hash, SEED) for hash in HASHES]


def test_the_script_with_a_transformers_model(tiny_vlm, mined, run_caption):
    arguments = ["--model", tiny_vlm, "--dataset", mined, "--max-new-tokens", 6]
    lines = run_caption(*arguments, "--batch-size", 12)
    assert {line["hash"] for line in lines} <= set(HASHES) and len(lines) > 8  # a random model may say nothing
    assert {line["source"] for line in lines} == {"tiny-eyes"}
    with Image.open(run_caption.output.with_suffix(".png")) as sheet:
        assert sheet.width > 6 * 160 and (np.asarray(sheet) < 250).any()
    for path in (run_caption.output, run_caption.output.with_suffix(".png")):
        path.unlink()
    assert run_caption(*arguments, "--batch-size", 5) == lines  # neither batches nor padding change what is said


def test_out_of_memory_halves_the_batch_and_remembers(engine, monkeypatch):
    expected, sizes, generate = engine.captions(PICTURES, PROMPTS), [], engine.model.generate

    def crowded(**inputs):
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return generate(**inputs)

    monkeypatch.setattr(engine.model, "generate", crowded)
    assert engine.captions(PICTURES, PROMPTS) == expected
    assert sizes == [12, 8, 4, 2, 2, 2, 2, 2, 2] and engine.batch_size == 2
    monkeypatch.setattr(engine.model, "generate", lambda **_: crowded(input_ids=range(9)))
    with pytest.raises(UserError, match="RESOLUTION"):
        engine.captions(PICTURES, PROMPTS)


def test_other_errors_of_the_model_are_not_taken_for_memory(engine, monkeypatch):
    def broken(**_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(engine.model, "generate", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        engine.captions(PICTURES, PROMPTS)


def test_captions_that_are_cut_are_not_written(engine):
    engine.model.generation_config.forced_eos_token_id = None
    assert set(engine.captions(PICTURES, PROMPTS)) == {("", "cut at MAX_NEW_TOKENS")}


@pytest.mark.parametrize("model", ["no/such-model", "tests"])
def test_a_model_that_cannot_be_had_is_one_sentence(model, mined, run_caption):
    with pytest.raises(UserError, match=f"MODEL {model} cannot be loaded"):
        run_caption("--model", model, "--dataset", mined)


def test_lmdeploy_is_asked_in_its_own_words(mined, run_caption, monkeypatch, capsys):
    """A stand-in with the names of LMDeploy 0.18: lmdeploy.pipeline, its configs, and the fields of its Response."""
    seen = SimpleNamespace()

    def pipeline(model, backend_config=None):
        seen.model, seen.config = model, backend_config

        def infer(prompts, gen_config=None):
            seen.settings = gen_config
            assert all(isinstance(image, Image.Image) and isinstance(text, str) for text, image in prompts)
            replies = [SimpleNamespace(text=f"Says {text}", finish_reason="stop") for text, _ in prompts]
            replies[1] = SimpleNamespace(text="", finish_reason="error", error_code="internal_error")
            replies[2].finish_reason = "length"
            return replies

        return infer

    module = ModuleType("lmdeploy")
    module.__spec__ = ModuleSpec("lmdeploy", None)
    module.pipeline = pipeline
    module.TurbomindEngineConfig = lambda tp, session_len, max_batch_size: (tp, session_len, max_batch_size)
    module.GenerationConfig = lambda max_new_tokens, do_sample, temperature, random_seed: SimpleNamespace(
        do_sample=do_sample, temperature=temperature, random_seed=random_seed
    )
    monkeypatch.setitem(sys.modules, "lmdeploy", module)
    lines = run_caption("--engine", "lmdeploy", "--tp", 2, "--dataset", mined, "--temperature", 0.7)
    assert seen.model == "OpenGVLab/InternVL3-2B-hf" and seen.config == (2, 16384, 64)
    assert (seen.settings.do_sample, seen.settings.temperature, seen.settings.random_seed) == (True, 0.7, SEED)
    assert [line["hash"] for line in lines] == [HASHES[0], *HASHES[3:]]
    assert all(line["caption"] == f"Says {line['prompt']}" for line in lines)
    assert {line["source"] for line in lines} == {"InternVL3-2B-hf"}
    printed = capsys.readouterr().out
    assert "1  LMDeploy: internal_error" in printed and "1  cut at MAX_NEW_TOKENS" in printed


# --- what goes in ---------------------------------------------------------------------------------------------


def test_bad_records_and_pictures_are_counted_and_the_rest_goes_on(tmp_path, run_caption, capsys):
    bad = [HANGS, "<svg", f'{SVG_OPEN}<image href="a.png"/></svg>', f"{SVG_OPEN}</svg>", "\ud800", "", 7, None]
    lines = [json.dumps({"svg": svg}) for svg in (SVGS[0], *bad, SVGS[1], SVGS[0])]
    (tmp_path / "in.jsonl").write_text("\n".join([lines[0], "{not json", '["svg"]', "", *lines[1:]]))
    with chat_server(lambda body, number: "A circle") as server:
        written = run_caption(*to_endpoint(server, tmp_path / "in.jsonl", "--timeout", 0.5))
    assert [line["hash"] for line in written] == HASHES[:2]
    counted = dict(reversed(line.strip().split("  ", 1)) for line in capsys.readouterr().out.splitlines()[1:])
    assert counted == {
        "resvg crashed on the SVG or took over 0.5 s": "1",
        "the SVG is not well-formed": "1",
        "the SVG refers to images, which are not rendered": "1",
        "nothing to see: one color all over": "1",
        "the SVG is not Unicode text": "1",
        "no text in 'svg'": "3",
        "the line is no JSON object": "1",
        "the line is not JSON": "1",
        "has a caption already, or is here twice": "1",
    }


def test_the_window_of_records(mined, run_caption):
    with chat_server(lambda body, number: "A circle") as server:
        lines = run_caption(*to_endpoint(server, mined, "--start-index", 3, "--max-samples", 4))
        assert [line["hash"] for line in lines] == HASHES[3:7]
        with pytest.raises(UserError, match="START_INDEX 12"):
            run_caption(*to_endpoint(server, mined, "--start-index", 12))


def test_pictures_are_drawn_on_white_in_the_size_asked_for():
    picture, reason = draw(SVGS[0], 40, 1.0)
    assert reason == "" and picture.size == (40, 40) and picture.mode == "RGB"
    assert picture.getpixel((0, 0)) == (255, 255, 255) and picture.getpixel((9, 20)) == (0, 128, 64)


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--engine", "magic"], "ENGINE"),
        (["--engine", "endpoint"], "--base-url"),
        (["--base-url", "http://localhost/v1"], "--engine endpoint"),
        (["--engine", "endpoint", "--base-url", "localhost:8000", "--dataset", "{mined}"], "BASE_URL"),
        (["--tp", "2"], "TP"),
        (["--batch-size", "0"], "BATCH_SIZE"),
        (["--max-samples", "0"], "MAX_SAMPLES"),
        (["--temperature", "3"], "TEMPERATURE"),
        (["--dataset", "{output}"], "OUTPUT"),
        (["--engine", "lmdeploy", "--dataset", "{mined}"], "pip install lmdeploy"),
        (["--engine", "labels", "--sources", "nothing"], "SOURCES"),
    ],
)
def test_wrong_constants_are_named(arguments, named, mined, run_caption):
    filled = [argument.format(output=run_caption.output, mined=mined) for argument in arguments]
    with pytest.raises(UserError, match=named):
        run_caption(*filled)


# --- words ----------------------------------------------------------------------------------------------------


def test_prompts_vary_and_come_back():
    hashes = [content_hash(str(i)) for i in range(600)]
    prompts = [prompt_for(hash, SEED) for hash in hashes]
    assert prompts == [prompt_for(hash, SEED) for hash in hashes]
    assert sum(prompt != prompt_for(hash, 1) for hash, prompt in zip(hashes, prompts, strict=True)) > 500
    for part in (*STYLES, *FOCUSES, *(f"in {limit} words or less" for limit in WORD_LIMITS)):
        assert sum(part in prompt for prompt in prompts) > 20


@pytest.mark.parametrize(
    "said, caption",
    [
        ('"A red fox"', "A red fox"),
        ("a red\nfox,\n\nsitting", "A red fox, sitting"),
        ("The image shows a red fox.", "A red fox."),
        ("This simple icon depicts a phone", "A phone"),
        ("An illustration of a 'happy' cat", "A 'happy' cat"),
        ("**Caption:** a bus", "A bus"),
        ("“The picture features two trees”", "Two trees"),
        ("The icon is a red heart", "A red heart"),
        # What says something of the thing stays.
        ("A red icon of a phone", "A red icon of a phone"),
        ("The picture frame is golden", "The picture frame is golden"),
        ('"Stop" and "Go" signs', '"Stop" and "Go" signs'),
        ("The dog’s bowl", "The dog’s bowl"),
        ("Unfortunate clown", "Unfortunate clown"),
    ],
)
def test_captions_lose_what_is_no_description(said, caption):
    assert clean_caption(said) == (caption, "")
    assert clean_caption(caption) == (caption, "")


@pytest.mark.parametrize("said", ["", " \n", '""', "...", "I cannot describe this.", "As an AI language model, …"])
def test_no_caption_without_a_description(said):
    text, reason = clean_caption(said)
    assert text == "" and reason


def test_labelled_sets_need_no_model(run_caption, tmp_path):
    icons = {"house-red": {"body": '<path d="M0 0h9v9z"/>'}, "gear": {"body": '<circle r="9"/>'}}
    (tmp_path / "icons.json").write_text(json.dumps({"prefix": "tiny", "icons": icons}))
    lines = run_caption("--engine", "labels", "--sources", f"twemoji, {tmp_path / 'icons.json'}")
    by_caption = {line["caption"]: line for line in lines}
    assert {"grinning face", "house red", "gear"} <= set(by_caption)
    assert by_caption["gear"]["source"] == "tiny" and by_caption["gear"]["prompt"] == ""
    assert len({line["hash"] for line in lines}) == len(lines) > 1800
    again = run_caption("--engine", "labels", "--sources", f"twemoji, {tmp_path / 'icons.json'}")
    assert again == lines
