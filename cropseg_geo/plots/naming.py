"""Plots named in messages: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

_MOST_NAMED = 10


def are_plain(values: Iterable[object]) -> bool:
    """True for numbers and texts; False where one of the values is a list or an object, as in GeoJSON."""
    return all(isinstance(value, Hashable) for value in values)


def named(ids: Sequence[object]) -> str:
    """``plot 7`` or ``plots 1, 2, 3 and 40 more``.

    >>> named(["a", "b"])
    'plots a, b'
    """
    return f"plot{'s' if len(ids) > 1 else ''} {listed(ids)}"


def listed(values: Sequence[object]) -> str:
    """Values separated by commas, at most ten."""
    shown = ", ".join(str(v) for v in values[:_MOST_NAMED])
    return shown if len(values) <= _MOST_NAMED else f"{shown} and {len(values) - _MOST_NAMED} more"
