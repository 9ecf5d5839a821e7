"""The rows that a data section names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from netspec.base.dataset import Dataset, Facts
from netspec.base.errors import DataError, Problem, UsageError
from netspec.base.layer import Layer
from netspec.base.shape import Shape, size
from netspec.base.text import Source
from netspec.catalog.paths import folders_of, resolve_path
from netspec.catalog.tables import listed
from netspec.frontend.program import Overrides, Program
from netspec.frontend.validate import load
from netspec.graph.counts import Counts, counts_of, split_head
from netspec.train.columns import Columns, one_hot
from netspec.train.data import check_x, facts_of
from netspec.train.labels import as_labels, count_classes, learn_labels


def read_data(program: Program, allow: Sequence[Path] = ()) -> Dataset:
    """All rows. Raises DataError; `allow` lists folders outside the allowed ones that paths may lead to. Columns of text are left to
    `one_hot`, where the section has it."""
    section = program.data
    if section is None or section.source is None:
        raise DataError(
            f"{program.source.path}: there is no data: the text has no data section with a source. "
            "Add one, or in Python give arrays to model.fit(X, y)"
        )
    folders = (*folders_of(program.source), *allow)
    path = resolve_path(section.path, folders, allow) if section.path is not None else None
    dataset = section.source.read(path, section.source_keys, folders)
    if not section.encodes:
        _require_numbers(dataset, section.path or section.source.name)
    return dataset


def read_encoded(program: Program, allow: Sequence[Path] = (), known: Columns | None = None) -> tuple[Dataset, Columns | None]:
    """All rows as numbers, and the columns of a table; `known` are those that a net was trained with. Raises DataError."""
    dataset = read_data(program, allow)
    if dataset.columns is None:
        return dataset, known
    assert program.data is not None, "read_data has checked it"
    return one_hot(dataset, known, program.data.path or "data")


def _require_numbers(dataset: Dataset, name: str) -> None:
    """Raises DataError where a feature of a table is text, which no net reads."""
    text = [column for column in dataset.columns or () if column.categories is not None]
    if text:
        found = "; ".join(f"{column.name} ({column.text_at})" for column in text)
        rest = [column.name for column in dataset.columns or () if column.categories is None]
        advice = f"features = {listed(rest)}" if rest else "other features"
        raise DataError(
            f"{name}: features hold text, where a net needs numbers: {found}; correct those cells, give {advice}, or write "
            "transforms = one_hot where they are categories"
        )


def resolved_from(program: Program, folder: Path, seed: int, epochs: int, allow: Sequence[Path] = ()) -> str:
    """The resolved text of a run with this seed and so many epochs, its data paths relative to `folder`: training it repeats the run.
    Raises UsageError where such a path is no text."""
    folders = (*folders_of(program.source), *allow)
    keys: dict[str, Any] = {"train.epochs": epochs} if epochs > 0 else {}
    for key, path in _data_paths(program):
        keys[key] = found = os.path.relpath(resolve_path(path, folders, allow), folder.resolve())
        if any("\ud800" <= letter <= "\udfff" for letter in found):
            raise UsageError(f"{found}: is no UTF-8, and so no spec can name it; rename that folder, or give a --run-dir inside it")
    return load(Source(program.resolved), Overrides(seed=seed, keys=keys)).resolved


def resolved_as_seen_from(program: Program, folder: Path) -> str:
    """The resolved text with data paths that lead from `folder` to where they led; the data need not be there any more."""
    folders = folders_of(program.source)
    keys: dict[str, Any] = {}
    for key, path in _data_paths(program):
        there = next((place for place in folders if os.path.lexists(place / path)), folders[0])
        if not os.path.isabs(path):
            keys[key] = os.path.relpath(os.path.realpath(there / path), folder.resolve())
    return load(Source(program.resolved), Overrides(keys=keys)).resolved if keys else program.resolved


def _data_paths(program: Program) -> Iterator[tuple[str, str]]:
    """The keys of the data section that name files, where they are given."""
    section = program.data
    if section is not None and section.source is not None:
        for key in section.source.path_keys:
            path = getattr(section, key)
            if path is not None:
                yield f"data.{key}", path


def counts_with_data(program: Program, dataset: Dataset) -> Counts:
    """The ends of the net once the rows are there. Raises SpecError where they contradict the text.

    Labels that are class numbers tell how many classes there are at least: where the text gives a count, one beyond it is a fault of the
    row, which `prepare` names.
    """
    section = program.data
    name = section.path if section is not None and section.path else "data"
    facts = facts_of(dataset, split_head(program)[1].target, name)
    if program.classes is not None and dataset.labels is None and dataset.rows.y.ndim == 1 and dataset.rows.y.dtype.kind in "buif":
        facts = replace(facts, classes=program.classes)
    counts = counts_of(program, facts)
    assert counts is not None, "facts give the input shape"
    return counts


def row_of(program: Program, found: Shape) -> Shape | None:
    """The shape of a row that the text asks for: its own, that of its data, or, for rows of two axes, an image where its first layer takes
    nothing else. None where nothing tells it."""
    section = program.data
    facts = section.source.facts() if section is not None and section.source is not None else None
    shape = program.input or (facts.shape if facts is not None else None)
    if shape is not None:
        return section.prepared_shape(shape) if section is not None else shape
    if len(found) != 2:
        return None
    first, image = program.net[0].layer, (1, *found)
    return image if _fits(first, image) and not _fits(first, (size(found),)) else None


def _fits(layer: Layer, row: Shape) -> bool:
    try:
        layer.output_shape(row)
    except Problem:
        return False
    return True


def counts_with_rows(program: Program, x: Any, y: Any) -> Counts:
    """The ends of the net from a caller's rows and labels."""
    target = split_head(program)[1].target
    rows = check_x(x, advised=partial(row_of, program))
    classes, outputs = None, None
    if target == "value":
        shape = np.shape(y)
        outputs = program.outputs or (int(np.prod(shape[1:])) if len(shape) > 1 else 1)
    else:
        labels = as_labels(y)
        words = learn_labels(labels, target, program.classes)
        classes = program.classes or count_classes(labels, words, target)
    counts = counts_of(program, Facts(tuple(rows.shape[1:]), classes, outputs, len(rows), target))
    assert counts is not None, "facts give the input shape"
    return counts
