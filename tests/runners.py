"""Ways to compute a layer, a loss or an update, for the laws to judge. This one runs the templates as plain Python on scalars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from netspec.base.kinds import Contraction, Normalization, Pointwise, Product, RowNormalization, Upsampling, Window, Window2D
from netspec.base.layer import Array, Layer, ReferenceContext
from netspec.base.loss import Loss

Arrays = Mapping[str, Array]


class Runner(Protocol):
    """What a law needs: a forward and a backward pass of one layer on (N, ...) arrays, and the loss of scores with its gradient."""

    backward_forms: tuple[bool, ...]
    """Forms that have a backward pass: False the test form, True the train form."""

    def forward(self, layer: Layer, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext) -> Array: ...

    def backward(
        self, layer: Layer, dy: Array, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext
    ) -> tuple[Array, dict[str, Array]]: ...

    def loss(self, loss: Loss, scores: Array, labels: NDArray[Any]) -> tuple[float, Array]: ...


def each(template: Callable[..., Any], **named: Any) -> Array:
    """The template on every element; arrays and scalars are passed by name, those that it takes."""
    code = template.__code__
    wanted = {name: named[name] for name in code.co_varnames[: code.co_argcount]}
    shaped = np.broadcast_arrays(*map(np.asarray, wanted.values()))
    results = [template(**dict(zip(wanted, element, strict=True))) for element in zip(*(array.flat for array in shaped), strict=True)]
    return np.array(results, dtype=np.float64).reshape(shaped[0].shape)


class Templates:
    """A Runner by the templates and the geometry that a layer declares."""

    backward_forms = (False, True)

    def forward(self, layer: Layer, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext) -> Array:
        if isinstance(layer, Pointwise) and (context.train or not layer.identity_in_test):
            return each(layer.forward, x=x, bits=_words(x, context), **layer.constants(), **_all_by_column(parameters, x))
        if isinstance(layer, Normalization):
            mean, inverse = _statistics(layer, x, state, context)
            gamma, beta = (_by_column(parameters[name], x) for name in ("gamma", "beta"))
            return each(layer.forward, x=x, mean=mean, inverse=inverse, gamma=gamma, beta=beta)
        if isinstance(layer, RowNormalization):
            gamma, beta = (_by_column(parameters[name], x) for name in ("gamma", "beta"))
            return each(layer.forward, xhat=_standard(layer, x)[0], gamma=gamma, beta=beta)
        if isinstance(layer, Contraction):
            columns, output = _columns(layer, x)
            y = columns @ _matrix(parameters["W"], layer.geometry(x.shape[1:])) + parameters.get("b", 0.0)
            return np.moveaxis(y, -1, 1).reshape(len(x), *output)
        if isinstance(layer, Window):
            return _pool(layer, x).reshape(len(x), *layer.output_shape(x.shape[1:]))
        if isinstance(layer, Upsampling):
            down, across = (np.arange(side * times) // times for side, times in zip(x.shape[2:], layer.factor, strict=True))
            return x[:, :, down[:, None], across]
        return x.reshape(len(x), *layer.output_shape(x.shape[1:]))

    def backward(
        self, layer: Layer, dy: Array, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext
    ) -> tuple[Array, dict[str, Array]]:
        y = self.forward(layer, x, parameters, state, context)
        if isinstance(layer, Pointwise) and (context.train or not layer.identity_in_test):
            given = {"dy": dy, "x": x, "y": y, "bits": _words(x, context), **layer.constants(), **_all_by_column(parameters, x)}
            shares = {name: each(getattr(layer, f"{name}_gradient"), **given) for name in parameters}
            return each(layer.backward, **given), {name: share.sum((0, *range(2, x.ndim))) for name, share in shares.items()}
        if isinstance(layer, Normalization):
            return _normalization_backward(layer, dy, x, parameters, state, context)
        if isinstance(layer, RowNormalization):
            return _row_normalization_backward(layer, dy, x, parameters)
        if isinstance(layer, Contraction):
            return _contraction_backward(layer, dy, x, parameters)
        if isinstance(layer, Window):
            return _pool_backward(layer, dy, x, y), {}
        if isinstance(layer, Upsampling):
            (_, _, height, width), (down, across) = x.shape, layer.factor
            return dy.reshape(*x.shape[:2], height, down, width, across).sum((3, 5)), {}
        return dy.reshape(x.shape), {}

    def loss(self, loss: Loss, scores: Array, labels: NDArray[Any]) -> tuple[float, Array]:
        count = scores.size if loss.per_element else len(scores)
        gradient = np.full_like(scores, np.nan)
        total = sum(loss.row(s, y, g, 1 / count, **loss.constants()) for s, y, g in zip(scores, labels, gradient, strict=True))
        return float(total) / count, gradient


def _words(x: Array, context: ReferenceContext) -> NDArray[np.uint32]:
    return np.zeros(x.shape, np.uint32) if context.bits is None else context.bits


def _by_column(values: Array, x: Array) -> Array:
    return values.reshape(-1, *(1,) * (x.ndim - 2))


def _all_by_column(parameters: Arrays, x: Array) -> dict[str, Array]:
    return {name: _by_column(values, x) for name, values in parameters.items()}


def _statistics(layer: Normalization, x: Array, state: Arrays, context: ReferenceContext) -> tuple[Array, Array]:
    over = (0, *range(2, x.ndim))
    mean, var = (x.mean(over), x.var(over)) if context.train else (state["mean"], state["var"])
    return _by_column(mean, x), _by_column(1 / np.sqrt(var + layer.eps), x)


def _normalization_backward(
    layer: Normalization, dy: Array, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext
) -> tuple[Array, dict[str, Array]]:
    mean, inverse = _statistics(layer, x, state, context)
    over = (0, *range(2, x.ndim))
    xhat = (x - mean) * inverse
    means = {"mean_dy": _by_column(dy.mean(over), x), "mean_dy_xhat": _by_column((dy * xhat).mean(over), x)}
    if not context.train:  # the statistics are constants then
        means = dict.fromkeys(means, np.zeros(1))
    gamma = _by_column(parameters["gamma"], x)
    dx = each(layer.backward, dy=dy, x=x, mean=mean, inverse=inverse, gamma=gamma, **means)
    return dx, {"gamma": (dy * xhat).sum(over), "beta": dy.sum(over)}


def _means_of_groups(layer: RowNormalization, x: Array) -> Array:
    """The mean of each element's group, at each element."""
    grouped = x.reshape(len(x), layer.groups_of(x.shape[1:]), -1)
    return np.broadcast_to(grouped.mean(2, keepdims=True), grouped.shape).reshape(x.shape)


def _standard(layer: RowNormalization, x: Array) -> tuple[Array, Array]:
    """(xhat, inverse deviation of each element's group)."""
    centred = x - _means_of_groups(layer, x)
    inverse = 1 / np.sqrt(_means_of_groups(layer, centred**2) + layer.eps)
    return centred * inverse, inverse


def _row_normalization_backward(layer: RowNormalization, dy: Array, x: Array, parameters: Arrays) -> tuple[Array, dict[str, Array]]:
    xhat, inverse = _standard(layer, x)
    gamma, over = _by_column(parameters["gamma"], x), (0, *range(2, x.ndim))
    means = {"mean_g": _means_of_groups(layer, dy * gamma), "mean_g_xhat": _means_of_groups(layer, dy * gamma * xhat)}
    dx = each(layer.backward, dy=dy, xhat=xhat, gamma=gamma, inverse=inverse, **means)
    return dx, {"gamma": (dy * xhat).sum(over), "beta": dy.sum(over)}


def _matrix(weight: Array, geometry: Product | Window2D) -> Array:
    if isinstance(geometry, Product):
        return weight
    whole = np.zeros((len(weight), geometry.input[0], *geometry.kernel))
    for f, c, own in _seen(geometry):
        whole[f, c] = weight[f, own]
    return whole.reshape(len(weight), -1).T


def _seen(window: Window2D) -> list[tuple[int, int, int]]:
    """(filter, channel of the image, channel of the filter) of all that a filter sees."""
    own, wide = window.input[0] // window.groups, window.output[0] // window.groups
    return [(f, f // wide * own + c, c) for f in range(window.output[0]) for c in range(own)]


def _taps(window: Window2D) -> list[tuple[int, int, list[tuple[int, int, int, int]]]]:
    """For each output pixel (i, j) the elements under its window inside the image, in row order: (k, l, row, column)."""
    (kh, kw), (sh, sw), (top, _, left, _) = window.kernel, window.stride, window.margins
    _, height, width = window.input
    taps = []
    for i, j in product(range(window.output[1]), range(window.output[2])):
        places = [(k, n, i * sh + k - top, j * sw + n - left) for k, n in product(range(kh), range(kw))]
        taps.append((i, j, [place for place in places if 0 <= place[2] < height and 0 <= place[3] < width]))
    return taps


def _columns(layer: Contraction, x: Array) -> tuple[Array, tuple[int, ...]]:
    """x as (N, depth) or (N, pixels, depth): what W is multiplied with; and the shape of an output row."""
    geometry = layer.geometry(x.shape[1:])
    if isinstance(geometry, Product):
        return x, (geometry.width,)
    columns = np.zeros((len(x), geometry.output[1] * geometry.output[2], geometry.input[0], *geometry.kernel))
    for pixel, (_, _, places) in enumerate(_taps(geometry)):
        for k, n, row, column in places:
            columns[:, pixel, :, k, n] = x[:, :, row, column]
    return columns.reshape(len(x), columns.shape[1], -1), geometry.output


def _contraction_backward(layer: Contraction, dy: Array, x: Array, parameters: Arrays) -> tuple[Array, dict[str, Array]]:
    geometry = layer.geometry(x.shape[1:])
    columns, _ = _columns(layer, x)
    slopes = np.moveaxis(dy.reshape(len(dy), dy.shape[1], -1), 1, -1).reshape(-1, dy.shape[1])
    dw = columns.reshape(len(slopes), -1).T @ slopes
    dcolumns = slopes @ _matrix(parameters["W"], geometry).T
    grads = {"W": dw if isinstance(geometry, Product) else _filters(dw, geometry, parameters["W"].shape)}
    if "b" in parameters:
        grads["b"] = slopes.sum(0)
    if isinstance(geometry, Product):
        return dcolumns, grads
    dx = np.zeros_like(x)
    shares = dcolumns.reshape(len(x), -1, geometry.input[0], *geometry.kernel)
    for pixel, (_, _, places) in enumerate(_taps(geometry)):
        for k, n, row, column in places:
            dx[:, :, row, column] += shares[:, pixel, :, k, n]
    return dx, grads


def _filters(dw: Array, window: Window2D, shape: tuple[int, ...]) -> Array:
    whole, filters = dw.T.reshape(shape[0], window.input[0], *window.kernel), np.empty(shape)
    for f, c, own in _seen(window):
        filters[f, own] = whole[f, c]
    return filters


def _pool(layer: Window, x: Array) -> Array:
    window = layer.geometry(x.shape[1:])
    y = np.empty((len(x), *window.output))
    for i, j, places in _taps(window):
        for row, channel in product(range(len(x)), range(x.shape[1])):
            total = layer.begin()
            for _, _, h, w in places:
                total = layer.fold(total, x[row, channel, h, w])
            y[row, channel, i, j] = layer.finish(total, len(places))
    return y


def _pool_backward(layer: Window, dy: Array, x: Array, y: Array) -> Array:
    window = layer.geometry(x.shape[1:])
    dy, y = dy.reshape(len(x), *window.output), y.reshape(len(x), *window.output)
    dx = np.zeros_like(x)
    for i, j, places in _taps(window):
        for row, channel in product(range(len(x)), range(x.shape[1])):
            share = layer.backward(dy[row, channel, i, j], len(places))
            for _, _, h, w in places:
                if not layer.first_only or x[row, channel, h, w] == y[row, channel, i, j]:
                    dx[row, channel, h, w] += share
                    if layer.first_only:
                        break
    return dx
