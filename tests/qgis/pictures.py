"""Draw the documentation's pictures of QGIS anew, in a real window: from the zip to the coloured plots.

    uv build --wheel -o wheels && pip download -d wheels wheels/*.whl
    uv run python tests/qgis/pictures.py wheels

The engine is installed from the folder of wheels, as a user without a connection does it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from qgis_desktop import visit_window  # noqa: E402 - found only now

from qgis_plugin import package  # noqa: E402

HELP, DOCS = package.PLUGIN / "help", ROOT / "docs"
ALGORITHMS = ("pipeline", "segment", "vectorize", "makeplots", "plotstats", "check", "installengine")
PICTURES: list[tuple[str, Path, int | None]] = [
    ("welcome-1", DOCS / "qgis-welcome.png", None),
    ("welcome-1", HELP / "welcome.png", None),
    ("options", DOCS / "qgis-options.png", None),
    ("options", HELP / "options.png", None),
    ("result", DOCS / "qgis-result.png", 1200),
    ("result", HELP / "result.png", 1000),
    *[(f"dialog-{name}", HELP / f"dialog-{name}.png", None) for name in ALGORITHMS],
]
"""What ``window.py`` calls a picture, where it goes, and how wide it is made (px)."""


def main(wheels: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="cropseg-") as place:
        folder = Path(place)
        order = {
            "package": str(package.write_package(folder / "dist")),
            "engine": "",
            "wheels": str(wheels.resolve()),
            "sample": str(folder / "CropSeg sample field"),
            "dialogs": list(ALGORITHMS),
            "job": {"OUTPUT": str(folder / "results")},
        }
        seen = visit_window(folder, order, timeout_s=1200)
        print(f"{seen['installed']}\ninstalled in {seen['installation took']:.0f} s")
        for name, target, width in PICTURES:
            shrink(Image.open(seen["pictures"] / f"{name}.png"), width).save(target, optimize=True)


def shrink(picture: Image.Image, width: int | None) -> Image.Image:
    """The picture in a width, with 256 colours."""
    if width is not None:
        height = round(picture.height * width / picture.width)
        picture = picture.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    return picture.convert("RGB").quantize(
        256, method=Image.Quantize.FASTOCTREE, kmeans=2, dither=Image.Dither.NONE
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
