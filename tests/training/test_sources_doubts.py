"""What is said of masks that contradict their pictures, and of masks that only fit them badly."""

import numpy as np

from training.data import UNKNOWN, Decoded
from training.sources.doubts import doubt

COLUMNS = np.arange(100)


def decoded(green, plants, unknown=()):
    """A picture of columns that are green, in a mask of columns that are plants."""
    image = np.where(np.isin(COLUMNS, green)[:, None], (60, 150, 50), (120, 90, 70)).astype(np.uint8)
    mask = np.isin(COLUMNS, plants).astype(np.uint8)
    mask[list(unknown)] = UNKNOWN
    return Decoded(np.tile(image, (40, 1, 1)), np.tile(mask, (40, 1)))


def test_a_mask_that_fits_better_mirrored_is_doubted_only_where_that_is_twice_as_good():
    green = range(20, 60)
    assert doubt([decoded(green, range(20, 60))]) is None
    assert "an IoU of 0.33, and 1.00" in doubt([decoded(green, range(40, 80))])
    # An IoU of 26 / 54 as it is, and of 34 / 46 mirrored.
    assert doubt([decoded(green, range(34, 74))]) is None


def test_what_is_unknown_speaks_neither_for_a_mask_nor_against_it():
    unknown = range(50, 100)
    told = doubt([decoded([*range(25), *unknown], range(25, 50), unknown)])
    assert "exchanged" in told
    assert "an IoU of 0.00, and 1.00" in told
