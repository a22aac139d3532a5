"""The block of UPPERCASE constants at the top of a script is its user interface; this makes it a command line.

A script writes its settings once, as typed module-level constants with a trailing comment:

    MAX_LENGTH: int = 1560  # tokens, prompt + answer; longer samples are dropped and counted

and calls `constants_in_force(__file__)` in `main()`. From the source text alone (nothing is imported, so
`--help` is instant) this gives every constant a flag (`--max-length 1024`), its default and its comment as
help, and a place in a YAML file (`--config configs/quickstart.yml`). Order: file < config < command line.
"""

import argparse
import ast
import difflib
import io
import sys
import tokenize
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from qwen_svg.common.errors import UserError

TYPES = {"int": int, "float": float, "str": str, "bool": bool, "list[str]": list}


@dataclass(frozen=True)
class Constant:
    """One declaration: `NAME: annotation = default  # comment`."""

    name: str
    type: type
    optional: bool  # "int | None": None is allowed and means "not set"
    default: Any
    comment: str

    @property
    def flag(self) -> str:
        return "--" + self.name.lower().replace("_", "-")


def constants_in_force(
    script: str | Path, argv: list[str] | None = None, base_config: Path | None = None, positional: str = ""
) -> SimpleNamespace:
    """Return a namespace with every constant of `script` as it stands after config file and command line.

    `base_config` stands in for the script's own defaults (a run that is resumed). `positional` names the constant that
    may also be given without its flag. Prints help and exits 0 on
    `--help`. Raises UserError for an unknown name (with the nearest one), a wrong type, or an unreadable config.
    """
    declared = declared_constants(script)
    values = {constant.name: constant.default for constant in declared}
    if base_config:
        values.update(read_config(base_config, declared))
    arguments = _parse_command_line(script, declared, sys.argv[1:] if argv is None else argv, positional)
    if config := arguments.pop("config", None):
        values.update(read_config(Path(config), declared))
    values.update(arguments)
    return SimpleNamespace(**values)


def check_numbers(c: SimpleNamespace, above_0: Iterable[str] = (), from_0: Iterable[str] = ()) -> None:
    """Raise UserError for a constant of `above_0` that is 0 or less, or one of `from_0` that is below 0."""
    for name in above_0:
        if getattr(c, name) <= 0:
            raise UserError(f"{name} must be above 0, not {getattr(c, name)}.")
    for name in from_0:
        if getattr(c, name) < 0:
            raise UserError(f"{name} must be 0 or more, not {getattr(c, name)}.")


def declared_constants(script: str | Path) -> list[Constant]:
    """Read the typed UPPERCASE assignments at the top level of a Python file, in order."""
    source = Path(script).read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.isupper():
            annotation = ast.unparse(node.annotation)
            base = annotation.removesuffix(" | None")
            if base in TYPES and node.value is not None:
                found.append(
                    Constant(
                        name=node.target.id,
                        type=TYPES[base],
                        optional=base != annotation,
                        default=ast.literal_eval(node.value),
                        comment=comments.get(node.end_lineno or 0, ""),
                    )
                )
    return found


def read_config(path: Path, declared: list[Constant]) -> dict[str, Any]:
    """Read a YAML mapping of constants (any letter case, `-` or `_`) and check names and types."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path} cannot be read: {error}.") from None
    except yaml.YAMLError as error:
        raise UserError(f"config file {path} is not valid YAML: {' '.join(str(error).split())}.") from None
    if not isinstance(content, dict):
        raise UserError(f"config file {path} must be a mapping of constants, like `max_length: 1024`.")
    by_name = {constant.name: constant for constant in declared}
    values = {}
    for key, value in content.items():
        name = str(key).upper().replace("-", "_")
        if name not in by_name:
            raise UserError(f"{path}: unknown constant {key!r}{_nearest(name, by_name)}.")
        values[name] = _typed(by_name[name], value, f"{path}: {key}")
    return values


def write_config(path: Path, constants: SimpleNamespace) -> None:
    """Write the constants in force as YAML that `--config` reads back."""
    import yaml

    content = {name.lower(): value for name, value in vars(constants).items()}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _parse_command_line(
    script: str | Path, declared: list[Constant], argv: list[str], positional: str
) -> dict[str, Any]:
    source = Path(script).read_text(encoding="utf-8")
    parser = _Parser(
        prog=f"python {_as_run(Path(script))}",
        description=ast.get_docstring(ast.parse(source)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    if all(constant.name != "CONFIG" for constant in declared):  # a script may have another use for the word
        parser.add_argument("--config", metavar="FILE", help="YAML file with constants; flags override it")
    for constant in declared:
        # No type= or nargs= magic: one checker serves the command line and the config file alike.
        kind = {"action": argparse.BooleanOptionalAction} if constant.type is bool else _metavar(constant)
        shown = f"{constant.comment} [{constant.default}]".replace("%", "%%")
        parser.add_argument(constant.flag, dest=constant.name, help=shown, **kind)
        if constant.name == positional:
            count = "*" if constant.type is list else "?"
            parser.add_argument(positional, nargs=count, help=f"the same as {constant.flag}")
    given = vars(parser.parse_args(argv))
    by_name = {constant.name: constant for constant in declared}
    return {n: v if n == "config" else _typed(by_name[n], v, by_name[n].flag) for n, v in given.items()}


def _as_run(script: Path) -> str:
    """Return how a script is started: train.py, or -m corpus.optimize for one inside a room."""
    room = script.resolve().parent
    is_room = (room.parent / "train.py").is_file() and not (room / "train.py").is_file()
    return f"-m {room.name}.{script.stem}" if is_room else script.name


def _metavar(constant: Constant) -> dict[str, Any]:
    return {"metavar": "TEXT", "nargs": "*"} if constant.type is list else {"metavar": constant.type.__name__}


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in the house's form: one sentence, the nearest name, exit code 2."""

    def error(self, message: str) -> Any:
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split()[0]
            if not word.startswith("-") and self._get_positional_actions():
                raise UserError(f"unknown argument {word}; put a text of several words in quotes.")
            flags = [option for action in self._actions for option in action.option_strings]
            nearest = difflib.get_close_matches(word.split("=")[0], flags, n=1, cutoff=0.4)
            hint = f"; did you mean {nearest[0]}?" if nearest else "; --help lists every constant."
            raise UserError(f"unknown argument {word}{hint}")
        raise UserError(f"{message} (--help lists every constant).")


def _typed(constant: Constant, value: Any, where: str) -> Any:
    """Check one value against its declaration; text from the command line is read as the declared type."""
    if value is None or (isinstance(value, str) and value.lower() in ("none", "null")):
        if constant.optional:
            return None
        raise UserError(f"{where} must be {_type_name(constant)}, and None is not.")
    try:
        if constant.type is bool:
            if not isinstance(value, bool):
                raise ValueError
            return value
        if constant.type is list:
            return [str(item) for item in value] if not isinstance(value, str) else [value]
        if constant.type is str:
            return str(value)
        if isinstance(value, bool) or (constant.type is int and isinstance(value, float) and value % 1):
            raise ValueError
        return constant.type(value)
    except (TypeError, ValueError):
        raise UserError(f"{where} must be {_type_name(constant)}, not {value!r}.") from None


def _type_name(constant: Constant) -> str:
    words = {int: "a whole number", float: "a number", str: "text", bool: "true or false", list: "a list"}
    return words[constant.type] + (" or None" if constant.optional else "")


def _nearest(name: str, known: dict[str, Constant]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {nearest[0].lower()}?" if nearest else ""
