"""Transforms of the language, one file each."""
