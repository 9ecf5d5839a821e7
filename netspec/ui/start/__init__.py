"""A starting spec for data: which source reads it, what it holds, and a net and a training that suit it."""
