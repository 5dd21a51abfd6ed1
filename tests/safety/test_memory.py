"""What a run freed goes back to the system, and what is in use stays."""

import subprocess
import sys

import pytest

from cropseg_geo.memory import _trim, memory_returned

HOLES = """
import psutil
from contextlib import nullcontext
from cropseg_geo.memory import memory_returned

def held_mb():
    return psutil.Process().memory_info().rss / 1e6

def leave_holes():
    parts = [bytes([k % 251]) * 10_000 for k in range(20_000)]
    return parts[::1000]

kept = []
before = held_mb()
with {block}():
    kept += leave_holes()
print(held_mb() - before)
assert all(part == part[:1] * 10_000 for part in kept)
"""
"""Takes 200 MB in small pieces and frees all but one in a thousand: the heap cannot just be cut off."""


def still_held_mb(block):
    done = subprocess.run(
        [sys.executable, "-c", HOLES.format(block=block)], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


@pytest.mark.skipif(_trim() is None, reason="this C library keeps or returns memory by itself")
def test_what_was_freed_in_small_pieces_is_given_back():
    assert still_held_mb("nullcontext") > 150
    assert still_held_mb("memory_returned") < 30


def test_an_error_within_comes_out_as_it_is():
    with pytest.raises(KeyError, match="mine"), memory_returned():
        raise KeyError("mine")
