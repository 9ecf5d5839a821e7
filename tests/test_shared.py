"""Training that several processes share is that of one process: the same losses, parameters, averages and figures, for any number of them.

The ranks are threads here, which exchange what processes exchange over MPI (tests/test_mpi.py): the arithmetic is the same.
"""

from __future__ import annotations

from contextlib import nullcontext
from copy import copy
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from shared_runs import Rank, together

from netspec.base.errors import DivergedError, SpecError
from netspec.graph.check import overrides_of, to_graph
from netspec.kernels.context import Share
from netspec.model import Model
from netspec.pipeline import read
from netspec.plan.plan import Plan
from netspec.plan.shared import SharedSteps
from netspec.train import steps
from netspec.train.callbacks import Callbacks, StopTraining
from netspec.train.history import History
from netspec.train.shares import idle, require_variance

ROWS, BATCH, EPOCHS = 83, 16, 3
VECTORS, IMAGES = (12,), (3, 8, 8)
CASES = {
    "relu": ("[affine(24)-relu]x2 -> affine -> softmax", VECTORS, "optimizer = sgd(lr=0.05, momentum=0.9); l2 = 1e-3"),
    "clip": ("affine(24)-gelu -> affine -> softmax", VECTORS, "optimizer = rmsprop(lr=1e-3); clip = 0.1; l2 = 1e-2"),
    "masks": ("[affine(24)-relu-dropout]x2 -> affine -> softmax", VECTORS, "optimizer = adam(lr=1e-2)"),
    "bn": ("[affine(24)-bn-relu-dropout(25%)]x4 -> affine -> softmax", VECTORS, "optimizer = adamw(lr=1e-2, weight_decay=0.1); clip = 1.0"),
    "images": ("[conv(8)-bn-relu-dropout2d-pool]x2 -> affine(20)-bn-relu -> affine -> softmax", IMAGES, "optimizer = adam(lr=1e-2)"),
    "branches": ("conv(8)-bn-relu -> res[conv(8)-bn-relu-conv(8)-bn]-relu -> globalpool -> affine -> softmax", IMAGES, "l2 = 1e-4"),
    "two at once": ("concat(conv(4)-bn | conv(4, kernel=1)-bn)-relu -> globalpool -> affine -> softmax", IMAGES, ""),
    "rows": ("affine(24)-layernorm-silu -> affine(16)-prelu -> affine -> softmax", VECTORS, ""),
    "tied": ("affine(12) @enc -> relu -> affine(tie=enc.T)-tanh -> affine -> softmax", VECTORS, ""),
    "frozen": ("affine(24)-bn(frozen=true)-relu -> affine(24, lr_scale=0.1)-bn-relu -> affine -> softmax", VECTORS, "clip = value(0.01)"),
    "weighted": ("affine(24)-bn-relu -> affine -> softmax", VECTORS, "class_weights = balanced; label_smoothing = 0.1"),
    "values": ("affine(24)-bn-relu -> affine", VECTORS, "loss = huber; optimizer = adagrad(lr=1e-2)"),
    "augmented": ("data {{ transforms = flip, crop(1) }} net conv(8)-relu-pool -> affine -> softmax", IMAGES, ""),
    "a rate": ("affine(24)-relu -> affine -> softmax", VECTORS, "schedule = plateau(patience=1ep); lr_decay = 0.5"),
}  # fmt: skip


def rows(case: str) -> tuple[NDArray[Any], NDArray[Any], tuple[NDArray[Any], NDArray[Any]]]:
    draw = np.random.default_rng(3)
    x = draw.normal(size=(ROWS + 10, *CASES[case][1]))
    y = draw.normal(size=len(x)) if case == "values" else draw.permutation(np.arange(len(x)) % 3)
    return x[:ROWS], y[:ROWS], (x[ROWS:], y[ROWS:])


def trained(
    case: str, rank: Rank | None = None, dtype: str = "float64", hooks: Any = (), spoilt: int | None = None
) -> tuple[Model, History]:
    """A model of a case after a few epochs, in one process or as one rank."""
    text, shape, train = CASES[case]
    classes = None if case == "values" else 3
    given = overrides_of(
        input=shape, classes=classes, train=f"batch = {BATCH}; epochs = {EPOCHS}; {train}", dtype=dtype, threads=1, seed=5
    )  # fmt: skip
    model = Model(read(text.replace("{{", "{").replace("}}", "}"), given), team=rank)  # type: ignore[arg-type]
    x, y, validation = rows(case)
    if spoilt is not None:
        x[spoilt] = np.sign(x[spoilt]) * 1.7e308
    training = model.training_of(model.splits_of(x, y, validation), EPOCHS)
    return model, model.run_training(training, None, Callbacks(model, hooks))


def difference(one: tuple[Model, History], other: tuple[Model, History]) -> float:
    """The largest, of parameters, averages, losses and figures, against the size of what is compared."""
    (model, history), (again, told) = one, other
    pairs = [(model.network.store.parameters.flat, again.network.store.parameters.flat), (history.loss, told.loss)]
    pairs.append((model.network.store.state.flat, again.network.store.state.flat))
    for column in ("loss", "train_accuracy", "val_loss", "val_accuracy", "lr", "step"):
        pairs.append(([row[column] or 0.0 for row in history.epochs], [row[column] or 0.0 for row in told.epochs]))
    found = [0.0]
    for a, b in pairs:
        assert len(a) == len(b)
        if len(a):
            found.append(float(np.abs(np.asarray(a) - np.asarray(b)).max() / max(1.0, float(np.abs(a).max()))))
    return max(found)


@pytest.mark.parametrize("case", CASES)
def test_several_train_as_one(case: str) -> None:
    """83 rows in batches of 16: the last has 3, so that of four ranks one has none."""
    one = trained(case)
    for size in (2, 3, 4):
        for found in together(size, lambda rank: trained(case, rank)):
            assert difference(one, found) < 1e-11


@pytest.mark.parametrize("case", ["bn", "images"])
def test_all_ranks_have_the_same_bits(case: str) -> None:
    found = together(3, lambda rank: trained(case, rank, "float32"))
    arrays = [(model.network.store.parameters.flat.tobytes(), model.network.store.state.flat.tobytes()) for model, _ in found]
    assert len(set(arrays)) == 1
    assert difference(trained(case, None, "float32"), found[0]) < 1e-4


def test_statistics_of_own_rows_are_another_run() -> None:
    one, found = trained("bn"), together(2, lambda rank: trained("bn", rank), statistics=False)
    assert difference(one, found[0]) > 1e-4
    assert difference(found[0], found[1]) == 0


def test_a_rank_without_rows_leaves_its_averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each last batch of 3 rows the first of four ranks has none; it takes no statistics of nothing, which would be 0."""
    changes: list[float] = []
    compute = SharedSteps._compute

    def watched(self: SharedSteps, threads: int) -> None:
        before = self.plan.store.state.flat.copy()
        compute(self, threads)
        if self.plan.store.control[0] == 0:
            changes.append(float(np.abs(self.plan.store.state.flat - before).max()))

    monkeypatch.setattr(SharedSteps, "_compute", watched)
    together(4, lambda rank: trained("bn", rank), statistics=False)
    assert changes == [0.0] * EPOCHS


# what would be found


@pytest.mark.parametrize(
    ("case", "wrong"),
    [("bn", "gather"), ("masks", "first"), ("augmented", "first"), ("relu", "others"), ("relu", "add"), ("weighted", "others")],
)
def test_a_mistake_is_found(case: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics that are not exchanged, masks by the place in the part, a mean over the part, gradients that are not added."""
    if wrong in ("gather", "add"):

        def deaf(plan: Plan, share: Share, rank: Rank) -> SharedSteps:
            """Steps in which the ranks meet, and learn nothing of one another."""
            hears_nothing = copy(rank)
            setattr(hears_nothing, wrong, lambda values: rank._exchanged(None, lambda _: None))
            return SharedSteps(plan, share, hears_nothing)

        monkeypatch.setattr(steps, "SharedSteps", deaf)
    else:
        word = {"first": 7, "others": 6}[wrong]
        compute = SharedSteps._compute

        def spoilt(self: SharedSteps, threads: int) -> None:
            self.plan.store.control[word] = 0
            compute(self, threads)

        monkeypatch.setattr(SharedSteps, "_compute", spoilt)
    assert difference(trained(case), together(2, lambda rank: trained(case, rank))[0]) > 1e-6


def test_shares_are_those_of_tasks() -> None:
    """Every row of a batch belongs to one rank, and the parts differ by one row at most."""
    for ranks in range(1, 9):
        for count in range(40):
            starts = [Share(rank, ranks, True).first(count) for rank in range(ranks)] + [count]
            sizes = np.diff(starts)
            assert sizes.sum() == count
            assert sizes.max() - sizes.min() <= 1
            assert sizes.max() <= Share(0, ranks, True).most(count)


# rows of a rank


@pytest.mark.parametrize(
    ("net", "shape", "batch", "ranks", "few"),
    [
        ("affine-bn -> affine", VECTORS, 8, 4, False),
        ("affine-bn -> affine", VECTORS, 7, 4, True),
        ("affine-bn -> affine", VECTORS, 3, 4, True),
        ("affine-bn(frozen=true) -> affine", VECTORS, 4, 4, False),
        ("affine-layernorm -> affine", VECTORS, 4, 4, False),
        ("conv(2)-bn -> affine", IMAGES, 4, 4, False),
        ("conv(2)-bn -> globalpool -> affine-bn -> affine", IMAGES, 4, 4, True),
        ("conv(2, stride=8)-bn -> affine", IMAGES, 4, 4, True),
    ],
)  # fmt: skip
def test_bn_needs_two_numbers_for_a_variance(net: str, shape: tuple[int, ...], batch: int, ranks: int, few: bool) -> None:
    program = read(net, overrides_of(input=shape, train=f"batch = {batch}"))
    for statistics in (True, False):
        with pytest.raises(SpecError, match="NS606") if few and not statistics else nullcontext():
            require_variance(program, to_graph(program), Share(0, ranks, statistics), batch)


def test_processes_without_rows() -> None:
    assert idle(Share(0, 4, True), 4) is None
    assert "6 processes share batches of 4, and 2 of them never get a row; start at most 4 processes" in (idle(Share(0, 6, True), 4) or "")


# ends


def test_all_stop_before_the_update_of_a_loss_that_is_no_number() -> None:
    def one(rank: Rank) -> tuple[str, list[int], int]:
        with pytest.raises(DivergedError) as found:
            trained("relu", rank, spoilt=7)
        return str(found.value), list(found.value.rows), found.value.step or 0

    found = together(2, one)
    assert found[0] == found[1]
    assert found[0][1] == [7]


def test_the_stopping_rule_ends_all_after_the_same_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    text, shape, train = CASES["bn"]
    monkeypatch.setitem(CASES, "bn", (text, shape, f"{train}; early_stop = stop(val_loss, patience=1ep)"))
    monkeypatch.setattr("test_shared.EPOCHS", 40)
    one, several = trained("bn"), together(3, lambda rank: trained("bn", rank))
    assert 1 < len(one[1].epochs) < 40
    assert (one[1].stopped or "").startswith("early_stop: ")
    for found in several:
        assert found[1].stopped == one[1].stopped
        assert difference(one, found) < 1e-11


def test_a_callback_of_one_rank_ends_all_after_the_same_step() -> None:
    def at(model: Any, row: dict[str, Any]) -> None:
        if row["epoch"] == 2:
            raise StopTraining("far enough")

    found = together(2, lambda rank: trained("relu", rank, hooks=(at,) if rank.leads else ()))
    assert [len(history.epochs) for _, history in found] == [2, 2]
    assert found[0][1].stopped == "far enough"
    assert difference(found[0], found[1]) == 0


def test_a_wish_before_the_first_step_is_heard_before_it() -> None:
    class Never:
        def on_begin(self, model: Any) -> bool:
            return True

    found = together(2, lambda rank: trained("relu", rank, hooks=(Never(),) if rank.leads else ()))
    assert [len(history.loss) for _, history in found] == [len(trained("relu", hooks=(Never(),))[1].loss)] * 2 == [0, 0]
