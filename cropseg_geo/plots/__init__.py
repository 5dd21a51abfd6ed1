"""Plot layouts and their canopy statistics."""

from cropseg_geo.plots.layout import Plots, read_plots
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.plots.quantities import Extras
from cropseg_geo.plots.stats import plot_stats, write_csv

__all__ = ["Extras", "Plots", "StatsOptions", "plot_stats", "read_plots", "write_csv"]
