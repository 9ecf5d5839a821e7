"""Every template of the catalogue with every small mistake in it: each is caught by a law, or is shown to change nothing.

Run in plain Python, without compiled kernels, and all of them each time. A mutant that no law catches must be equivalent by one of two
rules, which look at what it computes and know no names:

- A comparison whose boundary has moved (< and <=) differs from the original only where its two sides are equal. It is equivalent where
  the result there is the same whichever way it is decided: both branches of a continuous function meet, as of max(x, 0) at 0.
- A pixel outside of the image stands for zeros, whichever it is: a `place` that names another one is the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import laws
import numpy as np
import pytest
from calls import as_kind
from mutants import Mutant, decided, mutants
from runners import Templates
from written_out import CLIPS, UPDATES, WRITTEN_OUT

from netspec.base.clip import Clip
from netspec.base.entry import Entry
from netspec.base.kinds import Elementwise, Pointwise, Window
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.shape import size
from netspec.base.transform import Augmentation, Transform
from netspec.catalog.registry import entries
from netspec.frontend.bind import entry_from_text

Law = Callable[[], None]
RUN = Templates()


Probes = Callable[[], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Case:
    """A template: the entry's class, the member that holds it, the laws that a class in the entry's place must hold to, and arguments
    around which its comparisons are probed."""

    kind: type[Entry]
    part: str
    judge: Callable[[type[Any]], Iterator[Law]]
    probes: Probes

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.part}"

    @property
    def template(self) -> Callable[..., Any]:
        return getattr(self.kind, self.part)  # type: ignore[no-any-return]


# laws


def of_layer(kind: type[Any]) -> Iterator[Law]:
    for sample in sorted(kind.samples, key=lambda one: size(one.shape)):
        layer, shape = as_kind(sample.call, kind), sample.shape
        yield lambda layer=layer, shape=shape: laws.forward_equals_reference(RUN, layer, shape)
        yield lambda layer=layer, shape=shape: laws.backward_equals_numeric(RUN, layer, shape)
        found: list[Any] = []
        if isinstance(layer, Pointwise):
            found += [laws.nan_goes_through, laws.extremes_are_finite, laws.kinks_take_the_derivative_of_the_left]
            found += [laws.random_words_at_the_limit] if layer.random else []
        found += [laws.first_of_equals_gets_the_gradient] if isinstance(layer, Window) else []
        yield from (lambda law=law, layer=layer, shape=shape: law(RUN, layer, shape) for law in found)


def of_merge(kind: type[Any]) -> Iterator[Law]:
    yield lambda: laws.merges_equal_reference(kind())
    yield lambda: laws.merges_backward_equals_numeric(kind())


FURTHER = {"huber": {"delta": 0.4}, "cross_entropy": {"label_smoothing": 0.3}}


def of_loss(kind: type[Any]) -> Iterator[Law]:
    further = {name: value for name, value in FURTHER.get(kind.name, {}).items() if name in kind.model_fields}
    for loss in [kind(), *([kind(**further)] if further else [])]:
        for rows, columns in ((5, 3), (1, 1), (1, 2), (17, 10)):
            yield lambda loss=loss, shape=(rows, columns): laws.loss_equals_reference(RUN, loss, *shape)
            yield lambda loss=loss, shape=(rows, columns): laws.loss_gradient_equals_numeric(RUN, loss, *shape)
        yield lambda loss=loss: laws.loss_is_stable(RUN, loss)
        yield lambda loss=loss: laws.row_reads_before_it_writes(loss)
        if loss.target == "value":
            yield lambda loss=loss: laws.right_scores_have_no_gradient(RUN, loss)


ARGUMENTS: dict[str, tuple[dict[str, Any], ...]] = {
    "sgd": ({"lr": 0.1}, {"lr": 0.1, "momentum": 0.9}, {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    "adagrad": ({"lr": 0.1, "eps": 0.3},),
    "rmsprop": ({"lr": 0.1, "decay": 0.7, "eps": 0.3},),
    "adam": ({"lr": 0.1, "beta1": 0.8, "beta2": 0.7, "eps": 0.3},),
    "adamw": ({"lr": 0.1, "beta1": 0.8, "beta2": 0.7, "eps": 0.3, "weight_decay": 0.4},),
}
"""Large enough to be seen in a few updates."""


def of_optimizer(kind: type[Any]) -> Iterator[Law]:
    for given in ({}, *ARGUMENTS[kind.name]):
        yield lambda given=given: laws.updates_equal_formula(kind(**given), UPDATES[kind.name])
    yield lambda: laws.arrays_equal_scalars(kind())


def of_clip(kind: type[Any]) -> Iterator[Law]:
    for bound in (1.0, 0.3):
        yield lambda bound=bound: laws.clip_equals_formula(kind(bound=bound), CLIPS[kind.name])


def of_augmentation(kind: type[Any]) -> Iterator[Law]:
    for call, (formula, argument) in WRITTEN_OUT.items():
        if call.split("(")[0] == kind.name:
            step = kind(**dict(entry_from_text(Transform, call)))
            yield lambda step=step, formula=formula, argument=argument: laws.pixels_equal_images(step, formula, argument)


# arguments, many of which meet a comparison's boundary


def scalars(template: Callable[..., Any], constants: list[dict[str, Any]]) -> Probes:
    """Each free parameter at 0, at 1, near them, and at the values of the constants."""

    def probes() -> Iterator[dict[str, Any]]:
        names = template.__code__.co_varnames[: template.__code__.co_argcount]
        for given in constants:
            pool = [0.0, 1.0, -1.0, 0.3, *given.values(), *(-value for value in given.values())]
            free = [name for name in names if name not in given]
            for values in product(pool, repeat=len(free)):
                everything = {**given, **dict(zip(free, values, strict=True))}
                yield {name: everything[name] for name in names}

    return probes


def rows(kind: type[Any]) -> Probes:
    def probes() -> Iterator[dict[str, Any]]:
        loss = kind(**{name: value for name, value in FURTHER.get(kind.name, {}).items() if name in kind.model_fields})
        constants = loss.constants()
        pool = [0.0, 1.0, -1.0, 0.3, *constants.values(), *(-value for value in constants.values())]
        for scores in product(pool, repeat=3):
            label: Any = 1 if loss.target == "class" else np.array([0.0, 1.0, 0.0])
            yield {"scores": np.array(scores), "label": label, "gradient": np.zeros(3), "scale": 0.5, **constants}

    return probes


def pixels(kind: type[Any]) -> Probes:
    def probes() -> Iterator[dict[str, Any]]:
        step = kind()
        words = [high << 16 | low for high, low in product((0, 20_000, 2**16 - 1), repeat=2)] + list(step.constants().values())
        for h, w, bits in product(range(9), range(7), words):
            yield {"h": h, "w": w, "height": 9, "width": 7, "bits": bits, **step.constants()}

    return probes


@cache
def cases() -> list[Case]:
    """All templates of the catalogue."""
    found = []
    for kind in entries(Layer).values():  # type: ignore[type-abstract]
        constants = [as_kind(sample.call, kind).constants() for sample in kind.samples] if issubclass(kind, Pointwise) else [{}]
        judge = of_merge if issubclass(kind, Elementwise) else of_layer
        parts = (part for part in kind.parts if callable(getattr(kind, part)))
        found += [Case(kind, part, judge, scalars(getattr(kind, part), constants)) for part in parts]
    losses = [*entries(Loss).values(), *(loss.smoothed for loss in entries(Loss).values() if loss.smoothed)]  # type: ignore[type-abstract]
    found += [Case(loss, "row", of_loss, rows(loss)) for loss in losses]
    found += [Case(rule, "update", of_optimizer, scalars(rule.update, [])) for rule in entries(Optimizer).values()]
    found += [Case(clip, "clip", of_clip, scalars(clip.clip, [clip().constants()])) for clip in entries(Clip).values()]
    steps = [step for step in entries(Transform).values() if issubclass(step, Augmentation)]
    return found + [Case(step, "place", of_augmentation, pixels(step)) for step in steps]


def caught(case: Case, function: Callable[..., Any]) -> str | None:
    """What a law says of an entry with this function as its template; None where all hold."""
    changed = type(case.kind)(f"Mutant{case.kind.__name__}", (case.kind,), {case.part: staticmethod(function), "__module__": __name__})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for law in case.judge(changed):
            try:
                law()
            except Exception as error:
                return f"{type(error).__name__}: {error}"
    return None


# mutants that no law catches


def seen(function: Callable[..., Any], given: dict[str, Any]) -> list[Any]:
    """The result, and what was written into arrays."""
    own = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in given.items()}
    return [function(**own), *(value.tolist() for value in own.values() if isinstance(value, np.ndarray))]


def meets_at_its_boundary(case: Case, number: int) -> bool:
    """Whether the template gives the same wherever the comparison's two sides are equal, however it is decided; probed at such places."""
    (yes, equal), (no, _) = (decided(case.template, number, answer) for answer in (True, False))
    met = 0
    for given in case.probes():
        equal.clear()
        found = seen(yes, given)
        met += bool(equal)
        if equal and found != seen(no, given):
            return False
    return met > 0


def outside(pixel: tuple[int, int], given: dict[str, Any]) -> bool:
    return not (0 <= pixel[0] < given["height"] and 0 <= pixel[1] < given["width"])


def names_the_same_pixels(case: Case, function: Callable[..., Any]) -> bool:
    pairs = ((case.template(**given), function(**given), given) for given in case.probes())
    return all(one == other or (outside(one, given) and outside(other, given)) for one, other, given in pairs)


def is_equivalent(case: Case, mutant: Mutant) -> bool:
    if mutant.boundary is not None:
        return meets_at_its_boundary(case, mutant.boundary)
    return issubclass(case.kind, Augmentation) and names_the_same_pixels(case, mutant.function)


def survivors(case: Case) -> list[str]:
    """The mutants that are neither caught nor equivalent."""
    found = []
    for mutant in mutants(case.template):
        if caught(case, mutant.function) is None and not is_equivalent(case, mutant):
            found.append(mutant.change)
    return found


@pytest.mark.parametrize("case", cases(), ids=str)
def test_every_mutant_is_caught_or_equivalent(case: Case) -> None:
    assert caught(case, case.template) is None  # the control: what is not changed is not caught
    assert survivors(case) == []


def test_every_rule_is_written_out() -> None:
    assert set(UPDATES) == set(ARGUMENTS) == set(entries(Optimizer))
    assert set(CLIPS) == set(entries(Clip))
    assert {name for name, step in entries(Transform).items() if issubclass(step, Augmentation)} <= set(WRITTEN_OUT)  # type: ignore[type-abstract]


def case_of(name: str) -> Case:
    return next(case for case in cases() if str(case) == name)


@pytest.mark.parametrize("name", ["Relu-backward", "BatchNorm-backward", "Hinge-row", "Adam-update", "Norm-clip", "Flip-place"])
def test_without_laws_the_mutants_survive(name: str) -> None:
    case = replace(case_of(name), judge=lambda kind: iter(()))
    assert len(survivors(case)) > 0.9 * len(list(mutants(case.template)))


@pytest.mark.parametrize("name", ["Relu-backward", "LeakyRelu-backward", "Prelu-backward", "Elu-backward", "Dropout-backward", "L1-row"])
def test_a_boundary_at_a_jump_is_not_equivalent(name: str) -> None:
    """There only the convention decides, and a law of its own holds it."""
    case = case_of(name)
    moved = [mutant for mutant in mutants(case.template) if mutant.boundary is not None]
    assert moved
    assert not any(is_equivalent(case, mutant) for mutant in moved)


def test_what_is_changed() -> None:
    def template(x: Any, y: Any) -> Any:
        return x - 2.0 * y if x < y else 0.0

    found = [mutant.change for mutant in mutants(template)]
    for change in (
        "operator: x - 2.0 * y -> x + 2.0 * y", "operator: 2.0 * y -> 2.0 / y", "operands swapped: x - 2.0 * y -> 2.0 * y - x",
        "right term dropped: x - 2.0 * y -> x", "comparison: x < y -> x <= y", "comparison: x < y -> x > y", "constant + 1: 2.0 -> 3.0",
        "constant 0: 2.0 -> 0.0", "constant + 1: 0.0 -> 1.0", "name exchanged: x -> y",
        "branches swapped: x - 2.0 * y if x < y else 0.0 -> 0.0 if x < y else x - 2.0 * y",
        "sign flipped: return x - 2.0 * y if x < y else 0.0 -> return -(x - 2.0 * y if x < y else 0.0)",
    ):  # fmt: skip
        assert change in found
    assert template(1.0, 3.0) == -5.0
    results = {(mutant.function(1.0, 3.0), mutant.function(3.0, 1.0), mutant.function(2.0, 2.0)) for mutant in mutants(template)}
    assert (-5.0, 0.0, 0.0) not in results
