"""A model of three classes, raster to files: the mask holds the likeliest, the probability a band each."""

from __future__ import annotations

from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from fakes import TileDependentPredictor, fake_card
from rasters import write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.model.card import ModelCard

HEIGHT, WIDTH = 150, 170
EMPTY = (slice(0, 20), slice(0, 30))


@dataclass(frozen=True)
class ThreeClasses:
    """Bright pixels are crop, dark ones weed, the rest is background; tiles disagree where they overlap."""

    card: ModelCard = field(default_factory=lambda: fake_card(n_classes=3))
    backend, precision = "formula", "fp32"
    device = device_type = "cpu"

    @property
    def identity(self):
        return {"backend": self.backend}

    def describe(self):
        return "cpu, fp32, formula"

    def predict(self, batch):
        logits = 0.3 * TileDependentPredictor(self.card).predict(batch)
        logits[:, 1] += 12 * (batch[:, 0] - 0.6)
        logits[:, 2] += 12 * (0.4 - batch[:, 0])
        return logits


@pytest.fixture
def raster(tmp_path, monkeypatch):
    """Smooth hills with an empty corner, at 1 cm; its model's tiles have 32 px."""
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    values = np.rint(127 + 120 * np.sin(rows / 9) * np.cos(cols / 11)).astype(np.uint8)
    values[EMPTY] = 255
    monkeypatch.setattr("cropseg_geo.preflight.choose_predictor", lambda *_, **__: ThreeClasses())
    return write_raster(tmp_path / "field.tif", values[None], nodata=255)


def segmented(raster, out, **options):
    """The result, its mask (H, W) and its probability (3, H, W)."""
    result = cg.segment(raster, out, workers=cg.Workers(lanes=1), **options)
    with rasterio.open(result.outputs.mask) as mask, rasterio.open(result.outputs.prob) as prob:
        assert prob.descriptions == tuple(f"probability of {name}" for name in ("background", "crop", "weed"))
        return result, mask.read(1), prob.read()


def test_the_mask_is_the_likeliest_class_and_its_polygons_add_up_to_it(raster, tmp_path):
    result, mask, prob = segmented(raster, tmp_path / "out")
    valid = np.ones((HEIGHT, WIDTH), dtype=bool)
    valid[EMPTY] = False
    np.testing.assert_array_equal(mask != 255, valid)
    np.testing.assert_array_equal(prob != 255, np.broadcast_to(valid, prob.shape))
    assert set(np.unique(mask[valid])) == {0, 1, 2}
    likeliest = np.take_along_axis(prob, np.where(valid, mask, 0)[None].astype(int), axis=0)[0]
    np.testing.assert_array_equal(likeliest, prob.max(axis=0))
    assert np.abs(prob[:, valid].sum(axis=0, dtype=int) - 254).max() <= 1
    canopy = gpd.read_file(result.outputs.layers, layer="canopy")
    areas = canopy.groupby("class_name")["area_m2"].sum()
    assert areas.to_dict() == pytest.approx(
        {n: (mask == k).sum() * 1e-4 for k, n in ((1, "crop"), (2, "weed"))}
    )


def test_the_seams_of_blocks_leave_no_trace_in_any_band(raster, tmp_path, monkeypatch):
    _, mask, prob = segmented(raster, tmp_path / "large")
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    _, seamed_mask, seamed_prob = segmented(raster, tmp_path / "small")
    np.testing.assert_array_equal(seamed_prob, prob)
    np.testing.assert_array_equal(seamed_mask, mask)


def test_a_coarser_working_grid_gives_the_same_classes_on_the_rasters_own(raster, tmp_path):
    _, coarse, _ = segmented(raster, tmp_path / "working", gsd_m=0.02, grid="working")
    _, fine, prob = segmented(raster, tmp_path / "source", gsd_m=0.02, grid="source")
    assert coarse.shape == (HEIGHT // 2, WIDTH // 2)
    assert prob.shape == (3, HEIGHT, WIDTH)
    # Between neighbours that agree on the likeliest class nothing that is interpolated can be likelier.
    around = np.lib.stride_tricks.sliding_window_view(coarse, (3, 3))
    inside = np.where(np.ptp(around, axis=(2, 3)) == 0, coarse[1:-1, 1:-1], 255).repeat(2, 0).repeat(2, 1)
    agreed = inside != 255
    assert {*np.unique(inside[agreed])} == {0, 1, 2}
    np.testing.assert_array_equal(fine[2:-2, 2:-2][agreed], inside[agreed])


def test_plots_measured_with_the_run_and_afterwards_are_as_uncertain(raster, tmp_path):
    write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 1.4, 1.3)], plot_id=["p"])
    result, *_ = segmented(raster, tmp_path / "out", plots=tmp_path / "plots.gpkg", threshold=0.9)
    after = cg.measure_plots(result.outputs.mask, tmp_path / "plots.gpkg", prob=result.outputs.prob)
    names = [name for name in result.plots if name.startswith(("coverage", "uncertain"))]
    assert {"coverage_crop", "coverage_weed", "uncertain_fraction"} <= set(names)
    for name in names:
        assert result.plots[name].to_list() == pytest.approx(after[name].to_list(), rel=1e-4), name
    assert 0 < after["uncertain_fraction"].item() < 1
