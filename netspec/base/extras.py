"""Libraries of extras, imported where they are used; a missing one gives one line that names the extra."""

from __future__ import annotations

import importlib
from typing import Any

from netspec.base.errors import UsageError


def installed(module: str) -> bool:
    """Whether the library can be imported; it then is."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return True


def library(module: str, extra: str) -> Any:
    """The module of an optional library. Raises UsageError with the command that installs it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise UsageError(f"this needs {module.split('.', maxsplit=1)[0]}: pip install 'netspec[{extra}]'") from None


def tool(module: str, name: str) -> Any:
    """The module of a library that no extra brings. Raises UsageError with the command that installs it, by its `name`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        raise UsageError(f"this needs {module.split('.', maxsplit=1)[0]}: pip install {name}") from None
