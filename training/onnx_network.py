"""A network rewritten so that CPU runtimes of ONNX compute the same faster; in place, for export only.

Measured with OpenVINO on one core, canopy-s, a tile of 512 px: see DESIGN.md. What costs there is not
arithmetic but moving maps about: slices, and changes of their layout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.model.networks.canopy import Details
from cropseg_geo.model.networks.fade import KERNEL_PX, Fade, upsample_nearest
from cropseg_geo.model.networks.prior import ColourPrior, believed
from cropseg_geo.model.networks.threshold import LearnedThreshold

Network = TypeVar("Network", bound=nn.Module)


def rewrite_for_onnx(network: Network) -> Network:
    """The same function in operations that ONNX runtimes are fast at; its batch norms are folded already."""
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Fade):
                setattr(parent, name, CoarseFade(child))
            elif isinstance(child, Details):
                setattr(parent, name, StridedDetails(child))
            elif isinstance(child, ColourPrior):
                setattr(parent, name, PlanarPrior(child))
            elif isinstance(child, LearnedThreshold):
                setattr(parent, name, exact_convolutions(child))
    return network


class CoarseFade(nn.Module):
    """FADE with its sum at the coarse size: the 25 shifted maps are a quarter as large.

    The kernels of the 2 × 2 fine pixels within a coarse one lie side by side as four groups of channels.
    """

    def __init__(self, fade: Fade) -> None:
        super().__init__()
        self.fade = fade

    def forward(self, encoder: Tensor, decoder: Tensor) -> Tensor:
        """(N, C, 2H, 2W) and (N, C, H, W) → (N, C, 2H, 2W)."""
        fade = self.fade
        shift = fade.shift
        fine = _space_to_depth(shift(fade.compress_encoder(encoder)))
        coarse = F.conv2d(fade.compress_decoder(decoder), shift.weight, padding=1, groups=shift.groups)
        grouped = fine.reshape(fine.shape[0], 4, KERNEL_PX**2, *fine.shape[2:])
        kernels = (grouped + coarse.unsqueeze(1)).softmax(dim=2)
        upsampled = _depth_to_space(_reassemble(decoder, kernels).flatten(1, 2))
        gate = upsample_nearest(torch.sigmoid(fade.gate(decoder)))
        return upsampled + gate * (encoder - upsampled)


def _reassemble(decoder: Tensor, kernels: Tensor) -> Tensor:
    """Map (N, C, H, W), kernels (N, 4, 25, H, W) → four fine pixels in each coarse one, (N, 4, C, H, W)."""
    reach = KERNEL_PX - 1
    padded = F.pad(decoder, (reach // 2,) * 4).unsqueeze(1)
    total: Tensor | None = None
    for tap, kernel in enumerate(torch.split(kernels, 1, dim=2)):
        u, v = divmod(tap, KERNEL_PX)
        # Counted from the far end, so that the graph holds for any size without asking for it.
        part = kernel * padded[..., u : u - reach or None, v : v - reach or None]
        total = part if total is None else total + part
    return cast(Tensor, total)


class StridedDetails(nn.Module):
    """Folding 2 × 2 pixels and a 3 × 3 convolution are one 6 × 6 convolution with a stride of two."""

    def __init__(self, details: Details) -> None:
        super().__init__()
        first = cast(nn.Conv2d, details.look[0])
        outputs = first.out_channels
        look = nn.Conv2d(first.in_channels // 4, outputs, 6, stride=2, padding=2)
        # (O, C·2·2, 3, 3), channel c·4 + 2a + b → (O, C, 3·2, 3·2), row 2·ky + a.
        taps = first.weight.detach().reshape(outputs, -1, 2, 2, 3, 3).permute(0, 1, 4, 2, 5, 3)
        look.weight = nn.Parameter(taps.reshape(look.weight.shape), requires_grad=False)
        look.bias = first.bias
        self.look = nn.Sequential(look, *details.look[1:])
        self.join = details.join

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, features, H / 2, W / 2) → (N, width, H / 2, W / 2)."""
        joined: Tensor = self.join(torch.cat([features, self.look(images)], dim=1))
        return joined


class PlanarPrior(nn.Module):
    """The colour index put on logits whose pixels lie side by side, whatever their layout was.

    OpenVINO pads the classes of a map to blocks of sixteen channels, and would add and divide eight times as
    many numbers as there are.
    """

    def __init__(self, prior: ColourPrior) -> None:
        super().__init__()
        self.prior = prior

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Images (N, 3, H, W) on −1–1 and logits (N, classes, H, W) → (N, classes, H, W)."""
        prior, logits = self.prior, logits.float()
        index, grey = prior.weighed_index(images, logits)
        flat = logits.flatten(2).unsqueeze(1)
        grey = None if grey is None else grey.flatten(2).unsqueeze(1)
        side = prior.side.float().reshape(1, 1, -1, 1)
        said = believed(flat, flat[:, :, :1], grey)
        moved = (said + side * index.flatten(2).unsqueeze(1)) / prior.temperature.float()
        return moved.reshape(logits.shape)


def exact_convolutions(threshold: LearnedThreshold) -> LearnedThreshold:
    """The threshold with convolutions spelled out as products and sums, in place.

    What comes after the last convolution is computed in fp32 where the rest is in bf16. A threshold that is
    rounded moves every pixel of a tile; with convolutions of a few hundred numbers it would be.
    """
    for name, child in list(threshold.named_children()):
        setattr(threshold, name, SpelledConvolution(cast(nn.Conv1d, child)))
    return threshold


class SpelledConvolution(nn.Module):
    """A one-dimensional convolution that keeps the length, as shifted copies, a product and a sum."""

    def __init__(self, convolution: nn.Conv1d) -> None:
        super().__init__()
        outputs, _, self.taps = convolution.weight.shape
        # (O, C, K) → (1, O, K·C, 1): all channels of the first shift, then of the next.
        weight = convolution.weight.detach().permute(0, 2, 1).reshape(1, outputs, -1, 1)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = convolution.bias

    def forward(self, values: Tensor) -> Tensor:
        """(N, C, L) → (N, O, L)."""
        length, reach = values.shape[2], self.taps // 2
        padded = F.pad(values, (reach, reach))
        shifted = torch.cat([padded[..., k : k + length] for k in range(self.taps)], dim=1)
        summed = (shifted.unsqueeze(1) * self.weight).sum(dim=2)
        return summed + cast(Tensor, self.bias)[:, None]


def _space_to_depth(values: Tensor) -> Tensor:
    """(N, C, 2H, 2W) → (N, 4C, H, W): the channels of the upper left pixels first, then row by row."""
    n, channels, height, width = values.shape
    return _operator("SpaceToDepth", values, (n, 4 * channels, height // 2, width // 2))


def _depth_to_space(values: Tensor) -> Tensor:
    """(N, 4C, H, W) → (N, C, 2H, 2W), the reverse."""
    n, channels, height, width = values.shape
    return _operator("DepthToSpace", values, (n, channels // 4, 2 * height, 2 * width))


def _operator(name: str, values: Tensor, shape: Sequence[int | torch.SymInt]) -> Tensor:
    """One operator of ONNX, which torch's exporter would spell out as reshapes and a transposition."""
    return torch.onnx.ops.symbolic(
        name, (values,), {"blocksize": 2}, dtype=values.dtype, shape=shape, version=18
    )
