"""Finished blocks on disk or in an object store, for resume and for many writers at once.

One Zarr array holds, for each block, the running sums over its whole footprint: its own pixels and the
``overlap_px`` more that its tiles reach into the blocks below and to the right. A block is one chunk, so
writers never meet. What several blocks contribute to a pixel is added when the blocks are read, in
:func:`cropseg_geo.engine.blend.joined`; until then no block waits for another.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec

from cropseg_geo.engine.blend import Fixed, Sums, joined
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.grid import Block, BlockGrid, Window

_COMPRESSION = BloscCodec(cname="zstd", clevel=1, shuffle="shuffle", typesize=4)


@dataclass(frozen=True)
class BlockStore:
    """Recipe of a store: where it is and how it is laid out; it pickles as that.

    Parameters
    ----------
    path
        Folder, or any URL that fsspec knows.
    blocks
        The lattice of blocks.
    channels
        Channels of probability a pixel has.
    fingerprint
        Name of the run; a store of another run is never mixed with this one.
    """

    path: str
    blocks: BlockGrid
    channels: int
    fingerprint: str

    @property
    def chunk_px(self) -> int:
        return self.blocks.side_px + self.blocks.tiles.overlap_px

    def create(self) -> None:
        """Make the store, or take up the one that an earlier run with this fingerprint left.

        Raises
        ------
        InputError
            If the folder holds the blocks of another run.
        OutputError
            If it cannot be written.
        """
        rows, cols = self.blocks.shape
        side = self.chunk_px
        try:
            group = zarr.open_group(self.path, mode="a")
            if "sums" not in group:
                group.create_array(
                    "sums",
                    shape=(self.channels, rows * side, cols * side),
                    chunks=(self.channels, side, side),
                    dtype="uint32",
                    compressors=_COMPRESSION,
                    fill_value=0,
                    overwrite=True,
                )
                group.create_array("done", shape=(rows, cols), chunks=(1, 1), dtype="uint8", compressors=None)
                group.attrs["fingerprint"] = self.fingerprint
        except (OSError, ValueError) as err:
            raise OutputError(f"{self.path}: cannot hold the finished blocks ({err})") from err
        if group.attrs.get("fingerprint") != self.fingerprint:
            raise InputError(
                f"{self.path}: holds blocks of another run (input, model or options differ)",
                remedy="delete that folder, or choose another output folder",
            )

    @cached_property
    def _arrays(self) -> tuple[Any, Any]:
        group = zarr.open_group(self.path, mode="r+")
        return group["sums"], group["done"]

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("path", "blocks", "channels", "fingerprint")}

    def _region(self, block: Block) -> tuple[slice, slice, slice]:
        side = self.chunk_px
        return (
            slice(None),
            slice(block.i * side, (block.i + 1) * side),
            slice(block.j * side, (block.j + 1) * side),
        )

    def write(self, block: Block, sums: Sums) -> None:
        """Keep a block's sums (C, H, W), then mark the block as done."""
        side = self.chunk_px
        chunk = np.zeros((self.channels, side, side), dtype=np.uint32)
        chunk[:, : sums.shape[1], : sums.shape[2]] = sums
        array, done = self._arrays
        try:
            array[self._region(block)] = chunk
            done[block.i, block.j] = 1
        except OSError as err:
            raise OutputError(
                f"{self.path}: block ({block.i}, {block.j}) could not be kept ({err})",
                remedy="free some disk space and run the same command again; finished blocks are kept",
            ) from err

    def read(self, block: Block) -> Sums:
        """The sums over a block's chunk (C, side, side); zeros where nothing was inferred."""
        return np.asarray(self._arrays[0][self._region(block)])

    def finished(self) -> set[tuple[int, int]]:
        """Indexes of the blocks that are done."""
        return {(int(i), int(j)) for i, j in np.argwhere(self._arrays[1][:])}

    def holds_anything(self) -> bool:
        """True if at least one block is done; False too where the store was never made."""
        try:
            return bool(self.finished())
        except (OSError, KeyError, ValueError):
            return False


def blended_blocks(store: BlockStore, extent: Window) -> Iterator[tuple[Window, Fixed]]:
    """Blended steps (C, H, W) of every block that meets ``extent``, row by row, clipped to it."""
    blocks = ((block, store.read(block)) for block in store.blocks.meeting(extent))
    return joined(blocks, store.blocks, store.channels, extent)
