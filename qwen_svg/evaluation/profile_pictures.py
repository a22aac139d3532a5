"""Drawings as a profile sees them: its renderer, its size, on white."""

import io

from PIL import Image

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.judge import Judgement
from qwen_svg.evaluation.made_drawings import Made
from qwen_svg.evaluation.profile import Profile
from qwen_svg.svg.render import on_white, png_bytes
from svg_constraint import DIALECTS, SVG_OPEN, check

INSTALL = "`pip install -r requirements/benchmark.txt`"


def require_renderer(profile: Profile) -> None:
    """Raise UserError where the profile's renderer does not draw here: every drawing would count as a failure."""
    try:
        png_bytes(f'{SVG_OPEN}<circle cx="128" cy="128" r="64"/></svg>', renderer=profile.renderer)
    except ValueError as error:
        raise UserError(f"PROFILE {profile.name} renders with {profile.renderer}, and {error}; {INSTALL}.") from None


def judge_made(made: Made, profile: Profile) -> Judgement:
    """Check a drawing in all dialects, and render it as the profile does; its `png` is on white, size × size."""
    verdicts = {dialect: check(made.svg, dialect) if made.svg else None for dialect in DIALECTS}
    return Judgement(made.answer, None, made.svg, verdicts, profile_png(made.svg, profile))


def profile_png(svg: str | None, profile: Profile) -> bytes | None:
    """Return the drawing as the profile renders it; None where there is none, or it does not render."""
    try:
        drawn = png_bytes(svg, profile.size, renderer=profile.renderer) if svg else None
    except ValueError:
        return None
    return as_png(on_white(drawn, profile.size)) if drawn else None


def as_picture(png: bytes | None) -> Image.Image | None:
    return Image.open(io.BytesIO(png)).convert("RGB") if png else None


def as_png(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "png")
    return stream.getvalue()
