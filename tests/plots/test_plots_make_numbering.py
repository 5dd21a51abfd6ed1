"""The walk through a trial, against tables written by hand: top row of the field first."""

import itertools

import pytest

from cropseg_geo.errors import InputError
from cropseg_geo.plots.making.numbering import ORDERS, STARTS, Numbering, number_plots, text_map
from cropseg_geo.plots.making.trial import Trial

TABLES = {
    ("row", "bottom-left"): [[4, 5, 6], [1, 2, 3]],
    ("row", "bottom-right"): [[6, 5, 4], [3, 2, 1]],
    ("row", "top-left"): [[1, 2, 3], [4, 5, 6]],
    ("row", "top-right"): [[3, 2, 1], [6, 5, 4]],
    ("column", "bottom-left"): [[2, 4, 6], [1, 3, 5]],
    ("column", "bottom-right"): [[6, 4, 2], [5, 3, 1]],
    ("column", "top-left"): [[1, 3, 5], [2, 4, 6]],
    ("column", "top-right"): [[5, 3, 1], [6, 4, 2]],
    ("serpentine", "bottom-left"): [[6, 5, 4], [1, 2, 3]],
    ("serpentine", "bottom-right"): [[4, 5, 6], [3, 2, 1]],
    ("serpentine", "top-left"): [[1, 2, 3], [6, 5, 4]],
    ("serpentine", "top-right"): [[3, 2, 1], [4, 5, 6]],
    ("serpentine-column", "bottom-left"): [[2, 3, 6], [1, 4, 5]],
    ("serpentine-column", "bottom-right"): [[6, 3, 2], [5, 4, 1]],
    ("serpentine-column", "top-left"): [[1, 4, 5], [2, 3, 6]],
    ("serpentine-column", "top-right"): [[5, 4, 1], [6, 3, 2]],
}


def field(trial: Trial, numbering: Numbering, column: str = "plot_id") -> list[list]:
    """One column as it lies in the field, top row first."""
    found = number_plots(trial, numbering)[column].to_dict()
    return [[found[r, c] for c in range(trial.columns)] for r in reversed(range(trial.rows))]


def test_there_is_a_table_for_every_order_and_start():
    assert set(TABLES) == set(itertools.product(ORDERS, STARTS))


@pytest.mark.parametrize(("order", "start"), TABLES)
def test_plots_are_numbered_as_walked(order, start):
    assert field(Trial(2, 3), Numbering(order, start)) == TABLES[order, start]


def test_the_table_is_in_walking_order_with_first_number_and_step():
    table = number_plots(Trial(2, 3), Numbering("serpentine", first=101, step=2))
    assert table["plot_id"].tolist() == [101, 103, 105, 107, 109, 111]
    assert table["row"].tolist() == [1, 1, 1, 2, 2, 2]
    assert table["column"].tolist() == [1, 2, 3, 3, 2, 1]


def test_rows_and_columns_count_from_the_corner_of_the_first_plot():
    assert field(Trial(2, 3), Numbering(start="top-right"), "row") == [[1, 1, 1], [2, 2, 2]]
    assert field(Trial(2, 3), Numbering(start="top-right"), "column") == [[3, 2, 1], [3, 2, 1]]


def test_blocks_are_counted_as_the_plots_are():
    trial = Trial(4, 4, block_rows=2, block_columns=2)
    assert field(trial, Numbering("serpentine"), "block") == [
        [3, 3, 4, 4], [3, 3, 4, 4], [1, 1, 2, 2], [1, 1, 2, 2],
    ]  # fmt: skip
    assert field(trial, Numbering("column", "top-left"), "block") == [
        [1, 1, 3, 3], [1, 1, 3, 3], [2, 2, 4, 4], [2, 2, 4, 4],
    ]  # fmt: skip


def test_a_walk_by_block_finishes_one_block_before_the_next():
    trial = Trial(2, 4, block_columns=2)
    assert field(trial, Numbering("serpentine", by_block=True)) == [[4, 3, 8, 7], [1, 2, 5, 6]]
    assert field(trial, Numbering("serpentine")) == [[8, 7, 6, 5], [1, 2, 3, 4]]


def test_ids_follow_a_template():
    trial = Trial(2, 4, block_columns=2)
    rows = field(trial, Numbering(template="{block}-{row:02}-{column:02}"))
    assert rows[1] == ["1-01-01", "1-01-02", "2-01-03", "2-01-04"]
    hundreds = field(trial, Numbering("serpentine", template="{block}{in_block:02}", by_block=True))
    assert hundreds == [["104", "103", "204", "203"], ["101", "102", "201", "202"]]
    assert field(trial, Numbering(first=7, template="P{number:04}"))[1][:2] == ["P0007", "P0008"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"order": "zigzag"}, "order 'zigzag'"),
        ({"start": "middle"}, "start 'middle'"),
        ({"step": 0}, "step of 0"),
        ({"template": "{plot}"}, "names 'plot'"),
        ({"template": "{row.real}"}, "names 'row.real'"),
        ({"template": "{}"}, "names ''"),
        ({"template": "{row"}, "is not a template"),
        ({"template": "{row:zz}"}, "is not a template"),
    ],
)
def test_a_numbering_that_means_nothing_is_refused(options, message):
    with pytest.raises(InputError, match=message) as caught:
        Numbering(**options)
    assert caught.value.remedy


def test_a_template_that_names_two_plots_alike_is_refused():
    with pytest.raises(InputError, match="2 ids to more than one plot, the first 'R1'") as caught:
        number_plots(Trial(2, 3), Numbering(template="R{row}"))
    assert "{column}" in caught.value.remedy


def test_the_text_map_shows_the_field_with_its_walk_and_blocks():
    trial = Trial(2, 4, block_columns=2)
    assert text_map(number_plots(trial, Numbering("serpentine")), trial).splitlines() == [
        "← 8  7  │ 6  5",
        "→ 1* 2  │ 3  4",
    ]
    columns = Trial(3, 4)
    assert text_map(number_plots(columns, Numbering("serpentine-column")), columns).splitlines() == [
        "·  3   4   9  10",  # the turn from 3 to 4 is no walk along the row
        "·  2   5   8  11",
        "·  1*  6   7  12",
    ]
    big = Trial(40, 50)
    lines = text_map(number_plots(big, Numbering("column")), big).splitlines()
    assert len(lines) == 13
    assert lines[-1].split() == [
        "·",
        "1*",
        "41",
        "81",
        "121",
        "161",
        "201",
        "…",
        *map(str, range(1761, 2000, 40)),
    ]
    for one in (Trial(1, 1), Trial(3, 1), Trial(1, 3)):
        assert text_map(number_plots(one, Numbering()), one)
