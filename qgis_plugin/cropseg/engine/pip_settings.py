"""What pip is configured to use, for uv, which does not read pip's settings: indexes, proxy, certificates."""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

VARIABLES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}
"""pip's name → uv's variable.

Source: pip.pypa.io/en/stable/topics/configuration and docs.astral.sh/uv/reference/environment.
"""

_COMMAS = frozenset({"UV_FIND_LINKS"})
"""uv parts these by commas, the others by blanks."""


def for_uv(environ: Mapping[str, str], files: list[Path] | None = None) -> dict[str, str]:
    """Variables that give uv what pip would take; what the user set for uv, or as a proxy, stays as it is.

    Parameters
    ----------
    environ
        The user's environment; ``PIP_INDEX_URL`` and its like count more than files.
    files
        pip's files of settings, those that count more last; None looks in the usual places.
    """
    settings: dict[str, str] = {}
    for path in _usual_files(environ) if files is None else files:
        settings |= _settings(path)
    for name in VARIABLES:
        if value := environ.get(f"PIP_{name.upper().replace('-', '_')}"):
            settings[name] = value
    if any(environ.get(name) or environ.get(name.lower()) for name in ("HTTPS_PROXY", "HTTP_PROXY")):
        settings.pop("proxy", None)
    values = {name: settings[name].split() for name in VARIABLES if name in settings}
    # pip warns of a folder that is not there and goes on; uv would end.
    values["find-links"] = [place for place in values.get("find-links", ()) if _is_there(place)]
    return {
        variable: ("," if variable in _COMMAS else " ").join(values[name])
        for name, variable in VARIABLES.items()
        if values.get(name) and not environ.get(variable)
    }


def _is_there(place: str) -> bool:
    """A page's address, or a path that exists."""
    address = urlsplit(place)
    if address.scheme == "file":
        return Path(url2pathname(address.path)).exists()
    return "://" in place or Path(place).expanduser().exists()


def _settings(path: Path) -> dict[str, str]:
    """What one file says for all commands and for installations."""
    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError, OSError):
        # pip would complain about it; an installation need not fail for that.
        return {}
    sections = [section for section in ("global", "install") if parser.has_section(section)]
    return {name: parser.get(section, name) for section in sections for name in parser.options(section)}


def _usual_files(environ: Mapping[str, str]) -> Iterator[Path]:
    home = Path.home()
    if os.name == "nt":
        yield Path(environ.get("PROGRAMDATA", "C:/ProgramData")) / "pip" / "pip.ini"
        yield home / "pip" / "pip.ini"
        yield Path(environ.get("APPDATA", home / "AppData" / "Roaming")) / "pip" / "pip.ini"
    else:
        yield Path("/etc/pip.conf")
        yield home / ".pip" / "pip.conf"
        if sys.platform == "darwin":
            yield home / "Library" / "Application Support" / "pip" / "pip.conf"
        yield Path(environ.get("XDG_CONFIG_HOME", home / ".config")) / "pip" / "pip.conf"
    if chosen := environ.get("PIP_CONFIG_FILE"):
        yield Path(chosen)
