"""A chat in the terminal: describe, look, say what to change."""

import atexit
import difflib
import math
from dataclasses import replace
from pathlib import Path

from qwen_svg.common.errors import UserError
from qwen_svg.common.run_folder import OUTPUTS
from qwen_svg.generation.best_of_n import DrawingPlan
from qwen_svg.generation.descriptions import checked
from qwen_svg.generation.drawings import open_with_viewer, save_as
from qwen_svg.generation.predictor import Drawing, Predictor, Turn
from qwen_svg.generation.terminal import draw_one, show, show_picture
from qwen_svg.generation.terminal_picture import find_way

HISTORY = OUTPUTS / "chat_history"
HISTORY_LENGTH = 1000  # lines
HELP = """\
Describe a drawing; then say what to change about it.
  /new               begin another drawing
  /open              look at the drawing with the system's viewer
  /save NAME         write NAME.svg and NAME.png; NAME.svg alone if it ends so
  /seed [NUMBER]     of the next drawing; it counts up by itself
  /temperature [T]   0 = greedy
  /n [NUMBER]        drawings at a time, the best one kept
  /free              constrain answers to the grammar, or no longer
  /help  /quit
Ctrl-C gives up a drawing, Ctrl-D ends."""


class Chat:
    def __init__(self, predictor: Predictor, plan: DrawingPlan):
        self.predictor, self.plan = predictor, plan
        self.turns: list[Turn] = []  # of the drawing that is being changed
        self.last: tuple[Drawing, Path] | None = None  # and the first of its files
        self.way = find_way()  # to show pictures

    def run(self) -> int:
        """Read lines until /quit or the end of the input; return the exit code."""
        _keep_history()
        print("Describe a drawing. /help lists the commands.")
        while True:
            try:
                line = input("change> " if self.turns else "draw> ").strip()
                if line in ("/quit", "/exit"):
                    return 0
                if line:
                    self.command(line) if line.startswith("/") else self.draw(checked(line))
            except EOFError:
                print()
                return 0
            except KeyboardInterrupt:
                print("\n(given up; Ctrl-D ends)")
            except UnicodeDecodeError:
                print("error: that line is not UTF-8.")
            except UserError as error:
                print(f"error: {error}")

    def draw(self, description: str) -> None:
        attempts = self._within_room(description)
        best, *others = attempts
        show_picture(best.drawing.png, self.way)
        self.last = best.drawing, show(best)[0]
        for attempt in others:
            show(attempt, keep=False)
        self.plan = self._with(seed=max(attempt.seed for attempt in attempts) + 1)
        if best.drawing.svg:
            self.turns.append((description, best.drawing.answer))

    def _within_room(self, description: str) -> list:
        """Draw; where the conversation has grown too long, forget its oldest turns."""
        while True:
            try:
                return draw_one(self.predictor, description, self.plan, self.turns)
            except UserError:
                if len(self.turns) < 2:
                    raise
                del self.turns[0]

    def command(self, line: str) -> None:
        name, _, value = line[1:].partition(" ")
        settings = self.plan.settings
        if name == "help":
            print(HELP)
        elif name == "new":
            self.turns = []
        elif name == "open":
            open_with_viewer(self._last()[1])
        elif name == "save":
            if not value.strip():
                raise UserError("/save takes a name: `/save fox` writes fox.svg and fox.png.")
            print(*(f"  {path}" for path in save_as(self._last()[0], value.strip())), sep="\n")
        elif name == "seed":
            self.plan = self._with(seed=_number(int, "/seed", value, settings.seed, 2**32 - 1))
        elif name == "temperature":
            self.plan = self._with(temperature=_number(float, "/temperature", value, settings.temperature))
        elif name == "n":
            self.plan = replace(self.plan, n=max(1, _number(int, "/n", value, self.plan.n, 10_000)))
        elif name == "free":
            self.plan = self._with(free=not settings.free)
        else:
            known = ("new", "open", "save", "seed", "temperature", "n", "free", "help", "quit")
            nearest = difflib.get_close_matches(name, known, n=1)
            raise UserError(f"there is no /{name}" + (f"; did you mean /{nearest[0]}?" if nearest else "; see /help."))
        if name not in ("help", "new", "open", "save"):
            now = self.plan.settings
            how = "free" if now.free else "constrained"
            print(f"seed {now.seed} · temperature {now.temperature:g} · n {self.plan.n} · {how}")

    def _last(self) -> tuple[Drawing, Path]:
        if self.last is None:
            raise UserError("there is no drawing yet; describe one.")
        return self.last

    def _with(self, **changed) -> DrawingPlan:
        return replace(self.plan, settings=replace(self.plan.settings, **changed))


def _number(kind: type, command: str, text: str, otherwise: float, most: float = math.inf) -> float:
    """Read what a command is to set; without a value it stays as it is."""
    try:
        number = kind(text) if text.strip() else otherwise
        if not 0 <= number <= most or number == math.inf:
            raise ValueError
    except ValueError:
        what = "a whole number" if kind is int else "a number"
        bounds = "0 or more" if most == math.inf else f"0 to {most:,}"
        raise UserError(f"{command} takes {what}, {bounds}, not {text[:60]!r}.") from None
    return number


def _keep_history() -> None:
    """Let the arrow keys find what was typed, in earlier chats too."""
    try:
        import readline
    except ImportError:  # Windows' terminal has a history of its own
        return
    try:
        OUTPUTS.mkdir(exist_ok=True)
        if HISTORY.is_file():
            readline.read_history_file(HISTORY)
    except OSError:
        return  # a chat without memory is better than none
    readline.set_history_length(HISTORY_LENGTH)
    atexit.register(readline.write_history_file, HISTORY)
