"""`netspec predict RUN INPUT`: labels and probabilities of new rows."""

from __future__ import annotations

import csv
import io
import json as json_format
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import DataError, UsageError
from netspec.base.extras import library
from netspec.base.shape import Shape, size
from netspec.catalog.arrays import load_npy, load_npz
from netspec.catalog.sources import csv as csv_source
from netspec.catalog.sources import parquet as parquet_source
from netspec.frontend.program import DataSection
from netspec.model import Model
from netspec.pipeline import restore_file
from netspec.save.atomic import write_atomic
from netspec.save.run_folder import find
from netspec.train.columns import Columns, spread
from netspec.ui.given import array_names, run_path
from netspec.ui.guard import tell
from netspec.ui.screen import plain, print_json


@dataclass(frozen=True)
class Predictions:
    """`predicted` (N,), or (N, K) where a row has several answers; `probabilities` (N, C) with the label of each column, or None."""

    predicted: NDArray[Any]
    probabilities: NDArray[Any] | None
    classes: NDArray[Any] | None
    values: bool

    def columns(self) -> list[str]:
        """Names of the columns of a table."""
        word = "value" if self.values else "label"
        answers = [word] if self.predicted.ndim == 1 else [f"{word}_{k}" for k in range(size(self.predicted.shape[1:]))]
        return answers + [f"p_{label}" for label in self.classes.tolist()] if self.classes is not None else answers

    def table(self) -> list[list[Any]]:
        """Rows of the table, in Python's numbers and texts."""
        answers = self.predicted.reshape(len(self.predicted), -1)
        if self.probabilities is None:
            return [plain(row) for row in answers]
        return [plain(row) + plain(p) for row, p in zip(answers, self.probabilities, strict=True)]

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
    table = table_rows(rows, model.columns)
    x = read_rows(rows, model.graph.input.shape, model.program.data) if table is None else table
    found = predict(model, x, threshold)
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


def predict(model: Model, x: NDArray[Any], threshold: float | None = None) -> Predictions:
    """What the head gives; probabilities where it has them."""
    values = model.graph.head.target == "value"
    predicted = model.predict(x, threshold)
    try:
        probabilities = model.predict_proba(x)
    except UsageError:  # svm and values have none
        return Predictions(predicted, None, None, values)
    labels = model.classes_
    if labels is None or len(labels) != probabilities.shape[1]:
        labels = np.arange(probabilities.shape[1])
    return Predictions(predicted, probabilities, labels, values)


TABLES = {".csv": csv_source.read_features, ".parquet": parquet_source.read_features}


def table_rows(path: Path, columns: Columns | None) -> NDArray[Any] | None:
    """Rows from a table, by the names of the columns that a net was trained with; None where it was not, or the file has no names."""
    if columns is None or path.suffix not in TABLES:
        return None
    names = [column.name for column in columns]
    x, found = TABLES[path.suffix](path, names)
    return spread(x, found, columns, str(path))


def read_rows(path: Path, shape: Shape, section: DataSection | None = None) -> NDArray[Any]:
    """Rows from an .npy file, from an .npz, or from a .csv of numbers, which may have a header.

    The array of an .npz is the one that the run's data section names, else x.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file")
    match path.suffix:
        case ".npy":
            x = load_npy(path)
        case ".npz":
            name = array_names(path, section)[0]
            x = load_npz(path, [name], advice=f"store the rows as {name}, or in an .npy file")[0]
        case ".csv":
            return read_csv(path, shape)
        case _:
            raise DataError(f"{path}: rows are read from .npy, .npz (array x) and .csv files")
    return x[np.newaxis] if x.shape == shape else x


def read_csv(path: Path, shape: Shape) -> NDArray[np.float64]:
    """Numbers in rows of as many columns as an input has elements. Raises DataError naming row and column, from 1."""
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            lines = [(number, cells) for number, cells in enumerate(csv.reader(stream), 1) if cells]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None
    if lines and not any(_is_number(cell) for cell in lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise DataError(f"{path}: no rows")
    wanted = size(shape)
    found = np.empty((len(lines), wanted))
    for row, (number, cells) in enumerate(lines):
        if len(cells) != wanted:
            raise DataError(f"{path}: row {number} has {len(cells)} columns, and the net takes {wanted} numbers")
        for column, cell in enumerate(cells):
            if not _is_number(cell):
                raise DataError(f"{path}: row {number}, column {column + 1}: {cell!r} is not a number")
            found[row, column] = float(cell)
    return found.reshape(-1, *shape)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


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
    """Arrays `predicted`, and where there are any `probabilities` and `classes`."""
    more = {"probabilities": found.probabilities, "classes": found.classes} if found.probabilities is not None else {}
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
