"""Names of models → weights files: the embedded ones, or any file given by its path."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from cropseg_geo.errors import ModelError
from cropseg_geo.paths import is_there

DEFAULT_MODEL = "canopy-s"

_EMBEDDED = Path(__file__).parent / "weights"
_SUFFIX = ".safetensors"


def model_names() -> tuple[str, ...]:
    """Names of the embedded models, sorted."""
    return tuple(sorted(path.stem for path in _EMBEDDED.glob(f"[!.]*{_SUFFIX}")))


def find_model(name_or_path: str | Path) -> Path:
    """The weights file of an embedded model or at a path.

    Parameters
    ----------
    name_or_path
        A name of :func:`model_names`, or the path of a ``.safetensors`` file.

    Raises
    ------
    ModelError
        If it is neither; lists the known names and suggests the closest.
    """
    name = str(name_or_path)
    if name in model_names():
        return _EMBEDDED / f"{name}{_SUFFIX}"
    path = Path(name_or_path).expanduser()
    if is_there(path) and path.is_file():
        return path
    close = get_close_matches(name, model_names(), n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    if path.suffix == _SUFFIX or len(path.parts) > 1:
        raise ModelError(f"there is no model file {name}", remedy=f"{hint}check the path".strip())
    known = ", ".join(model_names()) or "none"
    raise ModelError(
        f"unknown model {name!r}; known models: {known}",
        remedy=f"{hint}give one of these names, or the path of a {_SUFFIX} file",
    )
