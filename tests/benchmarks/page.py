"""The figures of BENCHMARKS.md from the benchmarks' JSON: tables between their marks, and plots.

    uv run python tests/benchmarks/page.py runs/benchmarks

Copies the JSON to docs/benchmarks/, where the page's figures can be looked up; without an argument the page
is made from there. What is missing keeps its place with a word that it was not measured.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import forward
import matplotlib
import peers
import plots
import scale
import startup
import vectors
from harness import ROOT, Column, Row, table
from matplotlib import pyplot
from matplotlib.axes import Axes

PAGE = ROOT / "BENCHMARKS.md"
DATA = ROOT / "docs" / "benchmarks"
TABLES: dict[str, tuple[str, Sequence[Column]]] = {
    "forward": ("forward", forward.COLUMNS),
    "peers": ("peers", peers.COLUMNS),
    "scale": ("scale", scale.COLUMNS),
    "stages": ("scale", scale.STAGES),
    "startup": ("startup", startup.COLUMNS),
    "vectors": ("vectors", vectors.COLUMNS),
    "plots": ("plots", plots.COLUMNS),
}
"""Mark on the page → its JSON and its columns."""
STYLE = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e4e4", "axes.axisbelow": True, "axes.edgecolor": "#888888", "svg.hashsalt": "cropseg",
    "svg.fonttype": "none", "legend.frameon": False,
}  # fmt: skip
COLOURS = ("#2f7d3b", "#8fbf8a", "#7a7a7a", "#c9792b", "#4f7db3", "#9b6bb3")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="with the JSON of the benchmarks")
    folder = parser.parse_args().folder
    DATA.mkdir(parents=True, exist_ok=True)
    for name in {name for name, _ in TABLES.values()} if folder else ():
        if (folder / f"{name}.json").exists():
            shutil.copy(folder / f"{name}.json", DATA)
    reports = {path.stem: json.loads(path.read_text()) for path in sorted(DATA.glob("*.json"))}
    page = PAGE.read_text()
    for mark, (name, columns) in TABLES.items():
        page = filled(page, mark, section(reports.get(name), columns))
    PAGE.write_text(page)
    matplotlib.use("svg")
    matplotlib.rcParams.update(STYLE)
    for name, draw in PICTURES.items():
        if name in reports:
            draw([row for row in reports[name]["rows"] if "failed" not in row])
            path = ROOT / "docs" / f"benchmarks-{name}.svg"
            pyplot.savefig(path, bbox_inches="tight", metadata={"Date": None})
            pyplot.close()


def filled(page: str, mark: str, text: str) -> str:
    """The page with a text between the comments ``<!-- MARK -->`` and ``<!-- /MARK -->``."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    if begin not in page or end not in page:
        raise SystemExit(f"{PAGE.name} has no place for {mark!r}: {begin} and {end} are missing")
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{text}\n{end}", page, flags=re.DOTALL)


def section(report: dict[str, Any] | None, columns: Sequence[Column]) -> str:
    """A table and where its figures come from."""
    if report is None:
        return "Not measured yet."
    facts = report["machine"]
    libraries = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    others = {k: v for versions in report.get("peers", {}).values() for k, v in versions.items()}
    libraries += "".join(f"; {k} {v}" for k, v in others.items() if k in ("geo-inference", "geoai-py"))
    where = (
        f"{facts['processor']}, {facts['cores']} cores{', bf16' * facts['bf16']}, {facts['memory_gb']} GB, "
        f"{facts['gpu'] or 'no GPU'}; {facts['system']}"
    )
    source = f"*{report['date']}, {report['commit']}; {where}; {libraries}*"
    return f"\n{table(report['rows'], columns)}\n\n{source}\n"


def draw_peers(rows: list[Row]) -> None:
    rows = [row for row in rows if row["method"] != peers.BARE]
    _, axes = pyplot.subplots(1, 2, figsize=(9, 3.2))
    for at, (axis, key, title, factor) in enumerate(
        zip(axes, ("raster_mp_s", "peak_mb"), ("Raster, MP/s", "Peak memory, GB"), (1, 1e-3), strict=True)
    ):
        bars(axis, rows, lambda row, k=key, f=factor: row[k] * f)
        axis.set_title(title, loc="left")
        if at == 0:
            legend_below(axis)


def draw_vectors(rows: list[Row]) -> None:
    _, axes = pyplot.subplots(1, 2, figsize=(9, 3.2))
    bars(axes[0], rows, lambda row: row["after_s"])
    axes[0].set_title("Mask to GeoPackage, s", loc="left")
    legend_below(axes[0])
    bars(axes[1], rows, lambda row: row["peak_mb"] / 1e3)
    axes[1].set_title("Peak memory, GB", loc="left")


def draw_scale(rows: list[Row]) -> None:
    _, axes = pyplot.subplots(1, 2, figsize=(9, 3.2))
    gigapixels = [row["gp"] for row in rows]
    for axis, values, title in (
        (axes[0], [row["raster_mp_s"] for row in rows], "Raster, MP/s after start-up"),
        (axes[1], [row["peak_mb"] / 1e3 for row in rows], "Peak memory, GB"),
    ):
        axis.plot(gigapixels, values, "o-", color=COLOURS[0])
        axis.set(xscale="log", xlabel="gigapixels", ylim=(0, 1.25 * max(values)))
        axis.set_title(title, loc="left")
        axis.set_xticks(gigapixels, [f"{value:.2g}" for value in gigapixels])
        axis.minorticks_off()
        axis.margins(x=0.15)
        for row, value in zip(rows, values, strict=True):
            axis.annotate(
                f"{row['size']}²", (row["gp"], value), (0, 7), textcoords="offset points", ha="center"
            )


def legend_below(axis: Axes) -> None:
    """The names of the methods in one line under both plots, where no bar is."""
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.12), ncols=5)


def bars(axis: Axes, rows: list[Row], value: Callable[[Row], float]) -> None:
    """Groups of bars: a group for each size, a bar for each method, its value above it."""
    sizes = sorted({row["size"] for row in rows})
    methods = list(dict.fromkeys(row["method"] for row in rows))
    width = 0.85 / len(methods)
    for i, method in enumerate(methods):
        mine = {row["size"]: value(row) for row in rows if row["method"] == method}
        at = [sizes.index(size) + (i - (len(methods) - 1) / 2) * width for size in mine]
        drawn = axis.bar(at, list(mine.values()), width * 0.92, color=COLOURS[i % len(COLOURS)], label=method)
        axis.bar_label(drawn, fmt="%.2g", fontsize=6.5, padding=1, color="#444444")
    axis.set_xticks(range(len(sizes)), [f"{size}²" for size in sizes])
    axis.grid(visible=False, axis="x")


PICTURES = {"peers": draw_peers, "scale": draw_scale, "vectors": draw_vectors}


if __name__ == "__main__":
    main()
