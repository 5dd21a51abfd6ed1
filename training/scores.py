"""Measures of a mask against the truth. Counts are summed over a test set before anything is divided.

Masks are (H, W) uint8, 1 = vegetation, 0 = background; in a truth 255 = unknown. Unknown pixels are in no
count: neither in a numerator nor in a denominator.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixels = npt.NDArray[np.uint8]
Flags = npt.NDArray[np.bool_]

IGNORE = 255
"""What a truth says of a pixel about which nothing is known."""

BOUNDARY_RATIO = 0.005
"""Width of the boundary as a part of the picture's diagonal: 5 px at 640 × 640, 6 px at 960 × 720.

The authors of the measure take 0.02, for objects of everyday pictures; that is 18 px here, more than most
leaves are wide, and the measure would be the plain IoU again.
"""

MAX_REACH_PX = 6
"""An orthomosaic has no diagonal that says anything about its leaves: never wider than in the pictures."""


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


@dataclass(frozen=True)
class Truth:
    """A true mask with what every method is compared to, worked out once.

    ``plants``, ``known`` and ``rim`` are (H, W) boolean; ``rim`` holds the plants' boundary.
    """

    plants: Flags = field(repr=False)
    known: Flags = field(repr=False)
    rim: Flags = field(repr=False)
    reach_px: int

    @classmethod
    def of(cls, mask: Pixels) -> Truth:
        """From (H, W) uint8: 0 background, 255 unknown, else vegetation."""
        known = mask != IGNORE
        plants = (mask > 0) & known
        reach_px = boundary_reach_px(mask.shape)
        return cls(plants, known, boundary(plants, reach_px, known=known), reach_px)

    @property
    def coverage(self) -> float:
        """Share of vegetation in what is known."""
        return _ratio(int(np.sum(self.plants)), int(np.sum(self.known)))


def count(prediction: Pixels, truth: Truth) -> Counts:
    """Counts of one picture."""
    known = truth.known
    predicted = (prediction > 0) & known
    rim = boundary(predicted, truth.reach_px, known=known)
    hits = int(np.sum(predicted & truth.plants))
    found, plants = int(np.sum(predicted)), int(np.sum(truth.plants))
    return Counts(
        true_positive=hits,
        false_positive=found - hits,
        false_negative=plants - hits,
        true_negative=int(np.sum(known)) - found - plants + hits,
        boundary_overlap=int(np.sum(rim & truth.rim)),
        boundary_union=int(np.sum(rim | truth.rim)),
    )


def boundary_reach_px(shape: tuple[int, ...]) -> int:
    """Width of the boundary in a picture of ``shape`` (H, W), 1 to 6 px."""
    return min(MAX_REACH_PX, max(1, round(BOUNDARY_RATIO * float(np.hypot(shape[0], shape[1])))))


def boundary(mask: Pixels | Flags, reach_px: int, *, known: Flags | None = None) -> Flags:
    """Pixels of the mask within ``reach_px`` (chessboard distance) of its outline.

    The picture's rim is no outline: a plant that the picture cuts has no boundary there. Nor is the edge of
    what is unknown.
    Source: B. Cheng et al., "Boundary IoU" (2021), arXiv:2103.16562, eq. 2, whose code counts the rim.
    """
    plants = mask > 0
    solid = plants if known is None else plants | ~known
    inner = ndimage.minimum_filter(solid.view(np.uint8), size=2 * reach_px + 1, mode="constant", cval=1)
    rim: Flags = plants & (inner == 0)
    return rim


def _ratio(part: int, whole: int) -> float:
    """1 where there is nothing to find and nothing was found."""
    return part / whole if whole else 1.0
