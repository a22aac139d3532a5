"""What the encoder reads of a drawing: its elements, with absolute coordinates on the integer grid of the canvas.

    <svg viewBox="0 0 256 256" …>
    <!-- a gold disc -->                          <circle cx="128" cy="128" r="40" fill="gold"/>
    <circle cx="128" cy="128" r="40.2" fill="gold"/>   →   <path d="M10 20L30 20L30 50Z"/>
    <path d="m10 20 20 0v30z"/>
    </svg>

The opening tag is the same in every optimized drawing and comments say what the drawing should; both go. Relative
coordinates say where something is only to a reader who adds them up; a sum is what a small transformer is worst at.
"""

import re

from qwen_svg.svg.values import ValueFault, absolute_path, parse_path

CANVAS_TAG = 'viewBox="0 0 256 256"'
_DROPPED = re.compile(r"<!--.*?-->|<\?.*?\?>|</?svg\b[^>]*>|>\s+(?=<)", re.DOTALL)
_PATH = re.compile(r'(?<=\sd=")[^"]*')
_GEOMETRY = re.compile(r'(?<=\s)(x[12]?|y[12]?|c[xy]|r[xy]?|width|height|points)="([^"]*)"')
_DECIMAL = re.compile(r"-?\d*\.\d+")


def drawing_text(answer: str) -> str:
    """Return the text of the drawing in `answer`: an SVG, or an answer with a reasoning before it. "" for none.

    Path data that follow no grammar stay as they are: an embedding refuses nothing.
    """
    start, end = answer.find("<svg"), answer.rfind("</svg>")
    if start < 0 or end < start:
        return ""
    text = _DROPPED.sub(lambda match: ">" if match[0][0] == ">" else "", answer[start:end])
    text = _GEOMETRY.sub(lambda match: f'{match[1]}="{_DECIMAL.sub(_rounded, match[2])}"', text)
    return _PATH.sub(_absolute, text).strip()


def _rounded(match: re.Match) -> str:
    return str(round(float(match[0])))


def _absolute(match: re.Match) -> str:
    try:
        commands = absolute_path(parse_path(match[0]))
    except ValueFault:
        return match[0]
    return "".join(letter + " ".join(str(round(value)) for value in values) for letter, values in commands)
