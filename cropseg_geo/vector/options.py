"""How canopy polygons are drawn: the choices of a user, in metres."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from cropseg_geo.errors import InputError

Outline = Literal["pixel", "contour"]
Objects = Literal["touching", "split"]


@dataclass(frozen=True)
class Outlines:
    """Choices for canopy polygons.

    Parameters
    ----------
    outline
        ``"pixel"`` follows the pixels' edges, so that areas are exactly pixels × pixel area; ``"contour"``
        follows the probability's level line at the mask's threshold, between the pixels' centres (on the
        pixels' edges at nodata, at the raster's rim and between classes, and in masks of several classes).
    objects
        ``"touching"``: plants that touch are one polygon; ``"split"`` parts them at their necks.
    min_area_m2
        Smallest polygon (m² on the ground), holes not counted; after joining and splitting.
    fill_holes_m2
        Holes of pixels up to this area (m²) are filled where they hold nothing but background: neither
        nodata nor another polygon. The area then counts them.
    simplify_m
        Details of outlines to drop: points are removed while the triangle that they span with their
        neighbours is smaller than the square of this (m). Outlines move by about as much, by up to twice as
        much where they are thin; polygons smaller than the square of four times this keep smaller details,
        too. Areas change; edges that polygons share stay shared. 0: none.

    Raises
    ------
    InputError
        For a choice that does not exist or a number below 0.
    """

    outline: Outline = "pixel"
    objects: Objects = "touching"
    min_area_m2: float = 0.0
    fill_holes_m2: float = 0.0
    simplify_m: float = 0.0

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("outline", self.outline, get_args(Outline)),
            ("objects", self.objects, get_args(Objects)),
        ):
            if value not in choices:
                raise InputError(f"unknown {name} {value!r}", remedy=f"choose one of {', '.join(choices)}")
        for name, number, unit in (
            ("minimum area", self.min_area_m2, "m²"),
            ("area of holes to fill", self.fill_holes_m2, "m²"),
            ("simplification", self.simplify_m, "m"),
        ):
            if not 0.0 <= number < float("inf"):
                raise InputError(
                    f"the {name} is {number} {unit}; expected 0 or more",
                    remedy="give it in metres or square metres on the ground, for example 0.01",
                )

    @property
    def text(self) -> str:
        """The choices as JSON: masks and layers say so how the polygons of their run are drawn."""
        return json.dumps(asdict(self))

    @classmethod
    def of_text(cls, text: str) -> Outlines:
        """The inverse of :attr:`text`. Raises InputError if the text is something else."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError, RecursionError) as err:
            raise InputError(
                f"{text[:80]!r} is no choice of outlines",
                remedy="say how objects are drawn, or remove the mask's tag CROPSEG_OUTLINES",
            ) from err

    def require_probability(self, prob: object | None) -> None:
        """Refuse contours without a probability that they could follow.

        Raises
        ------
        InputError
            If ``prob`` is None and the outlines are contours.
        """
        if self.outline == "contour" and prob is None:
            raise InputError(
                "contours follow the probability, and none is given", remedy="add the mask's --prob raster"
            )


AS_TRACED = Outlines()
"""Outlines on the pixels' edges, nothing left out."""
