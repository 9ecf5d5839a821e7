"""The rows that a data section names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netspec.base.dataset import Dataset
from netspec.base.errors import DataError
from netspec.catalog.paths import data_folders, resolve_path
from netspec.frontend.program import Program
from netspec.graph.counts import Counts, counts_of, split_head
from netspec.train.data import facts_of


def read_data(program: Program, allow: Sequence[Path] = ()) -> Dataset:
    """All rows. Raises DataError; `allow` lists folders outside the allowed ones that paths may lead to."""
    section = program.data
    if section is None or section.source is None:
        raise DataError(
            f"{program.source.path}: there is no data: the text has no data section with a source. "
            "Add one, or in Python give arrays to model.fit(X, y)"
        )
    spec = None if program.source.path == "<string>" else Path(program.source.path)
    folders = (*data_folders(spec), *allow)
    path = resolve_path(section.path, folders, allow) if section.path is not None else None
    keys: dict[str, Any] = {name: getattr(section, name) for name in section.source.keys if getattr(section, name, None) is not None}
    return section.source.read(path, keys, folders)


def counts_with_data(program: Program, dataset: Dataset) -> Counts:
    """The ends of the net once the rows are there. Raises SpecError where they contradict the text."""
    counts = counts_of(program, facts_of(dataset, split_head(program)[1].target))
    assert counts is not None, "facts give the input shape"
    return counts
