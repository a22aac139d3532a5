"""How long does `--help` of each script take? (A goal of 0.3 s: heavy imports wait until they are needed.)

python -m benchmarks.startup [--json]
"""

import subprocess
import sys

from benchmarks.measure import paired, report

ROUNDS = 7
ROOMS = {
    "corpus": ("mine", "optimize", "caption", "describe", "build_dataset"),
    "encoder": ("train_tokenizer", "pretrain", "contrast", "embed", "convert_to_hf"),
}
SCRIPTS = {
    "svg_constraint.py": ["svg_constraint.py"],
    "preprocess_token_lengths.py": ["preprocess_token_lengths.py"],
    "train.py": ["train.py"],
    "evaluate_test.py": ["evaluate_test.py"],
} | {f"{room}.{name}": ["-m", f"{room}.{name}"] for room, names in ROOMS.items() for name in names}


def main() -> None:
    def run(arguments: list[str]) -> None:
        subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)

    contenders = {"python -c pass": lambda: run(["-c", "pass"])}
    for name, arguments in SCRIPTS.items():
        contenders[name] = lambda arguments=arguments: run([*arguments, "--help"])
    figures = paired(contenders, ROUNDS)
    for name, figure in figures.items():
        print(f"{name:<30}{figure['seconds']:>7.3f} s")
    report(figures)


if __name__ == "__main__":
    main()
