"""Networks made ready before they are needed, for the tiles and lanes that a run will probably have."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from cropseg_geo.engine.tuning import remembered, usual_setting
from cropseg_geo.errors import CropsegError
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.predictor import FilePredictor, OnnxPredictor, warm_up
from cropseg_geo.model.zoo import is_address


def warm_up_lanes(predictor: FilePredictor, *, tile_px: int | None, lanes: int | None) -> None:
    """Make a network ready, beside whatever goes on; what was not asked for is as it was measured here.

    Small extents have smaller tiles than were measured: then the work is for nothing, and harms nothing.
    """
    tuned = remembered(predictor)
    likely = tuned.best if tuned else usual_setting(predictor.card, on_cpu=True)
    # Torch makes one network ready for all calls.
    calls = lanes or likely.lanes if isinstance(predictor, OnnxPredictor) else 1
    warm_up(predictor, tile_px or likely.tile_px, lanes=calls)


def warm_up_early(
    model: str | Path, *, lanes: int | None, tile_px: int | None, backend: str, device: str, precision: str
) -> None:
    """The same by what a user asked for, while the rest of the program is still being loaded.

    Only networks that need no torch: two threads that load large libraries wait for each other. What is wrong
    with the choice is said later, when the run is decided.
    """
    if is_address(model):
        return
    with suppress(CropsegError):
        predictor = choose_predictor(model, backend=backend, device=device, precision=precision)
        if isinstance(predictor, OnnxPredictor):
            warm_up_lanes(predictor, tile_px=tile_px, lanes=lanes)
