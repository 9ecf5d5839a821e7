"""Sweeps: with the real library and its database, with workers that are killed, machines that join, and specs that come out the same."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

import netspec as ns
from netspec.base.errors import DataError, Interrupted, SpecError, UsageError
from netspec.base.extras import left_out, library
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.counts import Counts
from netspec.save.atomic import SaveError
from netspec.save.held import is_held
from netspec.save.run_folder import RunFolder
from netspec.ui.cli import app
from netspec.ui.sweep import study as studies
from netspec.ui.sweep import worker
from netspec.ui.sweep.begin import enter, grid, look, most_epochs
from netspec.ui.sweep.best import write_best
from netspec.ui.sweep.crew import miss_all
from netspec.ui.sweep.order import Order, own_storage
from netspec.ui.sweep.outcome import Outcome, as_table, best, outcomes
from netspec.ui.sweep.pictures import best_so_far, caution
from netspec.ui.sweep.storage import open_storage, optuna, quietly, told_of_storage
from netspec.ui.sweep.trial import is_reported
from netspec.ui.sweep.watch import Lines
from netspec.ui.sweep.worker import alive
from netspec.ui.tables import as_text
from netspec.ui.verbs.sweep import End

pytest.importorskip("optuna", reason="optuna is not installed: pip install 'netspec[sweep]'")

NET = """netspec 1
# What is searched.
let width = 8  # of the hidden layer
let act = relu
data { source = breast_cancer; split = 80% / 10% / 10%; normalize = per_feature }
classes 2
net affine(width)-bn-act -> affine -> softmax
train { optimizer = sgd(lr=0.1, momentum=0.9); batch = 50; epochs = 3 }
search { width = choice(4, 8, 16); act = choice(relu, tanh); train.lr = log(1e-3, 1.0) }
seed 3
"""
HURRY = {"NETSPEC_COMPILE_JOBS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """As without the extra `plot`, in this process: the curves of a run take longer to draw than its few epochs."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:  # of other tests in this process
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def ordered(folder: Path, text: str = NET, overrides: Overrides | None = None, **more: Any) -> Order:
    """What workers are told of a sweep over a text."""
    file = folder / "net.net"
    file.write_text(text)
    given = overrides or Overrides()
    program = load(Source(text, str(file)), given)
    order = Order(
        file=str(file), overrides=given, resolved=program.resolved, folder=str(folder / "sweep"), study="net", sampler="tpe", pruner="none",
        storage=f"sqlite:///{folder / 'sweep' / 'study.db'}", metric="val_accuracy", seed=program.seed, epochs=most_epochs(program),
        heartbeat=20,
    )  # fmt: skip
    order.trials.mkdir(exist_ok=True)
    return replace(order, **more)


def entered(order: Order, trials: int | None = None) -> Any:
    """The study of an order, as the command makes it."""
    return enter(order, look(Path(order.file), order.overrides, ()), trials)[0]


def swept(order: Order, trials: int | None = None) -> list[Outcome]:
    """The trials, done by this process."""
    study = entered(order, trials)
    worker._work(order, "here")
    return outcomes(study, order)


def asked(study: Any) -> Any:
    """A trial that runs, with nobody to run it: Optuna expects signs of life, and warns."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return study.ask()


def drawn(found: list[Outcome]) -> list[dict[str, Any]]:
    return [dict(one.values) for one in sorted(found, key=lambda one: one.number)]


def test_one_worker_and_a_seed_give_the_same_trials_again(tmp_path: Path) -> None:
    found = []
    for name, at_once in (("a", True), ("b", False)):
        folder = tmp_path / name
        folder.mkdir()
        order = ordered(folder)
        if not at_once:  # a sweep that goes on draws what it would have drawn
            swept(order, 2)
        found.append(swept(order, 4))
    assert drawn(found[0]) == drawn(found[1])
    assert [one.metric for one in found[0]] == [one.metric for one in found[1]]
    assert len({json.dumps(one) for one in drawn(found[0])}) == 4
    other = tmp_path / "c"
    other.mkdir()
    assert drawn(swept(ordered(other, overrides=Overrides(seed=4)), 2)) != drawn(found[0])[:2]


def test_the_best_is_written_as_a_spec_that_trains_to_the_same_bytes(tmp_path: Path) -> None:
    order = ordered(tmp_path, overrides=Overrides(keys={"train.batch": "40"}))
    found = swept(order, 3)
    top = best(found)
    assert top is not None
    assert [one.metric for one in found] == sorted((one.metric or 0.0 for one in found), reverse=True)
    path = write_best(order, top, 3, look(Path(order.file), order.overrides, ()).counts)
    text = path.read_text()
    assert "search" not in text.replace("searched", "").replace("sweep", "")
    assert "# What is searched." in text
    assert "# of the hidden layer" in text
    assert f"sgd(lr={top.values['train.lr']!r}, momentum=0.9)" in text
    assert "batch = 40" in text
    run = ns.train(path, run_dir=tmp_path / "again")
    for name in ("best", "last"):
        ours = load_file(run.path / "weights" / f"{name}.safetensors")
        theirs = load_file(order.trials / str(top.folder) / "weights" / f"{name}.safetensors")
        assert {key: value.tobytes() for key, value in ours.items()} == {key: value.tobytes() for key, value in theirs.items()}
    other = load_file(order.trials / str(found[-1].folder) / "weights" / "best.safetensors")
    assert other["affine2.b"].tobytes() != ours["affine2.b"].tobytes()


SETTLED = {
    "train { optimizer = adam(lr=1) }": ("optimizer = adam(lr=0.5)", {"train.lr": 0.5}),
    "train { optimizer = adam }": ("optimizer = adam; lr = 0.5", {"train.lr": 0.5}),
    "train { lr = 1; batch = 3 }": ("batch = 3; lr = 0.5", {"train.lr": 0.5}),
    "let o = adam(lr=1) train { optimizer = o }": ("optimizer = adam(lr=0.5", {"train.lr": 0.5}),
    "train { lr = 1 }": ("optimizer = sgd(momentum=0.9) }", {"train.optimizer": "sgd(momentum=0.9)"}),
    "train { optimizer = adam(lr=1) }  ": (
        "optimizer = sgd(momentum=0.9); lr = 0.5",
        {"train.optimizer": "sgd(momentum=0.9)", "train.lr": 0.5},
    ),
    "": ("train { lr = 0.5 }", {"train.lr": 0.5}),
    " ": ("train { batch = 7 }", {"train.batch": 7}),
    "train { batch = 3 # rows\n }": ("batch = 7 # rows", {"train.batch": 7}),
}


@pytest.mark.parametrize("train", SETTLED)
def test_values_are_put_where_the_text_says_them(tmp_path: Path, train: str) -> None:
    expected, values = SETTLED[train]
    keys = "; ".join(f"{key} = choice({value})" for key, value in values.items())
    text = f"netspec 1 {train} let w = 3 input 4 outputs 1 net affine(w)-relu -> affine search {{ {keys} }}"
    order = ordered(tmp_path, text)
    order.trials.mkdir(exist_ok=True)
    one = Outcome(1, "complete", 0.5, values, 1, 1.0, None, "", 0, 1)
    written = write_best(order, one, 1, Counts((4,), None, 1)).read_text()
    assert expected.replace(" ", "") in written.replace("  ", " ").replace(" ", "")
    assert written.startswith("# Trial 1 of 1")
    made, wanted = load(Source(written)), load(Source(text), Overrides().with_values(values))
    assert made.train == wanted.train
    assert made.search == {}


def test_a_spec_that_uses_others_and_data_elsewhere_is_written_so_that_it_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the sweep's folder neither the used file nor the data can be reached as they are named beside the spec."""
    (tmp_path / "specs").mkdir()
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).normal(size=(80, 3))
    np.savez(tmp_path / "specs" / "rows.npz", x=x, y=(x[:, 0] > 0).astype(int))
    (tmp_path / "specs" / "blocks.net").write_text("netspec 1\nlet gain = 2\ndef block(w) = affine(w * gain)-relu\n")
    text = (
        'netspec 1 use "blocks.net" let w = 2 data { source = npz; path = "rows.npz" } classes 2 '
        "net block(w) -> affine -> softmax train { epochs = 2 } search { w = choice(3, 4) }"
    )
    order = ordered(tmp_path / "specs", text)
    found = swept(order, 2)
    path = write_best(order, found[0], 2, Counts((3,), 2))
    run = ns.train(path, run_dir=tmp_path / "again")
    theirs = load_file(order.trials / str(found[0].folder) / "weights" / "best.safetensors")
    ours = load_file(run.path / "weights" / "best.safetensors")
    assert {key: value.tobytes() for key, value in ours.items()} == {key: value.tobytes() for key, value in theirs.items()}


# how trials end


BAD = """netspec 1
let c = 8
let g = 4
data { source = digits; split = 200 / 50 }
net conv(8) -> conv(c, groups=g)-relu -> affine -> softmax
train { optimizer = sgd(lr=0.1); epochs = 2; batch = 100 }
search { c = choice(8, 6); g = choice(2, 4); train.lr = choice(0.01, 1e30) }
"""


def test_a_trial_that_cannot_be_trained_says_why_and_the_others_go_on(tmp_path: Path) -> None:
    found = swept(ordered(tmp_path, BAD, sampler="grid"))
    by_values = {(one.values["c"], one.values["g"], one.values["train.lr"]): one for one in found}
    assert len(by_values) == len(found) == 8
    assert {one.state for key, one in by_values.items() if key[:2] == ("6", "4")} == {"invalid"}
    assert "6" in by_values["6", "4", "0.01"].reason
    assert {one.state for key, one in by_values.items() if key[:2] != ("6", "4") and key[2] == "1e30"} == {"diverged"}
    assert "the loss became" in by_values["8", "2", "1e30"].reason
    assert {one.state for key, one in by_values.items() if key[:2] != ("6", "4") and key[2] == "0.01"} == {"complete"}
    assert by_values["6", "4", "0.01"].folder is None


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_that_do_badly_are_ended_early(tmp_path: Path, pruner: str) -> None:
    text = NET.replace("epochs = 3", "epochs = 6").replace("train.lr = log(1e-3, 1.0)", "train.lr = log(1e-7, 1.0)")
    order = ordered(tmp_path, text, pruner=pruner, sampler="random")
    found = swept(order, 12)
    ended = [one for one in found if one.state == "pruned"]
    assert {one.state for one in found} == {"complete", "pruned"}
    for one in ended:
        folder = RunFolder(order.trials / str(one.folder))
        rows = folder.read_epochs()
        assert len(rows) == one.epochs < 6
        assert f"pruned by {pruner} after epoch {len(rows)} of 6" in one.reason
        assert one.reason in folder.events.read_text()
        assert folder.best.is_file()
    assert all(one.epochs == 6 for one in found if one.state == "complete")
    assert max(one.metric or 0.0 for one in ended) <= max(one.metric or 0.0 for one in found)


def test_the_study_is_told_ever_fewer_epochs_and_those_of_a_pruner(tmp_path: Path) -> None:
    told = [epoch for epoch in range(1, 10_001) if is_reported(epoch)]
    assert told[:17] == [*range(1, 12), 13, 16, 19, 23, 27, 32]
    assert len(told) < 60
    assert all(after <= 1.25 * before + 1 for before, after in pairwise(told))
    text = NET.replace("epochs = 3", "epochs = 40").replace("train.lr = log(1e-3, 1.0)", "train.lr = choice(0.1, 0.02, 1e-7, 1e30)")
    order = ordered(tmp_path, text.replace("width = choice(4, 8, 16); act = choice(relu, tanh); ", ""), sampler="grid")
    study = entered(order)
    worker._work(order, "here")
    found = {one.number: one for one in outcomes(study, order)}
    told = [epoch for epoch in told if epoch <= 40]
    for number, attempt in studies.latest(study).items():
        assert list(attempt.intermediate_values) == [epoch for epoch in told if epoch <= (found[number].epochs or 0)]
        rows = RunFolder(order.trials / str(found[number].folder)).read_epochs()
        assert (found[number].epochs, found[number].seconds) == ((rows[-1]["epoch"], rows[-1]["seconds"]) if rows else (None, None))
    assert found[1].epochs == found[2].epochs == 40
    assert found[4].state == "diverged"


def test_each_trial_that_ends_is_told_in_a_line_with_its_figure_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = NET.replace("epochs = 3", "epochs = 6").replace("train.lr = log(1e-3, 1.0)", "train.lr = log(1e-7, 1.0)")
    order = ordered(tmp_path, text, pruner="median", sampler="random")
    swept(order, 2)
    watch = Lines(order, entered(order, 12))
    worker._work(order, "here")
    watch.looked([])
    watch.looked([])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" trial ")[0] for line in lines] == [f"{done}/12" for done in range(3, 13)]
    kinds = {re.sub(r"^\S+ trial \d+ ", "", line).split(": val_accuracy 0.")[0] for line in lines}
    assert kinds >= {"complete"}
    assert {re.sub(r"\d", "n", kind) for kind in kinds - {"complete"}} == {"pruned by median after epoch n of n"}
    assert {line.count("val_accuracy") for line in lines} == {1}


def test_importances_of_few_trials_come_with_a_caution() -> None:
    def of(count: int) -> list[Outcome]:
        return [Outcome(n, "complete" if n else "pruned", 0.5, {}, 1, 1.0, "", "", 0, 1) for n in range(count + 1)]

    assert caution(of(6)) == "from 6 complete trials; below 50 they say little"
    assert caution(of(50)) == "from 50 complete trials"


def test_the_best_so_far_is_drawn_up_to_the_last_trial(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    figures = {1: 0.3, 2: 0.7, 3: None, 4: 0.5, 5: 0.9, 6: 0.2, 7: None}
    states = {1: "pruned", 3: "invalid", 6: "pruned", 7: "waiting"}
    found = [Outcome(n, states.get(n, "complete"), figures[n], {}, 1, 1.0, "", "", 0, 1) for n in figures]
    assert best_so_far(found, order) == [(2, 0.7), (3, 0.7), (4, 0.7), (5, 0.9), (6, 0.9)]
    assert best_so_far(found, replace(order, metric="val_loss")) == [(2, 0.7), (3, 0.7), (4, 0.5), (5, 0.5), (6, 0.5)]


def test_numbers_are_compared_by_their_loss(tmp_path: Path) -> None:
    text = (
        "netspec 1 let w = 4 data { source = diabetes; normalize = per_feature } net affine(w)-relu -> affine train { epochs = 2 } "
        "search { w = range(2, 5) }"
    )
    order = ordered(tmp_path, text, metric="val_loss", sampler="grid")
    assert look(Path(order.file), order.overrides, ()).metrics == ("val_loss",)
    found = swept(order)
    assert [one.values["w"] for one in sorted(found, key=lambda one: one.number)] == [2, 3, 4, 5]
    assert all(one.metric <= other.metric for one, other in pairwise(found) if one.metric is not None and other.metric is not None)


# what cannot be swept


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (NET.replace("80% / 10% / 10%", "500 / 0"), SpecError, "split"),
        (NET.replace("search {", "#"), UsageError, "it has no search section"),
        (NET.replace("choice(4, 8, 16)", "choice(4, 0)"), SpecError, "NS318"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_a_study_is_made(tmp_path: Path, text: str, error: type[Exception], words: str) -> None:
    file = tmp_path / "net.net"
    file.write_text(text)
    with pytest.raises(error, match=words):
        look(file, Overrides(), ())


def test_values_from_outside_leave_the_search(tmp_path: Path) -> None:
    given = Overrides(lets={"width": "5", "act": "relu"})
    found = swept(ordered(tmp_path, overrides=given), 1)
    assert list(found[0].values) == ["train.lr"]
    assert "affine(width)" in (tmp_path / "net.net").read_text()
    with pytest.raises(UsageError, match=r"all its keys are given values \(width, act, train.lr\)"):
        look(tmp_path / "net.net", replace(given, keys={"train.lr": "0.1"}), ())


def test_a_study_takes_trials_of_its_own_spec_data_and_figure_alone(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    entered(order, 2)
    entered(order)
    file = Path(order.file)
    changes = {
        "net affine(width)-bn": ("net affine(width)", "bn1"),
        "epochs = 3": ("epochs = 4", "train.epochs: 3 -> 4"),
        "choice(4, 8, 16)": ("choice(4, 8)", r"search.width: choice\(4, 8, 16\) -> choice\(4, 8\)"),
        "let act = relu": ("let act = tanh", "relu"),
    }
    for old, (new, words) in changes.items():
        file.write_text(NET.replace(old, new))
        with pytest.raises(UsageError, match=words):
            entered(order)
    file.write_text(NET)
    with pytest.raises(UsageError, match="--metric: val_accuracy -> val_loss"):
        entered(replace(order, metric="val_loss"))
    with pytest.raises(UsageError, match="seed: 3 -> 4"):
        entered(replace(order, overrides=Overrides(seed=4)))
    with pytest.raises(UsageError, match="has 2; leave it out"):
        entered(order, 1)
    looked = look(file, order.overrides, ())
    with pytest.raises(DataError, match="is of other data"):
        enter(order, replace(looked, data="0" * 64), None)
    file.write_text(NET.replace("# What is searched.", "# Other words alone."))
    assert len(outcomes(entered(order, 3), order)) == 3


def test_a_worker_that_is_to_end_saves_and_another_goes_on_to_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = ordered(tmp_path)
    study = entered(order, 1)

    def told(event: str, **facts: Any) -> None:
        if event == "epoch" and facts["epoch"] == 2:
            signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with monkeypatch.context() as changed:
            changed.setattr(worker, "tell", told)
            with pytest.raises(Interrupted, match="stopped by SIGTERM in epoch 2"):
                worker._work(order, "here")
    finally:
        signal.signal(signal.SIGTERM, before)
    (waiting,) = studies.numbered(study, [optuna().trial.TrialState.WAITING])
    assert waiting.params == outcomes(study, order)[0].values != {}
    worker._work(order, "another")
    (found,) = outcomes(study, order)
    assert (found.state, found.attempts, found.epochs, found.folder) == ("complete", 2, 3, "trial-0001")
    assert (found.lost, "retried" in as_text(as_table([found], order, []))) == (0, False)  # nothing of it was done again
    assert '"resumed", "epoch": 2' in (order.trials / "trial-0001" / "events.jsonl").read_text()
    whole = ns.train(order.file, run_dir=tmp_path / "whole", **found.values)
    assert weights(whole.path) == weights(order.trials / "trial-0001")


def test_a_file_that_changes_ends_the_sweep_and_its_trial_waits(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    study = entered(order, 1)
    Path(order.file).write_text(NET.replace("epochs = 3", "epochs = 4"))
    with pytest.raises(UsageError, match="was changed while the sweep went on"):
        worker._work(order, "here")
    Path(order.file).write_text(NET)
    worker._work(order, "here")
    (found,) = outcomes(study, order)
    assert (found.state, found.attempts) == ("complete", 2)


@pytest.mark.parametrize("module", ["optuna", "sqlalchemy", "alembic"])
def test_without_a_part_of_the_extra_one_line_names_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.net").write_text(NET)
    result = CliRunner().invoke(app, ["sweep", "net.net"])
    assert (result.exit_code, result.stderr) == (2, f"error: this needs {module}: pip install 'netspec[sweep]'\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "net.net"]


def test_a_library_that_lacks_another_is_told_by_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "whole_library.py").write_text("import a_missing_part.of_it\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"^this needs a_missing_part: pip install 'netspec\[some\]'$"):
        library("whole_library", "some")
    with pytest.raises(UsageError, match=r"^this needs no_library: pip install 'netspec\[some\]'$"):
        library("no_library.inside", "some")


def test_a_library_is_imported_without_what_it_can_do_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beside_it.py").write_text("")
    (tmp_path / "takes_it_along.py").write_text("try:\n    import beside_it as found\nexcept ImportError:\n    found = None\n")
    monkeypatch.syspath_prepend(tmp_path)
    with left_out("beside_it"):
        assert library("takes_it_along", "some").found is None
    assert "beside_it" not in sys.modules
    monkeypatch.delitem(sys.modules, "takes_it_along")
    with_it = library("takes_it_along", "some").found
    with left_out("beside_it"):  # it is there already: nothing is gained
        assert sys.modules["beside_it"] is with_it
    monkeypatch.delitem(sys.modules, "beside_it")


def test_a_folder_holds_one_study(tmp_path: Path) -> None:
    """Another's best spec and table would be written over."""
    order = ordered(tmp_path)
    entered(order, 1)
    with pytest.raises(UsageError, match=r"sweep: is the folder of the study net; --study net goes on .* other takes a --dir of its own"):
        entered(replace(order, study="other"), 1)
    assert len(outcomes(entered(order), order)) == 1
    shared = f"sqlite:///{tmp_path / 'shared.db'}"
    for name in ("one", "two"):  # a database that several share holds several
        assert len(outcomes(entered(replace(order, study=name, storage=shared), 1), order)) == 1


def test_trials_that_have_not_begun_fill_no_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order = ordered(tmp_path)
    study, looked = entered(order, 20), look(Path(order.file), order.overrides, ())
    End(order, looked, study).write().show(json=False, quiet=False)
    assert capsys.readouterr().out.splitlines() == ["trials       20 waiting", f"sweep        {order.folder}"]
    with quietly():
        asked(study)
    End(order, looked, study).write().show(json=False, quiet=False)
    header, row, *_, counts, _ = capsys.readouterr().out.splitlines()
    assert header.startswith("rank  trial")
    assert row.split() == ["1", "running"]
    assert counts == "trials       1 running, 19 waiting"


def test_a_grid_counts_out_what_has_an_end() -> None:
    space = load(Source("netspec 1 let a = 1 let b = 2 net affine(a)-affine(b) search { a = choice(1, 2); b = range(3, 5) }")).search
    assert grid(space) == [{"a": a, "b": b} for a in ("1", "2") for b in (3, 4, 5)]
    for pairs in ("a = range(1, 20000)", "a = log(1, 4)", "train.l2 = range(0.0, 1.0)"):
        with pytest.raises(UsageError, match="--sampler grid"):
            grid(load(Source(f"netspec 1 let a = 1 net affine(a) search {{ {pairs} }}")).search)


def test_a_driver_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(UsageError, match=r"\*\*\*@host/x: this database is read with psycopg2: pip install psycopg2-binary$"):
        open_storage(ordered(tmp_path, storage="postgresql+psycopg2://user:secret@host/x"), studies.take_up)


@pytest.mark.parametrize("url", ["nonsense", "sqlite:////no/such/folder/study.db", "postgresql://user:secret@localhost:1/none"])
def test_a_database_that_cannot_be_opened_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="--storage") as caught:
        open_storage(ordered(tmp_path, storage=url), studies.take_up)
    assert "secret" not in str(caught.value)


def test_a_database_that_cannot_be_written_is_told_in_a_line(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    entered(order, 1)
    storage = open_storage(order, studies.take_up)
    events = library("sqlalchemy", "sweep").event
    events.listen(storage.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA query_only = 1"))
    with pytest.raises(SaveError, match=r"study\.db: the study cannot be read or written: .*readonly"), told_of_storage(order):
        storage.create_new_study([optuna().study.StudyDirection.MINIMIZE])


def test_a_folder_that_cannot_be_made_is_told_in_a_line(tmp_path: Path) -> None:
    ordered(tmp_path)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(app, ["sweep", str(tmp_path / "net.net"), "--dir", str(tmp_path / "file" / "sweep")])
    assert done.exit_code == 1
    assert done.stderr == f"error: {tmp_path / 'file' / 'sweep'}: cannot be written: Not a directory\n"


# workers that die


def test_a_worker_is_alive_while_it_holds_its_file(tmp_path: Path) -> None:
    with alive(tmp_path) as name:
        assert is_held(tmp_path / name) is True
        (tmp_path / "dead").touch()
        assert is_held(tmp_path / "dead") is False
    assert is_held(tmp_path / name) is None


def test_a_trial_is_given_up_where_its_worker_dies_each_time(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    study = entered(order, 1)
    states = optuna().trial.TrialState
    for _ in range(studies.MOST_LOST):
        asked(study)
        (running,) = studies.numbered(study, [states.RUNNING])
        assert studies.give_back(study, running)
        assert not studies.give_back(study, running)  # somebody has done so
    (found,) = outcomes(study, order)
    assert (found.state, found.code, found.attempts) == ("lost", 7, 3)
    done = subprocess.run(command(tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert "trial 1: the worker was lost each time" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["trials"][0]["state"] == "lost"


def test_who_shows_no_sign_of_life_loses_its_trial(tmp_path: Path) -> None:
    """What a worker on another machine is known by: its file is not in this folder."""
    order = ordered(tmp_path, heartbeat=1)
    study = entered(order, 1)
    states = optuna().trial.TrialState
    trial = asked(study)
    with quietly():
        trial.set_user_attr(studies.WORKER, "elsewhere")
        study._storage.record_heartbeat(trial._trial_id)
        miss_all(order, study, None)
        assert len(studies.numbered(study, [states.RUNNING])) == 1
        end = time.monotonic() + 60
        while studies.numbered(study, [states.RUNNING]) and time.monotonic() < end:
            time.sleep(0.5)
            optuna().storages.fail_stale_trials(study)
    assert [one.user_attrs["trial"] for one in studies.numbered(study, [states.WAITING])] == [1]


def test_a_trial_that_nobody_cares_for_is_taken_up(tmp_path: Path) -> None:
    """Its worker was killed between taking it and saying so, or between ending it and putting it back."""
    order = ordered(tmp_path)
    study = entered(order, 1)
    states = optuna().trial.TrialState
    asked(study)
    (running,) = studies.forsaken(study)
    studies.care_for(study, running)
    (waiting,) = studies.numbered(study, [states.WAITING])
    assert studies.forsaken(study) == []
    trial = asked(study)
    trial.set_user_attr(studies.WORKER, "here")
    assert studies.forsaken(study) == []
    trial.set_user_attr(studies.ENDED, "interrupted")
    study.tell(trial, state=states.FAIL)
    (ended,) = studies.forsaken(study)
    studies.care_for(study, ended)
    assert studies.forsaken(study) == []
    (waiting,) = studies.numbered(study, [states.WAITING])
    assert waiting.user_attrs == {"trial": 1}  # nothing of who had it before
    worker._work(order, "here")
    (found,) = outcomes(study, order)
    assert (found.attempts, found.lost, "retried" in as_text(as_table([found], order, []))) == (3, 1, True)


LONG = NET.replace("epochs = 3", "epochs = 80")


def command(folder: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "netspec", "sweep", str(folder / "net.net"), "--dir", str(folder / "sweep"), "--json", *options]


@contextmanager
def started(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep in a process of its own, and none of it left behind."""
    process = subprocess.Popen(
        command(folder, *options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **HURRY}
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(process: subprocess.Popen[str], **wanted: Any) -> dict[str, Any]:
    """Reads events until one has these facts."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, Any] = json.loads(line)
        if all(event.get(key) == value for key, value in wanted.items()):
            return event
    raise AssertionError(f"no event {wanted}: {process.stderr.read() if process.stderr else ''}")


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that a sweep has started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(child) for child in children if b"sweep.worker" in Path(f"/proc/{child}/cmdline").read_bytes()]


def weights(folder: Path) -> Mapping[str, bytes]:
    return {name: value.tobytes() for name, value in load_file(folder / "weights" / "last.safetensors").items()}


linux = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for processes in /proc, which Linux has")


@linux
def test_the_trial_of_a_worker_that_is_killed_is_done_again_to_the_same_bytes(tmp_path: Path) -> None:
    ordered(tmp_path, LONG)
    with started(tmp_path, "--trials", "2", "--pruner", "none") as process:
        until(process, event="epoch", trial=1, epoch=5)
        (child,) = workers_of(process)
        os.kill(child, signal.SIGKILL)
        assert until(process, event="lost")["trial"] == 1
        end = until(process, event="end")
        assert process.wait(60) == 0
    assert [one["state"] for one in end["trials"]] == ["complete", "complete"]
    again = next(one for one in end["trials"] if one["trial"] == 1)
    assert (again["attempts"], again["epochs"], again["run"]) == (2, 80, "trial-0001")
    whole = ns.train(tmp_path / "net.net", run_dir=tmp_path / "whole", **again["values"])
    assert weights(whole.path) == weights(tmp_path / "sweep" / "trial-0001")
    header, *rows = (tmp_path / "sweep" / "results.csv").read_text().splitlines()
    assert header == "rank,trial,state,val_accuracy,width,act,train.lr,epochs,seconds,attempts,run,reason"
    assert len(rows) == 2
    assert list((tmp_path / "sweep" / "workers").iterdir()) == []
    assert (tmp_path / "sweep" / "history.svg").is_file()
    pictures = {path.parent.name for path in (tmp_path / "sweep").glob("trial-*/*") if path.suffix in (".png", ".html")}
    assert pictures <= {end["best"]["run"]}  # where matplotlib and jinja2 are installed, it has them


REPEATED = """import sys
from netspec.ui.cli import main
try:
    main()
finally:
    print(sorted({"jinja2", "matplotlib", "sklearn"} & set(sys.modules)), file=sys.stderr)
"""


def test_a_sweep_that_is_complete_starts_and_draws_nothing_again(tmp_path: Path) -> None:
    if subprocess.run([sys.executable, "-c", "import jinja2, matplotlib"], capture_output=True, check=False).returncode:
        pytest.skip("jinja2 or matplotlib is not installed: pip install 'netspec[plot,report]'")
    order = ordered(tmp_path)
    swept(order, 5)
    words = ["sweep", order.file, "--dir", order.folder]
    said = []
    files = []
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", REPEATED, *words], capture_output=True, text=True, check=True)
        said.append((done.stdout, done.stderr))
        paths = [path for path in order.trials.rglob("*") if path.suffix in (".svg", ".png", ".html", ".csv")]
        files.append({path.relative_to(order.trials).as_posix(): path.stat().st_mtime_ns for path in paths})
    top = best(outcomes(entered(order), order))
    assert top is not None
    assert {name for name in files[0] if not name.endswith((".csv", ".svg"))} == {f"{top.folder}/curves.png", f"{top.folder}/report.html"}
    assert "history.svg" in files[0]
    assert "importances.svg" in files[0]
    assert files[1] == files[0]
    assert said[1][0] == said[0][0]
    nothing_left = "all 5 trials of net have ended; --trials 10 adds as many"
    assert [stderr.splitlines() for _, stderr in said] == [[nothing_left, "['jinja2', 'matplotlib']"], [nothing_left, "[]"]]
    assert "from 5 complete trials; below 50 they say little" in said[0][0]
    assert not order.workers.exists()
    run = order.trials / str(top.folder)
    (order.trials / "history.svg").unlink()
    (run / "report.html").unlink()
    without = f"import sys\nsys.modules['jinja2'] = None\n{REPEATED}"
    subprocess.run([sys.executable, "-c", without, *words], capture_output=True, check=True)
    assert (order.trials / "history.svg").is_file()
    assert not (run / "report.html").exists()
    assert (run / "curves.png").stat().st_mtime_ns == files[0][f"{top.folder}/curves.png"], "and it is not drawn again for the page's sake"
    for kept in (run / "weights").iterdir():
        kept.write_bytes(b"damaged")
    (run / "curves.png").unlink()
    done = subprocess.run([sys.executable, "-c", REPEATED, *words], capture_output=True, text=True, check=True)
    assert [line.partition(": ")[0] for line in done.stderr.splitlines()] == [nothing_left, "no report.html", "['jinja2', 'matplotlib']"]
    assert done.stdout == said[0][0]
    assert (run / "curves.png").is_file()


def test_without_matplotlib_one_line_says_so(tmp_path: Path) -> None:
    order = ordered(tmp_path)
    swept(order, 1)
    done = CliRunner().invoke(app, ["sweep", order.file, "--dir", order.folder])
    assert done.exit_code == 0
    assert done.stderr.splitlines()[1:] == ["no history.svg: this needs matplotlib: pip install 'netspec[plot]'"]
    assert "best spec" in done.stdout


@linux
def test_a_sweep_whose_process_is_killed_goes_on_with_two_that_share_it(tmp_path: Path) -> None:
    ordered(tmp_path, LONG)
    with started(tmp_path, "--trials", "3", "--pruner", "none") as process:
        until(process, event="epoch", epoch=5)
        workers = workers_of(process)
        process.kill()
    end = time.monotonic() + 60
    while any(Path(f"/proc/{one}").exists() for one in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{one}").exists() for one in workers)
    other_machine = ("--dir", str(tmp_path / "elsewhere"), "--storage", f"sqlite:///{tmp_path / 'sweep' / 'study.db'}")
    with started(tmp_path) as one, started(tmp_path, *other_machine) as other:
        ends = [until(process, event="end") for process in (one, other)]
        assert [process.wait(60) for process in (one, other)] == [0, 0]
    for end_event in ends:
        assert sorted(trial["trial"] for trial in end_event["trials"]) == [1, 2, 3]
        assert {trial["state"] for trial in end_event["trials"]} == {"complete"}
    folders = [path for place in ("sweep", "elsewhere") for path in (tmp_path / place).glob("trial-*")]
    whole = [path.name for path in folders if len(RunFolder(path).read_epochs()) == 80]
    assert sorted(whole) == [f"trial-000{number}" for number in (1, 2, 3)]  # each was done once, here or there
    assert (tmp_path / "elsewhere" / "best.net").read_text() == (tmp_path / "sweep" / "best.net").read_text()


@linux
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    text = NET[: NET.index("search {")] + "search { train.epochs = choice(3, 100000, 90000) }"
    order = ordered(tmp_path, text, sampler="grid")
    with started(tmp_path, "--sampler", "grid", "--workers", "2") as process:
        until(process, event="epoch", trial=3, epoch=5)  # the first has come to its end
        workers = workers_of(process)
        process.send_signal(signal.SIGINT)
        stopped = until(process, event="interrupted")
        assert process.wait(30) == 130
    assert stopped["code"] == 130
    so_far = f"2 of 3 trials left; the best so far is {tmp_path / 'sweep' / 'best.net'}; go on with the same command"
    assert so_far in stopped["message"]
    assert not any(Path(f"/proc/{one}").exists() for one in workers)
    study = entered(order)
    waiting = studies.numbered(study, [optuna().trial.TrialState.WAITING])
    assert sorted(one.user_attrs["trial"] for one in waiting) == [2, 3]
    assert any(RunFolder(one).state.is_file() for one in (tmp_path / "sweep").glob("trial-*"))


@pytest.mark.parametrize("name", ["a?b", "a%41b", "a#b", "a b", "ü", "a\nb"])
def test_a_study_lies_in_its_own_folder(name: str, tmp_path: Path) -> None:
    """Whatever the name of the folder means in an address."""
    sqlalchemy = pytest.importorskip("sqlalchemy", reason="sqlalchemy, of the extra sweep, is not installed")
    assert sqlalchemy.make_url(own_storage(tmp_path / name)).database == str(tmp_path / name / "study.db")


def test_a_folder_that_no_address_can_name_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no UTF-8"):
        own_storage(tmp_path / os.fsdecode(b"q\xff"))
