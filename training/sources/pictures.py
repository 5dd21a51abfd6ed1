"""Pictures of users: whatever PIL reads, and GeoTIFFs of any size, window by window."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps
from rasterio.errors import RasterioError
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import opened
from cropseg_geo.raster.validity import valid_pixels
from training.data import Pixels

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".jp2", ".vrt"})
SUFFIXES = RASTER_SUFFIXES | {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".ppm", ".pgm"}
JPEG_SUFFIXES = frozenset({".jpg", ".jpeg"})

_EXPORT_AGAIN = "export it again as 8-bit RGB, or take it out of the folder"
_RGB = ("red", "green", "blue")

Bool = npt.NDArray[np.bool_]


class Picture(Protocol):
    """An RGB picture, read by window."""

    @property
    def shape(self) -> tuple[int, int]: ...

    def read(self, window: Window) -> tuple[Pixels, Bool]:
        """Pixels (H, W, 3) uint8 and their validity (H, W)."""
        ...


@dataclass(frozen=True, eq=False)
class DecodedPicture:
    """A picture in memory: ``pixels`` (H, W, 3) uint8, ``valid`` (H, W)."""

    pixels: Pixels
    valid: Bool

    @property
    def shape(self) -> tuple[int, int]:
        return (self.valid.shape[0], self.valid.shape[1])

    def read(self, window: Window) -> tuple[Pixels, Bool]:
        return self.pixels[window.slices], self.valid[window.slices]


@dataclass(frozen=True)
class RasterPicture:
    """A picture that GDAL reads by window; invalid where its alpha, mask or nodata say so."""

    path: Path
    shape: tuple[int, int]

    def read(self, window: Window) -> tuple[Pixels, Bool]:
        region = RasterioWindow(window.col, window.row, window.width, window.height)
        with opened_raster(self.path) as dataset:
            valid = valid_pixels(dataset, window=region)
            bands = _rgb_bands(self.path, dataset)
            values = dataset.read(bands, window=region)
            if "palette" in _colours(dataset):
                return palette_of(dataset)[values[0]], valid
        return np.ascontiguousarray(values.transpose(1, 2, 0)), valid


def open_picture(path: Path) -> Picture:
    """A picture's pixels; transparent or invalid ones are marked.

    Cameras that store a picture lying on its side say so (EXIF): it is turned as every viewer shows it.

    Raises
    ------
    InputError
        If the file cannot be read, or is neither 8-bit RGB nor 8-bit grey.
    """
    if path.suffix.lower() in RASTER_SUFFIXES:
        with opened_raster(path) as dataset:
            _rgb_bands(path, dataset)
            return RasterPicture(path, dataset.shape)
    with decoding(path) as stored:
        # Of three colours PIL takes the upper half of 16 bits: black, if a camera uses the lower 12.
        if stored.mode.startswith(("I", "F")) or any("16" in str(part.args) for part in _parts(stored)):
            raise InputError(f"{path}: has more than 8 bits a channel", remedy=_EXPORT_AGAIN)
        image = ImageOps.exif_transpose(stored)
        pixels = np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    valid = pixels[..., 3] > 0 if pixels.shape[2] == 4 else np.ones(pixels.shape[:2], dtype=bool)
    return DecodedPicture(pixels[..., :3], valid)


def _parts(image: Image.Image) -> list[Any]:
    """How the pixels of a picture that is not decoded yet are stored: PIL's tiles."""
    return list(getattr(image, "tile", ()))


def shape_of(path: Path) -> tuple[int, int]:
    """Rows and columns as a viewer shows them; only the file's header is read. Raises InputError."""
    if path.suffix.lower() in RASTER_SUFFIXES:
        with opened_raster(path) as dataset:
            return (dataset.height, dataset.width)
    with decoding(path) as image:
        is_turned = image.getexif().get(_ORIENTATION, 1) >= _ON_ITS_SIDE
        return image.size if is_turned else (image.height, image.width)


def orientation_of(path: Path) -> int:
    """How viewers turn or mirror a picture, as its EXIF says: 1, not at all, to 8. Raises InputError."""
    if path.suffix.lower() in RASTER_SUFFIXES:
        return 1
    with decoding(path) as image:
        return int(image.getexif().get(_ORIENTATION, 1))


def same_place(picture: Path, mask: Path) -> bool:
    """False if both are georeferenced and a corner of one is half a pixel or more off the other's."""
    if not {picture.suffix.lower(), mask.suffix.lower()} <= RASTER_SUFFIXES:
        return True
    with opened_raster(picture) as one, opened_raster(mask) as other:
        if one.transform.is_identity or other.transform.is_identity:
            return True
        corners = [(col, row) for col in (0, one.width) for row in (0, one.height)]
        shifts = [np.subtract(~one.transform @ (other.transform @ corner), corner) for corner in corners]
    return bool(np.abs(shifts).max() < 0.5)


_ORIENTATION = 0x0112  # EXIF tag
_ON_ITS_SIDE = 5  # orientations from here on swap rows and columns


@contextmanager
def decoding(path: Path) -> Iterator[Image.Image]:
    """A PIL image; whatever goes wrong within is an InputError that names the file."""
    try:
        with warnings.catch_warnings():
            # Orthomosaics are larger than what PIL takes for an attack.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                yield image
    except InputError:
        raise
    except Image.DecompressionBombError as err:
        raise InputError(f"{path}: too large ({err})", remedy="save it as GeoTIFF, read by window") from err
    # PIL's readers raise these three for damaged files, SyntaxError among them.
    except (OSError, ValueError, SyntaxError) as err:
        raise InputError(f"{path}: cannot be read ({err})", remedy=_EXPORT_AGAIN) from err


@contextmanager
def opened_raster(path: Path) -> Iterator[Any]:
    """A rasterio dataset; errors while reading are InputErrors too."""
    with opened(str(path)) as dataset:
        try:
            yield dataset
        except RasterioError as err:
            raise InputError(
                f"{path}: cannot be read ({err.__cause__ or err})", remedy="copy or export the file again"
            ) from err


def palette_of(dataset: Any) -> Pixels:
    """Colours (256, 3) of an 8-bit rasterio dataset's indexes; black for those without one."""
    table = np.zeros((256, 3), dtype=np.uint8)
    for index, colour in dataset.colormap(1).items():
        if index < len(table):
            table[index] = colour[:3]
    return table


def _colours(dataset: Any) -> list[str]:
    return [colour.name for colour in dataset.colorinterp]


def _rgb_bands(path: Path, dataset: Any) -> list[int]:
    """1-based bands to read as red, green, blue; the first alone three times, or once for a palette."""
    colours = _colours(dataset)
    if any(dtype != "uint8" for dtype in dataset.dtypes):
        raise InputError(
            f"{path}: {', '.join(sorted(set(dataset.dtypes)))} values; pictures of pairs are 8 bit",
            remedy="scale it first, for example gdal_translate -ot Byte -scale LOW HIGH 0 255 IN OUT; "
            "orthomosaics with polygons may have any type",
        )
    if set(_RGB) <= set(colours):
        return [colours.index(name) + 1 for name in _RGB]
    data = [band for band, colour in enumerate(colours, start=1) if colour != "alpha"]
    if len(data) == 2:
        raise InputError(f"{path}: has two bands; RGB or grey is expected", remedy=_EXPORT_AGAIN)
    if "palette" in colours:
        return data[:1]
    return data[:3] if len(data) >= 3 else [data[0]] * 3
