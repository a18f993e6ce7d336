"""Translators: an encoder reads a sentence, a decoder writes its translation word by word."""
