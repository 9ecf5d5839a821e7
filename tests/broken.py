"""Layers, losses and optimisers with one mistake each, for the laws to reject. Without a `name` of their own they are not registered."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from netspec.base.kinds import Window2D, window_geometry
from netspec.base.layer import Layer, OnnxForm, OnnxNode
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.catalog.registry import entries

layers, losses, optimizers = entries(Layer), entries(Loss), entries(Optimizer)
Relu, LeakyRelu, Sigmoid, Tanh, Dropout = (layers[name] for name in ("relu", "leaky_relu", "sigmoid", "tanh", "dropout"))
Dropout2d, Prelu = layers["dropout2d"], layers["prelu"]
Norm, Conv, Pool, Average, Softmax = (layers[name] for name in ("bn", "conv", "pool", "avgpool", "softmax"))
LayerNorm, GroupNorm = layers["layernorm"], layers["groupnorm"]
Square, L1, Hinge, CrossEntropy = (losses[name] for name in ("squared_error", "l1", "hinge", "cross_entropy"))
Sgd, Adam = optimizers["sgd"], optimizers["adam"]


class AbsoluteRelu(Relu):
    @staticmethod
    def forward(x: Any) -> Any:
        return np.abs(x)


class HidingRelu(Relu):
    @staticmethod
    def forward(x: Any) -> Any:
        return x if x > 0.0 else 0.0


class RightRelu(Relu):
    @staticmethod
    def backward(dy: Any, y: Any) -> Any:
        return dy if y >= 0.0 else 0.0


class NaiveSigmoid(Sigmoid):
    @staticmethod
    def forward(x: Any) -> Any:
        return np.exp(x) / (1.0 + np.exp(x))


class CheapSigmoid(Sigmoid):
    operations: ClassVar[int] = 3


class LinearTanh(Tanh):
    @staticmethod
    def backward(dy: Any, y: Any) -> Any:
        return dy * (1.0 - y)


class MathTanh(Tanh):
    @staticmethod
    def forward(x: Any) -> Any:
        return math.tanh(x)


class UnscaledDropout(Dropout):
    @staticmethod
    def backward(dy: Any, bits: Any, limit: Any) -> Any:
        return dy if bits >= limit else 0.0


class SpeckledDropout2d(Dropout2d):
    by_channel: ClassVar[bool] = False


class OneSlope(Prelu):
    @staticmethod
    def slope_gradient(dy: Any, x: Any) -> Any:
        return dy * x


class SlopelessOnnx(LeakyRelu):
    def onnx(self, shape: tuple[int, ...]) -> OnnxForm:
        return OnnxForm((OnnxNode("LeakyRelu", ("x",), ("y",)),))


class ShiftlessNorm(Norm):
    @staticmethod
    def forward(x: Any, mean: Any, inverse: Any, gamma: Any) -> Any:
        return (x - mean) * inverse * gamma


class MeanlessNorm(Norm):
    @staticmethod
    def backward(dy: Any, x: Any, mean: Any, inverse: Any, gamma: Any, mean_dy_xhat: Any) -> Any:
        return inverse * gamma * (dy - (x - mean) * inverse * mean_dy_xhat)


class ShiftlessLayerNorm(LayerNorm):
    @staticmethod
    def forward(xhat: Any, gamma: Any) -> Any:
        return xhat * gamma


class UnscaledGroupNorm(GroupNorm):
    """Its gradient forgets that gamma stands before the means."""

    @staticmethod
    def backward(dy: Any, xhat: Any, gamma: Any, inverse: Any, mean_g: Any, mean_g_xhat: Any) -> Any:
        return inverse * (dy - mean_g - xhat * mean_g_xhat)


class WholeGroupNorm(GroupNorm):
    """One group, whatever is asked for; its reference is the right layer's."""

    def groups_of(self, shape: tuple[int, ...]) -> int:
        return 1


class CheapLayerNorm(LayerNorm):
    def flops(self, shape: tuple[int, ...]) -> int:
        return super().flops(shape) - 1


class ShiftedConv(Conv):
    def geometry(self, shape: tuple[int, ...]) -> Window2D:
        window = super().geometry(shape)
        top, bottom, left, right = window.margins
        return Window2D(window.kernel, window.stride, (top + 1, bottom - 1, left, right), window.input, window.output)

    reference = lambda self, x, parameters, state, context: Conv.reference(  # noqa: E731  the reference of the right layer
        Conv(**dict(self)), x, parameters, state, context
    )


class TallConv(Conv):
    def output_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        channels, height, width = super().output_shape(shape)
        return channels, height + 1, width


class CheapConv(Conv):
    def flops(self, shape: tuple[int, ...]) -> int:
        return super().flops(shape) // 2


class MinimumPool(Pool):
    @staticmethod
    def begin() -> Any:
        return np.inf

    @staticmethod
    def fold(total: Any, x: Any) -> Any:
        return total if total < x else x


class SharingPool(Pool):
    first_only: ClassVar[bool] = False


class WidePool(Pool):
    def geometry(self, shape: tuple[int, ...]) -> Window2D:
        return window_geometry(self.name, shape, shape[0], self.window, self.stride or self.window, self.pad)


class GreedyAverage(Average):
    @staticmethod
    def backward(dy: Any, count: Any) -> Any:
        return dy


class ReversedSoftmax(Softmax):
    def predict(self, scores: Any, threshold: float = 0.5) -> Any:
        return np.argmin(scores, axis=1)


class OneSidedL1(L1):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for k in range(scores.size):
            off = scores[k] - label[k]
            gradient[k] = scale if off >= 0.0 else -scale
            total += np.abs(off)
        return total


class HalfSquare(Square):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        gradient[:] = scale * (scores - label)
        return 0.5 * np.sum((scores - label) ** 2)


class ForgetfulHinge(Hinge):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for c in range(scores.size):
            margin = scores[c] - scores[label] + 1.0
            inside = c != label and margin > 0.0
            gradient[c] = scale if inside else 0.0
            total += margin if inside else 0.0
        return total


class HidingHinge(Hinge):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for c in range(scores.size):
            gradient[c] = 0.0
            if c != label and scores[c] - scores[label] + 1.0 > 0.0:
                total += scores[c] - scores[label] + 1.0
        return total


class UnshiftedCrossEntropy(CrossEntropy):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        total = 0.0
        for c in range(scores.size):
            total += np.exp(scores[c])
        for c in range(scores.size):
            gradient[c] = scale * np.exp(scores[c]) / total
        gradient[label] -= scale
        return np.log(total) - scores[label]


class LateCrossEntropy(CrossEntropy):
    @staticmethod
    def row(scores: Any, label: Any, gradient: Any, scale: Any) -> Any:
        weights = np.exp(scores)
        gradient[:] = scale * weights / weights.sum()
        gradient[label] -= scale
        return np.log(weights.sum()) - scores[label]


class BranchingSgd(Sgd):
    @staticmethod
    def update(w: Any, g: Any, v: Any, lr: Any, momentum: Any, nesterov: Any) -> Any:
        step = lr * g if g > 0.0 else -lr * g
        return w - step, v


class OverwritingSgd(Sgd):
    @staticmethod
    def update(w: Any, g: Any, v: Any, lr: Any, momentum: Any, nesterov: Any) -> Any:
        w -= lr * g
        return w, v


class ClimbingSgd(Sgd):
    @staticmethod
    def update(w: Any, g: Any, v: Any, lr: Any, momentum: Any, nesterov: Any) -> Any:
        return w + lr * g, v


class ForgetfulAdam(Adam):
    @staticmethod
    def update(
        w: Any, g: Any, m: Any, v: Any, lr: Any, beta1: Any, fresh1: Any, beta2: Any, fresh2: Any, eps: Any, unbias1: Any, unbias2: Any
    ) -> Any:
        return w - lr * g, m


class RoundedAdam(Adam):
    @staticmethod
    def update(
        w: Any, g: Any, m: Any, v: Any, lr: Any, beta1: Any, fresh1: Any, beta2: Any, fresh2: Any, eps: Any, unbias1: Any, unbias2: Any
    ) -> Any:
        return Adam.update(w, g, m, v, lr, beta1, 1.0 - beta1, beta2, 1.0 - beta2, eps, unbias1, unbias2)
