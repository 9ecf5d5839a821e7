"""What the command line gives, as the overrides of a program."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.shape import Shape
from netspec.catalog.arrays import npz_names
from netspec.frontend.program import DataSection, Overrides

SETTINGS = ("input", "classes", "outputs", "seed")


def shape_of(text: str | None) -> Shape | None:
    """`3x32x32` or `30` as a shape. Raises UsageError."""
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,9}(x[1-9][0-9]{0,9}){2}|[1-9][0-9]{0,9}", text):
        raise UsageError(f"--input {text}: write the features of a vector (30), or channels x height x width of an image (3x32x32)")
    return tuple(int(side) for side in text.split("x"))


def overrides_of(
    pairs: Sequence[str] = (),
    *,
    input: str | None = None,  # noqa: A002  the word of the language
    classes: int | None = None,
    outputs: int | None = None,
    seed: int | None = None,
    **train: Any,
) -> Overrides:
    """`pairs` are the texts of `--set`; `train` holds values of the train section, None where the command line is silent.

    Raises UsageError for a pair that is none, or a key given twice.
    """
    keys: dict[str, Any] = {f"train.{name}": value for name, value in train.items() if value is not None}
    lets: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = (part.strip() for part in pair.partition("="))
        if not equals or not key or not value:
            raise UsageError(f"--set {pair}: write --set key=value, such as --set train.batch=50 or --set width=64")
        into = keys if "." in key or key in SETTINGS else lets
        if key in into:
            option = key.removeprefix("train.")
            other = f", by --{option} too" if train.get(option) is not None else ""
            raise UsageError(f"--set {pair}: {key} is given twice{other}")
        into[key] = value
    return Overrides(input=shape_of(input), classes=classes, outputs=outputs, seed=seed, keys=keys, lets=lets)


def spec_file(path: Path) -> Path:
    """The path, if a spec lies there. Raises UsageError."""
    if path.is_dir():
        raise UsageError(f"{path}: is a folder, where a .net file is needed")
    if not path.exists():
        raise UsageError(f"{path}: no such file")
    return path


def run_path(path: Path) -> Path:
    """The path of a run folder or weights file, unless it is a spec. Raises UsageError that names the run folder."""
    if path.suffix != ".net" or not path.is_file():
        return path
    if (path.parent / "weights").is_dir():
        raise UsageError(f"{path}: is a spec; the run is its folder, {path.parent}")
    raise UsageError(f"{path}: is a spec, where a run folder is needed, such as runs/{path.stem}, which `netspec train {path}` writes")


def array_names(path: Path, section: DataSection | None) -> tuple[str, str]:
    """Under which names an .npz file holds inputs and labels: those of the run's data section where they are there, else x and y."""
    if section is None or section.source is None or section.source.name != "npz":
        return "x", "y"
    own = section.x or "x", section.y or "y"
    stored = npz_names(path)
    return own if own[0] in stored or "x" not in stored else ("x", "y")
