"""Scripts called from tests as from a shell, but in this process."""

from types import ModuleType, SimpleNamespace

from qwen_svg.common.constants import constants_in_force
from qwen_svg.training.resume import constants_to_resume


def constants_of(script: ModuleType, *argv: str, positional: str = "") -> SimpleNamespace:
    """Return the constants of a script for a command line, checked; raises what the script's start raises."""
    c = constants_in_force(script.__file__, list(argv), positional=positional)
    if script.__name__ == "train" and c.RESUME:
        c = constants_to_resume(script.__file__, c.RUN_NAME, argv=list(argv))
    if hasattr(script, "check_constants"):
        script.check_constants(c)
    return c


def run_main(script: ModuleType, *argv: str, positional: str = "") -> int | None:
    """Run a script's `main` and return its exit code."""
    return script.main(constants_of(script, *argv, positional=positional))
