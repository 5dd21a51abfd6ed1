"""``cropseg plots make``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from cropseg_geo.answers import of_layout
from cropseg_geo.cli.options import Events, Overwrite, Quiet
from cropseg_geo.cli.outcome import conclude
from cropseg_geo.console import counted, event_listener
from cropseg_geo.paths import is_there

PLACE, SIZES, NUMBERS, TABLE = "Place", "Sizes (m on the ground)", "Numbering", "Field book and canopy"


def make(
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write: .gpkg, .geojson, .fgb or .parquet.")
    ],
    corners: Annotated[
        str | None,
        typer.Option(
            help="Outer corners, any order: 'x,y x,y x,y x,y', or a layer of 4 points or 1 polygon.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    ab: Annotated[
        str | None,
        typer.Option(
            help="Instead, 'x,y x,y' or a layer of 2 points: A, the lower left corner; B, along row 1.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    crs: Annotated[
        str | None,
        typer.Option(
            help="CRS of the coordinates, e.g. EPSG:32632; x is east or longitude.", rich_help_panel=PLACE
        ),
    ] = None,
    side: Annotated[
        str, typer.Option(help="Further rows lie left or right of A–B.", rich_help_panel=PLACE)
    ] = "left",
    rotate: Annotated[
        float, typer.Option(help="Further turn, degrees counter-clockwise.", rich_help_panel=PLACE)
    ] = 0.0,
    tolerance: Annotated[
        float, typer.Option(help="Error of the corners to put up with (m).", rich_help_panel=PLACE)
    ] = 0.5,
    template: Annotated[
        str | None,
        typer.Option(
            help="Plots to move onto --corners or --ab, instead of new ones.", rich_help_panel=PLACE
        ),
    ] = None,
    template_points: Annotated[
        str | None,
        typer.Option(
            help="Where these points are in the template, in its CRS; without them its outer corners.",
            rich_help_panel=PLACE,
        ),
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Rows of plots.", rich_help_panel=SIZES)] = None,
    columns: Annotated[int | None, typer.Option(help="Plots in a row.", rich_help_panel=SIZES)] = None,
    length: Annotated[
        float | None,
        typer.Option(help="Plot length, from row to row; else from the corners.", rich_help_panel=SIZES),
    ] = None,
    width: Annotated[
        float | None,
        typer.Option(help="Plot width, along a row; else from the corners.", rich_help_panel=SIZES),
    ] = None,
    row_alley: Annotated[float, typer.Option(help="Gap between rows.", rich_help_panel=SIZES)] = 0.0,
    column_alley: Annotated[float, typer.Option(help="Gap between columns.", rich_help_panel=SIZES)] = 0.0,
    block_rows: Annotated[int | None, typer.Option(help="Rows of a block.", rich_help_panel=SIZES)] = None,
    block_columns: Annotated[
        int | None, typer.Option(help="Columns of a block.", rich_help_panel=SIZES)
    ] = None,
    block_alley: Annotated[
        float | None, typer.Option(help="Gap between blocks, in place of the alley.", rich_help_panel=SIZES)
    ] = None,
    buffer: Annotated[
        float, typer.Option(help="Draw each plot in by this on all sides.", rich_help_panel=SIZES)
    ] = 0.0,
    numbering: Annotated[
        str,
        typer.Option(help="row, column, serpentine or serpentine-column.", rich_help_panel=NUMBERS),
    ] = "row",
    start: Annotated[
        str,
        typer.Option(help="bottom-left, bottom-right, top-left or top-right.", rich_help_panel=NUMBERS),
    ] = "bottom-left",
    first: Annotated[int, typer.Option(help="First number.", rich_help_panel=NUMBERS)] = 1,
    step: Annotated[int, typer.Option(help="From number to number.", rich_help_panel=NUMBERS)] = 1,
    by_block: Annotated[
        bool, typer.Option("--by-block", help="Finish a block before the next.", rich_help_panel=NUMBERS)
    ] = False,
    plot_name: Annotated[
        str,
        typer.Option(
            help="Ids from {number} {block} {row} {column} {in_block}, e.g. '{block}-{row:02}-{column:02}'.",
            rich_help_panel=NUMBERS,
        ),
    ] = "",
    fieldbook: Annotated[
        Path | None, typer.Option(help="CSV with a line for each plot.", rich_help_panel=TABLE)
    ] = None,
    fieldbook_by: Annotated[
        str, typer.Option(help="auto, row-column, or its column of plot ids.", rich_help_panel=TABLE)
    ] = "auto",
    snap: Annotated[
        str | None,
        typer.Option(help="Class mask: move and turn the plots to fit its canopy.", rich_help_panel=TABLE),
    ] = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Lay out the plots of a trial, exact on the ground in any CRS."""
    from cropseg_geo.outputs.refusals import refuse_inputs
    from cropseg_geo.pipeline.layout import LAYOUT, Template, make_plots
    from cropseg_geo.plots.making.numbering import Numbering
    from cropseg_geo.plots.making.trial import Trial

    if template is None and (rows is None or columns is None):
        raise typer.BadParameter("--rows and --columns are needed, or --template")
    trial = None
    if template is None and rows is not None and columns is not None:
        trial = Trial(
            rows,
            columns,
            length_m=length,
            width_m=width,
            row_alley_m=row_alley,
            column_alley_m=column_alley,
            block_rows=block_rows,
            block_columns=block_columns,
            block_alley_m=block_alley,
            buffer_m=buffer,
        )
    elif any(v is not None for v in (rows, columns, length, width, block_rows, block_columns, block_alley)):
        raise typer.BadParameter("--template brings its own rows, columns and sizes")
    points = None if template_points is None else parse_points("--template-points", template_points)
    with event_listener(as_json=events, quiet=quiet) as listener:
        refuse_inputs([out], corners, ab)
        table = make_plots(
            out,
            site=_site(corners, ab, crs, side, rotate, tolerance),
            trial=trial,
            numbering=Numbering(numbering, start, first, step, plot_name, by_block),
            template=None if template is None else Template(template, points),
            fieldbook=fieldbook,
            fieldbook_by=fieldbook_by,
            snap_to=snap,
            overwrite=overwrite,
            listener=listener,
        )
    conclude(
        "plots_make",
        of_layout(table, out),
        lambda: _show(table.attrs[LAYOUT], len(table), out),
        as_json=events,
        quiet=quiet,
    )


def _site(
    corners: str | None, ab: str | None, crs: str | None, side: str, rotate: float, tolerance: float
) -> Any:  # Any: a Site, whose module is not imported before a command runs
    from cropseg_geo.plots.making.plane import parse_crs
    from cropseg_geo.plots.making.site import Site, read_control

    if corners is None and ab is None:
        return None
    found = {}
    for name, text in (("corners", corners), ("ab", ab)):
        if text is None:
            continue
        if is_there(text.partition("|")[0]):
            found[name], layer_crs = read_control(text)
            if crs is not None and parse_crs(crs) != layer_crs:
                raise typer.BadParameter(f"--crs {crs}: the layer of --{name} says {layer_crs.name!r} itself")
            crs = layer_crs.to_wkt()
        else:
            found[name] = parse_points(f"--{name}", text)
    return Site(parse_crs(crs).to_wkt(), **found, side=side, rotate_deg=rotate, tolerance_m=tolerance)


def parse_points(flag: str, text: str) -> tuple[tuple[float, float], ...]:
    """``"1,2 3,4"`` → ``((1.0, 2.0), (3.0, 4.0))``; a usage error where that does not work."""
    try:
        pairs = [tuple(float(v) for v in part.split(",")) for part in text.replace(";", " ").split()]
        return tuple((x, y) for x, y in pairs)
    except ValueError as err:
        raise typer.BadParameter(
            f"{flag} {text!r}: 'x,y x,y …' with decimal points, or an existing layer, is expected"
        ) from err


def _show(facts: dict[str, Any], n_plots: int, out: Path) -> None:
    """What was made: sizes, misfit, shift, and the ids as they lie in the field."""
    console = Console(highlight=False)
    size = f" of {facts['width_m']:.3f} × {facts['length_m']:.3f} m" if "width_m" in facts else ""
    if "buffer_m" in facts:
        size += f", drawn in by {facts['buffer_m']:g} m on all sides,"
    console.print(f"{counted(n_plots, 'plot')}{size} → {out}", soft_wrap=True, markup=False)
    if "misfit_rms_m" in facts:
        console.print(
            f"Misfit of the control points: {facts['misfit_rms_m']:.3f} m root mean square, "
            f"{facts['misfit_largest_m']:.3f} m at most"
        )
    if "snap" in facts and (facts["snap"]["shift_m"] or facts["snap"]["turn_deg"]):
        snap = facts["snap"]
        console.print(
            f"Fitted to the canopy: {snap['east_m']:+.3f} m east, {snap['north_m']:+.3f} m north, "
            f"{snap['turn_deg']:+.3f}° counter-clockwise; canopy in plots minus alleys "
            f"{snap['contrast_before']:.1%} → {snap['contrast_after']:.1%}",
            soft_wrap=True,
        )
    if "map" in facts:
        console.print(
            Text(f"\n{facts['map']}\n* first plot; arrows: the way it is walked", no_wrap=True),
            soft_wrap=True,
        )
