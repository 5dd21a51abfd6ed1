"""Robustness against scale: the coverage of the same field, read at finer and coarser pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from rich.table import Table

from cropseg_geo.errors import InputError
from training.evaluation.methods import Method
from training.evaluation.sets import FIELD_GSD_M, Field, Sample, soy_trial
from training.scores import IGNORE, Truth

Pixels = npt.NDArray[np.uint8]

FACTORS = (0.5, 1.0, 2.0, 4.0)
"""Multiples of a field's own GSD: twice as fine to four times as coarse."""


@dataclass(frozen=True)
class ScaledField:
    """A field that can be had at multiples of its own GSD; ``truth_coverage`` is a share, 0–1."""

    name: str
    gsd_m: float
    truth_coverage: float
    at: Callable[[float], Sample]


@dataclass(frozen=True)
class ScaleRow:
    """Coverage by one method of one field at one scale; None where it has none."""

    field: str
    method: str
    factor: float
    gsd_m: float
    truth_coverage: float
    coverage: float | None

    @property
    def difference_points(self) -> float | None:
        """Method − truth, in percentage points of cover."""
        return None if self.coverage is None else 100.0 * (self.coverage - self.truth_coverage)

    def as_document(self) -> dict[str, object]:
        return {**asdict(self), "difference_points": self.difference_points}


def scale_fields(data: Path) -> tuple[ScaledField, ...]:
    """The soybean orthomosaic, resampled, and the generated fields, generated anew at each GSD."""
    from training.simulator.fields import FIELDS, make_field

    soy = soy_trial(data / "orthos" / "pliman_soy_dsm")
    generated = (generated_field(name, make_field) for name in FIELDS)
    return (resampled_field(soy.name, soy.readers[0]()), *generated)


def resampled_field(name: str, sample: Sample) -> ScaledField:
    """A field of which there is one orthomosaic. Finer than that it is smooth: no leaf gets sharper.

    Raises
    ------
    InputError
        If the sample has no GSD.
    """
    if sample.gsd_m is None:
        raise InputError(f"{name} is a picture without a GSD", remedy="give an orthomosaic")
    coverage = Truth.of(sample.truth).coverage
    return ScaledField(name, sample.gsd_m, coverage, lambda factor: resampled(sample, factor))


def generated_field(name: str, make: Callable[..., Field], *, gsd_m: float = FIELD_GSD_M) -> ScaledField:
    """A field that ``make(name, gsd_m=…)`` draws at any GSD; its truth is that of its own GSD."""

    def at(factor: float) -> Sample:
        field = make(name, gsd_m=gsd_m * factor)
        return Sample(field.image, field.mask, name, field.height_m, field.gsd_m)

    return ScaledField(name, gsd_m, Truth.of(at(1.0).truth).coverage, at)


def resampled(sample: Sample, factor: float) -> Sample:
    """The sample with pixels ``factor`` times as wide: averages when coarser, bicubic when finer.

    The truth is resampled to the nearest pixel; heights and the file do not come along.
    """
    if factor == 1.0 or sample.gsd_m is None:
        return sample
    height, width = sample.truth.shape
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    how = Image.Resampling.BOX if factor > 1.0 else Image.Resampling.BICUBIC
    return replace(
        sample,
        image=np.asarray(Image.fromarray(sample.image).resize(size, how)),
        truth=np.asarray(Image.fromarray(sample.truth).resize(size, Image.Resampling.NEAREST)),
        height_m=None,
        gsd_m=sample.gsd_m * factor,
        raster=None,
    )


def measure_scale(
    methods: Mapping[str, Method],
    fields: Sequence[ScaledField],
    *,
    factors: Sequence[float] = FACTORS,
) -> tuple[ScaleRow, ...]:
    """Coverage of every field by every method at every scale: fields first, then methods, then factors."""
    return tuple(_rows(methods, fields, factors))


def scale_table(rows: Sequence[ScaleRow]) -> Table:
    """A line for each field and method, a column for each factor: points of cover too many or too few.

    A dash: the method refuses the GSD or has nothing to go by.
    """
    factors = sorted({row.factor for row in rows})
    table = Table("field", "method", "GSD ×1 (cm)", "truth (%)", title="Coverage − truth (points)")
    for factor in factors:
        table.add_column(f"× {factor:g}", justify="right")
    for line in _lines(rows):
        table.add_row(*line)
    return table


def markdown_table(rows: Sequence[ScaleRow]) -> str:
    """As :func:`scale_table`, in Markdown."""
    factors = sorted({row.factor for row in rows})
    heads = ("Field", "Method", "GSD × 1 (cm)", "Truth (%)", *(f"× {factor:g}" for factor in factors))
    lines = ["| " + " | ".join(heads) + " |", "|---|---|---:|---:|" + "---:|" * len(factors)]
    lines += ["| " + " | ".join(line) + " |" for line in _lines(rows)]
    return "\n".join(lines) + "\n"


def _rows(
    methods: Mapping[str, Method], fields: Sequence[ScaledField], factors: Sequence[float]
) -> Iterator[ScaleRow]:
    for field in fields:
        samples = {factor: field.at(factor) for factor in factors}
        for name, method in methods.items():
            for factor, sample in samples.items():
                gsd_m = field.gsd_m * factor
                coverage = _coverage(method, sample)
                yield ScaleRow(field.name, name, factor, gsd_m, field.truth_coverage, coverage)


def _coverage(method: Method, sample: Sample) -> float | None:
    try:
        prediction = method(sample)
    except InputError:
        # Too coarse for the model: users get the same refusal.
        return None
    if prediction is None:
        return None
    known = sample.truth != IGNORE
    return float(np.mean(prediction.mask[known]))


def _lines(rows: Sequence[ScaleRow]) -> Iterator[tuple[str, ...]]:
    keys = dict.fromkeys((row.field, row.method) for row in rows)
    for field, method in keys:
        found = sorted(
            (row for row in rows if (row.field, row.method) == (field, method)), key=lambda row: row.factor
        )
        base_m = found[0].gsd_m / found[0].factor
        cells = ("–" if row.difference_points is None else f"{row.difference_points:+.1f}" for row in found)
        yield (field, method, f"{100 * base_m:.3g}", f"{100 * found[0].truth_coverage:.1f}", *cells)
