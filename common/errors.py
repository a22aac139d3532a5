"""Errors a user can act on: one sentence, a non-zero exit code, no traceback."""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can mend. The text names the file, line, constant or value and the way out."""


def run(main: Callable[[], int | None]) -> None:
    """Run a script's `main` and turn the expected failures into one sentence and an exit code.

    2 = the user's input or machine stands in the way, 130 = Ctrl-C. Anything else is a bug and keeps its
    traceback.
    """
    try:
        sys.exit(main())
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nstopped by Ctrl-C.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:  # `… | head` closed our output: not worth a word
        sys.stderr.close()
    except Exception as error:
        if not disk_full(error):
            raise
        print(f"error: the disk is full ({_where(error)}); free some space and run again.", file=sys.stderr)
    sys.exit(2)


def disk_full(error: BaseException) -> bool:
    """Whether the failure is a full disk, also where a library has wrapped the OSError in its own type.

    safetensors raises its own exception and torch's zip writer a RuntimeError; both keep the system's words.
    """
    chain: BaseException | None = error
    while chain is not None:
        if isinstance(chain, OSError) and chain.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if any(sign in str(chain) for sign in ("No space left on device", "PytorchStreamWriter failed")):
            return True
        chain = chain.__cause__ or chain.__context__
    return False


def _where(error: BaseException) -> str:
    return str(getattr(error, "filename", None) or str(error).splitlines()[0])
