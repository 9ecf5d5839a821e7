"""Which source reads a file or folder, and how a spec names it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netspec.base.dataset import DataSource
from netspec.base.errors import DataError, UsageError
from netspec.catalog.arrays import npz_names
from netspec.catalog.paths import data_folders, resolve_path
from netspec.catalog.registry import entries, entry_of
from netspec.catalog.sources.cifar10 import BATCHES
from netspec.catalog.sources.images import SUFFIXES

INPUTS = ("x", "X", "data", "images", "features", "inputs", "x_train", "X_train", "train_x")
LABELS = ("y", "Y", "labels", "label", "target", "targets", "y_train", "Y_train", "train_y")
ARCHIVES = (".tar", ".tar.gz", ".tgz")
PARTS = {"x_train", "y_train", "x_test", "y_test"}
READ = "a table (.csv, .parquet), arrays (.npz, .npy), or a folder or zip of pictures by class"
KINDS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet", ".zip": "images"}
FILES = (*KINDS, ".npy", ".npz")
PANDAS = {
    **dict.fromkeys((".xlsx", ".xls", ".ods"), 'pandas.read_excel("table.xlsx").to_csv("table.csv", index=False)'),
    ".json": 'pandas.read_json("table.json").to_csv("table.csv", index=False)',
    ".jsonl": 'pandas.read_json("table.jsonl", lines=True).to_csv("table.csv", index=False)',
    ".feather": 'pandas.read_feather("table.feather").to_parquet("table.parquet")',
}
"""How tables of other kinds become one that is read."""


@dataclass(frozen=True)
class Place:
    """The source's name, the file or folder itself, and the keys of `data` that lead to it, with paths as the spec writes them."""

    source: str
    path: Path | None
    keys: dict[str, str] = field(default_factory=dict)
    folders: Sequence[Path] = ()


def place_of(data: Path, spec: Path, allow: Sequence[Path] = ()) -> Place:
    """Where the data of a spec lies; `allow` are folders outside the usual ones that it may lie in.

    Raises DataError for a path that a spec may not read, UsageError for what no source reads.
    """
    if not data.exists():
        if str(data) in builtin():
            return Place(str(data), None)
        raise DataError(f"{data}: no such file; {READ} is needed, or one of {', '.join(builtin())}, which come with the package")
    folders = data_folders(spec)
    real = resolve_path(data.resolve(), folders, allow)
    source, others = _source(real, data)
    keys = {key: written_path(path, folders) for key, path in others.items()}
    path = None if "path" not in others else real
    names = array_names(real) if source == "npz" else {}
    return Place(source, path, {**keys, **names}, (*folders, *allow))


def builtin() -> list[str]:
    """The names of the data sets that come with the package."""
    return [name for name, source in entries(DataSource).items() if source.builtin]  # type: ignore[type-abstract]  # none is made


def source_named(name: str) -> DataSource:
    """The source of that name."""
    entry = entry_of(DataSource, name)  # type: ignore[type-abstract]  # those that are found are none
    assert entry is not None, f"{name} is in the catalogue"
    return entry()


def _source(real: Path, shown: Path) -> tuple[str, dict[str, Path]]:
    name = real.name.lower()
    if real.is_dir():
        return _of_folder(real, shown)
    if name.endswith(".npy"):
        return "npy", _arrays(real, shown)
    if name.endswith(".npz"):
        return ("mnist" if set(npz_names(real)) >= PARTS else "npz"), {"path": real}
    if name.endswith(ARCHIVES):
        return "cifar10", {"path": real}
    if real.suffix.lower() not in KINDS:
        advice = PANDAS.get(real.suffix.lower(), "")
        raise UsageError(f"{shown}: no source reads a file of this name; {READ} is needed{advice and f'; pandas writes one: {advice}'}")
    return KINDS[real.suffix.lower()], {"path": real}


def _of_folder(folder: Path, shown: Path) -> tuple[str, dict[str, Path]]:
    names = {entry.name for entry in folder.iterdir()}
    if any(name.startswith(("train-images-idx3", "train-images.idx3")) for name in names):
        return ("fashion_mnist" if "fashion" in str(folder).lower() else "mnist"), {"path": folder}
    inner = {f"{name}/{entry.name}" for name in names if name.startswith("cifar-10") for entry in _listed(folder / name)}
    if any(name.rsplit("/", 1)[-1].removesuffix(".bin") == BATCHES[0] for name in names | inner):
        return "cifar10", {"path": folder}
    for inputs, labels in zip(INPUTS, LABELS, strict=True):
        if {f"{inputs}.npy", f"{labels}.npy"} <= names:
            return "npy", {"x": folder / f"{inputs}.npy", "y": folder / f"{labels}.npy"}
    _require_pictures(folder, shown)
    return "images", {"path": folder}


def _require_pictures(folder: Path, shown: Path) -> None:
    """Raises UsageError for a folder of tables or arrays, which are named one at a time."""
    entries = sorted(folder.iterdir())
    files = [entry.name for entry in entries if entry.suffix.lower() in FILES]
    if files and not any(entry.is_dir() or entry.suffix.lower() in SUFFIXES for entry in entries):
        advice = f"netspec init {shlex.quote(str(shown / files[0]))}"
        raise UsageError(f"{shown}: holds {_few(files)}, and no pictures; name the file: {advice}")


def _few(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _listed(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _arrays(real: Path, shown: Path) -> dict[str, Path]:
    """The two files of `npy`: of one, the other lies beside it under a name that goes with it."""
    for inputs, labels in zip(INPUTS, LABELS, strict=True):
        for own, other in ((inputs, labels), (labels, inputs)):
            if real.stem == own or real.stem.endswith((f"_{own}", f"-{own}")):
                beside = real.with_name(f"{real.stem[: len(real.stem) - len(own)]}{other}.npy")
                if beside.exists():
                    return {"x": real if own == inputs else beside, "y": beside if own == inputs else real}
    raise UsageError(f"{shown}: holds one array; its labels (or its rows) are looked for beside it, such as x.npy and y.npy")


def array_names(path: Path) -> dict[str, str]:
    """The names of inputs and labels in an .npz, where they are not x and y. Raises DataError where they cannot be told."""
    stored = npz_names(path)
    if {"x", "y"} <= set(stored) or not stored:
        return {}
    inputs = [name for name in stored if name in INPUTS]
    labels = [name for name in stored if name in LABELS]
    if len(stored) == 2 and len(labels) == 1:
        inputs = [name for name in stored if name not in labels]
    if len(inputs) != 1 or len(labels) != 1:
        raise DataError(f"{path}: which of its arrays are inputs and which labels? It holds {', '.join(stored)}; name two of them x and y")
    return {"x": inputs[0], "y": labels[0]}


def written_path(path: Path, folders: Sequence[Path]) -> str:
    """The path from the first folder that holds it: the spec's, the working one, `$NETSPEC_DATA`."""
    real = path.resolve()
    for folder in folders:
        if real == folder or real.is_relative_to(folder):
            return Path(os.path.relpath(real, folder)).as_posix()
    return str(real)
