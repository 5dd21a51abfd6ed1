"""Named configurations of the networks, as plain data: what a card's ``network`` holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card_fields import Argument


@dataclass(frozen=True)
class Preset:
    """A network's name, its builder's arguments and where its encoder's weights come from.

    Parameters
    ----------
    architecture
        A key of :data:`cropseg_geo.model.networks.NETWORKS`.
    network
        Arguments of that builder.
    pretrained
        Encoder weights to start a training from, ``timm:`` and a name on timm's hub.
    layer_decay
        Factor of the learning rate from layer to layer of the encoder, see ``vit.layer_indices``.
    """

    architecture: str
    network: Mapping[str, Argument]
    pretrained: str
    layer_decay: float


def _adapter(encoder: str, **arguments: Argument) -> Mapping[str, Argument]:
    # 512 px: the crop of the nearest public recipe of the same laboratory.
    common: dict[str, Argument] = {"img_size": 512, "width": 256, "upsampler": "fade"}
    return MappingProxyType({"encoder": encoder, **common, **arguments})


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        # The network of DepthCropSeg++ as far as it is published: BEiTv2-L, adapter L, FADE. The rest, the
        # decay too, is our choice.
        "depthcropseg-pp-l": Preset(
            architecture="depthcropseg",
            network=_adapter("beitv2_large_patch16_224", heads=16, value_ratio=0.5, drop_path=0.3),
            pretrained="timm:beitv2_large_patch16_224.in1k_ft_in22k",
            layer_decay=0.90,
        ),
        # Smaller ones on DINOv2 (Apache-2.0), for which the decay of 0.70 matters.
        "depthcropseg-pp-b": Preset(
            architecture="depthcropseg",
            network=_adapter("vit_base_patch14_dinov2", heads=12, value_ratio=0.5, drop_path=0.3),
            pretrained="timm:vit_base_patch14_dinov2.lvd142m",
            layer_decay=0.70,
        ),
        "depthcropseg-pp-s": Preset(
            architecture="depthcropseg",
            network=_adapter("vit_small_patch14_dinov2", heads=6, value_ratio=1.0, drop_path=0.2),
            pretrained="timm:vit_small_patch14_dinov2.lvd142m",
            layer_decay=0.70,
        ),
    }
)


def find_preset(name: str) -> Preset:
    """The configuration of that name. Raises ModelError for an unknown one."""
    if name not in PRESETS:
        raise ModelError(
            f"unknown preset {name!r}; this version has: {', '.join(sorted(PRESETS))}",
            remedy="name one of these",
        )
    return PRESETS[name]
