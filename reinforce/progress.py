"""What each token adds to a drawing: IR4RL's reward from intermediate renders (arXiv:2609.34587), as an advantage.

An answer is cut behind each of its drawing commands: an element, or a command of a path. What is there so far is closed
and rendered, and F_j is how like the reference it is; the command's progress is F_j - F_(j-1). A token at position t is
credited with what the commands that end with it or behind it add, the sum of DECAY^(b_j - t) (F_j - F_(j-1)), where b_j
is the position of the command's last token. So a shape that covers what was right lowers the probability of its own
tokens, not of the whole drawing's. Likeness is this project's `similarity`, where the paper has a normalised L2.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from prompt_template import extract_svg
from scoring.pictures import picture
from scoring.similarity import SIZE, compare

DECAY = 0.9  # λ of the paper, its best

_TAG = re.compile(r"""<(/?)([A-Za-z][\w:.-]*)((?:"[^"]*"|'[^']*'|[^<>"'])*?)(/?)>""")
_PATH_DATA = re.compile(r"""\sd\s*=\s*(["'])([^"'<>]*)""")
_COMMAND = re.compile(r"[A-Za-z][^A-Za-z]*")


def token_credits(tokens: Sequence[int], tokenizer: Any, reference: str) -> list[float]:
    """Return the credit of each token of an answer; all 0 where it has no SVG, or its reference none that renders."""
    answer = tokenizer.decode(tokens)
    wanted = picture(extract_svg(reference), SIZE)
    found, before = [0.0] * len(tokens), 0.0
    for end, svg in prefixes(answer) if wanted else ():
        drawn = picture(svg, SIZE)
        if drawn is None:  # what cannot be seen adds nothing
            continue
        like = compare(drawn, wanted)
        # The token with which the answer's first `end` characters are there.
        found[bisect_left(range(1, len(tokens)), end, key=lambda n: len(tokenizer.decode(tokens[:n])))] += like - before
        before = like
    for t in reversed(range(len(found) - 1)):
        found[t] += DECAY * found[t + 1]
    return found


def prefixes(answer: str) -> list[tuple[int, str]]:
    """Return, for each drawing command, at which character of the answer it ends, and the SVG until there, closed.

    The first is the empty drawing, behind its opening tag.
    """
    svg = extract_svg(answer)
    if not svg:
        return []
    begin, found, opened = answer.index(svg), [], []
    for tag in _TAG.finditer(answer, begin):
        closing, name, attributes, self_closing = tag.groups()
        data = _PATH_DATA.search(attributes) if name == "path" else None
        if data:
            value = tag.start(3) + data.start(2)
            ends = [value + command.end() for command in _COMMAND.finditer(data[2])]
            found += [(end, f"{answer[begin:end]}{data[1]}/>{_closing(opened)}") for end in ends[:-1]]
        if closing and name in opened:
            while opened.pop() != name:
                pass
        elif not (closing or self_closing):
            opened.append(name)
        found.append((tag.end(), answer[begin : tag.end()] + _closing(opened)))
        if not opened:
            break
    return found


def _closing(opened: list[str]) -> str:
    return "".join(f"</{name}>" for name in reversed(opened))
