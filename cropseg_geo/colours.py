"""Colours as cards and styles write them."""

from __future__ import annotations


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue (0–255) of a colour in hexadecimal.

    >>> rgb("#0a4350")
    (10, 67, 80)
    """
    red, green, blue = bytes.fromhex(colour.lstrip("#"))
    return red, green, blue
