"""Data sets as tensors in memory, by name: `load("mnist")`."""

from etude.data.catalog import load
from etude.data.dataset import Dataset, Split, hold_out

__all__ = ["Dataset", "Split", "hold_out", "load"]
