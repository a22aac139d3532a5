"""What GRPO and DPO do with their constants, before anything heavy is imported.

A script's method, "grpo" or "dpo", names its constants' file in the run folder: grpo.yml. config.yml there is the one
of the run it began as, for those that draw and test.
"""

from pathlib import Path
from types import SimpleNamespace

from qwen_svg.common.errors import UserError, require_package
from qwen_svg.common.run_folder import check_run_name, open_run, run_to_resume
from qwen_svg.training.resume import constants_to_resume

FORMERLY = {"RUN_DIR": "MODEL"}


def constants_of(script: str, c: SimpleNamespace, argv: list[str] | None = None) -> SimpleNamespace:
    """Return the script's constants; with RESUME those of the run to resume, with what the command line changes.

    script: the path of train_<method>.py. c: what `start` has returned. argv: None = the command line.
    """
    if not c.RESUME:
        return c
    folder, config = run_to_resume(c.RUN_NAME), f"{Path(script).stem.removeprefix('train_')}.yml"
    if not (folder / config).is_file():
        raise UserError(f"{folder} is no run of this script (no {config}); name one with `--run-name`.")
    return constants_to_resume(script, folder.name, config, argv, FORMERLY)


def check_constants(c: SimpleNamespace) -> None:
    """Refuse a missing library, a RUN_NAME that is taken, and a MODEL that is no run."""
    require_package("trl")
    check_run_name(c.RUN_NAME, is_new=not c.RESUME)
    if not c.RESUME:
        open_run(c.MODEL)
