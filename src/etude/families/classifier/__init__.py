"""Classifiers: networks that tell classes apart, trained with cross-entropy."""
