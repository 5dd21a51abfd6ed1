"""What people left in the field: a stake at each plot and chequered ground control targets."""

from __future__ import annotations

import numpy as np

from cropseg_geo.grid import Window
from sample_tiles.field import PLOT_LENGTH, PLOT_WIDTH, Field
from sample_tiles.light import SHADOW_STEP
from sample_tiles.noise import Floats

_TARGET = 44  # px, side of a control target
_STAKE = 3
_STAKE_HEIGHT = 18


def target_centres(field: Field) -> list[tuple[int, int]]:
    """Row and column of the control targets: near the corners and beside the middle."""
    u, v = field.footprint[0] / 2 - 115, field.footprint[1] / 2 - 115
    places = [(-u, -v), (u, -v), (u, v), (-u, v), (0.0, 0.0)]
    return [(int(row), int(col)) for row, col in (field.to_raster(*place) for place in places)]


def draw_marks(field: Field, window: Window, ground: Floats) -> None:
    """Draw stakes and targets that meet ``window`` into ``ground`` (height, width, 3)."""
    for row, col in target_centres(field):
        _draw_target(ground, row - window.row, col - window.col)
    for plot in field.plots_near(window):
        u, v = plot.u - PLOT_WIDTH / 2 - 12, plot.v - PLOT_LENGTH / 2 - 12
        row, col = field.to_raster(u, v)
        _draw_stake(ground, int(row) - window.row, int(col) - window.col)


def _draw_target(ground: Floats, row: int, col: int) -> None:
    half = _TARGET // 2
    for quarter in range(4):
        down, right = divmod(quarter, 2)
        tone = (228.0, 228.0, 222.0) if down == right else (38.0, 38.0, 42.0)
        _fill(ground, Window(row + (down - 1) * half, col + (right - 1) * half, half, half), tone)


def _draw_stake(ground: Floats, row: int, col: int) -> None:
    for k in range(_STAKE_HEIGHT):
        x, y = SHADOW_STEP * k
        _fill(ground, Window(row + round(y), col + round(x), 2, 2), (74.0, 68.0, 66.0))
    _fill(ground, Window(row - 1, col - 1, _STAKE + 1, _STAKE), (240.0, 238.0, 228.0))


def _fill(ground: Floats, place: Window, tone: tuple[float, ...]) -> None:
    part = place & Window(0, 0, *ground.shape[:2])
    ground[part.slices] = np.array(tone, dtype=np.float32)
