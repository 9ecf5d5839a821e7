"""Whether IPython runs this program, and whether as a kernel of a notebook. IPython is looked for, never imported."""

from __future__ import annotations

import sys
from typing import Any


def shell() -> Any | None:
    """The running shell of IPython, in a terminal or in a kernel; None without one."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return found() if found is not None else None


def in_notebook() -> bool:
    """Whether this process is a kernel, whose front end shows HTML."""
    return getattr(shell(), "kernel", None) is not None
