"""The ``canopy`` network: a compact timm encoder, a pixel decoder, one logit map for each class."""

from __future__ import annotations

from typing import Any

import timm
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import ModelError
from cropseg_geo.model.networks.decoder import PixelDecoder
from cropseg_geo.model.networks.fusion import fuse_batch_norms


class CanopyNet(nn.Module):
    """Encoder pyramid (1/2 to 1/32) → pixel decoder to 1/2 → 3 × 3 classifier → bilinear to full size.

    It holds no global pooling and no position code: a pixel's logits depend on its surroundings only, so
    a crop gives the same result as the whole, away from the crop's rim.

    Parameters
    ----------
    classes
        Channels of the output.
    encoder
        Name of a timm model that gives five maps with strides 2, 4, 8, 16, 32.
    width
        Channels of the decoder at strides 4 and above.
    fine_width
        Channels of the decoder at stride 2.
    fold_norms
        Build the encoder without batch norms, its convolutions with a bias instead: for weights in which
        they were folded, or that were trained so.
    pad_type
        Padding of the encoder's convolutions, ``"same"`` for weights that come from TensorFlow; empty
        for timm's default.
    upsampler
        How the decoder upsamples: ``"fade-lite"``, ``"fade"`` or ``"bilinear"``.
    output
        The last step, from 1/2 to full size: ``"bilinear"``, or ``"shuffle"`` for a classifier that gives
        each of the 2 × 2 pixels its own logit (four times the classifier's weights, nothing else).

    Raises
    ------
    ModelError
        For an unknown upsampler or output.
    """

    def __init__(
        self,
        *,
        classes: int,
        encoder: str,
        width: int = 48,
        fine_width: int = 16,
        fold_norms: bool = False,
        pad_type: str = "",
        upsampler: str = "fade-lite",
        output: str = "bilinear",
    ) -> None:
        super().__init__()
        if output not in ("bilinear", "shuffle"):
            raise ModelError(
                f"unknown output {output!r}; expected bilinear or shuffle",
                remedy="name one of these, or install the version that the model was made for",
            )
        extra: dict[str, Any] = {"pad_type": pad_type} if pad_type else {}  # Any: timm's keywords
        # pretrained=False: a network is built without touching the net; its weights come from the model file.
        backbone: Any = timm.create_model(
            encoder, pretrained=False, features_only=True, **extra
        )  # Any: timm's
        strides = list(backbone.feature_info.reduction())
        if strides != [2, 4, 8, 16, 32]:
            raise TypeError(f"encoder {encoder} has strides {strides}; expected 2, 4, 8, 16, 32")
        channels = backbone.feature_info.channels()
        self.encoder: nn.Module = fuse_batch_norms(backbone.eval()).train() if fold_norms else backbone
        widths = [fine_width, width, width, width, width]
        self.decoder = PixelDecoder(channels, widths, upsampler=upsampler)
        self.output = output
        logits_per_pixel = classes * (4 if output == "shuffle" else 1)
        self.classifier = nn.Conv2d(fine_width, logits_per_pixel, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (N, 3, H, W), H and W multiples of 32 → logits (N, classes, H, W)."""
        features = self.decoder(self.encoder(images))
        logits: Tensor = self.classifier(features)
        if self.output == "shuffle":
            return F.pixel_shuffle(logits, 2)
        return F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
