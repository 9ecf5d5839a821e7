"""The kinds of layer. A kind fixes which kernels are emitted, and derives what its layers need not write themselves.

Templates are static methods in plain Python on scalars, with `np.exp`, `np.sqrt` and so on for functions. The emitter copies their
source into a kernel, types every literal and lets LLVM inline them; tests call them as they are. Besides the names given below, a
template may take any key of `constants()` as a parameter. No template may refer to other globals than `np`, and `math.erf`, which NumPy
lacks.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isqrt
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netspec.base.layer import Array, Layer, OnnxForm, OnnxNode, Parameter, ReferenceContext, Trained, problem
from netspec.base.shape import Shape, show, size


class Pointwise(Layer):
    """y[i] = f(x[i]). Templates: `forward(x, ...)`, `backward(dy, x, y, ...)` giving dx, each taking the names it needs.

    With `random = True` both may take `bits`, a uniform 32-bit word (np.uint32) that is the same in both: one an element, or with
    `by_channel = True` one a feature or channel of each row. With `identity_in_test = True` the layer is left out of the test form.

    Parameters have one number a feature or channel, and templates take that of the element by its name. Each, say `slope`, has a template
    of its own, `slope_gradient(dy, x, ...)`: what the element adds to its gradient. The layer names it in `parts`.
    """

    kind: ClassVar[str] = "pointwise"
    keeps_shape: ClassVar[bool] = True
    random: ClassVar[bool] = False
    by_channel: ClassVar[bool] = False
    identity_in_test: ClassVar[bool] = False
    operations: ClassVar[int] = 1
    """FLOPs an element."""
    parts: ClassVar[tuple[str, ...]] = ("forward", "backward")
    forward: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any]]

    def constants(self) -> dict[str, float | int]:
        """Values of the template parameters that come from the arguments: float, or int for a np.uint32."""
        return {name: float(getattr(self, name)) for name in type(self).model_fields if name not in Trained.model_fields}

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def flops(self, shape: Shape) -> int:
        return self.operations * size(shape)


class RandomMask(Pointwise):
    """y = x / (1 - p) with probability 1 - p, else 0; in the test form y = x.

    Dropped is what a random 32-bit word below p 2^32 stands for, so the dropped share is p to 2^-32.
    """

    p: float
    random: ClassVar[bool] = True
    identity_in_test: ClassVar[bool] = True
    operations: ClassVar[int] = 2

    def constants(self) -> dict[str, float | int]:
        # a word has 32 bits, so the largest p below 1 drops all words but one
        return {"limit": min(ceil(self.p * 2**32), 2**32 - 1), "scale": 1 / (1 - self.p)}

    @staticmethod
    def forward(x: float, bits: int, limit: int, scale: float) -> float:
        return x * scale if bits >= limit else 0.0

    @staticmethod
    def backward(dy: float, bits: int, limit: int, scale: float) -> float:
        return dy * scale if bits >= limit else 0.0

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Identity", ("x",), ("y",)),))


class Normalization(Trained):
    """Each column (feature, or channel of an image) shifted and scaled by statistics over the batch (and pixels).

    Templates on one element: `forward(x, mean, inverse, gamma, beta)`; `backward(dy, x, mean, inverse, gamma, mean_dy, mean_dy_xhat)`,
    where `inverse = 1 / sqrt(variance + eps)`, and the two last are the column means of dy and of dy * xhat.
    Arguments `eps`, `momentum`; parameters `gamma`, `beta`; state `mean`, `var`.
    """

    kind: ClassVar[str] = "normalization"
    keeps_shape: ClassVar[bool] = True
    eps: float
    momentum: float
    parts: ClassVar[tuple[str, ...]] = ("forward", "backward")
    forward: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any]]

    def output_shape(self, shape: Shape) -> Shape:
        return shape


class RowNormalization(Trained):
    """Each row's groups of neighbouring features, or of channels with all their pixels, shifted and scaled by their own statistics.

    Parameters `gamma` and `beta`, one each a feature or channel; no state, so that train and test forms are the same. A layer says with
    `groups_of` how many groups its rows have, and has the argument `eps`. Templates on one element, with xhat = (x - mean) / sqrt(variance
    + eps) by the group's mean and biased variance: `forward(xhat, gamma, beta)`; `backward(dy, xhat, gamma, inverse, mean_g, mean_g_xhat)`
    giving dx, where `inverse = 1 / sqrt(variance + eps)`, and the two last are the group's means of g = dy * gamma and of g * xhat.
    """

    kind: ClassVar[str] = "row normalization"
    keeps_shape: ClassVar[bool] = True
    if TYPE_CHECKING:
        eps: float  # a field here would be the first argument of every layer
    parts: ClassVar[tuple[str, ...]] = ("forward", "backward")

    @abstractmethod
    def groups_of(self, shape: Shape) -> int:
        """How many groups of equal size a row of `shape` has; raises Problem where it cannot have so many."""

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {"gamma": Parameter(shape[:1], "scale"), "beta": Parameter(shape[:1], "shift")}

    def output_shape(self, shape: Shape) -> Shape:
        self.groups_of(shape)
        return shape

    @staticmethod
    def forward(xhat: float, gamma: float, beta: float) -> float:
        return xhat * gamma + beta

    @staticmethod
    def backward(dy: float, xhat: float, gamma: float, inverse: float, mean_g: float, mean_g_xhat: float) -> float:
        return inverse * (dy * gamma - mean_g - xhat * mean_g_xhat)

    def flops(self, shape: Shape) -> int:
        """1 an element for the mean, 3 for the variance, 2 for xhat, 2 for the result."""
        return 8 * size(shape)


@dataclass(frozen=True, slots=True)
class Product:
    """y (N, width) = x (N, depth) W (depth, width) + b."""

    depth: int
    width: int


@dataclass(frozen=True, slots=True)
class Window2D:
    """A window of `kernel` sides moved by `stride` over an image with margins (top, bottom, left, right). With `groups` the channels of
    input and output fall into so many equal runs, each result seeing those of its own."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    margins: tuple[int, int, int, int]
    input: Shape
    output: Shape
    groups: int = 1


class Contraction(Trained):
    """Sums of products with trained weights `W` and an optional bias `b`: affine (a Product) and conv (a Window2D over all channels)."""

    kind: ClassVar[str] = "contraction"

    @abstractmethod
    def geometry(self, shape: Shape) -> Product | Window2D:
        """What is multiplied, for one row of `shape`."""


class Window(Layer):
    """One number from each window of each channel: pools. Templates on scalars:

    `begin()` the start of the fold; `fold(total, x)`; `finish(total, count)` with the number of elements of the window inside the
    image, giving y; `backward(dy, count)` the share of dx that one element gets. With `first_only = True` only the first element, in
    row order, that equals y gets its share (a maximum).
    """

    kind: ClassVar[str] = "window"
    first_only: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("begin", "fold", "finish", "backward")
    begin: ClassVar[Callable[..., Any]]
    fold: ClassVar[Callable[..., Any]]
    finish: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any]]

    @abstractmethod
    def geometry(self, shape: Shape) -> Window2D:
        """The window, for one row of `shape`."""


class Rearrangement(Layer):
    """The same elements in another shape, in C order of the interface's layout: flatten, reshape, id."""

    kind: ClassVar[str] = "rearrangement"

    def flops(self, shape: Shape) -> int:
        return 0


class Upsampling(Layer):
    """Each pixel of an image repeated `factor` times, down and across; its gradient is the sum over its copies."""

    kind: ClassVar[str] = "upsampling"
    factor: tuple[int, int]

    def output_shape(self, shape: Shape) -> Shape:
        require_image(self.name, shape)
        return (shape[0], shape[1] * self.factor[0], shape[2] * self.factor[1])

    def flops(self, shape: Shape) -> int:
        return 0


class Merge(Layer):
    """Several branches to one value. `merged_...` are a layer's shape rule, cost, ONNX form (over inputs `x0`, `x1`, ...) and reference for
    the branches' shapes or arrays; with a single branch they are those of any layer."""

    kind: ClassVar[str] = "merge"

    @abstractmethod
    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Shape of one output row; raises Problem where these shapes do not go together."""

    @abstractmethod
    def merged_flops(self, shapes: Sequence[Shape]) -> int:
        """Floating-point operations of the forward pass on one row."""

    @abstractmethod
    def merged_onnx(self, shapes: Sequence[Shape]) -> OnnxForm:
        """The test form as ONNX operators."""

    @abstractmethod
    def merged_reference(self, xs: Sequence[Array]) -> Array:
        """The forward pass in float64 NumPy on (N, ...) arrays in interface layout."""

    def output_shape(self, shape: Shape) -> Shape:
        return self.merged_shape((shape,))

    def flops(self, shape: Shape) -> int:
        return self.merged_flops((shape,))

    def onnx(self, shape: Shape) -> OnnxForm:
        form = self.merged_onnx((shape,))
        return OnnxForm((OnnxNode("Identity", ("x",), ("x0",)), *form.nodes), form.constants)

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return self.merged_reference((x,))


class Elementwise(Merge):
    """y[i] = f(f(a[i], b[i]), c[i]) ... of branches of one shape. Templates on one element: `forward(x, other)`, and `backward` and
    `other_backward` giving dx and dother from `dy`, `x`, `other`, each taking the names it needs. With `passes_gradient = True` both are
    dy itself, and are not computed."""

    passes_gradient: ClassVar[bool] = False
    parts: ClassVar[tuple[str, ...]] = ("forward", "backward", "other_backward")
    forward: ClassVar[Callable[..., Any]]
    backward: ClassVar[Callable[..., Any]]
    other_backward: ClassVar[Callable[..., Any]]

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        different = next((shape for shape in shapes if shape != shapes[0]), None)
        if different is not None:
            message = f"{self.name}: the branches have different shapes: {show(shapes[0])} and {show(different)}"
            raise problem("NS412", message, help="give all branches one shape; nothing is broadcast")
        return shapes[0]

    def merged_flops(self, shapes: Sequence[Shape]) -> int:
        return (len(shapes) - 1) * size(shapes[0])


class Concatenation(Merge):
    """The channels, or features, of all branches one after another."""

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        first = shapes[0]
        for shape in shapes[1:]:
            if len(shape) != len(first):
                message = f"{self.name}: {describe(first)} cannot stand beside {describe(shape)}"
                raise problem("NS413", message, help="make both vectors (flatten, globalpool) or both images (reshape)")
            if shape[1:] != first[1:]:
                message = f"{self.name} joins channels, and the branches differ in height or width: {show(first)} and {show(shape)}"
                raise problem("NS413", message, help="use the same strides and pools in both, with pad=same")
        return (sum(shape[0] for shape in shapes), *first[1:])

    def merged_flops(self, shapes: Sequence[Shape]) -> int:
        return 0


Target = Literal["class", "binary", "value"]


class Head(Layer):
    """The meaning of the last scores: which losses they may have, what labels are, what is predicted. Computes nothing in the net.

    `target`: `class`, integer labels 0..C-1 or one-hot rows; `binary`, 0/1, as many a row as scores; `value`, numbers of their shape.
    `losses` names the losses allowed, the default first. Labels 0/1 are decided by a threshold on their probability, by default 1/2.
    """

    kind: ClassVar[str] = "head"
    keeps_shape: ClassVar[bool] = True
    target: ClassVar[Target]
    losses: ClassVar[tuple[str, ...]]
    has_probabilities: ClassVar[bool] = True

    parts: ClassVar[tuple[str, ...]] = ("target", "losses")

    def output_shape(self, shape: Shape) -> Shape:
        if self.target == "binary":
            require_vector(self.name, shape, ", or flatten where every element is an answer of its own, as in a mask")
        elif self.target == "class":
            require_vector(self.name, shape)
        return shape

    def flops(self, shape: Shape) -> int:
        return 0

    def onnx(self, shape: Shape) -> OnnxForm:
        return OnnxForm((OnnxNode("Identity", ("x",), ("y",)),))

    def reference(self, x: Array, parameters: Mapping[str, Array], state: Mapping[str, Array], context: ReferenceContext) -> Array:
        return x

    @abstractmethod
    def scores(self, classes: int) -> int:
        """How many scores stand for `classes` classes (or outputs)."""

    @abstractmethod
    def predict(self, scores: NDArray[Any], threshold: float | NDArray[Any] = 0.5) -> NDArray[Any]:
        """Scores (N, C) to predictions: class numbers (N,), 0/1, or values. `threshold` is for 0/1, one for all or one for each column."""

    @abstractmethod
    def predict_proba(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Scores (N, C) to probabilities (N, classes); raises UsageError where the head has none."""

    def confidence(self, scores: NDArray[Any]) -> NDArray[Any]:
        """Scores (N, C) to numbers (N, classes) by which rows are ranked for a class: the logarithms of its probabilities, where the head
        has them, exact also where a probability is 0 or 1 in floating point. Raises UsageError for values."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.predict_proba(scores)))


def require_image(name: str, shape: Shape) -> None:
    """Raises NS401 unless `shape` is (C, H, W)."""
    if len(shape) != 3:
        message = f"{name} needs an image (channels x height x width), and here it gets {describe(shape)}"
        help = "put it before affine, flatten and globalpool, or make images of vectors by reshape, as in reshape(4x2x2)"  # noqa: A001
        raise problem("NS401", message, help=help)


def require_vector(name: str, shape: Shape, otherwise: str = "") -> None:
    """Raises NS404 unless `shape` is (D,); `otherwise` ends the advice."""
    if len(shape) != 1:
        help = f"put affine or globalpool before it{otherwise}"  # noqa: A001
        raise problem("NS404", f"{name} needs a vector, and here it gets {describe(shape)}", help=help)


def require_groups(name: str, groups: int, shape: Shape) -> None:
    """Raises NS411 unless `groups` divides the channels of an image, or the features of a vector."""
    count = shape[0]
    if count % groups == 0:
        return
    what = ("channel" if len(shape) == 3 else "feature") + ("" if count == 1 else "s")
    divisors = sorted({part for low in range(1, isqrt(count) + 1) if count % low == 0 for part in (low, count // low)})
    words = " or ".join(filter(None, (", ".join(map(str, divisors[:-1])), str(divisors[-1]))))
    message = f"{name}: {count} {what} do{'es' if count == 1 else ''} not fall into {groups} equal groups"
    raise problem("NS411", message, argument="groups", help=f"groups can be {words}")


def onnx_of_groups(groups: int, eps: float, shape: Shape) -> OnnxForm:
    """A RowNormalization of several groups: they are the channels of an instance normalisation, and gamma and beta come after it."""
    nodes = (
        OnnxNode("Reshape", ("x", "grouped_shape"), ("grouped",)),
        OnnxNode("InstanceNormalization", ("grouped", "ones", "zeros"), ("normal",), {"epsilon": eps}),
        OnnxNode("Reshape", ("normal", "row_shape"), ("xhat",)),
        OnnxNode("Reshape", ("gamma", "by_channel"), ("scale",)),
        OnnxNode("Reshape", ("beta", "by_channel"), ("shift",)),
        OnnxNode("Mul", ("xhat", "scale"), ("scaled",)),
        OnnxNode("Add", ("scaled", "shift"), ("y",)),
    )
    constants = {
        "grouped_shape": np.array([0, groups, -1]), "row_shape": np.array([0, *shape]),
        "by_channel": np.array([-1, *(1 for _ in shape[1:])]),
        "ones": np.ones(groups, np.float32), "zeros": np.zeros(groups, np.float32),
    }  # fmt: skip
    return OnnxForm(nodes, constants)


def describe(shape: Shape) -> str:
    """`a vector of 100` or `an image 3x32x32`."""
    return f"a vector of {shape[0]}" if len(shape) == 1 else f"an image {show(shape)}" if len(shape) == 3 else show(shape)


def window_geometry(
    name: str, shape: Shape, channels: int, kernel: tuple[int, int], stride: tuple[int, int], pad: str | tuple[int, int]
) -> Window2D:
    """The window of conv and pools: `same` gives ceil(side / stride) with the odd margin at the bottom and right; else sides round down.

    Raises NS402 where the padded image is smaller than the kernel.
    """
    require_image(name, shape)
    margins: list[int] = []
    sides: list[int] = []
    for axis, (side, extent, step) in enumerate(zip(shape[1:], kernel, stride, strict=True)):
        if isinstance(pad, str):
            total = max(0, (-(-side // step) - 1) * step + extent - side)
            before, after = total // 2, total - total // 2
        else:
            before = after = pad[axis]
        if side + before + after < extent:
            raise problem(
                "NS402",
                f"{name}: a window of {show(kernel)} is larger than the image {show(shape[1:])}"
                + (f" padded by {show(pad)}" if not isinstance(pad, str) and any(pad) else ""),
                help=f"use a window of at most {show(shape[1:])}, add pad, or pool less before",
            )
        margins += [before, after]
        sides.append(1 + (side + before + after - extent) // step)
    top, bottom, left, right = margins
    return Window2D(kernel, stride, (top, bottom, left, right), shape, (channels, sides[0], sides[1]))


def pooling_geometry(name: str, shape: Shape, window: tuple[int, int], stride: tuple[int, int], pad: tuple[int, int]) -> Window2D:
    """The window of a pool. Raises NS403 where a margin is as wide as the window: a window would then hold nothing of the image."""
    require_image(name, shape)
    if any(margin >= extent for margin, extent in zip(pad, window, strict=True)):
        message = f"{name}: pad {show(pad)} is not smaller than the window {show(window)}, so a window would hold nothing of the image"
        raise problem("NS403", message, argument="pad", help="pad by less than the window")
    return window_geometry(name, shape, shape[0], window, stride, pad)
