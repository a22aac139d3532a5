"""Which emoji a drawing of an emoji set is, by its code points or by its name, and what emojibase says of it."""

import re
from dataclasses import replace

from corpus.icons.written import Written, code_key
from corpus.sources import SKIN_TONES

_TONE_NAME = re.compile(r"(light|medium|dark)-skin|skin-tone|tone\d")
_TONE_CODES = {f"{code:x}" for code in SKIN_TONES}


class EmojiNames:
    """What emojibase says of an emoji that a set knows by its code points, or by a name alone."""

    def __init__(self, written: dict[str, Written]):
        self.written = written
        self.codes = {_squashed(said.label): code for code, said in reversed(written.items())}

    def of(self, name: str, code: str, more: Written) -> Written | None:
        """Return None for a copy in a skin tone, and for what emojibase does not know."""
        if _TONE_NAME.search(name) or set(code.split("-")) & _TONE_CODES:
            return None
        names = (name, re.sub(r"-?\d+$", "", name), *more.aliases)
        known = code_key(code) if code else next((self.codes[n] for n in map(_squashed, names) if n in self.codes), "")
        said = self.written.get(known)
        return replace(said, categories=more.categories) if said else None


def _squashed(name: str) -> str:
    """Sets write names with dashes, blanks or nothing between the words."""
    name = re.sub(r"^flag-for-(flag-)?", "flag-", name.lower())
    return re.sub(r"[^a-z0-9]", "", name)
