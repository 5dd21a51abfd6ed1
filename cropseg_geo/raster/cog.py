"""Cloud Optimized GeoTIFFs: written window by window, read while they grow, finished in one copy.

Windows are put together to tiles; each complete tile is compressed once, kept in a spool file, and passed on
at half its size to the next overview. :meth:`CogWriter.finish` lays the spooled tiles out behind the tags
that GDAL writes. So overviews cost no pass of their own, and nothing is compressed twice. Moving the file to
its final name is the caller's last act.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from isal import isal_zlib
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.io import MemoryFile

from cropseg_geo.errors import OutputError
from cropseg_geo.grid import Window
from cropseg_geo.raster import tiff
from cropseg_geo.raster.info import GDAL_OPTIONS
from cropseg_geo.raster.pyramid import NODATA, Halve, Pixels, TileCollector, halved_by_average, halved_by_mode

PROBABILITY_STEPS = 254
"""Probability 1 in a probability raster; the band's scale is its inverse."""

TILE_PX = 512

_DEFLATE_LEVEL = 2

_HALVE: dict[str, Halve] = {"mode": halved_by_mode, "average": halved_by_average}


class StoppedError(Exception):
    """A raster that is read was stopped from being written."""


@dataclass(frozen=True)
class CogLayout:
    """What a finished raster looks like, but for its pixels (all are uint8 with 255 = nodata).

    ``colours`` maps class ids to RGB; ``scale`` is the physical value of one step; ``overview_resampling`` is
    ``"mode"`` or ``"average"``.
    """

    shape: tuple[int, int]
    transform: Affine
    crs: str
    overview_resampling: str
    descriptions: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[int, tuple[int, int, int]] | None = None
    scale: float | None = None


@dataclass
class _Size:
    """One size of the raster: its tiles as they come, and where each complete one lies in the spool.

    ``sizes`` are bytes, 0 for tiles of nodata alone, −1 for tiles that are not complete.
    """

    collector: TileCollector
    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, height: int, width: int) -> _Size:
        collector = TileCollector(height, width, TILE_PX)
        return cls(collector, np.zeros(collector.shape, np.int64), np.full(collector.shape, -1, np.int64))


class CogWriter:
    """A COG that is being written; one thread writes windows that partition it, others may read them.

    Parameters
    ----------
    spool
        A file for compressed tiles; it is deleted when the ``with`` block ends.
    layout
        What the raster looks like.
    """

    def __init__(self, spool: Path, layout: CogLayout) -> None:
        self.layout = layout
        self._path = spool
        self._bands = len(layout.descriptions)
        self._halve = _HALVE[layout.overview_resampling]
        height, width = layout.shape
        self._levels = [_Size.of(height, width)]
        while max(height, width) > TILE_PX:
            height, width = -(-height // 2), -(-width // 2)
            self._levels.append(_Size.of(height, width))
        self._end = 0
        self._changed = threading.Condition()
        self._stopped = False
        with _disk_errors(spool):
            self._file = spool.open("w+b")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._file.close()
        self._path.unlink(missing_ok=True)

    def write(self, window: Window, values: Pixels | None) -> None:
        """Write values (bands, H, W) at ``window``, None for nodata. Raises OutputError."""
        self._add(0, window, values)

    def stop(self) -> None:
        """Make readers that wait for pixels raise StoppedError."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _add(self, number: int, window: Window, values: Pixels | None) -> None:
        level = self._levels[number]
        for i, j, tile in level.collector.add(window, values):
            self._keep(level, (i, j), tile)
            if number + 1 < len(self._levels):
                here = level.collector.window(i, j)
                smaller = Window(here.row // 2, here.col // 2, -(-here.height // 2), -(-here.width // 2))
                half = None if tile is None else self._halve(tile)[:, : smaller.height, : smaller.width]
                self._add(number + 1, smaller, half)

    def _keep(self, level: _Size, place: tuple[int, int], tile: Pixels | None) -> None:
        data = b""
        if tile is not None:
            # Pixel-interleaved, as readers of pictures like it.
            pixels = tile[0] if self._bands == 1 else np.ascontiguousarray(tile.transpose(1, 2, 0))
            data = isal_zlib.compress(pixels, _DEFLATE_LEVEL)
        with self._changed:
            if data:
                with _disk_errors(self._path):
                    self._file.seek(self._end)
                    self._file.write(data)
            level.offsets[place], level.sizes[place] = self._end, len(data)
            self._end += len(data)
            self._changed.notify_all()

    def read(self, window: Window) -> Pixels:
        """Values (bands, H, W) of a window of the full size; waits until they are written.

        Raises
        ------
        StoppedError
            If the writer was stopped.
        OutputError
            If the disk is full.
        """
        level = self._levels[0]
        values = np.full((self._bands, *window.shape), NODATA, dtype=np.uint8)
        for i in range(window.row // TILE_PX, -(-window.row_stop // TILE_PX)):
            for j in range(window.col // TILE_PX, -(-window.col_stop // TILE_PX)):
                data = self._awaited(level, (i, j))
                if not data:
                    continue
                flat = np.frombuffer(isal_zlib.decompress(data), dtype=np.uint8)
                tile = flat.reshape(TILE_PX, TILE_PX, self._bands).transpose(2, 0, 1)
                here = level.collector.window(i, j)
                shared = here & window
                values[:, *shared.relative_to(window).slices] = tile[:, *shared.relative_to(here).slices]
        return values

    def _awaited(self, level: _Size, place: tuple[int, int]) -> bytes:
        with self._changed:
            self._changed.wait_for(lambda: level.sizes[place] >= 0 or self._stopped)
            if self._stopped:
                raise StoppedError
            return self._spooled(level, place)

    def _spooled(self, level: _Size, place: tuple[int, int]) -> bytes:
        self._file.seek(int(level.offsets[place]))
        return self._file.read(int(level.sizes[place]))

    def finish(self, path: Path) -> None:
        """Write the COG with its overviews; every pixel has been written.

        Raises
        ------
        OutputError
            If the disk is full or the folder cannot be written.
        """
        main = _directory(self.layout)
        images: list[tiff.Image] = []
        for level in self._levels:
            size = {
                tiff.WIDTH: tiff.Entry.number(level.collector.width),
                tiff.LENGTH: tiff.Entry.number(level.collector.height),
            }
            shared = main
            if images:
                size[tiff.SUBFILE_TYPE] = tiff.Entry.number(1)
                shared = {tag: main[tag] for tag in tiff.OF_EVERY_SIZE if tag in main}
            images.append(tiff.Image(shared | size, np.maximum(level.sizes, 0).ravel()))

        def read_tile(number: int, index: int) -> bytes:
            level = self._levels[number]
            with self._changed:
                return self._spooled(level, divmod(index, level.collector.shape[1]))

        with _disk_errors(path), path.open("wb") as out:
            tiff.write_cog(out, images, read_tile)


def _directory(layout: CogLayout) -> dict[int, tiff.Entry]:
    """The tags of a raster as GDAL writes them; its own size and tiles are left to be filled in."""
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": TILE_PX,
        "width": TILE_PX,
        "count": len(layout.descriptions),
        "dtype": "uint8",
        "nodata": NODATA,
        "crs": layout.crs,
        "transform": layout.transform,
        "tiled": True,
        "blockxsize": TILE_PX,
        "blockysize": TILE_PX,
        "interleave": "pixel",
        "compress": "deflate",
        "bigtiff": "no",
        "sparse_ok": True,
        "endianness": "little",
    }
    if layout.colours:
        profile["photometric"] = "palette"
    with rasterio.Env(**GDAL_OPTIONS), MemoryFile() as memory:
        with memory.open(**profile) as dataset:
            dataset.update_tags(**layout.tags)
            dataset.descriptions = layout.descriptions
            if layout.colours:
                palette = {value: (*rgb, 255) for value, rgb in layout.colours.items()}
                dataset.write_colormap(1, {NODATA: (0, 0, 0, 0), **palette})
            else:
                dataset.colorinterp = (ColorInterp.gray, *(ColorInterp.undefined,) * (dataset.count - 1))
            if layout.scale:
                dataset.scales = (layout.scale,) * dataset.count
        return tiff.read_directory(memory.read())


@contextmanager
def _disk_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except (RasterioError, OSError) as err:
        if isinstance(err, OutputError):
            raise
        raise OutputError(
            f"{path}: cannot be written ({err})",
            remedy="check free disk space and the folder's permissions, then run the same command again",
        ) from err
