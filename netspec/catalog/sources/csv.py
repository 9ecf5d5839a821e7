"""A table in a text file: names of the columns in the first line, then a row a line, cells separated by commas, semicolons or tabs.

`target` is the column of labels (the last one where it is left out), `features` the columns of inputs (all others). Labels of text become
classes in sorted order. UTF-8; cells may stand in double quotes. The separator is the one that cuts the first line into most names.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource, Glimpse
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import DataError, LimitError
from netspec.base.extras import library
from netspec.catalog.arrays import LIMIT_BYTES, first_line, refuse_larger, require_file, too_large
from netspec.catalog.tables import MISSING, NUMBER, Table, choose, choose_by_key, repeated, require_points, to_dataset

GLANCE_BYTES, GLANCE_ROWS = 1 << 16, 50
"""How much of a file a glance takes in."""
SEPARATORS = (",", ";", "\t")
BLOCK_BYTES = 1 << 20
"""What pyarrow reads at a time: a row that spans three blocks is refused, and then the file is read as one."""
LONGEST = 4 << 20
"""Of a row, the names among them, in characters or bytes: what is longer is no table, or has a quote that is never closed."""
MOST_LINES = 100_000
"""Of a row, in quotes."""
NO_TABLE = "is a quote left open, or is it no table?"
MOST_COLUMNS = 100_000
LIMIT_IN_USE = threading.RLock()


class Csv(DataSource):
    """Rows of a .csv file, with a target and features by the names of its columns."""

    name: ClassVar[str] = "csv"
    keys: ClassVar[tuple[str, ...]] = ("path", "target", "features")

    def glance(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Glimpse | None:
        """The names of the columns and the first rows, as far as `begins_plainly`."""
        if path is None or not begins_plainly(path):
            return None
        try:
            return _glimpse(path, keys)
        except UnicodeDecodeError:
            raise DataError(_not_utf8(path)) from None
        except (OSError, csv.Error) as error:
            raise DataError(f"{path}: cannot be read: {error}") from None

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. Raises DataError naming the line of the file and the column."""
        if path is None:
            raise DataError('source = csv needs the file: path = "table.csv"')

        def chosen(names: Sequence[str], _index: Collection[str]) -> Sequence[str]:
            target, features = choose(str(path), names, keys.get("target"), keys.get("features"))
            return (target, *features)

        table = open_table(path, chosen, keys.get("limit_bytes", LIMIT_BYTES))
        target, *features = table.columns
        return to_dataset(table, target, features)


def open_table(path: Path, choice: Callable[[Sequence[str], Collection[str]], Sequence[str]], limit_bytes: int = LIMIT_BYTES) -> Table:
    """The columns that `choice` takes of the file's names, in its order, as text; none is an index. Raises DataError, LimitError for a
    larger file."""
    require_file(path)
    refuse_larger(str(path), path.stat().st_size, limit_bytes)
    try:
        separator, names = read_header(path)
        return Table(str(path), read_columns(path, separator, names, choice(names, ())), line_finder(path, separator))
    except UnicodeDecodeError:
        raise DataError(_not_utf8(path)) from None
    except csv.Error as error:
        raise DataError(f"{path}: cannot be read as a table: {error}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None


def read_header(path: Path) -> tuple[str, list[str]]:
    """The separator and the names of the columns. Raises DataError where the first line is not one of names, each its own."""
    with path.open("rb") as stream:
        line = stream.readline(LONGEST + 1)
    if len(line) > LONGEST:
        raise too_large(f"{path}: line 1 takes more than {LONGEST >> 20} MiB", LONGEST, advice=NO_TABLE)
    columns = 1 + max(line.count(separator.encode()) for separator in SEPARATORS)
    if columns > MOST_COLUMNS:
        raise LimitError([Diagnostic("NS810", f"{path}: line 1 names {columns:,} columns; the limit is {MOST_COLUMNS:,}")])
    found = {separator: next(records(path, separator), (1, [], True)) for separator in SEPARATORS}
    separator = max(found, key=lambda one: len(found[one][1]))
    _, cells, closed = found[separator]
    if not closed:
        raise DataError(_not_closed(path, 1))
    names = [cell.strip() for cell in cells]
    if not any(names):
        where = "has an empty first line" if path.stat().st_size else "is empty"
        raise DataError(f"{path}: {where}; the first line holds the names of the columns, and a row a line follows")
    if all(re.match(NUMBER, name) for name in names):
        raise DataError(f"{path}: line 1 holds numbers ({', '.join(names[:5])}); it must hold the names of the columns: write them above")
    for place, name in enumerate(names):
        if not name:
            raise DataError(f"{path}: line 1: column {place + 1} has no name; give it one, or write the file without that column")
    twice = repeated(names)
    if twice:
        first, second = twice
        raise DataError(f"{path}: line 1: columns {first + 1} and {second + 1} are both named {names[first]}; rename one of them")
    return separator, names


def begins_plainly(path: Path) -> bool:
    """Whether the first rows can be read without the rest: the file is short, or its beginning has lines, and no quote is open in it."""
    require_file(path)
    with path.open("rb") as stream:
        beginning = stream.read(GLANCE_BYTES)
    whole, newline, _ = beginning.rpartition(b"\n")
    return len(beginning) < GLANCE_BYTES or (whole.count(b"\n") > GLANCE_ROWS and bool(newline) and whole.count(b'"') % 2 == 0)


def _glimpse(path: Path, keys: dict[str, Any]) -> Glimpse:
    separator, names = read_header(path)
    target, features = choose_by_key(str(path), names, keys.get("target"), keys.get("features"))
    wrong = _why(path, separator, len(names), GLANCE_ROWS)
    if wrong is not None:
        raise DataError(wrong)
    first = [(line, cells) for line, cells, _ in islice(records(path, separator), 1, GLANCE_ROWS)]
    for name in (target, *features):
        column = names.index(name)
        require_points([cells[column].strip() for _, cells in first], name, lambda row: f"{path}: line {first[row][0]}")
    cells = [cells[names.index(target)].strip() for _, cells in first]
    labels = tuple(float(cell) if re.match(NUMBER, cell) else cell for cell in cells if cell not in MISSING)
    return Glimpse(f"column {target}", labels)


def read_columns(path: Path, separator: str, names: Sequence[str], wanted: Sequence[str]) -> dict[str, Any]:
    """The wanted columns by name, as text without white space around it."""
    arrow, reader, compute = library("pyarrow", "data"), library("pyarrow.csv", "data"), library("pyarrow.compute", "data")

    _require_short_lines(path)

    def in_blocks(size: int) -> Any:
        reading = reader.ReadOptions(column_names=names, skip_rows_after_names=1, block_size=size, use_threads=size == BLOCK_BYTES)
        parsing = reader.ParseOptions(delimiter=separator, newlines_in_values=True)
        converting = reader.ConvertOptions(
            column_types=dict.fromkeys(names, arrow.string()), include_columns=wanted, strings_can_be_null=False
        )  # fmt: skip
        with path.open("rb") as stream:  # whose name may be no UTF-8
            return reader.read_csv(stream, read_options=reading, parse_options=parsing, convert_options=converting)

    try:
        try:
            table = in_blocks(BLOCK_BYTES)
        except arrow.ArrowInvalid as error:
            stored = path.stat().st_size
            if "straddling" not in str(error) or stored <= BLOCK_BYTES:
                raise
            table = in_blocks(min(stored, LONGEST))  # which is a row at least
    except arrow.ArrowInvalid as error:
        raise DataError(_why(path, separator, len(names)) or f"{path}: cannot be read as a table: {first_line(error)}") from None
    line = _open_quote(path, separator)
    if line is not None:
        raise DataError(_not_closed(path, line))
    return {name: compute.utf8_trim_whitespace(table[name]) for name in wanted}


def _require_short_lines(path: Path) -> None:
    """Raises LimitError for a line that is too long for a row, before anything is made of it."""
    length, line = 0, 1
    with path.open("rb") as stream:
        while part := stream.read(BLOCK_BYTES):
            first, last = part.find(b"\n"), part.rfind(b"\n")
            if length + (len(part) if first < 0 else first) > LONGEST:
                raise too_large(f"{path}: line {line} takes more than {LONGEST >> 20} MiB", LONGEST, advice=NO_TABLE)
            length = length + len(part) if last < 0 else len(part) - last - 1
            line += part.count(b"\n")


def _open_quote(path: Path, separator: str) -> int | None:
    """The line of the last record, if a quote in it is open at the end of the file, which then holds an odd number of them."""
    with path.open("rb") as stream:
        count = sum(part.count(b'"') for part in iter(lambda: stream.read(1 << 20), b""))
    if count % 2 == 0:
        return None
    line, closed = 1, True
    for line, _, closed in records(path, separator):  # noqa: B007  the last one counts
        pass
    return None if closed else line


def records(path: Path, separator: str) -> Iterator[tuple[int, list[str], bool]]:
    """The records of the file that are not empty, each with the line that it begins on; False where its quote is open at the end.
    Raises LimitError for a longer record."""
    with _longer_cells(), path.open(encoding="utf-8-sig", newline="") as stream:
        begins, taken, count = 1, 0, 0

        def lines() -> Iterator[str]:
            nonlocal taken, count
            while line := stream.readline(LONGEST + 1):
                taken, count = taken + len(line), count + 1
                if count > MOST_LINES:
                    message = f"{path}: line {begins}: a row goes over more than {MOST_LINES:,} lines"
                    raise LimitError([Diagnostic("NS810", message, help=NO_TABLE)])
                if taken > LONGEST:
                    raise too_large(f"{path}: line {begins}: a row takes more than {LONGEST >> 20} MiB", LONGEST, advice=NO_TABLE)
                yield line
            yield ""  # a record of its own, or in an open quote

        reader = csv.reader(lines(), delimiter=separator)
        last: tuple[int, list[str]] | None = None
        for cells in reader:
            if last is not None:
                yield *last, True
            last = (begins, cells) if cells or begins == 1 else None
            begins, taken, count = reader.line_num + 1, 0, 0
        if last is not None and last[1]:
            yield *last, False


@contextmanager
def _longer_cells() -> Iterator[None]:
    """Python's csv module has one limit on cells for the whole process, which is put back."""
    with LIMIT_IN_USE:
        limit = csv.field_size_limit(LONGEST)
        try:
            yield
        finally:
            csv.field_size_limit(limit)


def line_finder(path: Path, separator: str) -> Callable[[int], str]:
    """Where a row stands in the file: it is read again up to there, which only messages do."""

    def place(row: int) -> str:
        lines = (line for number, (line, _, _) in enumerate(records(path, separator)) if number == row + 1)
        return f"line {next(lines)}"

    return place


def _why(path: Path, separator: str, columns: int, most: int | None = None) -> str | None:
    """What is wrong in the first records (None: in all): one that is not as wide as the first line, a quote, or that there are no rows."""
    line = 0
    for line, cells, closed in islice(records(path, separator), most):
        if not closed:
            return _not_closed(path, line)
        if len(cells) != columns:
            count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            return f"{path}: line {line} has {count}, and line 1 names {columns} columns; is a cell missing, or one with a comma unquoted?"
    return None if line > 1 else f"{path}: has no rows"


def _not_closed(path: Path, line: int) -> str:
    return f'{path}: line {line}: a quote is opened and never closed; close it, or write "" for a quote inside a cell'


def _not_utf8(path: Path) -> str:
    with path.open("rb") as stream:
        for line, content in enumerate(stream, 1):
            try:
                content.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = content[error.start]
                return f"{path}: line {line}: the byte 0x{byte:02x} is no text in UTF-8; save the file in that encoding"
    return f"{path}: is no text in UTF-8; save the file in that encoding"
