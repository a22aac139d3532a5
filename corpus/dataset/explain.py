"""Reasoning and comments by a language model, for samples that have them from geometry. What it said is kept."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock

from corpus.chat_endpoint import ChatEndpoint
from corpus.dataset.record import Rules
from corpus.llm_answer import Answered, answer_for
from prompt_template import extract_svg
from qwen_svg.common.jsonl import append_all, written_before
from qwen_svg.svg.content_hash import content_hash


@dataclass(frozen=True)
class Asking:
    """Where and how often to ask; constants of corpus/build_dataset.py."""

    base_url: str
    model: str
    attempts: int
    at_once: int


def explained(
    lines: Iterable[tuple[int, dict]], asking: Asking, rules: Rules, folder: Path
) -> Iterator[tuple[int, dict]]:
    """Yield the lines in order, samples with the model's answer in place of the geometry's, or refused without one.

    A piece's answers are appended to a file in `folder` as they come, so that a killed run does not ask again.
    """
    endpoint = ChatEndpoint(asking.base_url, asking.model, asking.at_once)
    answer = partial(answer_for, ask=endpoint.ask, dialect=rules.dialect, max_error=rules.max_error,
                     attempts=asking.attempts)  # fmt: skip
    waiting: deque[tuple[int, dict, Future | None]] = deque()
    answers: _Answers | None = None
    pool = ThreadPoolExecutor(asking.at_once)
    try:
        for piece, line in lines:
            path = folder / f"{piece:05d}.answers"
            if answers is None or answers.path != path:
                answers = _Answers(path)
            future = pool.submit(answers.of, line["record"], answer) if "record" in line else None
            waiting.append((piece, line, future))
            if len(waiting) > 2 * asking.at_once:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _finished(piece: int, line: dict, future: Future | None) -> tuple[int, dict]:
    if future is None:
        return piece, line
    text, reason = future.result()
    if reason:
        return piece, {"refused": f"language model: {reason}", "source": line["record"]["source"]}
    return piece, line | {"record": line["record"] | {"svg_content": text}}


class _Answers:
    """What was answered for the drawings of one piece, also in an earlier run; what failed is asked again."""

    def __init__(self, path: Path):
        self.path, self.writing = path, Lock()
        self.known = {answer["hash"]: answer["text"] for answer in written_before(path, "hash", "text")}

    def of(self, record: dict, answer: Callable[[str, str], Answered]) -> tuple[str, str]:
        """Return (text, "") or ("", why there is none)."""
        key = content_hash(f"{record['description']}\n{record['svg_content']}")
        if key not in self.known:
            said = answer(record["description"], extract_svg(record["svg_content"]))
            if said.text is None:
                return "", said.reason
            with self.writing:
                self.known[key] = said.text
                append_all(self.path, [{"hash": key, "text": said.text}])
        return self.known[key], ""
