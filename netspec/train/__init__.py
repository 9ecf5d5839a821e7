"""From prepared rows to a trained network: labels, splits, normalisation, the loop, its records."""
