"""What a raster file says of itself, read once and checked before any work starts."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rasterio
from affine import Affine
from rasterio._err import CPLE_BaseError
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from cropseg_geo.errors import CropsegError, InputError
from cropseg_geo.ground import Ground
from cropseg_geo.paths import is_pipe, is_there, path_text
from cropseg_geo.raster.band_names import BAND_NAMES, plain_name
from cropseg_geo.raster.requirements import require_georeference, require_pixels, require_sources
from cropseg_geo.raster.s3 import endpoint_options
from cropseg_geo.raster.validity import validity_of

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox

GDAL_CACHE_BYTES = 128 * 1024 * 1024
"""Block cache for one process. GDAL's own default is 5 % of the machine's memory. rasterio hands the number
over as bytes, where GDAL's own option would take it for megabytes."""

GDAL_OPTIONS: dict[str, Any] = {
    "GDAL_CACHEMAX": GDAL_CACHE_BYTES,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GTIFF_REPORT_COMPD_CS": "NO",
    # A VRT may carry Python code for its pixels; whatever the environment says, none of it runs.
    "GDAL_VRT_ENABLE_PYTHON": "NO",
}

_LISTED = ("/vsizip", "/vsitar", "/vsigzip", "/vsi7z", "/vsirar", "/vsimem", "zip", "tar", "gzip", "file:")
"""How paths into archives, memory and this machine's folders start, which cost nothing to list."""

GDAL_ERRORS = (RasterioError, CPLE_BaseError, ValueError, OverflowError)
"""What reading a damaged file raises: rasterio's errors, GDAL's own where rasterio lets them through, text in
no known encoding, numbers that no C type holds."""


def gdal_options(path: str) -> dict[str, Any]:
    """Options to open ``path`` with: a server's folder is not listed, sidecar files are asked for by name."""
    if not is_remote(path) or path.startswith(_LISTED):
        return GDAL_OPTIONS
    # Nothing lies beside a query, and a server may answer a longer one with the raster again.
    listing = "EMPTY_DIR" if "?" in path else "TRUE"
    return GDAL_OPTIONS | {"GDAL_DISABLE_READDIR_ON_OPEN": listing} | endpoint_options(path)


@contextmanager
def opened(path: str, **kwargs: Any) -> Iterator[Any]:
    """A rasterio dataset under this package's GDAL options; GDAL's complaints become :class:`InputError`."""
    if is_pipe(path):
        raise InputError(
            f"{path}: is a pipe or a device, not a file", remedy="write the raster to a file and give that"
        )
    with rasterio.Env(**gdal_options(path)), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path, **kwargs)
        except GDAL_ERRORS as err:
            raise InputError(
                f"{path}: {_why_unreadable(path, err)}",
                remedy="give a raster that GDAL opens (GeoTIFF, COG, VRT, JPEG 2000, /vsicurl/…, s3://…)",
            ) from err
        with dataset:
            yield dataset


def is_remote(path: str) -> bool:
    """True for paths that GDAL's virtual file systems serve (URLs, /vsicurl/, /vsis3/, …)."""
    return "://" in path or path.startswith("/vsi")


def _why_unreadable(path: str, err: Exception) -> str:
    is_local = not is_remote(path)
    if is_local and not is_there(path):
        return "no such file"
    if is_local and Path(path).is_dir():
        return "is a folder, not a raster file"
    return f"not a raster that can be read ({err})"


@dataclass(frozen=True)
class RasterInfo:
    """Facts about one raster file.

    ``colours`` names each band: by the file's colour interpretation, or, where that is silent or GDAL's own
    guess, by the band's description (multispectral cameras' files have no other names).
    ``companions`` are its other files: name, size (bytes), time of change (ns).
    ``validity`` names where validity comes from: ``alpha``, ``mask``, ``nodata`` or ``none`` (all pixels are
    valid). NaN in a floating-point band is invalid in every case.
    """

    path: str
    height: int
    width: int
    count: int
    dtype: str
    crs: str
    transform: Affine
    colours: tuple[str, ...]
    validity: str
    nodata: float | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    significant_bits: int | None
    block_shape: tuple[int, int]
    layout: str
    size_bytes: int | None
    modified_ns: int | None
    has_overviews: bool
    companions: tuple[tuple[str, int, int], ...] = ()

    @property
    def stem(self) -> str:
        """Name for outputs: the last part of the path, without suffix."""
        return raster_stem(self.path)

    @property
    def ground(self) -> Ground:
        return Ground(self.transform, self.crs, self.height, self.width)

    @property
    def geobox(self) -> GeoBox:
        from odc.geo.geobox import GeoBox

        return GeoBox((self.height, self.width), self.transform, self.crs)

    @property
    def alpha_band(self) -> int | None:
        """1-based index of the band flagged as alpha."""
        return self.colours.index("alpha") + 1 if "alpha" in self.colours else None

    @property
    def fingerprint(self) -> str:
        """Digest of everything that identifies the file's pixels short of reading them all."""
        shape = (self.height, self.width, self.count, self.dtype)
        place = (self.crs, tuple(self.transform)[:6], self.validity, self.nodata)
        facts = (shape, place, self.size_bytes, self.modified_ns, self.companions)
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def raster_stem(path: str) -> str:
    """Name for a raster's outputs: the last part of its path, without suffix, query or driver's prefix."""
    if not is_remote(path) and is_there(path):
        return Path(path).stem
    return Path(path.split("?", maxsplit=1)[0].rstrip("/").split(":")[-1] or "raster").stem


def inspect_raster(path: str | Path) -> RasterInfo:
    """Read a raster's facts.

    Raises
    ------
    InputError
        If GDAL cannot open it, it has no band, no CRS or no georeferencing.
    """
    path = path_text(path)
    with opened(path) as dataset:
        if dataset.count == 0:
            raise InputError(
                f"{path}: holds {len(dataset.subdatasets)} subdatasets and no band of its own",
                remedy=f"name one of them, for example {next(iter(dataset.subdatasets), 'GPKG:file:layer')}",
            )
        try:
            require_sources(path, dataset)
            require_georeference(path, dataset)
            require_pixels(path, dataset)
            return _facts(path, dataset)
        except CropsegError:
            raise
        except GDAL_ERRORS as err:
            raise InputError(
                f"{path}: its header is damaged ({err})", remedy="copy or export the file again"
            ) from err


def _facts(path: str, dataset: Any) -> RasterInfo:
    stat = Path(path).stat() if is_there(path) and Path(path).is_file() else None
    bits = dataset.tags(1, ns="IMAGE_STRUCTURE").get("NBITS")
    return RasterInfo(
        path=path,
        height=dataset.height,
        width=dataset.width,
        count=dataset.count,
        dtype=dataset.dtypes[0],
        crs=dataset.crs.to_wkt(),
        transform=dataset.transform,
        colours=_colours(dataset),
        validity=validity_of(dataset),
        nodata=dataset.nodata,
        scales=tuple(dataset.scales),
        offsets=tuple(dataset.offsets),
        significant_bits=int(bits) if bits else None,
        block_shape=dataset.block_shapes[0],
        layout=_layout(dataset),
        size_bytes=stat.st_size if stat else None,
        modified_ns=stat.st_mtime_ns if stat else None,
        has_overviews=bool(dataset.overviews(1)),
        companions=_companions(path, dataset),
    )


def _colours(dataset: Any) -> tuple[str, ...]:
    """What each band is; a description counts where it is the name of a colour that no band has yet.

    GDAL calls the first three bands red, green and blue where their writer said nothing: descriptions of all
    three as different colours are then what somebody said.
    """
    names = [interpretation.name for interpretation in dataset.colorinterp]
    described = [plain_name(text or "") for text in dataset.descriptions]
    said = set(described[:3])
    if tuple(names[:3]) == ("red", "green", "blue") and len(said) == 3 and said <= set(BAND_NAMES):
        names[:3] = described[:3]
    for k, name in enumerate(described):
        if names[k] in ("gray", "undefined") and name in BAND_NAMES and name not in names:
            names[k] = name
    return tuple(names)


def _companions(path: str, dataset: Any) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the raster's other files: a VRT's sources, a mask beside it."""
    if is_remote(path):  # a server would be asked for dozens of names
        return ()
    others = [Path(name) for name in sorted(dataset.files) if name != path]
    stats = [(other.name, other.stat()) for other in others if other.is_file()]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _layout(dataset: Any) -> str:
    rows, cols = dataset.block_shapes[0]
    shape = f"{rows}×{cols} tiles" if cols < dataset.width else f"strips of {rows} rows"
    compression = dataset.compression.value if dataset.compression else "uncompressed"
    return f"{dataset.driver}, {shape}, {compression}"
