"""Cloud Optimized GeoTIFFs: drafted window by window, finished in one pass, never half-written.

The draft is an uncompressed tiled GeoTIFF in the run's work folder; :meth:`CogDraft.finish` turns it into
the COG, with overviews, still in the work folder. Moving it to its final name is the caller's last act.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import rasterio.shutil
from affine import Affine
from rasterio.enums import ColorInterp
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import OutputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import GDAL_OPTIONS

NODATA = 255
PROBABILITY_STEPS = 254
"""Probability 1 in a probability raster; the band's scale is its inverse."""

_DRAFT_TILE_PX = 256


@dataclass(frozen=True)
class CogLayout:
    """What a finished raster looks like, but for its pixels (all are uint8 with 255 = nodata).

    ``colours`` maps class ids to RGB; ``scale`` is the physical value of one step.
    """

    shape: tuple[int, int]
    transform: Affine
    crs: str
    overview_resampling: str
    descriptions: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)
    colours: Mapping[int, tuple[int, int, int]] | None = None
    scale: float | None = None


@dataclass(frozen=True)
class CogDraft:
    """An open draft; see :func:`drafting`."""

    path: Path
    layout: CogLayout
    dataset: Any

    def write(self, window: Window, values: npt.NDArray[np.uint8]) -> None:
        """Write values (bands, H, W) at ``window``. Raises OutputError where the disk refuses."""
        region = RasterioWindow(window.col, window.row, window.width, window.height)
        with _disk_errors(self.path):
            self.dataset.write(values, window=region)


@contextmanager
def drafting(path: Path, layout: CogLayout) -> Iterator[CogDraft]:
    """A draft to write windows into; pixels that nobody writes are nodata."""
    height, width = layout.shape
    profile: dict[str, Any] = {
        "driver": "GTiff",
        "height": height,
        "width": width,
        "count": len(layout.descriptions),
        "dtype": "uint8",
        "nodata": NODATA,
        "crs": layout.crs,
        "transform": layout.transform,
        "tiled": True,
        "blockxsize": _DRAFT_TILE_PX,
        "blockysize": _DRAFT_TILE_PX,
        "interleave": "band",
        "bigtiff": "IF_SAFER",
        "sparse_ok": True,
    }
    if layout.colours:
        profile["photometric"] = "palette"
    with rasterio.Env(**GDAL_OPTIONS), _disk_errors(path), rasterio.open(path, "w", **profile) as dataset:
        dataset.update_tags(**layout.tags)
        dataset.descriptions = layout.descriptions
        if layout.colours:
            palette = {value: (*rgb, 255) for value, rgb in layout.colours.items()}
            dataset.write_colormap(1, {NODATA: (0, 0, 0, 0), **palette})
        else:
            dataset.colorinterp = (ColorInterp.gray, *(ColorInterp.undefined,) * (dataset.count - 1))
        if layout.scale:
            dataset.scales = (layout.scale,) * dataset.count
        yield CogDraft(path, layout, dataset)


def finish_cog(draft: CogDraft, path: Path) -> None:
    """Turn a closed draft into a COG with overviews and delete the draft.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written.
    """
    options = {
        "driver": "COG",
        "COMPRESS": "DEFLATE",
        "LEVEL": "6",
        "BLOCKSIZE": "512",
        "OVERVIEW_RESAMPLING": draft.layout.overview_resampling.upper(),
        "OVERVIEWS": "IGNORE_EXISTING",
        "NUM_THREADS": "ALL_CPUS",
        "BIGTIFF": "IF_SAFER",
        "SPARSE_OK": "TRUE",
    }

    def copy() -> None:
        with rasterio.Env(**GDAL_OPTIONS):
            rasterio.shutil.copy(draft.path, path, **options)

    with _disk_errors(path):
        _interruptible(copy)
    draft.path.unlink()


def _interruptible(work: Callable[[], None]) -> None:
    """Run one long library call so that Ctrl-C is heard meanwhile; the call itself cannot be stopped."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as err:  # noqa: BLE001 - raised again in the caller's thread
            errors.append(err)

    thread = threading.Thread(target=run, name="cropseg-cog", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(timeout=0.2)
    if errors:
        raise errors[0]


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
