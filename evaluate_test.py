"""Step 3: score a run on its test split, beside the base without adapter and the references.

Reads   outputs/<run>/ (config.yml, split.json, the adapter) and the data file the run was trained on.
Writes  outputs/<run>/test/: metrics.json, samples.jsonl, gallery.png, report.html; a table on the terminal. With SCORES
        ranking.png; with LABELS nothing but labels.json and confusion.png, from the samples.jsonl that is there.

    python evaluate_test.py --model first
    python evaluate_test.py --model first --scores similarity text_match
    python evaluate_test.py --model first --labels labels.csv

Reported: cross-entropy of the reference answers, per token and per byte; shares of generated answers with an <svg> and
a <reasoning> section (regex), legal by svg_constraint.py in each dialect, rendering, and not blank, and of the
description's claims that hold of the drawing, as far as scoring/composition.py can read them (of edits and repairs
instead: of answers whose picture is the reference's, pixel by pixel), each with its 95 % confidence interval; for free
decoding (what the model has learned) and for decoding constrained to legal answers. Of a run on several tasks, the
figures that matter are told by task too.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

from qwen_svg.common.constants import NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, start
from qwen_svg.common.environment import asked_wandb_mode
from qwen_svg.common.errors import UserError, run
from qwen_svg.common.files import require_data_files, require_writable, write_json
from qwen_svg.common.run_folder import Run, cut_short, open_run

# Input
MODEL: str = ""  # a run, by name or folder; "" = the newest run
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
DATA_PATH: list[str] = []  # the run's data files, where they have moved since; none = as in the run's config.yml
# Generation
GENERATE_SAMPLES: NonNegativeInt = 0  # let the model answer this many test samples; 0 = all
MAX_NEW_TOKENS: NonNegativeInt = 0  # of an answer; 0 = up to the run's MAX_LENGTH with the prompt
BATCH_SIZE: PositiveInt = 16  # answers decoded together, samples scored together
TEMPERATURE: NonNegativeFloat = 0.0  # 0 = greedy: the same answers every time
SEED: Seed = 42  # of sampling, when TEMPERATURE is above 0
ENGINE: Literal["auto", "transformers", "vllm", "llama.cpp"] = "auto"  # "auto": vLLM for free ones, after `make vllm`
CPU_DTYPE: Literal["auto", "fp32", "bf16"] = "auto"  # of the weights on a CPU; "auto": bf16 where it measures faster
CONSTRAINED: bool = True  # let the fine-tuned model answer once more, constrained by the grammar: all is legal
SKIP_BASE: bool = False  # leave the base without adapter out: half the time, no "before" column
# Scores
SCORES: list[str] = []  # of scoring/: similarity, text_match …; NAME=MODEL for another model than its file says
# Report
TABLE_SAMPLES: NonNegativeInt = 5  # the last samples of the test split, sent to wandb as a table
GALLERY_SAMPLES: NonNegativeInt = 8  # rows of gallery.png
# People's labels
LABELS: str = ""  # .csv or .jsonl with id and label, "ok" or "not ok": how often do we agree with them?
LABELS_OF: Literal["tuned", "constrained", "base", "reference"] = "tuned"  # whose drawings they judge
FOLLOWS_SCORE: str = "text_match"  # that says whether a drawing follows its description; "" = that is not asked
# The cosine from which LAION-5B kept English captions with their pictures, by the same CLIP (Schuhmann et al. 2022).
FOLLOWS_FROM: float = 0.28  # the least of FOLLOWS_SCORE; what would agree best with the labels is printed


def check_constants(c: SimpleNamespace) -> None:
    """Refuse a run that cannot be opened, and labels that are not there, before anything heavy is imported."""
    tested = open_run(c.MODEL)
    if not c.LABELS:
        require_data_files(c.DATA_PATH or tested.constants.DATA_PATH)
    if tested.constants.WANDB:
        asked_wandb_mode()
    if c.LABELS and not Path(c.LABELS).is_file():
        raise UserError(f"LABELS {c.LABELS} does not exist; give a .csv or .jsonl file with id and label.")


if __name__ == "__main__":
    c = start(__file__, formerly={"RUN_DIR": "MODEL"})
    check_constants(c)

from dataclasses import replace
from functools import partial

import torch

from qwen_svg.common.dataset import Sample
from qwen_svg.common.jsonl import read_jsonl
from qwen_svg.common.kinship import unseen_kind
from qwen_svg.common.run_split import samples_of
from qwen_svg.common.tokens import encode
from qwen_svg.common.tracking import finish_run, start_run
from qwen_svg.evaluation.agreement import agreement, print_agreement, read_labels, verdicts, write_agreement
from qwen_svg.evaluation.judge import Judgement, judge
from qwen_svg.evaluation.metrics import Column, loss_figures, table_text
from qwen_svg.evaluation.ranking import RANKING, write_ranking
from qwen_svg.evaluation.report import log_test, write_gallery, write_report, write_samples
from qwen_svg.generation.constrained import tokens_needed
from qwen_svg.generation.engine import generate_answers
from qwen_svg.generation.llama_cpp import exported
from qwen_svg.generation.pick_engine import pick_test_engine
from qwen_svg.generation.vllm_engine import VLLMEngine
from qwen_svg.model.adapter import merge_adapter
from qwen_svg.model.batches import LeftPaddingCollator
from qwen_svg.model.cross_entropy import cross_entropy
from qwen_svg.model.device import pick_device, pick_dtype, pick_precision
from qwen_svg.model.load import LoadedModel, load_config, load_model
from qwen_svg.model.source import find_source
from qwen_svg.model.tokenizer import load_tokenizer
from scoring.candidate import Candidate
from scoring.composition import claims_of
from scoring.scores import find_score, find_scores

RESULTS = ("metrics.json", "samples.jsonl", "gallery.png", "report.html", RANKING)  # in the run's test/
COLUMNS = ("tuned", "constrained", "base", "reference")  # in metrics.json
SHOWN = ("reference", "base", "tuned", "constrained")  # before people: what it should be, before, after


def main(c: SimpleNamespace) -> None:
    if c.LABELS:
        return compare_with_labels(c)

    # 1. The run, its test samples, and what will score them.
    tested = open_run(c.MODEL)
    require_writable(*(tested.folder / "test" / name for name in RESULTS))
    engine = pick_test_engine(c.ENGINE, tested.constants)
    print(f"run: {tested.folder} · engine: {engine}")
    samples = samples_of(tested.folder, "test", c.DATA_PATH or tested.constants.DATA_PATH)
    asked = samples[-c.GENERATE_SAMPLES :]  # the last ones, as wandb shows them; -0 = all
    scores = find_scores(c.SCORES, str(tested.folder))

    # 2. The references are judged first: what a score lacks is said before hours of drawing.
    columns = {"reference": Column(judge_all(scores, asked, [sample.answer for sample in asked]))}

    # 3. The base without adapter. It reads, and is scored on, the text as its own tokenizer spells it.
    vllm = open_vllm(c, tested) if engine == "vllm" else None
    base = load_model(find_source(str(tested.folder), c.BASE_MODEL), "none", *place_and_dtype(c, tested))
    if not c.SKIP_BASE:
        draws = drawing_model(base, engine)
        # What vLLM has loaded has the rows of new tokens, which the base has not.
        by = (None, "transformers") if vllm and tested.constants.SVG_TOKENS else (vllm, engine)
        columns["base"] = free_column(c, base, draws, samples, asked, scores, "base", *by)

    # 4. The fine-tuned model: the adapter goes into the same weights, the plain base is not needed any more.
    tokenizer = load_tokenizer(base.source.tokenizer or base.source.base)  # with the new tokens, if it has any
    tuned = replace(base, model=merge_adapter(base.model, tested.folder), tokenizer=tokenizer)
    draws = drawing_model(tuned, engine)
    columns["tuned"] = free_column(c, tuned, draws, samples, asked, scores, "tuned", vllm, engine)
    if vllm:
        vllm.close()

    # 5. The same, constrained to legal answers.
    if c.CONSTRAINED and (constrained := constrained_column(c, tuned, draws, asked, scores, engine)):
        columns["constrained"] = constrained

    # 6. Write.
    metrics = {name: columns[name].metrics() for name in COLUMNS if name in columns}
    shown = {name: columns[name] for name in SHOWN if name in columns}
    write_results(c, tested.folder, metrics, asked, shown)

    # 7. Show.
    print(f"\n{table_text({name: metrics[name] for name in shown})}\n")
    if cut := cut_short(tested.folder):
        print(f"note: {cut}\n")
    if tested.constants.WANDB:
        print(send_to_wandb(c, tested, metrics, asked, shown))
    pictures = ["gallery.png", *([RANKING] if c.SCORES else []), "report.html"]
    print("pictures: " + " · ".join(str(tested.folder / "test" / name) for name in pictures))


def place_and_dtype(c: SimpleNamespace, tested: Run) -> tuple[torch.device, torch.dtype]:
    trained, device = tested.constants, pick_device()
    asked = SimpleNamespace(**vars(trained) | {"CPU_DTYPE": c.CPU_DTYPE})
    return device, pick_precision(asked, device, load_config(c.BASE_MODEL or trained.BASE_MODEL))[0]


def drawing_model(loaded: LoadedModel, engine: str) -> Any:
    """Return what `generate_answers` draws with: the model, or what llama.cpp makes of its export."""
    return exported(loaded.model, loaded.tokenizer) if engine == "llama.cpp" else loaded.model


def judge_all(scores: dict, samples: list[Sample], answers: list[str]) -> list[Judgement]:
    """Judge answers to samples, and score them (functions by name), with the samples' own answers as references."""
    judged = [judge(answer) for answer in answers]
    for judgement, sample in zip(judged, samples, strict=True):
        judgement.unseen, judgement.task = bool(unseen_kind(sample.group)), sample.task
        if sample.task == "draw":
            judgement.claims = [(claim.text, claim.holds) for claim in claims_of(sample.description, judgement.svg)]
        else:
            judgement.as_reference = judgement.renders and judgement.png == judge(sample.answer).png
    candidates = [Candidate(a, s.description, s.answer) for a, s in zip(answers, samples, strict=True)]
    for name, score in scores.items():
        for judgement, value in zip(judged, score(candidates), strict=True):
            judgement.scores[name] = value
    return judged


def open_vllm(c: SimpleNamespace, tested: Run) -> VLLMEngine:
    trained = tested.constants
    dtype = pick_dtype(pick_device(), trained.FP16, bf16=trained.BF16)
    base = find_source(str(tested.folder), c.BASE_MODEL).base
    return VLLMEngine(base, trained.LORA_RANK, dtype, trained.MAX_LENGTH, c.SEED, tested.folder)


def free_column(
    c: SimpleNamespace, loaded: LoadedModel, draws: Any, samples: list[Sample], asked: list[Sample], scores: dict,
    name: str, vllm: VLLMEngine | None, engine: str,
) -> Column:  # fmt: skip
    """Measure a model's loss on all samples, and let it answer those that are asked for."""
    print(f"{name}: cross-entropy of {len(samples)} samples, then {len(asked)} drawings", flush=True)
    rows = encode(loaded.tokenizer, samples, loaded.prompt_form)
    collator = LeftPaddingCollator(loaded.tokenizer.pad_token_id)
    loss = cross_entropy(loaded.model, rows, collator, c.BATCH_SIZE, f"{name}: cross-entropy")
    prompts = [row.prompt for row in rows[-len(asked) :]]
    if vllm:
        draw = partial(vllm.generate_answers, adapter=loaded.source.adapter if name == "tuned" else None)
    else:
        draw = partial(generate_answers, draws, batch_size=c.BATCH_SIZE, progress=f"{name}: drawing")
    answers = draw(tokenizer=loaded.tokenizer, prompts=prompts, **limits(c, loaded))
    losses = loss_figures(loss, [sample.answer for sample in samples], loaded.dtype)
    return Column(judge_all(scores, asked, [answer.text for answer in answers]), answers, losses, engine)


def constrained_column(
    c: SimpleNamespace, loaded: LoadedModel, draws: Any, asked: list[Sample], scores: dict, engine: str
) -> Column | None:
    """Let the model answer with legal drawings only; None, and a note, where that may take more room than there is."""
    prompts = [row.prompt for row in encode(loaded.tokenizer, asked, loaded.prompt_form)]
    room = min(c.MAX_NEW_TOKENS or loaded.max_length, loaded.max_length - max(map(len, prompts)))
    if room < (needed := tokens_needed(loaded.tokenizer)):
        print(f"note: no constrained answers: {room} tokens are left for some, and a legal one may take {needed}")
        return None
    engine = engine if engine == "llama.cpp" else "transformers"
    print(f"constrained: {len(asked)} drawings", flush=True)
    answers = generate_answers(
        draws, loaded.tokenizer, prompts, batch_size=c.BATCH_SIZE, progress="constrained: drawing",
        constrained=True, **limits(c, loaded),
    )  # fmt: skip
    return Column(judge_all(scores, asked, [answer.text for answer in answers]), answers, engine=engine)


def limits(c: SimpleNamespace, loaded: LoadedModel) -> dict[str, Any]:
    """Return what all engines are told about each answer."""
    limit = loaded.max_length
    return {"max_total": limit, "max_new": c.MAX_NEW_TOKENS or limit, "temperature": c.TEMPERATURE, "seed": c.SEED}


def write_results(
    c: SimpleNamespace, folder: Path, metrics: dict, asked: list[Sample], columns: dict[str, Column]
) -> None:
    """Write metrics.json, samples.jsonl, the pictures and the report. columns: in the order they are shown."""
    test, judged = folder / "test", {name: column.judged for name, column in columns.items()}
    if any(sample.svg for sample in asked):
        judged = {"before": [judge(sample.svg or "") for sample in asked]} | judged
    test.mkdir(exist_ok=True)
    write_json(test / "metrics.json", metrics)
    write_samples(test / "samples.jsonl", asked, columns)
    write_gallery(test / "gallery.png", asked, judged, c.GALLERY_SAMPLES)
    (test / RANKING).unlink(missing_ok=True)
    if c.SCORES:
        write_ranking(test / RANKING, asked, judged["tuned"], judged["reference"])
    write_report(test / "report.html", folder, {name: metrics[name] for name in columns}, asked, judged)


def send_to_wandb(c: SimpleNamespace, tested: Run, metrics: dict, asked: list[Sample], columns: dict) -> str:
    """Send the figures, the last samples and the gallery; return a line that says where they are."""
    constants = vars(tested.constants) | {"evaluate": vars(c)}
    tracker = start_run(tested.constants.WANDB_PROJECT, tested.folder, "test", constants)
    last = max(0, len(asked) - c.TABLE_SAMPLES)
    judged = {name: column.judged[last:] for name, column in columns.items()}
    log_test(tracker, {name: metrics[name] for name in columns}, asked[last:], judged, tested.folder / "test")
    return finish_run(tracker)


def compare_with_labels(c: SimpleNamespace) -> None:
    """Hold our verdicts on the drawings of an earlier test against people's labels."""
    folder = open_run(c.MODEL).folder
    print(f"run: {folder}")
    path = folder / "test" / "samples.jsonl"
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; run evaluate_test.py without `--labels` first, it draws what is labelled."
        )
    records = {record["id"]: record for record in read_jsonl(path)}
    if c.LABELS_OF not in next(iter(records.values()), {}):
        raise UserError(f"{path} holds no drawings of {c.LABELS_OF!r}; give another LABELS_OF.")
    labels = read_labels(c.LABELS, set(records))
    labelled = [records[id] for id in labels]
    follows = follow_scores(c, folder, labelled) if c.FOLLOWS_SCORE else None
    ours = verdicts([record[c.LABELS_OF]["answer"] for record in labelled], follows, c.FOLLOWS_FROM)
    found = agreement(labels, ours)
    write_agreement(folder / "test", found)
    print_agreement(found)
    print(f"disagreements: {folder / 'test' / 'labels.json'} · picture: {folder / 'test' / 'confusion.png'}")


def follow_scores(c: SimpleNamespace, folder: Path, records: list[dict]) -> list[float]:
    """Return FOLLOWS_SCORE of each drawing: as the test wrote it, or made now."""
    name = c.FOLLOWS_SCORE.partition("=")[0]
    written = [record[c.LABELS_OF].get("scores", {}).get(name) for record in records]
    if None not in written:
        return written
    found, score = find_score(c.FOLLOWS_SCORE, drawn_by=str(folder), use="report")
    if found != name:
        print(f"note: FOLLOWS_FROM {c.FOLLOWS_FROM:g} is a limit for {name}; take the one that is printed as the best")
    drawn = [Candidate(r[c.LABELS_OF]["answer"], r["description"], r["reference"]["answer"]) for r in records]
    try:
        return score(drawn)
    except UserError as error:
        raise UserError(f"{error} Without that question, by legality alone: `--follows-score ''`.") from None


if __name__ == "__main__":
    run(main, c)
