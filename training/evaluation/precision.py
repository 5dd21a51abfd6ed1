"""What rounding to bf16 does to a mask: the share of pixels whose class stays the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cropseg_geo.errors import ResourceError
from cropseg_geo.model.backends import require_bf16
from cropseg_geo.model.predictor import OnnxPredictor
from training.evaluation.pictures import THREADS, picture_logits
from training.evaluation.sets import Sample, TestSet

BACKEND = "openvino"


def bf16_agreement(graph: Path, sets: Sequence[TestSet]) -> float | None:
    """The share of all pixels of the sets' pictures with the same class in bf16 as in fp32.

    Parameters
    ----------
    graph
        An ``.onnx`` file with a card.
    sets
        Whose pictures are looked at, each of them whole, orthomosaics, too.

    Returns
    -------
    float or None
        Rounded down to five digits: a share just below a bound must not reach it. None where this machine
        does not compute in bf16.
    """
    try:
        require_bf16(BACKEND)
    except ResourceError:
        return None
    exact, rounded = (OnnxPredictor(graph, BACKEND, precision) for precision in ("fp32", "bf16"))

    def compare(read: Callable[[], Sample]) -> tuple[int, int]:
        image = read().image
        same = picture_logits(exact, image).argmax(axis=0) == picture_logits(rounded, image).argmax(axis=0)
        return int(same.sum()), same.size

    with ThreadPoolExecutor(THREADS, thread_name_prefix="bf16") as pool:
        counts = list(pool.map(compare, (read for test_set in sets for read in test_set.readers)))
    share = sum(same for same, _ in counts) / sum(pixels for _, pixels in counts)
    return math.floor(share * 1e5) / 1e5
