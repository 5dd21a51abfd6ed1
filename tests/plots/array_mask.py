"""A mask in memory, as plots read it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window


@dataclass(frozen=True)
class ArrayMask:
    """A mask in memory."""

    mask: npt.NDArray[np.uint8]
    prob: npt.NDArray[np.float32] | None = None

    @property
    def height(self) -> int:
        return self.mask.shape[0]

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        return self.mask[window.slices]

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        return None if self.prob is None else self.prob[window.slices]
