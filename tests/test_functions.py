"""The kernels' own functions of one float32 against float64: error in ulp, special values, order; and what a wrong coefficient does."""

from __future__ import annotations

import importlib.util
import inspect
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from netspec.kernels import f32, f64, functions
from netspec.kernels.native import INLINE, OPTIONS
from netspec.kernels.templates import FAST, template

Floats = NDArray[np.float32]
STRIDE = 4099  # a prime: a million float32 of all signs and sizes
INF, NAN, LARGEST = math.inf, math.nan, float(np.finfo(np.float32).max)


@njit(**INLINE)
def logistic(x: Any) -> Any:
    """The form of the catalogue, whose exponential cannot overflow."""
    small = functions.exp(-np.abs(x))
    return (np.float32(1) if x >= np.float32(0) else small) / (np.float32(1) + small)


def exact_logistic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


def exact_erf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.fromiter(map(math.erf, x.tolist()), np.float64, x.size)


OWN = {name: getattr(functions, name) for name in sorted(FAST)} | {"logistic": logistic}
EXACT: dict[str, Callable[..., Any]] = {name: getattr(np, name) for name in FAST - {"erf"}} | {"erf": exact_erf, "logistic": exact_logistic}
MOST_ULP = {"exp": 1.0, "expm1": 1.6, "log": 1.0, "log1p": 1.6, "tanh": 1.4, "erf": 1.4, "logistic": 2.5}
FALLS_ULP = {"logistic": 1, "erf": 1}  # roundings near 0; a step back here and there above 0.9
SPECIAL: dict[str, list[tuple[float, float]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (LARGEST, INF), (-LARGEST, 0.0), (88.73, INF), (-104.0, 0.0)],
    "expm1": [(0.0, 0.0), (-0.0, -0.0), (INF, INF), (-INF, -1.0), (LARGEST, INF), (-LARGEST, -1.0), (1e-40, 1e-40)],
    "log": [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-1.0, NAN), (-INF, NAN), (-1e-45, NAN)],
    "log1p": [(0.0, 0.0), (-0.0, -0.0), (-1.0, -INF), (INF, INF), (-1.5, NAN), (-INF, NAN), (1e-40, 1e-40)],
    "tanh": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (LARGEST, 1.0), (1e-40, 1e-40)],
    "erf": [(0.0, 0.0), (-0.0, -0.0), (INF, 1.0), (-INF, -1.0), (LARGEST, 1.0)],
    "logistic": [(0.0, 0.5), (-0.0, 0.5), (INF, 1.0), (-INF, 0.0), (-LARGEST, 0.0)],
}
over_functions = pytest.mark.parametrize("name", list(OWN))


def over(function: Callable[..., Any], x: Floats) -> Floats:
    @njit(**OPTIONS)
    def each(x: Any, y: Any) -> None:
        for i in range(x.size):
            y[i] = function(x[i])

    y = np.empty_like(x)
    each(x, y)
    return y


@cache
def sweep() -> Floats:
    """A million float32 by their bits, every part of the line, and dense around the places where a function changes its form."""
    by_bits = np.arange(0, 2**32, STRIDE, dtype=np.uint64).astype(np.uint32).view(np.float32)
    borders = [
        0.625,
        0.9,
        4.0,
        9.0,
        87.34,
        88.03,
        88.38,
        88.72,
        103.98,
        0.5,
        0.7071068,
        1.0,
        1.4142135,
        2.0,
        *(np.log(2) * (np.arange(9) + 0.5)),
    ]
    near = [np.float32(at).view(np.int32) + np.arange(-3000, 3000, dtype=np.int32) for at in borders]
    dense = np.concatenate(near).view(np.float32)
    small = np.linspace(-3, 3, 200_001, dtype=np.float32)
    return np.concatenate([by_bits, dense, -dense, small])


def ulps(y: Floats, exact: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance in ulp of the exact value rounded to float32; infinite where one is a number and the other none."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = exact.astype(np.float32)
        off = np.abs(y - exact) / np.spacing(np.abs(rounded))
    off[(y == rounded) | (np.isnan(y) & np.isnan(exact))] = 0
    return np.where(np.isnan(off), np.inf, off)


@cache
def exact_sweep(name: str) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        return np.asarray(EXACT[name](sweep().astype(np.float64)))


def worst(name: str, function: Callable[..., Any]) -> float:
    return float(ulps(over(function, sweep()), exact_sweep(name)).max())


def falls(function: Callable[..., Any]) -> float:
    """The largest step down of a rising function, in ulp."""
    x = np.sort(sweep())
    y = over(function, x[~np.isnan(x)])
    y = y[np.isfinite(y)]
    return float(((y[:-1] - y[1:]) / np.spacing(np.abs(y[1:]))).max())


@over_functions
def test_the_error_is_small_everywhere(name: str) -> None:
    assert worst(name, OWN[name]) <= MOST_ULP[name]


@over_functions
def test_special_values(name: str) -> None:
    given = np.array([x for x, _ in SPECIAL[name]] + [NAN], np.float32)
    wanted = np.array([y for _, y in SPECIAL[name]] + [NAN], np.float32)
    found = over(OWN[name], given)
    np.testing.assert_array_equal(found, wanted)
    numbers = ~np.isnan(wanted)
    assert (np.signbit(found) == np.signbit(wanted))[numbers].all(), "a zero with the wrong sign"


@over_functions
def test_it_does_not_fall(name: str) -> None:
    assert falls(OWN[name]) <= FALLS_ULP.get(name, 0)


@over_functions
def test_bounded_functions_keep_their_bounds(name: str) -> None:
    bounds = {"tanh": 1.0, "erf": 1.0, "logistic": 1.0}
    found = np.abs(over(OWN[name], sweep()))
    assert np.nanmax(found) <= bounds.get(name, INF)


@pytest.mark.parametrize(
    ("name", "coefficient"),
    [
        ("exp", "_E2"),
        ("expm1", "_M2"),
        ("log", "_L2"),
        ("log1p", "_L2"),
        ("tanh", "_T1"),
        ("erf", "_R2"),
        ("erf", "_Q2"),
        ("exp", "_LN2_LOW"),
    ],
)
def test_a_wrong_coefficient_is_caught(name: str, coefficient: str, tmp_path: Path) -> None:
    path = tmp_path / f"spoilt_{name}{coefficient}.py"
    path.write_text(f"{inspect.getsource(functions)}\n{coefficient} = F({coefficient} * F(1.001))\n")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    spoilt = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(spoilt)
    assert worst(name, getattr(spoilt, name)) > 2 * MOST_ULP[name]


def test_a_function_that_falls_is_caught() -> None:
    """The order is looked at closely enough to see one step of the wrong side."""

    @njit(**OPTIONS)
    def dented(x: Any) -> Any:
        return functions.tanh(x) - (np.float32(1e-6) if x > np.float32(0.625) else np.float32(0))

    assert falls(dented) > 1


@pytest.mark.parametrize("name", sorted(FAST))
def test_double_precision_is_the_library(name: str) -> None:
    x = np.random.default_rng(0).normal(0, 3, 1000)
    x = np.abs(x) if name.startswith("log") else x
    library, own = math.erf if name == "erf" else getattr(np, name), getattr(f64, name)

    @njit(**OPTIONS)
    def each(x: Any, y: Any, z: Any) -> None:
        for i in range(x.size):
            y[i], z[i] = own(x[i]), library(x[i])

    y, z = np.empty_like(x), np.empty_like(x)
    each(x, y, z)
    assert (y == z).all()
    np.testing.assert_allclose(y, EXACT[name](x), rtol=1e-14)


@pytest.mark.parametrize("name", sorted(FAST))
@pytest.mark.parametrize("module", [f32, f64], ids=["float32", "float64"])
def test_templates_are_given_these(name: str, module: Any) -> None:
    """A template's call of the library becomes a call of the element type's function, and only that."""
    text = template(TEMPLATES[name], f"{name}_template").source
    assert f"{name}(x)" in text
    assert "np." not in text
    assert "math." not in text
    assert hasattr(module, name)


def exp_template(x: Any) -> Any:
    return np.exp(x)


def expm1_template(x: Any) -> Any:
    return np.expm1(x)


def log_template(x: Any) -> Any:
    return np.log(x)


def log1p_template(x: Any) -> Any:
    return np.log1p(x)


def tanh_template(x: Any) -> Any:
    return np.tanh(x)


def erf_template(x: Any) -> Any:
    return math.erf(x)


TEMPLATES = {
    "exp": exp_template, "expm1": expm1_template, "log": log_template, "log1p": log1p_template, "tanh": tanh_template, "erf": erf_template,
}  # fmt: skip
