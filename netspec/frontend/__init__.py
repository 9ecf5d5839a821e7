"""Text to syntax tree to validated program."""
