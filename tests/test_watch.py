"""How training is watched and ended: stopping rules, checkpoints, callbacks, the history as a table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import netspec
from netspec.base.duration import Duration
from netspec.catalog.stopping.stop import Stop
from netspec.train.history import COLUMNS
from netspec.train.weights import tensors_of

TEXT = "affine(12)-relu -> affine -> softmax"


def blobs(rows: int = 90, seed: int = 0) -> tuple[Any, Any]:
    """Three clouds in five dimensions."""
    generator = np.random.default_rng(seed)
    y = np.arange(rows) % 3
    return generator.normal(size=(rows, 5)) + 2 * np.eye(3, 5)[y], y


def model_of(train: str = "", text: str = TEXT, **more: Any) -> netspec.Model:
    return netspec.compile(text, **{"input": 5, "classes": 3, "train": f"batch = 10; {train}", **more})


def rows_of(figure: str, values: list[float], steps: int = 10) -> list[dict[str, Any]]:
    return [{"epoch": at, "step": at * steps, figure: value} for at, value in enumerate(values, 1)]


# stopping


RISING, FALLING = [0.1, 0.5, 0.5, 0.4, 0.52, 0.51, 0.5, 0.5], [3.0, 2.0, 2.5, 2.0, 1.9, 1.95, 2.0, 2.0]


def ends(rule: Stop, figure: str, values: list[float], numbers: bool = False) -> int | None:
    """The first epoch after which the rule ends training."""
    rows = rows_of(figure, values)
    return next((count for count in range(1, len(rows) + 1) if rule.reason(rows[:count], numbers)), None)


@pytest.mark.parametrize(
    ("figure", "values"), [("val_accuracy", RISING), ("train_accuracy", RISING), ("val_loss", FALLING), ("loss", FALLING)]
)
def test_patience_counts_epochs_since_the_best(figure: Any, values: list[float]) -> None:
    for amount, end in ((1, 3), (2, 4), (3, 8), (4, None)):
        assert ends(Stop(metric=figure, patience=Duration(amount, "ep")), figure, values) == end
        assert ends(Stop(metric=figure, patience=Duration(10 * amount, "it")), figure, values) == end
    assert ends(Stop(metric=figure, patience=Duration(11, "it")), figure, values) == 4
    assert ends(Stop(metric=figure, patience=Duration(3, "ep"), min_delta=0.2), figure, values) == 5


def test_the_figure_is_validation_accuracy_or_the_loss_of_values() -> None:
    assert ends(Stop(patience=Duration(2, "ep")), "val_accuracy", RISING) == 4
    assert ends(Stop(patience=Duration(2, "ep")), "val_loss", FALLING, numbers=True) == 4


def test_the_reason_says_what_how_long_and_when_it_was_best() -> None:
    assert Stop(patience=Duration(2, "ep")).reason(rows_of("val_accuracy", RISING[:4]), False) == (
        "val_accuracy has not improved for 2 epochs; it was 0.5000 in epoch 2"
    )
    assert Stop(metric="loss", patience=Duration(1, "it"), min_delta=0.5).reason(rows_of("loss", [2.0, 2.0]), True) == (
        "loss has not improved by more than 0.5 for 1 update; it was 2.0000 in epoch 1"
    )


@pytest.mark.parametrize(
    ("train", "rule"),
    [
        ("early_stop = 5ep", Stop(patience=Duration(5, "ep"))),
        ("early_stop = 500it", Stop(patience=Duration(500, "it"))),
        ("early_stop = stop", Stop()),
        ("early_stop = stop(val_loss, patience=3ep, min_delta=0)", Stop(metric="val_loss", patience=Duration(3, "ep"))),
        ("epochs = 3", None),
    ],
)
def test_the_texts_of_early_stop(train: str, rule: Stop | None) -> None:
    program = model_of(train).program
    assert program.train.early_stop == rule
    again = netspec.compile(program.resolved).program.train
    assert again == program.train


def test_training_ends_by_the_rule_with_the_best_parameters() -> None:
    x, y = blobs()
    noise = np.random.default_rng(1).integers(0, 3, 30)  # what nothing can be learnt about
    model = model_of("early_stop = 4ep; epochs = 200; optimizer = adam(lr=1e-2)")
    kept: list[bytes] = []
    history = model.fit(x, y, validation=(x[:30], noise), callbacks=[lambda m, _: kept.append(m.params.flat.tobytes())])
    accuracies = [row["val_accuracy"] for row in history.epochs]
    best = int(np.argmax(accuracies))
    assert len(history.epochs) == best + 1 + 4 < 200
    assert history.stopped == f"early_stop: val_accuracy has not improved for 4 epochs; it was {max(accuracies):.4f} in epoch {best + 1}"
    assert model.params.flat.tobytes() == kept[best]
    assert history.stopped in repr(history)
    model.fit(x, y, validation=(x[:30], noise), epochs=2)  # patience begins anew
    assert len(history.epochs) == best + 1 + 4 + 2
    assert history.stopped is None


def test_losses_are_watched_without_validation() -> None:
    x, y = blobs()
    history = model_of("early_stop = stop(loss, patience=2ep, min_delta=0.3); epochs = 50").fit(x, y)
    assert len(history.epochs) < 50
    assert str(history.stopped).startswith("early_stop: loss has not improved by more than 0.3")


def test_values_are_watched_by_their_loss() -> None:
    x, _ = blobs()
    noise = np.random.default_rng(0).normal(size=len(x))
    model = netspec.compile("affine", input=5, train="early_stop = 2ep; epochs = 500; optimizer = sgd(lr=0.05)")
    history = model.fit(x, noise, validation=0.2)
    assert len(history.epochs) < 500
    assert "val_loss" in str(history.stopped)


def test_a_figure_that_is_not_there_is_an_error_of_the_text() -> None:
    x, y = blobs()
    for train in ("early_stop = 3ep", "early_stop = stop(val_loss)"):
        with pytest.raises(netspec.SpecError, match="there are no validation rows") as caught:
            model_of(train).fit(x, y)
        (found,) = caught.value.diagnostics
        assert found.code == "NS605"
        assert "validation=0.1" in str(found.help)
    found = netspec.check("netspec 1 input 5 net affine train { early_stop = stop(val_accuracy) }")[0]
    assert (found.code, found.column) == ("NS605", 51)
    assert "(linear) has no accuracy" in found.message
    found = netspec.check("netspec 1 input 5 classes 2 net affine -> svm train { monitor_rows = 0 early_stop = stop(train_accuracy) }")[0]
    assert (found.code, found.help) == ("NS605", "give monitor_rows, or watch loss")


# run folders


def spec_file(folder: Path, train: str) -> Path:
    x, y = blobs()
    np.savez(folder / "rows.npz", x=x, y=y)
    spec = folder / "net.net"
    spec.write_text(f'netspec 1 data {{ source = npz; path = "rows.npz" }} net {TEXT} train {{ batch = 10; {train} }}')
    return spec


def test_a_run_says_why_it_stopped(tmp_path: Path) -> None:
    run = netspec.train(spec_file(tmp_path, "epochs = 300; early_stop = 3ep"), run_dir=tmp_path / "run")
    events = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    (stopped,) = [event for event in events if event["event"] == "stopped"]
    assert stopped["reason"] == run.history.stopped
    assert stopped["step"] == run.history.epochs[-1]["step"] == len(run.history.loss)
    with (run.path / "results.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(run.history.epochs) < 300
    again = netspec.train(run.path / "spec.resolved.net", run_dir=tmp_path / "again", allow=[tmp_path])
    assert again.history.stopped == run.history.stopped


def test_a_run_to_its_end_says_nothing(tmp_path: Path) -> None:
    run = netspec.train(spec_file(tmp_path, "epochs = 2"), run_dir=tmp_path / "run")
    assert run.history.stopped is None
    assert '"stopped"' not in (run.path / "events.jsonl").read_text()


def test_a_diverged_fit_says_so() -> None:
    x, y = blobs()
    model = model_of("optimizer = sgd(lr=1e30)")
    with pytest.raises(netspec.DivergedError):
        model.fit(x, y)
    assert "the loss became" in str(model.history.stopped)


def test_checkpoints_are_the_weights_of_their_epoch(tmp_path: Path) -> None:
    x, y = blobs()
    model = model_of("checkpoint = 3ep")
    kept: dict[int, bytes] = {}
    noise = np.random.default_rng(1).integers(0, 3, 30)  # so that another epoch is the best
    keep = lambda m, row: kept.update({row["epoch"]: m.params.flat.tobytes()})  # noqa: E731
    model.fit(x, y, validation=(x[:30], noise), epochs=7, run_dir=tmp_path / "run", callbacks=[keep])
    names = sorted(path.name for path in (tmp_path / "run" / "weights").iterdir())
    assert names == ["best.safetensors", "epoch-003.safetensors", "epoch-006.safetensors", "last.safetensors"]
    for epoch in (3, 6):
        restored = netspec.restore(tmp_path / "run" / "weights" / f"epoch-{epoch:03d}.safetensors")
        assert restored.params.flat.tobytes() == kept[epoch]
        assert restored.epochs_done == epoch
    assert model.params.flat.tobytes() in (kept[1], kept[2])
    assert kept[3] != kept[6]


# callbacks


class Everything(netspec.Callback):
    """Notes all that it hears."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.losses: list[float] = []
        self.steps: list[int] = []

    def on_begin(self, model: netspec.Model) -> None:
        self.heard.append(f"begin {model.step_count}")

    def on_step(self, model: netspec.Model, step: int, losses: Any) -> None:
        assert model.step_count == step
        assert losses.dtype == np.float64
        self.losses += losses.tolist()
        self.steps.append(step)

    def on_epoch(self, model: netspec.Model, row: dict[str, Any]) -> None:
        assert self.steps[-1] == row["step"]
        self.heard.append(f"epoch {row['epoch']}")

    def on_end(self, model: netspec.Model, history: netspec.History) -> None:
        self.heard.append(f"end {len(history.epochs)} {history.stopped}")


def test_an_object_hears_everything_in_its_order() -> None:
    x, y = blobs()
    hears, model = Everything(), model_of()
    history = model.fit(x, y, epochs=3, callbacks=[hears])
    assert hears.heard == ["begin 0", "epoch 1", "epoch 2", "epoch 3", "end 3 None"]
    assert hears.losses == history.loss
    assert hears.steps == sorted(set(hears.steps))
    assert hears.steps[-1] == 27


def test_any_object_with_a_hook_will_do() -> None:
    class Ends:
        seen: Any = None

        def on_end(self, model: netspec.Model, history: netspec.History) -> None:
            self.seen = history, model.params.flat.tobytes()

    x, y = blobs()
    ends, model = Ends(), model_of()
    history = model.fit(x, y, validation=0.2, epochs=2, callbacks=[ends])
    assert ends.seen[0] is history
    assert ends.seen[1] == model.params.flat.tobytes()  # the best, restored


def test_callbacks_change_no_bit_of_training() -> None:
    x, y = blobs()
    alone, watched = model_of(), model_of()
    alone.fit(x, y, epochs=3)
    watched.fit(x, y, epochs=3, callbacks=[Everything(), lambda *_: None])
    assert watched.params.flat.tobytes() == alone.params.flat.tobytes()


def raises(_model: netspec.Model, row: dict[str, Any]) -> None:
    if row["epoch"] == 2:
        raise netspec.StopTraining("enough")


def returns(_model: netspec.Model, row: dict[str, Any]) -> bool:
    return bool(row["epoch"] == 2)


@pytest.mark.parametrize(("callback", "reason"), [(raises, "enough"), (returns, "returns returned True")])
def test_a_callback_ends_training_and_the_others_hear_of_that_epoch(callback: Any, reason: str) -> None:
    x, y = blobs()
    after = Everything()
    history = model_of().fit(x, y, epochs=9, callbacks=[callback, after])
    assert (len(history.epochs), history.stopped) == (2, reason)
    assert after.heard == ["begin 0", "epoch 1", "epoch 2", f"end 2 {reason}"]


def test_what_is_not_true_ends_nothing() -> None:
    x, y = blobs()
    for answer in (None, False, 1, "yes", np.float64(0.3)):
        assert len(model_of().fit(x, y, epochs=2, callbacks=[lambda *_, answer=answer: answer]).epochs) == 2


def test_a_stop_after_a_piece_leaves_the_epoch_without_a_row() -> None:
    class Stops:
        def on_step(self, _model: netspec.Model, step: int, _losses: Any) -> bool:
            return step > 9

    x, y = blobs()
    model = model_of()
    after_one = model_of()
    after_one.fit(x, y, validation=(x, y), epochs=1)
    history = model.fit(x, y, validation=(x, y), epochs=9, callbacks=[Stops()])
    assert (len(history.epochs), history.stopped) == (1, "Stops returned True")
    assert len(history.loss) > 9
    assert model.params.flat.tobytes() == after_one.params.flat.tobytes()  # the best whole epoch


def test_a_stop_before_the_first_update() -> None:
    class Never:
        def on_begin(self, _model: netspec.Model) -> None:
            raise netspec.StopTraining

    x, y = blobs()
    history = model_of().fit(x, y, callbacks=[Never()])
    assert (history.epochs, history.loss, history.stopped) == ([], [], "Never raised StopTraining")


def test_another_exception_reaches_the_caller() -> None:
    x, y = blobs()
    hears = Everything()
    with pytest.raises(ZeroDivisionError):
        model_of().fit(x, y, callbacks=[hears, lambda *_: 1 // 0])
    assert hears.heard == ["begin 0", "epoch 1"]


@pytest.mark.parametrize(
    ("callbacks", "part"),
    [
        ([3], "3 is no function"),
        ([Everything], "give an object of it, Everything()"),
        (print, "give a list"),
        ([object()], "on_begin, on_step"),
    ],
)
def test_what_is_no_callback_is_refused_before_training(callbacks: Any, part: str) -> None:
    x, y = blobs()
    model = model_of()
    with pytest.raises(netspec.UsageError) as caught:
        model.fit(x, y, callbacks=callbacks)
    assert part in str(caught.value)
    assert model.step_count == 0


# the history


def test_the_history_is_a_table_for_pandas() -> None:
    x, y = blobs()
    history = model_of().fit(x, y, validation=0.2, epochs=3)
    frame = pd.DataFrame(history.epochs)
    assert tuple(frame.columns) == COLUMNS
    assert frame.equals(pd.DataFrame(history.to_dict()))
    assert frame["epoch"].tolist() == [1, 2, 3]
    assert all(kind.kind in "if" for kind in frame.dtypes)
    assert history.to_dict()["loss"] == [row["loss"] for row in history.epochs]
    assert frame["step"].iloc[-1] == len(history.loss)


def test_the_history_prints_as_a_short_table() -> None:
    x, y = blobs()
    model = model_of()
    assert str(model.history) == "0 epochs, 0 steps"
    text = str(model.fit(x, y, epochs=3)).split("\n")
    assert text[0].split() == ["epoch", "step", "lr", "loss", "train_accuracy", "seconds"]  # no validation, no columns of it
    assert [line.split()[0] for line in text[1:-1]] == ["1", "2", "3"]
    assert text[-1] == "3 epochs, 27 steps"
    assert len({len(line) for line in text[:-1]}) == 1
    long = str(model.fit(x, y, epochs=37)).split("\n")
    assert [line.split()[0] for line in long[1:-1]] == ["1", "2", "3", "4", "5", "...", "36", "37", "38", "39", "40"]
    assert max(map(len, long)) <= 100


def test_best_is_what_tensors_hold(tmp_path: Path) -> None:
    """The control of the checkpoints: weights files hold the arrays of their moment."""
    x, y = blobs()
    model = model_of()
    model.fit(x, y, epochs=1)
    before = {name: array.copy() for name, array in tensors_of(model.network, None).items()}
    model.fit(x, y, epochs=1)
    assert any((before[name] != array).any() for name, array in tensors_of(model.network, None).items())
