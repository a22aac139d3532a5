"""How long does `--help` of each script take? (A goal of 0.3 s: heavy imports wait until they are needed.)

python -m benchmarks.startup [--json]
"""

import subprocess
import sys
from pathlib import Path

from benchmarks.measure import paired, report

ROUNDS = 7
ROOT = Path(__file__).resolve().parent.parent


def scripts() -> dict[str, list[str]]:
    """Return how python is asked for each script, by name: all that call `start(__file__`, and the checker."""
    found = {"svg_constraint.py": ["svg_constraint.py"]}
    for path in sorted([*ROOT.glob("*.py"), *ROOT.glob("[a-z]*/**/*.py")]):
        parts = path.relative_to(ROOT).parts
        if parts[0] not in ("tests", "benchmarks") and "= start(__file__" in path.read_text(encoding="utf-8"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[parts[0] if len(parts) == 1 else name] = [path.name] if len(parts) == 1 else ["-m", name]
    return found


def main() -> None:
    def run(arguments: list[str]) -> None:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)

    contenders = {"python -c pass": lambda: run(["-c", "pass"])}
    for name, arguments in scripts().items():
        contenders[name] = lambda arguments=arguments: run([*arguments, "--help"])
    figures = paired(contenders, ROUNDS)
    for name, figure in figures.items():
        print(f"{name:<30}{figure['seconds']:>7.3f} s")
    report(figures)


if __name__ == "__main__":
    main()
