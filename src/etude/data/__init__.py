"""Data sets as tensors in memory, by name: `load("mnist")`."""

from etude.data.dataset import Dataset, Split, hold_out
from etude.data.kinds import Images, Kind, Table
from etude.data.loading import load

__all__ = ["Dataset", "Images", "Kind", "Split", "Table", "hold_out", "load"]
