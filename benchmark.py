"""Figures for a paper's table: draw public prompts, and score the drawings as a named, published protocol does.

Reads   PROMPTS (.json, .jsonl, .csv, .txt) and MODEL: what draws, or drawings that another system has made.
Writes  outputs/benchmarks/<profile>-<model>/: card.json, card.md, report.html, samples.jsonl, svg/; and answers.jsonl,
        which a call that was stopped goes on with. COMPARE writes comparison.json, comparison.html and
        vote.html into outputs/benchmarks/<profile>-<one>-or-<other>/.

    python benchmark.py --model first --prompts easy_svg_captions.json --profile svgenius
    python benchmark.py --model http://localhost:8000/v1 --served-model Qwen3-8B --prompts test.csv --profile introsvg
    python benchmark.py --model drawings_of_another/ --prompts test.csv --missing-fail
    python benchmark.py --baseline rules --prompts easy_svg_errors_dataset.json --profile changes
    python benchmark.py --compare outputs/benchmarks/ours-first outputs/benchmarks/ours-other

One sample a prompt; BEST_OF, and by which SCORE, is on the card. A metric whose weights cannot be had is null, and the
card says why. Profiles: qwen_svg/evaluation/profiles/.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Literal

from qwen_svg.common.constants import Above, NonNegativeFloat, NonNegativeInt, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run
from qwen_svg.evaluation.made_drawings import made_elsewhere
from qwen_svg.evaluation.profile import read_profile
from qwen_svg.evaluation.prompts import read_prompts

# What is asked
PROMPTS: list[str] = []  # files of prompts: SVGenius's .json, .csv with id and desc, .jsonl, .txt with one to a line
LIMIT: NonNegativeInt = 0  # take so many, the first ones; 0 = all
REFERENCES: str = ""  # folder with ID.svg or ID.png, where the prompts bring no references
FID_REFERENCES: str = ""  # folder of .png that FID is taken to, where it is not to the references
PROFILE: str = "ours"  # svgenius, svgen, introsvg, sarena, mmsvg, starvector; ours, and changes (edits, repairs)
# What draws
MODEL: str = ""  # a run, merged model, .gguf; a folder of SVGs, .jsonl {id, svg}; http://…/v1; "" = the newest run
BASE_MODEL: str = ""  # where the base of a run or adapter lies; "" = where its training says
SERVED_MODEL: str = ""  # the name by which an endpoint serves its model
BASELINE: Literal["", "copy", "rules"] = ""  # in place of a model: edits and repairs as they were given, or by rule
NAME: str = ""  # of the model in the folder's name; "" = MODEL's own
MISSING_FAIL: bool = False  # a prompt without a drawing, among those made elsewhere, is one that its system failed at
# How
ENGINE: Literal["auto", "transformers", "llama.cpp"] = "auto"  # "auto": llama.cpp for .gguf files on CPUs, if installed
FREE: bool = False  # not constrained by the grammar: what the model says by itself
TEMPERATURE: NonNegativeFloat = 0.0  # 0 = greedy
SEED: Seed = 0  # of sampling, when TEMPERATURE is above 0
MAX_NEW_TOKENS: NonNegativeInt = 0  # of an answer; 0 = up to the length the model was trained with; endpoint: 4,096
SLOTS: PositiveInt = 8  # drawings made side by side
BEST_OF: Annotated[int, Above(0, 1000)] = 1  # draw so many for each prompt and keep the best by SCORE
SCORE: str = ""  # of scoring/, that chooses among BEST_OF; "" = legal, renders, structural score
# Scored by
WEIGHTS: list[str] = []  # ID=FOLDER: a local copy of a model of the profile
# Or
COMPARE: list[str] = []  # two cards of the same prompts: differences, a gallery, and a page to vote on
LABELS: str = ""  # the labels.csv that the page has saved: what people say joins the differences


def check_constants(c: SimpleNamespace) -> None:
    """Refuse what does not go together, and prompts that cannot be read, before anything heavy is imported."""
    if c.COMPARE:
        if len(c.COMPARE) != 2:
            raise UserError(f"COMPARE takes two cards, not {len(c.COMPARE)}; give two folders of outputs/benchmarks/.")
        if c.LABELS and not Path(c.LABELS).is_file():
            raise UserError(f"LABELS {c.LABELS} does not exist; save it from the comparison's vote.html.")
        return
    if c.LABELS:
        raise UserError("LABELS are of two cards; name them with `--compare`.")
    read_profile(c.PROFILE)
    if not c.PROMPTS:
        raise UserError("PROMPTS is not given; name a file of prompts with `--prompts`.")
    prompts = read_prompts(c.PROMPTS, c.LIMIT)
    if c.BASELINE and (plain := next((prompt for prompt in prompts if prompt.svg is None), None)):
        raise UserError(f"BASELINE is for edits and repairs, and prompt {plain.id!r} brings no drawing; give a MODEL.")
    if c.BASELINE and c.MODEL:
        raise UserError(f"BASELINE {c.BASELINE} stands in for a model; leave out `--model {c.MODEL}`.")
    if is_endpoint(c.MODEL) and not c.SERVED_MODEL:
        raise UserError(f"MODEL {c.MODEL} is an endpoint; say which model it serves with `--served-model`.")
    if c.BEST_OF > 1 and c.TEMPERATURE == 0:
        raise UserError(f"BEST_OF is {c.BEST_OF}, but at TEMPERATURE 0 all drawings are the same; give one, as 0.7.")
    if c.BEST_OF > 1 and (is_endpoint(c.MODEL) or (c.MODEL and made_elsewhere(c.MODEL))):
        raise UserError("BEST_OF is for models that draw here; leave it out.")
    if c.SCORE and c.BEST_OF == 1:
        raise UserError("SCORE chooses among several drawings; give `--best-of 8`, say.")
    if wrong := [one for one in c.WEIGHTS if "=" not in one]:
        raise UserError(f"WEIGHTS {wrong[0]} is not like openai/clip-vit-base-patch32=FOLDER.")


def is_endpoint(model: str) -> bool:
    return model.startswith(("http://", "https://"))


if __name__ == "__main__":
    c = start(__file__)
    check_constants(c)

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib import metadata

from corpus.chat_endpoint import ChatEndpoint
from prompt_template import build_prompt, extract_svg
from qwen_svg.common.files import require_writable, sha256
from qwen_svg.common.run_folder import OUTPUTS, PACKAGES
from qwen_svg.evaluation.answer_file import answered_before, keep_answers
from qwen_svg.evaluation.card import CARD, Sample, card_text, make_card, write_card
from qwen_svg.evaluation.card_report import write_card_report
from qwen_svg.evaluation.comparison import compare_cards
from qwen_svg.evaluation.made_drawings import Made, read_made
from qwen_svg.evaluation.profile import Profile
from qwen_svg.evaluation.profile_pictures import judge_made, require_renderer
from qwen_svg.evaluation.prompts import Prompt
from qwen_svg.evaluation.references import read_references
from qwen_svg.generation.best_of_n import DrawingPlan
from qwen_svg.generation.draw_prompts import draw_prompts
from qwen_svg.generation.pick_engine import pick_engine
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.model.source import find_model, find_source
from scoring.candidate import Candidate
from scoring.editing.mend import mended
from scoring.published.measures import MODELS, measure_all
from scoring.scores import find_score

BENCHMARKS = OUTPUTS / "benchmarks"
ENDPOINT_TOKENS = 4096
RENDERED_BY = {"resvg": (), "cairosvg": ("cairosvg",)}  # packages beside those that are always needed
BASELINES = {"copy": "a copy of what was given", "rules": "a copy, repairs by rule (scoring/editing/mend.py)"}
ASKED_WITH = "the instruction of prompt_template.py"


def main(c: SimpleNamespace) -> None:
    if c.COMPARE:
        folder = compare_cards(*c.COMPARE, BENCHMARKS, c.LABELS)
        print(f"{folder / 'comparison.html'} · to vote on: {folder / 'vote.html'}")
        return

    # 1. What is asked, of whom, and under which protocol; what would fail later is said now.
    profile, prompts = read_profile(c.PROFILE), read_prompts(c.PROMPTS, c.LIMIT)
    require_renderer(profile)
    weights = local_weights(c.WEIGHTS, profile)
    references = read_references(prompts, c.REFERENCES, c.FID_REFERENCES, profile)
    name, drawn = described(c)
    folder = BENCHMARKS / f"{profile.name}-{name}"
    require_writable(*(folder / file for file in (CARD, "card.md", "report.html", "answers.jsonl")))
    print(f"{len(prompts)} prompts · {drawn['model']} · profile {profile.name}: {profile.about}", flush=True)

    # 2. Draw.
    made = drawings(c, prompts, folder / "answers.jsonl", drawn)

    # 3. Judge and measure.
    samples = [Sample(prompt, made[prompt.id], judge_made(made[prompt.id], profile)) for prompt in prompts]
    measured = measure_all(profile, samples, references, weights)
    for metric, found in measured.items():
        for sample, value in zip(samples, found.values or [], strict=False):
            sample.scores[metric] = value

    # 4. Write.
    said = {
        "prompts": ", ".join(c.PROMPTS),
        "prompt_files": {file: sha256(Path(file)) for file in c.PROMPTS},
        "model": name,
        "drawn": drawn,
        "versions": {name: metadata.version(name) for name in (*PACKAGES, *RENDERED_BY[profile.renderer])},
    }
    card = make_card(profile, samples, measured, said)
    write_card(folder, card, samples)
    write_card_report(folder / "report.html", card, samples, references.pictures)

    # 5. Show.
    print(f"\n{card_text(card).partition(chr(10) + '## Protocol')[0]}")
    print(f"{folder / CARD} · {folder / 'report.html'}")


def local_weights(given: list[str], profile: Profile) -> dict[str, str]:
    """Return the local folders of WEIGHTS by hub id. Raises UserError for an id that the profile does not look with."""
    known = sorted({spec[name] for spec in profile.metrics.values() for name in MODELS if name in spec})
    found = dict(one.split("=", 1) for one in given)
    for id, folder in found.items():
        if id not in known:
            nearest = get_close_matches(id, known, n=1, cutoff=0.4) or known
            raise UserError(f"WEIGHTS {id}: PROFILE {profile.name} looks with no such model; {', '.join(nearest)}?")
        if not Path(folder).exists():
            raise UserError(f"WEIGHTS {id}={folder}: {folder} does not exist; give the model's folder.")
    return found


def described(c: SimpleNamespace) -> tuple[str, dict]:
    """Return the model's name for a folder, and how it draws: what must not change when a benchmark is gone on with."""
    if c.BASELINE:
        return c.NAME or c.BASELINE, {"model": BASELINES[c.BASELINE], "made": "by rule"}
    if c.MODEL and made_elsewhere(c.MODEL):
        return c.NAME or Path(c.MODEL).resolve().stem, {"model": c.MODEL, "made": "elsewhere"}
    settings = {"temperature": c.TEMPERATURE, "seed": c.SEED, "max_new_tokens": c.MAX_NEW_TOKENS}
    if is_endpoint(c.MODEL):
        name = c.SERVED_MODEL.strip("/").replace("/", "-")
        return c.NAME or name, {"model": f"{c.SERVED_MODEL} at {c.MODEL}", "asked with": ASKED_WITH, **settings}
    model, source = find_model(c.MODEL), find_source(c.MODEL, c.BASE_MODEL)
    path = Path(model)
    own = (path.stem if path.is_file() else path.resolve().name) if path.exists() else model.replace("/", "-")
    way = {"model": model, "base": source.base, "engine": pick_engine(c.ENGINE, source), "asked with": ASKED_WITH}
    kept = f"best of {c.BEST_OF} by {c.SCORE or 'legality'}" if c.BEST_OF > 1 else "one sample a prompt"
    decoding = "free" if c.FREE else "constrained by the grammar of legal drawings"
    name = c.NAME or own + ("-free" if c.FREE else "")
    return name, {**way, "decoding": decoding, "kept": kept, **settings}


def drawings(c: SimpleNamespace, prompts: list[Prompt], path: Path, way: dict) -> dict[str, Made]:
    """Return what is drawn for each prompt, by id; what is drawn now is kept in `path` at once."""
    if c.BASELINE:
        return {prompt.id: by_rule(prompt, c.BASELINE) for prompt in prompts}
    if "made" in way:
        return read_made(c.MODEL, prompts, c.MISSING_FAIL)
    made = answered_before(path, prompts, way)
    todo = [prompt for prompt in prompts if prompt.id not in made]
    if todo:
        print(f"drawing {len(todo)}, {len(prompts) - len(todo)} were drawn before", flush=True)
        for some in (by_endpoint if is_endpoint(c.MODEL) else by_model)(c, todo):
            keep_answers(path, some, way)
            made |= {prompt.id: one for prompt, one in some}
    return made


def by_rule(prompt: Prompt, baseline: str) -> Made:
    svg = mended(prompt.svg) if baseline == "rules" and prompt.task == "repair" else prompt.svg
    return Made(svg, svg)


def by_model(c: SimpleNamespace, prompts: list[Prompt]) -> Iterator[list[tuple[Prompt, Made]]]:
    """Yield prompts with what a model draws for them, one by one."""
    settings = Settings(c.TEMPERATURE, c.SEED, c.MAX_NEW_TOKENS, c.FREE)
    scorer = chooser(c.SCORE, c.MODEL) if c.SCORE else None
    predictor = Predictor(find_source(c.MODEL, c.BASE_MODEL), c.SLOTS, engine=c.ENGINE)
    for prompt, made in draw_prompts(predictor, prompts, DrawingPlan(settings, c.BEST_OF, score=scorer)):
        yield [(prompt, made)]


def by_endpoint(c: SimpleNamespace, prompts: list[Prompt]) -> Iterator[list[tuple[Prompt, Made]]]:
    """Yield prompts with what an endpoint answers, SLOTS at a time. What it fails at is empty."""
    endpoint = ChatEndpoint(c.MODEL, c.SERVED_MODEL, concurrency=c.SLOTS)
    limits = {"temperature": c.TEMPERATURE, "max_tokens": c.MAX_NEW_TOKENS or ENDPOINT_TOKENS, "seed": c.SEED}
    for first in range(0, len(prompts), c.SLOTS):
        some = prompts[first : first + c.SLOTS]
        asked = [[{"role": "user", "content": build_prompt(prompt.text, prompt.svg, prompt.task)}] for prompt in some]
        answers = endpoint.ask_all(asked, **limits)
        yield [(prompt, Made(text, extract_svg(text))) for prompt, (text, _) in zip(some, answers, strict=True)]


def chooser(name: str, drawn_by: str) -> Callable[[list], list[float]]:
    """Return what scores drawings, for the best of several to be kept."""
    _, score = find_score(name, references=False, drawn_by=drawn_by)
    return lambda drawings: score([Candidate(made.answer, made.description) for made in drawings])


if __name__ == "__main__":
    run(main, c)
