"""Data sets as tensors in memory, by name: `load("mnist")`."""

from etude.data.dataset import Dataset, hold_out
from etude.data.kinds import Images, Kind, Table
from etude.data.loading import load
from etude.data.split import Split

__all__ = ["Dataset", "Images", "Kind", "Split", "Table", "hold_out", "load"]
