"""A run on disk: its folder, its checkpoints, its metrics, and its networks once trained."""

from etude.runs.folder import create_run, default_runs_dir, find, list_paths, load
from etude.runs.run import Run
from etude.runs.state import RunStatus

__all__ = ["Run", "RunStatus", "create_run", "default_runs_dir", "find", "list_paths", "load"]
