"""Asking a model many things at once: order, thoughts, time-outs, and when to give up. More in test_caption.py."""

import threading

import pytest

from corpus import chat_endpoint
from corpus.chat_endpoint import AskFailed, ChatEndpoint
from qwen_svg.common.errors import UserError
from tests.chat_server import chat_server

CONVERSATIONS = [[{"role": "user", "content": f"word {i}"}] for i in range(40)]


def test_many_are_asked_at_once_and_come_in_order():
    """All six requests of a round must be there before one is answered."""
    together = threading.Barrier(6)

    def reply(body, number):
        if number < 36:
            together.wait(20)
        return body["messages"][0]["content"].upper()

    with chat_server(reply) as server:
        answers = ChatEndpoint(server.url, "m", concurrency=6).ask_all(CONVERSATIONS)
    assert answers == [(f"WORD {i}", "") for i in range(40)]


def test_only_failures_in_a_row_end_a_run(monkeypatch):
    monkeypatch.setattr(chat_endpoint, "FAILED_IN_A_ROW", 3)
    with chat_server(lambda body, number: "fine" if number % 3 == 2 else (400, {})) as server:
        answers = ChatEndpoint(server.url, "m", concurrency=1).ask_all(CONVERSATIONS)
        assert [text for text, _ in answers] == ["", "", "fine"] * 13 + [""]
        server.reply = lambda body, number: (400, {})
        with pytest.raises(UserError, match="in a row"):
            ChatEndpoint(server.url, "m", concurrency=1).ask_all(CONVERSATIONS)
        assert 43 <= len(server.requests) < 60  # some are on their way when the run ends; all would be 80


def test_a_server_that_keeps_silent_is_a_failure_of_one_request():
    stop = threading.Event()
    with chat_server(lambda body, number: str(stop.wait(20))) as server:
        with pytest.raises(AskFailed, match="took too long"):
            ChatEndpoint(server.url, "m", timeout=0.2, retries=1).ask(CONVERSATIONS[0])
        assert len(server.requests) == 2
        stop.set()


def test_thoughts_are_taken_off_and_nothing_else():
    with chat_server(lambda body, number: "<think>\nA fox?\n</think>\n\nA fox <think>") as server:
        assert ChatEndpoint(server.url, "m").ask(CONVERSATIONS[0]) == "A fox <think>"
