"""From what a model says to a caption: one line that describes the thing, and nothing said about saying it."""

import re

# Each removes what is no part of a description and would be learned as one.
_LABEL = re.compile(r"^(?:\**(?:caption|description|answer)\**\s*:\**)\s*", re.IGNORECASE)
_PREAMBLE = re.compile(
    r"^(?:in )?(?:the|this|an?) (?:(?:simple|stylized|vector|svg) )*"
    r"(?:image|picture|drawing|icon|illustration|graphic|photo),? "
    r"(?:shows|showing|depicts|depicting|displays|displaying|features|featuring|illustrates|portrays|represents|"
    r"contains|is of|of|is(?= an? )|there (?:is|are))\s+",
    re.IGNORECASE,
)
_QUOTES = (('"', '"'), ("'", "'"), ("“", "”"), ("‘", "’"), ("«", "»"), ("**", "**"), ("`", "`"))
_DECLINED = re.compile(
    r"^(?:(?:I['’]?m |I am )?(?:sorry|unable)|I (?:cannot|can['’]t)|as an AI|unfortunately)\b", re.IGNORECASE
)


def clean_caption(text: str) -> tuple[str, str]:
    """Return (caption, "") or ("", why it is none).

    Line breaks become spaces, as a caption is a line; quotes and marks of emphasis around the whole go, and so does
    "The image shows …": a user asks for "a red fox", not for an image that shows one.
    """
    text = _unquoted(" ".join(text.split()))
    text = _unquoted(_LABEL.sub("", text))
    if _DECLINED.match(text):
        return "", "the model declined"
    text = _PREAMBLE.sub("", text)
    if not re.search(r"\w", text):
        return "", "the caption is empty"
    return text[0].upper() + text[1:], ""


def _unquoted(text: str) -> str:
    for opening, closing in _QUOTES:
        inner = text[len(opening) : -len(closing)]
        if text.startswith(opening) and text.endswith(closing) and inner.strip() and opening not in inner:
            return inner.strip()
    return text
