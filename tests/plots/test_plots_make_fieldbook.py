"""Field books: read without loss, joined by id or place, every gap reported."""

import errno

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.events import Warned
from cropseg_geo.pipeline import make_plots
from cropseg_geo.pipeline.layout import LAYOUT, Template
from cropseg_geo.plots.making.fieldbook import join_fieldbook, read_fieldbook
from cropseg_geo.plots.making.numbering import Numbering
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial

SITE = Site("EPSG:32632", ab=((565_800.0, 5_705_400.0), (565_900.0, 5_705_400.0)))
TRIAL = Trial(2, 2, 5.0, 1.5)


def book(tmp_path, text: str, encoding: str = "utf-8"):
    path = tmp_path / "book.csv"
    path.write_bytes(text.encode(encoding))
    return path


def made(path, *, by="auto", numbering=Numbering(first=101), listener=lambda event: None):  # noqa: B008
    return make_plots(
        site=SITE, trial=TRIAL, numbering=numbering, fieldbook=path, fieldbook_by=by, listener=listener
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_types_are_kept_and_leading_zeros_stay_text(tmp_path, encoding):
    text = 'Plot;Sorte;Dosis;Code;Ernte;Notiz\n1;Bär;1,5;007;NA;"a;b"\n2;Süß;-2;012;3;\n\n'
    table = read_fieldbook(book(tmp_path, text, encoding))
    assert table["Plot"].tolist() == [1, 2]
    assert table["Sorte"].tolist() == ["Bär", "Süß"]
    assert table["Dosis"].tolist() == [1.5, -2.0]
    assert table["Code"].tolist() == ["007", "012"]
    assert table["Ernte"].tolist() == [pd.NA, 3]
    assert table["Notiz"].tolist()[0] == "a;b"
    assert table["Notiz"].isna().tolist() == [False, True]


def test_commas_and_tabs_separate_too_and_decimals_have_points_then(tmp_path):
    for separator in ",\t":
        table = read_fieldbook(
            book(tmp_path, "plot,dose,ean\n1,1.50,40123456789012345\n".replace(",", separator))
        )
        assert table["dose"].tolist() == [1.5]
        assert table["ean"].tolist() == ["40123456789012345"]  # too long for a number to keep


@pytest.mark.parametrize(
    ("moisture", "yields", "read"),
    [
        ("12,3", ["10.450", "9.870", "8.001", "987"], [10450, 9870, 8001, 987]),
        ("12,3", ["1.234,5", "9.870", "1.000.000"], [1234.5, 9870.0, 1_000_000.0]),
        ("12.3", ["10.450", "9.870"], [10.45, 9.87]),
        ("12,3;0.5", ["10.450", "9.870"], ["10.450", "9.870"]),  # whose points are they?
        ("12,3;0.5", ["9.87", "1,5"], [9.87, 1.5]),
        ("1,5e-3", ["10.450", "-2.000"], [10450, -2000]),
        ("12,3", ["1.5.2024", "2.5.2024"], ["1.5.2024", "2.5.2024"]),
    ],
)
def test_one_decimal_mark_counts_in_all_of_a_table(tmp_path, moisture, yields, read):
    header = "yield;" + ";".join(f"m{k}" for k in range(moisture.count(";") + 1))
    table = read_fieldbook(book(tmp_path, "\n".join([header, *(f"{y};{moisture}" for y in yields)])))
    assert table["yield"].tolist() == read


@pytest.mark.parametrize(
    "text",
    [
        'Plot;"Dosis, Brühe; l/ha"\n101;1,5\n',  # a separator of another kind within quotes
        "sep=;\r\nPlot;Dosis\r\n101;1,5\r\n",
        "Plot;Dosis;;\n101;1,5;;\n;;;\n",  # columns and lines that a spreadsheet left empty
        "Plot;Dosis\r101;1,5\r",  # as old Macs end lines
    ],
)
def test_what_spreadsheets_add_is_seen_through(tmp_path, text):
    table = read_fieldbook(book(tmp_path, text, "utf-8-sig"))
    assert table.to_numpy().tolist() == [[101, 1.5]]


@pytest.mark.parametrize("name", ["Plot ID", "PLOT-NR.", "plot no", "PlotID", "PlotNr"])
def test_usual_names_of_ids_are_known_however_they_are_spelt(tmp_path, name):
    assert made(book(tmp_path, f"{name};v\n101;A\n102;B\n"))["v"].tolist()[:2] == ["A", "B"]
    assert made(book(tmp_path, "row no,Column No.,v\n1,2,B\n"))["v"].tolist()[1] == "B"


def test_whole_numbers_with_a_point_are_the_same_ids(tmp_path):
    assert made(book(tmp_path, "plot,v\n101.0,A\n102.0,B\n"))["v"].tolist()[:2] == ["A", "B"]


def test_a_book_is_joined_by_id_whatever_the_order(tmp_path):
    plots = made(book(tmp_path, "variety,plot\nD,104\nA,101\nC,103\nB,102\n"))
    assert list(plots.columns) == ["plot_id", "block", "row", "column", "variety", "geometry"]
    assert plots["variety"].tolist() == ["A", "B", "C", "D"]
    assert plots.attrs[LAYOUT]["fieldbook"]["by"] == "plot"


def test_spaces_around_an_id_do_not_keep_a_book_from_its_plots(tmp_path):
    plots = gpd.GeoDataFrame({"plot_id": [" A 1", "A 2 "]}, geometry=[shapely.box(0, 0, 1, 1)] * 2)
    joined = join_fieldbook(plots, read_fieldbook(book(tmp_path, "plot,v\nA 2,y\nA 1,x\n")))
    assert joined.frame["v"].tolist() == ["x", "y"]


def test_ids_that_are_text_keep_their_zeros_and_match_only_themselves(tmp_path):
    numbering = Numbering(template="{number:03}")
    assert made(book(tmp_path, "plot,v\n001,A\n002,B\n"), numbering=numbering)["v"].tolist()[:2] == ["A", "B"]
    with pytest.raises(InputError, match="no entry of the field book matches a plot by plot: plots 001, 002"):
        made(book(tmp_path, "plot,v\n1,A\n2,B\n"), numbering=numbering)


def test_a_book_is_joined_by_row_and_column(tmp_path):
    text = "Row,Col,variety,plot\n2,2,D,9\n1,1,A,6\n2,1,C,8\n1,2,B,7\n"
    plots = made(book(tmp_path, text), by="row-column", numbering=Numbering("serpentine"))
    assert plots["variety"].tolist() == ["A", "B", "D", "C"]
    assert plots["plot"].tolist() == [6, 7, 9, 8]
    without = made(book(tmp_path, "row,column,variety\n1,1,A\n"))
    assert without["variety"].tolist()[0] == "A"


def test_whole_numbers_stay_whole_where_plots_have_no_entry(tmp_path):
    plots = made(book(tmp_path, "plot,plants,dose\n101,40,1.5\n103,38,2\n"))
    assert plots["plants"].tolist() == [40, pd.NA, 38, pd.NA]
    assert plots["dose"].dtype == "float64"


def test_columns_that_are_named_as_ours_are_kept_under_another_name(tmp_path):
    plots = made(book(tmp_path, "plot,Row,geometry\n101,7,x\n"))
    assert plots["row"].tolist() == [1, 1, 2, 2]
    assert plots["Row_fieldbook"].tolist()[0] == 7
    assert plots["geometry_fieldbook"].tolist()[0] == "x"


def test_a_book_may_be_joined_again_and_again(tmp_path):
    path = book(tmp_path, "plot,variety\n101,A\n102,B\n103,C\n104,D\n")
    plots = made(path)
    for k in range(2):
        plots = make_plots(tmp_path / f"{k}.gpkg", site=SITE, template=Template(plots), fieldbook=path)
    added = [c for c in plots.columns if c.startswith("variety")]
    assert added == ["variety", "variety_fieldbook", "variety_fieldbook_"]


def test_every_plot_without_an_entry_and_every_entry_without_a_plot_is_reported(tmp_path):
    events: list = []
    lines = "".join(f"{number},x\n" for number in (101, *range(900, 912)))
    plots = made(book(tmp_path, "plot,v\n" + lines), listener=events.append)
    unlisted, unplaced = [e.message for e in events if isinstance(e, Warned)]
    assert unlisted == "3 plots without an entry in the field book: 102, 103, 104"
    assert unplaced.startswith("12 entries of the field book without a plot: 900, 901")
    assert unplaced.endswith("909 and 2 more")
    assert len(plots) == 4
    assert plots["v"].isna().tolist() == [False, True, True, True]
    assert plots.attrs[LAYOUT]["fieldbook"]["entries_without_plot"] == [str(k) for k in range(900, 912)]


@pytest.mark.parametrize(
    ("text", "by", "message", "remedy"),
    [
        ("plot,v\n101,a\n101,b\n", "auto", "names 1 plot more than once by plot: 101", "one line"),
        ("row,column\n1,1\n1,1\n", "auto", "more than once by row and column: 1 / 1", "one line"),
        ("plot,v\n101,a\n,b\n", "auto", r"1 entries of the field book have no plot \(entries 2\)", "fill"),
        (
            "code,v\n101,a\n",
            "auto",
            "neither a column of plot ids nor row and column; it has code, v",
            "--fieldbook-by",
        ),
        ("row,v\n1,a\n", "row-column", "neither", "--fieldbook-by"),
        ("plot,v\n101,a\n", "code", "no column 'code'", "plot, v"),
        ("plot,v\n7,a\n", "auto", "no entry of the field book matches", "row-column"),
        ("plot,v\n", "auto", "has no entry", "header"),
        ("plot,Plot\n1,2\n", "auto", "names the column 'Plot' twice", "name of its own"),
        ("plot,\n1,2\n", "auto", "a column without a name", "name of its own"),
        ("plot,v\n101,a,b\n", "auto", "entry 1 .* has 3 fields, its header 2", "quote"),
        ("plot\0,v\n", "auto", "not a text file", "CSV"),
    ],
)
def test_a_book_that_cannot_be_joined_is_refused(tmp_path, text, by, message, remedy):
    with pytest.raises(InputError, match=message) as caught:
        made(book(tmp_path, text), by=by)
    assert remedy in caught.value.remedy


def test_books_that_cannot_be_read_are_refused(tmp_path, monkeypatch):
    def refused(path, message: str) -> None:
        with pytest.raises(InputError, match=message) as caught:
            read_fieldbook(path)
        assert "save it as CSV (UTF-8) again" in caught.value.remedy

    lines = "".join(f"{plot},oats\n" for plot in range(20_000))
    refused(book(tmp_path, f'plot,v\n1,"stray\n{lines}'), "cannot be read: field larger than field limit")

    def forbidden(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.read_bytes", forbidden)
    refused(book(tmp_path, "plot,v\n101,A\n"), "cannot be read: .*Permission denied")


def test_missing_books_and_workbooks_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_fieldbook(tmp_path / "none.csv")
    (tmp_path / "book.xlsx").write_bytes(b"PK")
    with pytest.raises(InputError, match="is a workbook") as caught:
        read_fieldbook(tmp_path / "book.xlsx")
    assert "CSV" in caught.value.remedy
