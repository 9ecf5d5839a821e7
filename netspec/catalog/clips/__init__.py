"""Bounds on gradients, one file each."""
