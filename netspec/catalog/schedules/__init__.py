"""Schedules of the language, one file each."""
