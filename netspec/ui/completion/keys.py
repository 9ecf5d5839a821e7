"""What can stand at a place of the command line that is looked up in the catalogue or read from files: names, keys of --set and their
words, figures of runs. Nothing here raises: a shell that is completing has no place for an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice

from netspec.base.errors import NetspecError
from netspec.catalog.registry import FOLDERS, entries
from netspec.frontend.limits import SPEC_BYTES
from netspec.frontend.program import TrainSection
from netspec.frontend.sections import SECTION_MODELS
from netspec.save.run_files import RUNS
from netspec.ui.completion.candidates import MOST, Candidate
from netspec.ui.given import SETTINGS
from netspec.ui.language.lookup import entries_for, section_field, words_of
from netspec.ui.live.listing import runs_in

LET = re.compile(r"^[ \t]*let[ \t]+([A-Za-z_]\w{0,63})[ \t]*=[ \t]*([^\n#;]*)", re.MULTILINE)
FIGURES = ("val_accuracy", "val_loss", "accuracy", "loss", "seconds", "parameters")


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


def figures(incomplete: str) -> list[Candidate]:
    """What --sort takes."""
    try:
        own = {figure for run in islice(runs_in(RUNS), MOST) for figure in run.figures}
    except (OSError, NetspecError):
        own = set()
    return [("time", "newest first"), ("name", ""), *((figure, "best first") for figure in sorted(own | set(FIGURES)))]
