"""Stretches that are kept on disk come back by rows, whatever order they were found in."""

import tempfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cropseg_geo.errors import OutputError
from cropseg_geo.vector.stretches import Stretches, StretchStore

ROWS = 4000


def stretches(rng, n):
    row, first = rng.integers(0, ROWS, n), rng.integers(0, 90, n)
    class_id = rng.integers(1, 255, n).astype(np.uint8)
    return Stretches(row.astype(np.int32), first.astype(np.int32), (first + 3).astype(np.int32), class_id)


def listed(found):
    return sorted(zip(found.row, found.first_col, found.stop_col, found.class_id, strict=True))


@given(
    st.integers(0, 2**32 - 1), st.lists(st.tuples(st.integers(0, ROWS), st.integers(0, ROWS)), max_size=30)
)
def test_what_was_added_in_parts_is_found_by_rows(seed, asked):
    rng = np.random.default_rng(seed)
    parts = [stretches(rng, n) for n in rng.integers(0, 300, 4)]
    everything = sorted(entry for part in parts for entry in listed(part))
    with StretchStore() as store:
        for part in parts:
            store.add(part)
        for first, stop in [(0, ROWS), *map(sorted, asked)]:
            found = store.between(first, stop)
            assert listed(found) == [entry for entry in everything if first <= entry[0] < stop]
            assert (np.diff(found.row) >= 0).all()


def test_a_full_temporary_folder_is_told_with_a_remedy(monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match="No space left") as refused:
        StretchStore()
    assert "TMPDIR" in refused.value.remedy
