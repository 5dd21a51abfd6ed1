"""Find the fastest setting for a model on this machine."""

from __future__ import annotations

from pathlib import Path

from cropseg_geo.engine import tuning
from cropseg_geo.engine.tuning import Tuned
from cropseg_geo.events import Listener, Noted, warn
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.zoo import DEFAULT_MODEL
from cropseg_geo.options import Options
from cropseg_geo.preflight import with_local_model


def tune(
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    listener: Listener | None = None,
) -> Tuned:
    """Measure lanes, tiles at once and tile size for a model, and remember the best for later runs.

    Later runs with this model on this machine use it wherever they are not told otherwise; tiles of another
    size than the model's own change masks slightly, and are used on large rasters only.

    Parameters
    ----------
    model, backend, device, precision
        See :class:`cropseg_geo.options.Options`.
    listener
        Called with progress events, and with what was found.

    Raises
    ------
    CropsegError
        If the model cannot be used, or the user's cache cannot be written.
    """
    listener = listener or warn
    local = with_local_model(Options(model=model), listener).model
    predictor = choose_predictor(local, backend=backend, device=device, precision=precision)
    tuned = tuning.tune(predictor, listener)
    listener(Noted(f"tuned: {tuned}"))
    return tuned
