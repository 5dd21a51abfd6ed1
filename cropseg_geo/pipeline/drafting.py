"""The work of a segmentation: pixels in, every file of the result in the work folder.

The overall strategy: blocks are drawn from the engine as they are computed, blended and written; a second
thread traces polygons from the mask as it grows. So reading, inference, writing and tracing go on side by
side, and what is left when the last tile is inferred is one row of blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cropseg_geo.engine.blend import Fixed, joined
from cropseg_geo.engine.finish import Drafts, PixelCounts, source_steps, working_steps, write_rasters
from cropseg_geo.engine.graph import Inference, Job
from cropseg_geo.engine.run import Progress, Tally, computed_blocks
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.tiles import load_fill
from cropseg_geo.engine.workers import Workers
from cropseg_geo.events import Listener
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.outputs.rasters import output_ground, provenance, raster_layouts
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.preflight import Preflight
from cropseg_geo.raster.band_names import BAND_NAMES
from cropseg_geo.raster.bands import Bands, open_bands
from cropseg_geo.raster.cog import CogWriter
from cropseg_geo.raster.heights import Heights
from cropseg_geo.raster.mask import GrowingMask, Mask
from cropseg_geo.vector.options import Outlines

if TYPE_CHECKING:  # tiles are inferred before frames are needed
    import geopandas as gpd

    from cropseg_geo.layers import CanopyTotals
    from cropseg_geo.plots.layout import Plots

Steps = Iterator[tuple[Window, Fixed | None]]


@dataclass(frozen=True)
class Made:
    """What the drafts amount to; ``plots`` are their statistics, where there are plots."""

    counts: PixelCounts
    tally: Tally
    n_polygons: int
    plots: gpd.GeoDataFrame | None


def make_drafts(
    ready: Preflight,
    store: BlockStore,
    drafts: Outputs,
    *,
    outlines: Outlines,
    layout: Plots | None,
    heights: Heights | None,
    workers: Workers,
    listener: Listener,
) -> Made:
    """Compute what is not computed yet, and write every file of the result under its draft's name.

    ``listener`` is called by several threads, one at a time.

    Raises
    ------
    CropsegError
        Whatever stopped the work; finished blocks stay in the work folder.
    """
    work = drafts.mask.parent
    store.create()
    job = _job(ready, store)
    if not ready.source.all_valid:
        load_fill()
    progress = Progress(job, listener)
    progress.start()
    mask_layout, prob_layout = raster_layouts(ready, outlines)
    with (
        CogWriter(work / "mask.spool", mask_layout) as mask,
        CogWriter(work / "prob.spool", prob_layout) as prob,
        _beside(mask, prob) as pool,
        # Else the lanes would go on for as long as somebody holds the error that stopped the writing.
        closing(computed_blocks(job, workers=workers, progress=progress)) as blocks,
    ):
        growing = GrowingMask(output_ground(ready), mask, prob)
        write = partial(_write_layers, outlines=outlines, layout=layout, heights=heights, listener=listener)
        layers = pool.submit(write, ready, drafts, growing)
        blended = joined(blocks, job.plan.blocks, job.plan.channels, job.plan.extent)
        counts = write_rasters(
            _watching(layers, _steps(ready, blended, work)),
            Drafts(mask, prob),
            threshold=ready.threshold,
            n_classes=len(ready.card.classes),
            listener=listener,
        )
        for writer, path in ((mask, drafts.mask), (prob, drafts.prob)):
            writer.finish(path)
        totals, table = _awaited(layers)
    return Made(counts, progress.tally, totals.n_polygons, table)


@contextmanager
def _beside(*writers: CogWriter) -> Iterator[ThreadPoolExecutor]:
    """A thread for what reads the writers' pixels; when the block fails, it is made to stop, and awaited."""
    with ThreadPoolExecutor(1, thread_name_prefix="cropseg-layers") as pool:
        try:
            yield pool
        except BaseException:
            for writer in writers:
                writer.stop()
            raise


def _watching(beside: Future[Any], steps: Steps) -> Steps:
    """The steps, until what goes on beside fails: then its error."""
    for step in steps:
        if beside.done():
            beside.result()
        yield step


def _awaited(beside: Future[Any]) -> Any:  # Any: whatever the future holds
    """A future's result; waiting is cut into pieces so that Ctrl-C is heard on every system."""
    while not beside.done():
        wait([beside], timeout=0.5)
    return beside.result()


def _job(ready: Preflight, store: BlockStore) -> Job:
    inference = Inference(ready.predictor, ready.scale, ready.plan, ready.batch_size)
    return Job(ready.source, inference, store, region=ready.working_aoi)


def _steps(ready: Preflight, blended: Iterator[tuple[Window, Fixed]], work: Path) -> Steps:
    """Blended steps of the working grid → those of the outputs' grid."""
    if not ready.writes_source_grid:
        return working_steps(blended, ready.plan.extent)
    return source_steps(blended, ready.plan.channels, ready.source, ready.extent, ready.aoi, folder=work)


def _write_layers(
    ready: Preflight,
    drafts: Outputs,
    mask: Mask,
    *,
    outlines: Outlines,
    layout: Plots | None,
    heights: Heights | None,
    listener: Listener,
) -> tuple[CanopyTotals, gpd.GeoDataFrame | None]:
    """Mask → canopy layer, and with plots their layer and table, in the work folder."""
    # Here, in a thread of its own: these take half a second to import, while the first tiles are inferred.
    from cropseg_geo.layers import CanopyOptions, write_layers, write_layers_and_plots
    from cropseg_geo.plots.measuring.stats import write_csv

    common: dict[str, Any] = {
        "classes": ready.card.classes,
        "options": CanopyOptions(outlines, layout, heights, ready.card.colours),
        "tags": provenance(ready, outlines),
        "listener": listener,
    }
    if drafts.plots_csv is None:
        return write_layers(drafts.layers, mask, **common), None
    with _colours(ready, mask.ground) as bands:
        totals, table = write_layers_and_plots(
            drafts.layers,
            mask,
            plots_path=drafts.plots_layer or drafts.layers,
            stats=_stats_options(ready),
            bands=bands,
            **common,
        )
    write_csv(drafts.plots_csv, table)
    return totals, table


def _stats_options(ready: Preflight) -> StatsOptions:
    """Of several classes no threshold parts the likeliest one from the rest."""
    return StatsOptions(threshold=ready.threshold) if len(ready.card.classes) == 2 else StatsOptions()


def _colours(ready: Preflight, ground: Ground) -> AbstractContextManager[Bands | None]:
    """The orthomosaic for colour indices: the bands that the model saw, and others that the file names."""
    seen = zip(ready.card.bands, ready.source.bands, strict=True)
    bands = {name: number for name, number in seen if name in BAND_NAMES}
    if not bands:
        return nullcontext()
    return open_bands(ready.info.path, ground=ground, bands=bands, also_named=True)
