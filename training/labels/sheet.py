"""The contact sheet: one HTML file to accept and reject labels in, and the decisions read back."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from cropseg_geo.errors import InputError
from training.labels.clean import UNKNOWN, VEGETATION, Label
from training.labels.colour import Pixels
from training.labels.height import Heights
from training.labels.screen import Verdict

Decision = Literal["accepted", "rejected"]

FORMAT = "cropseg-label-decisions/1"
THUMBNAIL_PX = 240

_TEMPLATE = Path(__file__).with_name("sheet.html")
# Ink to straw, of even lightness steps, so that height reads without a legend.
_RAMP = np.array([(22, 26, 58), (34, 74, 110), (42, 128, 120), (122, 178, 92), (244, 222, 120)], np.float64)
_VEGETATION_TINT = np.array([255, 45, 160], np.float64)
_UNKNOWN_TINT = np.array([255, 190, 40], np.float64)


@dataclass(frozen=True)
class Card:
    """One tile on the sheet: its id, its verdict, two figures, and its strip of three pictures as JPEG."""

    id: str
    verdict: Verdict
    cover: float
    unknown: float
    strip: bytes


def draw_strip(image: Pixels, height: Heights, label: Label) -> bytes:
    """Picture, shaded height and label side by side, as JPEG of 3 × 240 px by at most 240 px.

    Parameters
    ----------
    image
        RGB (H, W, 3) uint8.
    height
        (H, W) above ground, any unit.
    label
        (H, W) uint8 of 0, 1 and 255.
    """
    step = max(image.shape[:2]) / THUMBNAIL_PX
    shape = tuple(max(1, round(side / step)) for side in image.shape[:2])
    panels = [_resized(panel, shape) for panel in (image, shade_height(height), overlay_label(image, label))]
    strip = np.full((shape[0], 3 * THUMBNAIL_PX, 3), 24, np.uint8)
    for i, panel in enumerate(panels):
        strip[:, i * THUMBNAIL_PX : i * THUMBNAIL_PX + shape[1]] = panel
    return _jpeg(strip)


def draw_pairs(pairs: Sequence[tuple[Pixels, Label]], *, columns: int = 3) -> bytes:
    """Pictures, each beside itself with its label, as JPEG; so many of these couples in a row.

    Parameters
    ----------
    pairs
        RGB (H, W, 3) uint8 and label (H, W) uint8 of 0, 1 and 255, of any sizes.
    """
    cells = []
    for image, label in pairs:
        step = max(label.shape) / THUMBNAIL_PX
        shape = tuple(max(1, round(side / step)) for side in label.shape)
        cell = np.full((THUMBNAIL_PX, 2 * THUMBNAIL_PX, 3), 24, np.uint8)
        for i, panel in enumerate((image, overlay_label(image, label))):
            cell[: shape[0], i * THUMBNAIL_PX : i * THUMBNAIL_PX + shape[1]] = _resized(panel, shape)
        cells.append(cell)
    cells += [np.full_like(cells[0], 24)] * (-len(cells) % columns)
    rows = [np.concatenate(cells[k : k + columns], axis=1) for k in range(0, len(cells), columns)]
    return _jpeg(np.concatenate(rows))


def shade_height(height: Heights) -> Pixels:
    """Heights as colours lit from the upper left; grey where unknown."""
    known = np.isfinite(height)
    if not known.any():
        return np.full((*height.shape, 3), 60, np.uint8)
    low, high = np.percentile(height[known], [2, 99])
    unit = np.clip((np.where(known, height, low) - low) / max(float(high - low), 1e-9), 0.0, 1.0)
    place = unit * (len(_RAMP) - 1)
    colours = np.stack([np.interp(place, np.arange(len(_RAMP)), _RAMP[:, k]) for k in range(3)], axis=-1)
    rows, cols = np.gradient(ndimage.gaussian_filter(unit, 1.0))
    light = np.clip(1.0 + 3.0 * (rows + cols), 0.6, 1.35)
    shaded = np.where(known[..., None], colours * light[..., None], 60.0)
    return np.clip(shaded, 0, 255).astype(np.uint8)


def overlay_label(image: Pixels, label: Label) -> Pixels:
    """Vegetation outlined and tinted, unknown in amber, background as it is, a little darker."""
    plant, is_open = label == VEGETATION, label == UNKNOWN
    shown = image.astype(np.float64) * 0.75
    shown[plant] = 0.6 * image[plant] + 0.4 * _VEGETATION_TINT
    shown[is_open] = 0.45 * image[is_open] + 0.55 * _UNKNOWN_TINT
    outline = plant & ~ndimage.binary_erosion(
        plant, iterations=max(1, max(label.shape) // 400), border_value=1
    )
    shown[outline] = _VEGETATION_TINT
    return np.clip(shown, 0, 255).astype(np.uint8)


def make_sheet(title: str, cards: Sequence[Card], decisions: Mapping[str, Decision] | None = None) -> str:
    """The contact sheet as HTML: no network, no other file; ``decisions`` made before are shown as such."""
    tiles = [
        {
            "id": card.id,
            "score": round(card.verdict.score, 3),
            "kept": card.verdict.kept,
            "reasons": list(card.verdict.reasons),
            "cover": round(card.cover, 4),
            "unknown": round(card.unknown, 4),
            "strip": base64.b64encode(card.strip).decode("ascii"),
        }
        for card in cards
    ]
    data = {"format": FORMAT, "title": title, "tiles": tiles, "decisions": dict(decisions or {})}
    # "</script>" inside a string would end the script.
    text = json.dumps(data, ensure_ascii=False).replace("</", "<\\/")
    page = _TEMPLATE.read_text(encoding="utf-8")
    return page.replace("{{title}}", html.escape(title)).replace("{{data}}", text)


def read_decisions(path: Path) -> dict[str, Decision]:
    """Decisions that the contact sheet saved: id → accepted or rejected.

    Raises
    ------
    InputError
        If the file is not one of the sheet's.
    """
    remedy = "give the file that the contact sheet's Download button wrote"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise InputError(f"{path}: cannot be read as decisions ({err})", remedy=remedy) from err
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InputError(f"{path}: is not a {FORMAT} file", remedy=remedy)
    decisions = document.get("decisions")
    if not isinstance(decisions, dict):
        raise InputError(f"{path}: has no decisions", remedy=remedy)
    found: dict[str, Decision] = {}
    for tile, decision in decisions.items():
        if decision not in ("accepted", "rejected"):
            raise InputError(f"{path}: {tile} is {decision!r}; expected accepted or rejected", remedy=remedy)
        found[tile] = decision
    return found


def _jpeg(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=82)
    return file.getvalue()


def _resized(panel: Pixels, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(panel).resize((shape[1], shape[0]), Image.Resampling.BOX))
