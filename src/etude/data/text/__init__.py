"""Texts as data: divided into tokens, numbered by a vocabulary, read from files or made."""
