"""Tiles out of windows, and the next smaller size out of tiles; everything uint8 with 255 = nodata."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window

Pixels = npt.NDArray[np.uint8]

NODATA = 255


@dataclass
class _Partial:
    """A tile that is being put together: pixels, None while all are nodata, and how many are missing."""

    values: Pixels | None
    missing: int


@dataclass
class TileCollector:
    """Puts windows that partition an image together to its tiles of ``side`` px.

    Memory holds the tiles that are begun and not complete: along a frontier, whatever the image's height.
    """

    height: int
    width: int
    side: int
    _begun: dict[tuple[int, int], _Partial] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        return -(-self.height // self.side), -(-self.width // self.side)

    def window(self, i: int, j: int) -> Window:
        """The image's pixels in a tile."""
        tile = Window(i * self.side, j * self.side, self.side, self.side)
        return tile & Window(0, 0, self.height, self.width)

    def add(self, window: Window, values: Pixels | None) -> Iterator[tuple[int, int, Pixels | None]]:
        """Add the pixels (bands, H, W) of a window, None for nodata; yields the tiles that this completes.

        A tile is (bands, side, side), nodata beyond the image's rim; None if it is nodata alone.
        """
        for i in range(window.row // self.side, -(-window.row_stop // self.side)):
            for j in range(window.col // self.side, -(-window.col_stop // self.side)):
                tile = self.window(i, j)
                shared = tile & window
                partial = self._begun.setdefault((i, j), _Partial(None, tile.size))
                partial.missing -= shared.size
                part = None if values is None else values[:, *shared.relative_to(window).slices]
                if part is not None and (part != NODATA).any():
                    if partial.values is None:
                        partial.values = np.full((len(part), self.side, self.side), NODATA, dtype=np.uint8)
                    partial.values[:, *shared.relative_to(tile).slices] = part
                if not partial.missing:
                    del self._begun[i, j]
                    yield i, j, partial.values


Halve = Callable[[Pixels], Pixels]


def halved_by_mode(values: Pixels) -> Pixels:
    """Each 2 × 2 pixels → the value that most of the valid ones have; of equally many the first one's."""
    a, b, c, d = _quads(values)
    pairs = ((a, b), (a, c), (a, d), (b, c), (b, d), (c, d))
    ab, ac, ad, bc, bd, cd = ((one == other).view(np.uint8) for one, other in pairs)
    best, most = np.full(a.shape, NODATA, dtype=np.uint8), np.zeros(a.shape, dtype=np.uint8)
    for quad, twins in ((a, ab + ac + ad), (b, ab + bc + bd), (c, ac + bc + cd), (d, ad + bd + cd)):
        votes = (twins + np.uint8(1)) * (quad != NODATA)
        better = votes > most
        np.copyto(best, quad, where=better)
        np.copyto(most, votes, where=better)
    return best


def halved_by_average(values: Pixels) -> Pixels:
    """Each 2 × 2 pixels → the mean of the valid ones, rounded to nearest."""
    quads = _quads(values)
    total = np.zeros(quads[0].shape, dtype=np.uint16)
    if not (values == NODATA).any():
        for quad in quads:
            total += quad
        return ((total + np.uint16(2)) >> np.uint16(2)).astype(np.uint8)
    n = np.zeros(quads[0].shape, dtype=np.uint8)
    for quad in quads:
        is_valid = (quad != NODATA).view(np.uint8)
        total += quad * is_valid
        n += is_valid
    # Sums up to 1016 are exact in float32, and so are the quotients' floors.
    mean = np.floor((total + (n >> 1)) / np.maximum(n, 1).astype(np.float32)).astype(np.uint8)
    mean[n == 0] = NODATA
    return mean


def _quads(values: Pixels) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """The four pixels of each 2 × 2, in scan order; ``values`` (bands, H, W) with even H and W."""
    # Two neighbours are one number of 16 bits, the left one its low byte: no strided copies.
    upper, lower = (np.ascontiguousarray(values[:, row::2]).view("<u2") for row in (0, 1))
    return (
        upper.astype(np.uint8),
        (upper >> 8).astype(np.uint8),
        lower.astype(np.uint8),
        (lower >> 8).astype(np.uint8),
    )
