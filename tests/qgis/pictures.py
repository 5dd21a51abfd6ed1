"""Draw the documentation's pictures of QGIS anew, in a real window: from the zip to the coloured plots.

    uv build --wheel -o wheels && pip download -d wheels wheels/*.whl
    uv run python tests/qgis/pictures.py wheels

The engine is installed from the folder of wheels, as a user without a connection does it.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from qgis_desktop import visit_window  # noqa: E402 - found only now

from qgis_plugin import package  # noqa: E402

HELP, DOCS = package.PLUGIN / "help", ROOT / "docs"
ALGORITHMS = (
    "pipeline",
    "segment",
    "vectorize",
    "makeplots",
    "plotstats",
    "plotseries",
    "report",
    "check",
    "installengine",
)
MESSAGE_BAR_PX = 200
PICTURES: list[tuple[str, Path, int | None]] = [
    ("installed", DOCS / "qgis-installed.png", 1000),
    ("welcome-1", DOCS / "qgis-welcome.png", None),
    ("welcome-1", HELP / "welcome.png", None),
    ("welcome-installed", DOCS / "qgis-engine.png", None),
    ("welcome-2", DOCS / "qgis-sample.png", None),
    ("welcome-3", DOCS / "qgis-next.png", None),
    ("sample", DOCS / "qgis-field.png", 1000),
    ("options", DOCS / "qgis-options.png", None),
    ("options", HELP / "options.png", None),
    ("result", DOCS / "qgis-result.png", 1200),
    ("result", HELP / "result.png", 1000),
    *[(f"dialog-{name}", HELP / f"dialog-{name}.png", None) for name in ALGORITHMS],
]
"""What ``window.py`` calls a picture, where it goes, and how wide it is made (px)."""

HOME = Path("/var/tmp/field")  # nosec B108 # made anew, and refused if it is there
"""The user's home, whose path is seen in the pictures; QGIS marks layers below ``/tmp`` as temporary."""


def main(wheels: Path) -> None:
    HOME.mkdir()
    try:
        order = {
            "package": str(package.write_package(HOME / "dist")),
            "engine": "",
            "wheels": str(wheels.resolve()),
            "sample": str(HOME / "CropSeg sample field"),
            "dialogs": list(ALGORITHMS),
            "job": {"OUTPUT": str(HOME / "results")},
        }
        seen = visit_window(HOME, order, timeout_s=1200)
        print(f"{seen['installed']}\ninstalled in {seen['installation took']:.0f} s")
        for name, target, width in PICTURES:
            picture = Image.open(seen["pictures"] / f"{name}.png")
            if name == "installed":
                picture = picture.crop((0, 0, picture.width, MESSAGE_BAR_PX))
            shrink(picture, width).save(target, optimize=True)
    finally:
        shutil.rmtree(HOME)


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
