"""Learning rates update by update: against PyTorch's schedulers and formulas, through training, and in several calls."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from laws import shuffled
from numpy.typing import NDArray
from pytorch import pytorch

import netspec
from netspec.base.schedule import Progress, RateSchedule
from netspec.frontend.bind import entry_from_text

PER_EPOCH, EPOCHS = 7, 12
TOTAL = PER_EPOCH * EPOCHS
LR = 0.3


def rates(text: str, count: int = TOTAL, losses: tuple[float, ...] = ()) -> NDArray[np.float64]:
    schedule = entry_from_text(RateSchedule, text)  # type: ignore[type-abstract]  # a contract, looked up by
    return schedule.rates(LR, Progress(np.arange(count, dtype=float), PER_EPOCH, TOTAL, losses))


def by_torch(make: Callable[[Any, Any], Any], count: int = TOTAL) -> list[float]:
    torch = pytorch()
    rule = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    schedule, found = make(torch.optim.lr_scheduler, rule), []
    for _ in range(count):
        found.append(rule.param_groups[0]["lr"])
        rule.step()
        schedule.step()
    return found


def warmed(module: Any, rule: Any) -> Any:
    rising = module.LinearLR(rule, start_factor=1 / 14, end_factor=1.0, total_iters=13)
    return module.SequentialLR(rule, [rising, module.CosineAnnealingLR(rule, T_max=TOTAL - 14)], milestones=[14])


PEERS: dict[str, Callable[[Any, Any], Any]] = {
    "step(every=3ep, factor=0.5)": lambda module, rule: module.StepLR(rule, 3 * PER_EPOCH, 0.5),
    "step(11it)": lambda module, rule: module.StepLR(rule, 11, 0.1),
    "cosine": lambda module, rule: module.CosineAnnealingLR(rule, T_max=TOTAL),
    "cosine(12ep, end=0.1)": lambda module, rule: module.CosineAnnealingLR(rule, T_max=TOTAL, eta_min=0.1 * LR),
    "onecycle": lambda module, rule: module.OneCycleLR(rule, LR, total_steps=TOTAL),
    "onecycle(0.9, 12ep)": lambda module, rule: module.OneCycleLR(rule, 0.9, total_steps=TOTAL),
    "onecycle(max_lr=2, duration=84it, rise=0.5, start=10.0, end=100.0)": lambda module, rule: module.OneCycleLR(
        rule, 2.0, total_steps=TOTAL, pct_start=0.5, div_factor=10.0, final_div_factor=100.0
    ),
    "warmup(14it)": lambda module, rule: module.LinearLR(rule, start_factor=1 / 14, end_factor=1.0, total_iters=13),
    "warmup(2ep, then=cosine)": warmed,
    "warmup(2ep, then=cosine(10ep))": warmed,
}


@pytest.mark.parametrize("text", PEERS)
def test_against_torch(text: str) -> None:
    count = TOTAL - 1 if text.startswith("onecycle") else TOTAL  # PyTorch refuses a step behind the last
    np.testing.assert_allclose(rates(text, count), by_torch(PEERS[text], count), rtol=1e-9, atol=1e-12)


def test_formulas() -> None:
    """Written anew, update by update."""
    cosine = [LR * (0.2 + 0.8 * (1 + math.cos(math.pi * min(t / 35, 1))) / 2) for t in range(TOTAL)]
    np.testing.assert_allclose(rates("cosine(5ep, end=0.2)"), cosine, rtol=1e-12)
    warm = [LR * (t + 1) / 20 if t < 20 else LR * 0.5 ** ((t - 20) // 10) for t in range(TOTAL)]
    np.testing.assert_allclose(rates("warmup(20it, then=step(10it, factor=0.5))"), warm, rtol=1e-12)
    found = rates("onecycle")
    assert found[0] == pytest.approx(LR / 25)
    assert found.argmax() in (24, 25)
    assert found[-1] == pytest.approx(LR / 25 / 1e4)
    assert found[:25].tolist() == sorted(found[:25])
    assert found[25:].tolist() == sorted(found[25:], reverse=True)


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("cosine(20it)", 0.0), ("cosine(20it, end=0.5)", 0.5 * LR), ("warmup(20it)", LR), ("onecycle(0.5, 20it)", 0.5 / 25 / 1e4),
        ("step(20it)", LR * 1e-4), ("warmup(10it, then=cosine(10it, end=0.5))", 0.5 * LR),
    ],
)  # fmt: skip
def test_what_holds_after_the_end(text: str, last: float) -> None:
    assert rates(text)[-1] == pytest.approx(last)


LOSSES = {
    "falls, stays, falls": (5.0, 4.0, 4.0, 4.0, 4.1, 3.9, 3.8, 3.8, 3.8, 3.8, 3.8, 3.8, 3.8, 3.8),
    "never better": (1.0,) * 14,
    "always better": tuple(1 / n for n in range(1, 15)),
    "by less than the threshold": tuple(1 - 1e-6 * n for n in range(14)),
    "of any sign": (0.5, 0.1, -0.1, -0.1, -0.2, -0.2, -0.2, -0.2, -0.2, -0.2, -0.2, -0.2, -0.2, -0.2),
}


@pytest.mark.parametrize("losses", LOSSES.values(), ids=list(LOSSES))
@pytest.mark.parametrize("patience", [1, 3])
def test_plateau_against_torch(losses: tuple[float, ...], patience: int) -> None:
    torch = pytorch()
    rule = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(rule, patience=patience, factor=0.5)
    for count in range(1, len(losses) + 1):
        peer.step(losses[count - 1])
        for text in (f"plateau(patience={patience}ep)", f"plateau({patience * PER_EPOCH}it)"):
            np.testing.assert_allclose(rates(text, 3, losses[:count]), rule.param_groups[0]["lr"])


def test_plateau_behind_a_warmup_sees_the_epochs_behind_it() -> None:
    losses = (1.0, 1.0, 1.0, 1.0, 1.0)
    assert rates("plateau(1ep)", 1, losses)[0] == pytest.approx(LR * 0.25)
    at = Progress(np.array([5.0 * PER_EPOCH]), PER_EPOCH, TOTAL, losses)
    schedule = entry_from_text(RateSchedule, "warmup(2ep, then=plateau(1ep))")  # type: ignore[type-abstract]
    assert schedule.rates(LR, at)[0] == pytest.approx(LR * 0.5)


# through training


def data(rows: int = 61) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    draw = np.random.default_rng(3)
    return draw.normal(size=(rows, 5)), draw.integers(0, 3, rows)


def model_of(schedule: str, more: str = "") -> netspec.Model:
    train = f"optimizer = sgd(lr={LR}); batch = 10; epochs = 4; schedule = {schedule}{more}"
    return netspec.compile("affine(6)-tanh -> affine -> softmax", input=5, classes=3, train=train)


EVERY = ["step(1ep, factor=0.5)", "cosine", "onecycle(0.5)", "warmup(1ep, then=cosine)", "plateau(1ep, threshold=0.9)", "warmup(9it)"]


@pytest.mark.parametrize("schedule", EVERY)
def test_two_calls_are_one(schedule: str) -> None:
    x, y = data()  # no validation: fit would go back to the best parameters
    one, two = model_of(schedule, "; lr_decay = 0.9"), model_of(schedule, "; lr_decay = 0.9")
    one.fit(x, y, epochs=4)
    for _ in range(2):
        two.fit(x, y, epochs=2)
    assert [row["lr"] for row in one.history.epochs] == [row["lr"] for row in two.history.epochs]
    assert one.history.loss == two.history.loss


def test_updates_follow_the_schedule_within_an_epoch() -> None:
    """Plain gradient descent in NumPy by the formula's rates; lr_decay multiplies."""
    x, y = data(50)
    model = model_of("cosine", "; lr_decay = 0.8")
    wanted = model_of("cosine")
    model.fit(x, y, epochs=3)
    for step in range(15):
        lr = LR * (1 + math.cos(math.pi * step / 20)) / 2 * 0.8 ** (step // 5)
        rows = shuffled(len(x), model.network.store.seed, step // 5 + 1)[step % 5 * 10 :][:10]
        for name, g in wanted.loss(x[rows], y[rows])[1].items():
            wanted.params[name][...] -= lr * g
    np.testing.assert_allclose([row["lr"] for row in model.history.epochs], [lr_at(step) for step in (4, 9, 14)], rtol=1e-12)
    for name, array in model.params.items():
        np.testing.assert_allclose(array, wanted.params[name], rtol=1e-4, atol=1e-6)


def lr_at(step: int) -> float:
    return LR * (1 + math.cos(math.pi * step / 20)) / 2 * 0.8 ** (step // 5)


@pytest.mark.parametrize("total", [1, 2, 3, 4, 5, 9])
def test_onecycle_of_few_updates(total: int) -> None:
    """However few there are, the last one has the last rate."""
    schedule = entry_from_text(RateSchedule, "onecycle")  # type: ignore[type-abstract]  # a contract, looked up by
    found = schedule.rates(LR, Progress(np.arange(total, dtype=float), total, total))
    assert found[-1] == pytest.approx(LR / 25 / 1e4, rel=1e-9)
    torch = pytorch()
    rule = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
    peer = torch.optim.lr_scheduler.OneCycleLR(rule, LR, total_steps=total)
    for rate in found[:-1]:
        assert rate == pytest.approx(rule.param_groups[0]["lr"], rel=1e-9)
        rule.step()
        peer.step()


def test_plateau_watches_validation() -> None:
    """Labels of noise: the validation loss rises, and the rate falls."""
    x, y = data(200)
    model = netspec.compile(
        "affine(64)-relu -> affine -> softmax", input=5, classes=3, train="optimizer = adam(lr=0.05); batch = 10; schedule = plateau(1ep)"
    )
    model.fit(x, y, validation=0.3, epochs=12)
    losses, seen, falls = [row["val_loss"] for row in model.history.epochs], [], 0
    for count in range(12):
        best = waited = falls = 0
        for place, loss in enumerate(losses[:count]):
            if place == 0 or loss < best * (1 - 1e-4):
                best, waited = loss, 0
            else:
                waited += 1
            if waited > 1:
                waited, falls = 0, falls + 1
        seen.append(0.05 * 0.5**falls)
    assert falls > 1
    np.testing.assert_allclose([row["lr"] for row in model.history.epochs], seen)


def test_steps_by_hand() -> None:
    """Updates count at once; epochs have no length before a fit."""
    x, y = data(10)
    by_updates, by_epochs, constant = model_of("step(1it, factor=0.5)"), model_of("cosine"), model_of("warmup(1it)")
    for model in (by_updates, by_epochs, constant):
        for _ in range(3):
            model.step(x, y)
    same = [np.array_equal(by_epochs.params[name], constant.params[name]) for name in constant.params]
    assert all(same)
    assert not np.array_equal(by_updates.params["affine1.W"], constant.params["affine1.W"])


def test_the_shown_rate_is_that_of_the_last_update(tmp_path: Any) -> None:
    x, y = data(60)
    model = model_of("warmup(2ep)")
    model.fit(x, y, epochs=3, run_dir=tmp_path / "run")
    assert [row["lr"] for row in model.history.epochs] == pytest.approx([LR / 2, LR, LR])
    header, *rows = (line.split(",") for line in (tmp_path / "run" / "results.csv").read_text().splitlines())
    assert [float(row[header.index("lr")]) for row in rows] == pytest.approx([LR / 2, LR, LR])
    assert "schedule = warmup(duration=2ep)" in (tmp_path / "run" / "spec.resolved.net").read_text()
