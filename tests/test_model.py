"""Every call of the Python interface, on nets that train in milliseconds."""

from __future__ import annotations

import copy
import pickle
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import netspec
from netspec.frontend import syntax

MLP = "affine(8)-bn-relu-dropout -> affine -> softmax"
CONV = "conv(3)-bn-relu-pool -> affine -> softmax"
FILE = """
netspec 1
let width = 6
input 5
classes 3
net affine(width)-relu -> affine -> softmax
train { optimizer = sgd(lr=0.1); batch = 4; epochs = 2 }
seed 3
"""
Arrays = tuple[NDArray[Any], NDArray[Any]]


def blobs(rows: int = 40, classes: int = 3, features: int = 5, seed: int = 0) -> Arrays:
    """Rows around one centre a class: easy to tell apart."""
    draw = np.random.default_rng(seed)
    y = np.arange(rows) % classes
    return 3 * np.random.default_rng(1).normal(size=(classes, features))[y] + draw.normal(size=(rows, features)), y


def mlp(text: str = MLP, **more: Any) -> netspec.Model:
    return netspec.compile(text, **{"input": (5,), "classes": 3, "train": "batch = 8; epochs = 2", **more})


def state_of(model: netspec.Model) -> bytes:
    """All that training moves."""
    arrays = [model.params.flat, model.state.flat, *(slot.flat for slot in model.network.store.slots.values())]
    return b"".join(array.tobytes() for array in arrays) + bytes([model.step_count % 256, model.epochs_done])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.net"
    file.write_text(FILE)
    return file


# compile


def test_a_text_a_name_and_a_path_are_the_same_model(path: Path) -> None:
    models = [netspec.compile(spec) for spec in (FILE, str(path), path)]
    assert len({state_of(model) for model in models}) == 1
    assert models[0].params["affine1.W"].shape == (5, 6)


def test_keywords_override_the_file(path: Path) -> None:
    model = netspec.compile(path, width=9, seed=5, dtype="float64", train="batch = 7; epochs = 1", fuse=False, threads=1)
    assert model.params["affine1.W"].shape == (5, 9)
    assert model.params["affine1.W"].dtype == np.float64
    assert (model.network.settings.batch, model.network.settings.fuse, model.network.threads) == (7, False, 1)
    assert model.network.settings.optimizer.name == "sgd", "keys that train= does not name stay the file's"
    assert state_of(model) != state_of(netspec.compile(path, width=9, dtype="float64"))


def test_lets_need_no_let_in_the_text() -> None:
    model = netspec.compile("affine(width)-relu -> affine -> softmax", input=(5,), classes=3, width=7)
    assert model.params["affine1.b"].shape == (7,)


def test_a_keyword_that_nothing_uses_is_an_error() -> None:
    with pytest.raises(netspec.SpecError, match="wdith") as caught:
        netspec.compile("affine(width) -> affine -> softmax", input=(5,), classes=3, width=7, wdith=3)
    assert all(diagnostic.code.startswith("NS2") for diagnostic in caught.value.diagnostics)


def test_errors_have_their_classes_and_codes() -> None:
    assert issubclass(netspec.LimitError, netspec.SpecError)
    for error, code in ((netspec.SpecError, 3), (netspec.DataError, 4), (netspec.DivergedError, 5), (netspec.LimitError, 6)):
        assert issubclass(error, netspec.NetspecError)
        assert issubclass(error, ValueError) is (error is not netspec.DivergedError)
        assert error.exit_code == code
    with pytest.raises(netspec.SpecError) as caught:
        netspec.compile("afine(3) -> softmax", input=(5,), classes=3)
    assert str(caught.value) == "\n\n".join(map(str, caught.value.diagnostics))
    assert [str(found) for found in netspec.check("afine(3) -> softmax", input=(5,), classes=3)] == [str(caught.value)]


@pytest.mark.parametrize(
    ("text", "keywords"),
    [("affine(1000000)-relu -> affine(1000000) -> softmax", {"input": (5,)}), ("affine(190000000) -> globalpool", {"input": (1,)})],
)  # fmt: skip
def test_what_is_too_large_is_refused(text: str, keywords: dict[str, Any]) -> None:
    with pytest.raises(netspec.SpecError):
        netspec.compile(text, **keywords)
    with pytest.raises(netspec.LimitError):
        netspec.compile("affine(100000)-relu -> affine(100000) -> softmax", input=(5,))


def test_shapes_may_come_with_the_first_rows() -> None:
    x, y = blobs()
    model = netspec.compile(MLP, train="batch = 8; epochs = 1")
    calls = (lambda: model.forward(x), lambda: model.predict(x), model.summary, lambda: model.params, lambda: model.step(x, y))
    for call in calls:
        with pytest.raises(netspec.UsageError, match=r"no shape yet.*fit\(X, y\)"):
            call()
    model.fit(x, y)
    assert model.params["affine1.W"].shape == (5, 8)
    assert model.params["affine2.W"].shape == (8, 3)


def test_nothing_that_fit_learns_survives_bad_data() -> None:
    x, y = blobs()
    model = netspec.compile(MLP, train="batch = 8; epochs = 1")
    with pytest.raises(netspec.DataError):
        model.fit(x, np.where(y == 0, np.nan, y))
    model.fit(x, y)


# training


def test_fit_learns_and_writes_its_history() -> None:
    x, y = blobs(120)
    model = mlp(train="batch = 16; optimizer = adam(lr=1e-2)")
    history = model.fit(x, y, validation=(x[:20], y[:20]), epochs=15)
    assert history is model.history
    assert len(history.epochs) == 15
    assert len(history.loss) == model.step_count == 15 * 8
    keys = ["epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"]
    assert all(list(row) == keys for row in history.epochs)
    assert [row["epoch"] for row in history.epochs] == list(range(1, 16))
    assert history.epochs[3]["loss"] == pytest.approx(np.mean(history.loss[24:32]), rel=1e-12)
    assert history.epochs[-1]["val_accuracy"] > 0.9
    assert model.evaluate(x, y)["accuracy"] > 0.9


def sampled_accuracies(right: NDArray[np.bool_], epochs: int) -> list[float]:
    """Training accuracy of each epoch of a net that stays as it is, and is right about these rows."""
    model = netspec.compile("affine(2, bias=false, frozen=true) -> id -> softmax", input=2, train="batch = 500; dtype = float64")
    model.params["affine1.W"][...] = np.eye(2)
    rows = np.arange(len(right)) % 2
    history = model.fit(np.eye(2)[rows], np.where(right, rows, 1 - rows), epochs=epochs)
    return [row["train_accuracy"] for row in history.epochs]


def test_a_thousand_training_rows_are_sampled_anew_each_epoch() -> None:
    right = np.arange(4000) < 2000  # the first half, so that rows in their order would all be right
    seen = np.array(sampled_accuracies(right, 30))
    np.testing.assert_allclose(1000 * seen, np.round(1000 * seen), rtol=0, atol=1e-9)
    deviation = np.sqrt(0.25 / 1000 * 3000 / 3999)
    assert np.abs(seen - 0.5).max() < 5 * deviation
    assert seen.std() == pytest.approx(deviation, rel=0.5)


def test_a_sampled_training_row_counts_once_and_a_thousand_rows_all_count() -> None:
    assert set(sampled_accuracies(np.arange(1001) != 7, 20)) <= {0.999, 1.0}
    assert sampled_accuracies(np.arange(1000) < 421, 2) == [0.421, 0.421]


def test_fit_is_silent_and_writes_nothing(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    mlp().fit(*blobs())
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    mlp().fit(*blobs(), verbose=1)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "epoch 2" in shown.err


def test_fit_in_two_calls_is_fit_in_one() -> None:
    once, twice = mlp(train="batch = 8; lr_decay = 0.8"), mlp(train="batch = 8; lr_decay = 0.8")
    once.fit(*blobs(), epochs=5)
    twice.fit(*blobs(), epochs=2)
    twice.fit(*blobs(), epochs=3)
    assert state_of(once) == state_of(twice)
    assert once.history.loss == twice.history.loss
    assert [row["lr"] for row in twice.history.epochs] == pytest.approx([1e-3 * 0.8**k for k in range(5)], rel=1e-12)
    twice.fit(*blobs(), epochs=1)
    assert state_of(once) != state_of(twice)


def test_reset_starts_anew() -> None:
    model, fresh = mlp(), mlp()
    start = state_of(model)
    model.fit(*blobs(), epochs=3)
    model.reset()
    assert state_of(model) == start
    assert model.history.loss == []
    model.fit(*blobs(), epochs=2)
    fresh.fit(*blobs(), epochs=2)
    assert state_of(model) == state_of(fresh)
    model.reset(seed=9)
    assert state_of(model) == state_of(mlp(seed=9)) != start


def test_a_fraction_is_held_out() -> None:
    x, y = blobs(100)
    history = mlp().fit(x, y, validation=0.2, epochs=1)
    assert len(history.loss) == 10  # 80 rows in batches of 8
    assert history.epochs[0]["val_accuracy"] * 20 == pytest.approx(round(history.epochs[0]["val_accuracy"] * 20))


def test_callbacks_get_the_model_and_the_row() -> None:
    seen: list[tuple[Any, ...]] = []
    model = mlp()
    model.fit(*blobs(), epochs=2, callbacks=[lambda model, row: seen.append((model, dict(row)))])
    assert [one for one, _ in seen] == [model, model]
    assert [row for _, row in seen] == model.history.epochs


def test_the_best_validation_epoch_is_restored_the_earliest_on_a_tie() -> None:
    x, y = blobs(30)
    model = mlp(MLP.replace("-dropout", ""), train="batch = 8; optimizer = adam(lr=0.05)")
    kept: list[bytes] = []

    def keep(model: netspec.Model, row: dict[str, Any]) -> None:
        kept.append(model.params.flat.tobytes() + model.state.flat.tobytes())

    model.fit(x, y, validation=(x, y), epochs=12, callbacks=[keep])
    accuracies = [row["val_accuracy"] for row in model.history.epochs]
    best = accuracies.index(max(accuracies))
    assert accuracies.count(max(accuracies)) > 1, "without a tie this test shows nothing"
    assert best < 11
    assert model.params.flat.tobytes() + model.state.flat.tobytes() == kept[best]
    assert len(set(kept)) == 12


def test_without_validation_the_last_parameters_stay() -> None:
    kept: list[bytes] = []
    model = mlp()
    model.fit(*blobs(), epochs=3, callbacks=[lambda model, row: kept.append(model.params.flat.tobytes())])
    assert model.params.flat.tobytes() == kept[-1]


def test_weights_of_rows_that_are_zero_drop_them() -> None:
    """Over one batch: rows of weight 0 count in the mean alone, and those of weight 2 twice."""
    x, y = blobs(16)
    weights = np.where(np.arange(16) < 8, 0.0, 2.0)
    text, train = "affine(6)-tanh -> affine -> softmax", "batch = 16; optimizer = sgd(lr=0.5)"
    weighted, half = (netspec.compile(text, input=(5,), classes=3, dtype="float64", train=train) for _ in range(2))
    weighted.fit(x, y, sample_weight=weights, epochs=1)
    half.step(x[8:], y[8:])
    np.testing.assert_allclose(weighted.params.flat, half.params.flat, rtol=1e-12, atol=1e-15)
    for wrong in (weights[:5], -weights - 1, weights * np.nan):
        with pytest.raises(netspec.DataError, match="sample_weight"):
            weighted.fit(x, y, sample_weight=wrong)


def test_a_step_is_one_update_of_these_rows() -> None:
    x, y = blobs(8)
    model = mlp(MLP.replace("-dropout", ""), train="optimizer = sgd(lr=0.1); l2 = 0.1", dtype="float64")
    loss, grads = model.loss(x, y)
    before = {name: array.copy() for name, array in model.params.items()}
    assert model.step(x, y) == pytest.approx(loss, rel=1e-12)
    assert model.step_count == 1
    for name, array in model.params.items():
        np.testing.assert_allclose(array, before[name] - 0.1 * grads[name], rtol=1e-10, atol=1e-14)
    assert model.epochs_done == 0


def test_a_last_batch_of_one_row_joins_with_bn() -> None:
    x, y = blobs(17)
    with_bn, without = mlp(), mlp("affine(8)-relu -> affine -> softmax")
    with_bn.fit(x, y, epochs=1)
    without.fit(x, y, epochs=1)
    assert (with_bn.step_count, without.step_count) == (2, 3)
    dropped = mlp(train="batch = 8; drop_last = true")
    dropped.fit(x, y, epochs=1)
    assert dropped.step_count == 2
    few = mlp(train="batch = 8; drop_last = true")
    few.fit(x[:5], y[:5], epochs=1)
    assert few.step_count == 1, "the only batch is never dropped"


# computing


def test_forward_in_test_form_changes_nothing() -> None:
    x, _ = blobs()
    model = mlp()
    before = state_of(model)
    scores = model.forward(x)
    assert scores.shape == (40, 3)
    assert scores.dtype == np.float32
    assert state_of(model) == before
    np.testing.assert_array_equal(scores, model.forward(x))


def test_forward_in_train_form_moves_the_averages() -> None:
    x, _ = blobs()
    model = mlp(dtype="float64")
    model.forward(x, train=True)
    hidden = x @ model.params["affine1.W"] + model.params["affine1.b"]
    np.testing.assert_allclose(model.state["bn1.mean"], 0.1 * hidden.mean(0), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.state["bn1.var"], 0.9 + 0.1 * hidden.var(0), rtol=1e-10)


def test_forward_at_a_layer() -> None:
    x, _ = blobs()
    model = mlp(dtype="float64")
    hidden = x @ model.params["affine1.W"] + model.params["affine1.b"]
    np.testing.assert_allclose(model.forward(x, at="affine1"), hidden, rtol=1e-12, atol=1e-12)
    normal = hidden / np.sqrt(1 + 1e-5)
    np.testing.assert_allclose(model.forward(x, at="relu1"), np.maximum(normal, 0), rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(model.forward(x, at="dropout1"), model.forward(x, at="relu1"))
    with pytest.raises(netspec.UsageError, match=r"at='relu9'.*affine1, bn1, relu1, dropout1, affine2"):
        model.forward(x, at="relu9")
    image = np.random.default_rng(0).normal(size=(4, 2, 6, 5))
    conv = netspec.compile(CONV, input=(2, 6, 5), classes=3)
    assert conv.forward(image, at="conv1").shape == (4, 3, 6, 5)
    assert conv.forward(image, at="pool1", train=True).shape == (4, 3, 3, 2)


def test_loss_changes_no_state() -> None:
    x, y = blobs()
    model = mlp(train="l2 = 0.1")
    before = state_of(model)
    first, grads = model.loss(x, y)
    assert state_of(model) == before
    second, again = model.loss(x, y)
    assert first == second, "the mask is that of the current step"
    assert set(grads) == set(model.params)
    for name in grads:
        np.testing.assert_array_equal(grads[name], again[name])
    model.step(x, y)
    assert model.loss(x, y)[0] != first


def test_what_is_computed_between_changes_no_bit_of_training() -> None:
    x, y = blobs(4000)
    text, train = "affine(150)-bn-relu -> affine -> softmax", "batch = 100; epochs = 1"
    alone, busy = (mlp(text, train=train, seed=1) for _ in range(2))
    busy.loss(x, y)
    busy.forward(x)
    busy.evaluate(x, y)
    for model in (alone, busy):
        model.fit(x, y)
        model.step(x[:2000], y[:2000])
    assert state_of(alone) == state_of(busy)
    busy.loss(x, y)
    for model in (alone, busy):
        model.step(x[:1500], y[:1500])
    assert state_of(alone) == state_of(busy)


def test_backward_is_the_gradient_of_the_loss() -> None:
    x, y = blobs()
    model = mlp(dtype="float64")
    loss, grads = model.loss(x, y)
    scores = model.forward(x, train=True)
    shares = np.exp(scores - scores.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    assert loss == pytest.approx(-np.log(shares[np.arange(40), y]).mean(), rel=1e-12)
    dx, more = model.backward((shares - np.eye(3)[y]) / 40)
    for name, gradient in grads.items():
        np.testing.assert_allclose(more[name], gradient, rtol=1e-9, atol=1e-15)
    nudge = np.random.default_rng(0).normal(size=x.shape)
    slope = (model.loss(x + 1e-6 * nudge, y)[0] - model.loss(x - 1e-6 * nudge, y)[0]) / 2e-6
    assert np.sum(dx * nudge) == pytest.approx(slope, rel=1e-6)


def test_backward_belongs_to_a_forward() -> None:
    x, y = blobs()
    model = mlp()
    with pytest.raises(netspec.UsageError, match=r"forward\(X, train=True\)"):
        model.backward(np.zeros((40, 3)))
    model.forward(x, train=True)
    with pytest.raises(netspec.UsageError, match=r"\(39, 3\).*\(40, 3\)"):
        model.backward(np.zeros((39, 3)))
    for between in (lambda: model.loss(x, y), lambda: model.step(x, y), lambda: model.forward(x), lambda: model.fit(x, y, epochs=1)):
        model.forward(x, train=True)
        between()
        with pytest.raises(netspec.UsageError, match=r"forward\(X, train=True\)"):
            model.backward(np.zeros((40, 3)))


def test_parameters_are_seen_by_the_next_call() -> None:
    x, _ = blobs()
    model = mlp("affine -> softmax", dtype="float64")
    w = np.random.default_rng(0).normal(size=(5, 3))
    model.params["affine1.W"][...] = w
    np.testing.assert_allclose(model.forward(x), x @ w, rtol=1e-12, atol=1e-12)
    model.params["affine1.b"] = [1.0, 2.0, 3.0]
    np.testing.assert_allclose(model.forward(x), x @ w + [1, 2, 3], rtol=1e-12, atol=1e-12)
    bn = mlp(dtype="float64")
    bn.state["bn1.mean"][...] = 5.0
    assert np.abs(bn.forward(x, at="bn1") + 5 / np.sqrt(1 + 1e-5) - bn.forward(x, at="affine1") / np.sqrt(1 + 1e-5)).max() < 1e-12
    with pytest.raises(KeyError):
        model.params["affine9.W"] = w
    assert "affine1.W: 5x3 float64" in repr(model.params)
    assert list(bn.params) == ["affine1.W", "affine1.b", "bn1.gamma", "bn1.beta", "affine2.W", "affine2.b"], "reading order"


def test_images_of_any_dtype() -> None:
    x = np.random.default_rng(0).integers(0, 256, (9, 2, 6, 5), dtype=np.uint8)
    model = netspec.compile(CONV, input=(2, 6, 5), classes=3)
    for dtype in (np.uint8, np.int16, np.uint64, np.float16, np.float64):
        np.testing.assert_array_equal(model.forward(x.astype(dtype)), model.forward(x.astype(np.float32)))
    np.testing.assert_array_equal(model.forward(x > 100), model.forward((x > 100).astype(np.float32)))
    with pytest.raises(netspec.DataError, match="2x6x5"):
        model.forward(x[:, :1])


def test_arrays_in_any_memory_order() -> None:
    x, y = np.random.default_rng(0).normal(size=(9, 2, 6, 5)), np.arange(9) % 3
    model = netspec.compile(CONV, input=(2, 6, 5), classes=3, dtype="float64")
    wanted, loss = model.forward(x), model.loss(x, y)[0]
    frozen = x.copy()
    frozen.setflags(write=False)
    views = (np.asfortranarray(x), frozen, np.repeat(x, 2, axis=0)[::2], x[::-1][::-1], x.astype(">f8"), x.tolist())
    for view in views:
        np.testing.assert_array_equal(model.forward(view), wanted)
        assert model.loss(view, y.tolist())[0] == loss
        model.step(view, np.repeat(y, 2)[::2])
        model.reset()


def test_gradcheck() -> None:
    x, y = blobs(12)
    model = mlp(train="l2 = 0.01")
    before = state_of(model)
    report = model.gradcheck(x, y)
    assert set(report.errors) == {*model.params, "x"}
    assert report.max_error <= 1e-6
    assert state_of(model) == before
    assert "largest" in str(report)


def test_summary_and_plan_print() -> None:
    model = mlp()
    text = str(model.summary())
    for word in ("affine1", "bn1", "relu1", "dropout1", "affine2", "softmax"):
        assert word in text
    plan = str(model.plan)
    assert "affine-" in plan or "affine" in plan
    assert model.plan.peak_bytes > model.params.flat.nbytes
    assert model.plan.flops > 0


def test_copies_stand_alone() -> None:
    """Copies, also through a file, go on as the model does, and share no memory with it."""
    x, y = blobs()
    model = mlp()
    model.fit(x, y)
    model.forward(x, train=True)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    before = state_of(model)
    for other in copies:
        assert state_of(other) == before
        other.fit(x, y)
        assert state_of(model) == before
    model.fit(x, y)
    assert {state_of(other) for other in copies} == {state_of(model)}


@pytest.mark.parametrize("seed", [2**63, 2**64 - 1, 2**70 + 5])
def test_seeds_of_any_size(seed: int, tmp_path: Path) -> None:
    model = mlp(seed=seed)
    model.fit(*blobs())
    model.save(tmp_path / "model.safetensors")
    assert state_of(netspec.restore(tmp_path / "model.safetensors"))[: model.params.flat.nbytes] == model.params.flat.tobytes()
    assert state_of(model) != state_of(mlp(seed=1))


def test_rows_that_overflow_leave_everything_as_it_was() -> None:
    x, y = blobs()
    model = mlp()
    model.step(x, y)
    before = state_of(model)
    with pytest.raises(netspec.DivergedError, match="no update was made"):
        model.step(x * 1e37, y)
    assert state_of(model) == before
    assert np.isfinite(model.forward(x)).all()


@pytest.mark.parametrize("epochs", [-1, 1.5, "3"])
def test_epochs_are_counted_in_whole_numbers(epochs: Any) -> None:
    with pytest.raises(netspec.UsageError, match="epochs="):
        mlp().fit(*blobs(), epochs=epochs)


HOSTILE = {
    "no rows": lambda model, x, y: model.fit(x[:0], y[:0]),
    "a single row": lambda model, x, y: model.forward(x[0]),
    "another width": lambda model, x, y: model.predict(x[:, :3]),
    "too few labels": lambda model, x, y: model.loss(x, y[:5]),
    "a NaN": lambda model, x, y: model.step(np.where(x > 1, np.nan, x), y),
    "too large for float32": lambda model, x, y: model.forward(x * 1e300),
    "a label out of range": lambda model, x, y: model.fit(x, y + 1),
    "half a label": lambda model, x, y: model.step(x, y + 0.5),
    "one class": lambda model, x, y: model.fit(x, 0 * y),
    "complex numbers": lambda model, x, y: model.forward(x.astype(complex)),
    "text": lambda model, x, y: model.forward([["a"] * 5]),
    "ragged rows": lambda model, x, y: model.forward([[1, 2], [3]]),
    "masked numbers": lambda model, x, y: model.forward(np.ma.array(x, mask=x > 0)),
    "nothing": lambda model, x, y: model.forward(None),
    "a fraction of 1": lambda model, x, y: model.fit(x, y, validation=1.0),
    "half a pair": lambda model, x, y: model.fit(x, y, validation=(x,)),
    "no rows held out": lambda model, x, y: model.fit(x, y, validation=(x[:0], y[:0])),
    "weights as text": lambda model, x, y: model.fit(x, y, sample_weight="a"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_bad_data_changes_nothing(what: str) -> None:
    x, y = blobs()
    model = mlp()
    before = state_of(model)
    with pytest.raises(netspec.DataError) as caught:
        HOSTILE[what](model, x, y)
    assert len(str(caught.value)) > 10
    assert state_of(model) == before
    model.fit(x, y)


def test_callbacks_may_compute() -> None:
    """What a callback computes with the model changes nothing, and a step of its own is one step more, on its own rows."""
    x, y = blobs()
    quiet, curious, busy = (mlp() for _ in range(3))
    quiet.fit(x, y)

    def look(model: netspec.Model, row: dict[str, Any]) -> None:
        model.predict(x[:3])
        model.loss(x[:3], y[:3])
        model.evaluate(x[:2], y[:2])

    curious.fit(x, y, callbacks=[look])
    assert state_of(curious) == state_of(quiet)
    busy.fit(x, y, callbacks=[lambda model, row: model.step(x[:3], y[:3])])
    assert busy.step_count == quiet.step_count + 2
    assert len(busy.history.loss) == len(quiet.history.loss)


def test_one_model_serves_many_threads() -> None:
    x, _ = blobs(300)
    model = mlp()
    wanted = {rows: model.predict_proba(x[:rows]) for rows in (1, 50, 300)}
    wrong: list[int] = []

    def ask(rows: int) -> None:
        for _ in range(30):
            if not np.allclose(model.predict_proba(x[:rows]), wanted[rows], rtol=1e-4):
                wrong.append(rows)

    threads = [threading.Thread(target=ask, args=(rows,)) for rows in wanted for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_models_train_in_threads_of_their_own() -> None:
    x, y = blobs(200)
    wanted = mlp("affine(200)-bn-relu -> affine -> softmax", train="batch = 100; epochs = 2")
    wanted.fit(x, y)
    models = [mlp("affine(200)-bn-relu -> affine -> softmax", train="batch = 100; epochs = 2") for _ in range(3)]
    threads = [threading.Thread(target=model.fit, args=(x, y)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {state_of(model) for model in models} == {state_of(wanted)}


# heads and labels


def test_text_labels_come_back() -> None:
    x, y = blobs(60)
    words = np.array(["rose", "iris", "lily"])[y]
    model = netspec.compile("affine -> softmax", train="batch = 10; optimizer = adam(lr=0.05)")
    model.fit(x, words, epochs=10)
    assert model.classes_ is not None
    assert model.classes_.tolist() == ["iris", "lily", "rose"]
    assert set(model.predict(x)) <= {"rose", "iris", "lily"}
    assert (model.predict(x) == words).mean() == pytest.approx(model.evaluate(x, words)["accuracy"])
    with pytest.raises(netspec.DataError, match="tulip"):
        model.evaluate(x[:1], ["tulip"])


def test_one_hot_labels_are_class_numbers() -> None:
    x, y = blobs()
    for head in ("softmax", "svm"):
        plain, hot = mlp(f"affine -> {head}"), mlp(f"affine -> {head}")
        plain.fit(x, y)
        hot.fit(x, np.eye(3)[y])
        assert state_of(plain) == state_of(hot)
        assert plain.evaluate(x, y) == hot.evaluate(x, np.eye(3, dtype=int)[y])


def test_probabilities() -> None:
    x, _ = blobs()
    softmax = mlp("affine -> softmax", dtype="float64")
    proba, scores = softmax.predict_proba(x), softmax.forward(x)
    np.testing.assert_allclose(proba, np.exp(scores) / np.exp(scores).sum(1, keepdims=True), rtol=1e-12)
    assert (softmax.predict(x) == scores.argmax(1)).all()
    for head, keywords in (("svm", {"classes": 3}), ("linear", {"outputs": 2})):
        with pytest.raises(netspec.UsageError):
            netspec.compile(f"affine -> {head}", input=(5,), **keywords).predict_proba(x)


def test_one_logit_for_two_classes() -> None:
    x, y = blobs(60, classes=2)
    model = netspec.compile("affine -> sigmoid", input=(5,), classes=2, train="batch = 10; optimizer = adam(lr=0.05)", dtype="float64")
    model.fit(x, y, epochs=10)
    column = netspec.compile("affine -> sigmoid", input=(5,), classes=2, train="batch = 10; optimizer = adam(lr=0.05)", dtype="float64")
    column.fit(x, y[:, None], epochs=10)
    assert state_of(model) == state_of(column)
    scores, proba = model.forward(x), model.predict_proba(x)
    assert scores.shape == (60, 1)
    np.testing.assert_allclose(proba, np.hstack([1 - 1 / (1 + np.exp(-scores)), 1 / (1 + np.exp(-scores))]), rtol=1e-9)
    assert (model.predict(x) == (scores[:, 0] > 0)).all()
    assert model.predict(x).shape == (60,)


def test_several_labels_a_row() -> None:
    x, y = blobs(60)
    many = np.stack([y == 0, y != 1, y == 2], axis=1)
    model = netspec.compile("affine -> sigmoid", input=(5,), classes=3, train="batch = 10; optimizer = adam(lr=0.05)")
    model.fit(x, many, epochs=20)
    assert model.predict(x).shape == model.predict_proba(x).shape == (60, 3)
    figures = model.evaluate(x, many)
    assert figures["accuracy"] == pytest.approx((model.predict(x) == many).mean())
    assert figures["accuracy"] > 0.9


REGRESSIONS = [
    ("affine(4)-tanh -> affine", (5,), ()),
    ("affine -> linear", (5,), (1,)),
    ("affine -> linear", (5,), (4,)),
    ("conv(2)", (3, 4, 5), (2, 4, 5)),
]


@pytest.mark.parametrize(("text", "shape", "target"), REGRESSIONS)
def test_regression_of_any_shape(text: str, shape: tuple[int, ...], target: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(30, *shape)), draw.normal(size=(30, *target))
    keywords = {} if len(target) != 1 or target == (1,) else {"outputs": target[0]}
    model = netspec.compile(text, input=shape, train="batch = 10; optimizer = sgd(lr=0.01)", dtype="float64", **keywords)
    model.fit(x, y, epochs=2, validation=(x, y))
    predicted = model.predict(x)
    assert predicted.shape == ((30,) if target in ((), (1,)) else y.shape)
    flat = y.reshape(predicted.shape)
    figures = model.evaluate(x, y)
    assert set(figures) == {"loss", "r2", "mae", "rmse"}
    assert figures["loss"] == pytest.approx(((predicted - flat) ** 2).mean(), rel=1e-9)
    assert figures["mae"] == pytest.approx(np.abs(predicted - flat).mean(), rel=1e-9)
    assert figures["rmse"] == pytest.approx(np.sqrt(figures["loss"]), rel=1e-9)
    assert model.classes_ is None
    assert model.history.epochs[0]["val_accuracy"] is None
    assert model.loss(x, y)[0] == pytest.approx(figures["loss"], rel=1e-9)


def test_normalisation_is_for_raw_rows() -> None:
    """fit, evaluate and predict take raw rows; forward, loss and step take them as they are."""
    x, y = blobs()
    raw = 100 + 20 * x
    text = "data { normalize = per_feature } net affine -> softmax train { batch = 8 }"
    model = netspec.compile(text, input=(5,), classes=3, dtype="float64")
    model.fit(raw, y, epochs=3)
    assert model.normalization is not None
    plain = netspec.compile("affine -> softmax", input=(5,), classes=3, dtype="float64", train="batch = 8")
    standard = (raw - raw.mean(0)) / raw.std(0)
    plain.fit(standard, y, epochs=3)
    np.testing.assert_allclose(model.params.flat, plain.params.flat, rtol=1e-9, atol=1e-12)
    assert model.evaluate(raw, y)["loss"] == pytest.approx(plain.evaluate(standard, y)["loss"], rel=1e-9)
    np.testing.assert_allclose(model.predict_proba(raw), plain.predict_proba(standard), rtol=1e-9)
    np.testing.assert_allclose(model.forward(standard), plain.forward(standard), rtol=1e-9, atol=1e-12)
    assert model.loss(standard, y)[0] == pytest.approx(plain.loss(standard, y)[0], rel=1e-9)


# files


def test_save_and_restore(tmp_path: Path) -> None:
    x, y = blobs()
    words = np.array(["a", "b", "c"])[y]
    model = netspec.compile("data { normalize = rescale } net " + MLP, input=(5,), train="batch = 8; epochs = 2", seed=4)
    model.fit(x, words)
    model.save(tmp_path / "model.safetensors")
    again = netspec.restore(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.predict_proba(x), model.predict_proba(x))
    assert (again.predict(x) == model.predict(x)).all()
    assert again.evaluate(x, words) == model.evaluate(x, words)
    assert (again.step_count, again.epochs_done) == (model.step_count, model.epochs_done)
    assert again.classes_ is not None
    assert again.classes_.tolist() == ["a", "b", "c"]
    model.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "model.safetensors").read_bytes()


def test_weights_of_another_net(tmp_path: Path) -> None:
    x, _ = blobs()
    model = mlp()
    model.save(tmp_path / "model.safetensors")
    same = mlp(seed=8, weights=tmp_path / "model.safetensors")
    np.testing.assert_array_equal(same.forward(x), model.forward(x))
    longer = "affine(8)-bn-relu -> affine(6)-relu -> affine -> softmax"
    with pytest.raises(netspec.DataError, match=r"(?s)affine2\.W.*affine3\.W"):
        mlp(longer, weights=tmp_path / "model.safetensors")
    loose = mlp(longer, weights=tmp_path / "model.safetensors", strict=False)
    assert loose.unloaded == ["affine2.W", "affine2.b", "affine3.W", "affine3.b"]
    np.testing.assert_array_equal(loose.params["affine1.W"], model.params["affine1.W"])


def test_a_run_folder(tmp_path: Path) -> None:
    x, y = blobs()
    model = mlp()
    model.fit(x, y, validation=0.25, run_dir=tmp_path / "run", epochs=3)
    texts = {"spec.net", "spec.resolved.net", "plan.txt", "env.json", "results.csv", "events.jsonl", "report.html"}
    names = {*texts, "curves.png", "weights", "state"}
    assert {path.name for path in (tmp_path / "run").iterdir()} == names
    again = netspec.restore(tmp_path / "run")
    np.testing.assert_array_equal(again.forward(x), model.forward(x))
    with pytest.raises(netspec.UsageError, match="not empty"):
        model.fit(x, y, run_dir=tmp_path / "run")


def test_train_runs_a_file(path: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "rows.npz", x=blobs(60)[0], y=blobs(60)[1])
    path.write_text(FILE + 'data { source = npz; path = "rows.npz" }')
    run = netspec.train(path, run_dir=tmp_path / "run", **{"train.epochs": 3, "width": 4, "seed": 6})
    assert run.path == tmp_path / "run"
    assert len(run.history.epochs) == 3
    assert run.model.params["affine1.W"].shape == (5, 4)
    assert run.metrics["accuracy"] == pytest.approx(run.model.evaluate_rows(run.model.splits_of_data().test)["accuracy"])  # type: ignore[arg-type]
    assert run.split == "test"
    again = netspec.train(path, run_dir=str(tmp_path / "again"), **{"train.epochs": 3, "width": 4, "seed": 6})
    assert (tmp_path / "run/weights/best.safetensors").read_bytes() == (tmp_path / "again/weights/best.safetensors").read_bytes()
    assert again.history.loss == run.history.loss


# the other functions


def test_parse_load_and_format(path: Path) -> None:
    program = netspec.parse(FILE)
    assert isinstance(program, syntax.File)
    assert netspec.format(netspec.parse(netspec.format(program))) == netspec.format(program) == netspec.format(netspec.load(path))


def test_check_lists_what_is_wrong() -> None:
    assert netspec.check(FILE) == []
    codes = [found.code for found in netspec.check("netspec 1 input 5 net afine(3) -> dropout(2) -> softmax")]
    assert len(codes) >= 2
    assert all(code.startswith("NS") for code in codes)
    assert netspec.check("netspec 1 net affine(w) -> softmax", input=(5,), classes=3, w=3) == []


@pytest.mark.parametrize(
    "text", ["sgd(lr=0.1, momentum=0.9)", "sgd(lr=0.1, momentum=0.9, nesterov=true)", "rmsprop(lr=0.01)", "adam(lr=0.01)"]
)
def test_an_optimizer_on_its_own_is_that_of_training(text: str) -> None:
    x, y = blobs(8)
    model = mlp("affine -> softmax", train=f"optimizer = {text}", dtype="float64")
    rule = netspec.optimizer(text)
    assert rule.state == {}
    w = model.params["affine1.W"].copy()
    for _ in range(3):
        gradient = model.loss(x, y)[1]["affine1.W"]
        before = w.copy()
        new = rule.step(w, gradient)
        np.testing.assert_array_equal(w, before)
        w = new
        model.step(x, y)
    np.testing.assert_allclose(w, model.params["affine1.W"], rtol=1e-12)
    assert rule.step(w.astype(np.float32), gradient).dtype == np.float32
    assert rule.state.get("t", 4) == 4


def test_the_public_names_exist() -> None:
    for name in netspec.__all__:
        assert getattr(netspec, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_that"):
        netspec.nothing_like_that  # noqa: B018


@pytest.mark.parametrize(
    ("text", "at"),
    [("flatten -> affine -> softmax", "flatten1"), ("dropout -> affine -> softmax", "dropout1"), ("id -> affine -> softmax", "id1")],
)
def test_what_the_input_passes_through_comes_back_whole(text: str, at: str) -> None:
    """Rows of 1,024 bytes, which a plan of products keeps apart."""
    shape = (1, 16, 16) if "flatten" in text else (256,)
    x = np.random.default_rng(0).normal(size=(5, *shape)).astype(np.float32)
    model = netspec.compile(text, input=shape, classes=3)
    assert (model.forward(x, at=at) == x.reshape(5, -1)).all()


def test_no_earlier_call_changes_a_bit_of_a_layers_output() -> None:
    """Sums over 2,048 numbers are cut by the rows that a plan is for."""
    model = netspec.compile("affine(8) -> affine -> softmax", input=2048, classes=3)
    x = np.random.default_rng(0).normal(size=(131, 2048)).astype(np.float32)
    first = model.forward(x[:50], at="affine1")
    model.forward(x, at="affine1")
    assert model.forward(x[:50], at="affine1").tobytes() == first.tobytes()


def test_fit_warns_of_what_its_caller_probably_does_not_mean(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    with pytest.warns(UserWarning, match=r"32 channels, 32x3 pixels each.*transpose\(0, 3, 1, 2\)"):
        netspec.compile("conv(4)-relu -> affine -> softmax").fit(draw.integers(0, 256, (20, 32, 32, 3)), np.arange(20) % 2, epochs=1)
    x, y = blobs()
    spent = netspec.compile("affine(8)-relu -> affine -> softmax", train="epochs = 3; schedule = cosine")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        spent.fit(x, y)
    spent.save(tmp_path / "spent.safetensors")
    for model in (spent, netspec.restore(tmp_path / "spent.safetensors")):
        with pytest.warns(UserWarning, match="the schedule was over after epoch 3, and its last rate is 0"):
            model.fit(x, y, epochs=1)
    with pytest.warns(UserWarning, match="checkpoint writes into a run folder"):
        netspec.compile("affine -> softmax", train="epochs = 1; checkpoint = 1ep").fit(x, y)


@pytest.mark.parametrize("head", ["softmax", "svm", "sigmoid", "linear"])
def test_backward_of_a_head_alone(head: str) -> None:
    model = netspec.compile(head, input=10, dtype="float64")
    x = np.random.default_rng(0).normal(size=(4, 10))
    dout = model.forward(x, train=True) ** 2
    dx, gradients = model.backward(dout)
    np.testing.assert_array_equal(dx, dout)
    assert not gradients


def test_a_model_says_what_it_is() -> None:
    model = netspec.compile("affine(8)-relu -> affine -> softmax", train="epochs = 2")
    assert repr(model) == "Model(shapes not known yet)"
    model.fit(*blobs())
    assert (
        repr(model)
        == f"Model({model.graph.input.shape[0]} -> {model.graph.classes}, {model.graph.parameter_count} parameters, 2 epochs done)"
    )


def test_forward_beside_a_fit_leaves_its_averages_alone() -> None:
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(3000, 50)).astype(np.float32), draw.integers(0, 10, 3000)

    def averages(beside: bool) -> bytes:
        model = netspec.compile("affine(64)-bn-relu -> affine(100)-tanh -> affine -> softmax", input=50, classes=10, train="batch = 64")
        stop = threading.Event()

        def look() -> None:
            while not stop.is_set():
                looked.append(model.forward(x[:5]))
                time.sleep(0.001)

        looked: list[Any] = []
        other = threading.Thread(target=look)
        if beside:
            other.start()
        try:
            model.fit(x, y, epochs=30)
        finally:
            stop.set()
        if beside:
            other.join()
            assert looked
        return bytes(model.state.flat.tobytes())

    assert averages(beside=True) == averages(beside=False)


@pytest.mark.parametrize("seed", range(3))
def test_gradcheck_checks_behind_pixels_of_zeros(seed: int) -> None:
    """Where all channels of a pixel are 0 and the bias is 0 too, a relu behind a 1x1 convolution stands on its kink."""
    draw = np.random.default_rng(seed)
    text = "conv(4)-relu -> conv(2, kernel=1)-relu -> affine -> softmax"
    model = netspec.compile(text, input=(3, 6, 6), classes=3, dtype="float64", seed=seed)
    before = model.params.flat.copy()
    report = model.gradcheck(draw.normal(size=(6, 3, 6, 6)), draw.integers(0, 3, 6))
    assert report.max_error <= 1e-6
    assert not report.unchecked
    assert (model.params.flat == before).all()
