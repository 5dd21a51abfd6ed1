"""Models by address: fetched once over https, checked, and kept in the user's cache.

An address may end in ``#sha256=<64 hexadecimal digits>``, the digest of the file. With it, a file is what it
was when the digest was written down; without it, it is what the server sent, whose name TLS vouches for. In
both cases it has to hold a valid card, and tensors (or a graph) whose digest is the one that it states.
"""

from __future__ import annotations

import hashlib
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from platformdirs import user_cache_path

from cropseg_geo.errors import CropsegError, ModelError, OutputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.model.files import file_digest, require_digest
from cropseg_geo.model.weights import verify
from cropseg_geo.paths import replacing

STAGE = "fetch"
MAX_BYTES = 4 << 30
"""Largest model file; the largest published network of this kind has 1.3 GB."""

TIMEOUT_S = 30.0
_CHUNK = 1 << 20
_SUFFIXES = (".safetensors", ".onnx")
_OFFLINE = "check the connection, or fetch the file in another way and give its path"

Open = Callable[[str], Any]
"""An address → an open answer: a context manager with ``read``, ``headers`` and ``geturl``."""


def fetch_model(address: str, *, listener: Listener = ignore, open_address: Open | None = None) -> Path:
    """The model file at an address, from the cache where it is there.

    Parameters
    ----------
    address
        ``https://…/name.safetensors`` or ``….onnx``, and after ``#sha256=`` the file's digest.
    listener
        Told how far the transfer is, in bytes.
    open_address
        What opens an address; https by default.

    Raises
    ------
    ModelError
        For another scheme, and for a file that cannot be fetched, is larger than ``MAX_BYTES``, has another
        digest, or is no model.
    OutputError
        If the cache cannot be written.
    """
    place, digest = _parts(address)
    path = _cached(place)
    if path.is_file() and _is_whole(path, digest):
        return path
    with _new_file(path) as part:
        found = _download(place, part, listener, open_address or _open_https)
        if digest is not None and found != digest:
            raise ModelError(
                f"{place}: has the digest {found}, not {digest}, as the address says",
                remedy="ask whoever gave you the address; do not use this file",
            )
        try:
            verify(part)
        except ModelError as err:
            raise ModelError(err.message.replace(str(part), place), remedy="check the address") from err
    return path


def cached_copy(name: str, digest: str, bring: Callable[[Path], None]) -> Path:
    """A model file of another machine, from this user's cache where it is there.

    Parameters
    ----------
    name
        Name of the file, with the suffix that says its form.
    digest
        Its SHA-256.
    bring
        Writes it to a path.

    Raises
    ------
    ModelError
        If what was brought has another digest.
    OutputError
        If the cache cannot be written.
    """
    path = user_cache_path("cropseg-geo") / "models" / digest[:16] / Path(name).name
    if path.is_file() and file_digest(path) == digest:
        return path
    with _new_file(path) as part:
        bring(part)
        require_digest(part, digest)
    return path


def _is_whole(path: Path, digest: str | None) -> bool:
    """True for a cached file with that digest; without one, for a model that is what it says."""
    if digest is not None:
        return file_digest(path) == digest
    try:
        verify(path)
    except ModelError:
        return False
    return True


def _parts(address: str) -> tuple[str, str | None]:
    """The address without its fragment, and the digest in it."""
    place, _, fragment = address.partition("#")
    try:
        place.encode()  # bytes of a command line that are no text
        parts = urlsplit(place)
        host = parts.hostname
    except ValueError as err:
        raise ModelError(f"{place!r} is no address ({err})", remedy="check the address") from err
    if parts.scheme.lower() != "https" or not host:
        raise ModelError(
            f"{place}: models are fetched over https only",
            remedy="give an https:// address, or fetch the file yourself and give its path",
        )
    if parts.username or parts.password:
        raise ModelError(
            f"https://…@{host}: an address with a password in it ends up in logs",
            remedy="fetch the file yourself and give its path",
        )
    if Path(unquote(parts.path)).suffix.lower() not in _SUFFIXES:
        raise ModelError(
            f"{place}: is no model file", remedy=f"give the address of a {' or '.join(_SUFFIXES)} file"
        )
    digest = re.fullmatch(r"sha256=([0-9a-fA-F]{64})", fragment)
    if fragment and digest is None:
        raise ModelError(
            f"{address}: {fragment!r} is no digest", remedy="write #sha256= and 64 hexadecimal digits"
        )
    return place, digest[1].lower() if digest else None


def _cached(place: str) -> Path:
    """Where an address's file is kept. Its name is a digest of the address: none can point elsewhere."""
    key = hashlib.sha256(place.encode()).hexdigest()[:16]
    path = Path(unquote(urlsplit(place).path))
    stem = re.sub(r"[^A-Za-z0-9._-]", "_", path.stem).lstrip(".")[:60]
    return user_cache_path("cropseg-geo") / "models" / key / f"{stem or 'model'}{path.suffix.lower()}"


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """A file of the cache as :func:`cropseg_geo.paths.replacing` has it, and its folder."""
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, suffix=path.suffix) as part:
            yield part


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """What the disk refuses within becomes an OutputError."""
    try:
        yield
    except CropsegError:
        raise
    except OSError as err:
        raise OutputError(
            f"cannot keep the model in {path.parent}: {err}", remedy="check the folder and the free space"
        ) from err


def _download(place: str, part: Path, listener: Listener, open_address: Open) -> str:
    """Write what an address answers to a file; its SHA-256."""
    with _answering(place), open_address(place) as answer:
        _require_https(place, answer.geturl())
        size = int(answer.headers.get("Content-Length") or 0)
        _require_size(place, size)
        listener(StageStarted(STAGE, size, "B"))
        received, digest = _receive(place, answer, part, listener)
    if size and received != size:
        raise ModelError(f"{place}: {received:,} of {size:,} bytes came", remedy="try again")
    listener(StageFinished(STAGE))
    return digest


@contextmanager
def _answering(place: str) -> Iterator[None]:
    """What a server or the way to it gets wrong within becomes a ModelError."""
    try:
        yield
    except CropsegError:
        raise
    except urllib.error.HTTPError as err:
        raise ModelError(
            f"{place}: the server says {err.code} {err.reason}", remedy="check the address"
        ) from err
    except (OSError, HTTPException, ValueError) as err:
        reason = getattr(err, "reason", None) or err
        if isinstance(reason, ssl.SSLCertVerificationError):
            host = urlsplit(place).hostname
            raise ModelError(
                f"{place}: the server cannot show that it is {host} ({reason.verify_message})",
                remedy="check the address and this machine's clock; do not fetch from it otherwise",
            ) from err
        raise ModelError(f"{place}: cannot be fetched ({reason})", remedy=_OFFLINE) from err


def _receive(place: str, answer: IO[bytes], part: Path, listener: Listener) -> tuple[int, str]:
    received, digest = 0, hashlib.sha256()
    with _writing(part), part.open("wb") as file:
        while chunk := _next_chunk(place, answer):
            received += len(chunk)
            _require_size(place, received)
            digest.update(chunk)
            file.write(chunk)
            listener(StageAdvanced(STAGE, len(chunk)))
    return received, digest.hexdigest()


def _next_chunk(place: str, answer: IO[bytes]) -> bytes:
    with _answering(place):
        return answer.read(_CHUNK)


def _require_size(place: str, size: int) -> None:
    if size > MAX_BYTES:
        raise ModelError(
            f"{place}: is larger than {MAX_BYTES / 1e9:.1f} GB", remedy="no model is: check the address"
        )


def _require_https(place: str, found: str) -> None:
    if urlsplit(found).scheme != "https":
        raise ModelError(
            f"{place}: leads on to {found}, which is not https",
            remedy="give the address that it leads to, if you trust it",
        )


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects from https to https."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        _require_https(req.full_url, newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open_https(place: str) -> Any:
    """Open an address with verified certificates; no handler for anything but https is there."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _HttpsRedirects(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(place, headers={"User-Agent": "cropseg-geo"})
    return opener.open(request, timeout=TIMEOUT_S)
