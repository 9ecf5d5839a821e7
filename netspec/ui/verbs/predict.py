"""`netspec predict RUN INPUT`: labels and probabilities of new rows."""

from __future__ import annotations

import csv
import io
import json as json_format
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.shape import size
from netspec.model import Model
from netspec.pipeline import restore_file
from netspec.save.atomic import write_atomic
from netspec.save.run_folder import find
from netspec.ui.given import run_path
from netspec.ui.guard import tell
from netspec.ui.rows import Inputs, read_inputs
from netspec.ui.screen import plain, print_json


@dataclass(frozen=True)
class Predictions:
    """`predicted` (N,), or (N, K) where a row has several answers; `probabilities` (N, C) with the label of each column, or None; `files`
    are the names of the pictures, where they are some."""

    predicted: NDArray[Any]
    probabilities: NDArray[Any] | None
    classes: NDArray[Any] | None
    values: bool
    files: Sequence[str] | None = None

    def columns(self) -> list[str]:
        """Names of the columns of a table."""
        word = "value" if self.values else "label"
        answers = [word] if self.predicted.ndim == 1 else [f"{word}_{k}" for k in range(size(self.predicted.shape[1:]))]
        answers = answers if self.files is None else ["file", *answers]
        return answers + [f"p_{label}" for label in self.classes.tolist()] if self.classes is not None else answers

    def table(self) -> list[list[Any]]:
        """Rows of the table, in Python's numbers and texts."""
        rows = plain(self.predicted.reshape(len(self.predicted), -1))
        if self.probabilities is not None:
            rows = [row + p for row, p in zip(rows, plain(self.probabilities), strict=True)]
        return rows if self.files is None else [[name, *row] for name, row in zip(self.files, rows, strict=True)]

    def objects(self) -> list[dict[str, Any]]:
        """A JSON object for each row."""
        return [dict(zip(self.columns(), row, strict=True)) for row in self.table()]


def run(run: Path, rows: Path, *, output: Path | None, last: bool, json: bool, threshold: float | None = None) -> int:
    """Writes the predictions to `output`, or prints them. Raises UsageError for a format that is not known, DataError."""
    if output is not None and output.suffix not in WRITERS:
        raise UsageError(f"-o {output}: the name ends in {', '.join(WRITERS)}, which says what is written")
    if output is not None and not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}")
    model = restore_file(find(run_path(run), last).weights)
    found = predict(model, read_inputs(model, rows), threshold)
    if output is not None:
        write_atomic(output, WRITERS[output.suffix](found))
        if json:
            print_json({"rows": len(found.predicted), "output": str(output)})
        else:
            tell(f"{len(found.predicted):,} rows written to {output}")
    elif json:
        print_json(found.objects())
    else:
        print(as_csv(found).decode(), end="")
    return 0


def predict(model: Model, inputs: Inputs, threshold: float | None = None) -> Predictions:
    """What the head gives; probabilities where it has them."""
    x, values = inputs.x, model.graph.head.target == "value"
    predicted = model.predict(x, threshold)
    try:
        probabilities = model.predict_proba(x)
    except UsageError:  # svm and values have none
        return Predictions(predicted, None, None, values, inputs.files)
    labels = model.classes_
    if labels is None or len(labels) != probabilities.shape[1]:
        labels = np.arange(probabilities.shape[1])
    return Predictions(predicted, probabilities, labels, values, inputs.files)


def as_csv(found: Predictions) -> bytes:
    """A header and a line for each row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found.columns())
    writer.writerows(found.table())
    return text.getvalue().encode()


def as_json_lines(found: Predictions) -> bytes:
    """A JSON object a line."""
    return "".join(f"{json_format.dumps(row)}\n" for row in found.objects()).encode()


def as_npz(found: Predictions) -> bytes:
    """Arrays `predicted`, and where there are any `probabilities` and `classes`, and `files`."""
    more = {"probabilities": found.probabilities, "classes": found.classes} if found.probabilities is not None else {}
    more |= {"files": np.asarray(found.files)} if found.files is not None else {}
    stream = io.BytesIO()
    np.savez(stream, predicted=found.predicted, **more)  # type: ignore[arg-type]
    return stream.getvalue()


def as_parquet(found: Predictions) -> bytes:
    """A table with the columns of the CSV. Raises UsageError without the extra `data`."""
    arrow, parquet = library("pyarrow", "data"), library("pyarrow.parquet", "data")
    columns = zip(*found.table(), strict=True) if len(found.predicted) else ([] for _ in found.columns())
    table = arrow.table(dict(zip(found.columns(), map(list, columns), strict=True)))
    content = io.BytesIO()
    parquet.write_table(table, content)
    return content.getvalue()


WRITERS: dict[str, Callable[[Predictions], bytes]] = {
    ".csv": as_csv,
    ".parquet": as_parquet,
    ".npz": as_npz,
    ".jsonl": as_json_lines,
}
