"""Dates of surveys, from the names of their files; a name that can be read in two ways is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from pathlib import PurePath

from cropseg_geo.errors import InputError

_EARLIEST, _LATEST = 1990, 2099
"""Years in which a drone survey may be: tells 20240531 from 31052024 and from a running number."""

_REMEDY = "give the dates in the masks' order: --dates 2024-05-31,2024-06-14"

_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})([-_.])(\d{1,2})\2(\d{1,2})(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d{1,2})([-_.])(\d{1,2})\2(\d{4})(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(\d{8})(?:\d{4}|\d{6})?(?!\d)")
"""Eight digits, perhaps with hours and minutes after them."""


def survey_dates(files: Sequence[str], dates: Sequence[str | date] | None = None) -> list[date]:
    """The date of each file (n,): as given, else from its name.

    Raises
    ------
    InputError
        For a name without a date or with two readings, dates that are none, a date that comes twice, or
        another number of dates than files.
    """
    if dates is None:
        found = [date_in_name(file) for file in files]
    elif len(dates) != len(files):
        raise InputError(f"{len(dates)} dates for {len(files)} masks", remedy=_REMEDY)
    else:
        found = [_given(d) for d in dates]
    for i, day in enumerate(found):
        if day in found[:i]:
            raise InputError(
                f"{files[found.index(day)]} and {files[i]} are both of {day.isoformat()}",
                remedy=f"give one mask for each date, or {_REMEDY}",
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
    readings = _readings(PurePath(file).stem)
    if not readings:
        raise InputError(f"{name}: no date in the file's name", remedy=_REMEDY)
    if len(readings) > 1:
        shown = " or ".join(day.isoformat() for day in sorted(readings))
        raise InputError(f"{name}: the date in the file's name may be {shown}", remedy=_REMEDY)
    return readings.pop()


def _readings(stem: str) -> set[date]:
    """Every date that a name may mean."""
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


def _given(text: str | date) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text.strip())
    except ValueError as err:
        raise InputError(f"{text!r} is not a date", remedy="write dates as 2024-05-31") from err
