"""What tracing needs of a mask: its size and windows of it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window

NODATA = 255


class MaskSource(Protocol):
    """A class mask and, where there is one, its probability, read by windows."""

    @property
    def height(self) -> int:
        """Rows (px)."""

    @property
    def width(self) -> int:
        """Columns (px)."""

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes ``(h, w)``: 0 background, 255 nodata, else the class."""

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability ``(h, w)`` in 0–1, NaN where nodata; None if the source holds none."""


def threshold_of(source: MaskSource) -> float | None:
    """The probability from which on a pixel is of class 1; None if the source does not know of one.

    A source may have an attribute ``threshold``; masks of several classes have none.
    """
    threshold = getattr(source, "threshold", None)
    return None if threshold is None else float(threshold)


def read_classes(
    source: MaskSource, window: Window, n_classes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """The window's classes ``(h, w)`` with nodata turned into background, and where nodata is.

    Raises
    ------
    ReadError
        The source returned another shape than it was asked for.
    InputError
        The mask holds a class that has no name.
    """
    mask = source.read_mask(window)
    _check_shape(mask.shape, window, "mask")
    is_nodata = mask == NODATA
    pixels = mask.astype(np.uint8, copy=False) * ~is_nodata  # NODATA → 0, the background
    found = int(pixels.max(initial=0))
    if found >= n_classes:
        raise InputError(
            f"the mask holds class {found} in {window}; {n_classes} classes are named (0–{n_classes - 1})",
            remedy="name every class of the mask, background first, or pass the mask that the model wrote",
        )
    return np.asarray(pixels), np.asarray(is_nodata)


def read_probability(source: MaskSource, window: Window) -> npt.NDArray[np.float32] | None:
    """The window's probability ``(h, w)``, or None if the source holds none; a wrong shape is a ReadError."""
    prob = source.read_prob(window)
    if prob is not None:
        _check_shape(prob.shape, window, "probability")
    return prob


def _check_shape(shape: tuple[int, ...], window: Window, what: str) -> None:
    if shape != window.shape:
        raise ReadError(f"the {what} of {window} came back as {shape}; expected {window.shape}")
