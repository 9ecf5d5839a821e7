"""The same columns as tables of several libraries, and what a small net makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas
import polars
import pyarrow
import pytest

import netspec
from netspec.base.errors import DataError

Columns = dict[str, Any]


class Stream:
    """A table of a library that nobody has heard of: it gives Arrow's stream alone."""

    def __init__(self, columns: Columns) -> None:
        self._table = pyarrow.table(columns)

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return self._table.__arrow_c_stream__(requested_schema)


def shuffled(columns: Columns) -> pandas.DataFrame:
    frame = pandas.DataFrame(columns)
    return frame.set_index(np.random.default_rng(1).permutation(len(frame)))


def nullable(columns: Columns) -> pandas.DataFrame:
    frame = pandas.DataFrame(columns)
    kinds = {name: kind.name for name, kind in frame.dtypes.items()}
    own = {"bool": "boolean", "str": "string"}
    return frame.astype(
        {
            name: own.get(kind, kind.replace("ui", "UI").replace("int", "Int", kind[0] == "i").replace("f", "F"))
            for name, kind in kinds.items()
        }
    )


def in_chunks(columns: Columns) -> pyarrow.Table:
    table = pyarrow.table(columns)
    return pyarrow.concat_tables([table.slice(0, 7), table.slice(7, 1), table.slice(8)])


TABLES: dict[str, Callable[[Columns], Any]] = {
    "pandas": pandas.DataFrame,
    "pandas, another index": shuffled,
    "pandas, nullable": nullable,
    "pandas, Arrow": lambda columns: pyarrow.table(columns).to_pandas(types_mapper=pandas.ArrowDtype),
    "polars": polars.DataFrame,
    "pyarrow": pyarrow.table,
    "pyarrow, chunks": in_chunks,
    "pyarrow, a batch": lambda columns: pyarrow.table(columns).combine_chunks().to_batches()[0],
    "a stream": Stream,
}
LIBRARIES = {name: TABLES[name] for name in ("pandas", "polars", "pyarrow")}
ROWS = 60


def people() -> Columns:
    draw = np.random.default_rng(0)
    found = {
        "age": draw.integers(18, 80, ROWS).astype(np.int16),
        "income": draw.normal(50, 9, ROWS).astype(np.float32),
        "owner": draw.integers(0, 2, ROWS).astype(bool),
        "debt": draw.normal(9, 2, ROWS),
        "city": draw.choice(["Bern", "Oslo", "Rome"], ROWS).tolist(),
    }
    value = found["income"] + 5 * (np.array(found["city"]) == "Bern") - 0.1 * found["age"]
    return {**found, "price": value.astype(np.float64), "rich": np.where(value > 47, "yes", "no").tolist()}


NUMBERS = ("age", "income", "owner", "debt")
FEATURES = (*NUMBERS, "city")
REGRESSION = "data { transforms = per_feature } net affine(6)-relu -> affine"
ONE_HOT = "data { transforms = one_hot, per_feature } net affine(6)-relu -> affine"
CLASSES = "data { transforms = one_hot, per_feature } net affine(6)-relu -> affine -> softmax"


def chosen(*names: str) -> Columns:
    return {name: people()[name] for name in names}


def model(text: str = REGRESSION) -> netspec.Model:
    return netspec.compile(text, train="epochs = 2; batch = 8")


def result(x: Any, y: Any, text: str, validation: Any = 0.25) -> tuple[Any, ...]:
    """The bytes of weights and predictions, the figures, and what the history says."""
    net = model(text)
    history = net.fit(x, y, validation=validation)
    weights = [array.tobytes() for array in net.params.values()]
    return weights, net.predict(x).tolist(), net.evaluate(x, y), history.loss, [row["val_loss"] for row in history.epochs]


def refusal(x: Any, y: Any, text: str = REGRESSION) -> str:
    net = model(text)
    with pytest.raises(DataError) as caught:
        net.fit(x, y)
    assert net.columns is None, "rows at fault teach nothing"
    return str(caught.value)
