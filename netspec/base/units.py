"""Sizes in words."""

from __future__ import annotations


def bytes_in_words(count: float) -> str:
    """`1.5 MB`; powers of 1000."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB"))


def flops_in_words(count: float) -> str:
    """`30.7 MFLOP`; powers of 1000."""
    return _scaled(count, ("FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP"))


def short_count(count: float) -> str:
    """`30.7M`; powers of 1000."""
    return _scaled(count, ("", "k", "M", "G", "T"), "")


def _scaled(count: float, units: tuple[str, ...], gap: str = " ") -> str:
    place = 0
    while count >= 999.5 and place < len(units) - 1:
        count, place = count / 1000, place + 1
    number = f"{count:.0f}" if place == 0 or count >= 99.95 else f"{count:.1f}"
    return f"{number}{gap}{units[place]}"
