"""What a run looks like to a reader: its figures."""
