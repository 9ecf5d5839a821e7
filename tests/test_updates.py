"""A hundred updates against PyTorch and against formulas in NumPy, in float64: every optimiser with l2, and bounds on gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pytorch import pytorch

import netspec

STEPS, ROWS = 100, 12
TEXT = "affine(9)-tanh -> affine(6)-relu -> affine -> softmax"
Array = NDArray[np.float64]
Params = dict[str, Array]


def batch(step: int) -> tuple[Array, NDArray[np.int64]]:
    draw = np.random.default_rng(step)
    return draw.normal(size=(ROWS, 7)), draw.integers(0, 3, ROWS)


def trained(train: str, **more: Any) -> netspec.Model:
    """After all steps."""
    model = netspec.compile(TEXT, input=7, classes=3, train=train, seed=2, **{"dtype": "float64", **more})
    for step in range(STEPS):
        model.step(*batch(step))
    return model


def by_formula(train: str, change: Callable[[str, int, Array, Array, dict[str, Array]], Array], clip: Any = None) -> Params:
    """The parameters after all steps by `change(name, t, w, g, slots)`, with gradients that a second model computes at each point."""
    model = netspec.compile(TEXT, input=7, classes=3, train=train, seed=2, dtype="float64")
    slots: dict[str, dict[str, Array]] = {name: {} for name in model.params}
    for step in range(STEPS):
        gradients = model.loss(*batch(step))[1]
        for name, g in (clip(gradients) if clip else gradients).items():
            model.params[name][...] = change(name, step + 1, model.params[name].copy(), g, slots[name])
    return model.params.copy()


def same(found: Any, wanted: Any, tolerance: float = 1e-8) -> None:
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=tolerance, atol=tolerance / 10, err_msg=name)


def adamw(name: str, t: int, w: Array, g: Array, slots: dict[str, Array], lr: float = 0.01, decay: float = 0.1) -> Array:
    m = slots["m"] = 0.8 * slots.get("m", 0 * g) + 0.2 * g
    v = slots["v"] = 0.99 * slots.get("v", 0 * g) + 0.01 * g**2
    kept = w * (1 - lr * decay) if name.endswith(".W") else w
    return kept - lr * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.99**t)) + 1e-7)


def adagrad(name: str, t: int, w: Array, g: Array, slots: dict[str, Array]) -> Array:
    slots["c"] = slots.get("c", 0 * g) + g**2
    return w - 0.05 * g / (slots["c"] ** 0.5 + 1e-6)


def test_adamw_against_its_formula() -> None:
    train = "optimizer = adamw(lr=0.01, beta1=0.8, beta2=0.99, eps=1e-7, weight_decay=0.1)"
    wanted = by_formula(train, adamw)
    same(trained(train).params, wanted)
    same(trained(train, fuse=False).params, wanted)
    undecayed = by_formula(train, lambda *given: adamw(*given, decay=0.0))
    assert not np.allclose(wanted["affine1.W"], undecayed["affine1.W"], rtol=1e-3)


def test_adagrad_against_its_formula() -> None:
    train = "optimizer = adagrad(lr=0.05, eps=1e-6); l2 = 0.01"
    same(trained(train).params, by_formula(train, adagrad))


def test_a_rule_on_its_own_takes_w_for_a_weight() -> None:
    rule, w, g = netspec.optimizer("adamw(lr=0.1, weight_decay=0.5)"), np.ones(3), np.zeros(3)
    np.testing.assert_allclose(rule.step(w, g), 0.95)
    assert set(rule.state) == {"m", "v", "t"}
    rule = netspec.optimizer("adagrad(lr=0.1)")
    np.testing.assert_allclose(rule.step(w, np.full(3, 2.0)), 0.9)
    np.testing.assert_array_equal(rule.state["c"], 4.0)


def twin_of(model: netspec.Model) -> tuple[Any, Any]:
    """(PyTorch, the same net with the same weights)."""
    torch = pytorch()
    net = torch.nn.Sequential(
        torch.nn.Linear(7, 9), torch.nn.Tanh(), torch.nn.Linear(9, 6), torch.nn.ReLU(), torch.nn.Linear(6, 3)
    ).double()  # fmt: skip
    for place, name in zip((0, 2, 4), ("affine1", "affine2", "affine3"), strict=True):
        with torch.no_grad():
            net[place].weight.copy_(torch.tensor(model.params[f"{name}.W"].T))
            net[place].bias.copy_(torch.tensor(model.params[f"{name}.b"]))
    return torch, net


def by_torch(train: str, rule_of: Callable[[Any, Any], Any], clip: Callable[[Any, Any], None] | None = None, l2: float = 0.0) -> Params:
    torch, net = twin_of(netspec.compile(TEXT, input=7, classes=3, train=train, seed=2, dtype="float64"))
    rule = rule_of(torch, net)
    for step in range(STEPS):
        x, y = batch(step)
        rule.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y))
        loss = loss + 0.5 * l2 * sum((net[place].weight ** 2).sum() for place in (0, 2, 4))
        loss.backward()
        if clip:
            clip(torch, net)
        rule.step()
    found = {}
    for place, name in zip((0, 2, 4), ("affine1", "affine2", "affine3"), strict=True):
        found[f"{name}.W"], found[f"{name}.b"] = net[place].weight.detach().numpy().T, net[place].bias.detach().numpy()
    return found


def groups(net: Any, decay: float) -> list[dict[str, Any]]:
    """Weights and biases."""
    return [
        {"params": [net[place].weight for place in (0, 2, 4)], "weight_decay": decay},
        {"params": [net[place].bias for place in (0, 2, 4)], "weight_decay": 0.0},
    ]


RULES: dict[str, Callable[[Any, Any], Any]] = {
    "adamw(lr=0.02)": lambda torch, net: torch.optim.AdamW(groups(net, 0.01), lr=0.02, eps=1e-8),
    "adamw(lr=0.02, weight_decay=0.3)": lambda torch, net: torch.optim.AdamW(groups(net, 0.3), lr=0.02, eps=1e-8),
    "adagrad(lr=0.05)": lambda torch, net: torch.optim.Adagrad(net.parameters(), lr=0.05, eps=1e-8),
    "adagrad": lambda torch, net: torch.optim.Adagrad(net.parameters(), lr=0.01, eps=1e-8),
}


@pytest.mark.parametrize("optimizer", RULES)
@pytest.mark.parametrize("fuse", [True, False])
def test_against_torch(optimizer: str, fuse: bool) -> None:
    train = f"optimizer = {optimizer}"
    same(trained(train, fuse=fuse).params, by_torch(train, RULES[optimizer]))


# bounds on gradients


def norm_of(arrays: Any) -> float:
    return float(np.sqrt(sum((array**2).sum() for array in arrays)))


CLIPS: dict[str, Callable[[Any, Any], None]] = {
    "0.3": lambda torch, net: torch.nn.utils.clip_grad_norm_(net.parameters(), 0.3),
    "norm(0.3)": lambda torch, net: torch.nn.utils.clip_grad_norm_(net.parameters(), 0.3),
    "norm(100.0)": lambda torch, net: torch.nn.utils.clip_grad_norm_(net.parameters(), 100.0),
    "value(0.05)": lambda torch, net: torch.nn.utils.clip_grad_value_(net.parameters(), 0.05),
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("fuse", [True, False])
def test_clip_against_torch(clip: str, fuse: bool) -> None:
    """Data plus l2 gradient is bounded."""
    train = f"optimizer = sgd(lr=0.1, momentum=0.9); l2 = 0.02; clip = {clip}"
    wanted = by_torch(train, lambda torch, net: torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9), CLIPS[clip], l2=0.02)
    same(trained(train, fuse=fuse).params, wanted)
    free = trained("optimizer = sgd(lr=0.1, momentum=0.9); l2 = 0.02", fuse=fuse)
    bound = "100" not in clip
    assert np.allclose(free.params["affine1.W"], wanted["affine1.W"], rtol=1e-3) is not bound


def test_a_bounded_step_is_as_long_as_the_bound() -> None:
    model = netspec.compile(TEXT, input=7, classes=3, train="optimizer = sgd(lr=1.0); clip = 0.01; l2 = 0.1", dtype="float64")
    x, y = batch(0)
    gradients, before = model.loss(x, y)[1], model.params.copy()
    assert norm_of(gradients.values()) > 0.1
    model.step(x, y)
    taken = {name: before[name] - array for name, array in model.params.items()}
    assert norm_of(taken.values()) == pytest.approx(0.01, rel=1e-4)
    same({name: step / 0.01 for name, step in taken.items()}, {n: g / norm_of(gradients.values()) for n, g in gradients.items()}, 1e-4)


@pytest.mark.parametrize("clip", ["norm(0.2)", "value(0.01)"])
def test_a_bounded_step_has_the_same_bits_on_any_number_of_threads(clip: str) -> None:
    """Large enough for several tasks."""
    found = []
    for threads in (1, 2):
        text = "conv(8)-relu -> affine(300)-bn-relu -> affine -> softmax"
        train = f"optimizer = adam; clip = {clip}; l2 = 1e-3"
        model = netspec.compile(text, input=(3, 12, 12), classes=5, train=train, threads=threads)
        draw = np.random.default_rng(0)
        for _ in range(3):
            model.step(draw.normal(size=(40, 3, 12, 12)), draw.integers(0, 5, 40))
        assert any(launch.label == "gradient norm" and launch.tasks > 1 for launch in model.plan.train.lowered.launches) is ("norm" in clip)
        found.append(model.params.flat.tobytes())
    assert found[0] == found[1]


def test_one_rule_moves_one_array() -> None:
    rule = netspec.optimizer("sgd(lr=0.1, momentum=0.9)")
    rule.step(np.ones(3), np.ones(3))
    with pytest.raises(netspec.UsageError, match="the shapes differ: w \\(2,\\), dw \\(2,\\), v \\(3,\\); a rule moves one array"):
        rule.step(np.ones(2), np.ones(2))
    with pytest.raises(netspec.UsageError, match="the shapes differ"):
        netspec.optimizer("adam").step(np.ones(3), np.ones(2))


def test_only_a_norm_takes_one_more_launch() -> None:
    def launches(clip: str) -> list[str]:
        model = netspec.compile(TEXT, input=7, classes=3, train=f"optimizer = sgd{clip}")
        return [launch.label for launch in model.plan.train.lowered.launches if launch.section == "update"]

    assert launches("; clip = 1.0") == ["gradient norm", "sgd"]
    assert launches("; clip = value(0.5)") == launches("") == ["sgd"]
