"""``cropseg vectorize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.cli.options import Events, MinArea, Overwrite, Quiet
from cropseg_geo.console import event_listener


def vectorize(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="GeoPackage to write.")],
    prob: Annotated[str | None, typer.Option(help="Its probability raster.")] = None,
    min_area: MinArea = 0.0,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Trace a class mask into canopy polygons."""
    from cropseg_geo import pipeline

    with event_listener(as_json=events, quiet=quiet) as listener:
        pipeline.vectorize(mask, out, prob=prob, min_area_m2=min_area, overwrite=overwrite, listener=listener)
