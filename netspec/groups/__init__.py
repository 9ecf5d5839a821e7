"""Graph to fusion groups."""
