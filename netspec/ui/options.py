"""Arguments and options that several verbs of the command line have, and what completes them in a shell."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import typer


def load(name: str) -> Any:
    """A module of ui, when it is needed."""
    gc.disable()  # looking for garbage while the catalogue's classes are made was a tenth of the time of `check`
    try:
        return importlib.import_module(f"netspec.ui.{name}")
    finally:
        gc.enable()


def candidates(kind: str, module: str = "candidates") -> Callable[[str], list[tuple[str, str]]]:
    """What completes an argument, when a shell asks."""

    def found(incomplete: str) -> list[tuple[str, str]]:
        told: list[tuple[str, str]] = getattr(load(f"completion.{module}"), kind)(incomplete)
        return told

    return found


def _set_keys(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    words = [str(ctx.params.get("file")), *ctx.args]  # what stands before an option without its value is not parsed
    file = next((word for word in words if word.endswith(".net")), None)
    told: list[tuple[str, str]] = load("completion.keys").set_keys(incomplete, file)
    return told


NETS: dict[str, Any] = {"autocompletion": candidates("net_files"), "show_default": False}
FOLDERS: dict[str, Any] = {"autocompletion": candidates("run_parents"), "show_default": False}
NAMES: dict[str, Any] = {"autocompletion": candidates("catalogue", "keys"), "show_default": False}
CODES: dict[str, Any] = {"autocompletion": candidates("diagnostics"), "show_default": False}
RUNS: dict[str, Any] = {"autocompletion": candidates("run_folders"), "show_default": False}
WORDS: dict[str, Any] = {"autocompletion": candidates("launched"), "show_default": False}
MEANINGS: dict[str, Any] = {"autocompletion": candidates("nets_and_runs"), "show_default": False}

File = Annotated[Path, typer.Argument(metavar="FILE", help="A .net file.", **NETS)]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a weights file.", **RUNS)]
Json = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="A let name, or a section's key such as train.batch. Repeatable.", autocompletion=_set_keys
    ),
]
Input = Annotated[str | None, typer.Option("--input", metavar="SHAPE", help="Shape of a row: 3x32x32, or 30.")]
Classes = Annotated[int | None, typer.Option("--classes", min=2, metavar="N", help="Number of classes.")]
Outputs = Annotated[int | None, typer.Option("--outputs", min=1, metavar="N", help="Number of outputs.")]
Seed = Annotated[int | None, typer.Option("--seed", min=0, metavar="N", help="Seed of everything random.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, metavar="N", help="Threads to use.")]
Dtype = Annotated[Literal["float32", "float64"] | None, typer.Option("--dtype", help="Element type.")]
Threshold = Annotated[
    float | None, typer.Option("--threshold", metavar="P", help="Probability above which a row has label 1, for sigmoid; 0.5 if not given.")
]
AllowPath = Annotated[
    list[Path] | None, typer.Option("--allow-path", metavar="PATH", help="Folder outside the usual ones where data may lie. Repeatable.")
]
