"""The columns of a table as source: their names, the texts that they may hold, and how a row of cells becomes numbers."""

from __future__ import annotations

from netspec.save.export.subject import Subject
from netspec.save.export.words import literal

SPREAD = '''def spread(rows):
    """Rows of cells, one for each of COLUMNS, as numbers: for each text of a column one, which is 1 where the cell is that text."""
    numbers = []
    for row in rows:
        numbers.append([])
        for (name, texts), cell in zip(COLUMNS, row, strict=True):
            if texts is None:
                numbers[-1].append(float(cell))
                continue
            if str(cell) not in texts:
                raise ValueError(f"{{name}}: {{cell!r}} is none of {{texts}}")
            numbers[-1].extend(float(text == str(cell)) for text in texts)
    return {array}(numbers, dtype={dtype})'''


def columns_source(subject: Subject) -> str:
    """`COLUMNS`: names, each with the texts that it may hold, or None for numbers."""
    columns = [(one.name, None if one.categories is None else list(one.categories)) for one in subject.columns or ()]
    lines = "".join(f"    {literal(column)},\n" for column in columns)
    return f"COLUMNS = [\n{lines}]"


def spread_source(array: str, dtype: str) -> str:
    """The function `spread`, which makes `array` of its rows."""
    return SPREAD.format(array=array, dtype=dtype)
