"""A network computed by OpenVINO on the CPU, one thread for each call."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InferenceError
from cropseg_geo.model.onnx_file import load_graph, read_onnx_card

Pixels = npt.NDArray[np.float32]
Shape = tuple[int, int]

_PRECISIONS = {"fp32": "f32", "bf16": "bf16"}
"""OpenVINO's names of ours."""

_OPTIONS = {
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    # Else all networks of a process are bound to the same core, and lanes wait for each other.
    "ENABLE_CPU_PINNING": False,
}

_first_call = threading.Lock()
_called = threading.Event()


def import_openvino() -> Any:  # Any: a library without types
    """OpenVINO without its converter.

    Importing the converter takes half of the time that OpenVINO takes, and tells its maker over the network
    that it was imported. Python refuses an import whose place in ``sys.modules`` is None, and OpenVINO does
    without.
    """
    converter = "openvino.tools.ovc"
    if "openvino" in sys.modules or converter in sys.modules:
        import openvino

        return openvino
    sys.modules[converter] = None  # type: ignore[assignment]
    try:
        import openvino
    finally:
        del sys.modules[converter]
    return openvino


@cache
def computes_bf16() -> bool:
    """True where the processor multiplies in bf16 by itself (AVX-512 BF16, AMX)."""
    return "BF16" in import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


@dataclass(frozen=True)
class OpenvinoRuntime:
    """A graph, compiled once for each shape of tile and each call at a time; safe to share between threads.

    Law: a tile's logits are the same bits whatever else is computed, before it or beside it. Each compiled
    network computes one tile, with one thread, and all of a shape are compiled alike. In bf16 the layers
    after the last convolution stay in fp32: pixel shuffle, colour index and temperature.
    """

    graph: bytes
    mean: Pixels
    std: Pixels
    name: str
    precision: str = "fp32"
    _idle: dict[Shape, list[Any]] = field(default_factory=dict, repr=False)  # Any: OpenVINO's requests
    _compiled: dict[Shape, bytes] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def predict(self, batch: Pixels) -> Pixels:
        """Scaled values (N, C, H, W) → logits (N, K, H, W), float32 both."""
        shape: Shape = (batch.shape[2], batch.shape[3])
        try:
            with _first_alone(), self._request(shape) as request:
                return np.concatenate([self._forward(request, tile) for tile in batch])
        except RuntimeError as err:
            raise InferenceError(
                f"the network failed on tiles of {shape[0]}×{shape[1]} px: {err}",
                remedy="choose a smaller --tile or fewer --lanes, or --backend torch",
            ) from err

    def describe(self) -> str:
        """``"cpu, bf16, OpenVINO 2026.4"``."""
        return f"cpu, {self.precision}, {self.name}"

    def _forward(self, request: Any, tile: Pixels) -> Pixels:
        values = (tile[None] - self.mean) / self.std
        # A copy: the request overwrites its output when it computes the next tile.
        return np.array(request.infer([values], share_inputs=True, share_outputs=True)[0])

    @contextmanager
    def _request(self, shape: Shape) -> Iterator[Any]:
        """A request that no other thread uses; there come to be as many as calls at a time."""
        with self._lock:
            idle = self._idle.setdefault(shape, [])
            request = idle.pop() if idle else None
        if request is None:
            request = self._compile(shape)
        yield request
        # Not after a failure: that request may not be whole.
        with self._lock:
            idle.append(request)

    def _compile(self, shape: Shape) -> Any:
        """A request of a network of its own: compiled once for a shape, then copied, which is faster."""
        core = import_openvino().Core()
        options = _OPTIONS | {"INFERENCE_PRECISION_HINT": _PRECISIONS[self.precision]}
        with self._lock:
            compiled = self._compiled.get(shape)
        if compiled is not None:
            return core.import_model(BytesIO(compiled), "CPU", options).create_infer_request()
        model = core.read_model(self.graph)
        model.reshape([1, len(self.mean[0]), *shape])
        network = core.compile_model(model, "CPU", options)
        with self._lock:
            self._compiled[shape] = network.export_model().getvalue()
        return network.create_infer_request()


@contextmanager
def _first_alone() -> Iterator[None]:
    """The first call of a process is made alone; the others wait for it.

    OpenVINO's bindings set up their view of NumPy within the first call. When two threads are in it, one
    waits for the other's set-up and keeps the interpreter's lock, which the other needs: both wait forever.
    """
    if not _called.is_set():
        with _first_call:
            if not _called.is_set():
                yield
                _called.set()
                return
    yield


def load_openvino(weights: Path, *, precision: str = "fp32") -> OpenvinoRuntime:
    """A runtime for an ONNX file, in ``fp32`` or, where :func:`computes_bf16`, in ``bf16``.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    card, openvino = read_onnx_card(weights), import_openvino()
    return OpenvinoRuntime(
        graph=load_graph(weights),
        mean=_per_band(card.mean),
        std=_per_band(card.std),
        name=f"OpenVINO {'.'.join(openvino.__version__.split('.')[:2])}",
        precision=precision,
    )


def _per_band(values: tuple[float, ...]) -> Pixels:
    return np.array(values, dtype=np.float32).reshape(1, -1, 1, 1)
