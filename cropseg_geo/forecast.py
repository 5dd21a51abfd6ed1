"""What a run will do, need and take, in words: the answer of ``cropseg check``."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pyproj import CRS

from cropseg_geo.addresses import without_secrets
from cropseg_geo.engine.workers import Workers
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.preflight import Preflight
from cropseg_geo.space import disk_bytes, human_bytes

_OVERHEAD = 1.4
"""Wall time ÷ time of the forward passes, reading, writing and tracing included; see DESIGN.md."""


@dataclass(frozen=True)
class Forecast:
    """Facts and needs of a run; sizes in bytes, ``seconds`` is an estimate. The disk is that of ``out``."""

    raster: str
    layout: str
    height: int
    width: int
    crs: str
    gsd_m: float
    working_gsd_m: float
    accepted_gsd_m: tuple[float, float]
    bands: tuple[int, ...]
    values: str
    validity: str
    valid_share: float
    extent_px: int
    tiles: int
    tile_px: int
    overlap_px: int
    blocks: int
    model: str
    device: str
    lanes: int
    memory_bytes: int
    disk_bytes: int
    seconds: float
    plots: int | None
    out: str
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Label and text of each line of the report."""
        low, high = self.accepted_gsd_m
        megapixels = self.height * self.width / 1e6
        gsd = f"{self.gsd_m * 100:.3g} cm/px (model: {low * 100:.3g}–{high * 100:.3g})"
        if self.working_gsd_m != self.gsd_m:
            gsd += f", read at {self.working_gsd_m * 100:.3g} cm/px"
        lines = [
            (
                "Raster",
                f"{without_secrets(self.raster)}, {self.height:,} × {self.width:,} px "
                f"({megapixels:,.1f} MP); {self.layout}",
            ),
            ("CRS", self.crs),
            ("GSD", gsd),
            ("Bands", f"{', '.join(map(str, self.bands))}; values {self.values}"),
            ("Validity", f"from {self.validity}; about {1 - self.valid_share:.0%} of the extent is empty"),
            (
                "Tiles",
                f"{self.tiles:,} of {self.tile_px} px, overlap {self.overlap_px}, in {self.blocks:,} blocks",
            ),
            ("Model", f"{self.model} on {self.device}, {self.lanes} lane(s)"),
            ("Memory", f"about {human_bytes(self.memory_bytes)}"),
            ("Disk", f"about {human_bytes(self.disk_bytes)} in {self.out}"),
            ("Time", f"about {human_seconds(self.seconds)}"),
        ]
        if self.plots is not None:
            lines.append(("Plots", f"{self.plots:,}"))
        return lines


def make_forecast(
    ready: Preflight, out: Path, *, workers: Workers, store: str | None, n_plots: int | None
) -> Forecast:
    """Load the model, time it on a tile, and put everything together."""
    predictor, plan, info = ready.predictor, ready.plan, ready.info
    device = predictor.describe()
    processes = workers.process_count
    lanes = workers.lane_count * processes
    at_a_time = lanes if predictor.device_type == "cpu" else processes
    per_tile = _seconds_per_tile(predictor, plan.tiles.tile_px) / at_a_time
    # Tiles at the edge of the valid area count whole: about half a tile more on each side.
    covered = min(plan.n_tiles, plan.n_tiles * ready.sample.valid_share + 2 * plan.n_tiles**0.5)
    return Forecast(
        raster=info.path,
        layout=info.layout,
        height=info.height,
        width=info.width,
        crs=_crs_name(info.crs),
        gsd_m=info.ground.gsd_m,
        working_gsd_m=ready.source.ground.gsd_m,
        accepted_gsd_m=ready.card.gsd_range_m,
        bands=ready.source.bands,
        values=f"{info.dtype}, {ready.scale}",
        validity={"none": "nothing (all pixels count)"}.get(info.validity, f"its {info.validity}"),
        valid_share=ready.sample.valid_share,
        extent_px=plan.extent.size,
        tiles=plan.n_tiles,
        tile_px=plan.tiles.tile_px,
        overlap_px=plan.tiles.overlap_px,
        blocks=plan.n_blocks,
        model=f"{ready.card.name} {ready.card.version}",
        device=device,
        lanes=lanes,
        memory_bytes=ready.memory_bytes(workers.lane_count) * processes,
        disk_bytes=disk_bytes(ready, out, store),
        seconds=covered * per_tile * _OVERHEAD,
        plots=n_plots,
        out=str(out),
        notes=ready.notes,
    )


def _seconds_per_tile(predictor: Predictor, tile_px: int) -> float:
    rng = np.random.default_rng(0)
    tile = rng.random((1, len(predictor.card.bands), tile_px, tile_px), dtype=np.float32)
    predictor.predict(tile)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        predictor.predict(tile)
        times.append(time.perf_counter() - start)
    return min(times)


def _crs_name(wkt: str) -> str:
    crs = CRS.from_wkt(wkt)
    code = crs.to_epsg()
    return f"{crs.name} (EPSG:{code})" if code else crs.name


def human_seconds(seconds: float) -> str:
    """Seconds as a person says them, those and minutes rounded up.

    >>> human_seconds(3.6), human_seconds(200), human_seconds(9000)
    ('4 s', '4 min', '2.5 h')
    """
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    if seconds < 5400:
        return f"{-(-seconds // 60):.0f} min"
    return f"{seconds / 3600:.1f} h"
