"""Optimizers of the language, one file each."""
