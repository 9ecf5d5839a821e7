"""`netspec init DATA`: a starting .net for a data file, complete and ready to train."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend.validate import load
from netspec.graph.build import build
from netspec.graph.check import diagnose
from netspec.graph.counts import split_head
from netspec.train.data import prepare
from netspec.train.source import counts_with_data, read_encoded
from netspec.ui.new_file import require_new, write_new
from netspec.ui.screen import print_json, say
from netspec.ui.start.design import Design, design
from netspec.ui.start.look import Found, look
from netspec.ui.start.places import place_of
from netspec.ui.start.text import labels_in_words, summary, to_text


def run(data: Path, *, output: Path | None, target: str | None, allow: Sequence[Path], json: bool) -> int:
    """Writes the file and says what was found. Raises DataError as training would, UsageError where a file is in the way."""
    path = require_new(output or Path(f"{stem_of(data)}.net"))
    found = look(place_of(data, path, allow), target)
    chosen = design(found)
    command = " ".join(["netspec train", shlex.quote(str(path)), *(f"--allow-path {shlex.quote(str(folder))}" for folder in allow)])
    text = to_text(found, chosen, str(data), command)
    check(text, path, allow)
    write_new(path, text)
    if json:
        print_json(_as_json(found, chosen, path, command))
    else:
        for word, said in (*summary(found, chosen), ("written", str(path)), ("next", command)):
            say(f"{word:<9} {said}")
    return 0


def stem_of(data: Path) -> str:
    """The name that the file has: that of the data, without what its endings say."""
    name = data.resolve().name
    for suffix in (".tar.gz", ".tgz", ".tar", ".csv", ".tsv", ".txt", ".parquet", ".pq", ".npz", ".npy", ".zip"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name


def check(text: str, path: Path, allow: Sequence[Path]) -> None:
    """Reads the text and its data as training does. Raises SpecError, DataError."""
    source = Source(text, str(path))
    found = diagnose(source)
    if found:
        raise SpecError(found)
    program = load(source)
    dataset, _ = read_encoded(program, allow)
    counts = counts_with_data(program, dataset)
    graph = build(program, counts)
    assert program.data is not None, "the text has a data section"
    head = split_head(program)[1]
    counted = program.classes is not None
    prepare(dataset, program.data, head.target, program.seed, classes=graph.classes, counted=counted, score_shape=graph.values[-1].shape)


def _as_json(found: Found, chosen: Design, path: Path, command: str) -> dict[str, object]:
    return {
        "output": str(path),
        "source": found.place.source,
        "rows": found.rows,
        "input": list(found.shape),
        "columns": None if found.columns is None else [column.name for column in found.columns],
        "text_columns": found.texts,
        "left_out": dict(found.left_out),
        "target": found.target,
        "labels": found.kind,
        "count": found.count,
        "says": labels_in_words(found),
        "net": chosen.net,
        "next": command,
    }
