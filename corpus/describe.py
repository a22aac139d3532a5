"""New short descriptions of pictures, for drawings that are still to be made: a language model writes them by themes.

Reads   an OpenAI-compatible endpoint (BASE_URL; the key comes from OPENAI_API_KEY), and EXAMPLES where given.
Writes  OUTPUT (JSON lines: id, description, theme); on the terminal, how many were refused and why.

    python -m corpus.describe --count 1000 --base-url http://localhost:8000/v1 --model Qwen/Qwen2.5-7B-Instruct
    python -m corpus.describe --themes "kites, lighthouses" --examples data/svg_results.jsonl --base-url … --model …

Each description has fewer than 15 words and is unlike all others, of OUTPUT and of EXAMPLES; no people, names, brands
or writing (corpus/description/refuse.py). Stopped at any moment, the same command goes on where it was.
"""

from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

from qwen_svg.common.constants import Between, PositiveInt, Seed, start
from qwen_svg.common.errors import UserError, run

# Model
BASE_URL: str = ""  # of an OpenAI-compatible server, like http://localhost:8000/v1
MODEL: str = ""  # the name it is served under
TEMPERATURE: Annotated[float, Between(0, 2)] = 1.0  # below 1 the model repeats itself sooner
CONCURRENCY: PositiveInt = 8  # requests at once
# What is asked for
COUNT: PositiveInt = 1000  # descriptions in OUTPUT at the end, those of earlier runs included
PER_REQUEST: PositiveInt = 20  # descriptions asked for at once; in long lists models repeat themselves
THEMES: str = ""  # with commas between; "" = those of corpus/description/themes.py
EXAMPLES: str = ""  # JSONL with a field `description`: the form to write in, and what not to write again
SEED: Seed = 12343  # of the choice of examples, and of sampling
# Output
OUTPUT: str = "data/descriptions.jsonl"  # continued when it is there


if __name__ == "__main__":
    c = start(__file__)

import json
import random

from tqdm import tqdm

from corpus.chat_endpoint import ChatEndpoint
from corpus.description.collection import Collection
from corpus.description.request import descriptions_in, request
from corpus.description.themes import THEMES as our_themes
from qwen_svg.common.jsonl import append_all, written_before

SHOTS = 6  # examples in each request
RECENT = 30  # of the same theme, named in each request as there already
NOTHING_NEW = 24  # requests without a new description: then the model has said what it has to say
MAX_TOKENS = 4096  # of an answer: room for a model that thinks first


def main(c: SimpleNamespace) -> None:
    themes = [theme.strip() for theme in c.THEMES.split(",") if theme.strip()] or list(our_themes)
    examples = read_examples(c.EXAMPLES) if c.EXAMPLES else []
    collection = Collection(themes, c.COUNT)
    for record in written_before(Path(c.OUTPUT), "id", "description", "theme"):
        collection.restore(record)
    for example in [*examples, *(line for lines in our_themes.values() for line in lines)]:
        collection.known.add(example)  # small models give the examples back
    before = collection.size
    idle = collect(c, collection, examples) if before < c.COUNT else 0
    print(f"{c.OUTPUT}: {collection.size - before} descriptions written" + (f", {before} were there" if before else ""))
    for reason, count in collection.refused.most_common():
        print(f"  {count:>6}  {reason}")
    if collection.size < c.COUNT:
        raise UserError(
            f"the last {idle} requests brought nothing new, at {collection.size} of {c.COUNT} descriptions; give other "
            "THEMES or EXAMPLES, a higher TEMPERATURE or another MODEL, and run again."
        )


def collect(c: SimpleNamespace, collection: Any, examples: list[str]) -> int:
    """Ask, in rounds of CONCURRENCY requests, until there are enough or nothing new comes; write as they come.

    Returns how many requests, the last ones, brought nothing new.
    """
    endpoint = ChatEndpoint(c.BASE_URL, c.MODEL, c.CONCURRENCY)
    Path(c.OUTPUT).parent.mkdir(parents=True, exist_ok=True)
    asked = idle = 0
    with tqdm(total=c.COUNT, initial=collection.size, desc="descriptions", unit="", disable=None) as bar:
        while collection.size < c.COUNT and idle < NOTHING_NEW:
            draw = random.Random(f"{c.SEED}:{collection.size}:{asked}")
            themes = collection.next_themes(c.PER_REQUEST, c.CONCURRENCY)
            questions = [
                request(theme, c.PER_REQUEST, shots(theme, examples, draw), collection.by_theme[theme][-RECENT:])
                for theme in themes
            ]
            settings = {"temperature": c.TEMPERATURE, "max_tokens": MAX_TOKENS, "seed": draw.randrange(2**31)}
            records = []
            for theme, (answer, reason) in zip(themes, endpoint.ask_all(questions, **settings), strict=True):
                records += collection.take(descriptions_in(answer), theme)
                if reason:
                    collection.refused[f"request without an answer: {reason}"] += 1
            append_all(Path(c.OUTPUT), records)
            bar.update(len(records))
            asked += len(themes)
            idle = 0 if records else idle + len(themes)
    return idle


def shots(theme: str, examples: list[str], draw: random.Random) -> list[str]:
    """Return examples for a request: the user's, or ours of the theme and some of others for the form."""
    if examples:
        return draw.sample(examples, min(SHOTS, len(examples)))
    own = list(our_themes.get(theme, ()))
    others = [line for name, lines in our_themes.items() if name != theme for line in lines]
    return own + draw.sample(others, SHOTS - len(own))


def read_examples(path: str) -> list[str]:
    """Return the field `description` of each line of a JSONL."""
    try:
        with open(path, encoding="utf-8") as file:
            lines = [(number, line) for number, line in enumerate(file, 1) if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"EXAMPLES {path} cannot be read ({error}).") from None
    examples = []
    for number, line in lines:
        try:
            examples.append(json.loads(line)["description"].strip())
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UserError(f"EXAMPLES {path}:{number} is no JSON object with a text `description`.") from None
    if not examples:
        raise UserError(f"EXAMPLES {path} is empty.")
    return examples


if __name__ == "__main__":
    run(main, c)
