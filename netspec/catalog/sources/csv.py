"""A table in a text file: names of the columns in the first line, then a row a line, cells separated by commas, semicolons or tabs.

`target` is the column of labels (the last one where it is left out), `features` the columns of inputs (all others). Labels of text become
classes in sorted order. UTF-8; cells may stand in double quotes. The separator is the one that cuts the first line into most names.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError
from netspec.base.extras import library
from netspec.catalog.arrays import LIMIT_BYTES, first_line, refuse_larger, require_file
from netspec.catalog.tables import NUMBER, Table, choose, to_dataset

SEPARATORS = (",", ";", "\t")


class Csv(DataSource):
    """Rows of a .csv file, with a target and features by the names of its columns."""

    name: ClassVar[str] = "csv"
    keys: ClassVar[tuple[str, ...]] = ("path", "target", "features")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. Raises DataError naming the line of the file and the column."""
        if path is None:
            raise DataError('source = csv needs the file: path = "table.csv"')

        def chosen(names: Sequence[str]) -> Sequence[str]:
            target, features = choose(str(path), names, keys.get("target"), keys.get("features"))
            return (target, *features)

        table = open_table(path, chosen, keys.get("limit_bytes", LIMIT_BYTES))
        target, *features = table.columns
        return to_dataset(table, target, features)


def open_table(path: Path, choice: Callable[[Sequence[str]], Sequence[str]], limit_bytes: int = LIMIT_BYTES) -> Table:
    """The columns that `choice` takes of the file's names, in its order, as text. Raises DataError, LimitError for a larger file."""
    require_file(path)
    refuse_larger(str(path), path.stat().st_size, limit_bytes)
    try:
        separator, names = read_header(path)
        return Table(str(path), read_columns(path, separator, names, choice(names)), line_finder(path, separator))
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path)) from None
    except (OSError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def read_header(path: Path) -> tuple[str, list[str]]:
    """The separator and the names of the columns. Raises DataError where the first line is not one of names, each its own."""
    found = {separator: next(records(path, separator), (0, []))[1] for separator in SEPARATORS}
    separator = max(found, key=lambda one: len(found[one]))
    names = [cell.strip() for cell in found[separator]]
    if not any(names):
        where = "has an empty first line" if path.stat().st_size else "is empty"
        raise DataError(f"{path}: {where}; the first line holds the names of the columns, and a row a line follows")
    if all(re.match(NUMBER, name) for name in names):
        raise DataError(f"{path}: line 1 holds numbers ({', '.join(names[:5])}); it must hold the names of the columns: write them above")
    for place, name in enumerate(names):
        if not name:
            raise DataError(f"{path}: line 1: column {place + 1} has no name; give it one, or write the file without that column")
        if name in names[:place]:
            raise DataError(f"{path}: line 1: columns {names.index(name) + 1} and {place + 1} are both named {name}; rename one of them")
    return separator, names


def read_columns(path: Path, separator: str, names: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """The wanted columns by name, as text without white space around it."""
    arrow, reader, compute = library("pyarrow", "data"), library("pyarrow.csv", "data"), library("pyarrow.compute", "data")
    try:
        table = reader.read_csv(
            str(path),
            read_options=reader.ReadOptions(column_names=names, skip_rows_after_names=1),
            parse_options=reader.ParseOptions(delimiter=separator, newlines_in_values=True),
            convert_options=reader.ConvertOptions(
                column_types=dict.fromkeys(names, arrow.string()), include_columns=wanted, strings_can_be_null=False,
            ),
        )  # fmt: skip
    except arrow.ArrowInvalid as error:
        raise DataError(_why(path, separator, len(names)) or f"{path}: cannot be read as a table: {first_line(error)}") from None
    return {name: compute.utf8_trim_whitespace(table[name]) for name in wanted}


def records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """The records of the file that are not empty, each with the line that it begins on."""
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader, begins = csv.reader(stream, delimiter=separator), 1
        for cells in reader:
            if cells or begins == 1:
                yield begins, cells
            begins = reader.line_num + 1


def line_finder(path: Path, separator: str) -> Callable[[int], str]:
    """Where a row stands in the file: it is read again up to there, which only messages do."""

    def place(row: int) -> str:
        lines = (line for number, (line, _) in enumerate(records(path, separator)) if number == row + 1)
        return f"line {next(lines)}"

    return place


def _why(path: Path, separator: str, columns: int) -> str | None:
    """What is wrong with the first record that is not as wide as the first line."""
    for line, cells in records(path, separator):
        if len(cells) != columns:
            count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            return f"{path}: line {line} has {count}, and line 1 names {columns} columns; is a cell missing, or one with a comma unquoted?"
    return None


def _not_utf8(path: Path) -> str:
    with path.open("rb") as stream:
        for line, content in enumerate(stream, 1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = content[error.start]
                return f"{path}: line {line}: the byte 0x{byte:02x} is no text in UTF-8; save the file in that encoding"
    return f"{path}: is no text in UTF-8; save the file in that encoding"
