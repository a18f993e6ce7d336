"""Data sets as tensors in memory, by name: `load("mnist")`."""

from etude.data.dataset import Dataset, hold_out
from etude.data.kinds import Images, Kind, RunningText, Table, TokenPairs, Tokens
from etude.data.loading import load
from etude.data.reading import Reading
from etude.data.split import Split

__all__ = [
    "Dataset",
    "Images",
    "Kind",
    "Reading",
    "RunningText",
    "Split",
    "Table",
    "TokenPairs",
    "Tokens",
    "hold_out",
    "load",
]
