"""TIFF files laid out for the cloud: all directories first, then the tiles, overviews before the full size.

GDAL writes the tags (georeferencing, colours, metadata); this module only lays files out, so that tiles
that are compressed already need no second pass through a driver.
Sources: TIFF 6.0; BigTIFF; "Cloud Optimized GeoTIFF", the COG driver's page of GDAL's documentation.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

SUBFILE_TYPE, WIDTH, LENGTH, TILE_OFFSETS, TILE_SIZES = 254, 256, 257, 324, 325

_LONG, _LONG8 = 4, 16
_BYTES_OF_TYPE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8}

OF_EVERY_SIZE = (258, 259, 262, 277, 284, 317, 320, 322, 323, 338, 339, 42113)
"""Tags that an overview shares with its image: how pixels are stored, colours, nodata."""

_CLASSIC_LIMIT = 2**32 - 2**20

_LEADER_BYTES = 4

_STRUCTURE = (
    b"LAYOUT=IFDS_BEFORE_DATA\nBLOCK_ORDER=ROW_MAJOR\nBLOCK_LEADER=SIZE_AS_UINT4\n"
    b"BLOCK_TRAILER=LAST_4_BYTES_REPEATED\nKNOWN_INCOMPATIBLE_EDITION=NO\n "
)
"""What readers may rely on; the blank at the end is room for a driver that edits the file to say YES."""


@dataclass(frozen=True)
class Entry:
    """The value of a tag: little-endian bytes of ``count`` numbers of one of TIFF's types."""

    kind: int
    count: int
    value: bytes

    @classmethod
    def number(cls, value: int) -> Entry:
        return cls(_LONG, 1, struct.pack("<I", value))


Directory = Mapping[int, Entry]


@dataclass(frozen=True)
class Image:
    """One size of a picture: its tags without those of the tiles, and its tiles' sizes (bytes, row-major).

    A tile of size 0 is not stored: readers take it for nodata.
    """

    directory: Directory
    sizes: npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Form:
    """How TIFF or BigTIFF writes a file's first bytes, counts of entries, entries and places in the file."""

    first: bytes
    count: str
    entry: str
    place: str
    offset_kind: int

    @property
    def place_bytes(self) -> int:
        return struct.calcsize(self.place)


_CLASSIC = _Form(struct.pack("<2sH", b"II", 42), "<H", "<HHI", "<I", _LONG)
_BIG = _Form(struct.pack("<2sHHH", b"II", 43, 8, 0), "<Q", "<HHQ", "<Q", _LONG8)


def read_directory(data: bytes) -> dict[int, Entry]:
    """The first directory of a classic little-endian TIFF file."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = {}
    for k in range(count):
        place = start + 2 + 12 * k
        tag, kind, n = struct.unpack_from("<HHI", data, place)
        size = n * _BYTES_OF_TYPE[kind]
        at = place + 8 if size <= 4 else struct.unpack_from("<I", data, place + 8)[0]
        entries[tag] = Entry(kind, n, data[at : at + size])
    return entries


def write_cog(out: BinaryIO, images: Sequence[Image], read_tile: Callable[[int, int], bytes]) -> None:
    """Write images, the full size first and then its overviews, from large to small.

    Parameters
    ----------
    out
        An empty file.
    images
        Directories and sizes of tiles.
    read_tile
        Compressed bytes of tile ``index`` (row-major) of image ``number``.
    """
    stored = sum(int(image.sizes.sum()) + 2 * _LEADER_BYTES * len(image.sizes) for image in images)
    form = _BIG if stored + 32 * sum(len(image.sizes) for image in images) > _CLASSIC_LIMIT else _CLASSIC
    ghost = b"GDAL_STRUCTURAL_METADATA_SIZE=%06d bytes\n" % len(_STRUCTURE) + _STRUCTURE
    start = _even(len(form.first) + form.place_bytes + len(ghost))
    # The directories' sizes do not depend on the offsets in them: measure first, then place.
    heads = [_directory(image, np.zeros_like(image.sizes), 0, 0, form) for image in images]
    places = np.cumsum([start, *(len(head) for head in heads)]).tolist()
    offsets = _tile_offsets(images, places[-1])
    head = form.first + struct.pack(form.place, start) + ghost
    out.write(head.ljust(start, b"\0"))
    for k, image in enumerate(images):
        following = places[k + 1] if k + 1 < len(images) else 0
        out.write(_directory(image, offsets[k], places[k], following, form))
    for number in reversed(range(len(images))):
        for index in np.flatnonzero(images[number].sizes).tolist():
            tile = read_tile(number, index)
            out.write(struct.pack("<I", len(tile)) + tile + tile[-4:])


def _tile_offsets(images: Sequence[Image], start: int) -> list[npt.NDArray[np.int64]]:
    """Where each tile's bytes begin, 0 for tiles that are not stored; the smallest image comes first."""
    offsets: list[npt.NDArray[np.int64]] = []
    for image in reversed(images):
        length = np.where(image.sizes > 0, image.sizes + 2 * _LEADER_BYTES, 0)
        ends = start + np.cumsum(length)
        offsets.append(np.where(image.sizes > 0, ends - length + _LEADER_BYTES, 0))
        start = int(ends[-1])
    return offsets[::-1]


def _directory(
    image: Image, offsets: npt.NDArray[np.int64], place: int, following: int, form: _Form
) -> bytes:
    """A directory at ``place`` with what does not fit into its entries behind it."""
    entries = {
        **image.directory,
        TILE_OFFSETS: Entry(form.offset_kind, len(offsets), _numbers(offsets, form.place)),
        TILE_SIZES: Entry(_LONG, len(offsets), _numbers(image.sizes, "<I")),
    }
    room, entry_bytes = form.place_bytes, struct.calcsize(form.entry) + form.place_bytes
    behind = place + struct.calcsize(form.count) + entry_bytes * len(entries) + room
    head, tail = struct.pack(form.count, len(entries)), b""
    for tag, entry in sorted(entries.items()):
        value = entry.value
        if len(value) > room:
            value = struct.pack(form.place, behind + len(tail))
            tail += entry.value.ljust(_even(len(entry.value)), b"\0")
        head += struct.pack(form.entry, tag, entry.kind, entry.count) + value.ljust(room, b"\0")
    block = head + struct.pack(form.place, following) + tail
    return block.ljust(_even(len(block)), b"\0")


def _numbers(values: npt.NDArray[np.int64], form: str) -> bytes:
    return values.astype(np.dtype(form)).tobytes()


def _even(n: int) -> int:
    return n + n % 2
