"""A network computed by ONNX Runtime on the CPU, one thread for each call."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InferenceError, ModelError
from cropseg_geo.model.onnx_file import INPUT, OUTPUT, load_graph, read_onnx_card

Pixels = npt.NDArray[np.float32]


@dataclass(frozen=True)
class OrtRuntime:
    """A session; safe to share between threads, each of which computes in its own.

    Law: a tile's logits are the same bits whatever else is computed, for tiles go through one by one.
    """

    session: Any  # Any: ONNX Runtime's, which has no types
    mean: Pixels
    std: Pixels
    name: str

    def predict(self, batch: Pixels) -> Pixels:
        """Scaled values (N, C, H, W) → logits (N, K, H, W), float32 both."""
        try:
            return np.concatenate([self._forward(tile) for tile in batch])
        except Exception as err:
            # Its errors have no base class of their own.
            shape = "×".join(map(str, batch.shape[2:]))
            raise InferenceError(
                f"the network failed on tiles of {shape} px: {err}",
                remedy="choose a smaller --tile or fewer --lanes, or --backend torch",
            ) from err

    def describe(self) -> str:
        """``"cpu, fp32, ONNX Runtime 1.23"``."""
        return f"cpu, fp32, {self.name}"

    def _forward(self, tile: Pixels) -> Pixels:
        values = (tile[None] - self.mean) / self.std
        return np.asarray(self.session.run([OUTPUT], {INPUT: values})[0])


def load_onnxruntime(weights: Path) -> OrtRuntime:
    """A runtime for an ONNX file.

    Raises
    ------
    ModelError
        If the file is damaged, or holds what ONNX Runtime does not know.
    """
    import onnxruntime

    card, graph = read_onnx_card(weights), load_graph(weights)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as err:
        raise ModelError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load {weights}: {err}",
            remedy="use --backend openvino or --backend torch, or export the model again",
        ) from err
    mean, std = (np.array(v, dtype=np.float32).reshape(1, -1, 1, 1) for v in (card.mean, card.std))
    version = ".".join(onnxruntime.__version__.split(".")[:2])
    return OrtRuntime(session, mean, std, f"ONNX Runtime {version}")
