"""Expressions of matrices, vectors and scalars: read, differentiated, tidied, printed, evaluated."""
