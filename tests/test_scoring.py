"""Scores tell good from bad, do not depend on batches, and agree with the models' own arithmetic. No real weights: the
models are tiny and random, but of the classes that are loaded; only the one that reads writing is real."""

import json
import math
import operator
import random
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from matplotlib.textpath import TextPath
from PIL import Image, ImageChops, ImageFilter
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoProcessor, CLIPModel, PaliGemmaForConditionalGeneration

import evaluate_test
import generate
from qwen_svg.common.dataset import Sample
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.tokens import encode
from qwen_svg.evaluation import ranking
from qwen_svg.evaluation.judge import judge
from qwen_svg.evaluation.ranking import CAPTION, CELL, HEAD, MARGIN, write_ranking
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropy
from scoring import (
    aesthetics,
    competition,
    dino,
    legality,
    ocr,
    pairs,
    perplexity,
    pictures,
    render,
    similarity,
    text_match,
    vqa,
)
from scoring.candidate import Candidate
from scoring.command import read_candidates, score_files
from scoring.scores import NEED_REFERENCE, SCORES, find_score, find_scores
from svg_constraint import SVG_OPEN
from tests import tiny_scorers
from tests.paths import SHARED
from tests.scripts import constants_of
from tests.tiny import answer

COLOURS = ("gold", "navy", "teal", "crimson", "olive", "orchid", "black", "orange")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def models(tmp_path_factory, tokenizer):
    """Paths of tiny models by name."""
    folder = tmp_path_factory.mktemp("scorers")
    made = {
        "clip": tiny_scorers.make_clip(folder / "clip", tokenizer),
        "siglip": tiny_scorers.make_siglip(folder / "siglip", tokenizer),
        "paligemma": tiny_scorers.make_paligemma(folder / "paligemma", tokenizer),
        "dino": tiny_scorers.make_dino(folder / "dino"),
        "head": tiny_scorers.make_head(folder / "head.safetensors"),
    }
    return {name: str(path) for name, path in made.items()}


def scene(seed: int, shapes: int = 6) -> str:
    """A drawing of some shapes; with fewer of them, the same one half done."""
    rng = random.Random(seed)
    body = "".join(
        f'<ellipse cx="{rng.randint(40, 216)}" cy="{rng.randint(40, 216)}" rx="{rng.randint(15, 50)}" '
        f'ry="{rng.randint(15, 50)}" fill="{rng.choice(COLOURS)}"/>'
        for _ in range(shapes)
    )
    return f"{SVG_OPEN}{body}</svg>"


SCENES = [scene(seed) for seed in range(8)]
CANDIDATES = [
    *(Candidate(answer(colour, radius), f"a {colour} circle with a rim", answer("gold", 40))
      for colour, radius in (("gold", 40), ("navy", 80), ("teal", 110), ("gold", 90))),
    Candidate("I cannot draw", "a gold circle", answer("gold", 40)),
]  # fmt: skip


def square(side: int, colour: str = "#888888") -> str:
    start = 128 - side / 2
    return f'{SVG_OPEN}<rect x="{start}" y="{start}" width="{side}" height="{side}" fill="{colour}"/></svg>'


def pixels(svgs: list[str]) -> list:
    return [pictures.picture(svg, similarity.SIZE) for svg in svgs]


def compared(drawings: list, references: list) -> list[float]:
    return list(map(similarity.compare, drawings, references))


# --- what is drawn --------------------------------------------------------------------------------------------


def test_only_what_shows_something_renders(monkeypatch):
    asked, real = [], pictures.png_bytes
    monkeypatch.setattr(pictures, "png_bytes", lambda *a, **k: asked.append(a) or real(*a, **k))
    pictures.png.cache_clear()
    drawings = [scene(1), square(256, "red"), f"{SVG_OPEN}</svg>", f'{SVG_OPEN}<circle r="</svg>', "no drawing"]
    twice = [Candidate(text) for text in drawings] * 2
    assert render.score(twice) == [1, 0, 0, 0, 0] * 2
    assert len(asked) == 4, "a drawing is rendered once, and where there is none nothing is"


def test_legality_is_the_share_of_what_is_legal():
    scores = legality.score([Candidate(text) for text in (answer(), answer().replace("r=", 'id="x" r='), "")])
    assert scores[0] == 1 > scores[1] > scores[2] == 0
    stop = '<linearGradient id="a"><stop offset="0" stop-color="red"/></linearGradient>'
    shaded = [Candidate(answer("url(#a)").replace("<!--", f"<defs>{stop}</defs><!--"))]
    assert legality.score(shaded, "prompt+gradients") == [1] > legality.score(shaded)


def test_a_picture_has_the_drawings_colours_and_fine_lines():
    drawing = square(100, "#ff8000").replace("</svg>", '<path d="M20 0V256" stroke="#000" stroke-width="2"/></svg>')
    picture = pictures.picture(drawing, 256)
    assert picture.mode == "RGB" and picture.getpixel((128, 128)) == (255, 128, 0)
    assert [sum(picture.getpixel((x, 30))) // 3 for x in (17, 19, 20, 22)] == [255, 0, 0, 255]


# --- similarity -----------------------------------------------------------------------------------------------


def test_a_drawing_is_most_like_itself_and_not_like_others():
    own = similarity.score([Candidate(svg, reference=svg) for svg in SCENES])
    others = similarity.score([Candidate(a, reference=b) for a, b in zip(SCENES, SCENES[1:] + SCENES[:1], strict=True)])
    assert min(own) > 0.99 and max(others) < 0.35
    assert all(score < 0.5 * itself for score, itself in zip(others, own, strict=True))


def test_real_drawings_are_told_apart():
    path = SHARED / "data" / "svg_results.jsonl"
    if not path.is_file():
        pytest.skip("no real samples here")
    with path.open(encoding="utf-8") as file:
        texts = [json.loads(next(file))["svg_content"] for _ in range(16)]
    own = similarity.score([Candidate(text, reference=text) for text in texts])
    others = similarity.score([Candidate(a, reference=b) for a, b in zip(texts, texts[1:] + texts[:1], strict=True)])
    assert sum(own) / 16 > 0.95 and sum(others) / 16 < 0.05


@pytest.mark.parametrize("spoil", ["blur", "move"])
def test_the_more_it_is_spoilt_the_lower_it_scores(spoil):
    references = pixels(SCENES)
    last = compared(references, references)
    for much in (1, 3, 8):
        if spoil == "blur":
            worse = [picture.filter(ImageFilter.GaussianBlur(much)) for picture in references]
        else:
            worse = [ImageChops.offset(picture, much, 0) for picture in references]
        scores = compared(worse, references)
        assert all(map(operator.lt, scores, last))
        last = scores


def test_no_plain_square_wins():
    """Not even in the picture's own mean colour, in any size: half of the drawing is worth more."""
    half = similarity.score([Candidate(scene(seed, 4), reference=svg) for seed, svg in enumerate(SCENES)])
    for side in (256, 180, 96):
        squares = []
        for svg in SCENES:
            mean = pictures.picture(svg, 64).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
            squares.append(Candidate(square(side, "#{:02x}{:02x}{:02x}".format(*mean)), reference=svg))
        scores = similarity.score(squares)
        assert sum(scores) / len(scores) < 0.1 and max(scores) < min(half)
    assert max(similarity.score([Candidate(square(256, "#fff"), reference=svg) for svg in SCENES])) < 0.01


def test_the_drawing_and_its_reference_are_not_the_same_thing():
    """What is left out costs what it was worth; what is put in beside the reference costs more than all of it."""
    few, whole = ([scene(seed, shapes) for seed in range(8)] for shapes in (2, 6))
    assert min(similarity.score([Candidate(a, reference=b) for a, b in zip(few, whole, strict=True)])) > 0
    assert max(similarity.score([Candidate(b, reference=a) for a, b in zip(few, whole, strict=True)])) == 0


def test_what_is_a_little_out_of_place_is_not_all_wrong_and_what_nobody_sees_is_not_wrong():
    def dots(right: int, down: int) -> Image.Image:
        picture = Image.new("RGB", (similarity.SIZE,) * 2, "white")
        for x, y in ((x, y) for x in range(20, 110, 30) for y in range(20, 110, 30)):
            picture.paste("navy", (x + right, y + down, x + right + 3, y + down + 3))
        return picture

    assert similarity.compare(dots(4, 0), dots(0, 0)) > 0.1 > similarity.compare(dots(15, 15), dots(0, 0))
    white = Image.new("RGB", (similarity.SIZE,) * 2, "white")
    faint = white.copy()
    faint.paste("#fefefe", (40, 40, 90, 90))
    assert similarity.compare(white, faint) > 0.9


def test_missing_pictures_cost_only_themselves():
    mixed = [Candidate(scene(seed, 4), reference=svg) for seed, svg in enumerate(SCENES)]
    mixed[4], mixed[6] = Candidate("none", reference=SCENES[0]), Candidate(SCENES[0], reference="<svg>broken")
    scores = similarity.score(mixed)
    assert [i for i, value in enumerate(scores) if value == 0] == [4, 6]
    with pytest.raises(UserError, match="needs a reference for every drawing"):
        similarity.score([Candidate(SCENES[0])])


def test_a_reference_of_one_colour_is_met_by_that_colour():
    red = square(256, "red")
    same, other = similarity.score([Candidate(red, reference=red), Candidate(square(256, "blue"), reference=red)])
    assert same > 0.99 and other < 0.7


# --- with models ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_text_match_is_the_models_own_cosine(models, kind):
    scores = text_match.score(CANDIDATES, models[kind], batch_size=3)
    model, processor = AutoModel.from_pretrained(models[kind]), AutoProcessor.from_pretrained(models[kind])
    inputs = processor(
        text=[one.description for one in CANDIDATES[:-1]],
        images=[pictures.picture(one.svg, 384) for one in CANDIDATES[:-1]],
        padding="max_length",
        max_length=64 if kind == "siglip" else 77,
        return_tensors="pt",
    )
    with torch.no_grad():
        logits = model(**inputs).logits_per_image.diagonal()
    own = (logits - getattr(model, "logit_bias", torch.zeros(1))) / model.logit_scale.exp()
    assert scores == pytest.approx([*own.clamp(0, 1).tolist(), 0], abs=1e-5) and any(scores)
    assert text_match.score(CANDIDATES, models[kind], batch_size=1) == pytest.approx(scores, abs=1e-5)
    with pytest.raises(UserError, match="needs a description"):
        text_match.score([Candidate(SCENES[0])], models[kind])


def test_long_descriptions_are_cut_not_refused(models):
    for kind in ("clip", "siglip"):
        assert len(text_match.score([Candidate(SCENES[0], "very " * 300 + "long")], models[kind])) == 1


def test_dino_knows_a_picture_again(models, monkeypatch):
    same, other, *_, none = dino.score(CANDIDATES, models["dino"], batch_size=2)
    assert same == pytest.approx(1, abs=1e-5) and 0 < other < 0.999 and none == 0
    turns = iter([torch.eye(2)[:1], -torch.eye(2)[:1]])
    monkeypatch.setattr(dino, "token_means", lambda *_: next(turns))
    assert dino.score(CANDIDATES[:1], models["dino"]) == [0], "the opposite is no likeness"


def test_aesthetics_is_the_head_on_clips_picture(models, tmp_path):
    scores = aesthetics.score(CANDIDATES, models["clip"], models["head"])
    model, processor = CLIPModel.from_pretrained(models["clip"]), AutoProcessor.from_pretrained(models["clip"])
    inputs = processor(images=[pictures.picture(one.svg, 384) for one in CANDIDATES[:-1]], return_tensors="pt")
    (one, two, three), bias = (aesthetics.load_head(models["head"])[i][0] for i in range(3)), 1.0
    with torch.no_grad():
        direction = torch.nn.functional.normalize(model.get_image_features(**inputs).pooler_output)
        own = (((direction @ one.T + bias) @ two.T + bias) @ three.T + bias)[:, 0] / 10
    assert scores == pytest.approx([*own.clamp(0, 1).tolist(), 0], abs=1e-5) and any(0 < score < 1 for score in scores)
    torch.save({"weight": torch.zeros(1, 24), "bias": torch.tensor([5.0])}, tmp_path / "first.pth")
    assert aesthetics.score(CANDIDATES[:1], models["clip"], str(tmp_path / "first.pth")) == [0.5]
    torch.save({"weight": torch.zeros(1, 768), "bias": torch.zeros(1)}, tmp_path / "large.pth")
    with pytest.raises(UserError, match=r"takes 768 numbers"):
        aesthetics.score(CANDIDATES[:1], models["clip"], str(tmp_path / "large.pth"))


def test_vqa_is_the_probability_that_the_model_begins_with_yes(models):
    asked = [
        (pictures.picture(one.svg, 384), question) for one in CANDIDATES[:2] for question in ("a?", "is it a b c d?")
    ]
    found = vqa.yes_probabilities(models["paligemma"], asked)
    model = PaliGemmaForConditionalGeneration.from_pretrained(models["paligemma"]).eval()
    processor = AutoProcessor.from_pretrained(models["paligemma"])
    words = processor.tokenizer.convert_tokens_to_ids(["yes", "no"])
    for (picture, question), probability in zip(asked, found, strict=True):
        inputs = processor(images=picture, text=f"<image>answer en {question}", return_tensors="pt")
        inputs.pop("labels", None)
        with torch.no_grad():
            made = model.generate(**inputs, max_new_tokens=1, output_logits=True, return_dict_in_generate=True)
        assert probability == pytest.approx(made.logits[0][0, words].softmax(0)[0].item(), abs=1e-5)
    assert len({round(one, 4) for one in found}) == 4, "pictures and questions both matter"


def test_vqa_counts_the_answers_with_and_without_a_space(monkeypatch):
    """As SentencePiece has them; " no" of two pieces begins with what begins other words too."""
    ids = {"yes": [5], " yes": [6], "no": [7], " no": [1, 7]}
    tokenizer = SimpleNamespace(encode=lambda text, add_special_tokens: ids[text])
    model = SimpleNamespace(config=SimpleNamespace(model_type="paligemma"))
    found = model, SimpleNamespace(tokenizer=tokenizer)
    monkeypatch.setattr(vqa, "load_pretrained", lambda *_: found)
    assert vqa.answer_tokens("with spaces") == ([5, 6], [7])


def test_vqa_is_the_mean_over_questions(models):
    scores = vqa.score(CANDIDATES, models["paligemma"], batch_size=2)
    first = CANDIDATES[0]
    asked = [(pictures.picture(first.svg, 384), question) for question in vqa.questions(first.description)]
    each = vqa.yes_probabilities(models["paligemma"], asked)
    assert scores[0] == pytest.approx(sum(each) / 3, abs=1e-5) and scores[-1] == 0
    assert vqa.score(CANDIDATES, models["paligemma"], batch_size=5) == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize(
    ("description", "parts"),
    [
        ("a fox in the snow, with a red scarf.", ["a fox", "the snow", "a red scarf"]),
        ("Starlit night over snow-covered peaks", ["Starlit night", "snow-covered peaks"]),
        ("a ring of keys and a well-lit built-in oven", ["a ring of keys", "a well-lit built-in oven"]),
        ("a purple forest", []),
        ("with (in)", []),
    ],
)
def test_questions_are_of_the_whole_and_of_its_parts(description, parts):
    whole, *others = vqa.questions(description)
    assert whole == f"Does the picture show {description.rstrip('.')}?"
    assert others == [f"Does the picture show {part}?" for part in parts]


def test_writing_is_read_and_costs(monkeypatch):
    """By the real model: letters as outlines, since text elements are neither legal nor rendered."""

    def written(text: str) -> str:
        letters = TextPath((0, 0), text, size=36)
        d = ""
        for points, code in letters.iter_segments(curves=True):
            d += {1: "M", 2: "L", 3: "Q", 4: "C", 79: "Z"}[code] + (
                "" if code == 79 else " ".join(f"{v:.1f}" for v in points)
            )
        return f'{SVG_OPEN}<g transform="translate(20 140) scale(1 -1)"><path d="{d}"/></g></svg>'

    scores = ocr.score([Candidate(text) for text in (written("RED FOX"), written("RED"), SCENES[0], "none")])
    assert scores == [pytest.approx(math.exp(-2)), 1, 1, 0]
    seen = []
    monkeypatch.setattr(
        ocr, "_reader", lambda: lambda pixels: seen.append(pixels) or SimpleNamespace(txts=("a b", "c"))
    )
    assert ocr.read(Image.new("RGB", (2, 2), "red")) == "abc" and seen[0][0, 0].tolist() == [0, 0, 255], "blue first"


def test_the_competitions_score(monkeypatch):
    for module, value in ((vqa, 0.8), (aesthetics, 0.5), (ocr, 0.9)):
        monkeypatch.setattr(module, "score", lambda drawings, value=value: [value] * len(drawings))
    legal, illegal = Candidate(SCENES[0], "x"), Candidate(SCENES[0].replace("<ellipse", "<script/><ellipse"), "x")
    assert competition.score([legal, illegal]) == [pytest.approx(1.25 * 0.8 * 0.5 / (0.25 * 0.8 + 0.5) * 0.9), 0]
    assert competition.harmonic_mean(0.9, 0.4) > competition.harmonic_mean(0.4, 0.9), "what it shows counts more"
    assert competition.harmonic_mean(0, 0.5) == competition.harmonic_mean(0.5, 0) == 0
    assert competition.harmonic_mean(0.6, 0.6) == pytest.approx(0.6)


def test_perplexity_is_that_of_each_answer_alone(tiny_base):
    scores = perplexity.score(CANDIDATES, str(tiny_base), batch_size=4)
    loaded = perplexity.load_once(str(tiny_base))
    for one, score in zip(CANDIDATES[:-1], scores, strict=False):
        rows = encode(loaded.tokenizer, [Sample("1", one.description, one.answer)], loaded.prompt_form)
        own = cross_entropy(loaded.model, rows, LeftPaddingCollator(loaded.tokenizer.pad_token_id), 1)
        assert score == pytest.approx(1 / own.perplexity, rel=1e-4)
    assert scores[-1] == 0 and len(set(scores)) == len(scores)


def test_perplexity_is_read_as_the_run_was_trained(tmp_path, monkeypatch):
    """By the run's own tokenizer, which knows the tokens that --svg-tokens added, on its base in its own form."""
    settings = "base_model: b\nprompt_form: plain\nmax_length: 9\nfp16: false\nbase_quantization: nf4\n"
    (tmp_path / "config.yml").write_text(settings)
    for name in ("adapter_model.safetensors", "adapter_config.json", "tokenizer.json"):
        (tmp_path / name).touch()
    for name in ("load_base", "load_tokenizer", "merge_adapter"):
        monkeypatch.setattr(f"qwen_svg.model.load.{name}", lambda *given: given)
    loaded = perplexity.load_once(str(tmp_path))
    base, adapter = loaded.model
    assert (base[0], base[-1], adapter) == ("b", "nf4", tmp_path)
    assert (loaded.tokenizer, loaded.prompt_form) == ((str(tmp_path),), "plain")
    perplexity.load_once.cache_clear()


# --- what goes wrong ------------------------------------------------------------------------------------------


def test_a_model_that_cannot_be_loaded_is_one_sentence(models, tmp_path, monkeypatch):
    monkeypatch.setattr("scoring.hub_model.hub_reachable", lambda: False)
    for model in ("owner/no-such-model", str(tmp_path)):
        with pytest.raises(UserError, match=r"cannot be loaded \(.*connect to the hub, or give a local copy"):
            text_match.score(CANDIDATES, model)
    with pytest.raises(UserError, match=r"HEAD owner/no-such-head cannot be loaded .*--head FILE"):
        aesthetics.score(CANDIDATES, models["clip"], "owner/no-such-head")


def test_weights_of_something_else_are_refused_not_made_up(models, tmp_path):
    """Loaders fill what is missing with random numbers: scores would come out, and mean nothing."""
    with pytest.raises(UserError, match="reads no text"):
        text_match.score(CANDIDATES, models["dino"])
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in Path(models["clip"]).iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = load_file(broken / "model.safetensors")
    weights.pop("visual_projection.weight")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"holds no visual_projection.weight \(1 missing"):
        text_match.score(CANDIDATES, str(broken))
    with pytest.raises(UserError, match=r"cannot be loaded \(|holds no "):
        vqa.score(CANDIDATES, models["clip"])
    cut = (broken / "model.safetensors").read_bytes()[:-1000]  # as a download leaves it that broke off
    (broken / "model.safetensors").write_bytes(cut)
    with pytest.raises(UserError, match="cannot be loaded"):
        dino.score(CANDIDATES, str(broken))
    layer = {"weight": torch.ones(2, 24), "bias": torch.zeros(2)}
    for i, head in enumerate(({}, layer, {"weight": torch.ones(24), "bias": torch.zeros(1)})):
        torch.save(head, tmp_path / f"{i}.pth")
        with pytest.raises(UserError, match="no linear layers that end in one number"):
            aesthetics.score(CANDIDATES, models["clip"], str(tmp_path / f"{i}.pth"))


def test_every_score_is_found_by_its_name(models, monkeypatch):
    monkeypatch.setattr(text_match, "needs_stand_in", lambda: False)
    for name in SCORES:
        assert find_score(name)[0] == name
    name, score = find_score(f"text_match={models['clip']}")
    assert name == "text_match" and score(CANDIDATES) == text_match.score(CANDIDATES, models["clip"])
    for asked, words in (
        ("textmatch", "did you mean text_match"),
        ("render=x", "takes no model"),
        ("dino=", "no model behind"),
        ("x", "there are aest"),
    ):
        with pytest.raises(UserError, match=words):
            find_score(asked)
    found = find_scores(["perplexity", "dino", "legality"], drawn_by="a-run")
    assert [getattr(score, "keywords", {}) for score in found.values()] == [{"model": "a-run"}, {}, {}]
    with pytest.raises(UserError, match="'dino' is asked for twice"):
        find_scores(["dino", "dino=x"])
    for name in NEED_REFERENCE:
        with pytest.raises(UserError, match="needs a reference"):
            find_score(name, references=False)


# --- where they are asked for ---------------------------------------------------------------------------------


def test_the_scripts_hand_answer_description_and_reference_over_as_what_they_are(monkeypatch):
    seen = []
    score = lambda candidates: seen.extend(candidates) or [0.25] * len(candidates)  # noqa: E731
    (judged,) = evaluate_test.judge_all({"own": score}, [Sample("1", "a fox", "reference")], ["answer"])
    assert seen == [Candidate("answer", "a fox", "reference")] and judged.scores == {"own": 0.25}
    monkeypatch.setattr(legality, "score", score)
    rank = generate.scorer("legality", "")
    seen.clear()
    assert rank([SimpleNamespace(answer="answer", description="a fox")]) == [0.25]
    assert seen == [Candidate("answer", "a fox")]


def test_the_ranking_shows_the_best_first_and_the_worst_last(tmp_path):
    colours = ["red", "lime", "blue", "yellow"]
    drawings, samples = [judge(square(256, colour)) for colour in colours], [Sample("1", "x", "y")] * 4
    for drawing, value in zip(drawings, (0.2, 0.9, 0.1, 0.8), strict=True):
        drawing.scores["own"] = value
    write_ranking(tmp_path / "r.png", samples, drawings, [judge(square(256, "black"))] * 4)
    sheet = Image.open(tmp_path / "r.png").convert("RGB")
    places = [(MARGIN + 20 + column * (CELL + MARGIN), MARGIN + HEAD + 20 + row * (HEAD + CELL + CAPTION))
              for row in (0, 1) for column in (0, 1)]  # fmt: skip
    found = [sheet.getpixel(place) for place in places]
    assert found == [(0, 255, 0), (255, 255, 0), (255, 0, 0), (0, 0, 255)]
    assert sheet.getpixel((MARGIN + CELL - 10, MARGIN + HEAD + CELL - 10)) == (0, 0, 0), "the reference in the corner"


@pytest.mark.parametrize(
    ("values", "best"), [((0.0, 0.0), "tuned, own: none above 0"), ((0.5, 0.0), "tuned, by own: best")]
)
def test_the_ranking_says_what_it_ranks_and_crowns_no_zero(tmp_path, monkeypatch, values, best):
    written = []
    monkeypatch.setattr(ranking, "write", lambda draw, place, text, *rest, **more: written.append(text))
    drawings = [judge(square(256, colour)) for colour in ("red", "lime")]
    for drawing, value in zip(drawings, values, strict=True):
        drawing.scores["own"] = value
    write_ranking(tmp_path / "r.png", [Sample("1", "x", "y")] * 2, drawings, drawings)
    assert [text for text in written if text.startswith("tuned")] == [best, "tuned, by own: worst"]


# --- from the shell -------------------------------------------------------------------------------------------


def said(capsys, module, *arguments) -> str:
    """What a script prints, in this process: a score of FILES, or pairs of INPUT."""
    positional = "INPUT" if module is pairs else "FILES"

    def main(_) -> None:
        c = constants_of(module, *map(str, arguments), positional=positional)
        pairs.main(c) if module is pairs else score_files(module.score, c)

    with pytest.raises(SystemExit) as stopped:
        run(main, None)
    assert stopped.value.code in (None, 2)
    out, error = capsys.readouterr()
    return out + error


def test_files_and_tables_are_scored_from_the_shell(tmp_path, capsys):
    (tmp_path / "a.svg").write_text(SCENES[0])
    (tmp_path / "b.svg").write_text(SCENES[1])
    rows = [{"id": "x", "svg_content": SCENES[1]}, {"id": "y", "svg_content": SCENES[2], "reference": SCENES[2]}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = (tmp_path / "a.svg", tmp_path / "t.jsonl", "--reference", tmp_path / "a.svg")
    lines = said(capsys, similarity, *files).splitlines()
    values = {line.split(maxsplit=1)[1]: float(line.split()[0]) for line in lines}
    assert list(values) == [str(tmp_path / "a.svg"), "x", "y", "mean of 3"]
    assert values["y"] > 0.99 and values["x"] < 0.35
    assert values["mean of 3"] == pytest.approx((1 + values["x"] + values["y"]) / 3, abs=1e-3)
    assert "mean" not in said(capsys, similarity, *files[:1], *files[2:])
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/b.svg").write_text(SCENES[1])
    (only,) = said(capsys, similarity, tmp_path / "folder", *files[2:]).splitlines()
    assert only == f"{values['x']:.4f}  b.svg"
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "broken.svg").write_text("<svg>broken")
    for arguments, words in (
        ([], "there is nothing to score"),
        ([tmp_path / "empty.jsonl"], "empty.jsonl holds no drawing"),
        ([tmp_path / "a.svg", "--reference", tmp_path / "broken.svg"], "broken.svg is no .svg that renders"),
        ([tmp_path / "a.svg", "--reference", tmp_path / "t.jsonl"], "t.jsonl is no .svg that renders"),
        ([tmp_path / "no.svg"], "no.svg cannot be read"),
        ([tmp_path / "a.svg"], "needs a reference"),
        (["--batch-size", "4", *files], "unknown argument --batch-size"),
    ):
        found = said(capsys, similarity, *arguments)
        assert words in found and found.startswith("error: ") and found.count("\n") == 1
    assert "DIALECT must be one of 'prompt', " in said(capsys, legality, tmp_path / "a.svg", "--dialect", "strict")
    assert "BATCH_SIZE must be above 0" in said(capsys, dino, tmp_path / "a.svg", "--batch-size", "0")
    (tmp_path / "t.jsonl").write_text('{"svg_content": ""}\n')
    with pytest.raises(UserError, match=r"t.jsonl:1: no text in 'svg_content'"):
        read_candidates([str(tmp_path / "t.jsonl")])


def test_pairs_are_the_best_and_the_worst(tmp_path, monkeypatch, capsys):
    illegal = answer("gold", 99).replace("<circle", '<circle id="x"')
    lines = [
        *({"id": "1", "description": "a", "svg_content": answer("gold", r)} for r in (50, 90, 20, 60)),
        {"id": "1", "description": "other", "svg_content": answer("gold", 95)},  # of another file, with ids from 1
        {"description": "e", "svg_content": answer("gold", 30)},  # without ids, descriptions tell them apart
        {"description": "f", "svg_content": answer("gold", 80)},
        {"id": "2", "description": "b", "svg_content": answer("gold", 40)},
        {"id": "3", "description": "c", "svg_content": illegal},
        {"id": "3", "description": "c", "svg_content": answer("gold", 40)},
        {"id": "4", "description": "d", "svg_content": "", "error": "too long"},
    ]
    radius = lambda drawings: [float(d.svg.split('r="')[1].split('"')[0]) / 100 for d in drawings]  # noqa: E731
    monkeypatch.setattr(legality, "score", radius)
    source, output = tmp_path / "drawings.jsonl", tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    options = ("--output", output, "--score", "legality")
    assert "2 pairs, 4 descriptions without" in said(capsys, pairs, source, *options)
    first, second = map(json.loads, output.read_text().splitlines())
    assert (first["id"], first["chosen"], first["rejected"]) == ("1", answer("gold", 90), answer("gold", 20))
    assert (second["chosen"], second["rejected"], second["rejected_score"]) == (answer("gold", 40), illegal, 0)
    before = output.read_bytes()
    for arguments, words in (
        ((source, *options), "exists; remove it, or give another"),
        (("--score", "dino", source, "--output", tmp_path / "p"), "needs a reference"),
        ((source, "--score", "legality", "--output", tmp_path / "p", "--margin", "0.9"), "differ by MARGIN 0.9"),
        ((source, "--score", "legality", "--output", tmp_path / "p", "--margin", "0"), "MARGIN must be above 0"),
        ((source, "--score", "legality", "--output", source / "p"), f"{source} cannot be read or written"),
        (("--output", tmp_path / "p"), "there is nothing to compare"),
    ):
        assert words in said(capsys, pairs, *arguments)
    assert output.read_bytes() == before and not (tmp_path / "p").exists()
