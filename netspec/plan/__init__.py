"""Launches to a table over one arena, and what runs it."""
