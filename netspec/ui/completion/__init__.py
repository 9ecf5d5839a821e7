"""Completion in bash, zsh and fish: what can come next, and the scripts by which the shells ask for it."""
