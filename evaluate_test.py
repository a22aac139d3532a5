"""Step 3: score a run on its test split, beside the base without adapter and the references.

Reads   outputs/<run>/ (config.yml, split.json, the adapter) and the data file the run was trained on.
Writes  outputs/<run>/test/: metrics.json, samples.jsonl, gallery.png, report.html; a table on the terminal. With SCORES
        ranking.png; with LABELS nothing but labels.json and confusion.png, from the samples.jsonl that is there.

    python evaluate_test.py --run-dir outputs/first
    python evaluate_test.py --run-dir outputs/first --scores similarity text_match
    python evaluate_test.py --run-dir outputs/first --labels labels.csv

Reported: cross-entropy and perplexity of the reference answers; shares of generated answers with an <svg> and
a <reasoning> section (regex), legal by svg_constraint.py in each dialect, and rendering; for free decoding (what the
model has learned) and for decoding held to the grammar of legal answers.
"""

from functools import partial
from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.constants import start
from qwen_svg.common.errors import UserError, run

# Input
RUN_DIR: str = ""  # the run's folder, outputs/<run>; "" = the latest run
DATA_PATH: str = ""  # the run's data file, where it has moved since; "" = as in the run's config.yml
# Generation
GENERATE_SAMPLES: int = 0  # let the model answer this many test samples; 0 = all
MAX_NEW_TOKENS: int = 0  # of an answer; 0 = up to the run's MAX_LENGTH with the prompt
BATCH_SIZE: int = 16  # answers decoded together, samples scored together
TEMPERATURE: float = 0.0  # 0 = greedy: the same answers every time
SEED: int = 42  # of sampling, when TEMPERATURE is above 0
ENGINE: str = "auto"  # of free decoding: "transformers", "vllm", or "auto": vLLM where it is installed
CONSTRAINED: bool = True  # let the fine-tuned model answer once more, held to the grammar: every answer is legal
SKIP_BASE: bool = False  # leave the base without adapter out: half the time, no "before" column
# Scores
SCORES: list[str] = []  # of scoring/: similarity, text_match …; NAME=MODEL for another model than its file says
# Report
TABLE_SAMPLES: int = 5  # the last samples of the test split, sent to wandb as a table
GALLERY_SAMPLES: int = 8  # rows of gallery.png
# People's labels
LABELS: str = ""  # .csv or .jsonl with id and label, "ok" or "not ok": how often do we agree with them?
LABELS_OF: str = "tuned"  # the drawings they are of: "tuned", "constrained", "base" or "reference"
FOLLOWS_SCORE: str = "text_match"  # that says whether a drawing follows its description; "" = that is not asked
# The cosine from which LAION-5B kept English captions with their pictures, by the same CLIP (Schuhmann et al. 2022).
FOLLOWS_FROM: float = 0.28  # the least of FOLLOWS_SCORE; what would agree best with the labels is printed

COLUMNS = ("tuned", "constrained", "base", "reference")  # in metrics.json
SHOWN = ("reference", "base", "tuned", "constrained")  # before people: what it should be, before, after

NO_LOSS = {"cross_entropy": None, "perplexity": None, "nats_per_character": None}


def main(c: SimpleNamespace) -> None:
    if c.LABELS:
        return compare_with_labels(c)
    from qwen_svg.common.run_folder import open_run
    from qwen_svg.common.run_split import samples_of
    from qwen_svg.generation.vllm_engine import pick_engine

    folder, config = open_run(c.RUN_DIR)
    samples = samples_of(folder, "test", c.DATA_PATH or config["data_path"])
    if c.GENERATE_SAMPLES < 0 or c.BATCH_SIZE < 1 or c.MAX_NEW_TOKENS < 0:
        raise UserError("GENERATE_SAMPLES and MAX_NEW_TOKENS must be 0 or more, BATCH_SIZE 1 or more.")
    c.ENGINE = pick_engine(c.ENGINE, config)
    # The last samples, as the wandb table shows them: a smaller run shows the same ones.
    asked = samples[-c.GENERATE_SAMPLES :] if c.GENERATE_SAMPLES else samples
    metrics, judged, answers = score(c, folder, config, samples, asked)
    write_results(c, folder, metrics, asked, judged, answers)
    print_table({name: metrics[name] for name in SHOWN if name in metrics})
    if config["wandb"]:
        print(send_to_wandb(c, folder, config, metrics, asked, judged))
    pictures = ["gallery.png", *(["ranking.png"] if c.SCORES else []), "report.html"]
    print("pictures: " + " · ".join(str(folder / "test" / name) for name in pictures))


def score(c: SimpleNamespace, folder: Path, config: dict, samples: list, asked: list) -> tuple[dict, dict, dict]:
    """Score references, base and tuned model. Returns (metrics, judgements, answers), each by column."""
    from qwen_svg.common.tokens import encode
    from qwen_svg.evaluation.judge import figures
    from qwen_svg.generation.constrained import tokens_needed
    from qwen_svg.model.adapter import merge_adapter
    from qwen_svg.model.device import pick_device, pick_dtype
    from qwen_svg.model.load import load_base
    from qwen_svg.model.source import tokenizer_of
    from qwen_svg.model.tokenizer import load_tokenizer
    from scoring.scores import find_scores

    scores = find_scores(c.SCORES, str(folder))
    # The references come first: what a score lacks is said before hours of drawing.
    judged = {"reference": judge_all(scores, asked, [sample.answer for sample in asked])}
    base, quantization = config["base_model"], config.get("base_quantization", "")
    device = pick_device()
    dtype = pick_dtype(device, config["fp16"], quantization)
    engine = open_vllm(c, config, folder, dtype) if c.ENGINE == "vllm" else None
    model = load_base(base, device, dtype, quantization)
    # New tokens mean nothing to the base: it reads, and is scored on, the text as its own tokenizer spells it.
    tokenizers = {"base": load_tokenizer(base), "tuned": load_tokenizer(tokenizer_of(folder, base))}
    rows = {name: encode(tokenizer, samples, config["prompt_form"]) for name, tokenizer in tokenizers.items()}
    characters = sum(len(sample.answer) for sample in samples)
    metrics = {"reference": NO_LOSS | figures(judged["reference"])}
    answers = {}

    def answer(column: str, constrained: bool = False) -> None:
        if engine and not constrained:
            draw = partial(engine.generate_answers, with_adapter=column == "tuned")
        else:
            draw = partial(generate_here, c, model, column, constrained)
        model_name = "base" if column == "base" else "tuned"
        prompts = {row.id: row.prompt for row in rows[model_name]}
        answers[column], costs = generate(c, config, draw, tokenizers[model_name], [prompts[s.id] for s in asked])
        judged[column] = judge_all(scores, asked, [a.text for a in answers[column]])
        metrics[column] = metrics.get(column, NO_LOSS) | costs | figures(judged[column])

    if not c.SKIP_BASE:
        metrics["base"] = test_loss(c, model, tokenizers["base"], rows["base"], characters, "base")
        answer("base")
    model = merge_adapter(model, folder)  # into the same weights: the plain base is not needed any more
    metrics["tuned"] = test_loss(c, model, tokenizers["tuned"], rows["tuned"], characters, "tuned")
    answer("tuned")
    longest = max(len(row.prompt) for row in rows["tuned"])
    room = min(c.MAX_NEW_TOKENS or config["max_length"], config["max_length"] - longest)
    if c.CONSTRAINED and room < (needed := tokens_needed(tokenizers["tuned"])):
        print(f"note: no constrained answers: {room} tokens are left for some, and a legal one may take {needed}")
    elif c.CONSTRAINED:
        answer("constrained", constrained=True)
    return {name: metrics[name] for name in COLUMNS if name in metrics}, judged, answers


def judge_all(scores: dict, samples: list, answers: list[str]) -> list:
    """Judge answers to samples, and score them (functions by name), with the samples' own answers as references."""
    from qwen_svg.evaluation.judge import judge
    from scoring.candidate import Candidate

    judgements = [judge(answer) for answer in answers]
    candidates = [Candidate(a, s.description, s.answer) for a, s in zip(answers, samples, strict=True)]
    for name, score in scores.items():
        for judgement, value in zip(judgements, score(candidates), strict=True):
            judgement.scores[name] = value
    return judgements


def test_loss(c: SimpleNamespace, model, tokenizer, rows: list, characters: int, name: str) -> dict:
    """Return the cross-entropy of the reference answers, over all their tokens; and over their characters.

    The latter compares models whose tokenizers differ: what has fewer tokens has more to say with each.
    """
    from qwen_svg.model.batches import LeftPaddingCollator
    from qwen_svg.model.cross_entropy import cross_entropy

    collator = LeftPaddingCollator(tokenizer.pad_token_id)
    loss = cross_entropy(model, rows, collator, c.BATCH_SIZE, f"{name}: cross-entropy")
    return {
        "cross_entropy": loss.mean,
        "perplexity": loss.perplexity,
        "nats_per_character": loss.nats / characters,
        "cross_entropy_samples": len(rows),
    }


def open_vllm(c: SimpleNamespace, config: dict, folder: Path, dtype):
    from qwen_svg.generation.vllm_engine import VLLMEngine

    return VLLMEngine(config["base_model"], folder, config["lora_rank"], dtype, config["max_length"], c.SEED)


def generate_here(c: SimpleNamespace, model, name: str, constrained: bool, **arguments) -> list:
    from qwen_svg.generation.engine import generate_answers

    return generate_answers(
        model, batch_size=c.BATCH_SIZE, progress=f"{name}: drawing", constrained=constrained, **arguments
    )


def generate(c: SimpleNamespace, config: dict, draw, tokenizer, prompts: list[list[int]]) -> tuple[list, dict]:
    """Return (answers in the order of the prompts, what they cost). draw: an engine's generate_answers."""
    answers = draw(
        tokenizer=tokenizer,
        prompts=prompts,
        max_total=config["max_length"],
        max_new=c.MAX_NEW_TOKENS or config["max_length"],
        temperature=c.TEMPERATURE,
        seed=c.SEED,
    )
    return answers, {
        "mean_tokens": sum(a.tokens for a in answers) / len(answers),
        "mean_seconds": sum(a.seconds for a in answers) / len(answers),
        "finished": sum(a.finished for a in answers) / len(answers),
    }


def write_results(c: SimpleNamespace, folder: Path, metrics: dict, asked: list, judged: dict, answers: dict) -> None:
    import json

    from qwen_svg.common.files import write_json
    from qwen_svg.evaluation.ranking import RANKING, write_ranking
    from qwen_svg.evaluation.report import write_gallery, write_report

    test = folder / "test"
    test.mkdir(exist_ok=True)
    write_json(test / "metrics.json", metrics)
    with (test / "samples.jsonl").open("w", encoding="utf-8") as file:
        for i, sample in enumerate(asked):
            record = {"id": sample.id, "description": sample.description}
            for column, judgements in judged.items():
                record[column] = judgements[i].to_json()
                if column in answers:
                    answer = answers[column][i]
                    record[column] |= {"tokens": answer.tokens, "finished": answer.finished}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    shown = {name: judged[name] for name in SHOWN if name in judged}
    write_gallery(test / "gallery.png", asked, shown, c.GALLERY_SAMPLES)
    (test / RANKING).unlink(missing_ok=True)
    if c.SCORES:
        write_ranking(test / RANKING, asked, judged["tuned"], judged["reference"])
    write_report(test / "report.html", folder, {name: metrics[name] for name in shown}, asked, shown)


def print_table(metrics: dict) -> None:
    from qwen_svg.evaluation.report import metric_rows

    print(f"\n{'':<42}" + "".join(f"{name:>12}" for name in metrics))
    for label, values in metric_rows(metrics):
        print(f"{label:<42}" + "".join(f"{value:>12}" for value in values))
    print()


def send_to_wandb(c: SimpleNamespace, folder: Path, config: dict, metrics: dict, asked: list, judged: dict) -> str:
    """Send metrics as summary and the last samples as a table; return a line that says where they are."""
    import io

    import wandb
    from PIL import Image

    from qwen_svg.common.tracking import finish_run, start_run

    def picture(judgement):
        return wandb.Image(Image.open(io.BytesIO(judgement.png))) if judgement.png else None

    tracker = start_run(config["wandb_project"], folder, "test", config | {"evaluate": vars(c)})
    columns = ["id", "description", "reasoning", "svg", "drawing", "reference", "verdict"]
    table = wandb.Table(columns=columns)
    for i in range(max(0, len(asked) - c.TABLE_SAMPLES), len(asked)):
        tuned, reference = judged["tuned"][i], judged["reference"][i]
        table.add_data(asked[i].id, asked[i].description, tuned.reasoning, tuned.svg, picture(tuned),
                       picture(reference), tuned.summary())  # fmt: skip
    tracker.log({"test/samples": table, "test/gallery": wandb.Image(str(folder / "test" / "gallery.png"))})
    tracker.summary.update({f"test/{name}": figures for name, figures in metrics.items()})
    return finish_run(tracker)


def compare_with_labels(c: SimpleNamespace) -> None:
    """Hold our verdicts on the drawings of an earlier test against people's labels."""
    from qwen_svg.common.jsonl import read_jsonl
    from qwen_svg.common.run_folder import run_to_resume
    from qwen_svg.evaluation.agreement import agreement, print_agreement, read_labels, verdicts, write_agreement

    folder = Path(c.RUN_DIR) if c.RUN_DIR else run_to_resume("")
    path = folder / "test" / "samples.jsonl"
    if not path.is_file():
        raise UserError(
            f"{path} does not exist; run evaluate_test.py without `--labels` first, it draws what is labelled."
        )
    records = {record["id"]: record for record in read_jsonl(path)}
    if c.LABELS_OF not in COLUMNS or c.LABELS_OF not in next(iter(records.values()), {}):
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
    from scoring.candidate import Candidate
    from scoring.scores import find_score

    name, score = find_score(c.FOLLOWS_SCORE, drawn_by=str(folder))
    written = [record[c.LABELS_OF].get("scores", {}).get(name) for record in records]
    if None not in written:
        return written
    return score([Candidate(r[c.LABELS_OF]["answer"], r["description"], r["reference"]["answer"]) for r in records])


if __name__ == "__main__":
    run(main, start(__file__))
