"""``python -m sample_tiles`` writes the sample field; ``--size 16384 -o big.tif`` a large orthomosaic."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sample_tiles.field import Field
from sample_tiles.write import default_workers, write_field, write_mosaic


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.lower().partition("x")
    return int(height), int(width or height)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sample_tiles", description=__doc__)
    parser.add_argument("--size", type=_size, metavar="N or HEIGHTxWIDTH", help="pixels of 1 cm; needs -o")
    parser.add_argument("-o", "--out", type=Path, help="orthomosaic to write (with --size)")
    parser.add_argument("--truth", type=Path, help="truth mask to write too (with --size)")
    parser.add_argument("--compress", default="webp", choices=["webp", "deflate", "zstd", "lzw"])
    parser.add_argument(
        "--folder", type=Path, default=Path(__file__).parent, help="where the sample set goes"
    )
    parser.add_argument("--seed", type=int, default=Field.seed)
    parser.add_argument("--workers", type=int, default=default_workers(), help="processes")
    options = parser.parse_args()
    if (options.size is None) != (options.out is None):
        parser.error("--size and -o belong together; without both, the sample set is written")
    return options


def main() -> None:
    """Parse, write, say what was written and how fast."""
    options = _arguments()
    height, width = options.size or (Field.height, Field.width)
    field = Field(height=height, width=width, seed=options.seed)
    start = time.perf_counter()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        task = bar.add_task(f"field of {height} × {width} px")

        def progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        if options.out is None:
            options.folder.mkdir(parents=True, exist_ok=True)
            files = write_field(field, options.folder, workers=options.workers, progress=progress)
        else:
            extra = {"truth": options.truth, "compress": options.compress}
            write_mosaic(field, options.out, workers=options.workers, progress=progress, **extra)
            files = [path for path in (options.out, options.truth) if path is not None]
    seconds = time.perf_counter() - start
    for path in files:
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    print(f"{seconds:.0f} s, {height * width / 1e6 / seconds:.1f} MP/s")


if __name__ == "__main__":
    main()
