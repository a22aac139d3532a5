"""build_dataset in datatrove's pipeline blocks: on this machine's cores, on Slurm, on Ray.

A task prepares every TASKS-th piece; the last one joins them. What is finished stays finished: the same command again
goes on, and gives the bytes that one process gives.
"""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr
from functools import partial
from pathlib import Path

from datatrove.data import Document
from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from tqdm import tqdm

from corpus.dataset.plan import BuildPlan
from corpus.workers import in_processes
from qwen_svg.common.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


class _OfPlan(PipelineStep):
    def __init__(self, plan: BuildPlan):
        super().__init__()
        self.plan = plan


class ReadDrawings(_OfPlan):
    """Yield a document for each drawing of the task's pieces; the text is its SVG."""

    name, type = "drawings", "📖 - READER"

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        for piece, drawing in self.plan.drawings(_share(self.plan, rank, world_size)):
            self.stat_update("drawings")
            yield Document(text=drawing.svg, id=drawing.id, metadata={"piece": piece, "drawing": drawing})


class OptimizeAndAnnotate(_OfPlan):
    """Yield a document for each sample made of a drawing, or for its refusal, as corpus/dataset/record.py has them."""

    name, type = "optimize and annotate", "✂️ - FORMAT"

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        found = ((document.metadata["piece"], document.metadata["drawing"]) for document in data)
        for piece, line in self.plan.lines(found, processes=1):
            self.stat_update("refused" if "refused" in line else "samples")
            record = line.get("record", {"svg_content": "", "id": ""})
            yield Document(text=record["svg_content"], id=record["id"], metadata={"piece": piece, "line": line})


class WritePieces(_OfPlan):
    """Write the task's pieces, each whole or not at all."""

    name, type = "pieces", "💽 - WRITER"

    def run(self, data: Iterable[Document], rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        lines = ((document.metadata["piece"], document.metadata["line"]) for document in data)
        self.plan.write(_share(self.plan, rank, world_size), lines)
        yield from ()


class Join(PipelineStep):
    """Near-duplicates out, groups joined, data set and card written."""

    name, type = "join", "🫂 - DEDUP"

    def __init__(self, finish: Callable[[], None]):
        super().__init__()
        self.finish = finish

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        self.finish()
        yield from ()


def _share(plan: BuildPlan, rank: int, world_size: int) -> list[int]:
    """Return the task's pieces that no earlier run has finished."""
    return [piece for piece in plan.missing() if piece % world_size == rank]


def run_on(
    executor: str, plan: BuildPlan, finish: Callable[[], None], tasks: int, workers: int, slurm: dict[str, str]
) -> None:
    """Prepare the plan's pieces in `tasks` tasks, `workers` at a time, then call `finish` as a task of its own.

    executor: "local", "slurm" or "ray"; slurm: what SlurmPipelineExecutor takes besides, "partition" and "time" at
    least. On Slurm this returns when the jobs are queued.
    """
    blocks = [ReadDrawings(plan), OptimizeAndAnnotate(plan), WritePieces(plan)]
    logs = str(plan.folder / "logs")
    if executor == "local":
        _run_locally(blocks, logs, tasks, workers)
        finish()
    elif executor == "ray":
        RayPipelineExecutor(blocks, tasks=tasks, workers=workers, logging_dir=logs).run()
        finish()
    else:
        number = {name: int(value) if value.isdigit() else value for name, value in slurm.items()}
        setup = f"cd {ROOT}; export PYTHONPATH={ROOT} PATH={sys.prefix}/bin:$PATH"
        first = SlurmPipelineExecutor(
            blocks, tasks, workers=workers, job_name="prepare", logging_dir=logs, env_command=setup, **number
        )
        SlurmPipelineExecutor(
            [Join(finish)], 1, job_name="join", logging_dir=f"{logs}-join", depends=first, env_command=setup, **number
        ).run()
        print(f"queued; {plan.folder} holds the logs until the data set is written.")


def _run_locally(blocks: list[PipelineStep], logs: str, tasks: int, workers: int) -> None:
    """Run each task in a process that may die: it is then run once more, alone. (datatrove's own pool would wait.)"""
    incomplete = _executor(blocks, logs, tasks).get_incomplete_ranks(range(tasks))
    run = partial(_run_task, blocks=blocks, logs=logs, tasks=tasks)
    results = in_processes(run, incomplete, workers, lambda rank: "its process died twice")
    for rank, fault in tqdm(results, total=tasks, initial=tasks - len(incomplete), desc="tasks", unit="", disable=None):
        if fault:
            raise UserError(f"task {rank} failed: {fault}; mend it and run the same command again, which goes on.")


def _run_task(rank: int, blocks: list[PipelineStep], logs: str, tasks: int) -> str:
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):  # datatrove's logs; they are also in `logs`
        try:
            # run() would start a process of its own, which outlives a killed one and hides its death.
            _executor(blocks, logs, tasks)._run_for_rank(rank)
        except UserError as error:
            return str(error)
    return ""


def _executor(blocks: list[PipelineStep], logs: str, tasks: int) -> LocalPipelineExecutor:
    return LocalPipelineExecutor(blocks, tasks=tasks, logging_dir=logs)
