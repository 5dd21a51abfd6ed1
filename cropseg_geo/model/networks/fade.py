"""FADE and FADE-Lite: upsampling by two with kernels made from both the encoder's and the decoder's map.

Source: H. Lu, W. Liu, H. Fu, Z. Cao, "FADE: Fusing the Assets of Decoder and Encoder for Task-Agnostic
Upsampling", arXiv:2207.10392; IJCV, doi 10.1007/s11263-024-02191-8. Written from the equations.

Shapes: encoder map E (N, C, 2H, 2W), decoder map D (N, C, H, W), output Y (N, C, 2H, 2W).
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import InferenceError

KERNEL_PX = 5
"""Side of the reassembly kernels, in pixels of the decoder's map."""

_TAPS = KERNEL_PX**2
_RADIUS = KERNEL_PX // 2


class Fade(nn.Module):
    """FADE: Y = G ⊙ E + (1 − G) ⊙ U, with U the decoder's map reassembled by kernels from E and D.

    Parameters
    ----------
    channels
        C of both maps; the gate adds them, so they must agree.
    compressed
        Channels to which both maps are compressed before the kernels are made.
    """

    def __init__(self, channels: int, *, compressed: int = 64) -> None:
        super().__init__()
        self.compress_encoder = nn.Conv2d(channels, compressed, 1)
        # No second bias: the sum of the two maps has one already.
        self.compress_decoder = nn.Conv2d(channels, compressed, 1, bias=False)
        self.shift = nn.Conv2d(compressed, _TAPS, 3, padding=1)
        self.gate = nn.Conv2d(channels, 1, 1)
        _initialise(self)

    def forward(self, encoder: Tensor, decoder: Tensor) -> Tensor:
        """(N, C, 2H, 2W) and (N, C, H, W) → (N, C, 2H, 2W).

        Raises
        ------
        InferenceError
            For maps whose sizes do not differ by exactly two, or whose channels differ.
        """
        _check_maps(encoder, decoder)
        kernels = semi_shift(self.shift, self.compress_encoder(encoder), self.compress_decoder(decoder))
        upsampled = reassemble(decoder, kernels.softmax(dim=1))
        gate = upsample_nearest(torch.sigmoid(self.gate(decoder)))
        return upsampled + gate * (encoder - upsampled)


class FadeLite(Fade):
    """FADE-Lite: both maps are compressed straight to the 25 channels; the shift is depthwise."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, compressed=_TAPS)
        self.shift = nn.Conv2d(_TAPS, _TAPS, 3, padding=1, groups=_TAPS)
        _initialise(self)


def semi_shift(shift: nn.Conv2d, encoder: Tensor, decoder: Tensor) -> Tensor:
    """S = W(Ê) + nearest↑2(W(D̂)) with one shared W, its bias counted once (eq. 6).

    The decoder's part is convolved at its own size, a quarter of the work, and then upsampled: the kernel
    steps over whole decoder pixels while it steps over single encoder pixels.
    """
    coarse = F.conv2d(decoder, shift.weight, padding=shift.padding, groups=shift.groups)
    return cast(Tensor, shift(encoder)) + upsample_nearest(coarse)


def upsample_nearest(values: Tensor) -> Tensor:
    """(N, C, H, W) → (N, C, 2H, 2W), each pixel repeated as 2 × 2."""
    return F.interpolate(values, scale_factor=2.0, mode="nearest")


def reassemble(decoder: Tensor, kernels: Tensor) -> Tensor:
    """U[c, 2i+a, 2j+b] = Σ_{|u|,|v| ≤ 2} K[(u,v), 2i+a, 2j+b] · D[c, i+u, j+v], zeros outside.

    Parameters
    ----------
    decoder
        (N, C, H, W).
    kernels
        (N, 25, 2H, 2W), rows of the kernel first; usually a softmax over the 25.

    Returns
    -------
    Tensor
        (N, C, 2H, 2W). Law: with kernels that sum to 1, a constant map stays that constant (two pixels
        of the decoder's map away from the rim, where zeros are averaged in).
    """
    if torch.is_grad_enabled() and (decoder.requires_grad or kernels.requires_grad):
        return cast(Tensor, _Reassembly.apply(decoder, kernels))
    return _sum_of_taps(decoder, kernels)


def _check_maps(encoder: Tensor, decoder: Tensor) -> None:
    channels, height, width = decoder.shape[1:]
    if encoder.shape[1:] != (channels, 2 * height, 2 * width):
        found = "×".join(map(str, encoder.shape[1:]))
        raise InferenceError(
            f"FADE got an encoder map of {found}; expected {channels}×{2 * height}×{2 * width}, twice the"
            " decoder's",
            remedy="give the network images whose sides are multiples of its stride",
        )


def _taps(decoder: Tensor) -> list[Tensor]:
    """For each tap the decoder's map, shifted by it and upsampled: 25 views of one padded map."""
    height, width = decoder.shape[-2] * 2, decoder.shape[-1] * 2
    padded = upsample_nearest(F.pad(decoder, (_RADIUS,) * 4))
    return [
        padded[:, :, 2 * u : 2 * u + height, 2 * v : 2 * v + width]
        for u in range(KERNEL_PX)
        for v in range(KERNEL_PX)
    ]


def _sum_of_taps(decoder: Tensor, kernels: Tensor) -> Tensor:
    # Summing shifted views needs one output-sized buffer, where an unfolded map would take 25.
    taps = _taps(decoder)
    total = kernels[:, :1] * taps[0]
    for index in range(1, _TAPS):
        total = total.addcmul_(kernels[:, index : index + 1], taps[index])
    return total


class _Reassembly(torch.autograd.Function):
    """The same sum with its gradient written out: plain autograd would fill a whole map for each slice."""

    @staticmethod
    def forward(ctx: Any, decoder: Tensor, kernels: Tensor) -> Tensor:  # Any: torch's own
        ctx.save_for_backward(decoder, kernels)
        return _sum_of_taps(decoder, kernels)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # Any: torch's own
        decoder, kernels = ctx.saved_tensors
        taps = _taps(decoder)
        # One buffer for the 25 products: allocating each anew costs more than computing it.
        product = torch.empty_like(gradient)
        kernel_gradient = torch.empty_like(kernels)
        for index, tap in enumerate(taps):
            torch.mul(gradient, tap, out=product)
            torch.sum(product, dim=1, keepdim=True, out=kernel_gradient[:, index : index + 1])
        height, width = gradient.shape[-2:]
        padded = gradient.new_zeros(
            (*gradient.shape[:2], height + 4 * _RADIUS, width + 4 * _RADIUS)
        ).contiguous(memory_format=_layout(gradient))
        for index in range(_TAPS):
            u, v = divmod(index, KERNEL_PX)
            view = padded[:, :, 2 * u : 2 * u + height, 2 * v : 2 * v + width]
            view.addcmul_(kernels[:, index : index + 1], gradient)
        # Every decoder pixel was repeated as 2 × 2; its gradient is the sum over the four.
        pooled = F.avg_pool2d(padded, 2) * 4.0
        return pooled[:, :, _RADIUS:-_RADIUS, _RADIUS:-_RADIUS], kernel_gradient


def _layout(values: Tensor) -> torch.memory_format:
    channels_last = values.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format


def _initialise(module: nn.Module) -> None:
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.xavier_uniform_(part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
