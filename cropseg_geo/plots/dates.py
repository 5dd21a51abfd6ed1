"""Dates of surveys, from the names of their files; a name that can be read in two ways is refused."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import PurePath

import numpy as np

from cropseg_geo.errors import InputError

_EARLIEST, _LATEST = 1990, 2099
"""Years in which a drone survey may be: tells 20240531 from 31052024 and from a running number."""

GivenDate = str | date | np.datetime64
"""A date as callers give it: ISO text, or a date or time of Python, pandas or numpy."""

_REMEDY = "give the dates in the masks' order: --dates 2024-05-31,2024-06-14"

_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})([-_.])(\d{1,2})\2(\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})([-_.])(\d{1,2})\2(\d{4})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{8})(?:\d{4}|\d{6})?(?!\d)")
"""Eight digits, perhaps with hours and minutes after them."""


def survey_dates(files: Sequence[str], dates: Iterable[GivenDate] | None = None) -> list[date]:
    """The date of each file (n,): as given, else from its name. Of times the day counts.

    Raises
    ------
    InputError
        For a name without a date or with two readings, dates that are none, a date that comes twice, or
        another number of dates than files.
    """
    if dates is None:
        found = [date_in_name(file) for file in files]
    else:
        found = [_given(day) for day in dates]
    if len(found) != len(files):
        raise InputError(f"{len(found)} dates for {len(files)} masks", remedy=_REMEDY)
    for i, day in enumerate(found):
        if day in found[:i]:
            two, of_day = [files[found.index(day)], files[i]], day.isoformat()
            raise InputError(
                f"{' and '.join(two)} are both of {of_day}",
                remedy="make one mask of those of a day and give that: "
                f"gdalbuildvrt both_{of_day}_mask.vrt {shlex.join(two)}; or {_REMEDY}",
            )
    return found


def date_in_name(file: str) -> date:
    """The date in a file's name, written as 2024-05-31, 20240531, 31.05.2024 or alike.

    >>> date_in_name("trial_2024-05-31_mask.tif")
    datetime.date(2024, 5, 31)

    Raises
    ------
    InputError
        If there is none, or day and month could be exchanged, or there are two.
    """
    name = PurePath(file).name
    readings = readings_of(PurePath(file).stem)
    if not readings:
        raise InputError(f"{name}: no date in the file's name", remedy=_REMEDY)
    if len(readings) > 1:
        shown = " or ".join(day.isoformat() for day in sorted(readings))
        raise InputError(f"{name}: the date in the file's name may be {shown}", remedy=_REMEDY)
    return readings.pop()


def readings_of(stem: str) -> set[date]:
    """Every date that a name, without its suffix, may mean.

    >>> readings_of("a_2024-05-31_b_2024-5-31"), readings_of("trial")
    ({datetime.date(2024, 5, 31)}, set())
    """
    found = [_day(y, m, d) for y, _, m, d in _YEAR_FIRST.findall(stem)]
    for one, _, two, year in _YEAR_LAST.findall(stem):
        found += [_day(year, two, one), _day(year, one, two)]
    for digits in _COMPACT.findall(stem):
        year_first = _day(digits[:4], digits[4:6], digits[6:])
        year, one, two = digits[4:], digits[:2], digits[2:4]
        # Year first is by far the most usual; the other orders are for digits that it does not fit.
        found += [year_first] if year_first else [_day(year, two, one), _day(year, one, two)]
    return {day for day in found if day is not None}


def _day(year: str, month: str, day: str) -> date | None:
    if not _EARLIEST <= int(year) <= _LATEST:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _given(day: object) -> date:
    try:
        if not isinstance(day, str | date | np.datetime64):
            raise TypeError
        # As text all kinds of dates and times begin alike, and what has no day (NaT) is none.
        return date.fromisoformat(day.strip() if isinstance(day, str) else str(day)[:10])
    except (TypeError, ValueError) as err:
        raise InputError(f"{day!r} is not a date", remedy="write dates as 2024-05-31") from err
