"""Names of models → weights files: the embedded ones, or any file given by its path."""

from __future__ import annotations

import re
from difflib import get_close_matches
from pathlib import Path

from cropseg_geo.errors import ModelError
from cropseg_geo.events import Listener, ignore
from cropseg_geo.paths import is_there

DEFAULT_MODEL = "canopy-s"

_EMBEDDED = Path(__file__).parent / "weights"
_SUFFIX = ".safetensors"


def model_names() -> tuple[str, ...]:
    """Names of the embedded models, sorted."""
    return tuple(sorted(path.stem for path in _EMBEDDED.glob(f"[!.]*{_SUFFIX}")))


def shipped_name(path: Path) -> str | None:
    """Name by which every installation finds a model file of its own; None for any other file."""
    return path.name if path.parent == _EMBEDDED else None


def shipped_file(name: str) -> Path:
    """The file of that :func:`shipped_name` in this installation, whether it is there or not."""
    return _EMBEDDED / name


def is_address(name: str | Path) -> bool:
    """True for what names a model by a web address, whatever its scheme."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", str(name)) is not None


def find_model(name_or_path: str | Path, *, listener: Listener = ignore) -> Path:
    """The weights file of an embedded model, at a path, or at a web address.

    Parameters
    ----------
    name_or_path
        A name of :func:`model_names`, the path of a ``.safetensors`` or ``.onnx`` file, or its ``https://``
        address, see :func:`cropseg_geo.model.fetch.fetch_model`.
    listener
        Told how far a transfer is.

    Raises
    ------
    ModelError
        If it is none of these; lists the known names and suggests the closest.
    """
    name = str(name_or_path)
    if name in model_names():
        return _EMBEDDED / f"{name}{_SUFFIX}"
    if is_address(name):
        from cropseg_geo.model.fetch import fetch_model

        return fetch_model(name, listener=listener)
    path = Path(name_or_path).expanduser()
    if is_there(path) and path.is_file():
        return path.absolute()  # still found when the process has changed its folder
    close = get_close_matches(name, model_names(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if path.suffix in (_SUFFIX, ".onnx") or len(path.parts) > 1:
        raise ModelError(f"there is no model file {name}", remedy=f"{hint}check the path".strip())
    known = ", ".join(model_names()) or "none"
    raise ModelError(
        f"unknown model {name!r}; known models: {known}",
        remedy=f"{hint}give one of these names, or the path of a model file",
    )
