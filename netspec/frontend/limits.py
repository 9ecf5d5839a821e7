"""Bounds on what a spec may ask of the frontend. They are raised from Python or the command line, never from inside a spec."""

from __future__ import annotations

SPEC_BYTES = 64 * 1024
LINE_LENGTH = 4096
NESTING = 64
LAYERS = 10_000
EXPANSION_STEPS = 15_000
"""Chain elements visited while defs and value lists are expanded: work is bounded even where no layer comes of it."""
VALUE_SIZE = 256
"""Values inside one value: calls whose arguments are calls, through `let`s too."""
NAME_LENGTH = 64
INTEGER = 2**63 - 1
FILES = 100
"""Files that a text uses, directly or through others."""
