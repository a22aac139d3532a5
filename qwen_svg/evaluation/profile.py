"""A profile: what one published protocol fixes, from the renderer to the reference of its FID.

Each is a file of profiles/, with its sources. `about` and `sources` say what it is and where that was read; `notes`
what the protocol leaves open, and its script's faults, which are reproduced here and nowhere else.
"""

from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from qwen_svg.common.errors import UserError

FOLDER = Path(__file__).with_name("profiles")


@dataclass(frozen=True)
class Profile:
    name: str
    about: str
    sources: list[str]
    renderer: Literal["resvg", "cairosvg"]
    size: int  # pixels, square
    # What a drawing that does not render counts as: a picture of one colour, a score of 0, or nothing at all.
    failure: Literal["black", "white", "zero", "left out"]
    metrics: dict[str, dict[str, Any]]  # by name: `measure`, a function of scoring/published/, and its arguments
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict:
        return asdict(self)


def profile_names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yml"))


def read_profile(name: str) -> Profile:
    """Raises UserError, with the nearest name, where there is no such profile."""
    import yaml  # 20 ms, and not for --help

    if name not in profile_names():
        nearest = get_close_matches(name, profile_names(), n=1, cutoff=0.4)
        hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(profile_names())}."
        raise UserError(f"there is no PROFILE {name!r}; {hint}")
    content = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return Profile(name=name, **content)
