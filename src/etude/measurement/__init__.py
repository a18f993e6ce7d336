"""The metrics of a run: `measure(run)` computes what fits it and keeps the results in the run's folder."""

from etude.measurement.catalogue import fitting
from etude.measurement.measuring import measure
from etude.measurement.results import Measurement, Result
from etude.measurement.settings import Settings

__all__ = ["Measurement", "Result", "Settings", "fitting", "measure"]
