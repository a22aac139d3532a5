"""From SVG records to batches of pictures to ask about, drawn while the model answers the batch before."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from PIL import Image

from qwen_svg.svg.content_hash import content_hash
from qwen_svg.svg.render import render_rgb

T = TypeVar("T")


@dataclass(frozen=True)
class PictureTask:
    hash: str
    picture: Any  # PIL image, RGB, RESOLUTION × RESOLUTION pixels


@dataclass
class Batch:
    jobs: list[PictureTask] = field(default_factory=list)
    records: int = 0  # read for it
    refused: Counter = field(default_factory=Counter)  # records without a picture, by reason


def batches(
    texts: Iterable[tuple[str, str]], seen: set[str], batch_size: int, resolution: int, seconds: float
) -> Iterator[Batch]:
    """Yield batches of pictures; hashes in `seen` are left out, and new ones put in. seconds: for drawing one."""
    batch = Batch()
    for svg, reason in texts:
        batch.records += 1
        if not reason:
            hash = content_hash(svg)
            if hash in seen:
                reason = "has a caption already, or is here twice"
            else:
                seen.add(hash)
                picture, reason = draw(svg, resolution, seconds)
        if reason:
            batch.refused[reason] += 1
        else:
            batch.jobs.append(PictureTask(hash, picture))
        if len(batch.jobs) == batch_size:
            yield batch
            batch = Batch()
    if batch.records:
        yield batch


def draw(svg: str, resolution: int, seconds: float) -> tuple[Any, str]:
    """Return (PIL image, "") or (None, why not)."""
    try:
        pixels = render_rgb(svg, resolution, seconds)
    except UnicodeError:
        return None, "the SVG is not Unicode text"
    except ValueError as error:
        return None, str(error).partition(" (")[0]  # without what differs from file to file
    if (pixels == pixels[0, 0]).all():
        return None, "nothing to see: one color all over"
    return Image.fromarray(pixels), ""


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items, with the next one already in the making in a thread."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
