"""A network of one's own as a model file: its ONNX graph and a card, tried before it is kept."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from cropseg_geo.errors import InferenceError, ModelError
from cropseg_geo.model.backends import load_onnx_runtime, usable_without_torch
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.onnx_file import INPUT, OUTPUT, SUFFIX, digest_graph, require_whole, save_onnx

_ENDS = f"export it with the input {INPUT!r}, (N, bands, tile, tile), and the output {OUTPUT!r}, all float32"


def save_model(path: str | PathLike[str], graph: str | PathLike[str] | bytes, card: ModelCard) -> ModelCard:
    """Make a model file, for :func:`segment`, :func:`predict` and ``--model``, of an ONNX graph.

    Parameters
    ----------
    path
        The ``.onnx`` file to write or to replace.
    graph
        The ``.onnx`` file that was exported, or its bytes. Its input, called ``images``, takes standardised
        values (N, C, H, W) float32: those of 0–1, minus the card's ``mean``, divided by its ``std``. Its
        output, called ``logits``, is (N, K, H, W) float32, of which softmax over K makes probabilities. N may
        be fixed to 1, H and W to the card's ``tile_px``.
    card
        What has to be known of the network; its ``weights_digest`` is replaced by the digest of the graph.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    ModelError
        If a tile of noise cannot be computed with the graph, or the answer does not fit the card.
    OutputError
        If the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != SUFFIX:
        raise ModelError(f"{path} is to hold an ONNX model", remedy=f"give it a name that ends in {SUFFIX}")
    source = Path("the graph") if isinstance(graph, bytes) else Path(graph)
    content = graph if isinstance(graph, bytes) else _content(source)
    require_whole(content, source)
    card = replace(card, weights_digest=digest_graph(content, source))
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / f"trial{SUFFIX}"
        save_onnx(trial, content, card)
        _try(trial, card)
    save_onnx(path, content, card)
    return card


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise ModelError(
            f"cannot read the graph {path}: {err}", remedy="give the .onnx file that was exported"
        ) from err


def _try(model: Path, card: ModelCard) -> None:
    """Compute a tile with each backend that is there: one of them may be all that another machine has."""
    tile = np.random.default_rng(0).random((1, len(card.bands), card.tile_px, card.tile_px), np.float32)
    expected = (1, len(card.classes), card.tile_px, card.tile_px)
    for backend in usable_without_torch():
        runtime = load_onnx_runtime(model, backend=backend)
        try:
            logits = runtime.predict(tile)
        except InferenceError as err:
            raise ModelError(f"the graph does not compute a tile: {err.message}", remedy=_ENDS) from err
        if logits.shape != expected or logits.dtype != np.float32 or not np.isfinite(logits).all():
            raise ModelError(
                f"the graph makes {logits.dtype} {logits.shape} of the tile {tile.shape}; finite float32 "
                f"{expected} is expected, a channel for each class of the card",
                remedy=_ENDS,
            )
