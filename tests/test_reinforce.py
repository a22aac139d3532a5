"""Rewards that cannot be won cheaply, and a true GRPO run on a tiny model: what it leaves, resumed, and gone wrong."""

import json
import re
import shutil

import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from trl.trainer.utils import add_fused_lm_head

import train
from corpus.build_dataset import MAX_ERROR, MAX_TILE_ERROR
from corpus.dataset.record import Rules, build
from corpus.sources import drawings as emoji
from prompt_template import build_prompt, extract_svg
from qwen_svg.common.constants import declared_constants
from qwen_svg.common.errors import UserError
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model.load import load_base, load_model
from qwen_svg.training.callbacks import SafeStop
from qwen_svg.training.trainer import run_training
from reinforce import train_grpo
from reinforce.rewards import REWARDS, answer_format, content, legality, make_rewards
from reinforce.rollouts import sample
from reinforce.visible import visible
from scoring.candidate import Candidate
from scoring.similarity import score as similarity
from svg_constraint import SVG_OPEN, check
from tests.paths import ROOT
from tests.scripts import run_main
from tests.test_decoding import Scripted
from tests.test_end_to_end import metrics_of
from tests.tiny import answer

# face, hamburger, sailing boat, house
STEMS = ("1f600", "1f354", "26f5", "1f3e0")
SHAPE = re.compile(r"<(?:path|circle|rect|ellipse|polygon|polyline|line)[^>]*/>")


# --- rewards --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawings():
    """A few real drawings of four shapes or more, as build_dataset writes them."""
    rules = Rules("prompt", False, 12_000, (MAX_ERROR, MAX_TILE_ERROR), copies=0, seed=0)
    files = {drawing.id: drawing for drawing in emoji("twemoji")}
    found = [line["record"] for stem in STEMS for line in build(files[stem], rules)]
    assert len(found) == len(STEMS) and all(len(SHAPE.findall(r["svg_content"])) >= 4 for r in found)
    return found


def svg_of(*parts: str) -> str:
    return SVG_OPEN + "".join(parts) + "</svg>"


def drawn(record: dict, *parts: str) -> str:
    """The record's reasoning, and a drawing of these parts, all a little to the right of where they belong."""
    reasoning, svg = record["svg_content"].split("<svg", 1)[0], "".join(parts)
    return reasoning + svg_of(f'<!-- the picture --><g transform="translate(4 3)">{svg}</g>')


def body(record: dict) -> str:
    return extract_svg(record["svg_content"]).partition(">")[2].removesuffix("</svg>")


def honest(record: dict) -> str:
    return drawn(record, body(record))


def first(record: dict) -> str:
    return SHAPE.search(body(record)).group()


def comments(record: dict) -> str:
    """The comments that name every shape, without the shapes."""
    return "".join(re.findall("<!--.*?-->", body(record), re.DOTALL))


def in_comments(text: str) -> str:
    text = re.sub(r"[<>`-]", " ", text)
    return "".join(f"<!-- {text[i : i + 400]} -->" for i in range(0, len(text), 400))


def prompt_words(record: dict) -> str:
    return re.sub("[<>]", " ", build_prompt(record["description"]))


def with_reasoning(record: dict, reasoning: str) -> str:
    return f"<reasoning>{reasoning}</reasoning>{extract_svg(honest(record))}"


CHEATS = {
    "empty drawing": lambda r: r["svg_content"].split("<svg", 1)[0] + svg_of(),
    "comments alone": lambda r: r["svg_content"].split("<svg", 1)[0] + svg_of(comments(r)),
    "rectangle over all": lambda r: drawn(r, '<rect x="-9" y="-9" width="300" height="300" fill="#ffcc4d"/>'),
    "large rectangle": lambda r: drawn(r, '<rect x="16" y="16" width="224" height="224" fill="#ffcc4d"/>'),
    "prompt in comments": lambda r: drawn(r, first(r), in_comments(prompt_words(r)), first(r)),
    "description in comments": lambda r: drawn(r, in_comments(f"{r['description']} " * 40), first(r)),
    "prompt as reasoning": lambda r: f"<reasoning>{prompt_words(r)}</reasoning>{svg_of('<!-- it -->', first(r))}",
    "one shape again and again": lambda r: drawn(r, first(r) * max(2, len(body(r)) // len(first(r)))),
    "shapes under a large one": lambda r: drawn(r, body(r), '<rect x="16" y="16" width="224" height="224"/>'),
    "one shape, all named": lambda r: drawn(r, comments(r), first(r)),
    "very short": lambda r: f"<reasoning>{r['description']}</reasoning>{svg_of('<!-- it -->', first(r))}",
    "very long reasoning": lambda r: with_reasoning(r, "and so on, and on, as far as it goes, " * 200),
    "never ends": lambda r: honest(r).replace("</svg>", first(r) * 100),
    "drawing in the reasoning": lambda r: f"<reasoning>{extract_svg(honest(r))}</reasoning>",
    "a better drawing in the reasoning": lambda r: (
        f"<reasoning>{extract_svg(r['svg_content'])}</reasoning>{extract_svg(drawn(r, first(r)))}"
    ),
    "legal elements piled on illegal ones": lambda r: drawn(r, "<text>fox</text>", body(r), first(r) * 50),
    "writing in place of a drawing": lambda r: drawn(
        r, f'<text x="9" y="99" font-size="40">{r["id"]}</text>', first(r)
    ),
}


def totals(answers: list[str], records: list[dict]) -> list[float]:
    """The reward with the weights that train_grpo.py has."""
    declared = {constant.name: constant.default for constant in declared_constants(ROOT / "reinforce/train_grpo.py")}
    weights = {name: declared[f"WEIGHT_{name.upper()}"] for name in REWARDS}
    candidates = [Candidate(a, r["description"], r["svg_content"]) for a, r in zip(answers, records, strict=True)]
    given = {name: score(candidates) for name, score in make_rewards("prompt", similarity).items()}
    return [sum(weights[n] * given[n][i] for n in REWARDS) / sum(weights.values()) for i in range(len(records))]


@pytest.fixture(scope="module")
def honest_totals(drawings):
    return totals([honest(record) for record in drawings], drawings)


@pytest.mark.parametrize("cheat", CHEATS)
def test_cheating_pays_less_than_drawing(drawings, honest_totals, cheat):
    cheated = totals([CHEATS[cheat](record) for record in drawings], drawings)
    for record, cheap, fair in zip(drawings, cheated, honest_totals, strict=True):
        assert cheap < fair - 0.1, (record["description"], cheap, fair)


def test_the_sample_itself_has_the_full_reward(drawings):
    assert totals([record["svg_content"] for record in drawings], drawings) == pytest.approx(
        [1.0] * len(drawings), abs=1e-4
    )


def test_words_change_no_reward_of_the_picture(drawings):
    """What comments and reasoning say is not seen: only the format may fall, where they quote the prompt."""
    rewards = make_rewards("prompt", similarity)
    for record in drawings[:2]:
        plain = honest(record)
        loud = plain.replace("<!-- the picture -->", f"<!-- a perfect {record['description']} with every detail -->")
        pair = [Candidate(text, record["description"], record["svg_content"]) for text in (plain, loud)]
        for name in ("legality", "renders", "likeness", "length"):
            without, with_words = rewards[name](pair)
            assert with_words == without, name


def test_rewards_in_the_form_of_ctrl_s():
    """Its lengths: up to half the reference 1, as long 3/4, a half longer 0; and no format, no reward."""
    svg = SVG_OPEN + "<!-- c -->" + '<circle cx="99" cy="99" r="50" fill="red"/>' * 20 + "</svg>"
    short = svg.replace('<circle cx="99" cy="99" r="50" fill="red"/>' * 13, "")
    long = svg.replace("</svg>", " " * (len(svg) // 2) + "</svg>")
    assert len(short) <= len(svg) / 2 and abs(len(long) - 1.5 * len(svg)) < 1
    told = [Candidate(f"<reasoning>a circle</reasoning>{one}", "a thing", svg) for one in (short, svg, long)]
    rewards = make_rewards("prompt", similarity, "efficiency", gate=True)
    assert rewards["length"](told) == pytest.approx([1, 0.75, 0], abs=2e-3)
    bare = [Candidate(svg, "a thing", svg)]
    assert all(score(bare) == [0] for score in rewards.values())
    assert make_rewards("prompt", similarity)["legality"](bare) == [1]


HIDDEN = {
    "underneath": lambda parts: "".join(parts) + '<rect width="256" height="256" fill="navy"/>',
    "beside the canvas": lambda parts: f'<g transform="translate(300 0)">{"".join(parts)}</g>',
    "transparent": lambda parts: f'<g opacity="0.01">{"".join(parts)}</g>',
    "nothing in them": lambda parts: "".join(f'<g id="{i}" opacity="0.{i}"></g>' for i in range(10, 40)),
}


@pytest.mark.parametrize("how", HIDDEN)
def test_what_cannot_be_seen_is_no_length(drawings, how):
    for record in drawings:
        shapes, over = SHAPE.findall(body(record)), '<circle cx="99" cy="128" r="40" fill="gold"/>'
        alone = svg_of('<rect width="256" height="256" fill="navy"/>' * (how == "underneath") + over)
        assert content(svg_of(HIDDEN[how](shapes) + over)) == content(alone) < content(svg_of(over + "".join(shapes)))


def test_all_of_an_honest_drawing_is_seen(drawings):
    for record in drawings:
        svg = extract_svg(record["svg_content"])
        assert len(SHAPE.findall(re.sub(" />", "/>", visible(svg)))) == len(SHAPE.findall(svg))


def test_legality_falls_with_each_violation_and_cannot_be_diluted():
    shape = '<circle cx="128" cy="128" r="40" fill="gold"/>'
    verdicts = [check(svg_of("<!-- c -->", shape, bad), "prompt") for bad in ("", "<a/>", "<a/><b/>", "<circle")]
    legal, one, two, broken = map(legality, verdicts)
    assert legal == 1 > one > two > 0 and broken <= one / 2
    diluted = check(svg_of("<!-- c -->" + shape * 30, "<a/>"), "prompt")
    assert diluted.score > verdicts[1].score and legality(diluted) == one


MISSHAPEN = {
    "words before": "Sure! " + answer(),
    "words behind": answer() + " Hope this helps.",
    "twice": answer() * 2,
    "begun again": answer() + answer()[:70],
    "SVG in the reasoning": answer().replace("<reasoning>", "<reasoning><svg>"),
    "no reasoning": answer().partition("</reasoning>")[2].strip(),
    "blank reasoning": answer().replace("1. A gold circle", " "),
    "nothing": "",
}


@pytest.mark.parametrize("kind", MISSHAPEN)
def test_format_wants_a_reasoning_and_a_drawing_and_nothing_else(kind):
    assert answer_format(Candidate(answer(), "a gold circle")) == 1.0
    assert answer_format(Candidate(MISSHAPEN[kind], "a gold circle")) == 0.0


# --- a true run -----------------------------------------------------------------------------------------------

SFT = {"epochs": 0.2, "learning_rate": 0.02, "lora_rank": 4, "lora_alpha": 8, "max_length": 1100, "batch_size": 4,
       "cpu_dtype": "fp32"}  # fmt: skip
GRPO = {"steps": 3, "batch_size": 4, "gradient_accumulation": 1, "generations": 4, "max_new_tokens": 24,
        "save_steps": 2, "learning_rate": 0.01, "sample_steps": 2}  # fmt: skip


def call(module, *flags: str, **changes) -> None:
    """Run a script's main() in this process: loading the libraries anew takes longer than what is tested."""
    arguments = [text for key, value in changes.items() for text in ("--" + key.replace("_", "-"), str(value))]
    run_main(module, *flags, *arguments)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_base, data_file):
    """A folder with a fine-tuned run, "sft", and one that went on from it, "grpo"; its flag is an older version's."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call(train, "--no-wandb", run_name="sft", data_path=data_file, base_model=tiny_base, **SFT)
        patch.setattr("reinforce.rewards.answer_format", chance)
        call(train_grpo, "--no-wandb", run_dir="outputs/sft", run_name="grpo", **GRPO)
    return folder


def chance(candidate: Candidate) -> float:
    """A model this small draws nothing that is rewarded, and without a difference there is no gradient."""
    return sum(candidate.answer.encode()) % 7 / 7


def test_ctrl_c_before_the_first_checkpoint_leaves_the_name_free(workplace, monkeypatch, capsys):
    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(workplace)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("reinforce.rewards.answer_format", stopped)
        call(train_grpo, "--no-wandb", model="sft", run_name="early", **GRPO)
    assert "outputs/early is removed" in capsys.readouterr().out and not (workplace / "outputs/early").exists()


def test_a_run_leaves_an_adapter_curves_and_drawings(workplace):
    run, sft = workplace / "outputs" / "grpo", workplace / "outputs" / "sft"
    for name in ("adapter_model.safetensors", "grpo.yml", "environment.json", "rewards.png", "README.md",
                 "drawings/step-00002.png", "training.log"):  # fmt: skip
        assert (run / name).stat().st_size > 0, name
    assert (run / "split.json").read_bytes() == (sft / "split.json").read_bytes()
    assert not (run / "ref").exists() and not list(run.glob("checkpoint-*/ref"))
    seen = [json.loads(line) for path in run.glob("drawings/*.jsonl") for line in path.read_text().splitlines()]
    ids = json.loads((run / "split.json").read_text())["train"]
    of_train = {sample["description"] for sample in described(workplace) if sample["id"] in ids}
    assert {record["description"] for record in seen} <= of_train and len(seen) == 2 * GRPO["batch_size"]
    records = [r for r in metrics_of(run) if "reward" in r]
    assert [r["step"] for r in records] == [1, 2, 3] and all(r["grad_norm"] > 0 for r in records)
    said = (run / "training.log").read_text().splitlines()
    assert len(said) == 3 and all(re.search(r"step +\d .* reward 0\.\d+  legality .* KL .* tokens 24", s) for s in said)
    assert (run / "adapter_model.safetensors").read_bytes() != (sft / "adapter_model.safetensors").read_bytes()


def described(workplace) -> list[dict]:
    config = yaml.safe_load((workplace / "outputs" / "grpo" / "config.yml").read_text())
    return [json.loads(line) for line in open(config["data_path"][0], encoding="utf-8")]


def test_a_run_of_bf16_goes_on_in_bf16(workplace, monkeypatch, tiny_base, data_file):
    """A base in bf16, at twice the speed where a CPU has units for it; the adapter that is trained stays in fp32."""
    monkeypatch.chdir(workplace)
    sft = {"data_path": data_file, "base_model": tiny_base} | SFT | {"cpu_dtype": "bf16"}
    call(train, "--no-wandb", run_name="sft-bf16", **sft)
    monkeypatch.setattr("reinforce.rewards.answer_format", chance)
    call(train_grpo, "--no-wandb", model="sft-bf16", run_name="grpo-bf16", **GRPO | {"steps": 1})
    run = workplace / "outputs" / "grpo-bf16"
    assert json.loads((run / "environment.json").read_text())["dtype"] == "bfloat16"
    before, after = (load_file(folder / "adapter_model.safetensors") for folder in (run.with_name("sft-bf16"), run))
    assert all(weight.dtype == torch.float32 and weight.isfinite().all() for weight in after.values())
    assert any((after[name] != before[name]).any() for name in before)


def test_the_kl_term_is_to_the_adapter_it_began_as(workplace):
    """Nothing at the first step, where the bare base would be some way off; and it grows."""
    kl = [r["kl"] for r in metrics_of(workplace / "outputs" / "grpo") if "kl" in r]
    assert kl[0] == pytest.approx(0, abs=1e-7) and kl[-1] > 1e-6


def test_predictor_and_resume_of_train_py(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    drawn = Predictor("outputs/grpo").draw("a red circle", Settings(max_new=8, free=True))
    assert drawn.tokens == 8 or drawn.finished
    with pytest.raises(UserError, match="reinforced"):
        call(train, "--resume", run_name="grpo")


def test_resumed_run_repeats_the_uninterrupted_one(workplace, tmp_path, monkeypatch):
    shutil.copytree(workplace / "outputs", tmp_path / "outputs", symlinks=True)
    run = tmp_path / "outputs" / "grpo"
    expected, weights = metrics_of(run), (run / "adapter_model.safetensors").read_bytes()
    shutil.rmtree(run / "checkpoint-3")
    written = (run / "grpo.yml").read_text()
    assert written.startswith("model: outputs/sft\n")
    (run / "grpo.yml").write_text(written.replace("model:", "run_dir:", 1))  # as an older version left it
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reinforce.rewards.answer_format", chance)
    call(train_grpo, "--resume", run_name="grpo")
    timings = {"step_time", "train_runtime", "train_samples_per_second", "train_steps_per_second", "train_loss"}
    timings |= {"minutes"}
    runs = [[{k: v for k, v in r.items() if k not in timings} for r in records]
            for records in (metrics_of(run), expected)]  # fmt: skip
    assert runs[0] == runs[1]
    assert (run / "adapter_model.safetensors").read_bytes() == weights


def test_an_answer_ends_where_the_policy_ends_it(tiny_base, tokenizer, monkeypatch):
    """What follows `</svg>` is seen, and the stop token is the answer's last: both are to be learned."""
    monkeypatch.setattr("qwen_svg.generation.transformers_decoder.KEEP_SHARE", 0)
    model = load_base(str(tiny_base), torch.device("cpu"), torch.float32)
    texts = ["<svg>a</svg> and more<|im_end|>never read", "<svg>b</svg>" + " chatter" * 20]
    ended, cut = sample(Scripted(model, tokenizer, texts), tokenizer, [[5, 6, 7]] * 2, 40, 1.0)
    assert tokenizer.decode(ended) == "<svg>a</svg> and more<|im_end|>"
    assert len(cut) == 40 and tokenizer.decode(cut).startswith("<svg>b</svg> chatter")


def test_answers_follow_torchs_random_numbers(tiny_base, tokenizer):
    """So that a resumed run, whose checkpoint holds their state, draws what the uninterrupted one drew."""
    model = load_base(str(tiny_base), torch.device("cpu"), torch.float32)

    def drawn(seed: int) -> list[list[list[int]]]:
        torch.manual_seed(seed)
        return [sample(model, tokenizer, [[5, 6, 7]] * 2, 6, 1.0) for _ in range(2)]

    first, second = drawn(1)
    assert [first, second] == drawn(1) != drawn(2) and first != second and first[0] != first[1]


def test_trl_sees_the_probabilities_that_the_model_has(workplace, tokenizer):
    """Its own head, our attention and LoRA, prompts padded on the left and answers on the right: against plain peft."""
    base = yaml.safe_load((workplace / "outputs" / "sft" / "config.yml").read_text())["base_model"]
    adapter = workplace / "outputs" / "sft"
    ours = load_model(str(adapter), "trainable", torch.device("cpu")).model
    add_fused_lm_head(ours.get_base_model())
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter)
    ids = torch.randint(20, 200, (2, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :3] = mask[1, -4:] = 0
    labels = ids.masked_fill(mask == 0, -100)
    with torch.no_grad():
        found = ours(input_ids=ids, attention_mask=mask, labels=labels, fused_lm_head=True).log_probs
        for row, real in enumerate((slice(3, 12), slice(0, 8))):
            alone = ids[row : row + 1, real]
            expected = plain(input_ids=alone).logits.log_softmax(-1)[0, :-1].gather(1, alone[0, 1:, None])[:, 0]
            torch.testing.assert_close(found[row, real][: len(expected)], expected, rtol=1e-4, atol=1e-4)


ERRORS = {
    "no such run": (["--model", "outputs/nowhere"], "is not a run"),
    "no group": (["--generations", "1"], "GENERATIONS must be 2 or more"),
    "unfinished run": (["--model", "unfinished"], "has no adapter yet"),
    "run exists": (["--run-name", "grpo"], "outputs/grpo exists"),
    "odd groups": (["--generations", "3"], "GENERATIONS (3)"),
    "nothing to reward": ([f"--weight-{name}=0" for name in REWARDS], "nothing to reward"),
    "unknown score": (["--likeness", "similarty"], "did you mean similarity?"),
    "unknown dialect": (["--dialect", "html"], "DIALECT must be one of"),
    "too few descriptions": (["--gradient-accumulation", "500"], "36 descriptions"),
    "resuming another script's run": (["--resume", "--run-name", "sft"], "no run of this script"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_one_sentence_and_write_nothing(workplace, monkeypatch, kind):
    flags, words = ERRORS[kind]
    (workplace / "outputs" / "unfinished").mkdir(exist_ok=True)
    for name in ("config.yml", "environment.json"):
        shutil.copy(workplace / "outputs" / "sft" / name, workplace / "outputs" / "unfinished")
    before = sorted(workplace.rglob("*"))
    monkeypatch.chdir(workplace)
    own = () if "--model" in flags or "--resume" in flags else ("--model", "outputs/sft")
    with pytest.raises(UserError) as raised:
        call(train_grpo, *own, *flags)
    assert words in str(raised.value) and "\n" not in str(raised.value)
    assert sorted(workplace.rglob("*")) == before


@pytest.mark.parametrize("advice", [(), ("take fewer PAIRS",)])
def test_a_gpu_too_small_is_one_sentence_that_is_true_for_the_training(advice):
    class TooLarge:
        def train(self, resume_from_checkpoint):
            raise torch.OutOfMemoryError

    with pytest.raises(UserError, match=r"^the GPU ran out of memory; ") as raised:
        run_training(TooLarge(), SafeStop(0), None, *advice)
    assert str(raised.value).endswith("; take fewer PAIRS." if advice else "with more GRADIENT_ACCUMULATION.")
    sentence = set(re.findall("[A-Z_]{5,}", str(raised.value))) - {"PAIRS"}
    assert sentence <= {constant.name for constant in declared_constants(train_grpo.__file__)}


def test_other_data_is_refused(workplace, tmp_path, monkeypatch):
    changed = tmp_path / "data.jsonl"
    renamed = [sample | {"description": "new " + sample["description"]} for sample in described(workplace)]
    changed.write_text("".join(json.dumps(sample) + "\n" for sample in renamed))
    monkeypatch.chdir(workplace)
    with pytest.raises(UserError, match="not the ones"):
        call(train_grpo, model="sft", data_path=changed)
