"""An orthomosaic and canopy polygons → a dataset folder.

Windows are read as ``cropseg segment`` would read them: the same bands, scale and working GSD. A pixel is
vegetation where its centre lies in a polygon, background elsewhere in the labelled area, and unknown outside
that area and where the orthomosaic is not valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyogrio
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.raster.aoi import AreaOfInterest, read_aoi
from cropseg_geo.vector_source import LAYER_MARK, parse_source
from training.data import UNKNOWN
from training.reading import Ortho, Reading
from training.sources.dataset import Dataset, Origin, Piece, write_dataset
from training.sources.windows import LEAST_SIDE_PX, cut_enough, how_many, thin

CANOPY_LAYER = "canopy"


def prepare_polygons(
    ortho: Path,
    polygons: str | Path,
    target: Path,
    *,
    name: str,
    licence: str = "",
    area: str | Path | None = None,
    reading: Reading | None = None,
    listener: Callable[[str], None] = lambda note: None,
    on_piece: Callable[[], None] = lambda: None,
) -> Dataset:
    """Make a dataset of an orthomosaic whose canopy is outlined.

    Parameters
    ----------
    ortho
        The orthomosaic, a file.
    polygons
        Canopy outlines, any format and CRS; ``file|layername=x`` names a layer, else ``canopy`` is taken.
    target
        The dataset folder; taken up again where it is there already.
    name, licence
        Of the dataset.
    area
        Polygons within which every plant is outlined. Without them, that is taken to hold for the convex
        hull of all canopy polygons.
    reading
        How to read the orthomosaic.
    listener
        Told what was decided about the orthomosaic, and if not all that is labelled is used.
    on_piece
        Called after each piece.

    Raises
    ------
    InputError
        For polygons without a CRS or beside the orthomosaic, and whatever ``cropseg segment`` would refuse.
    """
    opened = (reading or Reading()).open(ortho)
    for note in opened.notes:
        listener(note)
    canopy = _read(polygons, opened)
    labelled = hull_of(canopy) if area is None else _read(area, opened)
    files = [Path(parse_source(str(source)).file) for source in (polygons, area) if source is not None]
    origin = Origin(
        "polygons",
        name,
        licence,
        (Path(ortho), *files),
        options={**opened.facts, "polygons": canopy.digest, "area": labelled.digest},
        gsd_m=opened.gsd_m,
    )
    return write_dataset(target, origin, _pieces(opened, canopy, labelled, listener), on_piece=on_piece)


def hull_of(area: AreaOfInterest) -> AreaOfInterest:
    """The convex hull of all its polygons."""
    shapes = shapely.from_wkb(np.array(area.polygons, dtype=object))
    hull = shapely.convex_hull(shapely.geometrycollections(shapes))
    return AreaOfInterest((bytes(shapely.to_wkb(hull)),))


def _pieces(
    ortho: Ortho, canopy: AreaOfInterest, labelled: AreaOfInterest, listener: Callable[[str], None]
) -> Iterator[Piece]:
    # A narrow strip takes in what lies beside it: unknown there, but a picture of a size to learn from.
    strip = labelled.window(ortho.bounds)
    region = strip.grown(max(0, (LEAST_SIDE_PX - min(strip.shape) + 1) // 2)) & ortho.bounds
    windows = cut_enough(region, lambda window: bool(labelled.mask(window).any()))
    for window in thin(windows, how_many(windows, listener)):
        image, valid = ortho.read(window)
        known = valid & labelled.mask(window)
        mask = np.where(known, canopy.mask(window).astype(np.uint8), np.uint8(UNKNOWN))
        place = f"r{window.row}_c{window.col}"
        yield Piece(place, place, image, mask)


def _read(path: str | Path, ortho: Ortho) -> AreaOfInterest:
    """Polygons in pixels of the working grid."""
    return read_aoi(_with_layer(path), ortho.info.ground).scaled(ortho.source.pixel)


def _with_layer(path: str | Path) -> str:
    """``file|layername=x``: as given, else of the layer ``canopy`` or the only one there is."""
    source = parse_source(str(path))
    file, layer = source.file, source.layer
    if not Path(file).exists():
        raise InputError(f"{file}: no such file", remedy="check the path of the polygons")
    try:
        layers = [str(row[0]) for row in pyogrio.list_layers(file) if row[1] is not None]
    except pyogrio.errors.DataSourceError as err:
        raise InputError(
            f"{file}: not a vector file that can be read ({err})",
            remedy="give polygons as GeoPackage, GeoJSON or Shapefile (with its .shx and .dbf beside it)",
        ) from err
    if layer and layer not in layers:
        raise InputError(f"{file} has no layer {layer!r}", remedy=f"choose one of {', '.join(layers)}")
    if layer or source.layer_id is not None or len(layers) == 1:
        return str(path)
    if CANOPY_LAYER not in layers:
        raise InputError(
            f"{file} has {len(layers)} layers ({', '.join(layers)}) and none is named {CANOPY_LAYER!r}",
            remedy=f"name one: {file}{LAYER_MARK}NAME",
        )
    return f"{file}{LAYER_MARK}{CANOPY_LAYER}{str(path).removeprefix(file)}"
