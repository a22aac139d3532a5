"""Where the tests find the repo and the optional shared files (real samples, corpora) beside it."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = ROOT.parent / "shared"
