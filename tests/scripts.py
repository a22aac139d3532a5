"""Scripts called from tests as from a shell, but in this process."""

from types import ModuleType, SimpleNamespace

from qwen_svg.common.constants import constants_in_force
from qwen_svg.training.resume import constants_to_resume


def constants_of(script: ModuleType, *argv: str, positional: str = "") -> SimpleNamespace:
    """Return the constants of a script for a command line, checked; raises what the script's start raises."""
    formerly = getattr(script, "FORMERLY", None)
    c = constants_in_force(script.__file__, list(argv), positional=positional, formerly=formerly)
    if hasattr(script, "constants_of"):  # reinforce's, which knows where such a run has its constants
        c = script.constants_of(script.__file__, c, list(argv))
    elif getattr(c, "RESUME", False):
        c = constants_to_resume(script.__file__, c.RUN_NAME, argv=list(argv))
    if hasattr(script, "check_constants"):
        script.check_constants(c)
    return c


def run_main(script: ModuleType, *argv: str, positional: str = "") -> int | None:
    """Run a script's `main` and return its exit code."""
    return script.main(constants_of(script, *argv, positional=positional))
