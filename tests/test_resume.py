"""A file that is gone on with: what was whole stays, what was cut is written again, others' files are not touched."""

import io

import pytest

from qwen_svg.common.errors import UserError, run
from qwen_svg.common.jsonl import append_all, written_before

FIRST, SECOND = '{"id": "1", "svg": "a"}\n', '{"id": "2", "svg": "b"}\n'


@pytest.mark.parametrize("cut", range(len(SECOND)))
def test_a_line_that_was_cut_anywhere_is_written_again(cut, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(FIRST + SECOND[:cut])
    assert [record["id"] for record in written_before(path, "id", "svg")] == ["1"]
    append_all(path, [{"id": "2", "svg": "b"}])
    assert path.read_text() == FIRST + SECOND


@pytest.mark.parametrize(
    "text",
    [
        '{"id": "1", "description": "a fox"}\n',  # as a data file begins
        '{"id": "1", "description": "a fox"}',  # and one of a single line, by an editor that ends none
        FIRST + '{"id": "1", "description": "a fox"}',
        FIRST + '["id", "svg"]\n',
        FIRST + "3\n",
        "{'id': '1'}",
        "\n",
    ],
)
def test_somebody_elses_file_is_left_as_it_is(text, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(
        UserError, match=rf"x\.jsonl:{1 + text.startswith(FIRST)} is not a line that this script writes"
    ):
        list(written_before(path, "id", "svg"))
    assert path.read_text() == text


def test_a_disk_that_takes_a_part_of_a_line_is_asked_again_and_then_says_so(tmp_path, monkeypatch):
    class Full(io.FileIO):
        room = 30

        def write(self, data):
            if not self.room:
                raise OSError(28, "No space left on device")
            written = super().write(bytes(data)[: self.room])
            self.room -= written
            return written

    path = tmp_path / "x.jsonl"
    monkeypatch.setattr(type(path), "open", lambda self, *_, **__: Full(self, "ab"))
    with pytest.raises(OSError, match="No space left"):
        append_all(path, [{"id": "1", "svg": "a"}, {"id": "2", "svg": "b"}])
    monkeypatch.undo()
    assert [record["id"] for record in written_before(path, "id", "svg")] == ["1"]
    assert path.read_text() == FIRST


@pytest.mark.parametrize(
    ("path", "said"),
    [("file/below", "file/below"), ("folder", "folder"), ("x" * 300, "x" * 300)],
)
def test_a_path_that_does_not_allow_it_is_one_sentence(path, said, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(SystemExit) as stopped:
        run(lambda _: append_all(tmp_path / path, [{"id": "1"}]), None)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.startswith(f"error: {tmp_path / said} cannot be read or written")
    assert error.count("\n") == 1


def test_a_bug_keeps_its_traceback(tmp_path):
    with pytest.raises(FileNotFoundError):
        run(lambda _: append_all(tmp_path / "none" / "x", []), None)
