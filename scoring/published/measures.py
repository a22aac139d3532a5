"""The measures of a profile, by name; one that cannot be taken says why, and the others are taken all the same."""

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import try_to_load_from_cache
from PIL import Image

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.card import Measured, Sample
from qwen_svg.evaluation.profile import Profile
from qwen_svg.evaluation.profile_pictures import as_picture
from qwen_svg.evaluation.references import References
from scoring.hub_model import WeightsMissing
from scoring.published.seen import Seen

# By `measure` of a profile: the module of scoring/published/ whose function of that name takes it.
MODULES = {
    "score": "own", "clip_text": "clip", "clip_image": "clip", "dino": "dino", "fid": "fid", "fid_clip": "fid",
    "mse": "pixels", "ssim": "pixels", "lpips": "pixels", "same_picture": "pixels",
    "aesthetic": "preference", "hps": "preference",
    "svg_tokens": "tokens",
}  # fmt: skip
COLOURS = ("black", "white")
MODELS = ("model", "head", "weights", "network")  # arguments of measures that name what it looks with


def measure_all(
    profile: Profile, samples: Sequence[Sample], references: References, weights: dict[str, str]
) -> dict[str, Measured]:
    """Return every metric of the profile. weights: a local folder for the hub id of a model."""
    return {
        name: _measured(profile, dict(spec), samples, references, weights) for name, spec in profile.metrics.items()
    }


def _measured(
    profile: Profile, spec: dict[str, Any], samples: Sequence[Sample], references: References, weights: dict[str, str]
) -> Measured:
    failure = spec.pop("failure", profile.failure)
    kept = [i for i, sample in enumerate(samples) if sample.judged.renders or failure in COLOURS]
    if not kept:
        return Measured(fault="none of the drawings renders")
    named = spec
    spec = {name: weights.get(value, value) if isinstance(value, str) else value for name, value in spec.items()}
    try:
        measure = _function(spec.pop("measure"))
        found = measure(_seen(profile, failure, [samples[i] for i in kept], _of(references, kept)), **spec)
    except WeightsMissing as error:
        copies = " or ".join(f"`--weights {named[name]}=PATH`" for name in MODELS if name in named)
        return Measured(fault=f"{error.reason}; connect to the hub, or give a copy with {copies}")
    except UserError as error:
        return Measured(fault=str(error).rstrip("."))
    except ImportError as error:
        return Measured(fault=f"the package {error.name} is not installed; requirements/benchmark.txt says how")
    looked = looked_with(spec)
    if isinstance(found, float):
        return Measured(value=found, model=looked)
    values: list[float | None] = [0.0 if failure == "zero" else None] * len(samples)
    for i, value in zip(kept, found, strict=True):
        values[i] = value
    return Measured(values, model=looked)


def looked_with(spec: dict[str, Any]) -> str:
    """Return the names of what a measure looked with, and the hub's commit where one is known."""
    return ", ".join(_with_commit(spec[name]) for name in MODELS if name in spec)


def _with_commit(model: str) -> str:
    cached = (
        try_to_load_from_cache(model, "config.json") if model.count("/") == 1 and not Path(model).exists() else None
    )
    return f"{model} @ {Path(cached).parent.name}" if isinstance(cached, str) else model


def _function(name: str) -> Callable[..., list[float | None] | float]:
    return getattr(importlib.import_module(f"scoring.published.{MODULES[name]}"), name)


def _of(references: References, kept: list[int]) -> References:
    svgs, pictures = ([side[i] for i in kept] for side in (references.svgs, references.pictures))
    return References(svgs, pictures, references.fault, references.pool)


def _seen(profile: Profile, failure: str, samples: list[Sample], references: References) -> Seen:
    def picture(sample: Sample) -> Image.Image:
        return as_picture(sample.judged.png) or Image.new("RGB", (profile.size, profile.size), failure)

    return Seen(
        [sample.prompt.text for sample in samples],
        [picture(sample) for sample in samples],
        [sample.made.svg or "" for sample in samples],
        references.pictures,
        references.svgs,
        references.fault,
        references.pool,
    )
