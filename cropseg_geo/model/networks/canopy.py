"""The ``canopy`` network: a compact timm encoder, a pixel decoder, one logit map for each class."""

from __future__ import annotations

from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import ModelError
from cropseg_geo.model.networks.decoder import PixelDecoder, Refinement
from cropseg_geo.model.networks.fusion import fuse_batch_norms
from cropseg_geo.model.networks.prior import ColourPrior


class Details(nn.Module):
    """The image at full resolution, folded to stride 2, joined with the decoder's features there."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.look = nn.Sequential(
            nn.Conv2d(12, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.join = Refinement(width + features, width)

    def forward(self, images: Tensor, features: Tensor) -> Tensor:
        """(N, 3, H, W) and (N, features, H / 2, W / 2) → (N, width, H / 2, W / 2)."""
        seen = self.look(F.pixel_unshuffle(images, 2))
        joined: Tensor = self.join(torch.cat([features, seen], dim=1))
        return joined


class CanopyNet(nn.Module):
    """Encoder pyramid (1/2 to 1/32) → pixel decoder to 1/2 → (details) → 3 × 3 classifier → full size.

    Without ``colour_prior`` it holds no global pooling and no position code: a pixel's logits depend on its
    surroundings only. With it, one threshold of colour is the whole image's.

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
    detail_width
        Channels of a branch that sees the image's own pixels, 2 × 2 of them as 12 channels at stride 2, and
        joins the decoder before the classifier. An encoder's first step already averages over what a blade
        of grass or an outline is; 0 leaves the branch out.
    colour_prior
        Weight of the colour index that the network's logits are added to, for images standardised to −1–1; 0
        leaves it out. See :mod:`cropseg_geo.model.networks.prior`.
    colour_shift
        What is added to the index before it is weighed; above 0, paler green counts as vegetation.
    colour_doubted
        The index's weight in training, for a finished model in which it weighs more: what it falls back to
        where it is doubted; 0 doubts nothing.
    colour_grey
        Greenness up to which a pixel is too grey for the network to call it a plant by itself; 0 believes it.

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
        detail_width: int = 0,
        colour_prior: float = 0.0,
        colour_shift: float = 0.0,
        colour_doubted: float = 0.0,
        colour_grey: float = 0.0,
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
        self.details = Details(detail_width, fine_width) if detail_width else None
        index = colour_prior, classes, colour_shift, colour_doubted, colour_grey
        self.prior = ColourPrior(*index) if colour_prior else None
        logits_per_pixel = classes * (4 if output == "shuffle" else 1)
        self.classifier = nn.Conv2d(detail_width or fine_width, logits_per_pixel, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (N, 3, H, W), H and W multiples of 32 → logits (N, classes, H, W)."""
        features = self.decoder(self.encoder(images))
        if self.details is not None:
            features = self.details(images, features)
        logits: Tensor = self.classifier(features)
        if self.output == "shuffle":
            logits = F.pixel_shuffle(logits, 2)
        else:
            logits = F.interpolate(logits, scale_factor=2.0, mode="bilinear", align_corners=False)
        if self.prior is not None:
            logits = self.prior(images, logits)
        return logits
