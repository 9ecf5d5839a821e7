"""Sweeps: a study in a database, workers that take its trials, and what came of them."""
