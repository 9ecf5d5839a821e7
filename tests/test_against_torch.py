"""Ten training steps against PyTorch in float64, from the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pytorch import pytorch

import netspec

torch = pytorch()
STEPS, ROWS = 10, 12

OPTIMIZERS = {
    "sgd(lr=0.05)": lambda p: torch.optim.SGD(p, lr=0.05),
    "sgd(lr=0.05, momentum=0.9)": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
    "sgd(lr=0.05, momentum=0.9, nesterov=true)": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "rmsprop(lr=0.01, decay=0.9)": lambda p: torch.optim.RMSprop(p, lr=0.01, alpha=0.9, eps=1e-8),
    "adam(lr=0.01)": lambda p: torch.optim.Adam(p, lr=0.01, eps=1e-8),
}


def mlp(model: netspec.Model) -> Any:
    net = torch.nn.Sequential(
        torch.nn.Linear(7, 9), torch.nn.BatchNorm1d(9), torch.nn.ReLU(), torch.nn.Linear(9, 6), torch.nn.Tanh(), torch.nn.Linear(6, 3)
    )
    return filled(net, model, ["affine1", "bn1", "affine2", "affine3"])


def conv(model: netspec.Model) -> Any:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.ReLU(), torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 5, (2, 3), stride=2, padding=1), torch.nn.LeakyReLU(0.01), torch.nn.Flatten(), torch.nn.Linear(30, 3),
    )  # fmt: skip
    return filled(net, model, ["conv1", "bn1", "conv2", "affine1"])


def norms(model: netspec.Model) -> Any:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 6, 3, padding=1), torch.nn.GroupNorm(3, 6), torch.nn.ReLU(), torch.nn.Flatten(),
        torch.nn.Linear(6 * 48, 9), torch.nn.LayerNorm(9), torch.nn.Tanh(), torch.nn.Linear(9, 3),
    )  # fmt: skip
    return filled(net, model, ["conv1", "groupnorm1", "affine1", "layernorm1", "affine2"])


def newer(model: netspec.Model) -> Any:
    """Overlapping pools, slopes, smooth activations, and images made of other ones; slopes start at 0.25 in both."""
    net = torch.nn.Sequential(
        torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.BatchNorm2d(4), torch.nn.PReLU(4), torch.nn.MaxPool2d(3, stride=2, padding=1),
        torch.nn.Conv2d(4, 5, 3, padding=1), torch.nn.PReLU(5),
        torch.nn.AvgPool2d((3, 2), stride=1, padding=(1, 0), count_include_pad=False), torch.nn.Upsample(scale_factor=(1, 3)),
        torch.nn.Flatten(), torch.nn.Unflatten(1, (6, 4, 5)), torch.nn.Conv2d(6, 3, 3, padding=1),
        torch.nn.GELU(), torch.nn.Flatten(), torch.nn.Linear(60, 9), torch.nn.SiLU(), torch.nn.Linear(9, 8), torch.nn.ELU(0.7),
        torch.nn.Linear(8, 8), torch.nn.Softplus(), torch.nn.Linear(8, 7), torch.nn.PReLU(7), torch.nn.Linear(7, 3),
    )  # fmt: skip
    return filled(net, model, ["conv1", "bn1", "conv2", "conv3", "affine1", "affine2", "affine3", "affine4", "affine5"])


NEWER = (
    "conv(4)-bn-prelu -> pool(3, stride=2, pad=1) -> conv(5)-prelu -> avgpool(3x2, stride=1, pad=1x0) -> upsample(1x3) -> reshape(6x4x5) "
    "-> conv(3)-gelu -> affine(9)-silu -> affine(8)-elu(0.7) -> affine(8)-softplus -> affine(7)-prelu -> affine -> softmax"
)


def filled(net: Any, model: netspec.Model, names: list[str]) -> Any:
    """The same weights in PyTorch's layout; its bn keeps 1 - our momentum."""
    net = net.double()
    layers = [layer for layer in net if list(layer.parameters()) and not isinstance(layer, torch.nn.PReLU)]
    for layer, name in zip(layers, names, strict=True):
        first, second = ("gamma", "beta") if "norm" in name or name.startswith("bn") else ("W", "b")
        weight = model.params[f"{name}.{first}"]
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(weight.T if name.startswith("affine") else weight))
            layer.bias.copy_(torch.tensor(model.params[f"{name}.{second}"]))
    return net


NETS = {
    "mlp": ("affine(9)-bn-relu -> affine(6)-tanh -> affine -> softmax", (7,), mlp),
    "conv": ("conv(4)-bn-relu-pool -> conv(5, kernel=2x3, stride=2, pad=1)-leaky_relu -> affine -> softmax", (2, 8, 6), conv),
    "newer": (NEWER, (2, 8, 6), newer),
    "norms": ("conv(6)-groupnorm(3)-relu -> affine(9)-layernorm-tanh -> affine -> softmax", (2, 8, 6), norms),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("net", NETS)
def test_ten_steps(net: str, optimizer: str) -> None:
    text, shape, build = NETS[net]
    model = netspec.compile(text, input=shape, classes=3, dtype="float64", train=f"optimizer = {optimizer}", seed=2)
    twin = build(model)
    rule = OPTIMIZERS[optimizer](twin.parameters())
    draw = np.random.default_rng(0)
    for _ in range(STEPS):
        x, y = draw.normal(size=(ROWS, *shape)), draw.integers(0, 3, ROWS)
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(twin(torch.tensor(x)), torch.tensor(y))
        loss.backward()
        if "bn" in text:  # PyTorch computes a gradient of rounding size for the bias before bn, and adam would make steps of it
            twin[0].bias.grad.zero_()
        rule.step()
        assert model.step(x, y) == pytest.approx(loss.item(), rel=1e-8, abs=1e-10)
    last = [layer for layer in twin if list(layer.parameters())][-1]
    np.testing.assert_allclose(list(model.params.values())[-2], last.weight.detach().numpy().T, rtol=1e-8, atol=1e-10)
    first = next(iter(model.params.values()))
    wanted = twin[0].weight.detach().numpy()
    np.testing.assert_allclose(first.T if net == "mlp" else first, wanted, rtol=1e-8, atol=1e-10)
    slopes = [layer.weight.detach().numpy() for layer in twin if isinstance(layer, torch.nn.PReLU)]
    for number, slope in enumerate(slopes, start=1):
        np.testing.assert_allclose(model.params[f"prelu{number}.slope"], slope, rtol=1e-8, atol=1e-10)
    if "bn" in text:
        np.testing.assert_allclose(model.state["bn1.mean"], twin[1].running_mean.numpy(), rtol=1e-8, atol=1e-10)
