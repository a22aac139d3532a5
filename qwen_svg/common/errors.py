"""Errors a user can act on: one sentence, a non-zero exit code, no traceback."""

import errno
import re
import signal
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.processes import processes, rank


class UserError(Exception):
    """Something the user can mend. The text names the file, line, constant or value and the way out."""


class LossIsNotANumber(UserError):
    """Training has come to a loss of NaN or infinity."""


def print_in_any_encoding() -> None:
    """Let a terminal or a pipe that cannot show a character get its code (→ as \\u2192), and go on."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not where a notebook or a test has put its own there
            stream.reconfigure(errors="backslashreplace")


def install_error_hook() -> None:
    """Let errors on the way to `run` (a script's imports) end in one sentence too."""
    sys.excepthook = lambda kind, error, traceback: _end(error) or sys.__excepthook__(kind, error, traceback)


def run(main: Callable[[SimpleNamespace], int | None], constants: SimpleNamespace) -> None:
    """Run a script's `main` and turn the expected failures into one sentence and an exit code.

    2 = the user's input or machine stands in the way, 130 = Ctrl-C. Anything else is a bug and keeps its traceback.
    """
    try:  # no hook would do here: wandb has one of its own, which prints tracebacks
        sys.exit(main(constants))
    except (Exception, KeyboardInterrupt) as error:
        _end(error)
        raise


def _end(error: BaseException) -> None:
    """Exit for an expected failure; return for a bug."""
    if isinstance(error, KeyboardInterrupt):
        if not rank():
            print("\nstopped by Ctrl-C.", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a launcher sends another one: that ends this without a word
        sys.exit(130)
    if isinstance(error, BrokenPipeError):  # `… | head` closed our output: not worth a word
        sys.stderr.close()
    elif isinstance(error, UserError):
        _say(str(error))
    elif isinstance(error, ModuleNotFoundError) and (way_out := missing_package(error.name or "")):
        _say(way_out)
    elif disk_full(error):
        _say(f"the disk is full ({_where(error)}); free some space and run again.")
    elif in_the_way(error):
        _say(f"{_where(error)} cannot be read or written ({error.strerror}); give another path, or mend this one.")
    elif lost_process(error):
        print(f"error: process {rank()} has lost another of its launch; go on with `--resume`.", file=sys.stderr)
    else:
        return
    sys.exit(2)


def _say(sentence: str) -> None:
    """Print what went wrong: once, where all processes of a launch fail alike."""
    if rank():
        time.sleep(10)  # time for process 0 to say the same and to end, whereupon the launcher ends this one
        sentence = f"process {rank()}: {sentence}"
    print(f"error: {sentence}", file=sys.stderr)


# Modules that have another name than the package they come in.
PACKAGE_OF = {
    "PIL": "pillow", "yaml": "pyyaml", "skimage": "scikit-image", "pathops": "skia-pathops", "optimi": "torch-optimi"
}  # fmt: skip


def require_package(module: str, what: str = "", otherwise: str = "") -> None:
    """Raise UserError where a module is not installed, without importing it.

    what: the constant with its value, say, that needs it; "" = the script. otherwise: another way out.
    """
    if find_spec(module) is None:
        package = module.replace("_", "-")
        way_out = missing_package(module, what) or f"{package} is not installed; `pip install {package}` first."
        raise UserError(f"{way_out.removesuffix('.')}, or {otherwise}." if otherwise else way_out)


def missing_package(module: str, what: str = "") -> str:
    """Return which file of requirements brings a module that is not installed, in a sentence; "" where none does.

    Of several files it is the one of the script's own room. what: see `require_package`.
    """
    root, script = Path(__file__).resolve().parents[2], Path(sys.argv[0])
    package = PACKAGE_OF.get(name := module.partition(".")[0], name.replace("_", "-")).lower()
    files = [root / "requirements.txt", *sorted((root / "requirements").glob("*.txt"))]
    pinned = re.compile(rf"^{re.escape(package)}==", re.MULTILINE)
    files = [file for file in files if pinned.search(file.read_text(encoding="utf-8"))]
    files.sort(key=lambda file: file.stem not in (script.stem, script.parent.name))
    if not files:
        return ""
    file = files[0].relative_to(root).as_posix()
    way_out = f"{what or script.name} needs {package}; `pip install -r {file}` brings it"
    ours = root / ".venv"
    is_elsewhere = ours.is_dir() and Path(sys.prefix).resolve() != ours.resolve()
    return way_out + (f", and {ours} may have it: `. {ours}/bin/activate`." if is_elsewhere else ".")


def one_line(error: BaseException | str, limit: int = 160) -> str:
    """What a library's error says, as part of a sentence: on one line, at most `limit` characters."""
    return " ".join(str(error).split())[:limit]


def first_sentence(error: BaseException | str) -> str:
    """The same, without what a long-winded library says behind its first sentence."""
    return one_line(one_line(error, 1000).partition(". ")[0])


# Words of safetensors (the system's) and of torch's zip writer, by how far it has come.
DISK_FULL = ("No space left on device", "PytorchStreamWriter failed", "unexpected pos")


def disk_full(error: BaseException) -> bool:
    """Whether the failure is a full disk, also where a library has wrapped the OSError in a type of its own."""
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and chain.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(chain) for sign in DISK_FULL):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def in_the_way(error: BaseException) -> bool:
    """Whether a path does not allow what is asked of it: a file where a folder should be, no permission …"""
    kinds = (FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
    others = (errno.EROFS, errno.ENAMETOOLONG)
    return isinstance(error, OSError) and bool(error.filename) and (isinstance(error, kinds) or error.errno in others)


def lost_process(error: BaseException) -> bool:
    """Whether a launch of several processes has lost one. gloo has no type of its own for it, NCCL has torch's."""
    lost = type(error).__name__ in ("DistBackendError", "DistNetworkError") or "by peer" in str(error)
    return processes() > 1 and lost


def _where(error: BaseException) -> str:
    return str(getattr(error, "filename", None) or str(error).splitlines()[0])
