"""What a model learns of its data, and what it makes of rows by it: from a caller's rows to those that the network reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Dataset, Facts, Rows
from netspec.base.errors import DataError, Problem, UsageError
from netspec.base.shape import Shape
from netspec.base.transform import Scaling, Transform
from netspec.frontend.program import Program
from netspec.graph.counts import check_facts, key_error
from netspec.graph.graph import Graph
from netspec.plan.network import Network
from netspec.train.class_weights import balanced, of_rows, row_weights, written_out
from netspec.train.columns import Columns, as_numbers, columns_of, named, require_categories, require_width
from netspec.train.data import Part, Splits, check_x, prepare, prepare_arrays
from netspec.train.feed import Material, network_rows
from netspec.train.frames import Frame, labels_of, require_apart, separated
from netspec.train.labels import Words, encode_labels
from netspec.train.normalize import Normalization, arranged
from netspec.train.source import read_encoded
from netspec.train.weights import LEARNED, Origin


class Learned:
    """What the rows of the first fit have taught, or a weights file told, by the names of LEARNED."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.labels: Words | None = None
        self.normalization: Normalization | None = None
        self.columns: Columns | None = None
        self.origin: Origin | None = None
        self.class_weights = written_out(program)

    @property
    def values(self) -> dict[str, Any]:
        """All of it, by LEARNED's names."""
        return {name: getattr(self, name) for name in LEARNED}

    def learn(self, known: Mapping[str, Any]) -> None:
        """Takes over some of it."""
        for name, value in known.items():
            setattr(self, name, value)

    def forget(self) -> None:
        """As before the first fit."""
        self.learn({**dict.fromkeys(LEARNED), "class_weights": written_out(self.program)})

    # splits

    def splits_of_data(self, dataset: Dataset, graph: Graph, *, counted: bool) -> Splits:
        """The splits that the program's data section asks for; labels, normalisation and the origin of rows are learnt. `counted` tells
        that the classes were not counted in this data. Raises SpecError, DataError."""
        section, value = self.program.data, graph.head.target == "value"
        assert section is not None, "reading the data has checked it"
        row = dataset.rows.x.shape[1:]
        known = Facts(section.prepared_shape(row), None, None, len(dataset.rows), graph.head.target)
        try:
            # kernels read rows of the graph's shape, whatever the rows have
            check_facts(known, input=graph.input.shape, classes=None, outputs=None, target=graph.head.target)
            splits = prepare(
                dataset, section, graph.head.target, self.program.seed, classes=None if value else graph.classes,
                counted=counted, labels=self.labels, score_shape=graph.output.shape if value else None,
            )  # fmt: skip
        except Problem as found:
            raise key_error(self.program, found) from None
        self.labels, self.normalization = splits.labels, splits.normalization
        self.origin = Origin(row=list(row), target=dataset.target_column)
        return splits

    def by_columns(self, x: Any, y: Any, validation: Any, row: Shape | None) -> tuple[Any, Any, Any]:
        """Rows to fit with their labels, and a validation pair: arrays, the columns of a table in the order of the first fit, which is
        learnt here, and text as numbers. Raises DataError, also where a table is not as wide as a `row` that is known."""
        target = y if isinstance(y, str) else None
        x, y = separated(x, y)
        if self.columns is None:
            if isinstance(x, Frame):
                require_apart(x, y)
            encodes = self.program.data is not None and self.program.data.encodes
            self.columns = require_categories(columns_of(x)[1], len(x), "x") if encodes else named(x)
        x = as_numbers(x, self.columns)
        if self.columns is not None and row is not None:
            require_width(self.columns, row)
        if target is not None:
            self.origin = Origin(row=[x.shape[1]], target=target)
        if isinstance(validation, (tuple, list)) and len(validation) == 2:
            xv, yv = validation
            xv, yv = separated(xv, yv, "validation: ")
            validation = as_numbers(xv, self.columns, "validation: x"), labels_of(yv, "validation: y")
        return x, labels_of(y), validation

    def splits_of(self, x: Any, y: Any, validation: Any, graph: Graph, seed: int, *, counted: bool) -> Splits:
        """Arrays, their columns in order, as checked, encoded splits; labels and normalisation are learnt. Raises SpecError, DataError."""
        steps = self._preparations
        if self.normalization is not None:  # the statistics are those of the first rows
            steps = tuple(step for step in steps if not isinstance(step, Scaling))
        try:
            splits = prepare_arrays(
                x, y, graph.head.target, validation=validation, steps=steps, seed=seed, shape=graph.input.shape,
                classes=None if graph.head.target == "value" else graph.classes, counted=counted, labels=self.labels,
                score_shape=graph.output.shape,
            )  # fmt: skip
        except Problem as found:
            raise key_error(self.program, found) from None
        self.labels = splits.labels
        if splits.normalization is not None:
            self.normalization = splits.normalization
        return splits

    @property
    def has_data(self) -> bool:
        """Whether the text names rows of its own."""
        return self.program.data is not None and self.program.data.source is not None

    def rows_of_data(self, graph: Graph, splits: Sequence[str], call: str, allow: Sequence[Path]) -> Part:
        """The rows of the first of these splits that the file's data has; nothing is learnt of them. Raises UsageError, in the words of the
        model's `call`, where there is none; DataError."""
        known = copy(self)
        dataset, known.columns = read_encoded(self.program, allow, known.columns)
        found = known.splits_of_data(dataset, graph, counted=True)
        rows: Part | None = next((part for name in splits if (part := getattr(found, name)) is not None), None)
        if rows is None:
            raise UsageError(f"the split of the data has no rows for {' or '.join(splits)}: give some to model.{call}(X, y)")
        return rows

    # rows and labels

    @property
    def _preparations(self) -> tuple[Transform, ...]:
        return self.program.data.preparations if self.program.data is not None else ()

    def arranged(self, x: Any) -> Any:
        """Rows as the data has them in the shape that the net takes; a table, and text, as numbers."""
        return arranged(as_numbers(x, self.columns), self._preparations)

    def inputs(self, x: Any, graph: Graph) -> NDArray[Any]:
        """Rows of the net's shape, not yet normalised. Raises DataError."""
        return check_x(self.arranged(x), graph.input.shape)

    def encoded(self, y: Any, rows: int, graph: Graph, name: str = "y") -> NDArray[Any]:
        """Labels as the loss takes them, one for each of so many rows. Raises SpecError, DataError."""
        classes = None if graph.head.target == "value" else graph.classes
        try:
            encoded = encode_labels(y, graph.head.target, classes, self.labels, score_shape=graph.output.shape, name=name)
        except Problem as found:
            raise key_error(self.program, found) from None
        if len(encoded) != rows:
            raise DataError(f"X has {rows} rows, and y has {len(encoded)}")
        return encoded

    def part(self, x: Any, y: Any, graph: Graph, y_name: str = "y") -> Part:
        """Raw rows with their labels, which messages call `y_name`, checked and encoded; `y` may be the name of a column of `x`."""
        x, y = separated(x, y)
        rows = self.inputs(x, graph)
        return Part(Rows(rows, self.encoded(y, len(rows), graph, y_name)))

    # what the network reads

    def with_class_weights(self, y: NDArray[Any], dtype: np.dtype[Any], weights: NDArray[Any] | None = None) -> NDArray[Any] | None:
        """The weights of rows with encoded labels y, times those of their classes; None where all count alike."""
        if self.class_weights is None:
            return weights
        by_class = of_rows(self.class_weights, y)
        return np.asarray(by_class if weights is None else by_class * weights, dtype)

    def known_weights(self, y: NDArray[Any], network: Network) -> NDArray[Any] | None:
        """The weights of rows by their classes. Raises UsageError where no fit has counted the classes yet."""
        if self.class_weights is None and network.settings.weighted:
            raise UsageError("class_weights = balanced are counted by fit: call it first, or write the weights out")
        return self.with_class_weights(y, network.dtype)

    def material(self, part: Part, dtype: np.dtype[Any], weights: NDArray[Any] | None = None) -> Material:
        """Rows normalised, in the network's dtype."""
        x = network_rows(part.rows.x, self.normalization, dtype)
        index = np.arange(len(x), dtype=np.int64) if part.index is None else part.index
        return Material(x, part.rows.y, index, weights)

    def training_material(self, part: Part, network: Network, sample_weight: Any = None) -> Material:
        """Training rows with their weights; those of `balanced` classes are counted here."""
        if self.program.train.class_weights == "balanced":
            self.class_weights = balanced(part.y, network.graph.classes)
        weights = row_weights(sample_weight, len(part.rows), network.dtype)
        return self.material(part, network.dtype, self.with_class_weights(part.rows.y, network.dtype, weights))

    def held_out(self, splits: Splits, train: Material, dtype: np.dtype[Any]) -> Material | None:
        """The validation rows; where they are rows of the training arrays those arrays serve for both."""
        part = splits.validation
        if part is None:
            return None
        if part.rows is splits.train.rows and part.index is not None:
            return Material(train.x, train.y, part.index)
        return self.material(part, dtype)
