"""A page to draw on: lengths in millimetres on paper, text in points, one typeface."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from cropseg_geo.report.page import ASSETS

PAGE_MM = (297.0, 210.0)
DPI = 300
INK, GREY, RULE = "#18221c", "#525d55", "#d9d7cd"

Colour = str | tuple[int, int, int]


def px(mm: float) -> int:
    """Millimetres on paper → dots."""
    return round(mm * DPI / 25.4)


def mm(dots: float) -> float:
    """Dots → millimetres on paper."""
    return dots * 25.4 / DPI


@dataclass(frozen=True, eq=False)
class Paper:
    """A page to draw on, in millimetres from its upper left corner."""

    image: Image.Image
    draw: ImageDraw.ImageDraw

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float,
        colour: Colour = INK,
        bold: bool = False,
        anchor: str = "ls",
    ) -> float:
        """Text of ``size`` points with its baseline at ``y``; returns its width (mm)."""
        face = font(size, bold=bold)
        self.draw.text((px(x), px(y)), text, fill=colour, font=face, anchor=anchor)
        return mm(face.getlength(text))

    def paragraph(
        self, x: float, y: float, text: str, *, width: float, size: float, colour: Colour = GREY
    ) -> float:
        """Text broken into lines of at most ``width``; returns where the next line would be."""
        for line in broken_lines(text, width=width, size=size):
            self.text(x, y, line, size=size, colour=colour)
            y += size * 0.352778 * 1.4
        return y

    def line(
        self, x0: float, y0: float, x1: float, y1: float, colour: Colour = RULE, width: float = 0.2
    ) -> None:
        self.draw.line((px(x0), px(y0), px(x1), px(y1)), fill=colour, width=max(1, px(width)))

    def box(
        self, x: float, y: float, width: float, height: float, fill: Colour, edge: Colour | None = None
    ) -> None:
        self.draw.rectangle((px(x), px(y), px(x + width), px(y + height)), fill=fill, outline=edge)


@lru_cache(maxsize=32)
def font(size_pt: float, *, bold: bool) -> ImageFont.FreeTypeFont:
    """Inter in ``size_pt`` points at the page's resolution."""
    name = f"vendor/inter/inter-latin-{600 if bold else 400}-normal.woff"
    return ImageFont.truetype(str(ASSETS / name), round(size_pt * DPI / 72))


def broken_lines(text: str, *, width: float, size: float) -> list[str]:
    """Words filled into lines of ``width`` mm; a word longer than that (a digest) is cut."""
    face, most = font(size, bold=False), px(width)
    lines, line = [], ""
    for word in text.split():
        trial = f"{line} {word}".strip()
        if face.getlength(trial) <= most:
            line = trial
            continue
        if line:
            lines.append(line)
        while face.getlength(word) > most:
            cut = next(k for k in range(len(word), 0, -1) if k == 1 or face.getlength(word[:k]) <= most)
            lines.append(word[:cut])
            word = word[cut:]  # noqa: PLW2901 - the rest of the same word
        line = word
    return [*lines, line] if line else lines
