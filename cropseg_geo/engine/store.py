"""Finished blocks on disk or in an object store, for resume and for many writers at once.

One Zarr array holds, for each block, the running sums over its whole footprint: its own pixels and the
``overlap_px`` more that its tiles reach into the blocks below and to the right. A block is one chunk, so
writers never meet. What several blocks contribute to a pixel is added when the blocks are read, in
:func:`cropseg_geo.engine.blend.joined`; until then no block waits for another.

A block is done when its chunk is there and its checksum fits: there is no mark beside it that could lie.
Chunks are put in place whole (renamed, or put as objects); what a power cut makes of them fails the checksum.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import BloscCodec, Crc32cCodec

from cropseg_geo.engine.blend import Sums
from cropseg_geo.engine.places import holds_files, reported
from cropseg_geo.errors import CropsegError, InputError, OutputError
from cropseg_geo.grid import Block, BlockGrid

# The low bytes of most sums are zero, which any codec sees: zstd takes three times as long for a tenth less.
_COMPRESSORS = (BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", typesize=4), Crc32cCodec())

_MISSING = 2**32 - 1
"""Value of pixels whose chunk is not there; no sum reaches it, see :mod:`cropseg_geo.engine.blend`."""

_configuring = threading.Lock()
"""Held while zarr's configuration, which belongs to the process, is another one."""


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
    def _where(self) -> str:
        # A folder's own address makes zarr go through fsspec, which would not make the folders.
        return self.path.removeprefix("file://")

    @property
    def chunk_px(self) -> int:
        return self.blocks.side_px + self.blocks.tiles.overlap_px

    @property
    def longest_path(self) -> str:
        """The longest path of a file that is made here: zarr writes a chunk beside its place first."""
        rows, cols = self.blocks.shape
        return f"{Path(self._where).absolute()}/sums/c/0/{rows - 1}/{cols - 1}.{'0' * 32}.partial"

    def create(self) -> None:
        """Make the store, or take up the one that an earlier run with this fingerprint left.

        Raises
        ------
        InputError
            If the folder holds the blocks of another run, or the URL is of a kind that is not installed.
        OutputError
            If it cannot be reached or written.
        """
        held = self._held_fingerprint()
        if held is not None and held != self.fingerprint:
            raise InputError(
                f"{self.path}: holds blocks of another run (input, model or options differ)",
                remedy="delete that folder, or choose another output folder",
            )
        if held is not None:
            return
        rows, cols = self.blocks.shape
        side = self.chunk_px
        with reported(self.path, "cannot hold the finished blocks"):
            # Begun and not finished, or nothing at all: either way no block is in it.
            group = zarr.open_group(self._where, mode="w")
            group.create_array(
                "sums",
                shape=(self.channels, rows * side, cols * side),
                chunks=(self.channels, side, side),
                dtype="uint32",
                compressors=_COMPRESSORS,
                fill_value=_MISSING,
            )
            group.attrs["fingerprint"] = self.fingerprint

    def require(self) -> None:
        """Refuse a store that cannot be seen from this process, or is another run's.

        Raises
        ------
        InputError, OutputError
            Says what stands in the way.
        """
        if self._held_fingerprint() != self.fingerprint:
            raise InputError(
                f"{self.path}: the finished blocks cannot be seen from here",
                remedy="keep them where all workers see them: a shared folder, or --store URL",
            )

    def _held_fingerprint(self) -> str | None:
        """Fingerprint of the run whose blocks are there; None where no store was ever completed."""
        with reported(self.path, "cannot be looked at"):
            try:
                group = zarr.open_group(self._where, mode="r")
                return str(group.attrs["fingerprint"]) if "sums" in group else None
            except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
                return None

    @cached_property
    def _sums(self) -> Any:  # Any: zarr's array is generic in ways that do not concern us
        # Else each chunk is compared with the missing value before it is written: longer than the writing.
        with _configuring, zarr.config.set({"array.write_empty_chunks": True}):
            return zarr.open_group(self._where, mode="r+")["sums"]

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
        """Keep a block's sums (C, H, W). Raises OutputError."""
        whole = (self.channels, self.chunk_px, self.chunk_px)
        if sums.shape != whole:  # at the raster's rim
            chunk = np.zeros(whole, dtype=np.uint32)
            chunk[:, : sums.shape[1], : sums.shape[2]] = sums
            sums = chunk
        with reported(self.path, f"block ({block.i}, {block.j}) could not be kept"):
            self._sums[self._region(block)] = sums

    def read(self, block: Block) -> Sums:
        """The sums over a block's chunk (C, side, side); zeros where nothing was inferred.

        Raises
        ------
        OutputError
            If the block is not there, or not as it was written.
        """
        sums = self.find(block)
        if sums is None:
            raise OutputError(
                f"{self.path}: block ({block.i}, {block.j}) is missing or damaged",
                remedy="check the disk, then run the same command again: that block is computed anew",
            )
        return sums

    def find(self, block: Block) -> Sums | None:
        """As :meth:`read`; None if the block is not there, or not as it was written.

        Raises
        ------
        OutputError
            If that cannot be found out: a server does not answer, for example.
        """
        with reported(self.path, f"block ({block.i}, {block.j}) could not be read"):
            try:
                sums: Sums = np.asarray(self._sums[self._region(block)])
            except ValueError:  # its checksum does not fit
                return None
        return None if sums[0, 0, 0] == _MISSING else sums

    def may_hold_anything(self) -> bool:
        """False if no block is done; True too where that cannot be found out."""
        try:
            return holds_files(f"{self._where}/sums/c")
        except CropsegError:
            return True
