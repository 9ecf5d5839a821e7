"""The Python face: a compiled model, with calls in the layout and the names of the interface."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import netspec
from netspec.base.errors import DivergedError, NetspecError, Problem, SpecError, UsageError
from netspec.base.shape import show
from netspec.frontend.program import Program
from netspec.graph.check import to_graph
from netspec.graph.counts import Counts, counts_of, key_error
from netspec.graph.graph import Graph
from netspec.groups.groups import group
from netspec.plan.network import Network, TrainingPlan
from netspec.plan.store import Arrays
from netspec.save.atomic import SaveError
from netspec.save.weights import save_weights
from netspec.train.callbacks import Callback, Callbacks
from netspec.train.cautions import cautions
from netspec.train.columns import Columns
from netspec.train.data import Part, Splits
from netspec.train.evaluate import Scored, score, scores_of
from netspec.train.frames import separated
from netspec.train.gradcheck import Gradcheck, GradcheckReport
from netspec.train.history import History, told_when_interrupted
from netspec.train.labels import Words, decode
from netspec.train.learned import Learned
from netspec.train.loop import ENDLESS, Best, Monitor, Training
from netspec.train.lr_find import HIGHEST, LEAST_STEPS, LOWEST, STEPS, LrFind, find_lr
from netspec.train.metrics import TOP, require_top
from netspec.train.normalize import Normalization, as_input
from netspec.train.record import Record
from netspec.train.settings import schedule_of, settings_of
from netspec.train.shares import require_variance
from netspec.train.source import counts_with_data, counts_with_rows, read_encoded
from netspec.train.step import update
from netspec.train.stopping import require_watched
from netspec.train.team import Team
from netspec.train.threshold import DEFAULT, best_thresholds, checked
from netspec.train.turn import Turn
from netspec.train.weights import Description, Origin, description, learned_of, take_over, tensors_of
from netspec.ui.class_report import ClassReport, report_of
from netspec.ui.curves import draw_run
from netspec.ui.notebook.model_page import MOST_LAYERS, model_page, unsized_page
from netspec.ui.notebook.progress import progress
from netspec.ui.report.measured import Measured
from netspec.ui.report.write import report_run
from netspec.ui.summary import Summary, summarize

HELD_OUT = ("test", "validation")
"""The splits that a model is measured on, by preference."""


class Model:
    """A network that was declared as text. Made by `netspec.compile`, `netspec.restore` or `netspec.train`.

    Arrays: images (N, C, H, W), vectors (N, D), of any floating or integer dtype; computed in the model's dtype. Vectors may stand in a
    table, whose column of labels may be given by its name, as `fit` says. Until the shape of the input and the counts are known, by the
    text, by keywords, or by the first `fit(X, y)`, only `fit` can be called.
    """

    def __init__(self, program: Program, counts: Counts | None = None, team: Team | None = None) -> None:
        self.program, self.team = program, team
        self._known = Learned(program)
        self._turn = Turn()
        self.epochs_done = 0
        self.running: Training | None = None
        """The loop, while it trains: for callbacks."""
        self.history = History()
        self._network: Network | None = None
        self.unloaded: list[str] = []
        """Names that `compile(weights=..., strict=False)` found no array for."""
        self.allow: tuple[Path, ...] = ()
        """Folders beside the usual ones that the file's data may lie in."""
        self._steps_per_epoch = ENDLESS
        self._forward_rows = 0  # of the train form that `backward` belongs to; an update or a loss ends it
        counts = counts or counts_of(program)
        if counts is not None:
            self._build_if_sized(counts)

    def __getstate__(self) -> dict[str, Any]:
        """Of a copy, which a callback may make while this model trains: nobody trains the copy."""
        return {**self.__dict__, "running": None}

    def _build_if_sized(self, counts: Counts) -> None:
        """Builds the network, unless the number of classes is still to be learnt from labels."""
        try:
            self._build(counts)
        except SpecError as error:
            if [diagnostic.code for diagnostic in error.diagnostics] != ["NS405"]:
                raise

    def _build(self, counts: Counts) -> None:
        grouping = group(to_graph(self.program, counts), self.program.train.fuse)
        self._network = Network(grouping, settings_of(self.program, team=self.team))

    def __repr__(self) -> str:
        if self._network is None:
            return "Model(shapes not known yet)"
        ends = f"{show(self.graph.input.shape)} -> {show(self.graph.output.shape)}"
        return f"Model({ends}, {self.graph.parameter_count:,} parameters, {self.epochs_done} epochs done)"

    def _repr_html_(self) -> str:
        """What a notebook shows: the same line, and folded its layers, its picture, its training and its text."""
        if self._network is None:
            return unsized_page(self.program)
        picture = netspec.draw(self)._repr_html_() if len(self.graph.nodes) <= MOST_LAYERS else ""
        return model_page(self.program, self.graph, self.plan, self.history, self.epochs_done, picture)

    @property
    def is_built(self) -> bool:
        """Whether the shapes are known."""
        return self._network is not None

    def build_as(self, found: Description) -> None:
        """Builds the network with the ends that a weights file tells, where they are not known yet."""
        if self._network is None:
            self._build(Counts(tuple(found.input), found.classes, found.outputs))

    @property
    def network(self) -> Network:
        """The graph with its memory. Raises UsageError before the shapes are known."""
        if self._network is None:
            fit = "fit(), which reads the file's data," if self._known.has_data else "fit(X, y)"
            raise UsageError(f"the model has no shape yet: give input= (and classes= or outputs=) to compile, or call {fit} first")
        return self._network

    @property
    def graph(self) -> Graph:
        return self.network.graph

    # what it holds

    @property
    def params(self) -> Arrays:
        """Trained arrays by name, each a view: `model.params["affine1.W"][...] = w` is seen by the next call."""
        return self.network.store.parameters

    @property
    def state(self) -> Arrays:
        """Running averages by name (`bn1.mean`, `bn1.var`), as views."""
        return self.network.store.state

    @property
    def plan(self) -> TrainingPlan:
        """What training does and allocates: prints; `peak_bytes`, `flops` (of a training step at `train.batch`)."""
        return self.network.training

    @property
    def step_count(self) -> int:
        """Updates done."""
        return self.network.store.step

    @property
    def labels(self) -> Words | None:
        """The words of the class numbers, once some were seen; None where numbers are the labels."""
        return self._known.labels

    @property
    def normalization(self) -> Normalization | None:
        """What rows are shifted and scaled by, once it was computed."""
        return self._known.normalization

    @property
    def columns(self) -> Columns | None:
        """Of a table with categories, the columns that the net was trained with."""
        return self._known.columns

    @property
    def origin(self) -> Origin | None:
        """What rows are before they are prepared, once some were seen."""
        return self._known.origin

    @property
    def class_weights(self) -> NDArray[np.float64] | None:
        """The weight of each class in the loss; None where there are none, and before `balanced` ones are counted by the first fit."""
        return self._known.class_weights

    @property
    def learned(self) -> dict[str, Any]:
        """What is known of the data, by LEARNED's names."""
        return self._known.values

    def learn(self, known: Mapping[str, Any]) -> None:
        """Takes over some of it."""
        self._known.learn(known)

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        """Where rows are at fault nothing is built or learned."""
        before = self._network, self.learned
        try:
            yield
        except NetspecError:
            self._network = before[0]
            self.learn(before[1])
            raise

    @property
    def has_text_labels(self) -> bool:
        """Whether the classes have words."""
        return self.labels is not None and isinstance(self.labels[0], str)

    @property
    def classes_(self) -> NDArray[Any] | None:
        """The label of each class number; None for values."""
        if self.graph.head.target == "value":
            return None
        return np.asarray(self.labels) if self.labels is not None else np.arange(self.graph.classes)

    def summary(self) -> Summary:
        """A table by layer that prints."""
        return summarize(self.program, self.graph, self.plan)

    # training

    def fit(
        self, X: Any = None, y: Any = None, *, validation: Any = None, epochs: int | None = None,  # noqa: N803
        callbacks: Sequence[Callback | Callable[..., Any]] = (), sample_weight: Any = None,
        run_dir: str | Path | None = None, verbose: int = 0,
    ) -> History:  # fmt: skip
        """Trains on rows X with labels y, or on the file's data when both are left out; returns the model's History.

        X is an array, a list of rows, or a table of pandas, polars, pyarrow, or whatever else speaks Arrow's stream interface (then the
        extra `data` reads it). The columns of a table are kept by name: later tables may have them in another order, and others beside
        them; an index is not looked at. y is an array, a list, a column, a table of columns, or the name of a column of X.

        Continues from the current parameters, optimiser state, step and epoch. `validation` is (Xv, yv) or a fraction of the rows;
        `epochs` counts the epochs of this call. A callback is a function called as `callback(model, row)` at an epoch's end, or an object
        with some of the hooks of `netspec.Callback`; one that returns True or raises `netspec.StopTraining` ends training, and
        `history.stopped` then says why. `sample_weight` (N,) multiplies the rows' losses, and so does the weight of a row's class where
        the train section has `class_weights`; the mean is still over rows, as in Keras and scikit-learn (PyTorch divides by the sum of
        the weights). Silent at verbose 0; at 1 a line an epoch on stderr, in a notebook a display. Writes a run folder only where
        `run_dir` is given. Raises DataError, DivergedError, Interrupted; UsageError while another thread trains this model.
        """
        if epochs is not None and not (isinstance(epochs, Integral) and epochs >= 0):
            raise UsageError(f"epochs={epochs!r}: give a whole number, 0 or more")
        if (X is None) != (y is None):
            raise UsageError("fit takes X and y together, or neither (then the file's data section is used)")
        with self._turn.taken():
            count = epochs if epochs is not None else self.program.train.epochs
            hooks = Callbacks(self, callbacks)
            with self._undone_on_error():
                splits = self.splits_of(X, y, validation) if X is not None else self.splits_of_data()
                training = self.training_of(splits, count, monitor=progress() if verbose else None, sample_weight=sample_weight)
            rate = training.schedule.scalars(
                self.network.store.step + 1, 1, self.epochs_done + 1, self._steps_per_epoch, self.history.figures
            )
            for told in cautions(self.program, splits.train.rows.x, self.epochs_done, float(rate[0, 0]), run_dir is not None):
                warnings.warn(told, stacklevel=2)
            record = None
            if run_dir is not None:
                record = Record.create(
                    self, self.program, str(self.plan), splits.fingerprint, epochs=count, rows=splits.counts(), run_dir=Path(run_dir)
                )  # fmt: skip
            with record.folder.held() if record else nullcontext():
                with told_when_interrupted(self.history):
                    history = self.run_training(training, record, hooks)
                if record:
                    record.end(training)
            if record:
                held = splits.validation
                report_run(record.folder, self, None if held is None else self.measured("validation", held))
            hooks.end(history)
            return history

    def splits_of_data(self, allow: Sequence[Path] = ()) -> Splits:
        """The splits of the file's own data, which may lie in folders of `allow` too; builds the network where only the data tells its
        shape."""
        self.allow = tuple(allow)
        counted = self.program.classes is not None or self._network is not None
        dataset, columns = read_encoded(self.program, allow, self.columns)
        self.learn({"columns": columns})
        if self._network is None:
            self._build(counts_with_data(self.program, dataset))
        return self._known.splits_of_data(dataset, self.graph, counted=counted)

    def splits_of(self, x: Any, y: Any, validation: Any) -> Splits:
        """Arrays as checked, encoded splits; builds the network where their shape was missing, and learns labels, columns and
        normalisation."""
        counted = self.program.classes is not None or self._network is not None  # a net that is built keeps the meaning of its classes
        try:
            row = self.program.input if self._network is None else self.graph.input.shape
            x, y, validation = self._known.by_columns(x, y, validation, row)
            if self._network is None:
                self._build(counts_with_rows(self.program, x, y))
        except Problem as found:
            raise key_error(self.program, found) from None
        return self._known.splits_of(x, y, validation, self.graph, self.network.store.seed, counted=counted)

    def lr_find(self, X: Any = None, y: Any = None, *, lowest: float = LOWEST, highest: float = HIGHEST, steps: int = STEPS) -> LrFind:  # noqa: N803
        """Tries learning rates from `lowest` to `highest`, one a step, on rows X with labels y, or on the training rows of the file's data;
        `.lr` of what it returns is the suggestion, `.rates`, `.losses`, `.smoothed` are the curve, and it prints. Starts from the current
        parameters, so that of a net that is trained the rate is one to go on with, and leaves them, the optimiser's state, the running
        averages, labels and normalisation as they were. Schedules are left out. Raises DataError, DivergedError, UsageError."""
        if (X is None) != (y is None):
            raise UsageError("lr_find takes X and y together, or neither (then the file's data section is used)")
        if not (0 < lowest < highest and isinstance(steps, Integral) and steps >= LEAST_STEPS):
            raise UsageError(f"lr_find needs 0 < lowest < highest, and steps of at least {LEAST_STEPS}")
        with self._turn.taken():
            before = self.learned
            try:
                with self._undone_on_error():
                    splits = self.splits_of(X, y, None) if X is not None else self.splits_of_data()
                return self.lr_find_on(splits, lowest=lowest, highest=highest, steps=steps)
            finally:
                self.learn(before)

    def lr_find_on(self, splits: Splits, *, lowest: float = LOWEST, highest: float = HIGHEST, steps: int = STEPS) -> LrFind:
        """`lr_find` on the training part of splits that this model made."""
        self._forward_rows = 0
        material = self._known.training_material(splits.train, self.network)
        return find_lr(self.network, material, drop_last=self.program.train.drop_last, lowest=lowest, highest=highest, steps=steps)

    def training_of(
        self, splits: Splits, epochs: int, *, monitor: Monitor | None = None, sample_weight: Any = None, may_stop: bool = True
    ) -> Training:  # fmt: skip
        """The loop over prepared splits, with their rows as the network takes them. Raises DataError where they cannot be."""
        material = self._known.training_material(splits.train, self.network, sample_weight)
        held_out = self._known.held_out(splits, material, self.network.dtype)
        require_watched(self.program, self.graph.head.target == "value", held_out is not None)
        if self.team is not None:
            require_variance(self.program, self.graph, self.team.share, min(self.program.train.batch, len(material)))
        more: dict[str, Any] = {
            "epochs_done": self.epochs_done,
            "early_stop": self.program.train.early_stop if may_stop else None,
            "history": self.history,
            "team": self.team,
        }
        training = Training(self.network, schedule_of(self.program, epochs), material, held_out, monitor=monitor, **more)
        self._steps_per_epoch = training.steps_per_epoch
        return training

    def run_training(self, training: Training, record: Record | None = None, hooks: Callbacks | None = None) -> History:
        """Trains, and restores the best parameters; `on_end` is left to the caller. An interrupted run leaves its last ones, in `record`
        too; one that diverged the last good ones there, and its last ones here; where those are not finite the best, or those that it
        began with."""
        self._forward_rows = 0
        hooks = hooks or Callbacks(self, ())
        self.running, training.folder = training, record.folder.path if record else None

        def after_steps(step: int, losses: NDArray[np.float64]) -> None:
            if record:
                record.steps(training)
            hooks.steps(step, losses)

        def at_epoch_end(row: dict[str, Any]) -> None:
            self.epochs_done = row["epoch"]
            if record:
                record.epoch(row, training)
            hooks.epoch(row)

        training.on_begin, training.on_steps, training.on_epoch = hooks.begin, after_steps, at_epoch_end
        try:
            with self._turn.taken(), training.signals.noted(), record.kept(training) if record else nullcontext():
                history = training.run()
                if record:
                    record.finish(training)
                    if record.pictures:
                        with suppress(SaveError, OSError):  # a picture is no reason to lose a result
                            draw_run(record.folder)
        except BaseException as error:
            if isinstance(error, DivergedError) and not self.network.store.is_finite:
                training.best.put_back(self.network)
            hooks.error(error)
            if record and record.pictures and isinstance(error, DivergedError):
                report_run(record.folder, self)
            raise
        finally:
            self.running = None
        training.best.restore(self.network)
        return history

    def reset(self, seed: int | None = None) -> None:
        """Starts anew: fresh parameters by `seed` (the spec's own when left out), no optimiser state, step 0, epoch 0, no history."""
        self._turn.require()
        self.network.initialize(self.program.seed if seed is None else seed)
        self.epochs_done, self.history, self._steps_per_epoch = 0, History(), ENDLESS
        self._known.forget()

    def step(self, X: Any, y: Any) -> float:  # noqa: N803
        """Exactly one update on these rows, taken as they are; returns their loss (data loss plus l2) before it.

        A schedule counts it like an update of `fit`, with epochs as long as those of the last `fit`; before any `fit` an epoch never ends.
        """
        self._turn.require()
        network = self.network
        x, encoded = self._batch(X, y)
        labels, weights = network.labels_to_layout(encoded), self._known.known_weights(encoded, network)
        self._forward_rows = 0
        schedule = schedule_of(self.program, 1)
        scalars = schedule.scalars(network.store.step + 1, 1, self.epochs_done + 1, self._steps_per_epoch, self.history.figures)
        return update(network, x, labels, weights, scalars)

    # computing

    def forward(self, X: Any, train: bool = False, at: str | None = None) -> NDArray[Any]:  # noqa: N803
        """Scores before the head, (N, ...), for rows as they are; `at="relu1"` gives that layer's output instead.

        `train=True` takes all rows as one batch, with its statistics and masks, and updates the running averages.
        """
        network = self.network
        node = None
        if at is not None:
            named = {node.name: node for node in network.graph.nodes}
            if at not in named:
                raise UsageError(f"at={at!r}: no such layer; there are {', '.join(named)}")
            node = named[at]
        x = self._rows(X)
        with network.lock:  # a fit in another thread has the averages' switch too
            network.store.update_state(train)
            values = network.values(x, node, train)
            self._forward_rows = len(x) if train and node is None else 0
        return values

    def backward(self, dout: Any) -> tuple[NDArray[Any], dict[str, NDArray[Any]]]:
        """(dx, gradients by parameter name) after `forward(X, train=True)`, for dout of the scores' shape; without l2."""
        shape = (self._forward_rows, *self.graph.output.shape)
        if not self._forward_rows:
            raise UsageError("backward needs forward(X, train=True) right before it")
        gradient = np.asarray(dout, self.network.dtype)
        if gradient.shape != shape:
            raise UsageError(f"dout has the shape {gradient.shape}, and the scores have {shape}")
        dx = self.network.backward(gradient)
        return dx, self.network.store.gradients.copy()

    def loss(self, X: Any, y: Any) -> tuple[float, dict[str, NDArray[Any]]]:  # noqa: N803
        """(loss, gradients by parameter name) of one batch in train form, data loss plus l2, with the mask of the current step.

        Changes no state: no running averages, no update.
        """
        network = self.network
        x, encoded = self._batch(X, y)
        labels, weights = network.labels_to_layout(encoded), self._known.known_weights(encoded, network)
        with network.lock:
            network.store.update_state(False)
            value, _ = network.loss(x, labels, weights=weights)
            self._forward_rows = 0
            return value, network.store.gradients.copy()

    def evaluate(self, X: Any = None, y: Any = None, threshold: Any = None, top: int = TOP) -> dict[str, float]:  # noqa: N803
        """Figures on raw rows: test form, without l2 and without weights of classes. When both are left out the rows are those that the
        file's data section splits off for the test, for validation where there are none for a test.

        For classes `loss`, `accuracy` (of single answers where a row has several), `f1` (of class 1 where there are two classes, else the
        plain mean over classes), `top5` (of more than five classes; `top=3` gives `top3`), `roc_auc` (one against the rest, the mean over
        classes; left out where only one class occurs) and `log_loss` (not for svm); for values `loss`, `r2`, `mae`, `rmse`. `threshold`
        is as for `predict`.
        """
        return self.evaluate_rows(self._measured_on(X, y, "evaluate", *HELD_OUT), threshold, top)

    def evaluate_rows(self, part: Part, threshold: Any = None, top: int = TOP) -> dict[str, float]:
        """`evaluate` for rows with encoded labels, as splits hold them."""
        return self._scored(part).figures(self._threshold(threshold), require_top(top))

    def report(self, X: Any = None, y: Any = None, threshold: Any = None, top: int = TOP) -> ClassReport:  # noqa: N803
        """The figures by class and the confusion matrix on raw rows: prints a table, arrays are attributes. All arguments as in `evaluate`.

        Raises UsageError for values, which have no classes.
        """
        return self.report_rows(self._measured_on(X, y, "report", *HELD_OUT), threshold, top)

    def report_rows(self, part: Part, threshold: Any = None, top: int = TOP) -> ClassReport:
        """`report` for rows with encoded labels, as splits hold them."""
        if self.graph.head.target == "value":
            raise UsageError("a report is by class, and this net gives values: call evaluate")
        labels = self.classes_
        assert labels is not None, "a head for classes"
        return report_of(self._scored(part), labels, self._threshold(threshold), require_top(top))

    def measured(self, split: str, part: Part) -> Measured:
        """Scores and figures of rows with encoded labels, computed once for all that is told of them."""
        scored, labels = self._scored(part), self.classes_
        if labels is None:
            return Measured(split, part, scored, scored.figures(), None)
        report = report_of(scored, labels)
        return Measured(split, part, scored, report.figures, report)

    def best_threshold(self, X: Any = None, y: Any = None, metric: str = "f1") -> float | NDArray[np.float64]:  # noqa: N803
        """The threshold by which predictions of raw rows are best: by `f1` of label 1, `accuracy`, or `balanced_accuracy`, the mean of
        the shares that are right of either label. Exact over all thresholds; one for each of several answers of a row, (K,).

        Choose it on rows that were held out, and measure it on others; without rows it is chosen on those that the file's data has for
        validation. Raises UsageError where the head has no threshold.
        """
        checked(self.graph.head, DEFAULT, self.graph.classes)
        scored = self._scored(self._measured_on(X, y, "best_threshold", "validation"))
        return best_thresholds(self.graph.head.predict_proba(scored.scores), scored.y, metric)

    def _measured_on(self, x: Any, y: Any, call: str, *splits: str) -> Part:
        """Raw rows with their labels, checked and encoded; where both are left out those of the first of these splits that the file's data
        has. Raises UsageError where there are none."""
        if x is not None and y is not None:
            return self.part(x, y)
        if x is not None or y is not None or not self._known.has_data:
            raise UsageError(f"{call} takes X and y together, or neither where the text has a data section: model.{call}(X, y)")
        return self._known.rows_of_data(self.graph, splits, call, self.allow)

    def part(self, x: Any, y: Any, y_name: str = "y") -> Part:
        """Raw rows with their labels, which messages call `y_name`, checked and encoded."""
        return self._known.part(x, y, self.graph, y_name)

    def _scored(self, part: Part) -> Scored:
        material = self._known.material(part, self.network.dtype)
        return score(self.network, material.x, material.y, material.index)

    def _threshold(self, threshold: Any) -> float | NDArray[np.float64]:
        return checked(self.graph.head, threshold, self.graph.head.scores(self.graph.classes))

    def predict(self, X: Any, threshold: Any = None) -> NDArray[Any]:  # noqa: N803
        """Labels (N,), 0/1, or values for raw rows, as the head defines; in batches of bounded memory.

        The head sigmoid takes a row for 1 where its probability exceeds `threshold`, 1/2 when left out; with several answers a row it
        may be (K,). Raises UsageError for a threshold outside (0, 1), or where the head has none.
        """
        head = self.graph.head
        predicted = head.predict(self._scores(X), self._threshold(threshold))
        if head.target == "value":
            return predicted[:, 0] if predicted.ndim == 2 and predicted.shape[1] == 1 else predicted
        return decode(predicted, self.labels)

    def predict_proba(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Probabilities (N, classes) for raw rows. Raises UsageError where the head has none (svm, linear)."""
        return self.graph.head.predict_proba(self._scores(X))

    def _scores(self, x: Any) -> NDArray[Any]:
        return scores_of(self.network, self._known.inputs(x, self.graph), self.normalization)

    def gradcheck(self, X: Any, y: Any) -> GradcheckReport:  # noqa: N803
        """Compares gradients with numeric ones on these rows, in float64, on a copy of the parameters: `.max_error`, `.errors[name]`."""
        x, labels = self._batch(X, y, np.float64)
        double = self.network.in_dtype("float64")
        return Gradcheck(double, x, double.labels_to_layout(labels), self._known.with_class_weights(labels, self.network.dtype)).run()

    def _rows(self, x: Any, dtype: Any = None) -> NDArray[Any]:
        """Rows as they are, as the network takes them."""
        return as_input(self._known.inputs(x, self.graph), None, dtype or self.network.dtype)

    def _batch(self, x: Any, y: Any, dtype: Any = None) -> tuple[NDArray[Any], NDArray[Any]]:
        """Rows as they are, as the network takes them, and their labels as the loss takes them."""
        x, y = separated(x, y)
        rows = self._rows(x, dtype)
        return rows, self._known.encoded(y, len(rows), self.graph)

    # files

    def save(self, path: str | Path) -> None:
        """One safetensors file with parameters, running averages, normalisation, and the spec; written whole or not at all."""
        if Path(path).is_dir():
            raise UsageError(f"{path}: is a folder; give the name of a file")
        save_weights(Path(path), self.tensors(), self.metadata())

    def tensors(self, best: Best | None = None) -> dict[str, NDArray[Any]]:
        """What a weights file holds: the parameters and averages of this moment, or those of `best`; and the normalisation."""
        return tensors_of(self.network, self.normalization, best)

    def metadata(self, best: Best | None = None) -> dict[str, Any]:
        """What a weights file says beside its arrays: enough to build the model again. The arrays are those of `best`, else the last."""
        position = (best.epoch, best.step) if best is not None and best.is_known else (self.epochs_done, self.step_count)
        more = {} if self.class_weights is None else {"class_weights": self.class_weights.tolist()}
        return {**description(self.network, self.program, self.normalization, self.labels, position, self.columns, self.origin), **more}

    def load_tensors(self, tensors: Mapping[str, NDArray[Any]], found: Description, *, strict: bool = True) -> list[str]:
        """Takes over arrays of matching names and shapes, with their normalisation and labels; returns the names that got none.

        Raises DataError for a wrong shape or dtype, and where `strict` for any name that is missing or too many.
        """
        self._turn.require()
        known = learned_of(found, tensors, self.graph, strict)
        if self.program.train.class_weights != "balanced":
            known.pop("class_weights", None)  # they are written out
        left_out = self.load_arrays(tensors, strict=strict)
        self.learn(known)
        return left_out

    def load_arrays(self, tensors: Mapping[str, NDArray[Any]], *, strict: bool = True) -> list[str]:
        """`load_tensors` for arrays alone, of which nothing else is known."""
        self._turn.require()
        return take_over(self.network, tensors, strict)
