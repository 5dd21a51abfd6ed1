"""A small surveyed field, with everything that a report can show, and text that tries to break it."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import rasterio
from rasters import scene, write_plots, write_raster

from cropseg_geo.raster.mask import open_mask
from cropseg_geo.report.content import Inputs, gather

HOSTILE = '<script>window.hacked = 1</script>"><img src=x onerror="window.hacked=2">'
GSD = 0.05
SHAPE = (300, 400)


def discs(image: np.ndarray) -> np.ndarray:
    """The green of :func:`rasters.scene` as classes."""
    return (image[1].astype(int) > image[0]).astype(np.uint8)


def make_survey(folder):
    """Paths of a raster, its mask and probability, twelve plots with statistics, and their series."""
    image = scene(*SHAPE)
    classes = discs(image)
    classes[:, :20] = 255
    mask = write_raster(folder / "trial_mask.tif", classes[None], gsd=GSD, nodata=255)
    steps = np.where(classes == 255, 255, np.where(classes == 1, 230, 20)).astype(np.uint8)
    steps[0, 30:50] = 130  # within 0.1 of the threshold
    prob = write_raster(folder / "trial_prob.tif", steps[None], gsd=GSD, nodata=255)
    tag(mask, CROPSEG_CLASSES=json.dumps({0: "background", 1: "crop"}), CROPSEG_THRESHOLD="0.5",
        CROPSEG_MODEL="unknown 9", CROPSEG_SOURCE="trial.tif")  # fmt: skip
    raster = write_raster(folder / "trial_2026-05-31.tif", image, gsd=GSD)
    boxes = [(1.5 + 4.5 * c, 0.5 + 4.5 * r, 5.5 + 4.5 * c, 4.5 + 4.5 * r) for r in range(3) for c in range(4)]
    coverage = np.round(np.linspace(0.93, 0.05, 12), 4)
    coverage[5] = np.nan
    columns = {
        "plot_id": [f"P{k + 1}" for k in range(10)] + [HOSTILE, "last"],
        "treatment": ['a, "quoted"', *["control"] * 5, *["late\nsown"] * 6],
        "block": [1] * 6 + [2] * 6,
        "coverage": coverage,
        "canopy_area_m2": coverage * 16,
        "valid_fraction": [1.0] * 11 + [0.4],
        "yield_kg": np.arange(12) * 100.5,
    }
    plots = write_plots(folder / "plots.gpkg", boxes, **columns)
    table = pd.DataFrame({k: columns[k] for k in ("plot_id", "coverage", "canopy_area_m2")})
    days = ("2026-04-20", "2026-05-10", "2026-05-31")
    grown = [table.assign(date=day, coverage=table.coverage * (k + 1) / 3) for k, day in enumerate(days)]
    series = folder / "series.csv"
    pd.concat(grown).to_csv(series, index=False)
    return {
        "mask": mask,
        "prob": prob,
        "raster": raster,
        "plots": plots,
        "series": series,
        "classes": classes,
    }


def content_of(field, *, listener=lambda event: None, **inputs):
    """What a report of the survey says; ``inputs`` go before its own."""
    chosen = {key: field[key] for key in ("raster", "plots", "series")} | inputs
    with open_mask(field["mask"], field["prob"]) as mask:
        return gather(mask, Inputs(**chosen), listener, longest_px=200)


def tag(path, **tags):
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(**tags)
