"""Where runs lie, and how a run folder is known."""

from pathlib import Path

RUNS = Path("runs")
"""Folder of the runs that were given none of their own, in the working folder."""
FILES = {"spec.net", "spec.resolved.net", "events.jsonl", "plan.txt", "env.json"}
"""By any of them a folder is known as one of a run; a results.csv is in that of a sweep too."""
