"""Damage done to files: bytes anywhere, numbers of a TIFF's directory, values of a JSON document."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

_NUMBERS = (0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 2**31 - 1, 2**31, 2**32 - 1)
_ODD_VALUES = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**400, 1e308, -1e308, float("nan"), float("inf"), 0.1, "",
    "x", "NaN", "\0", "../../x", "a" * 5000, "𝔸\u202e", [], [[]], {}, {"a": None}, [None, None], [1e400, -1],
)  # fmt: skip
_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def byte_mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """The data with one to four changes: bits, bytes, numbers, pieces cut out, repeated or cut off."""
    work = bytearray(data)
    for _ in range(int(rng.choice((1, 1, 1, 2, 4)))):
        if not work:
            break
        _CHANGES[int(rng.integers(len(_CHANGES)))](work, rng)
    return bytes(work)


def _place(work: bytearray, rng: np.random.Generator) -> int:
    # Headers say more than pixels: half of the changes fall within the first 512 bytes.
    limit = len(work) if rng.random() < 0.5 else min(len(work), 512)
    return int(rng.integers(limit))


def _flip_bit(work: bytearray, rng: np.random.Generator) -> None:
    work[_place(work, rng)] ^= 1 << int(rng.integers(8))


def _set_byte(work: bytearray, rng: np.random.Generator) -> None:
    work[_place(work, rng)] = int(rng.choice((0, 1, 0x7F, 0x80, 0xFF, int(rng.integers(256)))))


def _set_number(work: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(work, rng), int(rng.choice((2, 4, 8)))
    number = int(_NUMBERS[int(rng.integers(len(_NUMBERS)))]) % 2 ** (8 * size)
    work[at : at + size] = number.to_bytes(size, "little")


def _cut_out(work: bytearray, rng: np.random.Generator) -> None:
    at = _place(work, rng)
    del work[at : at + int(rng.integers(1, 64))]


def _repeat(work: bytearray, rng: np.random.Generator) -> None:
    at = _place(work, rng)
    work[at:at] = work[at : at + int(rng.integers(1, 64))] * int(rng.integers(1, 4))


def _cut_off(work: bytearray, rng: np.random.Generator) -> None:
    del work[int(rng.integers(len(work))) :]


def _zero(work: bytearray, rng: np.random.Generator) -> None:
    at, size = _place(work, rng), int(rng.integers(1, 256))
    work[at : at + size] = bytes(len(work[at : at + size]))


_CHANGES = (_flip_bit, _set_byte, _set_number, _cut_out, _repeat, _cut_off, _zero)


def tiff_mutant(data: bytes, rng: np.random.Generator) -> bytes:
    """A little-endian classic TIFF with one or two entries of its first directory changed.

    What is changed is an entry's tag, type, count or value, or a number that its value points to.
    """
    work = bytearray(data)
    (start,) = struct.unpack_from("<I", work, 4)
    (n_entries,) = struct.unpack_from("<H", work, start)
    for _ in range(int(rng.integers(1, 3))):
        entry = start + 2 + 12 * int(rng.integers(n_entries))
        tag, kind, count, value = struct.unpack_from("<HHII", work, entry)
        number = int(_NUMBERS[int(rng.integers(len(_NUMBERS)))])
        part = int(rng.integers(6))
        if part == 0:
            tag = number % 65536
        elif part == 1:
            kind = int(rng.integers(14))
        elif part == 2:
            count = number
        elif part == 3:
            value = number
        elif _WIDTHS.get(kind, 1) * count > 4 and value + 8 < len(work):
            _set_pointed(work, value + _WIDTHS.get(kind, 1) * int(rng.integers(count)), kind, rng)
        else:
            value = (value & ~0xFFFF) | number % 65536
        struct.pack_into("<HHII", work, entry, tag, kind, count, value)
    return bytes(work)


def _set_pointed(work: bytearray, at: int, kind: int, rng: np.random.Generator) -> None:
    if kind == 12 and at + 8 <= len(work):  # doubles: geotransforms
        choices = (0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf"), -float("inf"), 1e-5, 90.0)
        struct.pack_into("<d", work, at, choices[int(rng.integers(len(choices)))])
    elif at + 4 <= len(work):
        width = min(_WIDTHS.get(kind, 1), 4)
        number = int(_NUMBERS[int(rng.integers(len(_NUMBERS)))]) % 2 ** (8 * width)
        work[at : at + width] = number.to_bytes(width, "little")


def json_mutant(document: Any, rng: np.random.Generator) -> Any:  # Any: values of JSON
    """The document with one value replaced, removed or renamed, anywhere in it."""
    copy = json.loads(json.dumps(document))
    holders = list(_holders(copy))
    holder, key = holders[int(rng.integers(len(holders)))]
    change = int(rng.integers(6))
    odd = _ODD_VALUES[int(rng.integers(len(_ODD_VALUES)))]
    if change == 0:
        del holder[key]
    elif change == 1 and isinstance(holder, dict):
        holder[str(odd)[:40]] = holder.pop(key)
    elif change == 2:
        holder[key] = [holder[key]]
    else:
        holder[key] = odd
    return copy


def _holders(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place of a document: its container and the key or index within it."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _holders(value[key])
