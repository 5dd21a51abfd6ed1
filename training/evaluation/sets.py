"""Test sets. To add one, write a function that returns a :class:`TestSet` and name it in ``all_sets``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

import sample_tiles
from training.data import Pair, by_dataset, decode, read_pairs
from training.scores import IGNORE

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

FIELD_GSD_M = 0.01

SIMULATED_SEED = 99
"""Not that of the training scenes."""

_SAMPLE_TILES = Path(sample_tiles.__file__).parent


@dataclass(frozen=True)
class Sample:
    """A picture or an orthomosaic whose vegetation is known.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    truth
        (H, W) uint8: 0 background, 255 unknown, else vegetation.
    part
        Crop, species or condition: sets with several get a row for each.
    height_m
        Height above the ground (m), (H, W), NaN where it was not measured; None where nobody measured it.
    gsd_m
        Ground sampling distance (m/px) of an orthomosaic. None says that this is a picture from a camera.
    raster
        File of the orthomosaic, if it has one.
    """

    image: Pixels = field(repr=False)
    truth: Pixels = field(repr=False)
    part: str = ""
    height_m: Floats | None = field(repr=False, default=None)
    gsd_m: float | None = None
    raster: Path | None = None


@dataclass(frozen=True)
class TestSet:
    """Samples under one name, each read when it is needed and forgotten when it was scored.

    ``gsd_m`` is that of the orthomosaics, None for pictures.
    """

    # Not a class of tests, whatever pytest thinks of its name.
    __test__ = False

    name: str
    readers: tuple[Callable[[], Sample], ...]
    about: str = ""
    gsd_m: float | None = None


class Field(Protocol):
    """What a generated field brings along."""

    @property
    def image(self) -> Pixels:
        """RGB, (H, W, 3) uint8."""
        ...

    @property
    def mask(self) -> Pixels:
        """(H, W) uint8, as a sample's truth."""
        ...

    @property
    def height_m(self) -> Floats:
        """Height above the ground (m), (H, W)."""
        ...

    @property
    def gsd_m(self) -> float:
        """Ground sampling distance (m/px)."""
        ...


def all_sets(data: Path) -> tuple[TestSet, ...]:
    """Every set that this machine can read: those of the data folder, and the generated fields."""
    from training.simulator.fields import FIELDS, make_field

    return (
        *development_sets(data),
        soy_trial(data / "orthos" / "pliman_soy_dsm"),
        fields(FIELDS, make_field),
    )


def development_sets(data: Path) -> tuple[TestSet, ...]:
    """The manifest's test split, a set for each dataset. Raises InputError if it is not there."""
    return pair_sets(read_pairs(data, split="test"))


def pair_sets(pairs: Sequence[Pair]) -> tuple[TestSet, ...]:
    """A set for each dataset of the pairs, a part for each species."""
    return tuple(
        TestSet(name, tuple(partial(_read_pair, pair) for pair in members))
        for name, members in by_dataset(pairs).items()
    )


def soy_trial(folder: Path) -> TestSet:
    """A soybean trial flown at 2.17 cm/px, like no training picture; its mask was made with a colour index.

    Elevation models and mask lie on another grid than the orthomosaic, some pixels off: they are read on its.
    """
    return TestSet(
        "soy trial",
        (partial(_read_soy_trial, folder),),
        about="orthomosaic of the pliman package; its truth was made with a colour index, which favours ExG",
        gsd_m=0.0217,
    )


def fields(names: Iterable[str], make: Callable[..., Field], *, gsd_m: float = FIELD_GSD_M) -> TestSet:
    """Generated fields, a part for each condition; ``make(name, gsd_m=…)`` makes one."""
    return TestSet(
        "generated fields",
        tuple(partial(_make_field, name, make, gsd_m) for name in names),
        about="generated; the truth is exact, the plants are not real",
        gsd_m=gsd_m,
    )


def choice_sets(data: Path, *, every: int = 1) -> tuple[TestSet, ...]:
    """What a number of the finished model is chosen by: every set, the sample field and simulated scenes.

    The more unlike each other they are, the less a choice fits any one of them: the soy trial's truth was
    made with a colour index, drawn outlines are coarse, and generated truth is exact.
    """
    return (*(thinned(test_set, every) for test_set in all_sets(data)), sample_field(), simulated_scenes())


def sample_field() -> TestSet:
    """The field of ``sample_tiles`` that everybody sees first: 1 cm/px, its truth exact."""
    return TestSet("sample field", (partial(_read_sample_field, _SAMPLE_TILES),), gsd_m=FIELD_GSD_M)


def simulated_scenes(count: int = 96, *, seed: int = SIMULATED_SEED) -> TestSet:
    """Scenes of the training simulator that no training sees, a part for each kind; 0.3 mm/px to 5 cm/px.

    Models that learned from the simulator know its ways: what these show is where one fails, not how good it
    is elsewhere.
    """
    return TestSet("simulated scenes", tuple(partial(_make_scene, seed, index) for index in range(count)))


def remembered(test_set: TestSet) -> TestSet:
    """The same set, its samples kept in memory once they were read: for scoring many models one by one."""
    return replace(test_set, readers=tuple(cache(reader) for reader in test_set.readers))


def thinned(test_set: TestSet, every: int) -> TestSet:
    """Every nth picture of a set of pictures; a set of orthomosaics as it is."""
    if test_set.gsd_m is not None:
        return test_set
    return replace(test_set, readers=test_set.readers[::every])


def _read_pair(pair: Pair) -> Sample:
    decoded = decode(pair)
    return Sample(decoded.image, decoded.mask, pair.species)


def _read_soy_trial(folder: Path) -> Sample:
    path = folder / "soy_ortho.tif"
    with rasterio.open(path) as ortho:
        image = ortho.read((1, 2, 3)).transpose(1, 2, 0)
        valid = ortho.dataset_mask() > 0
        gsd_m = float(np.sqrt(abs(ortho.transform.determinant)))
        mask = _read_onto(ortho, folder / "plant_mask_0soil_1plant_255nodata.tif", Resampling.nearest)
        surface, ground = (
            _read_onto(ortho, folder / name, Resampling.bilinear) for name in ("soy_dsm.tif", "soy_dtm.tif")
        )
    truth = np.where(valid, mask, IGNORE).astype(np.uint8)
    height_m = (surface - ground).astype(np.float32)
    return Sample(np.ascontiguousarray(image), truth, "", height_m, gsd_m, path)


def _read_sample_field(folder: Path) -> Sample:
    path = folder / "field.tif"
    with rasterio.open(path) as ortho, rasterio.open(folder / "field_truth.tif") as truth:
        image = ortho.read((1, 2, 3)).transpose(1, 2, 0)
        mask = np.where(ortho.dataset_mask() > 0, truth.read(1), IGNORE).astype(np.uint8)
        gsd_m = float(np.sqrt(abs(ortho.transform.determinant)))
    return Sample(np.ascontiguousarray(image), mask, "", None, gsd_m, path)


def _make_scene(seed: int, index: int) -> Sample:
    from training.simulator.corpus import scene_at

    scene = scene_at(seed, index)
    return Sample(scene.image, scene.mask, scene.kind)


def _read_onto(grid: rasterio.DatasetReader, path: Path, resampling: Resampling) -> Floats:
    """The first band of a file on the grid of another."""
    shape = {"crs": grid.crs, "transform": grid.transform, "height": grid.height, "width": grid.width}
    with rasterio.open(path) as dataset, WarpedVRT(dataset, resampling=resampling, **shape) as vrt:
        return np.asarray(vrt.read(1), dtype=np.float32)


def _make_field(name: str, make: Callable[..., Field], gsd_m: float) -> Sample:
    field = make(name, gsd_m=gsd_m)
    return Sample(field.image, field.mask, name, field.height_m, field.gsd_m)
