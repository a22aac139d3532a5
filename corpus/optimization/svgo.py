"""SVGO as stage 2: one Node process for each of ours, because starting Node takes half a second."""

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

from corpus.optimization.refusal import Refused
from qwen_svg.common.errors import UserError
from svg_constraint import SVG_OPEN

WORKER = Path(__file__).with_name("svgo.mjs")


def run_svgo(svg: str, config: str) -> str:
    """Return what SVGO makes of a drawing in the dialect. Its root is put back: SVGO likes to drop what ours needs."""
    try:
        answer = _ask(_process(config, os.getpid()), svg)
    except (OSError, ValueError):
        _process.cache_clear()
        raise Refused("SVGO failed") from None
    if "svg" not in answer:
        raise Refused("SVGO failed")
    return re.sub(r"^\s*<svg[^>]*>", SVG_OPEN, answer["svg"].strip())


def check_svgo(config: str) -> None:
    """Raise UserError where SVGO cannot work: before the first file, not once for each."""
    if not Path(config).is_file():
        raise UserError(f"SVGO_CONFIG {config} does not exist.")
    with _start(config, subprocess.PIPE) as process:
        try:
            answer = _ask(process, SVG_OPEN + "</svg>")
        except (OSError, ValueError):
            process.stdin.close()
            said = re.findall(r"^\w*Error.*", process.stderr.read(), re.MULTILINE)
            answer = {"error": said[0] if said else "SVGO ended without a word"}
        process.kill()
    if "error" in answer:
        raise UserError(f"SVGO cannot use SVGO_CONFIG {config}: {answer['error']}")


def find_svgo(config: str) -> Path | None:
    """Return SVGO's folder: of the command on the PATH, or installed beside the configuration or here."""
    if command := shutil.which("svgo"):
        found = [Path(command).resolve().parent.parent]
    else:
        starts = (Path(config).resolve().parent, Path.cwd())
        found = [folder / "node_modules/svgo" for start in starts for folder in (start, *start.parents)]
    return next((folder for folder in found if (folder / "lib/svgo-node.js").is_file()), None)


@cache
def _process(config: str, _pid: int) -> subprocess.Popen:
    """Start SVGO, once in each of our processes: a forked one must not use its parent's."""
    return _start(config, subprocess.DEVNULL)


def _start(config: str, errors: int) -> subprocess.Popen:
    node, svgo = shutil.which("node"), find_svgo(config)
    if not node or not svgo:
        raise UserError("SVGO_CONFIG needs Node and SVGO; run `npm install svgo`, or leave it out for our own stage 2.")
    command = [node, str(WORKER), str(svgo), config]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)


def _ask(process: subprocess.Popen, svg: str) -> dict:
    process.stdin.write(json.dumps(svg) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())
