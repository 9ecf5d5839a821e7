"""Laws that hold for every layer, loss and optimiser, whoever wrote it. A law raises AssertionError where it is broken."""

from __future__ import annotations

import dis
import inspect
import math
import operator
from collections.abc import Callable
from itertools import pairwise
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from runners import Arrays, Runner

from netspec.base.clip import Clip
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import Problem, SpecError, UsageError
from netspec.base.kinds import Contraction, Elementwise, Head, Normalization, Pointwise, Product, RowNormalization, Window
from netspec.base.layer import Array, BadSample, Layer, ReferenceContext
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.random import bits, stream_key
from netspec.base.shape import Shape, size
from netspec.base.transform import Augmentation

ROWS = (1, 7)
FORMS = (False, True)
STEP = 1e-5  # truncation and rounding of a central difference are then both near 1e-11


def arrays(layer: Layer, shape: Shape, seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters and state at random; scales and variances around 1."""
    draw = np.random.default_rng(seed)
    parameters = {name: draw.normal(p.constant, 0.5, p.shape) for name, p in layer.parameters(shape).items()}
    state = {name: np.abs(draw.normal(s.initial, 0.3, s.shape)) + 0.1 for name, s in layer.state(shape).items()}
    return parameters, state


def batch(layer: Layer, shape: Shape, rows: int, seed: int = 1) -> tuple[Array, NDArray[np.uint32]]:
    """Input rows, and the random words that belong to them."""
    x = np.random.default_rng(seed).normal(0, 1.5, (rows, *shape))
    return x, random_words(layer, x.shape)


def random_words(layer: Layer, shape: tuple[int, ...]) -> NDArray[np.uint32]:
    """The words of the first layer in the first step, seed 0, for each element of (N, ...) rows; or one for each channel of a row."""
    rows, channels, *sides = shape
    numbered = [1 for _ in sides] if isinstance(layer, Pointwise) and layer.by_channel else sides
    counters = np.arange(rows * math.prod(numbered) * channels, dtype=np.uint32).reshape(rows, *numbered, channels)  # channels last
    return np.ascontiguousarray(np.broadcast_to(np.moveaxis(bits(stream_key(0, 0, 0), counters), -1, 1), shape))


def close(found: Any, wanted: Any, tolerance: float) -> None:
    """Equal to `tolerance` times the larger of 1 and the largest wanted element."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape, f"shape {found.shape}, and not {wanted.shape}"
    error = np.abs(found - wanted).max(initial=0) / max(1.0, np.abs(wanted).max(initial=0))
    assert error <= tolerance, f"off by {error:.2g}, allowed {tolerance:.2g}"


def forward_equals_reference(run: Runner, layer: Layer, shape: Shape, tolerance: float = 1e-12) -> None:
    parameters, state = arrays(layer, shape)
    for rows in ROWS:
        x, words = batch(layer, shape, rows)
        for train in FORMS:
            context = ReferenceContext(train, words)
            close(run.forward(layer, x, parameters, state, context), layer.reference(x, parameters, state, context), tolerance)


def shape_rule_equals_arrays(layer: Layer, shape: Shape) -> None:
    parameters, state = arrays(layer, shape)
    for rows in ROWS:
        x, words = batch(layer, shape, rows)
        for train in FORMS:
            y = layer.reference(x, parameters, state, ReferenceContext(train, words))
            assert y.shape == (rows, *layer.output_shape(shape)), f"{y.shape} from the reference, {layer.output_shape(shape)} by the rule"
            assert y.dtype == np.float64


def slope(value: Callable[[Array], float], at: Array, direction: Array) -> float | None:
    """The derivative of `value` along `direction` by a central difference; None where a kink lies within the step."""
    ahead, here, behind = (value(at + way * STEP * direction) for way in (1, 0, -1))
    bend = abs(ahead - 2 * here + behind) / STEP
    smooth = bend <= 100 * STEP * np.sum(direction**2)
    return (ahead - behind) / (2 * STEP) if smooth else None


def projections_agree(value: Callable[[Array], float], at: Array, gradient: Array, tolerance: float, seed: int = 2) -> None:
    """The gradient projected on three random directions equals the numeric derivative of `value` along them."""
    assert gradient.shape == at.shape, f"gradient {gradient.shape} of an array {at.shape}"
    draw = np.random.default_rng(seed)
    for _ in range(3):
        direction = draw.normal(size=at.shape)
        numeric = slope(value, at, direction)
        assert numeric is not None, "a kink at the sampled point: draw another"
        projected = float(np.sum(gradient * direction))
        error = abs(projected - numeric) / max(abs(projected) + abs(numeric), 1e-3)
        assert error <= tolerance, f"{projected:.12g} by backward, {numeric:.12g} numerically"


def backward_equals_numeric(run: Runner, layer: Layer, shape: Shape, tolerance: float = 1e-6) -> None:
    parameters, state = arrays(layer, shape)
    for rows in ROWS:
        x, words = batch(layer, shape, rows)
        for train in run.backward_forms:
            context = ReferenceContext(train, words)
            dy = np.random.default_rng(3).normal(size=(rows, *layer.output_shape(shape)))
            dx, grads = run.backward(layer, dy, x, parameters, state, context)
            assert set(grads) == set(parameters), f"gradients of {sorted(grads)}, parameters {sorted(parameters)}"
            for name, gradient in {"x": dx, **grads}.items():
                value = projected_output(layer, name, dy, x, parameters, state, context)
                projections_agree(value, x if name == "x" else parameters[name], gradient, tolerance)


def projected_output(
    layer: Layer, name: str, dy: Array, x: Array, parameters: Arrays, state: Arrays, context: ReferenceContext
) -> Callable[[Array], float]:
    """sum(dy * reference) as a function of x or of one parameter."""

    def value(at: Array) -> float:
        changed = parameters if name == "x" else {**parameters, name: at}
        return float(np.sum(dy * layer.reference(at if name == "x" else x, changed, state, context)))

    return value


def single_equals_double(single: Runner, double: Runner, layer: Layer, shape: Shape) -> None:
    """Outputs and gradients in float32 are those in float64 to 1e-5 times the root of the terms of a sum."""
    parameters, state = (single_precision(named) for named in arrays(layer, shape))
    for rows in ROWS:
        x, words = batch(layer, shape, rows)
        x = x.astype(np.float32).astype(float)
        terms = rows * size(shape) + max((size(array.shape) for array in parameters.values()), default=0)
        context, tolerance = ReferenceContext(True, words), 1e-5 * terms**0.5
        close(single.forward(layer, x, parameters, state, context), double.forward(layer, x, parameters, state, context), tolerance)
        dy = np.random.default_rng(3).normal(size=(rows, *layer.output_shape(shape))).astype(np.float32).astype(float)
        if rows == 1 and layer.state(shape):
            continue  # without a spread in the batch the gradient is a difference of rounding errors
        (dx, grads), (wanted, wanted_grads) = (run.backward(layer, dy, x, parameters, state, context) for run in (single, double))
        close(dx, wanted, tolerance)
        for name, gradient in grads.items():
            close(gradient, wanted_grads[name], tolerance)


def single_precision(named: Arrays) -> dict[str, Array]:
    """Arrays of float64 that float32 holds exactly."""
    return {name: array.astype(np.float32).astype(float) for name, array in named.items()}


def averages_follow_the_batch(run: Any, layer: Layer, shape: Shape) -> None:
    """A train form moves the running averages by their share towards the mean and the biased variance of the batch; a frozen layer's
    stay."""
    assert isinstance(layer, Normalization)
    state = arrays(layer, shape)[1]
    for rows in ROWS:
        x, _ = batch(layer, shape, rows)
        over = (0, *range(2, x.ndim))
        moved = run.averages(layer, x, state)
        for name, seen in (("mean", x.mean(over)), ("var", x.var(over))):
            keep = 1.0 if layer.frozen else layer.momentum
            close(moved[name], keep * state[name] + (1 - keep) * seen, 1e-12)


def first_of_equals_gets_the_gradient(run: Runner, layer: Layer, shape: Shape) -> None:
    """On a constant image a maximum sends each gradient to one element, the first inside its window; a mean to all of them alike."""
    assert isinstance(layer, Window)
    window = layer.geometry(shape)
    x, dy = np.full((1, *shape), 0.5), np.ones((1, *layer.output_shape(shape)))
    dx, _ = run.backward(layer, dy, x, {}, {}, ReferenceContext(True))
    expected = np.zeros(shape[1:])
    for i in range(window.output[1]):
        for j in range(window.output[2]):
            top, left = i * window.stride[0] - window.margins[0], j * window.stride[1] - window.margins[2]
            rows = slice(max(top, 0), top + window.kernel[0]), slice(max(left, 0), left + window.kernel[1])
            if layer.first_only:
                expected[rows[0].start, rows[1].start] += 1
            else:
                expected[rows] += 1 / expected[rows].size
    close(dx, np.broadcast_to(expected, (1, *shape)), 1e-12)


def nan_goes_through(run: Runner, layer: Layer, shape: Shape) -> None:
    """A NaN in stays a NaN, so that the loss shows it, wherever a 1 leaves a trace: a random layer may drop it."""
    assert isinstance(layer, Pointwise)
    ones, context = np.ones((7, *shape)), ReferenceContext(True, random_words(layer, (7, *shape)))
    parameters, state = arrays(layer, shape)
    traces = layer.reference(ones, parameters, state, context) != 0
    assert traces.any()
    y = run.forward(layer, np.nan * ones, parameters, state, context)
    assert np.isnan(y[traces]).all(), "a NaN got lost"


def kinks_take_the_derivative_of_the_left(run: Runner, layer: Layer, shape: Shape) -> None:
    """At 0, where rectifiers have their kink, the gradient is the derivative towards smaller inputs."""
    assert isinstance(layer, Pointwise)
    x = np.zeros((7, *shape))
    parameters, state = arrays(layer, shape)
    context = ReferenceContext(True, random_words(layer, x.shape))
    here, left = (layer.reference(at, parameters, state, context) for at in (x, x - 1e-7))
    dx, _ = run.backward(layer, np.ones_like(x), x, parameters, state, context)
    close(dx, (here - left) / 1e-7, 1e-6)


def random_words_at_the_limit(run: Runner, layer: Layer, shape: Shape) -> None:
    """A random layer decides as its reference does on the words around its limit too."""
    assert isinstance(layer, Pointwise)
    limit = int(layer.constants()["limit"])
    for word in (0, limit - 1, limit, limit + 1, 2**32 - 1):
        x = np.full((1, *shape), 3.0)
        context = ReferenceContext(True, np.full(x.shape, min(max(word, 0), 2**32 - 1), np.uint32))
        wanted = layer.reference(x, {}, {}, context)
        close(run.forward(layer, x, {}, {}, context), wanted, 1e-12)
        close(run.backward(layer, x, x, {}, {}, context)[0], wanted, 1e-12)


EXTREMES = np.array([-1e30, -1e4, -100.0, -0.0, 0.0, 100.0, 1e4, 1e30])


def extremes_are_finite(run: Runner, layer: Layer, shape: Shape) -> None:
    """Huge inputs give finite outputs and gradients, and NumPy has nothing to warn about."""
    assert isinstance(layer, Pointwise)
    x = np.broadcast_to(EXTREMES.reshape(-1, *(1 for _ in shape)), (len(EXTREMES), *shape))
    parameters, state = arrays(layer, shape)
    context = ReferenceContext(True, random_words(layer, x.shape))
    y = run.forward(layer, x, parameters, state, context)
    dx, grads = run.backward(layer, np.ones_like(x), x, parameters, state, context)
    assert np.isfinite(y).all(), "an output overflowed"
    assert all(np.isfinite(gradient).all() for gradient in (dx, *grads.values())), "a gradient overflowed"


def onnx_equals_reference(layer: Layer, shape: Shape, evaluate: Callable[..., Array], tolerance: float = 1e-5) -> None:
    """`evaluate(form, arrays, x, output shape)` runs the ONNX form in float32; compared with the test form of the reference."""
    parameters, state = arrays(layer, shape)
    form = layer.onnx(shape)
    for rows in ROWS:
        x, _ = batch(layer, shape, rows)
        y = evaluate(form, {**parameters, **state}, x, layer.output_shape(shape))
        close(y, layer.reference(x, parameters, state, ReferenceContext(False)), tolerance)


class Counting:
    """A number that counts comparisons, arithmetic and functions; a sign change and an absolute value are free."""

    done = 0

    def __init__(self, number: float) -> None:
        self.number = number

    def __neg__(self) -> Counting:
        return Counting(-self.number)

    def __abs__(self) -> Counting:
        return Counting(abs(self.number))

    @classmethod
    def counted(cls, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*values: Any) -> Any:
            cls.done += 1
            result = function(*(value.number if isinstance(value, Counting) else value for value in values))
            return result if isinstance(result, bool) else Counting(float(result))

        return call


for _name in ("add", "sub", "mul", "truediv", "lt", "le", "gt", "ge"):
    setattr(Counting, f"__{_name}__", Counting.counted(getattr(operator, _name)))
for _name in ("add", "sub", "mul", "truediv"):
    setattr(Counting, f"__r{_name}__", Counting.counted(lambda right, left, name=_name: getattr(operator, name)(left, right)))
for _name in ("exp", "expm1", "log", "tanh", "sqrt", "log1p"):  # NumPy calls these methods on objects
    setattr(Counting, _name, Counting.counted(getattr(np, _name)))


def most_operations(template: Callable[..., Any], **named: float) -> int:
    """The operations of one call of the template, on the costlier of two inputs."""
    counts = []
    counting = SimpleNamespace(erf=Counting.counted(math.erf))  # NumPy has none, and the other takes no objects
    template = FunctionType(template.__code__, {**template.__globals__, "math": counting})
    for x in (-0.7, 0.7):
        Counting.done = 0
        given = {"x": x, "bits": 2**32 - 1, **named}
        template(**{name: Counting(given[name]) for name in inspect.signature(template).parameters})
        counts.append(Counting.done)
    return max(counts)


def flops_are_counted(layer: Layer, shape: Shape) -> None:
    """Declared FLOPs of one row equal the operations that the templates, or the products, take."""
    outputs = size(layer.output_shape(shape))
    if isinstance(layer, Pointwise):
        trained = dict.fromkeys(layer.parameters(shape), 0.25)
        counted = most_operations(layer.forward, **layer.constants(), **trained) * size(shape)
    elif isinstance(layer, Window):
        fold, finish = (most_operations(template, total=0.3, count=2) for template in (layer.fold, layer.finish))
        counted = outputs * (fold * size(layer.geometry(shape).kernel) + finish)
    elif isinstance(layer, Contraction):
        geometry = layer.geometry(shape)
        depth = size(layer.parameters(shape)["W"].shape) // (geometry.width if isinstance(geometry, Product) else geometry.output[0])
        counted = outputs * (2 * depth + ("b" in layer.parameters(shape)))
    elif layer.kind == "normalization":
        counted = 7 * size(shape)  # mean 1, variance 3, and (x - mean) * scale + shift
    elif isinstance(layer, RowNormalization):
        counted = (6 + most_operations(layer.forward, xhat=0.7, gamma=0.5, beta=0.3)) * size(shape)  # mean 1, variance 3, xhat 2
    else:
        counted = 0
    assert layer.flops(shape) == counted, f"{layer.flops(shape)} declared, {counted} counted"


def refusal(read: Callable[[str], Layer], bad: BadSample) -> Problem | Diagnostic | None:
    """What reading the call, or its shape rule, finds wrong."""
    try:
        read(bad.call).output_shape(bad.shape)
    except SpecError as error:
        return error.diagnostics[0]
    except Problem as found:
        return found
    return None


def bad_sample_gives_its_message(read: Callable[[str], Layer], bad: BadSample) -> None:
    found = refusal(read, bad)
    assert found, f"{bad.call} took {bad.shape}"
    message = found.message if isinstance(found, Diagnostic) else str(found)
    assert found.code == bad.code, f"{found.code}, and not {bad.code}"
    assert bad.message in message, f"{message} does not say {bad.message}"


def uses_only_numpy(template: Callable[..., Any]) -> None:
    """A template's source is copied into kernels: it may name np, range and math.erf, and close over nothing."""
    steps = list(dis.get_instructions(template))
    names = [(step.argval, after.argval) for step, after in pairwise(steps) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    used = {name for name, attribute in names if (name, attribute) != ("math", "erf")}
    assert used <= {"np", "range"}, f"names {sorted(used)}"
    assert not template.__code__.co_freevars, f"closes over {template.__code__.co_freevars}"
    assert template.__defaults__ is None


def labels_for(loss: Loss, rows: int, columns: int, seed: int = 4) -> NDArray[Any]:
    draw = np.random.default_rng(seed)
    if loss.target == "class":
        return draw.integers(0, columns, rows)
    return draw.integers(0, 2, (rows, columns)).astype(float) if loss.target == "binary" else draw.normal(size=(rows, columns))


def loss_equals_reference(run: Runner, loss: Loss, rows: int, columns: int, tolerance: float = 1e-12) -> None:
    scores = np.random.default_rng(5).normal(0, 2, (rows, columns))
    labels = labels_for(loss, rows, columns)
    found, _ = run.loss(loss, scores, labels)
    close(found, loss.reference(scores, labels), tolerance)


def loss_gradient_equals_numeric(run: Runner, loss: Loss, rows: int, columns: int, tolerance: float = 1e-6) -> None:
    scores = np.random.default_rng(5).normal(0, 2, (rows, columns))
    labels = labels_for(loss, rows, columns)
    _, gradient = run.loss(loss, scores, labels)
    projections_agree(lambda at: loss.reference(at, labels), scores, gradient, tolerance)


def right_scores_have_no_gradient(run: Runner, loss: Loss) -> None:
    """Of a loss of values, where nothing is wrong: also where it has a kink there."""
    scores = np.random.default_rng(5).normal(0, 2, (5, 3))
    value, gradient = run.loss(loss, scores, scores.copy())
    close(value, 0.0, 0)
    close(gradient, np.zeros_like(scores), 0)


def loss_is_stable(run: Runner, loss: Loss) -> None:
    """Scores of 1e4, of one sign or of both, give a finite loss and gradient without a warning; a NaN score gives a NaN loss."""
    scores = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, 1e4], [-1e4, -2e4, -3e4], [3e4, 2e4, 1e4]])
    labels = np.array([1, 2, 0, 2]) if loss.target == "class" else np.eye(3)[[0, 2, 1, 1]]
    value, gradient = run.loss(loss, scores, labels)
    assert np.isfinite(value), "the loss overflowed"
    assert np.isfinite(gradient).all(), "the gradient overflowed"
    scores[1, 0] = np.nan
    assert np.isnan(run.loss(loss, scores, labels)[0]), "a NaN got lost"


def row_reads_before_it_writes(loss: Loss) -> None:
    """The gradient may take the place of the scores."""
    scores = np.random.default_rng(5).normal(0, 2, 4)
    labels = labels_for(loss, 1, 4)[0]
    gradient, shared = np.empty(4), scores.copy()
    apart = loss.row(scores, labels, gradient, 0.5, **loss.constants())
    together = loss.row(shared, labels, shared, 0.5, **loss.constants())
    close(together, apart, 0)
    close(shared, gradient, 0)


def update(optimizer: Optimizer, w: Any, g: Any, slots: dict[str, Any], t: int) -> tuple[Any, dict[str, Any]]:
    """One update by the template; new w and slots."""
    number = np.asarray(w).dtype.type  # a kernel has every constant in the dtype of w
    more = {name: number(value) for name, value in {**optimizer.constants(), **optimizer.scalars(t), "lr": optimizer.lr}.items()}
    w, *new = optimizer.update(w=w, g=g, **slots, **more)
    assert len(new) == len(optimizer.slots), f"{len(new)} new slots, {len(optimizer.slots)} declared"
    return w, dict(zip(optimizer.slots, new, strict=True))


def updates_equal_formula(optimizer: Optimizer, formula: Callable[..., Array]) -> None:
    """The weights after some updates are those of `formula(w, g of all updates, <arguments>)`."""
    draw = np.random.default_rng(8)
    start, gradients = draw.normal(size=5), draw.normal(size=(4, 5))
    w, slots = start, {name: np.zeros(5) for name in optimizer.slots}
    for t, g in enumerate(gradients, start=1):
        w, slots = update(optimizer, w, g, slots, t)
    close(w, formula(start, gradients, **dict(optimizer)), 1e-12)


def clip_equals_formula(clip: Clip, formula: Callable[..., Array]) -> None:
    """Gradients shorter and longer than the bound, and 0, are bounded as `formula(g, <arguments>)` bounds them."""
    for length in (0.0, 1e-6, 0.5, 1.0, 2.0, 100.0):
        g = length * np.random.default_rng(9).normal(size=5)
        more = {"norm": float(np.linalg.norm(g))} if clip.needs_norm() else {}
        close([clip.clip(g=one, **clip.constants(), **more) for one in g.tolist()], formula(g, **dict(clip)), 1e-12)


def pixels_equal_images(step: Augmentation, formula: Callable[..., NDArray[Any]], argument: float) -> None:
    """Images gathered pixel by pixel are those of `formula(images, words, argument)`: on words where a share of 16 bits turns to the next
    of so many, as of the sides of the image, and on any."""
    drawn = np.random.default_rng(3).integers(0, 2**32, 40).tolist()
    turns = [-(-part * 2**16 // parts) for parts in (7, 9, 2 * int(argument) + 1) for part in range(parts)]
    ends = [high << 16 | low for turn in turns for high in (turn, max(turn - 1, 0)) for low in (0, turn)]
    limit = step.constants().get("limit", 0)
    words = np.array([*drawn, *ends, max(limit - 1, 0), min(limit, 2**32 - 1)], np.uint64)
    images = np.random.default_rng(4).normal(5, 1, (len(words), 1, 9, 7))
    found = np.zeros_like(images)
    for image, target, word in zip(images, found, words.tolist(), strict=True):
        for h, w in np.ndindex(image.shape[1:]):
            i, j = step.place(h, w, *image.shape[1:], word, **step.constants())
            if 0 <= i < image.shape[1] and 0 <= j < image.shape[2]:
                target[:, h, w] = image[:, i, j]
    close(found, formula(images, words, argument), 0)


def merges_equal_reference(layer: Elementwise) -> None:
    """The templates on two branches, and on three, folded from the left."""
    x, y, z = np.random.default_rng(1).normal(size=(3, 6))
    two = [layer.forward(*both) for both in zip(x, y, strict=True)]
    close(two, layer.merged_reference((x, y)), 1e-12)
    close([layer.forward(*both) for both in zip(two, z, strict=True)], layer.merged_reference((x, y, z)), 1e-12)


def merges_backward_equals_numeric(layer: Elementwise) -> None:
    """The gradients of both branches of two."""
    x, other, dy = np.random.default_rng(1).normal(size=(3, 6))
    for template, place in ((layer.backward, 0), (layer.other_backward, 1)):
        names = inspect.signature(template).parameters
        given = [dict(zip(("dy", "x", "other"), one, strict=True)) for one in zip(dy, x, other, strict=True)]
        gradient = np.array([template(**{name: one[name] for name in names}) for one in given])

        def value(at: Array, place: int = place) -> float:
            return float(np.sum(dy * layer.merged_reference((at, other) if place == 0 else (x, at))))

        projections_agree(value, (x, other)[place], gradient, 1e-6)


def arrays_equal_scalars(optimizer: Optimizer) -> None:
    """Three updates of an array are those of its elements, and leave what was given untouched."""
    draw = np.random.default_rng(6)
    gradients = draw.normal(size=(3, 7))
    w, slots = draw.normal(size=7), {name: np.zeros(7) for name in optimizer.slots}
    single = [(float(element), dict.fromkeys(optimizer.slots, 0.0)) for element in w]
    for t, g in enumerate(gradients, start=1):
        before = w.copy()
        w_new, slots_new = update(optimizer, w, g, slots, t)
        close(w, before, 0)
        single = [update(optimizer, *one[:1], float(e), one[1], t) for one, e in zip(single, g, strict=True)]
        w, slots = w_new, slots_new
    close(w, np.array([one[0] for one in single]), 1e-15)


def descends(optimizer: Optimizer) -> None:
    """From 1, 500 updates on w^2 / 2 come near the minimum, from either side."""
    w, slots = np.array([1.0, -1.0]), {name: np.zeros(2) for name in optimizer.slots}
    fast = optimizer.model_copy(update={"lr": 1e-1 if optimizer.name == "adagrad" else 1e-2})  # whose steps shrink with their number
    for t in range(1, 501):
        w, slots = update(fast, w, w, slots, t)
    assert np.abs(w).max() < 0.05, f"ended at {w}"


def keeps_float32(optimizer: Optimizer) -> None:
    """Updates in float32 stay float32 and near those in float64, also where 1 - beta is small."""
    g = np.random.default_rng(6).normal(size=(10, 5))
    fast = optimizer.model_copy(update={"lr": 0.1})
    results = {}
    for dtype in (np.float32, np.float64):
        w, slots = np.ones(5, dtype), {name: np.zeros(5, dtype) for name in optimizer.slots}
        for t, row in enumerate(g.astype(dtype), start=1):
            w, slots = update(fast, w, row, slots, t)
        assert w.dtype == dtype
        results[dtype] = w
    close(results[np.float32], results[np.float64], 1e-6)


def probabilities_of(head: Head, scores: Array) -> Array | None:
    """None where the head refuses, as one without probabilities does."""
    try:
        return head.predict_proba(scores)
    except UsageError:
        return None


def head_is_consistent(head: Head) -> None:
    """Probabilities sum to 1 where classes exclude each other, and the most probable class is the predicted one."""
    for classes in (2, 5):
        scores = np.random.default_rng(7).normal(0, 300, (9, head.scores(classes)))
        predicted, probabilities = head.predict(scores), probabilities_of(head, scores)
        assert len(predicted) == 9
        assert head.target != "value" or probabilities is None, "values have no probabilities"
        if probabilities is None:
            continue
        assert probabilities.shape == (9, classes)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        if predicted.ndim == 1:
            close(probabilities.sum(axis=1), np.ones(9), 1e-12)
            assert (probabilities.argmax(axis=1) == predicted).all(), "the predicted class is not the most probable"
        else:
            assert ((probabilities > 0.5) == predicted).all()


def shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The definition of the shuffle in plain Python."""
    order = list(range(count))
    words = bits(stream_key(seed, -1, epoch), np.arange(count, dtype=np.uint32))
    for i in range(count - 1, 0, -1):
        j = int(words[i]) * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order)
