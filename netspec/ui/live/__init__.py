"""A run as it goes on, in the terminal."""
