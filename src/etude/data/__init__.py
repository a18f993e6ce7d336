"""Data sets as tensors in memory, by name: `load("mnist")`."""

from etude.data.dataset import Dataset, Split, hold_out
from etude.data.loading import load

__all__ = ["Dataset", "Split", "hold_out", "load"]
