"""Exported nets compute what netspec computes: ONNX in onnxruntime, the module in PyTorch, the file in NumPy."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import (
    numpy_scores,
    onnx_results,
    onnx_scores,
    rows_for,
    subject_of_text,
    torch_net,
    torch_scores,
)  # fmt: skip
from graphs import forward, moved_at_random
from hypothesis import HealthCheck, Phase, given, settings
from laws import close
from pytorch import pytorch
from random_programs import programs
from test_onnx_graphs import NETS
from typer.testing import CliRunner, Result

import netspec
from netspec.base.kinds import Head
from netspec.base.layer import Layer, Sample
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape
from netspec.base.text import Source
from netspec.catalog.registry import entries
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.model import Model
from netspec.save.export import numpy_layers, torch_calls, torch_training
from netspec.save.export.numpy_source import numpy_source
from netspec.save.export.torch_blocks import MODULE_WORDS, blocks_of
from netspec.save.export.torch_scopes import module_paths
from netspec.save.export.torch_source import torch_files
from netspec.train.bench import drawn_rows
from netspec.train.settings import schedule_of
from netspec.ui.cli import app
from netspec.ui.verbs.export import subject_of

HAS_TORCH = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
MODELS = Path(__file__).parents[1] / "models"
LAYERS = {
    name: layer for name, layer in entries(Layer).items() if not issubclass(layer, Head) and layer.__module__.startswith("netspec.catalog.")
}
MORE: dict[str, tuple[str, Shape]] = {
    "margins": (
        "conv(5, kernel=4x3, stride=3x2)-pool(5x4, stride=1x2, pad=3x1)-relu -> conv(4, kernel=2)-avgpool(3, stride=2, pad=2)", (3, 8, 9),
    ),
    "copies of their own sizes": (
        "[conv(c, stride=2)-bn-relu]x(c: 4, 6) -> [affine(w)-prelu]x(w: 5, 7, 9) -> affine -> softmax", (2, 9, 7),
    ),
    "copies of copies": ("[[affine(6)-relu]x2 -> layernorm]x3 -> affine", (6,)),
    "a def in places": ("def b(w, act = relu) = affine(w)-bn-act\nnet b(5)-b(5) -> b(6, act=tanh) -> add(b(6) | id) -> affine", (5,)),
    "tied, of other sides": ("[conv(3, stride=2)-relu]x3 tied -> affine", (3, 9, 8)),
    "tied, with branches": ("affine(6) -> [add(affine(6)-tanh | id | prelu)]x3 tied -> concat(id | relu) -> affine", (5,)),
    "names that Python has": (
        "affine(5) @lambda -> relu @self -> affine(5) @forward -> add(id | @self) -> affine(4) @torch -> tanh @x", (3,),
    ),
    "nothing between": ("id-id -> res[id] @a -> add(id | @a) -> id", (4,)),
    "an image": ("conv(3)-relu -> upsample(2x1) -> conv(2)-reshape(3x4x4) -> linear", (2, 3, 4)),
}  # fmt: skip


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(autouse=True)
def one_thread() -> None:
    if importlib.util.find_spec("torch") is not None:
        importlib.import_module("torch").set_num_threads(1)


@pytest.fixture
def torch() -> Any:
    return pytorch()


def optional_torch() -> Any:
    return importlib.import_module("torch") if importlib.util.find_spec("torch") is not None else None


# what is computed


def computes_the_same(text: str, shape: Shape) -> None:
    """The law: scores of the written forms are those of the layers' references."""
    subject = subject_of_text(text, shape)
    x = rows_for(subject.graph)
    wanted = forward(subject.graph, subject.arrays, x, train=False)
    close(numpy_scores(subject, x), wanted, 1e-9)
    close(onnx_scores(subject, x), wanted, 1e-5)
    library = optional_torch()
    if library is not None:
        close(torch_scores(library, subject, x), wanted, 1e-6)


@pytest.mark.parametrize("name", [*NETS, *MORE])
def test_whole_nets(name: str) -> None:
    computes_the_same(*{**NETS, **MORE}[name])


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_by_its_samples(name: str) -> None:
    samples: tuple[Sample, ...] = LAYERS[name].samples
    for sample in samples:
        computes_the_same(f"{sample.call} -> linear", sample.shape)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate], derandomize=True)
@given(programs())
def test_random_programs(program: tuple[str, Shape]) -> None:
    try:
        subject = subject_of_text(*program)
        with np.errstate(over="ignore", invalid="ignore"):
            wanted = forward(subject.graph, subject.arrays, rows_for(subject.graph), train=False)
    except netspec.SpecError:  # a name without a point, or a shape that only some copies can take
        return
    if np.abs(wanted).max() < 1e4:  # drawn numbers may grow from layer to layer
        computes_the_same(*program)


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("old", "new"), [("x = y + x", "x = y + y"), ("self.relu(", "torch.tanh("), ("padding=1", "padding=(1, 1), padding_mode='reflect'")]
)
def test_a_module_that_is_written_wrongly_is_noticed(torch: Any, old: str, new: str) -> None:
    subject = subject_of_text(*NETS["residual"])
    source, _ = torch_files(subject, "net.safetensors")
    x = rows_for(subject.graph)
    wanted = forward(subject.graph, subject.arrays, x, train=False)
    with pytest.raises(AssertionError, match="off by"):
        close(torch_scores(torch, subject, x, changed(source, old, new)), wanted, 1e-6)


@pytest.mark.parametrize(("old", "new"), [(" + by_channel(beta", " - by_channel(beta"), ("eps=1e-05", "eps=1e-02"), ("y + x", "y + y")])
def test_a_file_that_is_written_wrongly_is_noticed(old: str, new: str) -> None:
    subject = subject_of_text("conv(4)-bn-relu -> res[conv(4)-tanh] -> affine", (2, 5, 4))
    source = changed(numpy_source(subject, "net.py"), old, new)
    x = rows_for(subject.graph)
    with pytest.raises(AssertionError, match="off by"):
        close(numpy_scores(subject, x, source), forward(subject.graph, subject.arrays, x, train=False), 1e-6)


def test_the_tables_have_the_whole_catalogue() -> None:
    assert set(LAYERS) == {*torch_calls.MODULES, *torch_calls.MERGES} == {*numpy_layers.LAYERS, *numpy_layers.OPERATORS}
    assert set(torch_training.LOSSES) == set(entries(Loss))
    assert set(torch_training.OPTIMIZERS) == set(entries(Optimizer))


def test_the_words_of_modules_are_known(torch: Any) -> None:
    own = {name for name in dir(torch.nn.Module()) if not name.startswith("_")}
    assert own <= MODULE_WORDS


# steps of training in PyTorch

STEPS: dict[str, tuple[str, Shape, str]] = {
    "adam, l2": ("affine(9)-bn-relu -> affine(6)-tanh -> affine -> softmax", (7,), "optimizer = adam(lr=0.01); l2 = 0.1"),
    "adamw": ("conv(4)-bn-prelu-pool -> affine -> softmax", (2, 6, 5), "optimizer = adamw(lr=0.01, weight_decay=0.3)"),
    "adamw beside l2": ("affine(6)-layernorm-relu -> affine -> softmax", (5,), "optimizer = adamw(lr=0.01, weight_decay=0.3); l2 = 0.1"),
    "momentum": ("conv(6)-groupnorm(3)-relu -> affine -> svm", (2, 5, 4), "optimizer = sgd(lr=0.05, momentum=0.9, nesterov=true)"),
    "adam, tiny eps": ("affine(9)-bn-tanh -> affine -> softmax", (7,), "optimizer = adam(lr=0.01, eps=1e-30)"),
    "rmsprop, bound": ("affine(6)-relu -> affine -> softmax", (5,), "optimizer = rmsprop(lr=0.01); clip = 0.05; l2 = 0.1"),
    "adagrad, bound by value": ("affine(6)-elu -> affine -> softmax", (5,), "optimizer = adagrad(lr=0.01); clip = value(0.01)"),
    "smoothed": ("affine(6)-gelu -> affine -> softmax", (5,), "optimizer = adam; label_smoothing = 0.1; class_weights = 1, 2, 0.5"),
    "frozen": (
        "affine(6, frozen=true)-bn(frozen=true)-relu -> affine(5, lr_scale=0.1)-bn-tanh -> affine -> softmax", (5,), "l2 = 0.1",
    ),
    "tied": ("affine(6) -> [affine(6)-bn-relu]x3 tied -> affine -> softmax", (5,), "optimizer = adam(lr=0.01)"),
    "tie": ("affine(5) @enc -> tanh -> affine(tie = enc.T)", (7,), "optimizer = adam(lr=0.01); l2 = 0.01"),
    "residual": ("conv(4)-bn-relu -> res[conv(6)-bn](proj)-relu -> globalpool -> affine -> softmax", (2, 5, 4), "optimizer = sgd(lr=0.1)"),
    "l1": ("affine(4)-silu -> affine(3)", (5,), "loss = l1; optimizer = adam(lr=0.01)"),
    "huber": ("affine(4)-softplus -> affine(3)", (5,), "loss = huber(0.5); optimizer = adam(lr=0.01)"),
    "one answer": ("affine(4)-relu -> affine -> sigmoid", (5,), "optimizer = adam(lr=0.01); class_weights = 1, 3"),
    "several answers": ("affine(4)-leaky_relu(0.2) -> affine(4) -> sigmoid", (5,), "optimizer = adam(lr=0.01)"),
}  # fmt: skip


def step_is_the_same(torch: Any, model: Model, source: str | None = None, steps: int = 1) -> None:
    """The law: after the same steps of training all parameters and running averages are the same."""
    subject = subject_of(model, "net")
    module, net = torch_net(torch, subject, source)
    rule = module.make_optimizer(net)
    schedule = schedule_of(model.program, 1)
    x, y = drawn_rows(model.graph, 6)
    x = x.astype(np.float64)
    starts = [group["lr"] for group in rule.param_groups]
    for step in range(steps):
        rate = schedule.scalars(step + 1, 1, 1, 1 << 40, model.history.figures)[0, 0] / model.program.train.optimizer.lr
        for group, start in zip(rule.param_groups, starts, strict=True):
            group["lr"] = start * rate
        module.training_step(net, rule, torch.from_numpy(x), torch.from_numpy(y))
        model.step(x, y)
    found, paths = net.state_dict(), module_paths(blocks_of(model.graph))
    for name, array in {**model.params, **model.state}.items():
        other = found[paths[name]].numpy()
        close(other.T if name.endswith(".W") and other.ndim == 2 else other, array, 1e-5)


def for_steps(name: str) -> Model:
    text, shape, train = STEPS[name]
    counts = {"one answer": 2, "several answers": 4}.get(name, 3)
    given_ = {"classes": counts} if text.endswith(("softmax", "svm", "sigmoid")) else {}
    model = netspec.compile(text, input=shape, train=train, dtype="float64", threads=1, seed=3, **given_)
    moved_at_random(model)
    return model


@pytest.mark.parametrize("name", STEPS)
def test_steps_of_training(torch: Any, name: str) -> None:
    step_is_the_same(torch, for_steps(name), steps=3)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("adam, l2", '"weight_decay": 0.1', '"weight_decay": 0.2'),
        ("adam, tiny eps", "trained.pop(name, None)", "pass"),
        ("adam, l2", "self.running_var - fresh * x.shape[1] / x.numel()", "self.running_var"),
        ("rmsprop, bound", "clip_grad_norm_(net.parameters(), 0.05)", "clip_grad_norm_(net.parameters(), 5.0)"),
        ("smoothed", "* weights[y", "* 1 + 0 * weights[y"),
        ("frozen", "self.get_submodule(name).eval()", "pass"),
        ("frozen", "rates.get(name, 1.0)", "1.0"),
    ],
)
def test_a_step_that_is_written_wrongly_is_noticed(torch: Any, name: str, old: str, new: str) -> None:
    model = for_steps(name)
    source, _ = torch_files(subject_of(model, "net"), "net.safetensors")
    with pytest.raises(AssertionError, match="off by"):
        step_is_the_same(torch, model, changed(source, old, new), steps=3)


SHAPES: dict[str, Any] = {
    "breast_cancer": {"input": (30,), "classes": 2}, "classifier": {"input": (1, 8, 8), "classes": 10},
    "diabetes": {"input": (10,), "outputs": 1},
    "digits": {"input": (1, 8, 8), "classes": 10},
    "digits_conv": {"input": (1, 8, 8), "classes": 10},
    "digits_tied": {"input": (1, 8, 8), "classes": 10}, "two_layer": {"input": (3, 32, 32), "classes": 10},
    "mnist_lab": {"input": (1, 28, 28), "classes": 10}, "digits_inception": {"input": (1, 8, 8), "classes": 10},
}  # fmt: skip


def without_dropout(text: str) -> str:
    """Masks cannot be the same in two libraries."""
    text = re.sub(r"dropout(2d)?\(([^)]*)\)", r"dropout\1(0 * (\2))", text)
    return re.sub(r"dropout(2d)?(?!\w|\()", r"dropout\1(0)", text)


@pytest.mark.parametrize("name", SHAPES)
def test_a_step_of_the_models(torch: Any, name: str) -> None:
    path = MODELS / f"{name}.net"
    program = load(Source(without_dropout(path.read_text()), str(path)), Overrides(**SHAPES[name], keys={"train.dtype": "float64"}))
    step_is_the_same(torch, Model(program))


# on all digits


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run and its three forms."""
    folder = tmp_path_factory.mktemp("digits")
    netspec.train(MODELS / "digits_conv.net", run_dir=folder / "run", **{"train.epochs": 3})
    model = netspec.restore(folder / "run")
    np.save(folder / "x.npy", model.splits_of_data().train.rows.x)
    forms = ["--onnx", "--numpy", *(["--torch"] if optional_torch() is not None else [])]
    done = call("export", folder / "run", *forms, "-o", folder / "out")
    assert done.exit_code == 0, done.output
    return folder


def test_all_digits_in_onnxruntime(digits: Path) -> None:
    model, x = netspec.restore(digits / "run"), np.load(digits / "x.npy")
    content = (digits / "out" / "run.onnx").read_bytes()
    whole = onnx.load_model_from_string(content)
    onnx.checker.check_model(whole, full_check=True)
    assert (whole.ir_version, [(one.domain, one.version) for one in whole.opset_import]) == (8, [("", 17)])
    found = onnx_results(content, x)
    assert len(x) == 1797
    own = model.forward((x - model.normalization.shift) / model.normalization.scale)  # type: ignore[union-attr]
    close(found["scores"], own, 1e-5)
    assert (found["scores"].argmax(1) == own.argmax(1)).all()
    assert (found["label"] == model.predict(x)).all()
    assert found["label"].dtype == np.int64
    close(found["probabilities"], model.predict_proba(x), 1e-5)


def test_all_digits_in_pytorch(torch: Any, digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(digits / "out"))
    module = importlib.import_module("run_torch")
    model, x = netspec.restore(digits / "run"), np.load(digits / "x.npy")
    net = module.load()
    assert not net.training
    assert (net.predict(torch.from_numpy(x)).numpy() == model.predict(x)).all()
    close(net.predict_proba(torch.from_numpy(x)).numpy(), model.predict_proba(x), 1e-5)
    double = netspec.compile(MODELS / "digits_conv.net", dtype="float64", input=(1, 8, 8), weights=digits / "run")
    rows = (x - double.normalization.shift) / double.normalization.scale  # type: ignore[union-attr]
    with torch.no_grad():
        close(net.double()(torch.from_numpy(x)).numpy(), double.forward(rows), 1e-6)


ALONE = """
import sys
sys.path.insert(0, {folder!r})
import numpy as np
import run_numpy
x = np.load({rows!r})
np.savez({result!r}, scores=run_numpy.all_scores(x), label=run_numpy.predict(x), p=run_numpy.predict_proba(x))
roots = {{name.partition(".")[0] for name in sys.modules}}
assert not roots & {{"netspec", "torch", "numba", "onnx", "safetensors", "pickle5"}}, roots
"""


def test_all_digits_in_numpy_alone(digits: Path) -> None:
    """In an interpreter of its own that finds nothing of netspec."""
    result = digits / "result.npz"
    code = ALONE.format(folder=str(digits / "out"), rows=str(digits / "x.npy"), result=str(result))
    subprocess.run([sys.executable, "-I", "-W", "error", "-c", code], check=True, cwd=digits)
    model, x, found = netspec.restore(digits / "run"), np.load(digits / "x.npy"), np.load(result)
    close(found["scores"], model.forward((x - model.normalization.shift) / model.normalization.scale), 1e-5)  # type: ignore[union-attr]
    assert (found["label"] == model.predict(x)).all()
    close(found["p"], model.predict_proba(x), 1e-5)


def test_the_numpy_file_is_a_script(digits: Path) -> None:
    x = np.load(digits / "x.npy")[:4]
    np.save(digits / "few.npy", x)
    np.savetxt(digits / "few.csv", x.reshape(4, -1), delimiter=",")
    outputs = []
    for name in ("few.npy", "few.csv"):
        command = [sys.executable, "-I", "run_numpy.py", digits / name]
        outputs.append(subprocess.run(command, check=True, capture_output=True, text=True, cwd=digits / "out").stdout)
    assert outputs[0] == outputs[1] == "".join(f"{label}\n" for label in netspec.restore(digits / "run").predict(x))
