"""A table in a Parquet file: columns of numbers and text.

`target` is the column of labels (the last one where it is left out), `features` the columns of inputs (all others). Labels of text become
classes in sorted order. The index that pandas stores where rows were left out (`__index_level_0__`) is neither unless it is named. Rows
count from 0 in messages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, ClassVar

from netspec.base.dataset import Dataset, DataSource
from netspec.base.errors import DataError, NetspecError
from netspec.base.extras import library
from netspec.catalog.arrays import LIMIT_BYTES, first_line, refuse_larger, require_file
from netspec.catalog.tables import Table, choose, repeated, to_dataset


class Parquet(DataSource):
    """Rows of a .parquet file, with a target and features by the names of its columns."""

    name: ClassVar[str] = "parquet"
    keys: ClassVar[tuple[str, ...]] = ("path", "target", "features")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All rows. Raises DataError naming the row and the column."""
        if path is None:
            raise DataError('source = parquet needs the file: path = "table.parquet"')

        def chosen(names: Sequence[str], index: Collection[str]) -> Sequence[str]:
            target, features = choose(str(path), names, keys.get("target"), keys.get("features"), index)
            return (target, *features)

        table = open_table(path, chosen, keys.get("limit_bytes", LIMIT_BYTES))
        target, *features = table.columns
        return to_dataset(table, target, features)


def open_table(path: Path, choice: Callable[[Sequence[str], Collection[str]], Sequence[str]], limit_bytes: int = LIMIT_BYTES) -> Table:
    """The columns that `choice` takes of the file's names and of those that are pandas' index, in its order. Raises DataError, LimitError
    for a larger file."""
    require_file(path)
    arrow, parquet = library("pyarrow", "data"), library("pyarrow.parquet", "data")
    try:
        with path.open("rb") as stream, parquet.ParquetFile(stream) as told:
            texts = [name for name, kind in zip(told.schema_arrow.names, told.schema_arrow.types, strict=True) if _is_text(kind)]
        with path.open("rb") as stream, parquet.ParquetFile(stream, read_dictionary=texts) as file:
            names = file.schema_arrow.names
            facts = file.metadata
            stored = sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups))
            refuse_larger(str(path), max(stored, 8 * facts.num_rows * len(names)), limit_bytes)
            _require_distinct(path, names)
            wanted = list(choice(names, _index(file.schema_arrow.metadata or {})))
            table = file.read(columns=wanted)
            table.validate(full=True)  # places in a dictionary, and UTF-8: a file may hold any, and what comes next trusts them
            columns = {name: _plain(path, name, table[name], limit_bytes) for name in wanted}
    except NetspecError:
        raise
    except (arrow.ArrowException, OSError, ValueError, OverflowError, LookupError) as error:  # ValueError: a name that is no UTF-8
        raise DataError(f"{path}: cannot be read as Parquet: {first_line(error)}") from None
    return Table(str(path), columns, "row {} (rows count from 0)".format)


def _require_distinct(path: Path, names: Sequence[str]) -> None:
    twice = repeated(names)
    if twice:
        raise DataError(f"{path}: two columns are named {names[twice[0]]}; rename one of them")


def _index(metadata: dict[bytes, bytes]) -> set[str]:
    """The nameless columns of pandas' index, if pandas wrote the file."""
    try:
        names = json.loads(metadata[b"pandas"])["index_columns"]
        return {name for name in names if isinstance(name, str) and re.fullmatch(r"__index_level_[0-9]+__", name)}
    except (LookupError, TypeError, ValueError, RecursionError):
        return set()


def _is_text(kind: Any) -> bool:
    types = library("pyarrow", "data").types
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _spread_bytes(column: Any) -> int:
    """What a column takes once each row has its own text: a long one may stand in the file once and in a million rows."""
    compute, total = library("pyarrow.compute", "data"), 0
    for chunk in column.chunks:
        if _is_text(chunk.dictionary.type):
            lengths = compute.cast(compute.binary_length(chunk.dictionary), "int64")
            total += compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
    return total


def _plain(path: Path, name: str, column: Any, limit_bytes: int) -> Any:
    """A column as numbers or text. Raises DataError for dates, lists and whatever else a file may hold."""
    types, compute = library("pyarrow", "data").types, library("pyarrow.compute", "data")
    if types.is_dictionary(column.type):
        refuse_larger(f"{path}: column {name}", _spread_bytes(column), limit_bytes)
        column = compute.cast(column, column.type.value_type)
    kind = column.type
    if types.is_large_string(kind) or types.is_string_view(kind):
        return compute.cast(column, "string")
    if types.is_boolean(kind):
        return compute.cast(column, "uint8")
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_string(kind):
        return column
    raise DataError(f"{path}: column {name} holds {kind}; allowed are numbers, true and false, and text")
