"""``python -m cropseg_geo.cli``."""

from cropseg_geo.cli import main

main()
