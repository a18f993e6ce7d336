"""Sizes of convolutions: one layer along one axis, the search for those that fit, chains, and how they are shown."""
