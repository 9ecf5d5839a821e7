"""The nets that are measured: six workloads, and other shapes that must not fall behind them."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.text import Source

MLP = "[affine(100)-bn-relu]x4 -> affine(10) -> softmax"


@dataclass(frozen=True)
class Workload:
    """A net of ten classes with its input, the rows of a batch, the optimizer and the element type."""

    net: str
    input: str
    batch: int
    optimizer: str = "adam(lr=1e-3)"
    dtype: str = "float32"

    @property
    def text(self) -> str:
        train = f"optimizer = {self.optimizer}; batch = {self.batch}; dtype = {self.dtype}"
        return f"netspec 1\ninput {self.input}\nclasses 10\nnet {self.net}\ntrain {{ {train} }}\n"

    @property
    def source(self) -> Source:
        return Source(self.text)

    @property
    def image(self) -> bool:
        return "x" in self.input

    def __str__(self) -> str:
        double = ", float64" if self.dtype == "float64" else ""
        return f"{self.input}: `{self.net.removesuffix(' -> softmax')}`, {self.batch}, {self.optimizer.split('(')[0]}{double}"


SGD = "sgd(lr=1e-3)"
SIX = {
    "mlp4": Workload("[affine(100)-bn-relu-dropout(25%)]x4 -> affine(10) -> softmax", "3072", 100),
    "two_layer": Workload("affine(100)-relu -> affine(10) -> softmax", "3072", 100, SGD),
    "mnist": Workload("affine(50)-relu -> affine(10) -> softmax", "784", 100, SGD),
    "conv3": Workload("conv(32, kernel=7)-relu-pool -> affine(500)-relu -> affine(10) -> softmax", "3x32x32", 50),
    "wide": Workload("[affine(1024)-bn-relu-dropout(25%)]x4 -> affine(10) -> softmax", "3072", 256),
    "vgg": Workload("[[conv(c)-bn-relu]x2 -> pool]x(c: 32, 64) -> affine(128)-bn-relu -> affine(10) -> softmax", "3x32x32", 64),
}
SHAPES = {
    "odd": Workload("affine(97)-relu -> affine(61)-relu -> affine(10) -> softmax", "1001", 63, SGD),
    "batch1": Workload("[affine(100)-relu]x4 -> affine(10) -> softmax", "784", 1),
    "batch7": Workload(MLP, "784", 7),
    "batch73": Workload(MLP, "784", 73),
    "deep20": Workload("[affine(100)-bn-relu]x20 -> affine(10) -> softmax", "784", 100),
    "wide4096": Workload("[affine(4096)-relu]x2 -> affine(10) -> softmax", "1024", 128, SGD),
    "mlp4_64": Workload("[affine(100)-bn-relu-dropout(25%)]x4 -> affine(10) -> softmax", "3072", 100, dtype="float64"),
    "strides": Workload("conv(32, stride=2)-relu -> conv(64, stride=2)-relu -> affine(10) -> softmax", "3x32x32", 64),
    "conv5": Workload("[conv(c, kernel=5)-relu-pool]x(c: 16, 32) -> affine(10) -> softmax", "3x32x32", 64),
    "conv1": Workload("conv(32)-bn-relu -> conv(64, kernel=1)-bn-relu -> globalpool -> affine(10) -> softmax", "3x16x16", 64),
    "conv3_64": Workload("conv(16)-relu-pool -> affine(100)-relu -> affine(10) -> softmax", "3x32x32", 50, dtype="float64"),
}
ALL = {**SIX, **SHAPES}


def ways(name: str) -> tuple[str, ...]:
    """Who runs a workload: netspec, PyTorch in its variants (of the other shapes the two that are usually faster), JAX."""
    plain, last = ("torch",), ("torch, channels last",)
    if ALL[name].image:
        return ("netspec", *(plain if name in SIX else ()), "torch, fused", *last, "jax")
    return ("netspec", *plain, "torch, fused", "jax")
