"""The same drawing a little different: moved, scaled, mirrored, its colours shifted.

On drawing texts (encoder/drawing_text.py), whose coordinates are absolute. A model that has seen a few thousand pairs
learns them by heart; these are as many as one likes.
"""

import re

import numpy as np

_PATH = re.compile(r'(?<=\sd=")[^"]*')
_COMMAND = re.compile(r"([A-Z])([^A-Z]*)")
_NUMBER = re.compile(r"-?\d*\.?\d+")
_ATTRIBUTE = re.compile(r'(?<=\s)(x[12]?|y[12]?|c[xy]|r[xy]?|width|height|points)="([^"]*)"')
_COLOUR = re.compile(r"#[0-9a-f]{6}\b|#[0-9a-f]{3}\b")
MIRRORED = 0.3  # share of the drawings
SHIFT = 14  # of a colour channel, standard deviation, of 255
AXES = {"H": "x", "V": "y", "A": "uu...xy"}  # of a command's numbers in turn; of all others xy


def augmented(text: str, random: np.random.Generator) -> str:
    """Return the text with random changes that leave what it shows."""
    if "transform=" not in text:
        text = _moved(text, random)
    shift = random.normal(0, SHIFT, 3)
    return _COLOUR.sub(lambda match: _shifted(match[0], shift), text)


def _moved(text: str, random: np.random.Generator) -> str:
    scale, (dx, dy) = random.uniform(0.85, 1.1), random.uniform(-16, 16, 2)
    mirror = random.random() < MIRRORED and "<rect" not in text  # whose x would be the other side
    across = -scale if mirror else scale
    moves = {
        "x": lambda v: 128 + across * (v - 128) + dx,
        "y": lambda v: 128 + scale * (v - 128) + dy,
        "u": lambda v: scale * v,  # a length
        ".": lambda v: v,
    }
    text = _PATH.sub(lambda match: _moved_path(match[0], moves, mirror), text)
    return _ATTRIBUTE.sub(lambda match: _moved_attribute(match, moves), text)


def _moved_path(d: str, moves: dict, mirror: bool) -> str:
    parts = []
    for letter, numbers in _COMMAND.findall(d):
        values = [float(number) for number in _NUMBER.findall(numbers)]
        axes = AXES.get(letter, "xy")
        moved = [moves[axes[i % len(axes)]](value) for i, value in enumerate(values)]
        if letter == "A" and mirror and len(moved) == 7:
            moved[2], moved[4] = -moved[2], 1 - moved[4]  # the other way round
        parts.append(letter + " ".join(str(round(value)) for value in moved))
    return "".join(parts)


def _moved_attribute(match: re.Match, moves: dict) -> str:
    name = match[1]
    axes = "xy" if name == "points" else name.strip("c12") if name.strip("c12") in "xy" else "u"
    values = [moves[axes[i % len(axes)]](float(number)) for i, number in enumerate(_NUMBER.findall(match[2]))]
    return f'{name}="{" ".join(str(round(value)) for value in values)}"'


def _shifted(colour: str, shift: np.ndarray) -> str:
    hex_digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    channels = np.clip([int(hex_digits[i : i + 2], 16) for i in (0, 2, 4)] + shift, 0, 255).astype(int)
    return "#" + "".join(f"{channel:02x}" for channel in channels)
