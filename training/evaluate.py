"""Scores of models, and of ExG + Otsu, on the development test sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from rich.table import Table

from cropseg_geo.model.predictor import Predictor
from training.baseline import exg_otsu
from training.data import Pair, Pixels, by_dataset, decode
from training.scores import Counts, count

Segmenter = Callable[[Pixels], Pixels]
"""RGB picture (H, W, 3) uint8 → mask (H, W) uint8 of 0 and 1."""

BASELINE = "ExG + Otsu"

Scores = dict[str, dict[str, dict[str, float]]]
"""Test set → method → measure → value."""

_MEASURES = {"miou": "mIoU", "vegetation_iou": "vegetation IoU", "boundary_iou": "boundary IoU"}


def evaluate(
    predictors: Mapping[str, Predictor],
    pairs: Sequence[Pair],
    *,
    on_picture: Callable[[], None] = lambda: None,
) -> Scores:
    """Score every model and the baseline on each dataset of ``pairs``, at the pictures' own resolution.

    Parameters
    ----------
    predictors
        Models by the name to print.
    pairs
        Test pairs.
    on_picture
        Called when a picture is done.
    """
    methods: dict[str, Segmenter] = {BASELINE: exg_otsu}
    methods |= {name: segmenter_of(predictor) for name, predictor in predictors.items()}
    scores: Scores = {}
    for dataset, members in by_dataset(pairs).items():
        counts = dict.fromkeys(methods, Counts())
        for pair in members:
            decoded = decode(pair)
            for name, segment in methods.items():
                counts[name] += count(segment(decoded.image), decoded.mask)
            on_picture()
        scores[dataset] = {name: total.as_scores() for name, total in counts.items()}
    return scores


def segmenter_of(predictor: Predictor) -> Segmenter:
    """A model as a function of a whole picture, mirrored up to a multiple of the network's stride."""

    def segment(image: Pixels) -> Pixels:
        height, width = image.shape[:2]
        stride = predictor.card.stride_px
        rim = ((0, -height % stride), (0, -width % stride), (0, 0))
        padded = np.pad(image, rim, mode="reflect").astype(np.float32) / np.float32(255.0)
        logits = predictor.predict(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
        vegetation = vegetation_probability(logits)[0, :height, :width]
        return (vegetation >= predictor.card.threshold).astype(np.uint8)

    return segment


def vegetation_probability(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits (N, K, H, W) → probability (N, H, W) of any class but the first."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    background: npt.NDArray[np.float32] = shifted[:, 0] / shifted.sum(axis=1)
    return np.float32(1.0) - background


def scores_table(scores: Scores) -> Table:
    """The scores as a table, in percent; the best of each test set and measure in bold."""
    table = Table("test set", "method", *_MEASURES.values(), title="Scores (%)")
    for column in table.columns[2:]:
        column.justify = "right"
    for dataset, methods in scores.items():
        best = {measure: max(row[measure] for row in methods.values()) for measure in _MEASURES}
        for name, row in methods.items():
            cells = [_percent(row[measure], bold=row[measure] == best[measure]) for measure in _MEASURES]
            table.add_row(dataset, name, *cells)
        table.add_section()
    return table


def _percent(value: float, *, bold: bool) -> str:
    text = f"{100.0 * value:.2f}"
    return f"[bold]{text}[/bold]" if bold else text
