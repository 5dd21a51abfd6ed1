"""What a raster file says of itself, read once and checked before any work starts."""

from __future__ import annotations

import hashlib
import math
import re
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

from cropseg_geo.errors import CropsegError, InputError, ReadError
from cropseg_geo.ground import Ground
from cropseg_geo.paths import is_pipe, is_remote, is_there, path_text, without_query
from cropseg_geo.raster.band_names import BEYOND_RED, named_by_light, plain_name, wavelength_nm
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

NAMELESS = ("undefined", "gray")
"""Colours of bands of which a file says nothing."""

_COLOURS = ("red", "green", "blue")

_LISTED = ("/vsizip", "/vsitar", "/vsigzip", "/vsi7z", "/vsirar", "/vsimem", "zip", "tar", "gzip", "file:")
"""How paths into archives, memory and this machine's folders start, which cost nothing to list."""

_SERVED = re.compile(
    r"(?<!\w)(?:https?|ftp|s3|gs|az|abfss?|oss|swift)://|/vsi(?:curl|s3|gs|az|adls|oss|swift|\w*hdfs)"
)
"""What paths have that a server is asked for, wherever it stands in them."""

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
def opened(path: str) -> Iterator[Any]:
    """A rasterio dataset under this package's GDAL options; GDAL's complaints become :class:`InputError`."""
    if is_pipe(path):
        raise InputError(
            f"{path}: is a pipe or a device, not a file", remedy="write the raster to a file and give that"
        )
    with rasterio.Env(**gdal_options(path)), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(path)
        except GDAL_ERRORS as err:
            raise InputError(
                f"{path}: {_why_unreadable(path, err)}",
                remedy="give a raster that GDAL opens (GeoTIFF, COG, VRT, JPEG 2000, /vsicurl/…, s3://…)",
            ) from err
        with dataset:
            yield dataset


@contextmanager
def decoding(path: str, window: object = None) -> Iterator[None]:
    """What GDAL cannot decode within becomes a ReadError that names the file and the window."""
    try:
        yield
    except CropsegError:
        raise
    except GDAL_ERRORS as err:
        what = path if window is None else f"{path}: {window}"
        raise ReadError(
            f"{what} cannot be read ({err.__cause__ or err}); the file is damaged or incomplete",
            remedy="copy or export the file again; gdalinfo -checksum FILE tests it as a whole",
        ) from err


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
    guess, by the band's description (``descriptions``, ``""`` for none) or else its wavelength: multispectral
    cameras' files have no other names.
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
    companions: tuple[tuple[str, int, int], ...] = ()
    descriptions: tuple[str, ...] = ()

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

    def band_name(self, band: int) -> str:
        """What the file calls a band (from 1): a colour, else in quotes what it says; ``""`` for nothing."""
        if self.colours[band - 1] not in NAMELESS:
            return self.colours[band - 1]
        said = self.descriptions[band - 1]
        return repr(said) if plain_name(said) else ""

    def stated_scale(self, band: int) -> tuple[float, float]:
        """Factor and offset by which stored values of a band (from 1) become what they mean; 1, 0 for none.

        Raises
        ------
        InputError
            If the factor is 0, or one of them no finite number.
        """
        factor, offset = self.scales[band - 1], self.offsets[band - 1]
        if factor == 0 or not (math.isfinite(factor) and math.isfinite(offset)):
            raise InputError(
                f"{self.path}: states the scale {factor:g} and the offset {offset:g} for band {band}; "
                "finite numbers, and a scale other than 0, are expected",
                remedy="write the file again with the scale and offset of its values, or with 1 and 0",
            )
        return factor, offset

    @property
    def fingerprint(self) -> str:
        """Digest of everything that identifies the file's pixels short of reading them all."""
        shape = (self.height, self.width, self.count, self.dtype)
        place = (self.crs, tuple(self.transform)[:6], self.validity, self.nodata)
        facts = (shape, place, self.size_bytes, self.modified_ns, self.companions)
        return hashlib.sha256(repr(facts).encode()).hexdigest()


def raster_stem(path: str) -> str:
    """Name for a raster's outputs: the last part of its path, without suffix, query, archive or driver."""
    if not is_remote(path) and is_there(path):
        return Path(path).stem
    name = without_query(path).rstrip("/").split(":")[-1]
    if "://" in path and not path.startswith("/vsi"):
        name = name.split("!")[-1]
    return Path(name or "raster").stem


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
        companions=_companions(path, dataset),
        descriptions=tuple(text or "" for text in dataset.descriptions),
    )


def _colours(dataset: Any) -> tuple[str, ...]:
    """What each band is; what a band says of itself counts where it is a colour that no band has yet.

    GDAL calls the first three bands red, green and blue where their writer said nothing: that they are these
    in another order, or that light beyond red is among them, is then what somebody said.
    """
    names = [interpretation.name for interpretation in dataset.colorinterp]
    light_nm = [_light_nm(dataset, band) for band in dataset.indexes]
    said = named_by_light([plain_name(text or "") for text in dataset.descriptions], light_nm)
    first = set(said[:3])
    if tuple(names[:3]) == _COLOURS and (first == set(_COLOURS) or first & BEYOND_RED):
        names[:3] = ["undefined"] * 3
    for k, name in enumerate(said):
        if names[k] in NAMELESS and name in {*_COLOURS, *BEYOND_RED} and name not in names:
            names[k] = name
    return tuple(names)


def _light_nm(dataset: Any, band: int) -> float | None:
    """The wavelength (nm) that a band (from 1) states: as GDAL's drivers write it, or in its description."""
    if central := dataset.tags(band, ns="IMAGERY").get("CENTRAL_WAVELENGTH_UM"):
        return wavelength_nm(f"{central} um")
    tags = {name.casefold(): value for name, value in dataset.tags(band).items()}
    stated = f"{tags.get('wavelength', '')} {tags.get('wavelength_units', 'nm')}"
    return wavelength_nm(stated) or wavelength_nm(dataset.descriptions[band - 1] or "")


def _companions(path: str, dataset: Any) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the raster's other files: a VRT's sources, a mask beside it."""
    if _SERVED.search(path):  # the server would be asked for dozens of names
        return ()
    others = [Path(name) for name in sorted(dataset.files) if name != path]
    stats = [(other.name, other.stat()) for other in others if other.is_file()]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _layout(dataset: Any) -> str:
    rows, cols = dataset.block_shapes[0]
    shape = f"{rows}×{cols} tiles" if cols < dataset.width else f"strips of {rows} rows"
    compression = dataset.compression.value if dataset.compression else "uncompressed"
    return f"{dataset.driver}, {shape}, {compression}"
