"""A model of ours as TorchScript: bytes of a picture in, probabilities out, scaling inside.

python export_network.py MODEL FILE
"""

import sys
import warnings

import torch
from torch import Tensor, nn

from cropseg_geo.model.runtime import load_network
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model


class Scaled(nn.Module):
    """(N, 3, H, W), 0–255 in any type → probabilities (N, K, H, W)."""

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean.view(1, -1, 1, 1))
        self.register_buffer("std", std.view(1, -1, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network((pixels.float() - self.mean) / self.std).softmax(dim=1)


weights = find_model(sys.argv[1])
card = read_card(weights)
scaled = Scaled(load_network(weights), 255 * torch.tensor(card.mean), 255 * torch.tensor(card.std)).eval()
with warnings.catch_warnings(), torch.no_grad():
    warnings.simplefilter("ignore")  # torch calls its tracer old
    traced = torch.jit.trace(scaled, torch.zeros(1, len(card.bands), 512, 512, dtype=torch.uint8))
    torch.jit.save(torch.jit.freeze(traced), sys.argv[2])
