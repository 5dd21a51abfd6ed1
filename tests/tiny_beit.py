"""A BEiT that is built in a moment, where timm would be asked for one of its own."""

from __future__ import annotations

import pytest
from timm.models.beit import Beit

NETWORK = {"encoder": "beit", "img_size": 64, "heads": 2, "value_ratio": 0.5, "width": 8}
"""Arguments of a ``depthcropseg`` network on it; it takes tiles of 64 px alone."""


def use_tiny_beit(patch: pytest.MonkeyPatch) -> None:
    """Have every encoder of timm's made as the tiny one."""

    def make(name, **arguments):
        assert not arguments.pop("pretrained")
        return Beit(embed_dim=32, depth=4, num_heads=2, use_rel_pos_bias=True, **arguments)

    patch.setattr("cropseg_geo.model.networks.vit.timm.create_model", make)
