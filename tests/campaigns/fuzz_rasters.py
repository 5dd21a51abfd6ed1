"""Rasters to damage, and what is true of a run on whatever came of them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pyogrio
import rasterio
from fakes import logits_of
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.windows import Window
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.engine.run import Workers
from cropseg_geo.model.predictor import FilePredictor, OnnxPredictor, TorchPredictor
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare

HEIGHT, WIDTH = 70, 90
OPTIONS = {"tile_px": 64, "overlap_px": 16}
MOST_PX = 4_000_000


def raster_seeds(folder: Path) -> dict[str, bytes]:
    """Small rasters of many layouts, by name."""
    rgb = scene(HEIGHT, WIDTH)
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:20, :30] = False
    reflectance = (rgb / 255).astype(np.float32)
    reflectance[:, 10:20, 10:20] = np.nan
    layouts = {
        "strips.tif": {"values": rgb, "photometric": "RGB"},
        "tiles.tif": {
            "values": rgb,
            "tiled": True,
            "blockxsize": 32,
            "blockysize": 32,
            "compress": "deflate",
        },
        "lzw.tif": {"values": rgb, "compress": "lzw", "predictor": 2, "interleave": "pixel"},
        "jpeg.tif": {"values": rgb, "compress": "jpeg", "photometric": "YCBCR", "interleave": "pixel"},
        "alpha.tif": {"values": rgb, "valid": valid, "compress": "zstd"},
        "nodata.tif": {"values": rgb, "nodata": 0},
        "sixteen.tif": {"values": rgb.astype(np.uint16) * 4, "nbits": 10},
        "float.tif": {"values": reflectance, "nodata": float("nan"), "compress": "deflate"},
        "big.tif": {"values": rgb, "bigtiff": "YES"},
        "five.tif": {"values": np.concatenate([rgb, rgb[:2]])},
    }
    seeds = {}
    for name, layout in layouts.items():
        seeds[name] = write_raster(folder / name, **layout).read_bytes()
    with rasterio.open(folder / "strips.tif") as dataset:
        profile = {"crs": dataset.crs, "transform": dataset.transform, "count": 3, "dtype": "uint8"}
        profile |= {"height": HEIGHT, "width": WIDTH}
        with rasterio.open(folder / "image.img", "w", driver="HFA", **profile) as copy:
            copy.write(rgb)
    seeds["image.img"] = (folder / "image.img").read_bytes()
    seeds["mosaic.vrt"] = _vrt(folder / "strips.tif")
    return seeds


def _vrt(source: Path) -> bytes:
    with rasterio.open(source) as dataset:
        transform, crs = dataset.transform.to_gdal(), dataset.crs.to_wkt().replace('"', "&quot;")
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}"><NoDataValue>0</NoDataValue><ColorInterp>{colour}'
        f"</ColorInterp><SimpleSource><SourceFilename>{source}</SourceFilename><SourceBand>{band}"
        f'</SourceBand><SrcRect xOff="0" yOff="0" xSize="{WIDTH}" ySize="{HEIGHT}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{WIDTH}" ySize="{HEIGHT}"/></SimpleSource></VRTRasterBand>'
        for band, colour in enumerate(("Red", "Green", "Blue"), start=1)
    )
    head = f'<VRTDataset rasterXSize="{WIDTH}" rasterYSize="{HEIGHT}"><SRS>{crs}</SRS>'
    place = f"<GeoTransform>{', '.join(map(repr, transform))}</GeoTransform>"
    return f"{head}{place}{bands}</VRTDataset>".encode()


@contextmanager
def formula_for_a_network() -> Iterator[None]:
    """In place of the network: the mean of the bands is the probability. Everything else is the product's."""

    def predict(self: FilePredictor, batch: np.ndarray) -> np.ndarray:
        return logits_of(batch.mean(axis=1))

    with ExitStack() as stack:
        for kind in (TorchPredictor, OnnxPredictor):
            stack.enter_context(mock.patch.object(kind, "predict", predict))
            stack.enter_context(mock.patch.object(kind, "describe", return_value="cpu, fp32"))
        yield


def segment_and_check(path: Path, out: Path) -> None:
    """Segment a raster; where that gives an answer, compare it with an independent reading of the file."""
    result = cg.segment(path, out, workers=Workers(lanes=1), **OPTIONS)
    summary = result.summary
    assert 0 <= summary.canopy_cover <= 1
    assert 0 <= summary.canopy_area_m2 <= summary.valid_area_m2 * (1 + 1e-9)
    areas = pyogrio.read_dataframe(result.outputs.layers, layer="canopy", columns=["area_m2"])["area_m2"]
    assert np.isclose(areas.sum(), summary.canopy_area_m2, rtol=1e-6), "polygons and mask differ in area"
    with rasterio.open(result.outputs.mask) as dataset:
        mask = dataset.read(1)
    ready = prepare(path, Options(**OPTIONS))
    if ready.source.is_resampled or ready.info.height * ready.info.width > MOST_PX:
        return
    values, valid = _whole(path, ready.source.bands)
    if values is None:
        return
    np.testing.assert_array_equal(mask != 255, valid, err_msg="validity differs from what the file says")
    probability = ready.scale.apply(values).mean(axis=0)
    decided = valid & (np.abs(probability - ready.threshold) > 1e-3)
    np.testing.assert_array_equal(mask[decided], (probability >= ready.threshold)[decided])


def _whole(path: Path, bands: tuple[int, ...]) -> tuple[np.ndarray | None, np.ndarray]:
    """All pixels and their validity in one reading, past every part of the product.

    No pixels where there is no truth: some damaged VRTs give GDAL other values in each window that it reads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path) as dataset:
            values, valid = dataset.read(list(bands)), _valid(dataset)
            half = Window(0, 0, dataset.width, dataset.height // 2)
            again = dataset.read(list(bands), window=half)
            if not np.array_equal(again, values[:, : half.height], equal_nan=True):
                return None, valid
    if values.dtype.kind == "f":
        valid &= np.isfinite(values).all(axis=0)
    return values, valid


def _valid(dataset) -> np.ndarray:
    """Alpha, else rasterio's mask; a band that damage took its nodata value from has no say."""
    if ColorInterp.alpha in dataset.colorinterp:
        return dataset.read(dataset.colorinterp.index(ColorInterp.alpha) + 1) > 0
    marked = [k for k, value in enumerate(dataset.nodatavals, start=1) if value is not None]
    if MaskFlags.per_dataset in dataset.mask_flag_enums[0] or len(marked) in (0, dataset.count):
        return dataset.dataset_mask() > 0
    return np.any([dataset.read_masks(k) > 0 for k in marked], axis=0)
