"""The same function in fewer passes over memory: networks rewritten for evaluation, in place.

Batch norms are folded into the convolutions before them; padding that differs from side to side becomes
part of the kernel; activations overwrite their input.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TypeGuard, TypeVar

import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)

_ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish)


def fuse_batch_norms(network: Network) -> Network:
    """Fold each batch norm into the convolution registered right before it; in place, evaluation only.

    timm's batch norms carry the activation that follows them; it stays where the batch norm was.
    """
    for parent in list(network.modules()):
        children = list(parent.named_children())
        for (conv_name, conv), (norm_name, norm) in pairwise(children):
            if (
                isinstance(conv, nn.Conv2d)
                and isinstance(norm, nn.BatchNorm2d)
                and conv.out_channels == norm.num_features
            ):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, _after_norm(norm))
    return network


def _after_norm(norm: nn.BatchNorm2d) -> nn.Module:
    activation = getattr(norm, "act", None)
    return activation if isinstance(activation, nn.Module) else nn.Identity()


def pad_symmetrically(network: Network) -> Network:
    """Replace TensorFlow's "same" padding of strided convolutions by padding that needs no copy; in place.

    For an even input, stride 2 and an odd kernel of k, that padding is (k − 3) / 2 before and (k − 1) / 2
    after. A kernel of k + 1 whose first row and column are 0, padded by (k − 1) / 2 on all sides, sees the
    same pixels with the same weights, without a padded copy of the largest maps (a seventh of the forward
    pass). Inputs whose sides are a multiple of the network's stride are even at every such convolution.
    """
    for parent in list(network.modules()):
        for name, conv in list(parent.named_children()):
            if _can_be_widened(conv):
                setattr(parent, name, _widened(conv))
    return network


def activate_in_place(network: Network) -> Network:
    """Let activations right after a convolution overwrite its output, which nothing else reads; in place."""
    for parent in network.modules():
        for before, module in pairwise(parent.children()):
            if isinstance(before, nn.Conv2d) and isinstance(module, _ACTIVATIONS):
                module.inplace = True
    return network


def _can_be_widened(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    if not isinstance(module, Conv2dSame):
        return False
    height, width = module.kernel_size
    return height == width and height % 2 == 1 and module.stride == (2, 2) and module.dilation == (1, 1)


def _widened(conv: nn.Conv2d) -> nn.Conv2d:
    size = conv.kernel_size[0]
    wide = nn.Conv2d(
        conv.in_channels,
        conv.out_channels,
        size + 1,
        stride=2,
        padding=(size - 1) // 2,
        groups=conv.groups,
        bias=conv.bias is not None,
    ).to(conv.weight)
    with torch.no_grad():
        wide.weight.zero_()
        wide.weight[:, :, 1:, 1:] = conv.weight
        if conv.bias is not None and wide.bias is not None:
            wide.bias.copy_(conv.bias)
    return wide.train(conv.training).requires_grad_(conv.weight.requires_grad)
