"""The benchmark verb, the same nets in other libraries, and the scripts of tests/bench."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import accuracy
import machine
import naive
import numpy as np
import pytest
import report
import workloads
from calls import layer_of
from compiled import graph_of, network_of
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

import netspec
from netspec.base.clip import Clip
from netspec.base.kinds import Head
from netspec.base.layer import Layer, Sample
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.text import Source
from netspec.catalog.registry import entries
from netspec.frontend.bind import entry_from_text
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.frontend.words import written
from netspec.graph.check import to_graph
from netspec.graph.graph import Graph
from netspec.groups.groups import group
from netspec.plan.network import Network
from netspec.save.export import torch_calls
from netspec.train.bench import Benchmark, drawn_rows
from netspec.train.peak import copy_rate, product_rate
from netspec.train.settings import settings_of
from netspec.ui.cli import app
from netspec.ui.peers import compare, jax_net, torch_net

ROOT = Path(__file__).parents[1]
NET = "netspec 1\ninput 20\nclasses 3\nnet [affine(16)-bn-relu-dropout(25%)]x2 -> affine -> softmax\ntrain { batch = 50 }\n"
SAMPLES = [sample for kind in entries(Layer).values() if not issubclass(kind, Head) for sample in kind.samples]
SAMPLES = [sample for sample in SAMPLES if "frozen" not in sample.call]  # no peer has these: see require_counterparts
HAS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
HAS_JAX = pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="JAX is not installed")
HAS_OPTAX = pytest.mark.skipif(importlib.util.find_spec("optax") is None, reason="optax is not installed")
ROWS = 6


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def net(tmp_path: Path) -> Path:
    path = tmp_path / "small.net"
    path.write_text(NET)
    return path


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch's threads wait for one another, on a busy machine for milliseconds. Its draws are the same each time."""
    if importlib.util.find_spec("torch") is None:
        yield
        return
    torch = importlib.import_module("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def benchmark(text: str, **given: Any) -> Benchmark:
    program = load(Source(text), Overrides(**given))
    return Benchmark(Network(group(to_graph(program), True), settings_of(program, threads=1)))


# the verb


def test_the_figures_hang_together(net: Path) -> None:
    result = call("bench", net, "--seconds", 0.3, "--threads", 1, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    step, launches, peak = found["step"], found["launches"], found["peak"]
    assert 0 < step["min"] <= step["median"] <= step["max"]
    assert step["rows_per_second"] == pytest.approx(50 / step["median"])
    assert (found["threads"], peak["threads"], found["batch"], found["compare"]) == (1, 1, 50, [])
    sections = [launch["section"] for launch in launches]
    assert sections == sorted(sections, key=("gather", "forward", "loss", "backward", "regularize", "update").index)
    assert {name for launch in launches for name in launch["layers"]} >= {"affine1", "bn2", "relu2", "dropout1", "affine3"}
    assert sum(launch["flops"] for launch in launches) == pytest.approx(found["flops"])
    assert 0.2 < sum(launch["seconds"] for launch in launches) / step["min"] < 3  # a busy machine stretches either
    assert all(launch["share"] == pytest.approx(launch["seconds"] / step["median"]) for launch in launches)
    assert peak["flops_per_second"] > 1e9
    assert peak["bytes_per_second"] > 1e8


def test_the_report_in_words_fits_80_columns(net: Path) -> None:
    result = call("bench", net, "--seconds", 0.1, "--batch", 7, "--set", "train.fuse=false")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80
    for part in ("rows/s", "GFLOP/s", "batch 7", "at most", "cross_entropy", "affine2", "of peak", "together", "peak, measured just now"):
        assert part in result.stdout


def test_an_unknown_peer_is_told_before_anything_is_measured(net: Path) -> None:
    for words in ("keras", "torch,keras", ","):
        result = call("bench", net, "--compare", words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert "write one or more of torch, jax" in result.stderr


@pytest.mark.parametrize(("peer", "module"), [("torch", "torch"), ("jax", "jax"), ("jax", "optax")])
def test_a_missing_peer_names_its_extra(net: Path, peer: str, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for other in compare.PEERS[peer]:
        monkeypatch.setitem(sys.modules, other, json if other != module else None)  # as if the others were there
    result = call("bench", net, "--compare", peer)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"--compare {peer} needs {module}" in result.stderr
    assert "pip install 'netspec[bench]'" in result.stderr


def test_a_layer_without_counterpart_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = to_graph(load(Source(NET)))
    adam = entries(Optimizer)["adam"]()
    compare.require_counterparts(graph, adam, ("torch", "jax"))
    monkeypatch.setitem(compare.TABLES, "torch", ({name: None for name in torch_calls.MODULES if name != "bn"}, {}))
    with pytest.raises(compare.UsageError, match="the layer bn, the loss cross_entropy"):
        compare.require_counterparts(graph, adam, ("torch",))


def test_layers_that_are_trained_apart_and_bounds_have_no_counterpart() -> None:
    graph = to_graph(load(Source("netspec 1 input 4 classes 3 net affine(5, frozen=true)-bn(lr_scale=0.5)-relu -> affine -> softmax")))
    with pytest.raises(compare.UsageError, match="of frozen or lr_scale of affine1, frozen or lr_scale of bn1, clip, so"):
        compare.require_counterparts(graph, entries(Optimizer)["adam"](), ("torch",), entries(Clip)["norm"]())
    plain = to_graph(load(Source(NET)))
    with pytest.raises(compare.UsageError, match="of l2 beside the decay of adamw"):
        compare.require_counterparts(plain, entries(Optimizer)["adamw"](), ("torch",), l2=1e-3)
    with pytest.raises(compare.UsageError, match="--compare jax: there is no counterpart of the optimizer adagrad"):
        compare.require_counterparts(plain, entries(Optimizer)["adagrad"](), ("torch", "jax"))


# what it measures


def test_pieces_are_whole_steps_of_full_batches() -> None:
    bench = benchmark(NET)
    times = bench.steps(0.05)
    assert times.steps >= len(times.seconds) >= 1
    assert times.steps <= bench.network.store.step  # the warm-up is not counted
    assert np.isfinite(bench.network.store.parameters.flat).all()


def test_flops_count_the_batch_and_not_the_room_of_the_plan() -> None:
    """A plan has room for a row more where bn sees vectors: at batch 1 that would double every figure."""
    fixed = sum(launch.flops for launch in benchmark(NET).plan.layout.lowered.launches if launch.section in ("regularize", "update"))
    one, seven = (benchmark(NET, keys={"train.batch": batch}).flops - fixed for batch in (1, 7))
    assert seven == pytest.approx(7 * one, rel=0.05)  # sums over a batch have parts that do not depend on it


def test_a_loss_that_diverges_starts_anew() -> None:
    bench = benchmark("netspec 1 input 20 net affine(30)-relu -> affine train { optimizer = sgd(lr=1e3); batch = 50 }")
    with pytest.raises(compare.NetspecError, match="smaller learning rate"):
        bench.steps(0.2)


def test_the_peak_is_that_of_a_machine() -> None:
    assert 1e8 < product_rate(64, 1, "float32", 0.01) < 1e14
    rate, copied = copy_rate(1)
    assert 1e8 < rate < 1e13
    assert copied >= 1 << 20


# the same net in other libraries


def scores_of(graph: Graph, peer: str, arrays: dict[str, NDArray[Any]], x: NDArray[Any], train: bool) -> NDArray[Any]:
    """A peer's scores of a graph with the arrays of netspec."""
    if peer == "jax":
        return jax_net.Mirror(graph).scores(arrays, x, train)
    mirror = torch_net.Mirror(graph)
    mirror.load({name: arrays[name] for name in graph.parameters}, {name: arrays[name] for name in graph.state})
    return mirror.scores(x, train)


def sampled_graph(call: str, shape: tuple[int, ...]) -> Graph:
    """The layer alone; of a merge's sample the whole net that it is."""
    return to_graph(load(Source(call), Overrides(shape))) if " | " in call else graph_of([layer_of(call)], shape)


def mirrors(sample: Sample, peer: str, replaced: str | None = None) -> None:
    """The law: with the same arrays a peer's layer gives what netspec's gives, to 1e-4, in both forms. `replaced` is what the peer
    takes the layer for."""
    graph = sampled_graph(sample.call, sample.shape)
    network = network_of(graph, "float32", ROWS)
    arrays = {**network.store.parameters.copy(), **network.store.state.copy()}
    x = np.random.default_rng(3).normal(0, 1.5, (ROWS, *sample.shape)).astype(np.float32)
    theirs = graph if replaced is None else sampled_graph(replaced, sample.shape)
    for train in (False, True):
        if train and any(getattr(node.layer, "random", False) for node in graph.nodes):
            continue  # masks differ
        network.store.update_state(False)
        wanted = network.values(x, None, train)
        np.testing.assert_allclose(scores_of(theirs, peer, arrays, x, train), wanted, rtol=1e-4, atol=1e-4)


PEERS = [pytest.param("torch", marks=HAS_TORCH), pytest.param("jax", marks=HAS_JAX)]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.call} {sample.shape}")
def test_every_layer_is_mirrored(sample: Sample, peer: str) -> None:
    mirrors(sample, peer)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize(
    ("sample", "other"),
    [
        (Sample("leaky_relu(0.3)", (7,)), "leaky_relu(0.2)"),
        (Sample("conv(4, kernel=2, stride=2)", (2, 7, 7)), "conv(4, kernel=2, stride=2, pad=1)"),
        (Sample("avgpool(3, stride=2, pad=1)", (2, 7, 9)), "pool(3, stride=2, pad=1)"),
        (Sample("bn(eps=1e-3)", (3, 5, 7)), "bn(eps=1)"),
        (Sample("add(tanh | id | tanh)", (5,)), "add(tanh | id | id)"),
        (Sample("concat(tanh | id)", (3, 2, 4)), "concat(id | tanh)"),
        (Sample("mul(tanh | id)", (5,)), "add(tanh | id)"),
    ],
    ids=lambda one: str(one),
)
def test_a_mirror_that_differs_is_noticed(sample: Sample, other: str, peer: str) -> None:
    with pytest.raises(AssertionError):
        mirrors(sample, peer, other)


def test_every_layer_and_loss_of_the_catalogue_has_counterparts() -> None:
    layers = {name for name, kind in entries(Layer).items() if not issubclass(kind, Head)}
    losses = set(entries(Loss))
    for own_layers, own_losses in compare.TABLES.values():
        assert (layers - set(own_layers), losses - set(own_losses)) == (set(), set())
    assert set(entries(Optimizer)) == set(compare.OPTIMIZERS["torch"]) == {*compare.OPTIMIZERS["jax"], "adagrad"}


ALL_LOSSES = [loss() for loss in entries(Loss).values()]
ALL_LOSSES += [loss.smoothed(label_smoothing=0.2) for loss in ALL_LOSSES if loss.smoothed]
ALL_LOSSES += [entry_from_text(Loss, "huber(delta=0.5)")]


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("loss", ALL_LOSSES, ids=written)
def test_losses_are_mirrored(loss: Loss, peer: str) -> None:
    draw = np.random.default_rng(0)
    scores = draw.normal(0, 2, (9, 4))
    y = {"class": draw.integers(0, 4, 9), "binary": draw.integers(0, 2, (9, 4)) * 1.0, "value": draw.normal(size=(9, 4))}[loss.target]
    library = importlib.import_module(peer)
    turn: Callable[[Any], Any] = library.from_numpy if peer == "torch" else library.numpy.asarray
    table = torch_net.LOSSES if peer == "torch" else jax_net.LOSSES
    found = float(table[loss.name](library, loss, turn(scores), turn(y)))
    assert found == pytest.approx(loss.reference(scores, y), rel=1e-5)
    assert found != pytest.approx(loss.reference(scores + 0.1 * scores**2, y), rel=1e-5)


@pytest.mark.parametrize("peer", [pytest.param("torch, fused", marks=HAS_TORCH), pytest.param("jax", marks=HAS_OPTAX)])
@pytest.mark.parametrize("rule", ["sgd(lr=0.05, momentum=0.9)", "rmsprop(lr=0.005)", "adam(lr=0.01)", "adamw(lr=0.01)"])
def test_steps_of_a_peer_learn(rule: str, peer: str, one_thread: None) -> None:
    text = f"netspec 1 input 8 net affine(16)-bn-tanh -> affine(1) train {{ optimizer = {rule}; batch = 64; l2 = 1e-4 }}"
    program = load(Source(text))
    graph = to_graph(program)
    x, _ = drawn_rows(graph, 500)
    y = x[:, :1] - x[:, 1:2]
    step = (
        jax_net.step_of(graph, program.train, x, y)
        if peer == "jax"
        else torch_net.step_of(graph, program.train, x, y, fused=True, channels_last=False)
    )
    losses = [step() for _ in range(150)]
    assert np.mean(losses[-10:]) < 0.3 * np.mean(losses[:10])


@HAS_TORCH
def test_each_is_measured_in_a_process_of_its_own() -> None:
    heard: list[str] = []
    found = compare.compare(
        Source(NET), Overrides(), ("torch",), image=False, seconds=0.0, threads=1, rounds=1, heard=heard.append
    )  # fmt: skip
    assert [one.who for one in found] == ["netspec", "torch", "torch, fused"]
    assert found[0].ratio == 1
    assert all(one.ratio == pytest.approx(one.seconds / found[0].seconds) and one.least <= one.seconds <= one.most for one in found)
    assert heard == [f"round 1 of 1: {one.who}" for one in found]


# the scripts of tests/bench


def test_the_workloads_are_nets() -> None:
    for name, one in workloads.ALL.items():
        program = load(one.source)
        graph = to_graph(program)
        assert (graph.classes, program.train.batch, program.train.dtype) == (10, one.batch, one.dtype), name
        compare.require_counterparts(graph, program.train.optimizer, ("torch", "jax"))
        assert workloads.ways(name)[0] == "netspec"
        assert set(workloads.ways(name)) <= {"netspec", *compare.variants("torch", one.image), "jax"}


@pytest.mark.parametrize("name", ["mlp4", "conv3", "vgg", "conv1"])
def test_a_whole_net_in_onnx_has_the_same_scores(name: str) -> None:
    reason = "the extra onnx is not installed"
    onnxruntime, onnx_net = (pytest.importorskip(module, reason=reason) for module in ("onnxruntime", "onnx_net"))
    model = netspec.compile(workloads.ALL[name].text)
    draw = np.random.default_rng(5)
    for name_of_state, array in model.state.items():
        array[...] = draw.normal(0, 0.1, array.shape) if name_of_state.endswith(".mean") else draw.uniform(0.5, 1.5, array.shape)
    x = draw.standard_normal((3, *model.graph.input.shape), np.float32)
    session = onnxruntime.InferenceSession(onnx_net.onnx_bytes(model), providers=["CPUExecutionProvider"])
    (found,) = session.run(["scores"], {"x": x})
    np.testing.assert_allclose(found, model.forward(x), rtol=1e-4, atol=1e-4)
    next(iter(model.params.values()))[...] *= 1.1  # the control: other weights
    assert not np.allclose(found, model.forward(x), rtol=1e-4, atol=1e-4)


def point(at: int, power: int) -> dict[str, float]:
    return {"seconds": at**power * 1e-4, "flops": at * 1e6, "peak_bytes": at * 1e6, "resident_bytes": at * 2e6}


POWERS = {"width": 2, "depth": 1, "batch": 1, "threads": -1}
RESULTS = {
    "machine": "some processor.",
    "steps": {
        "mlp4": {"netspec": [0.001, 0.003, 0.002], "torch": [0.01] * 3, "torch, fused": [0.009] * 3, "jax": [0.008, 0.5, 0.008]},
        "odd": {"netspec": [1e-4], "torch, fused": [5e-4]},
    },
    "first": {"mlp4": {"netspec": [0.5], "torch": [2.5], "jax": [2.25]}},
    "predict": {"conv3": {"netspec": [1e-4], "onnxruntime": [2e-4], "onnxruntime, 1 thread": [3e-4]}},
    "products": {"128": {"netspec": [3e11], "torch": [2e11]}},
    "growth": {axis: {str(at): point(at, power) for at in (1, 2, 4)} for axis, power in POWERS.items()},
}


def test_tables_hold_medians_and_the_best_peer() -> None:
    text = report.markdown(RESULTS)
    rows = {cells[0]: cells for line in text.splitlines() if line.startswith("|") for cells in [line.strip("| ").split(" | ")]}
    assert "Taken on some processor." in text
    assert [cell.strip() for cell in rows["odd"][2:]] == ["0.100", "0.500", "", "5.0"]
    assert "| 2.00 | 9.00 | 8.00 | 4.0 |" in text
    assert "| mlp4 | 0.50 | 2.50 | 2.25 |" in text
    assert "| conv3 | 100 | 200 | 2.0 |" in text
    assert "| 128 x 128 | 300 | 200 | 1.50 |" in text
    assert "](tests/bench/growth.svg)" in text
    assert "| 4 | 1.60 | 2.5 | 4.0 | 8.0 |" in text
    assert report.markdown({}) == ""


def test_the_readme_has_the_markers_and_only_what_is_between_is_written(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    original = (ROOT / "README.md").read_text()
    copy.write_text(original)
    report.write(copy, "new figures")
    written = copy.read_text()
    start, end = original.index(report.START), original.index(report.END)
    assert written == f"{original[:start]}{report.START}\nnew figures\n{original[end:]}"
    copy.write_text("no markers")
    with pytest.raises(ValueError, match="markers"):
        report.write(copy, "")
    assert copy.read_text() == "no markers"


def test_the_machine_is_named() -> None:
    words = machine.machine_in_words(1)
    for part in ("core", "Python 3.", "numba "):
        assert part in words


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    growth = importlib.import_module("growth")
    growth.draw(RESULTS["growth"], tmp_path / "growth.svg")
    drawn = (tmp_path / "growth.svg").read_text()
    for words in ("step, ms", "memory, MB", "planned", "resident", "slope 2", "1/threads"):
        assert words in drawn
    assert len(drawn) < 200_000
    points = growth.nets(3)
    assert list(points["threads"]) == [1, 2, 3]
    for net in (one for axis in points.values() for one in axis.values()):
        to_graph(load(net.source))


def test_the_run_takes_parts_and_workloads() -> None:
    for module in ("matplotlib", "onnxruntime", "onnx"):
        pytest.importorskip(module, reason="the extra bench is not installed")
    run = importlib.import_module("run")
    options = run.arguments(["--parts", "steps,products", "--only", "mlp4,mnist", "--rounds", "5"])
    assert (options.parts, options.only, options.rounds) == (["steps", "products"], ["mlp4", "mnist"], 5)
    with pytest.raises(run.argparse.ArgumentTypeError, match="mlp5: write some of mlp4"):
        run.choices("mlp5", list(workloads.ALL))
    figures = iter([3.0, 1.0, 2.0, 4.0])

    def measure(who: str) -> float:
        if who == "broken":
            raise RuntimeError("out of order")
        return next(figures)

    assert run.in_turn(("a", "broken", "b"), measure, 2, "what") == {"a": [3.0, 2.0], "b": [1.0, 4.0]}


REACHED = {"two_layer, 10 epochs": 0.53, "optimizers: sgd": 0.42, "optimizers: momentum": 0.58, "optimizers: adam": 0.63}


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({}, []),
        ({"two_layer, 10 epochs": 0.52}, ["two_layer, 10 epochs: 0.5200 is below 0.521"]),
        ({"optimizers: momentum": 0.42}, ["optimizers: momentum: 0.4200 does not beat 0.4200 of optimizers: sgd"]),
        ({"optimizers: adam": float("nan")}, ["optimizers: adam: nan is below 0.47", "optimizers: adam: nan does not beat 0.4200"]),
    ],
)
def test_a_figure_below_its_limit_ends_the_accuracy_script_with_1(
    changed: dict[str, float], found: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = iter((REACHED | changed).values())

    def train(*_: object, **__: object) -> SimpleNamespace:
        row = {"epoch": 1, "seconds": 1.0} | dict.fromkeys(("val_accuracy", "train_accuracy"), next(figures))
        return SimpleNamespace(history=SimpleNamespace(epochs=[row]))

    monkeypatch.setattr(accuracy.netspec, "train", train, raising=False)
    monkeypatch.setattr(sys, "argv", ["accuracy.py", *REACHED])
    monkeypatch.setenv("NETSPEC_CIFAR10", "photographs.zip")
    if found:
        with pytest.raises(SystemExit) as stop:
            accuracy.main()
        assert all(line.startswith(start) for line, start in zip(str(stop.value).splitlines(), found, strict=True))
    else:
        accuracy.main()
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(REACHED)


def off(right: Callable[..., Any]) -> Callable[..., Any]:
    """The same figures, a little too large."""

    def wrong(*given: Any) -> Any:
        found = right(*given)
        return {name: array * (1 + 1e-8) for name, array in found.items()} if isinstance(found, dict) else found * (1 + 1e-8)

    return wrong


@pytest.mark.parametrize("case", naive.CASES, ids=lambda case: case.text)
def test_the_loops_compute_what_netspec_does(case: naive.Case, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = naive.Bench(dataclasses.replace(case, shape=(3, 7, 9)), 4)
    bench.require_equal()
    for own in (bench.forward()[1], bench.backward()[1]):
        assert naive.seconds(own, 3) > 0
    for side in ("forward", "backward"):
        monkeypatch.setattr(bench, "case", dataclasses.replace(case, **{side: off(getattr(case, side))}))
        with pytest.raises(AssertionError, match="Not equal to tolerance"):
            bench.require_equal()
