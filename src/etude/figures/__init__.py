"""The figures of a run, by name."""
