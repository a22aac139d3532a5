"""Measures of published protocols beside their own arithmetic: models are random, of the same classes."""

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import linalg
from skimage.metrics import structural_similarity
from transformers import AutoModel, AutoProcessor, CLIPConfig, CLIPModel

import benchmark
from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.profile import profile_names, read_profile
from scoring.hub_model import picture_features
from scoring.published import clip, dino, fid, inception, measures, openclip, pixels, preference, tokens
from scoring.published.seen import Seen
from svg_constraint import SVG_OPEN
from tests.paths import SHARED
from tests.scripts import run_main
from tests.tiny_scorers import MOUTH, SIDE, make_clip, make_dino, make_head

TEXTS = ["a red circle", "two cats", "a " + "very " * 120 + "long text"]
CLIP_L, CLIP_B = "openai/clip-vit-large-patch14", "openai/clip-vit-base-patch32"


@pytest.fixture(scope="module")
def tiny_clip(tmp_path_factory, tokenizer):
    return str(make_clip(tmp_path_factory.mktemp("clip"), tokenizer))


@pytest.fixture(scope="module")
def tiny_dino(tmp_path_factory):
    return str(make_dino(tmp_path_factory.mktemp("dino")))


def noise(seed: int, side: int = SIDE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def seen(n: int = 3, side: int = SIDE) -> Seen:
    pictures, references = ([noise(seed + 10 * which, side) for seed in range(n)] for which in (0, 1))
    return Seen(TEXTS[:n], pictures, [SVG_OPEN + "</svg>"] * n, references, [""] * n, "", ())


# --- CLIP and DINOv2 ------------------------------------------------------------------------------------------


def test_cosines_are_those_of_torchmetrics(tiny_clip):
    torchmetrics = pytest.importorskip("torchmetrics.functional.multimodal.clip_score")
    model, processor = AutoModel.from_pretrained(tiny_clip), AutoProcessor.from_pretrained(tiny_clip)

    class Earlier(torch.nn.Module):
        """What torchmetrics knows: a model whose features are tensors."""

        config = model.config

        def get_image_features(self, *inputs):
            return model.get_image_features(*inputs).pooler_output

        def get_text_features(self, *inputs):
            return model.get_text_features(*inputs).pooler_output

    shown = seen()
    floats = [[torch.tensor(np.asarray(one)).permute(2, 0, 1).float() for one in side]
              for side in (shown.pictures, shown.references)]  # fmt: skip
    with torch.inference_mode():
        text, _ = torchmetrics._clip_score_update(floats[0], TEXTS, Earlier(), processor)
        image, _ = torchmetrics._clip_score_update(floats[0], floats[1], Earlier(), processor)
    assert clip.clip_text(shown, model=tiny_clip, scale=100, long="end cut") == pytest.approx(text.tolist(), abs=1e-3)
    assert clip.clip_image(shown, model=tiny_clip, scale=100) == pytest.approx(image.tolist(), abs=1e-3)


def test_a_text_as_a_list_is_read_with_its_brackets(tiny_clip):
    shown = seen(2)
    quoted = Seen(["['a red circle']", "['two cats']"], *list(vars(shown).values())[1:])
    as_list = clip.clip_text(shown, model=tiny_clip, text="list")
    assert as_list == clip.clip_text(quoted, model=tiny_clip) != clip.clip_text(shown, model=tiny_clip)


def test_dino_is_the_mean_of_all_tokens(tiny_dino):
    """The arithmetic of StarVector, InternSVG and OmniSVG, one pair at a time."""
    model, processor = AutoModel.from_pretrained(tiny_dino), AutoProcessor.from_pretrained(tiny_dino)
    shown, wanted = seen(), []
    for pair in zip(shown.references, shown.pictures, strict=True):
        with torch.inference_mode():
            a, b = (model(**processor(images=one, return_tensors="pt")).last_hidden_state.mean(dim=1) for one in pair)
        wanted.append((torch.nn.CosineSimilarity(dim=1)(a, b).item() + 1) / 2)
    assert dino.dino(shown, model=tiny_dino) == pytest.approx(wanted, abs=1e-5)


# --- distances of sets ----------------------------------------------------------------------------------------


def gaussian(n: int, mean: list[float], root: np.ndarray) -> np.ndarray:
    """Return (n, D) whose mean and covariance (rootᵀ root) are exact."""
    raw = np.random.default_rng(0).normal(size=(n, len(mean)))
    raw -= raw.mean(axis=0)
    white = raw @ np.linalg.inv(np.linalg.cholesky(np.cov(raw, rowvar=False)).T)
    return white @ root + mean


def test_the_distance_of_known_gaussians():
    """N(0, I) to N((3, 4), diag(4, 9)): 25 + (2 - 1)² + (3 - 1)² = 30."""
    near, far = gaussian(50, [0, 0], np.eye(2)), gaussian(70, [3, 4], np.diag([2.0, 3.0]))
    assert fid.frechet_distance(near, far) == pytest.approx(30)
    assert fid.frechet_distance(near, near) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("ridge", [0.0, 1e-6])
def test_the_distance_is_that_of_the_scripts(ridge):
    """pytorch-fid's arithmetic, and with a ridge OmniSVG's, by the square root of a product of covariances."""
    draw = np.random.default_rng(3)
    a, b = draw.normal(size=(60, 12)), draw.normal(1, 2, size=(80, 12))
    mu = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.cov(side, rowvar=False) + ridge * np.eye(12) for side in (a, b))
    wanted = mu @ mu + np.trace(cov_a) + np.trace(cov_b) - 2 * np.trace(linalg.sqrtm(cov_a @ cov_b)).real
    assert fid.frechet_distance(a, b, ridge) == pytest.approx(wanted, rel=1e-9)


def test_fewer_pictures_than_features_have_a_distance_too():
    """Two points each, on one line: their Gaussians are those of that line, (5 - 1)² + (√8 - √2)² = 18."""
    a, b = np.zeros((2, 30)), np.zeros((2, 30))
    a[:, 0], b[:, 0] = (0, 2), (3, 7)
    assert fid.frechet_distance(a, b) == pytest.approx(16 + (np.sqrt(8) - np.sqrt(2)) ** 2)


def test_a_distance_by_clip_is_of_features_as_they_are(tiny_clip):
    shown = seen()
    sides = (picture_features(tiny_clip, list(side)).numpy() for side in (shown.pictures, shown.references))
    assert fid.fid_clip(shown, model=tiny_clip) == pytest.approx(fid.frechet_distance(*sides), rel=1e-4)


@pytest.mark.parametrize("error", [ImportError("No module named x"), RuntimeError("operator torchvision::nms …")])
def test_a_network_that_cannot_be_had_says_what_to_install(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(inception, "import_module", missing)
    with pytest.raises(UserError, match=r"pytorch_fid.inception cannot be imported .*requirements/benchmark.txt"):
        fid.fid(seen(), network="pytorch-fid")


# --- pixels ---------------------------------------------------------------------------------------------------


def test_ssim_and_the_error_are_those_of_the_scripts():
    shown = seen(2, side=40)
    both = [(np.array(b), np.array(a)) for a, b in zip(shown.pictures, shown.references, strict=True)]
    given = {"win_size": 11, "channel_axis": -1, "sigma": 1.5, "full": True}
    assert pixels.ssim(shown) == pytest.approx([structural_similarity(*pair, **given)[0] for pair in both], abs=1e-12)
    grey = Image.new("RGB", (8, 8), (51, 51, 51))  # a fifth of white
    alone = Seen([""], [grey], [""], [Image.new("RGB", (8, 8))], [""], "", ())
    assert pixels.mse(alone) == pytest.approx([0.04])


# --- preferences ----------------------------------------------------------------------------------------------


def in_openais_layout(model: CLIPModel) -> dict[str, torch.Tensor]:
    """Name the weights of a transformers CLIP as OpenAI's checkpoints do."""
    state, found = model.state_dict(), {}
    for ours, theirs in openclip.ALONE.items():
        found[theirs] = state[ours]
    for ours, theirs in (("visual_projection", "visual.proj"), ("text_projection", "text_projection")):
        found[theirs] = state[f"{ours}.weight"].T
    for part in ("weight", "bias"):
        for ours, theirs in openclip.BESIDE.items():
            found[f"{theirs}.{part}"] = state[f"{ours}.{part}"]
        for tower, prefix in (("vision_model", "visual."), ("text_model", "")):
            for number in range(2):
                here, there = f"{tower}.encoder.layers.{number}", f"{prefix}transformer.resblocks.{number}"
                for ours, theirs in openclip.BLOCK.items():
                    found[f"{there}.{theirs}.{part}"] = state[f"{here}.{ours}.{part}"]
                three = [state[f"{here}.self_attn.{name}_proj.{part}"] for name in "qkv"]
                found[f"{there}.attn.in_proj_{part}"] = torch.cat(three)
    return found


def test_hps_reads_openais_layout(tmp_path, tokenizer, tiny_clip):
    torch.manual_seed(0)
    wide = MOUTH | {"hidden_size": 128, "num_attention_heads": 2}
    words = {"vocab_size": len(tokenizer), "max_position_embeddings": 77, "eos_token_id": 2}
    config = CLIPConfig(
        text_config=wide | words,
        vision_config=wide | {"patch_size": 14, "image_size": SIDE},
        projection_dim=24,
    )
    model = CLIPModel(config).eval()
    torch.save({"state_dict": in_openais_layout(model)}, tmp_path / "hpc.pt")
    made = openclip.from_openclip(in_openais_layout(model)).eval()
    assert made.config.vision_config.num_attention_heads == 2 and made.config.text_config.hidden_act == "quick_gelu"
    pixel_values, ids = torch.randn(2, 3, SIDE, SIDE), torch.tensor([[5, 7, 9], [5, 8, 1]])
    with torch.inference_mode():
        assert torch.equal(made(ids, pixel_values).logits_per_image, model(ids, pixel_values).logits_per_image)
    shown = seen(2)
    alone = preference.hps(shown, weights=str(tmp_path / "hpc.pt"), model=tiny_clip)
    assert len(alone) == 2 and all(-1 <= value <= 1 for value in alone)


def test_the_aesthetic_guess_is_not_cut(tmp_path, tiny_clip):
    head = str(make_head(tmp_path / "head.safetensors"))
    shown = seen(2)
    found = preference.aesthetic(shown, model=tiny_clip, head=head)
    assert found == pytest.approx([preference.guess([one], tiny_clip, head).item() for one in shown.pictures], abs=1e-4)


def test_tokens_are_of_the_svg_alone(tmp_path, tokenizer):
    tokenizer.save_pretrained(tmp_path)
    shown = seen(1)
    assert tokens.svg_tokens(shown, model=str(tmp_path)) == [len(tokenizer.encode(shown.svgs[0]))]


# --- profiles -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", profile_names())
def test_a_profile_names_measures_that_there_are_and_its_sources(name):
    profile = read_profile(name)
    assert profile.sources and profile.notes and profile.size in (200, 224, 256, 448, 512)
    for spec in profile.metrics.values():
        given = {key: value for key, value in spec.items() if key not in ("measure", "failure")}
        inspect.signature(measures._function(spec["measure"])).bind(seen(), **given)


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """Two prompts with references, the first drawn as its reference is, the second not at all."""
    monkeypatch.chdir(tmp_path)
    red, blue = (f'{SVG_OPEN}<circle cx="99" cy="128" r="64" fill="{colour}"/></svg>' for colour in ("red", "blue"))
    lines = [{"id": "a", "prompt": "a red circle", "svg": red}, {"id": "b", "prompt": "a blue one", "svg": blue}]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "made.jsonl").write_text(json.dumps({"id": "a", "svg": red}) + '\n{"id": "b", "svg": "<svg"}\n')
    return SimpleNamespace(folder=tmp_path, red=red, blue=blue)


def card_under(profile: str, *arguments: str) -> dict:
    run_main(benchmark, "--prompts", "prompts.jsonl", "--model", "made.jsonl", "--profile", profile, *arguments)
    return json.loads((benchmark.BENCHMARKS / f"{profile}-made/card.json").read_text())


def test_each_protocol_has_its_own_way_with_failures(drawn, tiny_clip, tiny_dino):
    given = ("--weights", f"{CLIP_B}={tiny_clip}", f"{CLIP_L}={tiny_clip}")
    black = card_under("sarena", *given)
    assert black["success"] == 0.5 and black["metrics"]["clip_i2i"]["n"] == 2
    assert black["metrics"]["clip_i2i"]["high"] == pytest.approx(100, abs=1e-3)  # the first is its reference
    assert black["metrics"]["clip_i2i"]["value"] < 99.9 and black["metrics"]["fid_clip"]["value"] > 0
    assert black["warnings"] and black["metrics"]["fid_clip"]["low"] is None
    left_out = card_under("svgen", *given[:1], given[2])
    assert left_out["metrics"]["clip_i2i"] == pytest.approx({"value": 1, "low": 1, "high": 1, "n": 1}, abs=1e-5)
    white = card_under("starvector", given[0], given[1], f"facebook/dinov2-base={tiny_dino}")
    circle = np.pi * 64**2 / 256**2 * 2 / 3  # two of three colours differ from white there
    assert white["metrics"]["mse"]["value"] == pytest.approx(circle / 2, abs=2e-3)
    assert white["metrics"]["dino"]["high"] == pytest.approx(1) and white["metrics"]["ssim"]["high"] == 1
    assert white["metrics"]["svg_tokens"] is None and "starcoder2" in white["missing"]["svg_tokens"]


@pytest.mark.skipif(not (SHARED / "benchmarks").is_dir(), reason="needs ../shared/benchmarks")
def test_svgenius_references_are_their_own_ceiling(tmp_path, monkeypatch, tiny_clip):
    monkeypatch.chdir(tmp_path)
    file = SHARED / "benchmarks/svgenius/text_svg/easy_svg_captions.json"
    records = json.loads(file.read_text())[:4]
    made = [json.dumps({"id": r["image"].rpartition("/")[2].rpartition(".")[0], "svg": r["answer"]}) for r in records]
    (tmp_path / "made.jsonl").write_text("\n".join(made) + "\n")
    asked = ["--prompts", str(file), "--limit", "4", "--model", "made.jsonl", "--profile", "svgenius"]
    run_main(benchmark, *asked, "--weights", f"{CLIP_L}={tiny_clip}")
    card = json.loads((benchmark.BENCHMARKS / "svgenius-made/card.json").read_text())
    assert card["success"] == 1 and card["metrics"]["clip_i2i"]["low"] == pytest.approx(1, abs=1e-5)


def test_what_is_blank_is_not_the_same_picture_even_beside_a_blank_reference():
    blank, drawn = Image.new("RGB", (64, 64), "white"), Image.new("RGB", (64, 64), "white")
    drawn.paste((255, 0, 0), (8, 8, 40, 40))
    shown = Seen([""] * 4, [blank, blank, drawn, drawn], [""] * 4, [blank, drawn, blank, drawn], [""] * 4, "", ())
    assert pixels.same_picture(shown) == [0, 0, 0, 1]
