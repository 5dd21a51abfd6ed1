"""A model as an ONNX file: the network's graph, and the model card in its metadata. Needs no ONNX library.

Layout: a message of protocol buffers, (key, value) after (key, value), each key ``number << 3 | kind``. The
graph is field 7; each entry of the metadata is a field 14 with its name and text as fields 1 and 2.
Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (ModelProto), and
https://protobuf.dev/programming-guides/encoding/.

The card stands under the same key as in a safetensors file, and is the same text: what a card names is one
model in two forms. A digest of everything but the metadata stands beside it, and the keys that the QGIS
plugin Deepness reads.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card import CARD_KEY, ModelCard
from cropseg_geo.model.files import FETCH_AGAIN
from cropseg_geo.paths import replace_file

SUFFIX = ".onnx"

DIGEST_KEY = "cropseg:graph_digest"
"""Key of the SHA-256 over the fields of the file that are not metadata, in their order."""

INPUT, OUTPUT = "images", "logits"
"""Names of the graph's ends: standardised images (N, C, H, W), and logits (N, K, H, W); float32 both."""

_METADATA = 14
_EXTERNAL = 13
"""The field of a tensor that says where its data lie, if not in the file."""

_WITHIN = {
    "model": {7: "graph", 25: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Messages within messages, by field, down to tensors."""

_VARINT, _BYTES = 0, 2
_FIXED = {1: 8, 5: 4}
"""Kinds of values: their bytes where they do not say it themselves."""

Buffer = bytes | mmap.mmap
_FOREIGN = "give an .onnx model that CropSeg-Geo has written, as cropseg_geo.save_model does"


def read_onnx_card(path: Path) -> ModelCard:
    """The card in an ONNX file's metadata; its graph is not read.

    Raises
    ------
    ModelError
        If the file is missing, truncated, no ONNX file, or carries no valid card.
    """
    metadata = _read_metadata(path)
    if CARD_KEY not in metadata:
        raise ModelError(
            f"{path} holds a network but no model card (no {CARD_KEY!r} in its metadata)",
            remedy="make a model file of it and a card with cropseg_geo.save_model",
        )
    return ModelCard.from_json(metadata[CARD_KEY])


def read_graph_digest(path: Path) -> str:
    """The digest in an ONNX file's metadata; ``""`` without one. Raises ModelError as the card does."""
    return _read_metadata(path).get(DIGEST_KEY, "")


def load_graph(path: Path) -> bytes:
    """The whole file, after its digest was compared with the one in its metadata.

    Raises
    ------
    ModelError
        If the file cannot be read, its graph is not the one that the digest was made of, or it names other
        files for its tensors: no digest covers those, and a library would open what they name.
    """
    try:
        content = path.read_bytes()
    except OSError as err:
        raise ModelError(f"cannot read the model file {path}: {err}", remedy=FETCH_AGAIN) from err
    expected, found = _metadata(content, path).get(DIGEST_KEY, ""), digest_graph(content, path)
    if found != expected:
        raise ModelError(
            f"damaged model {path}: digest mismatch, found {found[:12]}…, "
            f"its metadata says {expected[:12] or 'nothing'}…",
            remedy=FETCH_AGAIN,
        )
    require_whole(content, path)
    return content


def require_whole(content: bytes, path: Path) -> None:
    """Raise ModelError for no ONNX, or tensors that lie in other files; ``path`` names it."""
    if _points_elsewhere(content, 0, len(content), "model", path):
        raise ModelError(
            f"{path} keeps tensors in other files (external data)",
            remedy="save the model as one file, for example with onnx.save(model, path)",
        )


def save_onnx(path: Path, graph: bytes, card: ModelCard) -> None:
    """Write a serialised ONNX model with the card in its metadata; the file appears when it is complete.

    Parameters
    ----------
    path
        The file to write or to replace.
    graph
        A serialised ``ModelProto``, whose ends are called as :data:`INPUT` and :data:`OUTPUT`. Metadata in
        it are left out.
    card
        The card of the weights that the graph was made from.

    Raises
    ------
    ModelError
        If the graph is no ONNX.
    OutputError
        If the file cannot be written.
    """
    graph = _without_metadata(graph, path)
    metadata = {CARD_KEY: card.to_json(), DIGEST_KEY: digest_graph(graph, path), **deepness_metadata(card)}
    # Messages of protocol buffers are merged by writing them one after another.
    replace_file(path, graph + b"".join(_entry(key, text) for key, text in metadata.items()))


def copy_onnx(source: Path, target: Path, card: ModelCard) -> None:
    """Write an ONNX file's graph under another card of the same weights.

    Raises
    ------
    ModelError
        As :func:`load_graph` does.
    OutputError
        If the file cannot be written.
    """
    save_onnx(target, load_graph(source), card)


def deepness_metadata(card: ModelCard) -> dict[str, str]:
    """What the QGIS plugin Deepness reads of a segmentation model, each value as JSON.

    Source: https://qgis-plugin-deepness.readthedocs.io, "Creating models" (keys and units).
    """
    facts: Mapping[str, object] = {
        "model_type": "Segmentor",
        "class_names": dict(enumerate(card.classes)),
        "resolution": card.gsd_m * 100,  # cm/px
        "tile_size": card.tile_px,
        "tiles_size": card.tile_px,
        "tiles_overlap": round(100 * card.overlap_px / card.tile_px, 2),  # percent
        "standardization_mean": card.mean,
        "standardization_std": card.std,
        "seg_thresh": card.threshold,
        "seg_small_segment": 0,
    }
    return {key: json.dumps(value) for key, value in facts.items()}


def _points_elsewhere(content: Buffer, at: int, end: int, kind: str, path: Path) -> bool:
    """True if a message, or one within it, is a tensor whose data lie outside of the file."""
    for number, _, start, stop in _fields(content, at, end, path):
        if kind == "tensor":
            if number == _EXTERNAL:
                return True
        elif (inner := _WITHIN[kind].get(number)) is not None:
            try:
                if _points_elsewhere(content, start, stop, inner, path):
                    return True
            except RecursionError as err:
                raise _no_onnx(path) from err
    return False


def _without_metadata(content: bytes, path: Path) -> bytes:
    fields = _fields(content, 0, len(content), path)
    return b"".join(content[begin:stop] for number, begin, _, stop in fields if number != _METADATA)


def digest_graph(content: bytes, path: Path) -> str:
    """SHA-256 over everything but the metadata of a serialised model; ``path`` is for the error.

    Raises
    ------
    ModelError
        If it is no ONNX.
    """
    return hashlib.sha256(_without_metadata(content, path)).hexdigest()


def _read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a file, whose graph is skipped, not read."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:  # what cannot be mapped
                raise _no_onnx(path)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                return _metadata(content, path)
    except OSError as err:
        raise ModelError(f"cannot read the model file {path}: {err}", remedy=FETCH_AGAIN) from err


def _metadata(content: Buffer, path: Path) -> dict[str, str]:
    found = {}
    for number, _, start, stop in _fields(content, 0, len(content), path):
        if number == _METADATA:
            parts = {n: content[a:b] for n, _, a, b in _fields(content, start, stop, path)}
            try:
                found[parts.get(1, b"").decode()] = parts.get(2, b"").decode()
            except UnicodeDecodeError as err:
                raise _no_onnx(path) from err
    return found


def _entry(key: str, text: str) -> bytes:
    """A field of metadata, serialised."""
    entry = b"".join(_bytes_field(number, part.encode()) for number, part in ((1, key), (2, text)))
    return _bytes_field(_METADATA, entry)


def _bytes_field(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | _BYTES]) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _fields(content: Buffer, at: int, end: int, path: Path) -> Iterator[tuple[int, int, int, int]]:
    """Number of each field within ``[at, end)``; where it begins, and where its value begins and ends."""
    while at < end:
        begin = at
        key, at = _read_varint(content, at, path)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            start, (_, at) = at, _read_varint(content, at, path)
        elif kind == _BYTES:
            length, start = _read_varint(content, at, path)
            at = start + length
        elif kind in _FIXED:
            start, at = at, at + _FIXED[kind]
        else:
            raise _no_onnx(path)
        if number == 0 or at > end:
            raise _no_onnx(path)
        yield number, begin, start, at


def _read_varint(content: Buffer, at: int, path: Path) -> tuple[int, int]:
    """The number at ``at``, and where the next thing begins."""
    value = 0
    for shift, byte in zip(range(0, 64, 7), content[at : at + 10], strict=False):
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + shift // 7 + 1
    raise _no_onnx(path)


def _no_onnx(path: Path) -> ModelError:
    return ModelError(f"{path} is truncated, or no ONNX file", remedy=_FOREIGN)
