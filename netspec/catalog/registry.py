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
from netspec.base.stopping import StoppingRule
from netspec.base.transform import Transform

EntryT = TypeVar("EntryT", bound=Entry)
FOLDERS: dict[type[Entry], str] = {
    Layer: "layers", Loss: "losses", Optimizer: "optimizers", Initializer: "inits", DataSource: "sources",
    StoppingRule: "stopping",
    RateSchedule: "schedules", Clip: "clips",
    Transform: "transforms",
}  # fmt: skip


@cache
def _files(folder: str) -> frozenset[str]:
    """Names of a folder's modules."""
    package = importlib.import_module(f"netspec.catalog.{folder}")
    return frozenset(module.name for module in pkgutil.iter_modules(package.__path__))


@cache
def _import_folder(folder: str) -> None:
    for name in sorted(_files(folder)):
        importlib.import_module(f"netspec.catalog.{folder}.{name}")


def _named(contract: type[EntryT]) -> list[type[EntryT]]:
    found = [contract] if "name" in contract.__dict__ else []
    for subclass in contract.__subclasses__():
        found += _named(subclass)
    return found


def entry_of(contract: type[EntryT], name: str) -> type[EntryT] | None:
    """The entry of that name, if there is one. Where it stands in a file of its name, no other file is imported: a text names one source,
    and all of them take 30 ms."""
    if name in _files(FOLDERS[contract]):
        importlib.import_module(f"netspec.catalog.{FOLDERS[contract]}.{name}")
        return _by_name(contract).get(name)
    return entries(contract).get(name)


def entries(contract: type[EntryT]) -> MappingProxyType[str, type[EntryT]]:
    """All entries of one contract by name, in alphabetical order; a later definition of the same name wins."""
    _import_folder(FOLDERS[contract])
    return MappingProxyType(dict(sorted(_by_name(contract).items())))


def _by_name(contract: type[EntryT]) -> dict[str, type[EntryT]]:
    """What has been imported or defined so far."""
    named = _named(contract)
    # found through the layer or loss whose word they share
    forms = {getattr(one, form, None) for one in named for form in ("head_form", "smoothed")}
    return {one.name: one for one in named if one not in forms}
