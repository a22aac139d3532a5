"""What is wrong with a request, in a sentence: pydantic's findings have types, and each type has its words here."""

import json
import re
from typing import Any

# {…} is what pydantic knows of the limit; {place} and {given}: the field, and what was sent.
SENTENCES = {
    "missing": "{place} is missing",
    "extra_forbidden": "there is no field {place}; /docs lists those that there are",
    "json_invalid": "the body is not JSON ({error})",
    "greater_than_equal": "{place} must be {ge:g} or more, not {given}",
    "less_than_equal": "{place} must be {le:g} or less, not {given}",
    "less_than": "{place} must be below {lt}, not {given}",
    "string_too_long": "{place} may have {max_length} characters, and has more",
    "string_pattern_mismatch": "{place} may not be {given}",
    "string_unicode": "{place} holds half a character (a lone surrogate)",
    "too_long": "{place} may hold {max_length} entries, and holds more",
    "literal_error": "{place} must be {expected}, not {given}",
    "value_error": "{error}",
} | dict.fromkeys(("string_too_short", "too_short", "blank"), "{place} is empty")
KINDS = {"string": "text", "float": "a number", "finite": "a number", "int": "a whole number", "bool": "true or false",
         "list": "a list", "model": "a JSON object", "dict": "a JSON object"}  # fmt: skip
MOST = 40  # characters of what was sent
OF_A_UNION = re.compile(r"(constrained-)?str|list\[.*\]")  # not fields: which of the types that a field may have


def sentence(finding: dict[str, Any]) -> str:
    """Return one finding of pydantic's (an entry of `errors()`) in words, without a full stop."""
    kind = finding["type"]
    if kind == "string_pattern_mismatch" and not str(finding["input"]).strip():
        kind = "blank"
    what = KINDS.get(kind.partition("_")[0])
    words = SENTENCES.get(kind) or (f"{{place}} must be {what}, not {{given}}" if what else "{place}: {msg}")
    fields = (str(part)[:MOST] for part in finding["loc"][1:] if not OF_A_UNION.fullmatch(str(part)))
    place = ".".join(fields) or "the body"
    if kind == "json_invalid":  # its place is a number of characters
        place = "the body"
    given = json.dumps(finding["input"], default=str)
    given = given if len(given) <= MOST else given[: MOST - 2] + " …"
    return words.format(**finding.get("ctx", {}), place=place, given=given, msg=finding["msg"])
