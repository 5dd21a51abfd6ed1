"""Outlines that follow the image: a finished network's probabilities, explained by the pixels' own colours.

A network that sees the scene at half resolution and coarser draws outlines a pixel or two beside the leaf.
Within a small window, plants and soil differ in colour: there the probability is taken as a linear function
of the colours, fitted to what the network said, and evaluated at each pixel. No weights are learned.

Source: K. He, J. Sun, X. Tang, "Guided image filtering" (2013), IEEE TPAMI 35(6), section 3.5 for colour
guides; its statistics at half resolution as in "Fast guided filter" (2015), arXiv:1505.00996. Ours: the
regularisation follows the window's brightness, so that a picture in the dusk is treated as one at noon.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

CONTRAST = 3e-4
"""Variance of the colours, as a share of the window's squared brightness, below which a window counts as
flat: about 2 % contrast, above a camera's noise and below soil against leaf."""

_DARK = 0.02
_SURE = 0.001
"""Probabilities end here, and at 1 less this: a line reaches beyond 0 and 1."""


class GuidedOutlines(nn.Module):
    """Logits whose probabilities were fitted to the image by a guided filter.

    Parameters
    ----------
    radius
        Of the window, in px at half resolution: 4 is a window of 18 × 18 px of the image.

    Attributes
    ----------
    temperature
        Divides the logits that come out; calibration after the filter.
    """

    temperature: Tensor

    def __init__(self, radius: int) -> None:
        super().__init__()
        self.radius = radius
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Images (N, 3, H, W) on −1–1 and logits (N, classes, H, W), H and W even → (N, classes, H, W)."""
        # Bands and classes are taken apart below, so each of them lies in one piece.
        colours = ((images.float() + 1.0) / 2.0).contiguous()
        told = logits.float().contiguous().softmax(dim=1)[:, 1:]
        seen = F.avg_pool2d(colours, 2)
        lines = self._lines(seen, F.avg_pool2d(told, 2))
        lines = F.interpolate(self._mean(lines), scale_factor=2.0, mode="bilinear", align_corners=False)
        classes = told.shape[1]
        slopes, offsets = lines[:, : 3 * classes], lines[:, 3 * classes :]
        fitted = offsets
        for band in range(3):
            fitted = fitted + slopes[:, band * classes : (band + 1) * classes] * colours[:, band : band + 1]
        fitted = fitted.clamp(_SURE, 1.0 - _SURE)
        rest = (1.0 - fitted.sum(dim=1, keepdim=True)).clamp(min=_SURE)
        odds = (fitted / rest).log() / self.temperature
        return torch.cat([torch.zeros_like(rest), odds], dim=1)

    def _lines(self, seen: Tensor, told: Tensor) -> Tensor:
        """Colours (N, 3, h, w), probabilities (N, k, h, w) → slopes by band, then offsets, (N, 4k, h, w)."""
        red, green, blue = (seen[:, k : k + 1] for k in range(3))
        products = [red * red, red * green, red * blue, green * green, green * blue, blue * blue]
        classes = told.shape[1]
        means = self._mean(torch.cat([seen, told, *products, red * told, green * told, blue * told], dim=1))
        mean_told = means[:, 3 : 3 + classes]
        r, g, b = (means[:, k : k + 1] for k in range(3))
        rr, rg, rb, gg, gb, bb = (means[:, k : k + 1] for k in range(3 + classes, 9 + classes))
        flat = CONTRAST * (means[:, :3].mean(dim=1, keepdim=True) + _DARK).square()
        rr, gg, bb = rr - r * r + flat, gg - g * g + flat, bb - b * b + flat
        rg, rb, gb = rg - r * g, rb - r * b, gb - g * b
        with_told = means[:, 9 + classes :]
        to_r, to_g, to_b = (
            with_told[:, k * classes : (k + 1) * classes] - mean * mean_told
            for k, mean in enumerate((r, g, b))
        )
        # The symmetric 3 × 3 system by its cofactors.
        c_rr, c_rg, c_rb = gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg
        c_gg, c_gb, c_bb = rr * bb - rb * rb, rg * rb - rr * gb, rr * gg - rg * rg
        scale = 1.0 / (rr * c_rr + rg * c_rg + rb * c_rb)
        slope_r = (c_rr * to_r + c_rg * to_g + c_rb * to_b) * scale
        slope_g = (c_rg * to_r + c_gg * to_g + c_gb * to_b) * scale
        slope_b = (c_rb * to_r + c_gb * to_g + c_bb * to_b) * scale
        offset = mean_told - slope_r * r - slope_g * g - slope_b * b
        return torch.cat([slope_r, slope_g, slope_b, offset], dim=1)

    def _mean(self, values: Tensor) -> Tensor:
        """Mean over the window, of what of it lies within the image."""
        inside = torch.ones_like(values[:1, :1])
        return self._sum(values) / self._sum(inside)

    def _sum(self, values: Tensor) -> Tensor:
        for dim, pads in ((3, (self.radius, self.radius)), (2, (0, 0, self.radius, self.radius))):
            values = _running_sum(F.pad(values, pads), 2 * self.radius + 1, dim)
        return values


def _running_sum(values: Tensor, size: int, dim: int) -> Tensor:
    """Sums of ``size`` neighbours along ``dim``, which becomes shorter by size − 1.

    Sums of 2, 4, 8 … neighbours are made of each other: four additions for nine, where pooling takes nine.
    """
    length = values.shape[dim] - size + 1
    total, taken, power, window = None, 0, values, 1
    while taken < size:
        if size & window:
            part = power.narrow(dim, taken, length)
            total = part if total is None else total + part
            taken += window
        if taken < size:
            shorter = power.shape[dim] - window
            power = power.narrow(dim, 0, shorter) + power.narrow(dim, window, shorter)
            window *= 2
    if total is None:
        raise ValueError(f"a window of {size} neighbours; expected 1 or more")
    return total
