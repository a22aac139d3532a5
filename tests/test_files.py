"""Files as others want them: readable as the umask says, known to be writable; commands that can be pasted."""

import os
import stat

import pytest
import torch
from safetensors.torch import save_file

from qwen_svg.common.errors import UserError
from qwen_svg.common.files import apply_umask, atomic_folder, require_writable
from qwen_svg.common.run_folder import check_run_name
from qwen_svg.training.checkpoints import mark_complete


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600), (0o002, 0o664)])
def test_files_are_readable_as_the_umask_says(tmp_path, mask, expected):
    before = os.umask(mask)
    try:
        (tmp_path / "deep").mkdir()
        for name in ("a.safetensors", "deep/b.safetensors"):
            save_file({"x": torch.zeros(1)}, tmp_path / name)
        (tmp_path / "link").symlink_to("/dev/null")
        apply_umask(tmp_path)
        files = [tmp_path / "a.safetensors", tmp_path / "deep/b.safetensors"]
        with atomic_folder(tmp_path / "made") as part:
            save_file({"x": torch.zeros(1)}, part / "c.safetensors")
        checkpoint = tmp_path / "checkpoint-3"
        checkpoint.mkdir()
        save_file({"x": torch.zeros(1)}, checkpoint / "d.safetensors")
        mark_complete(checkpoint)
        files += [tmp_path / "made/c.safetensors", *checkpoint.iterdir()]
        assert {mode(path) for path in files} == {expected} and len(files) == 5
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_what_cannot_be_written_is_known_at_once(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    require_writable(tmp_path / "new/deep/a.jsonl", tmp_path / "file")
    assert list((tmp_path / "new/deep").iterdir()) == [] and (tmp_path / "file").read_text() == "mine"
    for path in (tmp_path / "file/a", tmp_path / "folder", tmp_path / ("x" * 300), "/proc/a", tmp_path / "a\0"):
        with pytest.raises(UserError, match="cannot be written"):
            require_writable(type(tmp_path)(path))


def test_commands_can_be_pasted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = "it's my first run; rm -rf $HOME"
    (tmp_path / "outputs" / name).mkdir(parents=True)
    with pytest.raises(UserError) as error:
        check_run_name(name, is_new=True)
    assert "`--resume --run-name 'it'\"'\"'s my first run; rm -rf $HOME'`" in str(error.value)
