"""Figures of training as people read them."""

from __future__ import annotations

LEAST, MOST = 1e-3, 1e5
"""Between them four decimals show a figure as it is; beyond them its first four digits do."""


LARGEST_DRAWN = 1e300
"""Sums of larger figures, and the ends of axes around them, are infinite."""


def is_drawn(value: float) -> bool:
    """Whether a chart can show it."""
    return abs(value) < LARGEST_DRAWN


def shown_figure(value: float) -> str:
    """`0.0712`, `3.4e-05`, `1.433e+27`."""
    return f"{value:.4f}" if value == 0 or LEAST <= abs(value) < MOST else f"{value:.4g}"
