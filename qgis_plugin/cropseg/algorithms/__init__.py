"""The algorithms, in the order of the work."""

from .check import CheckAlgorithm
from .install_engine import InstallEngineAlgorithm
from .make_plots import MakePlotsAlgorithm
from .pipeline import PipelineAlgorithm
from .plot_series import PlotSeriesAlgorithm
from .plot_stats import PlotStatsAlgorithm
from .report import ReportAlgorithm
from .segment import SegmentAlgorithm
from .vectorize import VectorizeAlgorithm

ALGORITHMS = (
    PipelineAlgorithm,
    CheckAlgorithm,
    SegmentAlgorithm,
    VectorizeAlgorithm,
    MakePlotsAlgorithm,
    PlotStatsAlgorithm,
    PlotSeriesAlgorithm,
    ReportAlgorithm,
    InstallEngineAlgorithm,
)
