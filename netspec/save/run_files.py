"""How a run folder is known."""

FILES = {"spec.net", "spec.resolved.net", "events.jsonl", "plan.txt", "env.json"}
"""By any of them a folder is known as one of a run; a results.csv is in that of a sweep too."""
