"""What an answer holds besides its two sections, as chat models write it: fences, chatter, second drawings.

An answer is `<reasoning>…</reasoning><svg …>…</svg>`, with white space between the two and nothing else.
"""

import re

from prompt_template import find_sections

FENCE = "markdown fence"
SECOND_SVG = "second <svg>"
SECOND_REASONING = "second <reasoning>"
LATE_REASONING = "reasoning after the SVG"
OTHER_TEXT = "text around the sections"
KINDS = {kind: f"a {kind}" for kind in (FENCE, SECOND_SVG, SECOND_REASONING)}
KINDS |= {LATE_REASONING: LATE_REASONING, OTHER_TEXT: "text before, between or after its two sections"}

_FENCE = re.compile(r"(?:`{3,}|~{3,})\w*")
_SVG = re.compile(r"<svg[\s>].*?(?:</svg>|\Z)|</svg>", re.DOTALL)
_REASONING = re.compile(r"<reasoning>.*?(?:</reasoning>|\Z)|</reasoning>", re.DOTALL)


def tidied(answer: str) -> tuple[str, list[str]]:
    """Return the answer's reasoning and its SVG alone, in this order, and the kinds of what else there was.

    An answer without one of the sections comes back as it is, without kinds.
    """
    reasoning, svg = find_sections(answer)
    if not reasoning or not svg:
        return answer, []
    late = svg.start() < reasoning.start()
    first, second = (svg, reasoning) if late else (reasoning, svg)
    between = answer[first.end() : second.start()]
    kinds = dict.fromkeys([LATE_REASONING] if late else [])
    for rest, more_reasoning in (
        (answer[: first.start()], SECOND_REASONING),
        (between, SECOND_REASONING),
        (answer[second.end() :], SECOND_REASONING if late else LATE_REASONING),
    ):
        for kind, pattern in ((FENCE, _FENCE), (SECOND_SVG, _SVG), (more_reasoning, _REASONING)):
            rest, found = pattern.subn("", rest)
            if found:
                kinds[kind] = None
        if rest.strip():
            kinds[OTHER_TEXT] = None
    space = "\n\n" if late or between.strip() else between
    return reasoning.group(0) + space + svg.group(0), list(kinds)
