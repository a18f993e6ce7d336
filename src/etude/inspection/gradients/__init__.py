"""Whether gradients are right, and whether they arrive."""
