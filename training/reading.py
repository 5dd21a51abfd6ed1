"""How an orthomosaic is read where labels are made for it: its bands, values, validity and pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox

from cropseg_geo.grid import Window
from cropseg_geo.model.zoo import DEFAULT_MODEL
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare
from cropseg_geo.raster.band_choice import choose_bands
from cropseg_geo.raster.info import RasterInfo, inspect_raster
from cropseg_geo.raster.sample import sample_raster, unflagged_alpha
from cropseg_geo.raster.scaling import ValueScale, choose_scale
from cropseg_geo.raster.source import GdalSource
from training.data import Pixels

COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Ortho:
    """An orthomosaic, ready to be read by windows of ``source``'s grid; ``notes``: what was decided."""

    source: GdalSource
    scale: ValueScale
    notes: tuple[str, ...] = ()

    @property
    def info(self) -> RasterInfo:
        return self.source.info

    @property
    def bounds(self) -> Window:
        return Window(0, 0, self.source.height, self.source.width)

    @property
    def gsd_m(self) -> float:
        """Metres per pixel as it is read."""
        return self.source.ground.gsd_m

    @property
    def geobox(self) -> GeoBox:
        """The grid that it is read on."""
        return GeoBox(self.source.shape, self.source.transform, self.info.crs)

    @property
    def facts(self) -> dict[str, str]:
        """What decides on the pixels, beside the file."""
        source = self.source
        return {
            "bands": str(source.bands),
            "alpha_band": str(source.alpha_band),
            "scale": str(self.scale),
            "shape": str(source.shape),
        }

    def read(self, window: Window) -> tuple[Pixels, npt.NDArray[np.bool_]]:
        """A window as a network sees it, (H, W, 3) uint8, invalid pixels black; and its validity (H, W)."""
        values, valid = self.source.read(window)
        unit = self.scale.apply(values).transpose(1, 2, 0)
        return np.where(valid[..., None], unit * 255.0 + 0.5, 0.0).astype(np.uint8), valid


@dataclass(frozen=True)
class Reading:
    """How an orthomosaic is to be read; bands, scale, alpha band and reflectance as in ``cropseg segment``.

    ``model``: reads at the working GSD at which ``cropseg segment`` feeds it; None: at the file's own pixels.
    """

    model: str | Path | None = DEFAULT_MODEL
    bands: tuple[int, ...] | None = None
    scale: tuple[float, float] | None = None
    alpha_band: int | None = None
    reflectance: bool = False

    def open(self, path: str | Path) -> Ortho:
        """Read the facts and decide. Raises InputError, ModelError for what ``cropseg segment`` refuses."""
        if self.model is None:
            return self._open_as_it_is(path)
        chosen = Options(
            model=self.model,
            bands=self.bands,
            scale=self.scale,
            reflectance=self.reflectance,
            alpha_band=self.alpha_band,
        )
        ready = prepare(path, chosen)
        return Ortho(ready.source, ready.scale, ready.notes)

    def _open_as_it_is(self, path: str | Path) -> Ortho:
        info = inspect_raster(path)
        bands = choose_bands(info, COLOURS, self.bands, self.alpha_band)
        source = GdalSource(info, bands, (info.height, info.width), self.alpha_band)
        if self.alpha_band is None and (alpha := unflagged_alpha(source)):
            source = GdalSource(info, bands, source.shape, alpha)
        sample = sample_raster(source, Window(0, 0, *source.shape))
        named = self.bands is not None or set(COLOURS) <= set(info.colours)
        notes = () if named else (f"bands {bands} are taken as red, green, blue; --bands names others",)
        scale = choose_scale(info, bands, sample.values, scale=self.scale, reflectance=self.reflectance)
        return Ortho(source, scale, notes)
