"""Pictures in, depth out: resampled and standardised as the published weights expect it.

The published code resizes with OpenCV's INTER_CUBIC on floats: the cubic kernel with a = −0.75, two pixels
to either side whatever the scale (no antialiasing), pixel centres at halves, edges repeated, and values that
overshoot 0–1 left as they are. torch's bicubic without antialiasing is the same; Pillow's is not (a = −0.5,
antialiased). Only the rounding differs: float32 here, float64 there.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from cropseg_geo.errors import InferenceError, InputError
from training.depth.network import DepthNet
from training.depth.sizes import GRID, PATCH_PX

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SHORTER_PX = GRID * PATCH_PX
MAX_ASPECT = 8.0
"""Our limit: the work of attention grows with the square of the longer side."""

# ImageNet's, of red, green, blue on 0–1.
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def input_shape(height: int, width: int) -> tuple[int, int]:
    """(rows, cols) in px at which a picture is seen: the shorter side 518, the longer to scale, in 14s.

    Law: both are multiples of 14 and at least 518; the shorter one is 518.

    Raises
    ------
    InputError
        For a picture without pixels or longer than 8 times its width.
    """
    shorter, longer = sorted((height, width))
    if shorter < 1 or longer > MAX_ASPECT * shorter:
        raise InputError(
            f"a picture of {height}×{width} px; expected sides of at least 1 px, "
            f"the longer at most {MAX_ASPECT:g} times the shorter",
            remedy="cut it into pieces",
        )
    scale = max(SHORTER_PX / height, SHORTER_PX / width)
    return _fitted(scale * height), _fitted(scale * width)


def prepare(image: Pixels) -> Tensor:
    """RGB (H, W, 3) uint8 → the network's input, (1, 3, rows, cols) float32, see :func:`input_shape`.

    Raises
    ------
    InputError
        For an array of another shape or type.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(
            f"a picture of shape {image.shape} and type {image.dtype}; expected (H, W, 3) uint8, RGB"
        )
    shape = input_shape(*image.shape[:2])
    # A copy: torch refuses negative strides and warns of arrays that may not be written.
    values = torch.from_numpy(np.array(image, order="C")).permute(2, 0, 1).unsqueeze(0).float().div_(255.0)
    values = F.interpolate(values, shape, mode="bicubic", align_corners=False, antialias=False)
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (_MEAN, _STD))
    return values.sub_(mean).div_(std)


@torch.inference_mode()
def estimate_depth(network: DepthNet, image: Pixels) -> Floats:
    """Relative inverse depth of a picture: higher = closer, scale and offset unknown.

    Parameters
    ----------
    network
        See :func:`training.depth.weights.load_depth`; computes where its weights are.
    image
        RGB, (H, W, 3) uint8, sides at most 8 : 1.

    Returns
    -------
    Floats
        (H, W) float32, not negative.

    Raises
    ------
    InputError
        For an image that is none.
    InferenceError
        If the network returns something that is not finite.
    """
    values = prepare(image).to(next(network.parameters()).device)
    height, width = image.shape[:2]
    depth = network(values)
    # Corners on corners, as the published code enlarges it.
    depth = F.interpolate(depth.unsqueeze(1), (height, width), mode="bilinear", align_corners=True)[0, 0]
    result = cast(Floats, depth.float().cpu().numpy())
    if not np.isfinite(result).all():
        raise InferenceError(
            f"the depth network returned values that are not finite on a picture of {height}×{width} px",
            remedy="check the weights file; compute in fp32",
        )
    return result


def _fitted(length_px: float) -> int:
    """The nearest multiple of 14 (halves to the even one), but the next larger where that is below 518."""
    nearest = round(length_px / PATCH_PX) * PATCH_PX
    return nearest if nearest >= SHORTER_PX else math.ceil(length_px / PATCH_PX) * PATCH_PX
