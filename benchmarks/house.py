"""Is the tree still one a newcomer finds things in? Counts what this project holds itself to.

    python -m benchmarks.house [--json]

function_imports: project modules imported inside functions. cycles: circles among the files' top-level imports.
files_in_common: modules of qwen_svg/common. train_lines, readme_lines: of train.py and README.md.
"""

import ast
import json
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    files = python_files()
    modules = {module_name(path): path for path in files}
    trees = {name: ast.parse((ROOT / path).read_text(encoding="utf-8")) for name, path in modules.items()}
    inside = [f"{modules[name]}:{line}" for name, tree in trees.items() for line in function_imports(tree, modules)]
    figures = {
        "function_imports": len(inside),
        "cycles": len(cycles({name: top_imports(tree, modules) for name, tree in trees.items()})),
        "files_in_common": sum(path.startswith("qwen_svg/common/") for path in files),
        "train_lines": len((ROOT / "train.py").read_text(encoding="utf-8").splitlines()),
        "readme_lines": len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()),
    }
    if "--json" in sys.argv[1:]:
        print(json.dumps(figures))
        return
    print("\n".join(f"{name:<18}{value:>6}" for name, value in figures.items()))
    print("\n".join(f"  inside a function: {place}" for place in inside))


def python_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def module_name(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts).removesuffix(".__init__")


def imported(node: ast.AST, modules: dict[str, str]) -> set[str]:
    """Return the project modules that an import statement names; of a package the submodules, where those are meant."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & modules.keys()
    if isinstance(node, ast.ImportFrom) and node.module:
        inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules.keys()
        return inner or {node.module} & modules.keys()
    return set()


def function_imports(tree: ast.AST, modules: dict[str, str]) -> list[int]:
    """Return the lines of imports of project modules inside functions."""
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    nodes = {node for function in functions for node in ast.walk(function) if imported(node, modules)}
    return sorted(node.lineno for node in nodes)


def top_imports(tree: ast.Module, modules: dict[str, str]) -> set[str]:
    """Return the modules imported outside functions, also under an `if`."""
    found, todo = set(), list(tree.body)
    while todo:
        node = todo.pop()
        found |= imported(node, modules)
        if isinstance(node, ast.If | ast.Try | ast.With):
            todo += ast.iter_child_nodes(node)
    return found


def cycles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return circles of imports, one after the other: each is cut at its last arrow before the next is looked for."""
    found = []
    graph = {name: set(others) - {name} for name, others in graph.items()}
    while True:
        try:
            TopologicalSorter(graph).prepare()
            return found
        except CycleError as error:
            circle = error.args[1]  # each one is imported by the one before it in the list
            found.append(circle)
            graph[circle[1]].discard(circle[0])


if __name__ == "__main__":
    main()
