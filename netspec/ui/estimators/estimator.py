"""What both estimators share: parameters that are the text's own, rows as the net takes them, training, pickling."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Facts
from netspec.base.errors import DataError, Interrupted, NetspecError, UsageError
from netspec.base.kinds import Head, Target
from netspec.base.shape import Shape, show, size
from netspec.base.text import Source
from netspec.catalog.arrays import axes_help
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides, Program
from netspec.frontend.syntax import Section
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.counts import counts_of, split_head
from netspec.model import Model
from netspec.pipeline import with_keys
from netspec.train.data import Splits, check_x
from netspec.train.evaluate import scores_of
from netspec.train.frames import Frame, numbers_of, rows_of
from netspec.train.history import History
from netspec.train.normalize import arranged, fit_preparation
from netspec.train.source import row_of
from netspec.train.state import apart
from netspec.ui.estimators.extra import BaseEstimator, validation
from netspec.ui.estimators.kept import packed, unpacked
from netspec.ui.estimators.parameters import no_such, parameters_of, unknown
from netspec.ui.estimators.rows import Rows, held_out, in_copies, in_own_order

TRAIN = {"lr": ("1e-2", {"lr", "optimizer", "schedule"}), "epochs": ("100", {"epochs"})}
"""Values of keys of the train section, and by which of its keys a text has its own instead: of the few rows that are usual here the
language's ten epochs are a handful of steps."""
ENCODE = (
    "where it is a category make numbers of the column before the net, as in "
    "make_pipeline(make_column_transformer((OneHotEncoder(), columns), remainder='passthrough'), net)"
)


class NetEstimator(BaseEstimator):
    """A net as scikit-learn knows estimators; NetClassifier and NetRegressor say what labels are.

    Parameters beside those of the constructor are the text's: `let` names, and keys of sections by their dotted names.
    """

    _targets: ClassVar[tuple[Target, ...]]
    """Of the heads that a text may end in."""
    _advice: ClassVar[str]
    """Which those are, and where others belong."""

    spec: Any
    warm_start: bool
    validation_fraction: float | None
    random_state: Any
    verbose: int
    _keys: dict[str, Any]
    """Parameters that are the text's."""

    _row: Shape
    """Of a row as the text's preparations take it."""
    _resolved: str
    """The text that the net was made of, with the parameters put in."""

    model_: Model
    history_: History
    n_iter_: int
    loss_curve_: list[float]
    n_features_in_: int

    # parameters

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's parameters and those of the text that were given, by name; where `deep` all that the text has, its `let`s and
        the keys of `train`, with the values that they have now."""
        return {**(self._of_text() if deep else {}), **self._keys, **super().get_params(deep)}

    def set_params(self, /, **params: Any) -> Self:
        """Sets parameters of the constructor, `let` values, and keys such as `train.lr`, also such as were not given before. Raises
        UsageError, a ValueError, for a name that the text does not have, and sets nothing then; what values the text cannot take, and what
        is wrong in the text, is told by `fit`."""
        own = super().get_params(deep=False)
        others = {name: value for name, value in params.items() if name not in own}
        self._require_known(others, params.get("spec", self.spec))
        super().set_params(**{name: value for name, value in params.items() if name in own})
        self._keys = {**self._keys, **others}
        return self

    def _get_params_html(self, deep: bool = True, **how: Any) -> Any:
        """What scikit-learn's page of an estimator lists: the parameters that were given."""
        return super()._get_params_html(deep=False, **how)

    def _of_text(self) -> dict[str, Any]:
        """The parameters of the text; none of a text that is no program."""
        with suppress(NetspecError, TypeError):  # of a value that has no hash
            return dict(_parameters_of(source_of(self.spec), tuple(self._given().items())))
        with suppress(NetspecError):  # where a value that was given is wrong
            return dict(_parameters_of(source_of(self.spec), ()))
        return {}

    def _require_known(self, params: Mapping[str, Any], spec: Any) -> None:
        """Raises UsageError for names that the text does not have, where with the others it is a program."""
        try:
            source = source_of(spec)
            wrong = unknown(_plain_values(params), source)
            given = _plain_values({**self._keys, **params})
            left = set(given) - set(unknown(given, source))
            there = _parameters_of(source, tuple((name, given[name]) for name in given if name in left)) if wrong else {}
        except (NetspecError, TypeError):
            return  # which fit tells
        if wrong:
            raise UsageError(no_such(type(self).__name__, wrong, super().get_params(deep=False), there))

    def _program(self, seed: int | None = None) -> Program:
        """The text with the parameters put in; None leaves a value as the text has it. Raises SpecError, UsageError."""
        return _program_of(source_of(self.spec), tuple(self._given().items()), seed)

    def _given(self) -> dict[str, Any]:
        return _plain_values(self._keys)

    def _seed(self) -> int | None:
        if self.random_state is None or isinstance(self.random_state, Integral):
            return None if self.random_state is None else int(self.random_state)
        return int(validation.check_random_state(self.random_state).randint(2**31 - 1))

    def _head(self) -> Head | None:
        """That of the fitted net, else of the text; None for a text that is no program."""
        if hasattr(self, "model_"):
            return self.model_.graph.head
        with suppress(NetspecError, TypeError):  # of a value that has no hash
            return _head_of(source_of(self.spec), tuple(self._given().items()))
        return None

    # rows

    def _validated(self, x: Any, y: Any = None, *, reset: bool, **how: Any) -> Any:
        """Rows, and labels where they are given, as scikit-learn checks them: images (N, C, H, W) by their flattened rows. The first call
        of a fit learns the number and the names of features."""
        table = rows_of(x, "X")
        if isinstance(y, str):
            raise DataError(f"y = {y!r} names a column; give the labels: fit(X.drop(columns={y!r}), X[{y!r}])")
        image = x.shape[1:] if getattr(x, "ndim", 0) == 4 else None
        if image is not None:
            x = np.asarray(x).reshape(len(x), -1)
        try:
            if y is None:
                x = validation.validate_data(self, x, reset=reset, **how)
            else:
                x, y = validation.validate_data(self, x, y, reset=reset, multi_output=True, **how)
        except (TypeError, ValueError) as found:
            raise self._fault(table) or found from None
        if x.dtype.kind == "O":  # which scikit-learn leaves of polars' tables and of lists
            x = numbers_of(table, "X", ENCODE) if isinstance(table, Frame) else check_x(x, name="X")
        if x.dtype.kind == "b":
            x = x.astype(np.float32)
        if image is not None:
            x = x.reshape(len(x), *image)
        return x if y is None else (x, y)

    def _fault(self, x: Any) -> DataError | None:
        """What says more of rows than scikit-learn does: of a table its row and column, of images without a channel what to write."""
        try:
            if isinstance(x, Frame):
                numbers_of(x, "X", ENCODE)
                return None
            shape = np.shape(x)
        except DataError as found:
            return found
        except ValueError:
            return DataError("X: its rows have different lengths")
        if len(shape) != 3:
            return None
        row = None
        with suppress(NetspecError):  # which is told once the rows are right
            row = self._row if hasattr(self, "model_") else row_of(self._program(), shape[1:])
        return DataError(f"X: shape {shape}; {axes_help(shape, row, 'X')}")

    @staticmethod
    def _in_shape(x: NDArray[Any], shape: Shape | None) -> NDArray[Any]:
        """Rows (N, D) as images where the net takes images of as many numbers. Raises DataError for images of another shape."""
        if shape is None or x.shape[1:] == tuple(shape):
            return x
        if x.ndim == 4 or size(shape) != x.shape[1]:
            raise DataError(f"X: shape {x.shape}: a row is {show(x.shape[1:])}, and the net takes {show(shape)}")
        return x.reshape(len(x), *shape)

    def _scores(self, x: Any) -> NDArray[np.float64]:
        """Scores (N, ...) of raw rows; those of a row are the same whatever rows stand beside it. Raises NotFittedError, ValueError."""
        validation.check_is_fitted(self)
        model = self.model_
        rows = arranged(self._in_shape(self._validated(x, reset=False), self._row), _preparations(model.program))
        count = len(rows)
        if count % model.network.training.test.batch == 1:  # a row alone is multiplied in another order than in company
            rows = np.concatenate([rows, rows[-1:]])
        return scores_of(model.network, rows, model.normalization)[:count].astype(np.float64)

    # training

    def _weights(self, sample_weight: Any, x: NDArray[Any]) -> NDArray[np.float64]:
        """A caller's weights (N,), of which some are above 0; ones where there are none. Raises ValueError."""
        if sample_weight is None:
            return np.ones(len(x))
        if isinstance(sample_weight, Real):
            sample_weight = np.full(len(x), sample_weight)
        weights: NDArray[np.float64] = validation.check_array(
            sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight"
        )  # fmt: skip
        if weights.shape != (len(x),):
            raise ValueError(f"sample_weight has the shape {weights.shape}, and X {len(x)} rows: one weight a row is needed")
        if (weights < 0).any():
            raise ValueError("sample_weight: negative values; weights are at least 0")
        if not (weights > 0).any():
            raise ValueError("sample_weight: all weights are zero")
        return weights

    def _read(self) -> Program:
        """The program that a fit from the start trains; what was fitted before is forgotten. Raises SpecError, UsageError."""
        self.__dict__.pop("model_", None)
        program = self._program(self._seed())
        head, call = split_head(program)[1:]
        if head.target not in self._targets:
            found = f"the chain ends in {head.name}" if call is not None else "the chain has no head, so that it gives values"
            raise UsageError(f"{type(self).__name__}: {found}; {self._advice}")
        return program

    def _built(self, program: Program, x: NDArray[Any], *, classes: int | None = None, outputs: int | None = None) -> Model:
        """A net of the program for rows like these. Raises SpecError where they contradict it, DataError."""
        facts = program.data.source.facts() if program.data is not None and program.data.source is not None else None
        shape = program.input or (facts.shape if facts is not None else None)
        self._row = tuple(shape) if shape is not None and x.ndim == 2 and size(shape) == x.shape[1] else x.shape[1:]
        self._resolved = program.resolved
        counts = counts_of(program, Facts(self._row, classes, outputs, len(x), split_head(program)[1].target))
        return Model(program, counts)

    def _again(self) -> Model:
        """The fitted net, by the parameters as they are now. Raises DataError where it is another net."""
        model = self.model_
        program = self._program(model.network.store.seed)
        if program.resolved == self._resolved:
            return model
        kept = packed(model)
        if program.train.optimizer.name != model.program.train.optimizer.name:  # whose state means nothing to the other
            kept["arrays"] = apart(kept["arrays"])[0]
        again = unpacked({**kept, "about": {**kept["about"], "spec": program.resolved}}, "to go on from the last fit")
        self._resolved = program.resolved
        return again

    def _train(self, model: Model, rows: Rows, *, once: bool) -> Self:
        """Trains on these rows: one epoch, or as many as the text says, with its stopping rule."""
        if not rows.products.any():
            raise ValueError("no row has a weight above 0: sample_weight times class_weight is zero for all of them")
        model.learn({"labels": None})  # rows have class numbers here
        with _stoppable():
            if once:
                _epoch(model, *in_copies(in_own_order(rows)))
            else:
                self._epochs(model, in_own_order(rows))
        model.learn({"labels": self._words()})
        self.model_, self.history_, self.n_iter_ = model, model.history, model.epochs_done
        self.loss_curve_ = [row["loss"] for row in model.history.epochs]
        return self

    def _words(self) -> tuple[Any, ...] | None:
        """The labels of the class numbers, which a file of the model then has too; None where they are the numbers."""
        return None

    def _epochs(self, model: Model, rows: Rows) -> None:
        validation_rows = None
        values = model.graph.head.target == "value"
        rule = model.program.train.early_stop
        if self.validation_fraction is not None:
            rows, held = held_out(rows, self.validation_fraction, model.network.store.seed)
            validation_rows = held.x, held.y
        elif rule is not None and rule.watches(values).startswith("val_"):
            raise UsageError(f"early_stop watches {rule.watches(values)}: hold rows out for it, as in validation_fraction=0.1")
        x, y, factors = in_copies(rows)
        model.fit(x, y, validation=validation_rows, sample_weight=factors, verbose=int(self.verbose))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_")

    # files

    def __getstate__(self) -> dict[str, Any]:
        """Parameters, what scikit-learn learnt of the columns, and of the net its text and arrays alone."""
        state = dict(super().__getstate__())
        if "model_" in state:
            state["_kept"] = packed(state.pop("model_"))
            state.pop("history_")
        return state

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        others = dict(state)
        kept = others.pop("_kept", None)
        if kept is not None:
            others["model_"] = unpacked(kept)
            others["history_"] = others["model_"].history
        super().__setstate__(others)


def _program_of(source: Source, given: tuple[tuple[str, Any], ...], seed: int | None) -> Program:
    sections = [entry for entry in parse(source).entries if isinstance(entry, Section) and entry.word.text == "train"]
    written = {pair.key[0] for section in sections for pair in section.pairs}
    own = [f"{key} = {value}" for key, (value, instead) in TRAIN.items() if not written & instead]
    return load(source, with_keys(Overrides(seed=seed, train="; ".join(own) or None), dict(given)))


@lru_cache(maxsize=256)
def _parameters_of(source: Source, given: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Of the text with these parameters put in. Raises SpecError, UsageError."""
    return parameters_of(_program_of(source, given, None))


@lru_cache(maxsize=256)
def _head_of(source: Source, given: tuple[tuple[str, Any], ...]) -> Head:
    """What scikit-learn asks for many times in a fit."""
    return split_head(_program_of(source, given, None))[1]


def _plain_values(params: Mapping[str, Any]) -> dict[str, Any]:
    """Those that have a value; NumPy's scalars, which searches draw, as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in params.items() if value is not None}


def _preparations(program: Program) -> tuple[Any, ...]:
    return program.data.preparations if program.data is not None else ()


def _epoch(model: Model, x: NDArray[Any], y: NDArray[Any], factors: NDArray[np.float64] | None) -> None:
    """One pass over rows of which all may have one label; the first rows' statistics are those of the normalisation."""
    if model.normalization is None:
        model.learn({"normalization": fit_preparation(x, _preparations(model.program))})
    splits = Splits(model.part(x, y), None, None, None, model.normalization, "")
    model.run_training(model.training_of(splits, 1, sample_weight=factors, may_stop=False))


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and a polite kill end the process as they do elsewhere: a search would take netspec's own error for a bad candidate and go
    on with the next."""
    try:
        yield
    except Interrupted as stopped:
        if stopped.signal_number == signal.SIGINT:
            raise KeyboardInterrupt from None
        raise SystemExit(stopped.exit_code) from None
