"""Training: from a recipe to a run folder, and on from where a run stopped."""

from etude.training.display import Display
from etude.training.start import resume, train

__all__ = ["Display", "resume", "train"]
