"""The fields of a model card as JSON holds them: a reader for each, which refuses what is of another type."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping
from typing import Any

from cropseg_geo.errors import ModelError

Argument = str | int | float | bool
"""What a network's builder takes: plain JSON values."""

Arguments = tuple[tuple[str, Argument], ...]
Scores = tuple[tuple[str, tuple[tuple[str, float], ...]], ...]

REMEDY = "use a model file written by this version of CropSeg-Geo, or export it again"
"""What to do about a card that cannot be read or cannot be."""

_LARGEST = sys.float_info.max


def freeze_arguments(arguments: Mapping[str, Argument]) -> Arguments:
    """Builder arguments as the card holds them: pairs sorted by key."""
    return tuple(sorted(arguments.items()))


def freeze_scores(scores: Mapping[str, Mapping[str, float]]) -> Scores:
    """Scores as the card holds them: pairs sorted by key, rounded to four digits."""
    return tuple(
        (test_set, tuple((measure, round(float(value), 4)) for measure, value in sorted(measures.items())))
        for test_set, measures in sorted(scores.items())
    )


def refusal(field: str, found: object, expected: str) -> ModelError:
    """The error for a field that is or holds something else than expected."""
    return ModelError(
        f"the model card's {field} is {reprlib.repr(found)}; expected {expected}", remedy=REMEDY
    )


# One reader for each JSON type: the value in the card's own type, or a refusal. A bool is no number here.


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise refusal(field, value, "text")
    return value


def _integer(field: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise refusal(field, value, "a whole number")
    return value


def _number(field: str, value: object) -> float:
    # A whole number may be larger than any decimal number.
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _LARGEST:
        raise refusal(field, value, "a finite number")
    return float(value)


def _texts(field: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise refusal(field, value, "a list of texts")
    return tuple(_text(field, entry) for entry in value)


def _numbers(field: str, value: object) -> tuple[float, ...]:
    if not isinstance(value, list):
        raise refusal(field, value, "a list of numbers")
    return tuple(_number(field, entry) for entry in value)


def _span(field: str, value: object) -> tuple[float, float]:
    numbers = _numbers(field, value)
    if len(numbers) != 2:
        raise refusal(field, value, "two numbers")
    return (numbers[0], numbers[1])


def _arguments(field: str, value: object) -> Arguments:
    if not isinstance(value, dict) or not all(map(_is_argument, value.values())):
        raise refusal(field, value, "an object of texts and numbers")
    return freeze_arguments(value)


def _is_argument(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, int | float) and abs(value) <= _LARGEST)


def _scores(field: str, value: object) -> Scores:
    if not isinstance(value, dict) or not all(isinstance(v, dict) for v in value.values()):
        raise refusal(field, value, "an object: test set → measure → number")
    return freeze_scores(
        {key: {name: _number(field, score) for name, score in row.items()} for key, row in value.items()}
    )


READERS: dict[str, Any] = {  # Any: each reader returns its own field's type
    **dict.fromkeys(("name", "version", "summary", "architecture", "weights_digest", "licence"), _text),
    **dict.fromkeys(("bands", "classes", "colours", "training_data"), _texts),
    **dict.fromkeys(("mean", "std"), _numbers),
    **dict.fromkeys(("tile_px", "overlap_px", "stride_px"), _integer),
    **dict.fromkeys(("gsd_m", "threshold", "temperature", "bf16_agreement"), _number),
    "gsd_range_m": _span,
    "network": _arguments,
    "scores": _scores,
}
