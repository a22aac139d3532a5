"""What the libraries print that is no news to the user. Errors and our own lines stay."""

import os
import sys
import warnings


def quieten() -> None:
    """Call before the first heavy import of a script."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # else a warning at every fork of a data worker
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", category=FutureWarning)
    if not sys.stderr.isatty():  # bars are for people; a log file would hold each of their states
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()
