"""Found only where a command of this folder is started by its path, and this folder is searched for the project."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[2])
del sys.modules["qwen_svg"]

import qwen_svg  # noqa: F401
