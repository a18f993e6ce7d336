"""Sweeps: one recipe with several seeds and settings, on all cores; means with intervals; paired comparisons."""

from etude.sweeps.comparison import Comparison, Comparisons, compare
from etude.sweeps.folder import Sweep, load
from etude.sweeps.grid import Cell, make_cells, parse_grid
from etude.sweeps.measured import MeasuredSweep, measure_sweep
from etude.sweeps.results import CellResult, Results, collect
from etude.sweeps.start import resume, sweep

__all__ = [
    "Cell",
    "CellResult",
    "Comparison",
    "Comparisons",
    "MeasuredSweep",
    "Results",
    "Sweep",
    "collect",
    "compare",
    "load",
    "make_cells",
    "measure_sweep",
    "parse_grid",
    "resume",
    "sweep",
]
