"""Values of JSON as the arguments of a function, checked against its own annotations."""

from __future__ import annotations

import inspect
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from cropseg_geo.errors import InputError

_WORDS = {
    bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path",
    NoneType: "null",
}  # fmt: skip
_NOT_FROM_OUTSIDE = frozenset({"listener", "return"})


class _Frame:
    """Stands for frames and geometries, which cannot come from outside: nothing is imported to say so."""


_FRAMES = {
    "gpd": SimpleNamespace(GeoDataFrame=_Frame, GeoSeries=_Frame),
    "shapely": SimpleNamespace(Geometry=_Frame),
}


class _MisfitError(Exception):
    """A value that is not of a type."""


def bind(
    function: Callable[..., Any], values: Mapping[str, Any], *, options: type | None = None
) -> dict[str, Any]:
    """Keyword arguments for a function, from values of JSON.

    Parameters
    ----------
    function
        A sentence of the pipeline; its annotations say what is accepted.
    values
        By name. Lists become tuples, and objects become dataclasses, where the annotation says so.
    options
        Dataclass whose fields the function takes as ``**options``.

    Raises
    ------
    InputError
        For an unknown name, a missing argument, or a value of another type.
    """
    known = get_type_hints(function, localns=_FRAMES)
    hints = {n: h for n, h in known.items() if n not in _NOT_FROM_OUTSIDE}
    parameters = inspect.signature(function).parameters
    hints = {n: h for n, h in hints.items() if parameters[n].kind is not inspect.Parameter.VAR_KEYWORD}
    required = [n for n in hints if parameters[n].default is inspect.Parameter.empty]
    if options is not None:
        hints |= get_type_hints(options, localns=_FRAMES)
    if missing := [name for name in required if name not in values]:
        raise InputError(f"the job lacks {', '.join(missing)}", remedy=f"it takes {', '.join(hints)}")
    return _convert_all(values, hints, "the job")


def require_kind(name: str, value: object, kind: type) -> None:
    """Raise InputError for an argument that is neither None nor of a public class of ours."""
    if value is not None and not isinstance(value, kind):
        raise InputError(
            f"{name}={reprlib.repr(value)} cannot be used",
            remedy=f"give cropseg_geo.{kind.__name__}(…), or leave it out",
        )


def _convert_all(values: Mapping[str, Any], hints: Mapping[str, Any], owner: str) -> dict[str, Any]:
    if unknown := sorted(set(values) - set(hints)):
        raise InputError(
            f"{owner} has unknown arguments: {', '.join(unknown)}", remedy=f"it takes {', '.join(hints)}"
        )
    converted = {}
    for name, value in values.items():
        try:
            converted[name] = _convert(value, hints[name], name)
        except _MisfitError as err:
            raise InputError(
                f"argument {name!r} is {reprlib.repr(value)}", remedy=f"expected {_describe(hints[name])}"
            ) from err
    return converted


def _convert(value: Any, hint: Any, name: str) -> Any:
    """The value as the type in ``hint``; raises _MisfitError."""
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return _first_that_fits(value, get_args(hint), name)
    if origin is Literal:
        return _require(value, fits=value in get_args(hint))
    if origin is tuple:
        return _as_tuple(value, get_args(hint), name)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        _require(value, fits=isinstance(value, dict))
        return {key: _convert(entry, get_args(hint)[1], name) for key, entry in value.items()}
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _as_tuple(value, (*get_args(hint), ...), name)
    if is_dataclass(hint) and isinstance(hint, type):
        _require(value, fits=isinstance(value, dict))
        accepted = {f.name for f in fields(hint) if f.init}
        hints = {n: h for n, h in get_type_hints(hint).items() if n in accepted}
        return hint(**_convert_all(value, hints, f"argument {name!r}"))
    if hint is float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        # JSON as Python reads it knows NaN, and whole numbers that are larger than any decimal one.
        is_number = is_number and abs(value) <= sys.float_info.max
        return float(_require(value, fits=is_number))
    if hint is int:
        return _require(value, fits=isinstance(value, int) and not isinstance(value, bool))
    if hint is Path:
        return Path(_require(value, fits=_is_text(value)))
    if hint is str:
        return _require(value, fits=_is_text(value))
    return _require(value, fits=hint in (bool, NoneType) and isinstance(value, hint))


def _is_text(value: Any) -> bool:
    """True for text that a file can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _first_that_fits(value: Any, hints: tuple[Any, ...], name: str) -> Any:
    for hint in hints:
        try:
            return _convert(value, hint, name)
        except _MisfitError:
            continue
    raise _MisfitError


def _as_tuple(value: Any, hints: tuple[Any, ...], name: str) -> tuple[Any, ...]:
    _require(value, fits=isinstance(value, list))
    if hints[-1] is ...:
        hints = hints[:1] * len(value)
    _require(value, fits=len(hints) == len(value))
    return tuple(_convert(entry, hint, name) for entry, hint in zip(value, hints, strict=True))


def _require(value: Any, *, fits: bool) -> Any:
    if not fits:
        raise _MisfitError
    return value


def _describe(hint: Any) -> str:
    """What a type is called to somebody who writes JSON."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        # Frames and the like cannot come from outside.
        known = [_describe(part) for part in inner if _is_json(part)]
        return " or ".join(dict.fromkeys(known))
    if origin is Literal:
        return " or ".join(repr(choice) for choice in inner)
    if origin is tuple:
        count = "" if inner[-1] is ... else f"{len(inner)} "
        return f"a list of {count}entries, each {_describe(inner[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"an object whose entries are each {_describe(inner[1])}"
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return f"a list of entries, each {_describe(inner[0])}"
    if is_dataclass(hint):
        return f"an object with {', '.join(f.name for f in fields(hint))}"
    return _WORDS.get(hint, "something else")


def _is_json(hint: Any) -> bool:
    return hint in _WORDS or get_origin(hint) is not None or is_dataclass(hint)
