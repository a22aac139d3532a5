"""New tokens: texts come back as they were, the loss is the libraries', only new rows are saved, everything reloads."""

import copy
import json
import math
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, Qwen2ForCausalLM

import train
from prompt_template import format_prompt
from qwen_svg.common.dataset import Sample, read_samples
from qwen_svg.common.errors import UserError
from qwen_svg.common.tokens import encode, ids_behind
from qwen_svg.evaluation.judge import judge
from qwen_svg.generation.constrained import tokens_needed
from qwen_svg.generation.engine import generate_answers
from qwen_svg.generation.llama_cpp import Context, exported, is_installed
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.generation.vllm_engine import base_with_rows
from qwen_svg.model import loss
from qwen_svg.model.adapter import add_adapter, merge_adapter, train_adapter, with_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropy
from qwen_svg.model.export import TOLERANCE, compare, load, write_folder
from qwen_svg.model.gguf import write_gguf
from qwen_svg.model.load import load_base
from qwen_svg.model.loss import summed_loss
from qwen_svg.model.source import find_source, tokenizer_of
from qwen_svg.model.svg_tokens import add_svg_tokens, init_new_embeddings, make_rows, pieces_of_new, svg_tokens
from qwen_svg.model.token_rows import copy_without_rows
from qwen_svg.model.tokenizer import load_tokenizer
from reinforce import train_dpo, train_grpo
from svg_constraint import SVG_OPEN
from tests.paths import SHARED
from tests.test_end_to_end import metrics_of
from tests.test_reinforce import GRPO, SFT, call, chance
from tests.tiny import answer, make_llama_tokenizer, make_tokenizer, qwen2_config

CPU = torch.device("cpu")


def as_loaded():
    """The tiny tokenizer as its base's folder gives it: of Qwen2's class, which cuts digits apart."""
    with TemporaryDirectory() as folder:
        made = make_tokenizer()
        made.save_pretrained(folder)
        qwen2_config(made).save_pretrained(folder)
        return load_tokenizer(folder)


def extended(make):
    tokenizer = make()
    add_svg_tokens(tokenizer, "numbers")
    return tokenizer, pieces_of_new(tokenizer, make())


TOKENIZERS = {"byte-level": extended(as_loaded), "llama": extended(make_llama_tokenizer)}
MARKUP = svg_tokens("markup")
OTHERS = [" ", "\n", '"', "<", "=", "M", "10", "red", "circle", "é", "🦊", "A fox ", "L", ".", ",", "-", "#", "²", "_"]
PARTS = st.sampled_from([*MARKUP, *OTHERS]) | st.integers(0, 3000).map(str) | st.integers(0, 300).map(" {}".format)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(st.lists(PARTS, max_size=12).map("".join))
@settings(max_examples=60, deadline=None)
def test_every_answer_comes_back_as_it_was(kind, text):
    tokenizer, _ = TOKENIZERS[kind]
    text = "<reasoning>" + text
    assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_each_is_one_token_behind_another_text(kind):
    tokenizer, pieces = TOKENIZERS[kind]
    assert len(pieces) > 550
    assert len(svg_tokens("numbers")) == len(MARKUP) + 2 * 257
    for text in svg_tokens("numbers"):
        assert len(ids_behind(tokenizer, text)) == 1 or text in (" 2", " 25")  # llama's base has " 256"
    (opening,) = ids_behind(tokenizer, SVG_OPEN)  # all of the opening line, its tokens within it notwithstanding
    assert tokenizer("\n" + SVG_OPEN + "\n", add_special_tokens=False)["input_ids"].count(opening) == 1


WHOLE = {  # what a text becomes: | stands between tokens
    '="12"': '="|12|"', "12.75": "12|.|75", "0.05": "0|.|0|5", ".5": ".|5", "-128,256": "-|128|,|256", "(12)": "(|12|)",
    "256×256": "256|×|256", "L30 40": "L|3|0| 40", "M10": "M|1|0", "1300": "1|3|0|0", "257": "2|5|7", "007": "0|0|7",
    "#12ab34": "#|1|2|ab|3|4", "#123456": "#|1|2|3|4|5|6", " 300": " 30|0", " 25.5": " 25|.|5", "20px": "2|0|px",
}  # fmt: skip


@pytest.fixture(scope="module")
def qwen():
    """Qwen's tokenizer by the kind of tokens that it has been given."""
    if not (SHARED / "data/qwen_tokenizer").is_dir():
        pytest.skip("the real tokenizer is not here")
    made = {kind: load_tokenizer(str(SHARED / "data/qwen_tokenizer")) for kind in ("", "markup", "numbers")}
    add_svg_tokens(made["markup"], "markup")
    add_svg_tokens(made["numbers"], "numbers")
    return made


def test_only_a_whole_number_is_a_token(qwen):
    tokenizer = qwen["numbers"]
    for text, tokens in WHOLE.items():
        ids = tokenizer.encode(text)
        assert "|".join(tokenizer.decode([id]) for id in ids) == tokens and tokenizer.decode(ids) == text


def test_real_prompts_and_drawings_come_back_from_qwens_tokenizer_in_fewer_tokens(qwen):
    """Of all samples: 748 tokens an answer, 589 with markup's (-21 %), 487 with numbers' (-35 %)."""
    samples, tokens = read_samples(SHARED / "data/svg_results.jsonl").samples[::16], {}
    for kind, tokenizer in qwen.items():
        rows = encode(tokenizer, samples, "chat")
        assert [tokenizer.decode(row.answer[:-1]) for row in rows] == [sample.answer for sample in samples]
        assert [tokenizer.decode(r.prompt) for r in rows] == [format_prompt(tokenizer, s.description) for s in samples]
        tokens[kind] = sum(len(row.answer) for row in rows)
    assert tokens["markup"] < 0.82 * tokens[""] and tokens["numbers"] < 0.68 * tokens[""]


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def base(request):
    """A random Qwen2 with rows for the new tokens."""
    tokenizer, pieces = TOKENIZERS["byte-level"]
    torch.manual_seed(0)
    made = Qwen2ForCausalLM(qwen2_config(make_tokenizer(), tie_word_embeddings=request.param))
    make_rows(made, len(tokenizer))
    init_new_embeddings(made, pieces)
    return made.eval()


def adapted(base):
    """With random adapters and rows that have moved from where they began."""
    torch.manual_seed(1)
    _, pieces = TOKENIZERS["byte-level"]
    made = add_adapter(copy.deepcopy(base), rank=4, alpha=8, dropout=0.0, rslora=True, new_tokens=list(pieces)).train()
    with torch.no_grad():
        for name, p in made.named_parameters():
            if "lora_B" in name or "tokens_delta" in name:
                p.add_(0.05 * torch.randn_like(p))
    return made


def encoded():
    samples = [Sample(str(i), "a circle" + ", big" * i, answer(radius=10 * i + 5)) for i in range(6)]
    return encode(TOKENIZERS["byte-level"][0], samples, "chat")


def test_rows_begin_as_the_mean_of_their_pieces_and_others_stay(base):
    _, pieces = TOKENIZERS["byte-level"]
    torch.manual_seed(0)
    before = Qwen2ForCausalLM(base.config.__class__(**base.config.to_dict() | {"vocab_size": min(pieces)}))
    for layer in ("get_input_embeddings", "get_output_embeddings"):
        old, new = getattr(before, layer)().weight, getattr(base, layer)().weight
        torch.testing.assert_close(new[: len(old)], old)
        for id, ids in pieces.items():
            torch.testing.assert_close(new[id], old[ids].mean(0))


def test_loss_and_gradients_are_those_of_peft_and_transformers(base, monkeypatch):
    """Our frozen head with its trained rows, block by block, and our lookup, against the libraries' own forward."""
    rows, collator = encoded(), LeftPaddingCollator(0)
    batch = collator(rows)
    count = len(batch["shift_labels"])
    monkeypatch.setattr(loss, "LOGITS_BYTES", {"cpu": 4 * 800 * 200})  # several blocks
    ours = adapted(base)
    value = summed_loss(ours, **batch) / count
    value.backward()
    assert cross_entropy(ours, rows, collator, 2).mean == pytest.approx(value.item(), rel=1e-6)
    monkeypatch.setattr("qwen_svg.model.adapter.recompute_cheap_inputs", lambda module: None)
    theirs = adapted(base)
    expected = theirs(**batch, num_items_in_batch=count).loss
    expected.backward()
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    found = {name: p.grad for name, p in ours.named_parameters() if p.requires_grad}
    assert sum("tokens_delta" in name for name in found) == (1 if base.config.tie_word_embeddings else 2)
    for name, p in theirs.named_parameters():
        if p.requires_grad:
            torch.testing.assert_close(found[name], p.grad, rtol=1e-4, atol=1e-6)


def test_half_precision_rows_learn_in_the_same_direction(base):
    batch = LeftPaddingCollator(0)(encoded())
    gradients = []
    for dtype in (torch.float32, torch.bfloat16):
        made = adapted(copy.deepcopy(base).to(dtype))
        (summed_loss(made, **batch) / len(batch["shift_labels"])).backward()
        gradients.append({name: p.grad for name, p in made.named_parameters() if "tokens_delta" in name})
    for name, gradient in gradients[0].items():
        assert gradients[1][name].dtype == torch.float32
        assert torch.cosine_similarity(gradient.flatten(), gradients[1][name].flatten(), dim=0) > 0.99


@pytest.fixture(scope="module")
def saved(base, tmp_path_factory):
    """What a run leaves: its base without the new rows, its adapter, its tokenizer."""
    folder = tmp_path_factory.mktemp("run")
    tokenizer, pieces = TOKENIZERS["byte-level"]
    plain = copy.deepcopy(base)
    plain.resize_token_embeddings(min(pieces), mean_resizing=False)
    plain.save_pretrained(folder / "base")
    make_tokenizer().save_pretrained(folder / "base")
    made = adapted(base).eval()
    made.base_model.model.config._name_or_path = str(folder / "base")
    made.peft_config["default"].base_model_name_or_path = str(folder / "base")
    made.save_pretrained(folder / "adapter")
    tokenizer.save_pretrained(folder / "adapter")
    ids = torch.tensor([encode(tokenizer, [Sample("0", "a circle", answer())], "chat")[0].prompt])
    with torch.no_grad():
        return folder, ids, made(ids).logits


def test_only_new_rows_are_saved_and_give_the_same_answers_reloaded_and_merged(saved, base):
    folder, ids, expected = saved
    tensors = load_file(folder / "adapter" / "adapter_model.safetensors")
    rows = [tensor.shape for name, tensor in tensors.items() if "lora" not in name]
    tied = base.config.tie_word_embeddings
    assert rows == [(len(TOKENIZERS["byte-level"][1]), 64)] * (1 if tied else 2)
    source = find_source(str(folder / "adapter"))
    tokenizer = load_tokenizer(source.tokenizer)
    assert encode(tokenizer, [Sample("0", "a circle", answer())], "chat")[0].prompt == ids[0].tolist()
    for put_on in (with_adapter, merge_adapter):
        with torch.no_grad():
            found = put_on(load_base(source.base, CPU, torch.float32), source.adapter)(ids).logits
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_both_exports_are_the_adapted_model(saved, tmp_path):
    folder, _, _ = saved
    loaded, tokenizer, prompt, expected = load(find_source(str(folder / "adapter")))
    assert max(prompt[0]) >= min(TOKENIZERS["byte-level"][1])  # the prompt has new tokens
    (tmp_path / "gguf").mkdir()
    write_gguf(tmp_path / "gguf" / "m.gguf", loaded, tokenizer, "m", "float32", {})
    tokenizer.save_pretrained(tmp_path / "gguf")
    compare(tmp_path / "gguf" / "m.gguf", prompt, expected, "float32")
    write_folder(tmp_path / "merged", loaded, tokenizer, "float32")
    compare(tmp_path / "merged", prompt, expected, "float32")


@pytest.mark.skipif(not is_installed(), reason="xllamacpp is not installed")
def test_llama_cpp_reads_the_rows(saved):
    folder, ids, expected = saved
    loaded, tokenizer, *_ = load(find_source(str(folder / "adapter")))
    weights, tokens = exported(loaded, tokenizer), ids[0].tolist()
    n = len(tokens)
    context = Context(weights, 1, n, n, 1)  # the scores are its memory
    found = torch.tensor(context.decode(tokens, range(n), [0] * n, [True] * n))
    assert weights.vocabulary == expected.shape[-1] and max(tokens) >= min(TOKENIZERS["byte-level"][1])
    assert (found - expected[0]).abs().max() < TOLERANCE["float16"] * expected.abs().max()


def test_a_checkpoint_finds_the_runs_tokenizer_and_an_orphan_is_refused(saved, tmp_path):
    adapter = saved[0] / "adapter"
    checkpoint = shutil.copytree(adapter, tmp_path / "run" / "checkpoint-1")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.move(checkpoint / name, tmp_path / "run" / name)
    assert tokenizer_of(checkpoint) == str(tmp_path / "run")
    (tmp_path / "run" / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="tokenizer is missing"):
        tokenizer_of(checkpoint)


def test_an_adapter_to_train_on_has_its_rows_in_the_base_and_is_saved_with_them(saved, tmp_path):
    """Where it is compared with a copy of it, as TRL does, or with no adapter, they are there too."""
    folder, ids, expected = saved
    model = train_adapter(load_base(str(folder / "base"), CPU, torch.float32), folder / "adapter")
    model.add_adapter("copy", model.peft_config["default"])
    for name, p in model.named_parameters():
        if ".default." in name:
            model.get_parameter(name.replace(".default.", ".copy.")).data.copy_(p.data)
    with torch.no_grad():
        found = model.eval()(ids).logits
        model.set_adapter("copy")
        copied = model(ids).logits
        model.set_adapter("default")
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(copied, expected, rtol=1e-4, atol=1e-4)
    assert all("lora" in name for name, p in model.named_parameters() if p.requires_grad)
    model.save_pretrained(tmp_path, selected_adapters=["default"])
    before, after = (load_file(place / "adapter_model.safetensors") for place in (folder / "adapter", tmp_path))
    assert before.keys() == after.keys() and all(torch.equal(before[name], after[name]) for name in before)
    with torch.no_grad():
        again = with_adapter(load_base(str(folder / "base"), CPU, torch.float32), tmp_path)(ids).logits
    torch.testing.assert_close(again, expected, rtol=1e-4, atol=1e-4)


def test_a_base_with_the_rows_and_lora_alone_are_the_adapted_model(saved, tmp_path):
    """What vLLM is given."""
    folder, ids, expected = saved
    written = base_with_rows(str(folder / "base"), folder / "adapter", tmp_path / "base", torch.float32)
    lora = copy_without_rows(folder / "adapter", tmp_path)
    assert all("lora" in name for name in load_file(lora / "adapter_model.safetensors"))
    plain = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(written), lora).eval()
    with torch.no_grad():
        torch.testing.assert_close(plain(ids).logits, expected, rtol=1e-4, atol=1e-4)
    assert load_tokenizer(written).decode(ids[0]) == load_tokenizer(str(folder / "adapter")).decode(ids[0])


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_constrained_answers_are_legal_and_use_new_tokens(kind):
    """A random model over the whole vocabulary, in just enough tokens and in more."""
    tokenizer, pieces = TOKENIZERS[kind]
    torch.manual_seed(3)
    made = Qwen2ForCausalLM(qwen2_config(tokenizer, tie_word_embeddings=True)).eval()
    made.get_input_embeddings().weight.data[list(pieces)] *= 3  # likelier
    needed, used = tokens_needed(tokenizer), set()
    prompts = [tokenizer.encode("a fox", add_special_tokens=False)] * 3
    for room in (needed, needed + 150):
        total = len(prompts[0]) + room
        for drawn in generate_answers(made, tokenizer, prompts, total, room, 3, 1.5, 7, "test", constrained=True):
            assert judge(drawn.text).verdicts["prompt"].valid, drawn.text
            used |= {id for id in pieces if tokenizer.decode([id]) in drawn.text}
    assert len(used) > 5


def test_a_tokenizer_that_changes_texts_is_refused():
    class Spaced:
        def __getattr__(self, name):
            return getattr(TOKENIZERS["llama"][0], name)

        def __call__(self, *arguments, **options):
            return TOKENIZERS["llama"][0](*arguments, **options)

        def decode(self, ids, **options):
            return " ".join(TOKENIZERS["llama"][0].decode([id]) for id in ids)

    with pytest.raises(UserError, match="leave out `--svg-tokens`"):
        add_svg_tokens(Spaced(), "numbers")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, tiny_base, data_file):
    """A folder with a run that has number tokens, "sft", and one that went on from it, "grpo"."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        numbers = {"svg_tokens": "numbers", "run_name": "sft", "data_path": data_file, "base_model": tiny_base}
        call(train, "--no-wandb", **numbers, **SFT)
        patch.setattr("reinforce.rewards.answer_format", chance)
        call(train_grpo, "--no-wandb", model="sft", run_name="grpo", **GRPO | {"steps": 2, "save_steps": 1})
    return folder


def test_a_run_with_number_tokens_draws_what_is_legal(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    predictor = Predictor("sft")
    drawn = predictor.draw("a red circle", Settings(max_new=400, temperature=1.5, seed=1))
    ids = predictor.tokenizer.encode(drawn.answer, add_special_tokens=False)
    assert drawn.legal and max(ids) >= 719 and "tokenizer" in (workplace / "outputs/sft/README.md").read_text()


def test_grpo_goes_on_from_it_and_is_resumed(workplace, tmp_path, monkeypatch):
    sft, grpo = (workplace / "outputs" / name for name in ("sft", "grpo"))
    kl = [record["kl"] for record in metrics_of(grpo) if "kl" in record]
    assert kl[0] == pytest.approx(0, abs=1e-7) and kl[1] > 1e-7
    before, after = (load_file(run / "adapter_model.safetensors") for run in (sft, grpo))
    same = {name for name in before if torch.equal(before[name], after[name])}
    assert before.keys() == after.keys() and same == {name for name in before if "token_adapter" in name}
    shutil.copytree(workplace / "outputs", tmp_path / "outputs", symlinks=True)
    shutil.rmtree(tmp_path / "outputs/grpo/checkpoint-2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("reinforce.rewards.answer_format", chance)
    call(train_grpo, "--resume", run_name="grpo")
    resumed = load_file(tmp_path / "outputs/grpo/adapter_model.safetensors")
    assert resumed.keys() == after.keys() and all(torch.equal(resumed[name], after[name]) for name in after)


def test_dpo_goes_on_from_what_grpo_has_left(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    ids = json.loads(Path("outputs/sft/split.json").read_text())["train"]
    data = yaml.safe_load(Path("outputs/sft/config.yml").read_text())["data_path"][0]
    rows = [row for row in map(json.loads, Path(data).read_text().splitlines()) if row["id"] in ids][:8]
    sides = {"chosen": answer("gold", 256), "rejected": answer("navy", 7)}
    pairs = [sides | {"id": row["id"], "description": row["description"]} for row in rows]
    Path("pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    call(train_dpo, "--no-wandb", model="grpo", run_name="dpo", pairs="pairs.jsonl", batch_size=4, epochs=1,
         gradient_accumulation=1)  # fmt: skip
    losses = [record["loss"] for record in metrics_of(Path("outputs/dpo")) if "loss" in record]
    assert losses[0] == pytest.approx(math.log(2), abs=1e-4)  # the reference is the adapter it began as
    assert Predictor("dpo").draw("a red circle", Settings(max_new=400)).legal
