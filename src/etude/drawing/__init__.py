"""Pictures of arrays: pixel grids and matplotlib figures; nothing here knows of a run."""
