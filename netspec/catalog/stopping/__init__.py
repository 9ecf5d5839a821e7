"""Stopping rules of the language, one file each."""
