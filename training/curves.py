"""The curves of a run as a picture: loss, and mIoU on held-out pictures, over the steps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from cropseg_geo.paths import replace_file

_WIDTH, _HEIGHT, _RIM = 760, 300, 48
_LOSS, _MIOU, _INK = "#b5651d", "#2e8b57", "#555"

Points = Sequence[tuple[float, float]]


def draw_curves(log: Path, target: Path) -> None:
    """Read a run's ``log.jsonl`` (lines with step, loss, now and then miou) and write an SVG picture."""
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    loss = [(entry["step"], entry["loss"]) for entry in entries]
    miou = [(entry["step"], entry["miou"]) for entry in entries if "miou" in entry]
    steps = max(step for step, _ in loss)
    top = max(value for _, value in loss)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        *(_gridline(k / 4, f"{top * k / 4:.2f}", f"{0.5 + k / 8:.2f}") for k in range(5)),
        _line(loss, steps, 0.0, top, _LOSS),
        _line(miou, steps, 0.5, 1.0, _MIOU),
        _text(_RIM, 18, f"loss {loss[-1][1]:.3f}", _LOSS, "start"),
        _text(_WIDTH - _RIM, 18, f"held-out mIoU {miou[-1][1]:.3f}" if miou else "", _MIOU, "end"),
        _text(_WIDTH / 2, _HEIGHT - 10, f"{steps} steps", _INK, "middle"),
        "</svg>",
    ]
    replace_file(target, ("\n".join(parts) + "\n").encode())


def _place(x: float, y: float) -> tuple[float, float]:
    """Parts of the axes (0–1 right, 0–1 up) → picture coordinates."""
    return _RIM + x * (_WIDTH - 2 * _RIM), _HEIGHT - _RIM + 10 - y * (_HEIGHT - 2 * _RIM)


def _line(points: Points, steps: float, low: float, high: float, colour: str) -> str:
    places = [
        _place(step / steps, min(1.0, max(0.0, (value - low) / ((high - low) or 1.0))))
        for step, value in points
    ]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'


def _gridline(y: float, left: str, right: str) -> str:
    (x0, row), (x1, _) = _place(0.0, y), _place(1.0, y)
    rule = f'<line x1="{x0}" y1="{row:.1f}" x2="{x1}" y2="{row:.1f}" stroke="#ddd"/>'
    return rule + _text(x0 - 6, row + 4, left, _LOSS, "end") + _text(x1 + 6, row + 4, right, _MIOU, "start")


def _text(x: float, y: float, words: str, colour: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}">{words}</text>'
