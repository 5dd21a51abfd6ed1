"""Measures of a mask against the truth. Counts are summed over a test set before anything is divided.

Masks are (H, W) arrays of 0 and 1, 1 = vegetation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixels = npt.NDArray[np.uint8]

BOUNDARY_RATIO = 0.005
"""Width of the boundary as a part of the picture's diagonal: 5 px at 640 × 640, 6 px at 960 × 720.

The authors of the measure take 0.02, for objects of everyday pictures; that is 18 px here, more than most
leaves are wide, and the measure would be the plain IoU again.
"""


@dataclass(frozen=True)
class Counts:
    """Pixels of a test set: the confusion matrix of vegetation, and overlap and union of the boundaries."""

    true_positive: int = 0
    false_positive: int = 0
    false_negative: int = 0
    true_negative: int = 0
    boundary_overlap: int = 0
    boundary_union: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
            self.boundary_overlap + other.boundary_overlap,
            self.boundary_union + other.boundary_union,
        )

    @property
    def vegetation_iou(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self._wrong)

    @property
    def background_iou(self) -> float:
        return _ratio(self.true_negative, self.true_negative + self._wrong)

    @property
    def miou(self) -> float:
        """Mean of the IoU of vegetation and of background."""
        return (self.vegetation_iou + self.background_iou) / 2.0

    @property
    def boundary_iou(self) -> float:
        return _ratio(self.boundary_overlap, self.boundary_union)

    @property
    def _wrong(self) -> int:
        return self.false_positive + self.false_negative

    def as_scores(self) -> dict[str, float]:
        """The three measures by name, on 0–1."""
        return {
            "miou": self.miou,
            "vegetation_iou": self.vegetation_iou,
            "boundary_iou": self.boundary_iou,
        }


def count(prediction: Pixels, truth: Pixels) -> Counts:
    """Counts of one picture."""
    predicted, true = prediction > 0, truth > 0
    reach_px = boundary_reach_px(truth.shape)
    predicted_rim, true_rim = boundary(prediction, reach_px), boundary(truth, reach_px)
    return Counts(
        true_positive=int(np.sum(predicted & true)),
        false_positive=int(np.sum(predicted & ~true)),
        false_negative=int(np.sum(~predicted & true)),
        true_negative=int(np.sum(~predicted & ~true)),
        boundary_overlap=int(np.sum(predicted_rim & true_rim)),
        boundary_union=int(np.sum(predicted_rim | true_rim)),
    )


def boundary_reach_px(shape: tuple[int, ...]) -> int:
    """Width of the boundary in a picture of ``shape`` (H, W), at least 1 px."""
    return max(1, round(BOUNDARY_RATIO * float(np.hypot(shape[0], shape[1]))))


def boundary(mask: Pixels, reach_px: int) -> npt.NDArray[np.bool_]:
    """Pixels of the mask within ``reach_px`` (chessboard distance) of its outline.

    The picture's rim is no outline: a plant that the picture cuts has no boundary there.
    Source: B. Cheng et al., "Boundary IoU" (2021), arXiv:2103.16562, eq. 2, whose code counts the rim.
    """
    inner = ndimage.minimum_filter(mask, size=2 * reach_px + 1, mode="constant", cval=1)
    return (mask > 0) & (inner == 0)


def _ratio(part: int, whole: int) -> float:
    """1 where there is nothing to find and nothing was found."""
    return part / whole if whole else 1.0
