"""The block of UPPERCASE constants at the top of a script is its user interface; this makes it a command line.

A script writes its settings once, as typed module-level constants with a trailing comment:

    MAX_LENGTH: PositiveInt = 1560  # tokens, prompt + answer; longer samples are dropped and counted
    LOSS_ON: Literal["answer", "all"] = "answer"  # "answer": loss on reasoning, SVG and end of turn; "all": prompt too

and calls `start(__file__)` behind them, before it imports anything heavy. From the source text alone this gives every
constant a flag (`--max-length 1024`), its default, bounds and comment as help, and a place in a YAML file
(`--config configs/quickstart.yml`). Order: file < config < command line. The bounds hold for all three.
"""

import argparse
import ast
import difflib
import io
import math
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from qwen_svg.common.environment import asked_wandb_mode, configure_environment
from qwen_svg.common.errors import UserError, install_error_hook, one_line, print_in_any_encoding, require_package
from qwen_svg.common.processes import quiet_unless_main

ROOT = Path(__file__).resolve().parents[2]  # where train.py is
MOST_DIGITS = 12  # of a whole number without bounds of its own: more would fail later, in some library
MOST_CHARACTERS = 20_000  # of a text: more than any prompt has, and any path


@dataclass(frozen=True)
class Above:
    """Above `low`, and at most `high`."""

    low: float
    high: float = math.inf

    def allows(self, value: float) -> bool:
        return self.low < value <= self.high

    def __str__(self) -> str:
        return f"above {_figure(self.low)}" + (f", at most {_figure(self.high)}" if self.high < math.inf else "")


@dataclass(frozen=True)
class AtLeast:
    low: float

    def allows(self, value: float) -> bool:
        return value >= self.low

    def __str__(self) -> str:
        return f"{_figure(self.low)} or more"


@dataclass(frozen=True)
class Between:
    """Both ends are allowed."""

    low: float
    high: float

    def allows(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {_figure(self.low)} to {_figure(self.high)}"


def _figure(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


# The names are pydantic's.
PositiveInt = Annotated[int, Above(0)]
NonNegativeInt = Annotated[int, AtLeast(0)]
PositiveFloat = Annotated[float, Above(0)]
NonNegativeFloat = Annotated[float, AtLeast(0)]
Seed = Annotated[int, Between(0, 2**32 - 1)]  # what NumPy takes

# What an annotation may be written with.
VOCABULARY = {
    "int": int, "float": float, "str": str, "bool": bool, "list": list, "None": None, "Annotated": Annotated,
    "Literal": Literal, "Above": Above, "AtLeast": AtLeast, "Between": Between, "PositiveInt": PositiveInt,
    "NonNegativeInt": NonNegativeInt, "PositiveFloat": PositiveFloat, "NonNegativeFloat": NonNegativeFloat,
    "Seed": Seed,
}  # fmt: skip


@dataclass(frozen=True)
class Constant:
    """One declaration: `NAME: annotation = default  # comment`."""

    name: str
    type: type  # int, float, str, bool or list (of str)
    optional: bool  # "int | None": None is allowed and means "not set"
    choices: tuple  # of a Literal, else ()
    bounds: Above | AtLeast | Between | None
    default: Any
    comment: str

    @property
    def flag(self) -> str:
        return "--" + self.name.lower().replace("_", "-")


def start(script: str | Path, positional: str = "", formerly: dict[str, str] | None = None) -> SimpleNamespace:
    """Return a script's constants in force: the first thing it does, before it imports torch and its like.

    From here on what the user can mend ends the script with one sentence (`errors`), only the main process of a launch
    prints, and the libraries have been told what they must know before they are imported (`environment`). `--help` and
    every mistake in a constant end here. Arguments as of `constants_in_force`.
    """
    print_in_any_encoding()
    install_error_hook()
    quiet_unless_main()
    constants = constants_in_force(script, positional=positional, formerly=formerly)
    if getattr(constants, "WANDB", False):
        asked_wandb_mode()
    if tracker := getattr(constants, "REPORT_TO", ""):
        require_package(tracker)
    configure_environment()
    return constants


def constants_in_force(
    script: str | Path,
    argv: list[str] | None = None,
    base_config: Path | None = None,
    positional: str = "",
    formerly: dict[str, str] | None = None,
) -> SimpleNamespace:
    """Return a namespace with every constant of `script` as it stands after config file and command line.

    base_config: stands in for the script's own defaults (a run that is resumed). positional: the constant that may also
    be given without its flag. formerly: constants by a name they once had, which is still understood. Prints help and
    exits 0 on `--help`. Raises UserError for an unknown name (with the nearest one), a wrong type, a value out of its
    bounds, or an unreadable config.
    """
    declared, formerly = declared_constants(script), formerly or {}
    values = {constant.name: _typed(constant, constant.default, constant.name) for constant in declared}
    if base_config:
        values.update(read_config(base_config, declared, formerly))
    arguments = _parse_command_line(script, declared, sys.argv[1:] if argv is None else argv, positional, formerly)
    if config := arguments.pop("config", None):
        values.update(read_config(_found_config(config), declared, formerly))
    values.update(arguments)
    return SimpleNamespace(**values)


def _found_config(name: str) -> Path:
    """Return the file of that path, or, where there is none, the one of that name in configs/, with .yml or without."""
    places = (Path(name), *(ROOT / "configs" / f"{name}{ending}" for ending in ("", ".yml")))
    if found := next((place for place in places if place.is_file()), None):
        return found
    known = sorted(path.name for path in (ROOT / "configs").glob("*.yml"))
    raise UserError(f"there is no config file {name}, here or in configs/, which has {', '.join(known)}.")


def declared_constants(script: str | Path) -> list[Constant]:
    """Read the typed UPPERCASE assignments at the top level of a Python file, in order."""
    source = Path(script).read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    found = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.target.id.isupper():
            declaration = _declaration(ast.unparse(node.annotation))
            if declaration and node.value is not None:
                default, comment = ast.literal_eval(node.value), comments.get(node.end_lineno or 0, "")
                found.append(Constant(node.target.id, *declaration, default=default, comment=comment))
    return found


def _declaration(annotation: str) -> tuple[type, bool, tuple, Any] | None:
    """Return (type, optional, choices, bounds), or None where it is no type of a constant's."""
    try:
        kind = eval(annotation, {"__builtins__": {}}, VOCABULARY)
    except NameError:
        return None
    optional, choices, bounds = False, (), None
    if get_origin(kind) is Union or NoneType in get_args(kind):
        (kind,) = (part for part in get_args(kind) if part is not NoneType)
        optional = True
    if get_origin(kind) is Annotated:
        kind, bounds = get_args(kind)
    if get_origin(kind) is Literal:
        choices = get_args(kind)
        kind = type(choices[0])
    return get_origin(kind) or kind, optional, choices, bounds


def read_config(path: Path, declared: list[Constant], formerly: dict[str, str] | None = None) -> dict[str, Any]:
    """Read a YAML mapping of constants (any letter case, `-` or `_`) and check names, types and bounds.

    Where text is wanted it is taken as it is written: YAML would make true of `on` and `yes`, and 7 of `007`.
    """
    by_name = {constant.name: constant for constant in declared}
    values = {}
    for key, written, value in _yaml_items(path):
        name = key.upper().replace("-", "_")
        name = (formerly or {}).get(name, name)
        if name not in by_name:
            raise UserError(f"{path}: unknown constant {_shown(key)}{_nearest(name, by_name)}.")
        if value is False and "" in by_name[name].choices:
            value = ""  # a switch that is off: so it stands in runs from when SVG_TOKENS was one
        elif value is not None and by_name[name].type is str and isinstance(written, str):
            value = written
        if by_name[name].type is list and isinstance(value, list):
            value = [item.value for item in written]
        values[name] = _typed(by_name[name], value, f"{path}: {key}")
    return values


def _yaml_items(path: Path) -> Iterator[tuple[str, Any, Any]]:
    """Yield of a YAML mapping each key, what is written behind it (text, or a list of nodes), and the value of that."""
    import yaml  # 20 ms, for those who give a config

    try:
        loader = yaml.SafeLoader(path.read_text(encoding="utf-8-sig"))
        mapping = loader.get_single_node()
        if mapping is None:
            return
        if not isinstance(mapping, yaml.MappingNode):
            raise UserError(f"config file {path} must be a mapping of constants, like `max_length: 1024`.")
        loader.flatten_mapping(mapping)
        for key, node in mapping.value:
            yield str(key.value), node.value, loader.construct_object(node, deep=True)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"config file {path} cannot be read: {one_line(error)}.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date without such a day
        raise UserError(f"config file {path} is not valid YAML: {one_line(error)}.") from None


def write_config(path: Path, constants: SimpleNamespace) -> None:
    """Write the constants in force as YAML that `--config` reads back."""
    import yaml

    content = {name.lower(): value for name, value in vars(constants).items()}
    path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _parse_command_line(
    script: str | Path, declared: list[Constant], argv: list[str], positional: str, formerly: dict[str, str]
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
        # No type=, choices= or nargs= magic: one checker serves the command line and the config file alike.
        kind = {"action": argparse.BooleanOptionalAction} if constant.type is bool else _metavar(constant)
        parser.add_argument(constant.flag, dest=constant.name, help=_help(constant), **kind)
        if constant.name == positional:
            count = "*" if constant.type is list else "?"
            parser.add_argument(positional, nargs=count, help=f"the same as {constant.flag}")
    for old, name in formerly.items():
        parser.add_argument("--" + old.lower().replace("_", "-"), dest=name, help=argparse.SUPPRESS)
    given = vars(parser.parse_args(argv))
    by_name = {constant.name: constant for constant in declared}
    return {n: v if n == "config" else _typed(by_name[n], v, by_name[n].flag) for n, v in given.items()}


def _as_run(script: Path) -> str:
    """Return how a script is started: train.py, or -m corpus.optimize for one inside a room."""
    script = script.resolve()
    if ROOT not in script.parents or script.parent == ROOT:
        return script.name
    return "-m " + ".".join(script.relative_to(ROOT).with_suffix("").parts)


def _metavar(constant: Constant) -> dict[str, Any]:
    if constant.type is list:
        return {"metavar": "TEXT", "nargs": "*"}
    if constant.choices:
        return {"metavar": "{" + ",".join(str(choice) for choice in constant.choices if choice != "") + "}"}
    return {"metavar": constant.type.__name__}


def _help(constant: Constant) -> str:
    bounds = f"; {constant.bounds}" if constant.bounds else ""
    return f"{constant.comment} [{constant.default}{bounds}]".replace("%", "%%")


class _Parser(argparse.ArgumentParser):
    """argparse, with errors in this project's form: one sentence, the nearest name, exit code 2."""

    def error(self, message: str) -> Any:
        prefix = "unrecognized arguments: "
        if message.startswith(prefix):
            word = message.removeprefix(prefix).split(" ")[0] or "''"
            if not word.startswith("-") and self._get_positional_actions():
                raise UserError(f"unknown argument {word}; put a text of several words in quotes.")
            flags = [option for action in self._actions for option in action.option_strings]
            nearest = _by_initials(word, flags) or difflib.get_close_matches(word.split("=")[0], flags, n=1, cutoff=0.4)
            hint = f"; did you mean {' or '.join(nearest)}?" if nearest else "; --help lists every constant."
            raise UserError(f"unknown argument {word}{hint}")
        raise UserError(f"{message} (--help lists every constant).")


def _by_initials(word: str, flags: Iterable[str]) -> list[str]:
    """Return the flags that a short one stands for: --learning-rate for --lr, --batch-size for --bs."""
    letters = word.split("=")[0].lstrip("-")
    return [flag for flag in flags if letters == "".join(part[:1] for part in flag.lstrip("-").split("-"))]


def _typed(constant: Constant, value: Any, where: str) -> Any:
    """Check one value against its declaration; text from the command line is read as the declared type."""
    is_none = isinstance(value, str) and value.lower() in ("none", "null") and value not in constant.choices
    if value is None or (is_none and constant.optional):
        if constant.optional:
            return None
        hint = "; a word in quotes is text" if constant.type is str else ""
        raise UserError(f"{where} must be {_type_name(constant)}, and None is not{hint}.")
    try:
        value = _converted(constant.type, value)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{where} must be {_type_name(constant)}, not {_shown(value)}.") from None
    origin = f" ({where})" if ": " in where else ""  # of a config file: its path and the key
    for text in value if constant.type is list else [value]:
        if isinstance(text, str) and (fault := _text_fault(text)):
            raise UserError(f"{constant.name} {fault}{origin}.")
    if constant.choices and value not in constant.choices:
        allowed = ", ".join(map(repr, constant.choices))
        raise UserError(f"{constant.name} must be one of {allowed}, not {_shown(value)}{origin}.")
    if constant.bounds and not constant.bounds.allows(value):
        raise UserError(f"{constant.name} must be {constant.bounds}, not {_shown(value)}{origin}.")
    if constant.type is int and abs(value) >= 10**MOST_DIGITS:
        raise UserError(
            f"{constant.name} must be a whole number of at most {MOST_DIGITS} digits, not {_shown(value)}{origin}."
        )
    return value


def _converted(kind: type, value: Any) -> Any:
    """Return the value as its type, or raise ValueError, TypeError or OverflowError."""
    if kind is bool:
        if not isinstance(value, bool):
            raise ValueError
        return value
    if kind is list:
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
            raise ValueError
        return items
    if kind is str:
        if not isinstance(value, str):
            raise ValueError
        return value
    if isinstance(value, bool) or (kind is int and isinstance(value, float) and value % 1):
        raise ValueError
    number = kind(value)
    if kind is float and not math.isfinite(number):
        raise ValueError
    return number


def _text_fault(text: str) -> str:
    """Say why a text can be neither a file's name nor part of a prompt; "" where it can."""
    if "\0" in text:
        return "holds a null character, which no text has"
    if any("\ud800" <= character <= "\udfff" for character in text):
        return "holds bytes that are not UTF-8; type it in a UTF-8 terminal"
    if len(text) > MOST_CHARACTERS:
        return f"has {len(text):,} characters, more than {MOST_CHARACTERS:,}"
    return ""


def _shown(value: Any) -> str:
    """The value in a sentence; a very long one is cut."""
    try:
        text = repr(value)
    except ValueError:  # a number of more digits than Python writes
        text = f"a number of {int(value.bit_length() * math.log10(2)):,} digits"
    return text if len(text) <= 60 else text[:57] + "…"


def _type_name(constant: Constant) -> str:
    words = {int: "a whole number", float: "a finite number", str: "text", bool: "true or false", list: "a list"}
    return words[constant.type] + (" or None" if constant.optional else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f"; did you mean {nearest[0].lower()}?" if nearest else ""
