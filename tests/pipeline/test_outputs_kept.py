"""Files that cannot be written, for every sentence: a clear error, and the earlier file untouched."""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from rasters import UTM, scene, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import OutputError
from cropseg_geo.events import StageAdvanced, StageFinished, StageStarted
from cropseg_geo.outputs.publishing import drafted, move
from cropseg_geo.pipeline import make_plots, make_report
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial

OUTS = {
    "vectorize": "f.gpkg",
    "stats_csv": "s.csv",
    "stats": "s.gpkg",
    "make": "made.gpkg",
    "make_geojson": "made.geojson",
    "series": "series.csv",
    "chart": "growth.svg",
    "report": "r.html",
    "report_png": "r.png",
    "report_pdf": "r.pdf",
}
PACKAGES = [name for name, out in OUTS.items() if out.endswith(".gpkg")]


def write_survey(folder: Path) -> None:
    """A noisy mask and 200 plots: every file about them is larger than a few kilobytes."""
    mask = np.random.default_rng(0).integers(0, 2, (1, 200, 300)).astype(np.uint8)
    write_raster(folder / "m_2024-05-01.tif", mask, nodata=255)
    write_raster(folder / "m_2024-06-01.tif", mask, nodata=255)
    boxes = [(c * 0.15, r * 0.2, c * 0.15 + 0.1, r * 0.2 + 0.15) for r in range(10) for c in range(20)]
    write_plots(folder / "plots.gpkg", boxes, plot_id=[f"plot {i}" for i in range(200)])


def write(name: str, folder: Path) -> object:
    """Says the sentence on the survey in ``folder``, so that it writes its file of :data:`OUTS`."""
    out, mask, plots = folder / OUTS[name], folder / "m_2024-05-01.tif", folder / "plots.gpkg"
    if name == "vectorize":
        return cg.vectorize(mask, out, overwrite=True)
    if name.startswith("stats"):
        return cg.measure_plots(mask, plots, out, stats="coverage", overwrite=True)
    if name.startswith("make"):
        site = Site(UTM, ab=((565_800.0, 5_705_300.0), (565_900.0, 5_705_300.0)))
        return make_plots(out, site=site, trial=Trial(20, 20, 3.0, 1.5), overwrite=True)
    if name.startswith("report"):
        return make_report(mask, out, plots=plots, overwrite=True)
    masks = [mask, folder / "m_2024-06-01.tif"]
    files = {"out": None, "chart": out} if name == "chart" else {"out": out}
    return cg.plot_series(masks, plots, **files, stats="coverage", overwrite=True)


@pytest.fixture
def survey(tmp_path):
    write_survey(tmp_path)
    return tmp_path


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("name", OUTS)
def test_a_name_that_is_no_text_is_refused_before_the_work(survey, name, monkeypatch):
    monkeypatch.setitem(OUTS, name, f"{os.fsdecode(b'no text ' + bytes([255]))}{Path(OUTS[name]).suffix}")
    with pytest.raises(OutputError, match="is not text in UTF-8") as caught:
        write(name, survey)
    assert "--out" in caught.value.remedy
    assert not [path for path in survey.iterdir() if "no text" in path.name]


@pytest.mark.parametrize("name", OUTS)
def test_a_read_only_file_is_refused_and_stays(survey, name):
    out = survey / OUTS[name]
    out.write_text("earlier")
    out.chmod(0o444)
    with pytest.raises(OutputError, match="is read-only") as caught:
        write(name, survey)
    assert "choose another --out" in caught.value.remedy
    assert out.read_text() == "earlier"
    assert not list(survey.glob(".*"))


@pytest.mark.parametrize("name", PACKAGES)
def test_a_geopackage_that_another_program_holds_is_refused_and_stays(survey, name):
    out = survey / OUTS[name]
    with closing(sqlite3.connect(out)) as other:
        other.execute("CREATE TABLE theirs (a)")
        other.commit()
        before = out.read_bytes()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="open in another program"):
            write(name, survey)
    assert out.read_bytes() == before
    write(name, survey)
    assert len(gpd.read_file(out, layer="canopy" if name == "vectorize" else "plots")) > 100


@pytest.mark.parametrize("name", ["field_mask.tif", "field_report.html"])
def test_a_file_that_comes_while_a_run_works_is_not_replaced_and_the_work_is_kept(
    tmp_path, monkeypatch, name
):
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    raster, out = write_raster(tmp_path / "field.tif", scene(150, 160)), tmp_path / "out"
    options = {"tile_px": 64, "overlap_px": 16, "report": True}

    def write_another(event):
        if isinstance(event, StageAdvanced):
            (out / name).write_text("precious")

    with pytest.raises(OutputError, match=f"already holds {name}"):
        cg.segment(raster, out, listener=write_another, **options)
    assert [p.name for p in out.iterdir() if not p.name.startswith(".")] == [name]
    assert (out / name).read_text() == "precious"
    done = cg.segment(raster, out, overwrite=True, **options)
    assert done.summary.tiles_inferred == 0
    assert done.summary.blocks_resumed > 1


def test_a_file_that_comes_while_a_mask_is_traced_is_not_replaced(survey):
    out = survey / "f.gpkg"

    def write_another(event):
        if isinstance(event, StageFinished):
            out.write_text("precious")

    with pytest.raises(OutputError, match=r"already holds f\.gpkg"):
        cg.vectorize(survey / "m_2024-05-01.tif", out, listener=write_another)
    assert out.read_text() == "precious"
    assert not list(survey.glob(".*"))


def test_a_file_takes_what_its_writer_keeps_beside_it_away_and_no_draft_of_another(tmp_path):
    beside = {"f.gpkg": "{}.tmp_rtree_canopy.db", "f.fgb": "{stem}_temp.fgb", "f.geojsonl": "{}-x"}

    @contextmanager
    def writing(out):
        with drafted(tmp_path / out, "layers", overwrite=False, listener=lambda event: None) as draft:
            files = [draft, draft.with_name(beside.get(out, "{}.x").format(draft.name, stem=draft.stem))]
            for file in files:
                file.write_text(out)
            yield
            assert [file.read_text() for file in files] == [out, out]

    with ExitStack() as stack:
        for out in beside:
            stack.enter_context(writing(out))
        for out in ("f.geojson", "f.parquet"):
            with writing(out):
                pass
    assert {p.name for p in tmp_path.iterdir()} == {*beside, "f.geojson", "f.parquet"}


@pytest.mark.skipif(sys.platform == "win32", reason="a folder cannot be opened there")
def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(tmp_path, monkeypatch):
    draft, target = tmp_path / "draft", tmp_path / "target"
    draft.write_text("new")
    target.write_text("old")
    places = {path.stat().st_ino: path.name for path in (draft, tmp_path)}
    sync, seen = os.fsync, []

    def noting(handle):
        seen.append((places[os.fstat(handle).st_ino], target.read_text()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", noting)
    move(draft, target)
    assert seen == [("draft", "old"), (tmp_path.name, "new")]


FULL_DISK = """
import resource, sys
from pathlib import Path
from pipeline.test_outputs_kept import OUTS, write
import cropseg_geo as cg
folder = Path(sys.argv[1])
for name in OUTS:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
    try:
        write(name, folder)
        print(name, "wrote")
    except cg.CropsegError as err:
        print(name, type(err).__name__, str(err).replace(chr(10), " "))
"""


def test_a_full_disk_is_reported_for_the_file_that_was_asked_for_and_the_earlier_one_stays(survey):
    for out in OUTS.values():
        (survey / out).write_text("earlier")
    before = sorted(p.name for p in survey.iterdir())
    # No file may grow further than a limit: what a full disk is to the program that writes.
    command = [sys.executable, "-c", FULL_DISK, survey]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=200
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(OUTS), done.stdout + done.stderr[-3000:]
    for line, (name, out) in zip(lines, OUTS.items(), strict=True):
        assert line.startswith(f"{name} OutputError "), line
        assert str(survey / out) in line  # not the name that it is drafted under
        assert "space" in line
    assert {(survey / out).read_text() for out in OUTS.values()} == {"earlier"}
    assert sorted(p.name for p in survey.iterdir()) == before


def test_the_command_says_how_much_space_is_left_and_gdal_nothing(tmp_path, monkeypatch):
    write_raster(tmp_path / "m.tif", np.eye(300, dtype=np.uint8)[None], nodata=255)
    program = """
import resource, shutil, sys
from cropseg_geo.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, resource.RLIM_INFINITY))
shutil.disk_usage = lambda path: shutil._ntuple_diskusage(9_000_000, 8_600_000, 400_000)
sys.argv = ["cropseg", "vectorize", "m.tif", "-o", "m.gpkg", "-q"]
main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    error, remedy = done.stderr.splitlines()
    assert error.startswith("Error: m.gpkg could not be written: 0.4 MB are left on its disk; ")
    assert "free space" in remedy


def test_a_report_whose_name_and_format_disagree_is_refused(survey):
    with pytest.raises(cg.CropsegError, match=r"ends in \.html, but --format is png"):
        make_report(survey / "m_2024-05-01.tif", survey / "r.html", file_format="png")
    assert not (survey / "r.html").exists()


@pytest.fixture
def windows(monkeypatch):
    """A set of paths that nobody can move or replace, as if other programs had them open on Windows."""
    held, replace = set(), os.replace

    def replace_unheld(source, target):
        if {Path(source), Path(target)} & held:
            raise PermissionError(errno.EACCES, "used by another process", str(source))
        replace(source, target)

    monkeypatch.setattr(os, "replace", replace_unheld)
    monkeypatch.setattr("cropseg_geo.outputs.refusals._ON_WINDOWS", True)
    monkeypatch.setattr("cropseg_geo.paths._PATIENCE_S", 0.1)
    return held


def seen(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.mark.parametrize("moment", [None, StageStarted, StageFinished])
def test_outputs_that_other_programs_have_open_are_all_named_before_one_is_replaced(
    tmp_path, windows, moment
):
    raster, out = write_raster(tmp_path / "field.tif", scene(64, 64)), tmp_path / "out"
    how = {"plots": write_plots(tmp_path / "plots.gpkg", [(0, 0, 0.3, 0.3)]), "overwrite": True}
    cg.segment(raster, out, **how)
    earlier, stages = seen(out), []
    opened = {out / "field_plots.csv", out / "field_mask.tif"}

    def open_them(event):
        stages.extend([event] if isinstance(event, StageStarted) else [])
        windows.update(opened if moment and isinstance(event, moment) else ())

    if moment is None:
        windows.update(opened)
        with pytest.raises(
            OutputError, match=r"field_mask\.tif, .*field_plots\.csv: open in another program"
        ):
            cg.check(raster, out, **how)
    with pytest.raises(OutputError, match=r"field_mask\.tif, .*field_plots\.csv: open in another program"):
        cg.segment(raster, out, listener=open_them, **how, threshold=0.9)
    assert bool(stages) == bool(moment)
    assert seen(out) == earlier
    windows.clear()
    cg.segment(raster, out, **how, threshold=0.9)
    assert seen(out) != earlier


def test_a_geopackage_on_another_machine_that_is_locked_is_refused(survey, monkeypatch):
    """As Windows names such files, SQLite takes no URI of them."""
    connect = sqlite3.connect

    def connect_by_path(name, **how):
        if how.get("uri"):
            raise sqlite3.OperationalError("invalid uri authority: server")
        return connect(name, **how)

    monkeypatch.setattr("cropseg_geo.outputs.refusals.sqlite3.connect", connect_by_path)
    with closing(connect(survey / "f.gpkg")) as other:
        other.execute("CREATE TABLE theirs (a)")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="open in another program"):
            write("vectorize", survey)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO])
def test_a_file_system_that_syncs_no_folder_gets_its_files(survey, monkeypatch, number):
    """As folders that virtual machines share, and shares of Windows seen from Linux."""
    sync = os.fsync

    def sync_files(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        sync(handle)

    monkeypatch.setattr(os, "fsync", sync_files)
    write("vectorize", survey)
    assert len(gpd.read_file(survey / "f.gpkg", layer="canopy")) > 100


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")
def test_every_file_of_a_run_has_the_permissions_that_the_umask_leaves(tmp_path):
    raster = write_raster(tmp_path / "a.tif", scene(64, 64))
    command = [
        sys.executable,
        "-m",
        "cropseg_geo.cli",
        "segment",
        str(raster),
        "-q",
        "-o",
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True, umask=0o002)
    assert {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "o").iterdir()} == {"0o664"}
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["a.gpkg", "a_mask.tif", "a_prob.tif"]
