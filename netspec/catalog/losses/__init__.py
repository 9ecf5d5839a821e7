"""Losses of the language, one file each."""
