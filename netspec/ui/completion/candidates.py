"""What can stand at a place of the command line that is no verb and no option: files, runs, codes, names, keys. Nothing here raises: a
shell that is completing has no place for an error."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from netspec.base.errors import NetspecError
from netspec.catalog.registry import FOLDERS, entries
from netspec.frontend.explain import codes, page
from netspec.frontend.limits import SPEC_BYTES
from netspec.frontend.program import TrainSection
from netspec.frontend.sections import SECTION_MODELS
from netspec.ui.given import SETTINGS
from netspec.ui.language.lookup import entries_for, section_field, words_of
from netspec.ui.live.listing import FILES, runs_in

Candidate = tuple[str, str]
"""What is written, and what it is; a `/` or `=` at the end says that more follows."""
LET = re.compile(r"^[ \t]*let[ \t]+([A-Za-z_]\w{0,63})[ \t]*=[ \t]*([^\n#;]*)", re.MULTILINE)
MOST = 1000
RUNS = Path("runs")
FIGURES = ("val_accuracy", "val_loss", "accuracy", "loss", "seconds", "parameters")


def net_files(incomplete: str) -> list[Candidate]:
    """Specs, and folders that may hold some."""
    return [(path, "") for path in _paths(incomplete, lambda path: path.endswith((".net", "/")))]


def run_folders(incomplete: str) -> list[Candidate]:
    """Run folders, weights in them, and folders on the way; those of runs/ before anything is typed."""
    inside = _is_run(incomplete.partition("/weights/")[0].removesuffix("/")) or _is_run(incomplete.rpartition("/")[0])

    def leads(path: str) -> bool:
        return path.endswith(("/weights/", ".safetensors") if inside else ("/", ".safetensors"))

    found = [] if incomplete else [path for path in _paths("runs/", leads) if _is_run(path)]
    return [(path.removesuffix("/") if _is_run(path) else path, "") for path in found or _paths(incomplete, leads)]


def run_parents(incomplete: str) -> list[Candidate]:
    """Folders that may hold runs."""
    return [(path, "") for path in _paths(incomplete, lambda path: path.endswith("/") and not _is_run(path))]


def _is_run(path: str) -> bool:
    return bool(path) and any(os.path.isfile(os.path.join(path, name)) for name in FILES)


def _paths(incomplete: str, kept: Callable[[str], bool]) -> list[str]:
    """Names that begin so, a `/` behind folders; where a single folder does that is no run, what is in it too, for it is not yet meant."""
    found = list(islice(filter(kept, _named(incomplete)), MOST))
    if len(found) == 1 and found[0].endswith("/") and not _is_run(found[0]):
        found += islice(filter(kept, _named(found[0])), MOST)
    return sorted(found)


def _named(incomplete: str) -> Iterator[str]:
    folder, slash, start = incomplete.rpartition("/")
    place = os.path.expanduser(f"{folder}{slash}") or "."
    try:
        with os.scandir(place) as inside:
            for one in inside:
                if one.name.startswith(start) and (start.startswith(".") or not one.name.startswith(".")):
                    yield f"{folder}{slash}{one.name}{'/' if one.is_dir() else ''}"
    except OSError:
        return


def diagnostics(incomplete: str) -> list[Candidate]:
    """Codes with the titles of their pages; in small letters too."""
    found = [code for code in codes() if code.startswith(incomplete.upper())]
    typed = {code: incomplete + code[len(incomplete) :] for code in found}
    return [(typed[code], (page(code) or "").split("\n", 1)[0].partition(": ")[2]) for code in found]


def catalogue(incomplete: str) -> list[Candidate]:
    """All that `netspec layers` explains by name, but for keys."""
    named = {name: folder for contract, folder in FOLDERS.items() for name in entries(contract)}
    return [(name, kind) for name, kind in sorted({**named, **dict.fromkeys(SECTION_MODELS, "section")}.items())]


def set_keys(incomplete: str, file: str | None) -> list[Candidate]:
    """`key=` of sections, settings, and the file's let names; behind the equals sign the words that a key takes."""
    key, equals, _ = incomplete.partition("=")
    if equals:
        return [(f"{key}={word}", "") for word in _words(key)]
    told = [
        (f"{section}.{name}=", info.description or "")
        for section, model in SECTION_MODELS.items()
        for name, info in model.model_fields.items()
    ]
    told += [("train.lr=", "the optimizer's learning rate"), *((f"{name}=", "") for name in SETTINGS)]
    return [*((f"{name}=", f"let {name} = {value.strip()}") for name, value in _lets(file)), *told]


def _words(key: str) -> Sequence[str]:
    section, _, name = key.partition(".")
    info = section_field(section, name)
    if info is None:
        return []
    if name == "optimizer" and SECTION_MODELS.get(section) is TrainSection:
        return [entry.name for entry in entries_for(info)]
    return [*words_of(info), *(entry.name for entry in entries_for(info))]


def _lets(file: str | None) -> list[Candidate]:
    try:
        with open(file or "", "rb") as stream:
            return LET.findall(stream.read(SPEC_BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return []


def tools(incomplete: str) -> list[Candidate]:
    """What --log takes."""
    return [("tensorboard", "event files in the run folder"), ("mlflow", "a store on this machine"), ("wandb", "offline")]


def figures(incomplete: str) -> list[Candidate]:
    """What --sort takes."""
    try:
        own = {figure for run in islice(runs_in(RUNS), MOST) for figure in run.figures}
    except (OSError, NetspecError):
        own = set()
    return [("time", "newest first"), ("name", ""), *((figure, "best first") for figure in sorted(own | set(FIGURES)))]
