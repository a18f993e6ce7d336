"""The metrics of a run: `measure(run)` computes what fits it and keeps the results in the run's folder."""

from etude.measure.catalogue import fitting
from etude.measure.measuring import measure
from etude.measure.settings import Settings

__all__ = ["Settings", "fitting", "measure"]
