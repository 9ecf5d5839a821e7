"""PyTorch as an independent reference."""

from typing import Any

import pytest


def pytorch() -> Any:
    """PyTorch on one thread: its threads wait for one another, on a busy machine for milliseconds. Where it is missing, the test skips."""
    found = pytest.importorskip("torch", reason="PyTorch is not installed")
    found.set_num_threads(1)
    return found
