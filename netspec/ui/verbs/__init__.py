"""One module a verb, each with `run`, which returns the exit code."""
