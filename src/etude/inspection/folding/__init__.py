"""Layers that fold into others, each fold proved."""
