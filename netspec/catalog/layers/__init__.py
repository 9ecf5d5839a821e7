"""Layers of the language, one file each."""
