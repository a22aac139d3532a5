"""The pictures that drawings are held against: of each prompt, and the set that a distance of sets is taken to."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.profile import Profile
from qwen_svg.evaluation.profile_pictures import as_picture, profile_png
from qwen_svg.evaluation.prompts import Prompt

KINDS = (".svg", ".png")


@dataclass(frozen=True)
class References:
    svgs: list[str]  # of each prompt; "" where there is none
    pictures: list[Image.Image | None]  # of each prompt, RGB
    fault: str = ""  # why there is not one for every prompt
    pool: tuple[Path, ...] = ()  # pictures of other things, which a distance of sets is taken to


def read_references(prompts: list[Prompt], folder: str, pool: str, profile: Profile) -> References:
    """Return the prompts' own references as the profile renders them, or those of `folder`, ID.svg or ID.png.

    pool: a folder of PNGs, "" for none. Raises UserError for a folder that is not there, or has none of what it is for.
    """
    if not folder:
        svgs = [prompt.reference for prompt in prompts]
        fault = "" if all(svgs) else "the prompts have no references; give them with `--references FOLDER`"
        pictures = [as_picture(profile_png(svg, profile)) for svg in svgs]
    else:
        files = _files(folder)
        found = [files.get(prompt.id) for prompt in prompts]
        missing = [prompt.id for prompt, file in zip(prompts, found, strict=True) if file is None]
        if len(missing) == len(prompts):
            raise UserError(f"REFERENCES {folder} has no {missing[0]}.svg or .png, nor one of another prompt.")
        fault = f"REFERENCES {folder} has none for {len(missing)} prompts, {missing[0]!r} first" if missing else ""
        svgs = [file.read_text("utf-8-sig") if file and file.suffix == ".svg" else "" for file in found]
        pictures = [_picture(file, svg, profile) if file else None for file, svg in zip(found, svgs, strict=True)]
    undrawn = [prompt.id for prompt, picture in zip(prompts, pictures, strict=True) if picture is None]
    if not fault and undrawn:
        fault = f"the reference of {undrawn[0]!r} ({len(undrawn)} in all) does not render with {profile.renderer}"
    return References(svgs, pictures, fault, _pool(pool))


def _pool(folder: str) -> tuple[Path, ...]:
    found = tuple(sorted(Path(folder).glob("*.png"))) if folder else ()
    if folder and not found:
        raise UserError(f"FID_REFERENCES {folder} holds no .png file; give a folder of pictures, or leave it out.")
    return found


def _files(folder: str) -> dict[str, Path]:
    if not Path(folder).is_dir():
        raise UserError(f"REFERENCES {folder} is no folder; give one with a picture ID.svg or ID.png of each prompt.")
    return {file.stem: file for file in sorted(Path(folder).iterdir(), reverse=True) if file.suffix in KINDS}


def _picture(file: Path, svg: str, profile: Profile) -> Image.Image | None:
    if svg:
        return as_picture(profile_png(svg, profile))
    try:
        return on_white_rgb(file)
    except UserError:
        return None


def on_white_rgb(file: Path) -> Image.Image:
    """Return a picture in RGB; what is transparent is white. Raises UserError for what is no picture."""
    try:
        with Image.open(file) as image:
            layers = image.convert("RGBA")
    except OSError as error:
        raise UserError(f"{file} is no picture ({error}); mend or remove it.") from None
    return Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers).convert("RGB")
