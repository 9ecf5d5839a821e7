"""Finds the catalogue's entries: every module of a folder is imported, every named class of the folder's contract in it is an entry.

A class that a user defines outside the package is registered by being defined.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType
from typing import TypeVar

from netspec.base.clip import Clip
from netspec.base.dataset import DataSource
from netspec.base.entry import Entry
from netspec.base.initializer import Initializer
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import RateSchedule
from netspec.base.transform import Transform

EntryT = TypeVar("EntryT", bound=Entry)
FOLDERS: dict[type[Entry], str] = {
    Layer: "layers", Loss: "losses", Optimizer: "optimizers", Initializer: "inits", DataSource: "sources",
    RateSchedule: "schedules", Clip: "clips",
    Transform: "transforms",
}  # fmt: skip


@cache
def _import_folder(folder: str) -> None:
    package = importlib.import_module(f"netspec.catalog.{folder}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"netspec.catalog.{folder}.{module.name}")


def _named(contract: type[EntryT]) -> list[type[EntryT]]:
    found = [contract] if "name" in contract.__dict__ else []
    for subclass in contract.__subclasses__():
        found += _named(subclass)
    return found


def entries(contract: type[EntryT]) -> MappingProxyType[str, type[EntryT]]:
    """All entries of one contract by name, in alphabetical order; a later definition of the same name wins."""
    _import_folder(FOLDERS[contract])
    named = _named(contract)
    # found through the layer or loss whose word they share
    forms = {getattr(entry, form, None) for entry in named for form in ("head_form", "smoothed")}
    found = {entry.name: entry for entry in named if entry not in forms}
    return MappingProxyType(dict(sorted(found.items())))
