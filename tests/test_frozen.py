"""Frozen layers and layers with a rate of their own: what moves, by how much, and what is left out of the step."""

from __future__ import annotations

import numpy as np
import pytest
from calls import layer_of
from numpy.typing import NDArray
from pytorch import pytorch

import netspec
from netspec.base.kinds import Head, Merge
from netspec.base.layer import Layer, Trained
from netspec.base.optimizer import Optimizer
from netspec.catalog.registry import entries
from netspec.frontend.bind import entry_from_text
from netspec.train.rule import OptimizerRule

ROWS = 14
CONV = "conv(4{conv})-bn({bn}eps=1e-4)-relu-pool -> affine(6{first})-bn-tanh -> affine{last} -> softmax"


def batch(step: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    draw = np.random.default_rng(step)
    return draw.normal(size=(ROWS, 2, 6, 6)), draw.integers(0, 3, ROWS)


def model_of(train: str = "optimizer = adam(lr=0.01)", fuse: bool = True, **arguments: str) -> netspec.Model:
    text = CONV.format(**{"conv": "", "bn": "", "first": "", "last": "", **arguments})
    return netspec.compile(text, input=(2, 6, 6), classes=3, train=train, dtype="float64", seed=4, fuse=fuse)


def moved(model: netspec.Model, steps: int = 3) -> set[str]:
    before = {**model.params.copy(), **model.state.copy()}
    for step in range(steps):
        model.step(*batch(step))
    return {name for name, array in {**model.params, **model.state}.items() if not np.array_equal(array, before[name])}


FREE = {f"{name}.{key}" for name in ("conv1", "affine1", "affine2") for key in "Wb"}
FREE |= {f"bn{k}.{key}" for k in (1, 2) for key in ("gamma", "beta", "mean", "var")}
FREE -= {"conv1.b", "affine1.b"}  # which bn cancels

CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "nothing": ({}, FREE),
    "conv": ({"conv": ", frozen=true"}, FREE - {"conv1.W"}),
    "conv and bn": ({"conv": ", frozen=true", "bn": "frozen=true, "}, FREE - {n for n in FREE if n.startswith(("conv1", "bn1"))}),
    "bn": ({"bn": "frozen=true, "}, (FREE | {"conv1.b"}) - {n for n in FREE if n.startswith("bn1")}),
    "first affine": ({"first": ", frozen=true"}, FREE - {"affine1.W"}),
    "last affine": ({"last": "(frozen=true)"}, FREE - {"affine2.W", "affine2.b"}),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("clip", ["", "; clip = 5.0; l2 = 0.01"])
def test_what_is_frozen_stays(case: str, fuse: bool, clip: str) -> None:
    arguments, wanted = CASES[case]
    assert moved(model_of(f"optimizer = adamw(lr=0.01){clip}", fuse, **arguments)) == wanted


@pytest.mark.parametrize("case", [case for case in CASES if case != "nothing"])
@pytest.mark.parametrize(
    "train", ["optimizer = sgd(lr=0.1)", "optimizer = adam(lr=0.01); l2 = 0.01", "optimizer = sgd(lr=0.1); clip = 0.2"]
)
def test_the_rest_moves_by_its_gradients(case: str, train: str) -> None:
    """A step equals one of a model without straight updates, whose gradients of frozen arrays are put to zero by hand."""
    arguments, wanted = CASES[case]
    model, other = model_of(train, **arguments), model_of(train, **arguments)
    text = train.split(";", maxsplit=1)[0].removeprefix("optimizer = ")
    rules = {name: OptimizerRule(entry_from_text(Optimizer, text)) for name in other.params}  # type: ignore[type-abstract]
    for step in range(4):
        loss, gradients = other.loss(*batch(step))
        assert set(gradients) == set(other.params)
        gradients = {name: g for name, g in gradients.items() if name in wanted}
        norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
        factor = min(1.0, 0.2 / norm) if "clip" in train else 1.0
        for name, g in gradients.items():
            other.params[name][...] = rules[name].step(other.params[name], factor * g)
        assert model.step(*batch(step)) == pytest.approx(loss, rel=1e-6)
    for name, array in model.params.items():
        np.testing.assert_allclose(array, other.params[name], rtol=1e-5, atol=1e-7, err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_all_gradients_are_still_given(case: str) -> None:
    model = model_of(**CASES[case][0])
    for name, array in model.state.items():
        array[...] += 0.3 if name.endswith("var") else 0.1
    report = model.gradcheck(*batch())
    assert set(report.errors) == {"x", *model.params}
    assert report.max_error < 1e-6
    x, _ = batch()
    dout = np.random.default_rng(1).normal(size=(ROWS, 3))
    model.forward(x, train=True)
    gradients = model.backward(dout)[1]
    assert all(np.any(gradients[name] != 0) for name in model.params if name in FREE)


def test_a_frozen_bn_runs_in_test_form() -> None:
    model = model_of(bn="frozen=true, ")
    draw = np.random.default_rng(2)
    model.state["bn1.mean"][...] = draw.normal(size=4)
    model.state["bn1.var"][...] = draw.uniform(0.5, 2, 4)
    x, _ = batch()
    before = model.state.copy()
    seen = model.forward(x, train=True, at="bn1")
    np.testing.assert_allclose(seen, model.forward(x, at="bn1"), rtol=1e-10)
    assert all(np.array_equal(before[name], model.state[name]) for name in ("bn1.mean", "bn1.var"))
    free = model_of()
    assert not np.allclose(free.forward(x, train=True, at="bn1"), free.forward(x, at="bn1"), rtol=1e-2)


def labels(model: netspec.Model) -> list[str]:
    return [f"{launch.label} of {launch.layers[0]}" for launch in model.plan.train.lowered.launches if launch.section == "backward"]


def test_launches_are_left_out() -> None:
    """Nothing is computed for what lies before the first trained layer, and no gradient of a frozen layer in between."""
    whole = labels(model_of())
    assert any("conv weight gradient" in label for label in whole)
    head_only = labels(model_of(conv=", frozen=true", bn="frozen=true, ", first=", frozen=true"))
    assert not any("conv" in label or "pool" in label or "affine1" in label for label in head_only)
    assert any("bn-tanh" in label for label in head_only)
    between = labels(model_of(first=", frozen=true"))
    assert any("input gradient of affine1" in label for label in between)
    assert not any("weight gradient" in label and "affine1" in label for label in between)
    frozen = "conv(4, frozen=true)-bn(frozen=true)-relu -> affine(frozen=true) -> softmax"
    all_frozen = netspec.compile(frozen, input=(2, 6, 6), classes=3)
    assert {launch.section for launch in all_frozen.plan.train.lowered.launches} == {"forward", "loss"}
    assert moved(all_frozen) == set()
    assert all_frozen.step_count == 3


# rates of their own


def test_lr_scale_against_torch() -> None:
    """A hundred steps with groups of other rates; the decay of adamw follows the group's rate too."""
    torch = pytorch()
    text = "affine(9, lr_scale=0.1)-bn(lr_scale=3)-relu -> affine(5)-tanh -> affine(lr_scale=0.5) -> softmax"
    for fuse in (True, False):
        for clip in (None, 0.4):
            train = f"optimizer = adamw(lr=0.02, weight_decay=0.2){'; clip = 0.4' if clip else ''}"
            model = netspec.compile(text, input=7, classes=3, train=train, dtype="float64", seed=1, fuse=fuse)
            net = torch.nn.Sequential(
                torch.nn.Linear(7, 9), torch.nn.BatchNorm1d(9), torch.nn.ReLU(), torch.nn.Linear(9, 5), torch.nn.Tanh(),
                torch.nn.Linear(5, 3),
            ).double()  # fmt: skip
            places = {"affine1": (net[0], 0.1), "bn1": (net[1], 3.0), "affine2": (net[3], 1.0), "affine3": (net[5], 0.5)}
            groups = []
            for name, (module, scale) in places.items():
                keys = ("gamma", "beta") if name == "bn1" else ("W", "b")
                for key, parameter in zip(keys, (module.weight, module.bias), strict=True):
                    with torch.no_grad():
                        parameter.copy_(torch.tensor(model.params[f"{name}.{key}"].T))
                    groups.append({"params": [parameter], "lr": 0.02 * scale, "weight_decay": 0.2 if key == "W" else 0.0})
            rule = torch.optim.AdamW(groups, eps=1e-8)
            for step in range(100):
                draw = np.random.default_rng(step)
                x, y = draw.normal(size=(12, 7)), draw.integers(0, 3, 12)
                rule.zero_grad()
                torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(y)).backward()
                net[0].bias.grad.zero_()  # rounding, of which adam would make steps
                if clip:
                    torch.nn.utils.clip_grad_norm_(net.parameters(), clip)
                rule.step()
                model.step(x, y)
            for name, (module, _) in places.items():
                key = "gamma" if name == "bn1" else "W"
                np.testing.assert_allclose(model.params[f"{name}.{key}"], module.weight.detach().numpy().T, rtol=1e-6, atol=1e-8)
            np.testing.assert_allclose(model.params["affine3.b"], net[5].bias.detach().numpy(), rtol=1e-6, atol=1e-8)


def test_lr_scale_of_a_convolution_scales_its_step() -> None:
    plain, scaled = model_of("optimizer = sgd(lr=0.1)"), model_of("optimizer = sgd(lr=0.1)", conv=", lr_scale=0.25")
    before = plain.params.copy()
    for model in (plain, scaled):
        model.step(*batch())
    for name, start in before.items():
        factor = 0.25 if name.startswith("conv1") else 1.0
        np.testing.assert_allclose(scaled.params[name] - start, factor * (plain.params[name] - start), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("layer", entries(Layer).values(), ids=lambda layer: layer.name)  # type: ignore[type-abstract]
def test_every_layer_with_parameters_takes_both_arguments(layer: type[Layer]) -> None:
    for sample in () if issubclass(layer, (Head, Merge)) else layer.samples:
        made = layer_of(sample.call)
        assert isinstance(made, Trained) is bool(made.parameters(sample.shape))
    if issubclass(layer, Trained):
        assert list(layer.model_fields)[-2:] == ["frozen", "lr_scale"]


def test_the_summary_marks_frozen_layers() -> None:
    model = model_of(conv=", frozen=true", bn="frozen=true, ", last="(lr_scale=0.5)")
    text = str(model.summary())
    assert "conv1 (4) frozen" in text
    assert "bn1 (0.0001) frozen" in text
    assert "pool1 (2) frozen" not in text
    count = model.graph.parameter_count
    trained = count - (4 * 2 * 9 + 4 + 8)
    assert f"{count:,} parameters" in text
    assert f"{trained:,} of them trained" in text
    assert "lr_scale=1" not in text
    facts = model.summary().as_json()
    assert (facts["parameters"], facts["trained_parameters"]) == (count, trained)
    assert [row["frozen"] for row in facts["layers"][:3]] == [True, True, False]
    assert "trained" not in str(model_of().summary()).split("training needs")[0]
