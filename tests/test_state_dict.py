"""Weights of PyTorch state dicts: what fits goes in, whatever modules are called; what does not is told, all of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import subject_of_text
from graphs import moved_at_random
from laws import close
from numpy.typing import NDArray
from pytorch import pytorch
from safetensors.numpy import save_file
from test_export import MORE
from test_onnx_graphs import NETS
from typer.testing import CliRunner, Result

import netspec
from netspec.base.errors import DataError, UsageError
from netspec.save.export.torch_source import torch_files
from netspec.save.state_dict import match
from netspec.ui.cli import app
from netspec.ui.verbs.export import subject_of

Array = NDArray[Any]
DRAW = np.random.default_rng(0)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def torch() -> Any:
    return pytorch()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def drawn(*shape: int) -> Array:
    return DRAW.normal(size=shape).astype(np.float32)


def save(**arrays: Array) -> Path:
    save_file({name.replace("__", "."): array for name, array in arrays.items()}, "state.safetensors", metadata={"format": "pt"})
    return Path("state.safetensors")


def compiled(text: str, path: Path | str = "state.safetensors", **more: Any) -> netspec.Model:
    return netspec.compile(text, weights=path, threads=1, **more)


# nets of PyTorch

TEXT = (
    "conv(8)-bn-relu-pool -> conv(8, groups=2, bias=false)-prelu -> [affine(20)-layernorm-relu]x2 -> affine(20, bias=false)-groupnorm(4)"
    " -> affine -> softmax"
)


def twin(torch: Any) -> Any:
    """The net of TEXT, after some steps of its running averages, with all arrays moved."""
    nn = torch.nn
    parts = [
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1, groups=2, bias=False),
        nn.PReLU(8), nn.Flatten(), nn.Linear(128, 20), nn.LayerNorm(20), nn.ReLU(), nn.Linear(20, 20), nn.LayerNorm(20), nn.ReLU(),
        nn.Linear(20, 20, bias=False), nn.GroupNorm(4, 20), nn.Linear(20, 10),
    ]  # fmt: skip
    torch.manual_seed(0)
    net = nn.Sequential(*parts)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    net.train()(torch.randn(32, 1, 8, 8) * 2 + 1)
    return net.eval()


ROWS = DRAW.normal(size=(6, 1, 8, 8)).astype(np.float32)


def scores_of(torch: Any, net: Any) -> Array:
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(ROWS)).numpy())


@pytest.mark.parametrize("prefix", ["", "model.", "module._orig_mod.net."])
def test_a_sequential_goes_in(torch: Any, prefix: str) -> None:
    net = twin(torch)
    save_file({f"{prefix}{name}": tensor.numpy() for name, tensor in net.state_dict().items()}, "state.safetensors")
    model = compiled(TEXT, input=(1, 8, 8), classes=10)
    close(model.forward(ROWS), scores_of(torch, net), 1e-5)
    assert model.unloaded == []


def test_names_that_tell_the_order_by_their_numbers(torch: Any) -> None:
    """As people name them: each kind is counted for itself."""
    net = twin(torch)
    names = {
        "0": "conv1", "1": "bn1", "4": "conv2", "5": "act", "7": "fc1", "8": "norms.9", "10": "fc2", "11": "norms.10", "13": "middle",
        "14": "norms.11", "15": "fc_out",
    }  # fmt: skip
    renamed = {f"{names[name.split('.')[0]]}.{name.split('.')[1]}": tensor.numpy() for name, tensor in net.state_dict().items()}
    del renamed["middle.weight"]  # of the same shape as fc2
    renamed["fc3.weight"] = net[13].weight.detach().numpy()
    save_file(renamed, "state.safetensors")
    close(compiled(TEXT, input=(1, 8, 8), classes=10).forward(ROWS), scores_of(torch, net), 1e-5)


@pytest.mark.parametrize(("one", "two"), [("layers.9", "layers.10"), ("l" + "1" * 5000, "l" + "2" * 5000), ("l009", "l10")])
def test_numbers_of_any_length_tell_the_order(one: str, two: str) -> None:
    """Python reads none of more than 4,300 digits."""
    first, second = drawn(4, 4), drawn(4, 4)
    save(**{f"{two}.weight": second, f"{one}.weight": first})
    model = compiled("affine(4, bias=false) -> affine(4, bias=false)", input=4)
    assert (model.params["affine1.W"] == first.T).all()
    assert (model.params["affine2.W"] == second.T).all()


def test_digits_of_other_scripts_are_letters() -> None:
    save(**{"\u00b2.weight": drawn(4, 4), "\u00b3.weight": drawn(4, 4)})
    with pytest.raises(DataError, match="nothing tells which of them is which"):
        compiled("affine(4, bias=false) -> affine(4, bias=false)", input=4)


def test_half_precision_is_widened(torch: Any) -> None:
    net = twin(torch).half()
    save_file({name: tensor.numpy() for name, tensor in net.state_dict().items()}, "state.safetensors")
    close(compiled(TEXT, input=(1, 8, 8), classes=10).forward(ROWS), scores_of(torch, net.float()), 1e-5)


def test_bfloat16_is_refused(torch: Any) -> None:
    save_torch = pytest.importorskip("safetensors.torch").save_file
    save_torch({name: tensor.bfloat16() for name, tensor in twin(torch).state_dict().items()}, "state.safetensors")
    with pytest.raises(DataError, match=r"0\.bias \(BF16\).*in PyTorch, tensor\.float\(\) gives float32"):
        compiled(TEXT, input=(1, 8, 8), classes=10)


def test_modules_without_scale_or_with_one_slope() -> None:
    """What they compute as if they had them."""
    save(
        a0__weight=drawn(6, 4), a0__bias=drawn(6), n1__running_mean=drawn(6), n1__running_var=np.abs(drawn(6)) + 0.1,
        a3__weight=drawn(5, 6), a3__bias=drawn(5), l4__weight=drawn(5),
    )  # fmt: skip
    model = compiled("affine(6)-bn-relu -> affine(5)-layernorm", input=4)
    for name, value in (("bn1.gamma", 1), ("bn1.beta", 0), ("layernorm1.beta", 0)):
        assert (model.params[name] == value).all()


def test_one_slope_for_all_channels() -> None:
    save(a__weight=drawn(6, 4), a__bias=drawn(6), p__weight=np.float32([0.3]))
    model = compiled("affine(6)-prelu", input=4)
    assert model.params["prelu1.slope"].shape == (6,)
    close(model.params["prelu1.slope"], np.full(6, 0.3), 1e-6)


# what does not fit

FAULTS: dict[str, tuple[str, dict[str, Array], list[str]]] = {
    "another shape": (
        "affine(6) -> affine(3)",
        {"0__weight": drawn(6, 4), "0__bias": drawn(6), "1__weight": drawn(3, 7), "1__bias": drawn(3)},
        ["affine2.W (6x3): the file has no Linear of 3x6", "1.weight: the net has no counterpart of a Linear of 3x7"],
    ),
    "a bias less": ("affine(6)", {"0__weight": drawn(6, 4)}, ["affine1.b (6): 0 has no bias for affine1; write bias=false"]),
    "a bias more": (
        "affine(6, bias=false)", {"0__weight": drawn(6, 4), "0__bias": drawn(6)},
        ["0.bias (6): affine1 has no such array; leave bias=false out of affine1"],
    ),
    "a module less": (
        "affine(4) -> affine(4)", {"0__weight": drawn(4, 4), "0__bias": drawn(4)},
        ["the net has 2 of Linear of 4x4 (affine1, affine2), and the file 1 (0)"],
    ),
    "no order": (
        "affine(4)-relu -> affine(4)",
        {"first__weight": drawn(4, 4), "first__bias": drawn(4), "last__weight": drawn(4, 4), "last__bias": drawn(4)},
        ["first, last: each is a Linear of 4x4, and nothing tells which of them is which of affine1, affine2; give them names"],
    ),
    "recurrence": (
        "affine(4)", {"0__weight": drawn(4, 4), "0__bias": drawn(4), "rnn__weight_ih_l0": drawn(4, 4)},
        ["rnn.weight_ih_l0 (4x4): no layer here has an array of that name; recurrence is not in version 1 of the language"],
    ),
    "weights in parts": (
        "affine(4)", {"0__weight_g": drawn(4, 1), "0__weight_v": drawn(4, 4), "0__bias": drawn(4)},
        ["0.weight_g (4x1): no layer here has an array of that name; take the weight out of its parts first",
         "affine1.W (4x4): the file has no Linear of 4x4"],
    ),
    "three axes": (
        "affine(4)", {"0__weight": drawn(4, 4), "0__bias": drawn(4), "c__weight": drawn(4, 4, 3)},
        ["c.weight (4x4x3): of no module that a layer here is the counterpart of"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_does_not_fit_is_told(name: str) -> None:
    text, arrays, told = FAULTS[name]
    path = save(**arrays)
    with pytest.raises(DataError) as caught:
        compiled(text, input=4)
    message = str(caught.value)
    assert message.startswith(f"{path}: the state dict does not fit the spec:\n  ")
    for one in told:
        assert one in message
    model = compiled(text, input=4, strict=False)
    assert set(model.unloaded) <= set(model.params)
    assert model.unloaded or name in ("a bias more", "recurrence", "three axes")


def test_a_spec_without_a_shape_is_told() -> None:
    path = save(a__weight=drawn(6, 4), a__bias=drawn(6))
    with pytest.raises(UsageError, match="the model has no shape yet: give input="):
        netspec.compile("affine(6)", weights=path)


def test_numbers_that_are_none_are_refused() -> None:
    save(a__weight=np.full((6, 4), np.nan, np.float32), a__bias=drawn(6))
    with pytest.raises(DataError, match=r"NaN or infinity in affine1\.W"):
        compiled("affine(6)", input=4)


def test_restore_tells_what_to_do() -> None:
    path = save(a__weight=drawn(6, 4))
    with pytest.raises(DataError, match=r"carries no spec\. A PyTorch state dict goes into a net of its shapes by netspec\.compile"):
        netspec.restore(path)


# what netspec has written itself


@pytest.mark.parametrize("name", [*NETS, *MORE])
def test_exported_arrays_come_back(name: str) -> None:
    """Where layers share or branch, too: the names are those of the module."""
    subject = subject_of_text(*{**NETS, **MORE}[name])
    _, tensors = torch_files(subject, "w.safetensors")
    found = match(subject.graph, tensors)
    assert found.faults == []
    assert set(found.arrays) == set(subject.arrays)
    for key, array in found.arrays.items():
        assert (array == subject.arrays[key]).all()


def test_an_exported_net_comes_back_with_its_statistics() -> None:
    text = "netspec 1 data { normalize = per_feature } net affine(5)-bn-relu -> affine -> softmax train { epochs = 1 }"
    model = netspec.compile(text, threads=1)
    x = DRAW.normal(3, 2, size=(50, 4))
    model.fit(x, np.arange(50) % 3)
    moved_at_random(model)
    _, tensors = torch_files(subject_of(model, "net"), "w.safetensors")
    save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, "state.safetensors")
    other = compiled(text, input=4, classes=3)
    assert other.normalization is not None
    assert other.normalization.kind == "per_feature"
    assert (other.predict_proba(x) == model.predict_proba(x)).all()


# on the command line


def printed(torch: Any) -> Path:
    Path("net.txt").write_text(str(twin(torch)))
    save_file({name: tensor.numpy() for name, tensor in twin(torch).state_dict().items()}, "state.safetensors")
    return Path("net.txt")


def test_convert_with_weights(torch: Any) -> None:
    done = call("convert", printed(torch), "--input", "1x8x8", "--head", "softmax", "--weights", "state.safetensors", "-o", "w.safetensors")
    assert (done.exit_code, done.stdout) == (0, "w.safetensors: 16 layers, 4,122 parameters\n"), done.output
    assert "unbiased variance" in done.stderr
    np.save("x.npy", ROWS)
    done = call("predict", "w.safetensors", "x.npy", "--json")
    wanted = torch.softmax(torch.from_numpy(scores_of(torch, twin(torch))), 1).numpy()
    close([[row[f"p_{c}"] for c in range(10)] for row in json.loads(done.stdout)], wanted, 1e-5)


def test_the_order_of_a_printed_model_is_known(torch: Any) -> None:
    """Names without numbers, which the print has in their order."""
    nn = torch.nn
    torch.manual_seed(1)
    net = nn.Sequential()
    for name in ("zeta", "alpha", "mid"):
        net.add_module(name, nn.Linear(4, 4))
    Path("net.txt").write_text(str(net))
    save_file({name: tensor.numpy() for name, tensor in net.state_dict().items()}, "state.safetensors")
    done = call("convert", "net.txt", "--weights", "state.safetensors", "-o", "w.safetensors")
    assert done.exit_code == 0, done.output
    x = drawn(5, 4)
    with torch.no_grad():
        close(netspec.restore("w.safetensors").forward(x), net(torch.from_numpy(x)).numpy(), 1e-5)


@pytest.mark.parametrize("branches", [False, True])
def test_the_order_of_an_exported_program(torch: Any, branches: bool) -> None:
    """A chain tells it; of branches nothing is guessed."""
    nn = torch.nn

    class Own(nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.zeta, self.alpha = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Any) -> Any:
            y = torch.relu(self.zeta(x))
            return y + self.alpha(x) if branches else self.alpha(y)

    torch.manual_seed(2)
    net = Own().eval()
    x = drawn(5, 4)
    torch.export.save(torch.export.export(net, (torch.from_numpy(x),)), "net.pt2")
    save_file({name: tensor.numpy() for name, tensor in net.state_dict().items()}, "state.safetensors")
    done = call("convert", "net.pt2", "--weights", "state.safetensors", "-o", "w.safetensors")
    if branches:
        assert done.exit_code == 4
        assert "alpha, zeta: each is a Linear of 4x4, and nothing tells" in done.stderr
        return
    assert done.exit_code == 0, done.output
    with torch.no_grad():
        close(netspec.restore("w.safetensors").forward(x), net(torch.from_numpy(x)).numpy(), 1e-5)


REFUSED: dict[str, tuple[Callable[[Path], tuple[object, ...]], int, str]] = {
    "no place": (lambda net: (net, "--weights", "state.safetensors"), 2, "--weights: give -o FILE.safetensors, the weights file to write"),
    "another end": (lambda net: (net, "--weights", "state.safetensors", "-o", "w.net"), 2, "-o w.net: the name of a weights file ends in"),
    "a place that is taken": (
        lambda net: (net, "--weights", "state.safetensors", "-o", "state.safetensors"), 2, "state.safetensors: exists already",
    ),
    "no file": (lambda net: (net, "--weights", "none.safetensors", "-o", "w.safetensors"), 2, "--weights none.safetensors: no such file"),
    "no shape": (
        lambda net: ("conv.txt", "--weights", "state.safetensors", "-o", "w.safetensors"), 2, "does not tell the shape of its rows",
    ),
    "another net's": (
        lambda net: (net, "--weights", "other.safetensors", "-o", "w.safetensors", "--input", "1x8x8"), 4, "does not fit the spec:",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_convert_refuses(torch: Any, name: str) -> None:
    words, code, told = REFUSED[name]
    net = printed(torch)
    save_file({"0.weight": drawn(3, 3)}, "other.safetensors")
    Path("conv.txt").write_text("Sequential(\n  (0): Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))\n)")
    done = call("convert", *words(net))
    assert done.exit_code == code
    assert told in done.stderr
    assert not Path("w.safetensors").exists()


def test_a_model_that_does_not_map_gets_no_weights(torch: Any) -> None:
    Path("net.txt").write_text("Sequential(\n  (0): Linear(in_features=4, out_features=4, bias=True)\n  (1): GRU(4, 4)\n)")
    save_file({"0.weight": drawn(4, 4), "0.bias": drawn(4)}, "state.safetensors")
    done = call("convert", "net.txt", "--weights", "state.safetensors", "-o", "w.safetensors")
    assert done.exit_code == 1
    assert "the net would be another one without what is not mapped, so no weights were written" in done.stderr


def test_what_torch_save_writes_is_told_with_what_to_write(tmp_path: Path) -> None:
    torch = pytorch()
    torch.save(torch.nn.Linear(3, 2).state_dict(), tmp_path / "state.pt")
    with pytest.raises(netspec.DataError, match=r"as torch\.save writes; .*safetensors\.torch\.save_file"):
        netspec.compile("affine", input=3, outputs=2, weights=tmp_path / "state.pt")
