"""Whole runs in memory with guards: no kernel writes beyond its buffers, and none reads what nothing has written."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from guards import guarded
from numpy.typing import NDArray

import netspec

NETS = {
    "mlp": ("[affine(20)-bn-relu-dropout]x2 -> affine -> softmax", 13, 3, "optimizer = adam; batch = 7"),
    "weighted": ("affine(9)-prelu -> affine -> svm", 5, 4, "optimizer = rmsprop; batch = 3; class_weights = balanced; clip = norm(1.0)"),
    "binary": ("affine(30)-layernorm-gelu -> affine(1) -> sigmoid", 7, 2, "optimizer = adagrad; l2 = 0.01; batch = 64"),
    "depthwise": (
        "conv(5, kernel=1, groups=5, pad=0, stride=2x1)-bn-dropout2d -> flatten-affine -> softmax", "5x1x9", 3,
        "optimizer = sgd(momentum=0.9); batch = 5",
    ),
    "tiles": ("[conv(16)-groupnorm(4)-silu]x2-upsample(2) -> avgpool(3) -> affine -> softmax", "12x7x5", 3, "optimizer = adamw; batch = 4"),
}  # fmt: skip


def trained(name: str) -> dict[str, NDArray[Any]]:
    """Parameters and state after two epochs, and what is predicted then."""
    text, shape, classes, train = NETS[name]
    model = netspec.compile(text, input=shape, classes=classes, train=train, seed=2)
    x = np.random.default_rng(0).normal(size=(23, *model.graph.input.shape)).astype(np.float32)
    model.fit(x, np.arange(23) % classes, epochs=2)
    return {**model.params.copy(), **model.state.copy(), "predicted": model.predict(x[:11])}


@pytest.mark.parametrize("name", NETS)
def test_guards_change_nothing(name: str) -> None:
    wanted = trained(name)
    with guarded():
        found = trained(name)
    assert found.keys() == wanted.keys()
    for key, array in wanted.items():
        np.testing.assert_array_equal(found[key], array)
