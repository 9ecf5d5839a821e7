"""Files of a run: weights, state, results; each whole or absent."""
