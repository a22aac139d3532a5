"""By what samples are alike, and so stand on one side of a split: a description, a drawing, a group."""

import hashlib
import math
import re
import unicodedata

UNSEEN = "unseen:"  # a group that begins so is for the test alone: "unseen:color: red circle"
NO_GROUP = ("", "nan", "null", "none", "<na>")  # what tables say where a row has none, in lower case
VARIATION_SELECTORS = range(0xFE00, 0xFE10)  # a picture or a sign of the same character

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


def description_key(description: str) -> str:
    """Return what descriptions have in common that differ in Unicode form, letter case or spacing; "" for a blank one.

    NFKC, case folded, without spaces of any kind: "re\\u200bd fox" is "red fox", and so is "ｒｅｄ　ＦＯＸ".
    """
    if description.isascii():
        return "".join(description.casefold().split())
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", description).casefold())
    return "".join(c for c in text if not (c.isspace() or _is_invisible(c)))


def _is_invisible(c: str) -> bool:
    return unicodedata.category(c) == "Cf" or ord(c) in VARIATION_SELECTORS


def drawing_key(svg: str) -> bytes:
    """Return what drawings of the same text have in common, white space and comments aside."""
    text = " ".join(_COMMENT.sub(" ", svg).split()).replace("> <", "><").replace(" />", "/>").replace(" >", ">")
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def group_of(value: object) -> str | None:
    """Return a record's `group` as text; None for what says that there is none: null, NaN, a blank."""
    if value is None or value == [] or value == {} or (isinstance(value, float) and math.isnan(value)):
        return None
    text = str(value).strip()
    return None if description_key(text) in NO_GROUP else text


def unseen_kind(group: str | None) -> str:
    """Return what is never trained on in samples of this group: "color" of "unseen:color: …"; "" for other groups."""
    return group.removeprefix(UNSEEN).partition(":")[0].strip() if group and group.startswith(UNSEEN) else ""
