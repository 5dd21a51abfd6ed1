"""The fastest setting on this machine: measured once where the user asks for it, and remembered.

Lanes and batch are compared at the model's own tile size, then tile sizes with the best of them. What counts
is new pixels a second: larger tiles overlap less, but need more of a core's cache. A lane is one thread. What
was found is kept in the user's cache, for this model, library and machine.

Our own way; no published method.
"""

from __future__ import annotations

import hashlib
import json
import platform
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from cropseg_geo.engine.graph import is_out_of_memory, no_room_for_a_tile
from cropseg_geo.engine.plan import TILES_PER_BLOCK_SIDE, make_plan
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InferenceError, OutputError, ResourceError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Window
from cropseg_geo.machine import free_memory_bytes, usable_cores
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.predictor import FilePredictor, Predictor
from cropseg_geo.paths import replace_file

STAGE = "tune"

GPU_BATCH = 8
"""Tiles a GPU sees at once where nothing was measured."""

LEAST_GAIN = 1.05
"""A setting has to be this much faster than the usual one: less is noise."""

LEAST_TILES = 4
"""Tiles of another size than the model's own are used from so many along each side of the extent: at the rim
of a small raster a large tile is mostly context."""

_TRIES, _TRY_S = 2, 0.7
_TILE_FACTORS = (1.5, 2.0)
_BATCHES = (1, 4, 16, 32)
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class Setting:
    """How tiles go through a network: side (px), threads that infer, tiles at once; new pixels a second."""

    tile_px: int
    lanes: int
    batch_size: int
    pixels_s: float = 0.0

    def __str__(self) -> str:
        at_once = f", {self.batch_size} at once" if self.batch_size > 1 else ""
        return f"tiles of {self.tile_px} px{at_once}, {self.lanes} lane(s)"


@dataclass(frozen=True)
class Tuned:
    """The best setting and the usual one, as they were measured."""

    best: Setting
    usual: Setting

    def __str__(self) -> str:
        gain = self.best.pixels_s / self.usual.pixels_s
        return f"{self.best}: {self.best.pixels_s / 1e6:.2f} MP/s, {gain:.2f} × the usual ({self.usual})"


def tune(predictor: FilePredictor, listener: Listener = ignore) -> Tuned:
    """Measure the settings that this machine's memory holds, and remember the best for later runs.

    Raises
    ------
    InferenceError, ModelError
        If the network fails.
    ResourceError
        If the memory does not hold one tile.
    OutputError
        If the user's cache cannot be written; before anything is measured where that is seen.
    """
    _require_writable(_place(predictor).parent)
    card, on_cpu = predictor.card, predictor.device_type == "cpu"
    usual = usual_setting(card, on_cpu=on_cpu)
    others = list(_shared_out(usual, on_cpu))
    listener(StageStarted(STAGE, 1 + len(others) + len(_TILE_FACTORS), "setting"))
    best = usual = _as_much_as_fits(predictor, usual)
    listener(StageAdvanced(STAGE, 1))
    for setting in others:
        best = _faster(best, predictor, setting, listener)
    for factor in _TILE_FACTORS:
        side = round(card.tile_px * factor) // card.stride_px * card.stride_px
        best = _faster(best, predictor, replace(best, tile_px=side), listener)
    listener(StageFinished(STAGE))
    tuned = Tuned(best if best.pixels_s >= LEAST_GAIN * usual.pixels_s else usual, usual)
    _remember(predictor, tuned)
    return tuned


def remembered(predictor: FilePredictor) -> Tuned | None:
    """What was measured for such a predictor on this machine; None where nobody asked, or it is damaged."""
    try:
        said = json.loads(_place(predictor).read_text(encoding="utf-8"))
        return Tuned(*(_read_setting(said[name], predictor.card) for name in ("best", "usual")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def usual_setting(card: ModelCard, *, on_cpu: bool) -> Setting:
    """What is used where nothing was measured."""
    return Setting(card.tile_px, Workers().lane_count, 1 if on_cpu else GPU_BATCH)


def fits_extent(setting: Setting, extent: Window) -> bool:
    """True where an extent holds enough tiles of that size."""
    return min(extent.shape) >= LEAST_TILES * setting.tile_px


def _shared_out(usual: Setting, on_cpu: bool) -> Iterator[Setting]:
    """Other ways to keep the processor busy, at the usual tile size."""
    if not on_cpu:
        yield from (replace(usual, batch_size=n) for n in _BATCHES)
        return
    cores = usable_cores()
    for lanes in sorted({cores, -(-cores // 2), -(-cores // 4)} - {usual.lanes}):
        yield replace(usual, lanes=lanes)


def _as_much_as_fits(predictor: Predictor, setting: Setting) -> Setting:
    """The setting, measured; with fewer tiles at once, then fewer lanes, where the memory asks for that."""
    while True:
        try:
            return _measured(predictor, setting)
        except ResourceError:
            if setting.batch_size > 1:
                setting = replace(setting, batch_size=setting.batch_size // 2)
            elif setting.lanes > 1:
                setting = replace(setting, lanes=setting.lanes // 2)
            else:
                raise


def _faster(best: Setting, predictor: Predictor, setting: Setting, listener: Listener) -> Setting:
    if _fits_memory(setting, predictor.card):
        with suppress(ResourceError):  # a GPU has memory of its own, and may hold less than this machine
            best = max(best, _measured(predictor, setting), key=lambda measured: measured.pixels_s)
    listener(StageAdvanced(STAGE, 1))
    return best


def _fits_memory(setting: Setting, card: ModelCard) -> bool:
    side = setting.tile_px * TILES_PER_BLOCK_SIDE
    plan = make_plan(
        shape=(side, side),
        extent=Window(0, 0, side, side),
        tile_px=setting.tile_px,
        overlap_px=card.overlap_px,
        channels=card.channels,
        identity={},
        tiles_per_side=TILES_PER_BLOCK_SIDE,
    )
    needed = plan.memory_bytes(
        lanes=setting.lanes,
        batch_size=setting.batch_size,
        at_once=setting.batch_size,  # a GPU is not asked for its memory: it is taken for as large
        bytes_per_pixel=len(card.bands),
    )
    return needed < _MEMORY_SHARE * free_memory_bytes()


def _measured(predictor: Predictor, setting: Setting) -> Setting:
    """The setting with its rate: the best of a few tries. Raises ResourceError if the memory is too small."""
    card = predictor.card
    shape = (setting.batch_size, len(card.bands), setting.tile_px, setting.tile_px)
    batch = np.random.default_rng(0).random(shape, dtype=np.float32)
    try:
        rates = [_batches_per_second(predictor, batch, setting.lanes) for _ in range(_TRIES + 1)]
    except (MemoryError, InferenceError) as err:
        if not is_out_of_memory(err):
            raise
        raise no_room_for_a_tile(setting.tile_px, err) from err
    new_px = setting.batch_size * (setting.tile_px - card.overlap_px) ** 2
    return replace(setting, pixels_s=max(rates[1:]) * new_px)  # the first try makes the network ready


def _batches_per_second(predictor: Predictor, batch: npt.NDArray[np.float32], lanes: int) -> float:
    start = time.perf_counter()

    def work(_lane: int) -> int:
        count = 0
        while not count or time.perf_counter() < start + _TRY_S:
            predictor.predict(batch)
            count += 1
        return count

    with ThreadPoolExecutor(lanes, thread_name_prefix="cropseg-tune") as pool:
        total = sum(pool.map(work, range(lanes)))
    return total / (time.perf_counter() - start)


def _remember(predictor: FilePredictor, tuned: Tuned) -> None:
    text = json.dumps({"best": asdict(tuned.best), "usual": asdict(tuned.usual)}, indent=2)
    replace_file(_place(predictor), text.encode())


def _require_writable(folder: Path) -> None:
    """Raise OutputError where the folder, made if need be, takes no file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as err:
        raise OutputError(
            f"{folder}: what is measured cannot be kept ({err})",
            remedy="make the folder writable, or set XDG_CACHE_HOME to another one",
        ) from err


def _place(predictor: FilePredictor) -> Path:
    """The file for a model, what computes it, and this machine."""
    machine = (platform.node(), platform.machine(), usable_cores())
    facts = [predictor.card.digest, sorted(predictor.identity.items()), *machine]
    key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]
    return user_cache_path("cropseg-geo") / "tuning" / f"{key}.json"


def _read_setting(said: dict[str, object], card: ModelCard) -> Setting:
    """Raises ValueError, TypeError or KeyError for anything that no run could use."""
    values = {field.name: said[field.name] for field in fields(Setting)}
    counts = [values[name] for name in ("tile_px", "lanes", "batch_size")]
    rate = values["pixels_s"]
    sane = all(isinstance(n, int) and 0 < n <= 1 << 16 for n in counts)
    if not sane or not isinstance(rate, float) or not rate > 0 or counts[0] % card.stride_px:  # type: ignore[operator]
        raise ValueError(said)
    return Setting(**values)  # type: ignore[arg-type]
