"""The weights file: safetensors, with the model card in its header. Reading the card needs no torch.

A model may have a second form, ONNX (:mod:`cropseg_geo.model.onnx_file`), with the same card.

Layout of a safetensors file: 8 bytes, little-endian length of the header; the header, JSON: tensor name →
{dtype, shape, data_offsets}, and ``__metadata__``; the tensors' bytes, without gaps.
Source: https://github.com/huggingface/safetensors (format section).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropseg_geo.errors import ModelError
from cropseg_geo.model import onnx_file
from cropseg_geo.model.card import CARD_KEY, ModelCard
from cropseg_geo.model.files import FETCH_AGAIN
from cropseg_geo.paths import replace_file

if TYPE_CHECKING:
    from torch import Tensor

_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 10_000_000
"""Headers have some tens of kilobytes; JSON of hundreds of megabytes would fill the memory."""


@dataclass(frozen=True)
class _Header:
    """The header of a safetensors file: tensor entries, metadata, and where the tensors' bytes begin."""

    tensors: dict[str, Any]  # Any: the format's own JSON, read in digest_tensors
    metadata: dict[str, str]
    data_start: int

    @property
    def data_size(self) -> int:
        return max((entry["data_offsets"][1] for entry in self.tensors.values()), default=0)


def save_weights(path: Path, state: Mapping[str, Tensor], card: ModelCard) -> ModelCard:
    """Write tensors and card as one file; the file appears under its name only when it is complete.

    Parameters
    ----------
    path
        The file to write or to replace.
    state
        Tensors by name; stored in the type they have (half precision halves the file).
    card
        The model's card; its ``weights_digest`` is replaced by the digest of ``state``.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    written = replace(card, weights_digest=digest_tensors(save(tensors)))
    blob = save(tensors, metadata={CARD_KEY: written.to_json()})
    replace_file(path, blob)
    return written


def read_card(path: Path) -> ModelCard:
    """The card of a model file, safetensors or ONNX; neither torch nor the tensors are read.

    Raises
    ------
    ModelError
        If the file is missing, truncated, neither of these, or carries no valid card.
    """
    if path.suffix.lower() == onnx_file.SUFFIX:
        return onnx_file.read_onnx_card(path)
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            head = length.to_bytes(_LENGTH_BYTES, "little") + file.read(min(length, _MAX_HEADER_BYTES))
        size = path.stat().st_size
    except OSError as err:
        raise ModelError(f"cannot read the model file {path}: {err}", remedy=FETCH_AGAIN) from err
    header = _parse_header(head, size, path=path)
    if CARD_KEY not in header.metadata:
        raise ModelError(
            f"{path} holds weights but no model card (no {CARD_KEY!r} in its header)",
            remedy="export the model with 'python -m training export', which writes the card",
        )
    return ModelCard.from_json(header.metadata[CARD_KEY])


def verify(path: Path) -> ModelCard:
    """The card of a model file whose tensors, or graph, have the digest that it states. Raises ModelError."""
    card = read_card(path)
    if path.suffix.lower() == onnx_file.SUFFIX:
        onnx_file.load_graph(path)
    else:
        _verified(path, card)
    return card


def _verified(path: Path, card: ModelCard) -> bytes:
    """The file's bytes, after the digest of its tensors was compared with the card's."""
    try:
        blob = path.read_bytes()
    except OSError as err:
        raise ModelError(f"cannot read the model file {path}: {err}", remedy=FETCH_AGAIN) from err
    found = digest_tensors(blob)
    if found != card.weights_digest:
        raise ModelError(
            f"damaged weights in {path}: digest mismatch, found {found[:12]}…, "
            f"the card of {card.name!r} says {card.weights_digest[:12]}…",
            remedy=FETCH_AGAIN,
        )
    return blob


def load_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a weights file, after their digest was compared with the card's.

    Raises
    ------
    ModelError
        As :func:`read_card`; and if the tensors are not the ones that the card was written with.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return dict(load(_verified(path, read_card(path))))
    except SafetensorError as err:
        raise ModelError(f"damaged weights in {path}: {err}", remedy=FETCH_AGAIN) from err


def digest_tensors(blob: bytes) -> str:
    """SHA-256 over name, dtype, shape and bytes of every tensor, sorted by name; metadata is left out.

    Parameters
    ----------
    blob
        A whole safetensors file.

    Raises
    ------
    ModelError
        If it is truncated or something else.
    """
    header = _parse_header(blob, len(blob), path=None)
    digest = hashlib.sha256()
    for name in sorted(header.tensors):
        entry = header.tensors[name]
        begin, end = (header.data_start + offset for offset in entry["data_offsets"])
        digest.update(json.dumps([name, entry["dtype"], entry["shape"]]).encode())
        digest.update(memoryview(blob)[begin:end])
    return digest.hexdigest()


def _parse_header(head: bytes, size: int, *, path: Path | None) -> _Header:
    """The header in the first bytes of a file of ``size`` bytes."""
    name = str(path) if path is not None else "the model file"
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    foreign = ModelError(f"{name} is no safetensors file", remedy="give a .safetensors model of CropSeg-Geo")
    if size < _LENGTH_BYTES or not 2 <= length <= _MAX_HEADER_BYTES or head[_LENGTH_BYTES:][:1] != b"{":
        raise foreign
    if _LENGTH_BYTES + length > size:
        raise ModelError(f"{name} is truncated within its header", remedy=FETCH_AGAIN)
    try:
        document = json.loads(head[_LENGTH_BYTES : _LENGTH_BYTES + length])
        metadata = document.pop("__metadata__", {})
    except (ValueError, AttributeError, RecursionError) as err:
        raise foreign from err
    texts = metadata.values() if isinstance(metadata, dict) else (None,)
    if not all(isinstance(text, str) for text in texts) or not all(map(_is_tensor, document.values())):
        raise foreign
    header = _Header(document, metadata, _LENGTH_BYTES + length)
    expected = header.data_start + header.data_size
    if size != expected:
        raise ModelError(
            f"damaged weights: {name} has {size} bytes, its header announces {expected}", remedy=FETCH_AGAIN
        )
    return header


def _is_tensor(entry: Any) -> bool:  # Any: a value of the header's JSON
    """True for ``{"dtype": text, "shape": [n, …], "data_offsets": [begin, end]}``."""
    if not isinstance(entry, dict) or not isinstance(entry.get("dtype"), str):
        return False
    shape, offsets = entry.get("shape"), entry.get("data_offsets")
    if not isinstance(shape, list) or not isinstance(offsets, list) or len(offsets) != 2:
        return False
    if not all(type(n) is int and n >= 0 for n in (*shape, *offsets)):
        return False
    return bool(offsets[0] <= offsets[1])
