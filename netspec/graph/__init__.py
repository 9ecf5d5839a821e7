"""Program to graph of shaped values."""
