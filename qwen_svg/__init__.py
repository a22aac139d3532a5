"""What the scripts share, in rooms. A room imports only from those below it:

serving
generation
training, evaluation    neither knows of the other
model
common
svg                     below svg_constraint.py and prompt_template.py
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - every script comes by here before it imports what older ones lack
    sys.exit(
        "error: Qwen-SVG needs Python 3.11 or newer, and this is {}.{}; make the environment with a newer one, as in "
        "`python3.11 -m venv .venv`.".format(*sys.version_info[:2])
    )
