"""Libraries of extras, imported where they are used; a missing one gives one line that names the extra."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, cast

from netspec.base.errors import UsageError


def installed(module: str) -> bool:
    """Whether the library can be imported; it then is."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError:
        return False
    return True


def library(module: str, extra: str) -> Any:
    """The module of an optional library. Raises UsageError with the command that installs it, or what it needs itself."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise lacking(error, module, f"'netspec[{extra}]'") from None


def tool(module: str, name: str) -> Any:
    """The module of a library that no extra brings. Raises UsageError with the command that installs it, by its `name`."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise lacking(error, module, name) from None


def lacking(error: ModuleNotFoundError, module: str, wanted: str) -> UsageError:
    """For a module that could not be imported, be it that one itself or one that it needs, and what pip is to install."""
    return UsageError(f"this needs {(error.name or module).split('.', maxsplit=1)[0]}: pip install {wanted}")


@contextmanager
def left_out(module: str) -> Iterator[None]:
    """Within, a library that takes another along where it is there, and can do without, is imported without it."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = cast(ModuleType, None)  # which Python takes for a module that is not there
    try:
        yield
    finally:
        del sys.modules[module]
