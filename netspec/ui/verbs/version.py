"""`netspec --version`."""

from __future__ import annotations

from importlib.metadata import version


def run() -> int:
    """Prints the version of the package."""
    print(f"netspec {version('netspec')}")
    return 0
