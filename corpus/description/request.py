"""The question for new descriptions of one theme, and the lines of the answer."""

import re

from corpus.chat_endpoint import Message
from corpus.description.refuse import MAX_CHARACTERS, MAX_WORDS

_BULLET = re.compile(r"^\s*(?:[-*•–]\s*)?(?:\(?\d+[.):]\s*)?")


def request(theme: str, count: int, shots: list[str], recent: list[str]) -> list[Message]:
    """Return the conversation. shots: descriptions that show the form; recent: ones that are there already."""
    text = (
        f"Write {count} descriptions of pictures to draw as simple vector graphics, on the theme: {theme}.\n\n"
        f"Rules for each:\n"
        f"- fewer than {MAX_WORDS + 1} words and {MAX_CHARACTERS} characters, in lower case, in plain English\n"
        "- a concrete thing or scene whose shapes and colors can be drawn; mostly common things, each of another kind\n"
        "- no people, not even in generic form; no names of persons, places, brands or characters\n"
        "- nothing written in the picture: no text, letters, numbers or logos\n\n"
        "Examples of the form:\n" + _listed(shots)
    )
    if recent:
        text += "\nThese are there already; write others:\n" + _listed(recent)
    text += "\nAnswer with one description a line and nothing else: no numbers, no quotes, no headings."
    return [{"role": "user", "content": text}]


def descriptions_in(answer: str) -> list[str]:
    """Return the descriptions in an answer, without bullets, numbers, quotes, or a first capital."""
    found = []
    for line in answer.splitlines():
        line = _BULLET.sub("", line).strip().strip("\"'“”*`").strip().rstrip(".,;")
        if not line or line.endswith(":") or line.startswith(("#", "```")):  # "Here are 20 descriptions:", a heading
            continue
        shout = len(line) > 1 and line[1].isupper()
        found.append(line if shout else line[0].lower() + line[1:])
    return found


def _listed(lines: list[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)
