"""The ``depthcropseg`` network: ViT-Adapter, pixel decoder with FADE, one logit map for each class.

Source: DepthCropSeg++, arXiv:2601.12366: a ViT-Adapter on BEiT-Large with FADE in its decoder. Its head is
not published; here the decoder is the one of ``canopy``, and so is the colour index where it is asked for.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.model.networks.decoder import PixelDecoder
from cropseg_geo.model.networks.prior import ColourPrior
from cropseg_geo.model.networks.vit import build_vit
from cropseg_geo.model.networks.vit_adapter import VitAdapter


class DepthCropSeg(nn.Module):
    """Encoder pyramid (1/4 to 1/32) → pixel decoder to 1/4 → 3 × 3 classifier → bilinear to full size.

    Parameters
    ----------
    classes
        Channels of the output.
    encoder
        Name of a timm ViT (VisionTransformer or Beit); patches of another size are built with 16 px.
    img_size
        Side of the tile (px) that the ViT's positions are made for. A BEiT takes no other.
    heads, value_ratio
        Deformable attention of the adapter, see :class:`VitAdapter`.
    drop_path
        Rate of stochastic depth while training.
    width
        Channels of the decoder.
    upsampler
        How the decoder upsamples: ``"fade"``, ``"fade-lite"`` or ``"bilinear"``.
    colour_prior, colour_shift, colour_doubted, colour_grey
        The colour index under the logits, as in ``canopy``; the paper has none.
    """

    def __init__(
        self,
        *,
        classes: int,
        encoder: str,
        img_size: int,
        heads: int,
        value_ratio: float = 1.0,
        drop_path: float = 0.0,
        width: int = 256,
        upsampler: str = "fade",
        colour_prior: float = 0.0,
        colour_shift: float = 0.0,
        colour_doubted: float = 0.0,
        colour_grey: float = 0.0,
    ) -> None:
        super().__init__()
        vit = build_vit(encoder, img_size=img_size, drop_path=drop_path)
        self.encoder = VitAdapter(vit, heads=heads, value_ratio=value_ratio, drop_path=drop_path)
        self.decoder = PixelDecoder(self.encoder.channels, [width] * 4, upsampler=upsampler)
        self.classifier = nn.Conv2d(width, classes, 3, padding=1)
        index = colour_prior, classes, colour_shift, colour_doubted, colour_grey
        self.prior = ColourPrior(*index) if colour_prior else None

    def forward(self, images: Tensor) -> Tensor:
        """Standardised images (N, 3, H, W), H and W multiples of 32 → logits (N, classes, H, W)."""
        logits: Tensor = self.classifier(self.decoder(self.encoder(images)))
        logits = F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False)
        if self.prior is not None:
            logits = self.prior(images, logits)
        return logits
