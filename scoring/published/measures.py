"""The measures of a profile, by name; one that cannot be taken says why, and the others are taken all the same."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from qwen_svg.common.errors import UserError
from qwen_svg.evaluation.card import Measured, Sample
from qwen_svg.evaluation.profile import Profile
from qwen_svg.evaluation.profile_pictures import INSTALL, as_picture
from qwen_svg.evaluation.references import References
from scoring.hub_model import WeightsMissing
from scoring.published.seen import Seen

# By `measure` of a profile: the module of scoring/published/ whose function of that name takes it.
MODULES = {"score": "own"}
COLOURS = ("black", "white")


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
    model = spec.get("model", "")
    if model in weights:
        spec["model"] = weights[model]
    try:
        measure = _function(spec.pop("measure"))
        found = measure(_seen(profile, failure, [samples[i] for i in kept], _of(references, kept)), **spec)
    except WeightsMissing as error:
        return Measured(fault=f"{error.reason}; connect to the hub, or give a copy with `--weights {model}=FOLDER`")
    except UserError as error:
        return Measured(fault=str(error).rstrip("."))
    except ImportError as error:
        return Measured(fault=f"the package {error.name} is not installed; {INSTALL}")
    if isinstance(found, float):
        return Measured(value=found, model=spec.get("model", ""))
    values: list[float | None] = [0.0 if failure == "zero" else None] * len(samples)
    for i, value in zip(kept, found, strict=True):
        values[i] = value
    return Measured(values, model=spec.get("model", ""))


def _function(name: str) -> Callable[..., list[float | None] | float]:
    return getattr(importlib.import_module(f"scoring.published.{MODULES[name]}"), name)


def _of(references: References, kept: list[int]) -> References:
    svgs, pictures = ([side[i] for i in kept] for side in (references.svgs, references.pictures))
    return References(svgs, pictures, references.fault)


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
    )
