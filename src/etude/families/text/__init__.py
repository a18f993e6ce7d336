"""Classifiers of sentences: networks that read tokens and tell classes apart, trained with cross-entropy."""
