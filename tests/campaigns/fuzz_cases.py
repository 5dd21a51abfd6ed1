"""The cases of the campaign on bad input: each kind damages its own seeds; equal numbers, equal cases.

``python fuzz_cases.py KIND FIRST N`` runs N of them in a process of its own and prints what it found as JSON.
The name of each case goes to standard error before it starts, so that whoever started the process knows which
one it died of.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import geopandas as gpd
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [
    str(p) for p in (ROOT, ROOT / "tests", ROOT / "tests" / "campaigns") if str(p) not in sys.path
]

import fuzz_documents as documents  # noqa: E402
import fuzz_plots  # noqa: E402
from fuzz_judge import Findings  # noqa: E402
from fuzz_mutations import byte_mutant, json_mutant, tiff_mutant  # noqa: E402
from fuzz_rasters import formula_for_a_network, raster_seeds, segment_and_check  # noqa: E402

from cropseg_geo.events import CropsegWarning  # noqa: E402

Case = tuple[str, Callable[[], None]]
"""A name and an attempt, which raises what the product raises, or AssertionError for a wrong answer."""


def raster_cases(folder: Path, numbers: range) -> Iterator[Case]:
    """Rasters of every layout with damaged bytes, and TIFFs with damaged directories."""
    seeds = raster_seeds(folder)
    names = list(seeds)
    for k in numbers:
        rng = np.random.default_rng([1, k])
        name = names[k % len(names)]
        is_tiff = name.endswith(".tif") and name != "big.tif" and k // len(names) % 2
        damaged = (tiff_mutant if is_tiff else byte_mutant)(seeds[name], rng)
        yield f"raster {k} ({name})", _raster_attempt(folder / "case" / name, damaged)


def _raster_attempt(path: Path, data: bytes) -> Callable[[], None]:
    def attempt() -> None:
        path.write_bytes(data)
        segment_and_check(path, path.parent / "out")

    return attempt


def plots_cases(folder: Path, numbers: range) -> Iterator[Case]:
    """Plots files with damaged bytes or values, and whole files and frames of odd plots."""
    mask = fuzz_plots.write_mask(folder / "mask.tif")
    canopy = fuzz_plots.canopy_of(mask)
    seeds = fuzz_plots.plot_seeds(folder)
    for k in numbers:
        rng = np.random.default_rng([2, k])
        plots, name = _damaged_plots(folder / "case", seeds, k, rng)
        out = folder / "case" / f"out.{('gpkg', 'csv')[k % 2]}"
        stats = "all" if k % 3 == 0 else "coverage"

        def attempt(plots=plots, out=out, stats=stats) -> None:
            given = plots() if callable(plots) else plots
            fuzz_plots.measure_and_check(mask, canopy, given, out, stats=stats)

        yield f"plots {k} ({name})", attempt


def _damaged_plots(folder: Path, seeds: dict[str, bytes], k: int, rng: np.random.Generator):
    kinds = [*seeds, "frame", "odd.gpkg", "odd.geojson", "odd.fgb", "odd.parquet"]
    name = kinds[k % len(kinds)]
    if name == "frame":
        return fuzz_plots.odd_frame(rng), name
    path = folder / name
    if name.startswith("odd"):
        frame = fuzz_plots.odd_frame(rng)

        def written() -> Path:
            fuzz_plots.write_as_it_comes(frame, path)
            return path

        return written, name
    if name.endswith("json") and k // len(kinds) % 2:
        data = json.dumps(json_mutant(json.loads(seeds[name]), rng)).encode()
    else:
        data = byte_mutant(seeds[name], rng)

    def damaged() -> Path:
        path.write_bytes(data)
        return path

    return damaged, name


def document_cases(folder: Path, numbers: range) -> Iterator[Case]:
    """Cards, model files, field books and jobs with damaged bytes or values."""
    card = json.loads(documents.CARD.to_json())
    weights, graph = documents.weights_seed(folder), documents.onnx_seed(folder)
    head = int.from_bytes(weights[:8], "little")
    fuzz_plots.plot_seeds(folder)
    frame = gpd.read_file(folder / "a.gpkg")
    mask = fuzz_plots.write_mask(folder / "mask.tif")
    jobs = documents.job_seeds(mask, folder / "a.gpkg", folder / "case")
    case = folder / "case"

    def card_values(rng: np.random.Generator) -> None:
        documents.read_card_and_check(json.dumps(json_mutant(card, rng)))

    def card_bytes(rng: np.random.Generator) -> None:
        documents.read_card_and_check(_text(byte_mutant(json.dumps(card).encode(), rng)))

    def weights_bytes(rng: np.random.Generator) -> None:
        documents.load_weights_and_check(_written(case / "x.safetensors", byte_mutant(weights, rng)))

    def weights_header(rng: np.random.Generator) -> None:
        header = json.dumps(json_mutant(json.loads(weights[8 : 8 + head]), rng)).encode()
        data = len(header).to_bytes(8, "little") + header + weights[8 + head :]
        documents.load_weights_and_check(_written(case / "x.safetensors", data))

    def onnx_bytes(rng: np.random.Generator) -> None:
        documents.load_onnx_and_check(_written(case / "x.onnx", byte_mutant(graph, rng)))

    def book_bytes(rng: np.random.Generator) -> None:
        data = byte_mutant(fuzz_plots.book_seed(), rng)
        fuzz_plots.read_book_and_check(_written(case / "x.csv", data), frame)

    def job_values(rng: np.random.Generator) -> None:
        job = jobs[int(rng.integers(len(jobs)))]
        documents.do_job_and_check(json.dumps(json_mutant(job, rng)), case)

    def job_bytes(rng: np.random.Generator) -> None:
        job = jobs[int(rng.integers(len(jobs)))]
        documents.do_job_and_check(_text(byte_mutant(json.dumps(job).encode(), rng)), case)

    kinds = (
        card_values, card_bytes, weights_bytes, weights_header, onnx_bytes, book_bytes, job_values, job_bytes,
    )  # fmt: skip
    for k in numbers:
        kind = kinds[k % len(kinds)]
        yield f"{kind.__name__} {k}", lambda kind=kind, k=k: kind(np.random.default_rng([3, k]))


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


KINDS = {"raster": raster_cases, "plots": plots_cases, "document": document_cases}


def run_cases(
    kind: str, folder: Path, numbers: range, *, before: Callable[[str], None] = lambda _: None
) -> Findings:
    """Run cases one after another, each in an empty folder ``case``."""
    findings, case = Findings(), folder / "case"
    with formula_for_a_network():
        for name, attempt in KINDS[kind](folder, numbers):
            case.mkdir()
            before(name)
            findings.judge(name, attempt)
            shutil.rmtree(case)
    return findings


def main(kind: str, first: str, n: str) -> None:
    """Entry point of a process that runs cases."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", CropsegWarning)
    with tempfile.TemporaryDirectory() as folder:
        numbers = range(int(first), int(first) + int(n))
        findings = run_cases(
            kind, Path(folder), numbers, before=lambda name: print(name, file=sys.stderr, flush=True)
        )
    print(json.dumps(vars(findings)))


if __name__ == "__main__":
    main(*sys.argv[1:])
