"""Trace a finished mask into polygons."""

from __future__ import annotations

from pathlib import Path

from cropseg_geo.events import Listener, ignore
from cropseg_geo.layers import write_layers
from cropseg_geo.outputs import (
    drafted,
)
from cropseg_geo.raster.mask import mask_classes, open_mask


def vectorize(
    mask: str | Path,
    out: str | Path,
    *,
    prob: str | Path | None = None,
    min_area_m2: float = 0.0,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> int:
    """Trace a class mask into the ``canopy`` layer of a new GeoPackage.

    Parameters
    ----------
    mask
        One band of uint8 class ids, 255 = nodata.
    out
        The GeoPackage.
    prob
        The mask's probability raster; fills ``mean_prob``.
    min_area_m2
        Smallest polygon (m²).

    Returns
    -------
    int
        Number of polygons.

    Raises
    ------
    CropsegError
        If the mask cannot be read or the file cannot be written.
    """
    final = Path(out)
    with open_mask(mask, prob) as source, drafted(final, overwrite=overwrite, listener=listener) as draft:
        n_polygons, _ = write_layers(
            draft,
            source,
            classes=mask_classes(source),
            min_area_m2=min_area_m2,
            tags={"CROPSEG_SOURCE": Path(mask).name},
            listener=listener,
        )
    return n_polygons
