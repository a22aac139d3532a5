"""serve.py with its model in double precision, and rows that break when they are asked to: for benchmarks.chaos.

A description "break mask" breaks its own row in the grammar's mask; others in reading a token, sampling, the model's
scores, the text, judging, the prompt.
"""

import math
from types import SimpleNamespace

import serve
from qwen_svg.common.constants import constants_in_force
from qwen_svg.generation import transformers_decoder
from qwen_svg.generation.decoder import RowState
from qwen_svg.generation.predictor import Predictor, Settings
from qwen_svg.serving.server import serve as serve_until_stopped
from qwen_svg.serving.worker import Job, Worker

BREAK_AFTER = 5  # tokens
PIECE = 300  # tokens: every prompt is read in pieces


class Broken(Exception):
    """On purpose."""


def fail(*_):
    raise Broken


def late(function, then=fail):
    """Return a function that calls `function` for BREAK_AFTER times, and then something else."""
    calls = 0

    def called(*arguments):
        nonlocal calls
        calls += 1
        return (function if calls <= BREAK_AFTER else then)(*arguments)

    return called


def sabotage(worker: Worker) -> None:
    predictor: Predictor = worker.predictor
    make_row, make_drawing, choose, say = predictor.row, predictor.drawing, predictor.engine._choose, worker._say
    in_scores: set[RowState] = set()

    def row(description: str, settings: Settings, *more) -> RowState:
        made = make_row(description, settings, *more)
        match description.partition("break ")[2]:
            case "mask":
                made.constraint.mask = late(made.constraint.mask)
            case "take":
                made.constraint.take = late(made.constraint.take)
            case "sampler":
                made.temperature = math.nan
            case "scores":
                in_scores.add(made)
            case "prompt":
                fail()
        return made

    def drawing(description: str, row: RowState):
        return fail() if description == "break judge" else make_drawing(description, row)

    def choose_among(scores, rows: list[RowState]) -> None:
        for i, row in enumerate(rows):
            if row in in_scores and len(row.tokens) == BREAK_AFTER:
                in_scores.discard(row)
                scores[i] = math.nan
        choose(scores, rows)

    def say_to(job: Job, row: RowState) -> None:
        if job.description == "break text" and len(row.tokens) == BREAK_AFTER:
            fail()
        say(job, row)

    predictor.row, predictor.drawing, predictor.engine._choose, worker._say = row, drawing, choose_among, say_to


def main(c: SimpleNamespace) -> None:
    listener = serve.listen(c.HOST, c.PORT)
    app, worker = serve.build(c)
    worker.predictor.engine.model.double()
    transformers_decoder.STEP_LIMIT["cpu"] = PIECE
    sabotage(worker)
    serve_until_stopped(app, worker, listener, c.DRAIN_SECONDS)


if __name__ == "__main__":
    main(constants_in_force(serve.__file__))
