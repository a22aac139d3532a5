"""The two Inception networks that published distances are taken with; they bring other weights and other sizes.

Both need packages that requirements/benchmark.txt names and does not install: torchvision's build goes with torch's.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from qwen_svg.common.errors import UserError, one_line
from qwen_svg.common.hub import speaks_http
from qwen_svg.model.device import pick_device

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of each colour
SIDE = 299  # pixels, that torchvision's takes


@cache
def pytorch_fid_features() -> Callable[[list[Image.Image]], np.ndarray]:
    """Return what makes (N, 2048) of pictures of one size: pool 3 of the TensorFlow weights, which resizes itself."""
    inception = package("pytorch_fid.inception")
    require_download(inception.FID_WEIGHTS_URL)
    network = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).to(pick_device()).eval()
    return lambda pictures: _run(lambda batch: network(batch)[0][:, :, 0, 0], as_tensor(pictures))


@cache
def torchvision_features() -> Callable[[list[Image.Image]], np.ndarray]:
    """Return what makes (N, 2048) of pictures: torchvision's ImageNet weights, without the last layer."""
    models = package("torchvision.models")
    weights = models.Inception_V3_Weights.IMAGENET1K_V1
    require_download(weights.url)
    network = models.inception_v3(weights=weights).to(pick_device()).eval()
    network.fc = torch.nn.Identity()

    def features(pictures: list[Image.Image]) -> np.ndarray:
        resized = [picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR) for picture in pictures]
        return _run(network, normalized(as_tensor(resized)))

    return features


def package(name: str) -> Any:
    """Import a package that stands on torchvision. UserError where it is not there, or is built for another torch."""
    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision's operators are missing
        said = one_line(error)
        raise UserError(
            f"{name} cannot be imported ({said}); requirements/benchmark.txt says what to install"
        ) from None


def require_download(url: str) -> None:
    """Raise UserError where neither torch's folder has a file, nor can its host be reached: torch would wait for it."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not file.is_file() and not speaks_http("/".join(url.split("/")[:3])):
        raise UserError(f"{url} cannot be reached; download it to {file}")


def as_tensor(pictures: list[Image.Image]) -> torch.Tensor:
    """Return float32 (N, 3, H, W) in [0, 1]."""
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2) / 255


def normalized(pictures: torch.Tensor) -> torch.Tensor:
    mean, spread = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, SPREAD))
    return (pictures - mean) / spread


def _run(network: Any, pictures: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return network(pictures.to(pick_device())).float().cpu().numpy()
