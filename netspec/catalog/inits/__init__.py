"""Inits of the language, one file each."""
