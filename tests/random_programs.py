"""Programs drawn from the whole language by hypothesis: shapes that fit, repeats, defs, branches, names, ties. Small ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st

from netspec.base.shape import Shape

ACTIVATIONS = ("relu", "tanh", "leaky_relu", "prelu", "dropout(30%)")
MOST_WIDTH = 6


@dataclass
class Writer:
    """Draws one program. `names` are the points named so far in the net, with their shapes; `ties` those that are affines."""

    random: Random
    names: dict[str, Shape] = field(default_factory=dict)
    ties: dict[str, tuple[int, int]] = field(default_factory=dict)
    counter: int = 0

    def pick(self, *options: str) -> str:
        return self.random.choice(options)

    def number(self) -> int:
        return self.random.randint(1, MOST_WIDTH)

    # units; each gives its text and the shape behind it

    def chain(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        """One to three units. In a repeat or a def nothing is `named`, for its copies differ."""
        texts = []
        for _ in range(self.random.randint(1, 3 if depth else 2)):
            text, shape = self.unit(shape, depth, named)
            texts.append(text)
        return self.pick(" -> ", "-").join(texts), shape

    def keeping(self, shape: Shape, depth: int, named: bool, to: int | None = None) -> str:
        """A chain that ends in the shape that it began with, or in `to` channels."""
        wanted = shape[0] if to is None else to
        if wanted == shape[0] and self.random.random() < 0.5:
            return self.pick("id", "relu", "tanh", "bn", "prelu-bn", "bn-dropout(30%)")
        if len(shape) == 1:
            inner, _ = self.chain(shape, depth - 1, named) if depth else ("tanh", shape)
            return f"[{inner}]-affine({wanted})"
        return f"conv({self.number()}, kernel=1)-bn-relu -> conv({wanted})"

    def unit(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        kinds = ["layer", "layer", "activation", "normalization"]
        kinds += ["res", "proj", "add", "mul", "concat", "repeat", "tied", "bracket"] if depth else []
        kinds += ["name", "read", "tie", "encoder", "skip"] if named else []
        return getattr(self, f"_{self.pick(*kinds)}")(shape, depth, named)  # type: ignore[no-any-return]

    def _layer(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        width = self.number()
        if len(shape) == 1:
            return f"affine({width})", (width,)
        kind = self.pick("conv", "conv", "strided", "pool", "avgpool", "depthwise", "globalpool")
        channels, height, across = shape
        match kind:
            case "conv":
                return f"conv({width}, kernel={self.pick('1', '3', '3x1')})", (width, height, across)
            case "strided":
                return f"conv({width}, stride=2)", (width, -(-height // 2), -(-across // 2))
            case "depthwise":
                return f"conv({channels}, groups={channels})", shape
            case "globalpool":
                return "globalpool", (channels,)
            case _:
                return f"{kind}(3, stride=1, pad=1)", shape

    def _activation(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        return self.pick(*ACTIVATIONS), shape

    def _normalization(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        return self.pick("bn", "bn", "layernorm", "groupnorm(1)"), shape

    def _bracket(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        text, shape = self.chain(shape, depth - 1, named)
        return f"[{text}]", shape

    def _repeat(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        if len(shape) == 1 and self.random.random() < 0.5:
            width, other = self.number(), self.number()
            return f"[affine(w)-{self.pick(*ACTIVATIONS)}]x(w: {width}, {other})", (other,)
        return f"[{self.keeping(shape, depth - 1, False)}-{self.pick(*ACTIVATIONS)}]x{self.random.randint(0, 3)}", shape

    def _tied(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        return f"[{self.keeping(shape, depth - 1, False)}-relu]x{self.random.randint(1, 3)} tied", shape

    def _res(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        return f"res[{self.keeping(shape, depth - 1, named)}]", shape

    def _proj(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        width = self.number()
        return f"res[{self.keeping(shape, depth - 1, named, width)}](proj)", (width, *shape[1:])

    def _add(self, shape: Shape, depth: int, named: bool, word: str = "add") -> tuple[str, Shape]:
        width = self.pick(str(shape[0]), str(self.number()))
        count = self.random.randint(2, 3)
        branches = [self.keeping(shape, depth - 1, named, int(width)) for _ in range(count)]
        return f"{word}({' | '.join(branches)})", (int(width), *shape[1:])

    def _mul(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        return self._add(shape, depth, named, "mul")

    def _concat(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        widths = [self.number() for _ in range(self.random.randint(2, 3))]
        branches = [self.keeping(shape, depth - 1, named, width) for width in widths]
        return f"concat({' | '.join(branches)})", (sum(widths), *shape[1:])

    def _name(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        self.counter += 1
        name = f"point_{'abcdefghijklmnopqrstuvwxyz'[self.counter % 26]}{'z' * (self.counter // 26)}"
        if len(shape) == 1 and self.random.random() < 0.5:
            width = self.number()
            self.names[name], self.ties[name] = (width,), (shape[0], width)
            return f"[affine({width}) @{name}]", (width,)
        self.names[name] = shape
        return f"[{self.pick('relu-bn', 'tanh-prelu')} @{name}]", shape

    def _encoder(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        """An affine and its transpose, or its like on the result of both."""
        if len(shape) > 1:
            return self._skip(shape, depth, named)
        self.counter += 1
        name, width = f"code_{'abcdefghijklmnopqrstuvwxyz'[self.counter % 26]}", self.number()
        text = f"[affine({width}) @{name}] -> tanh -> affine(tie = {name}.T)"
        return (f"{text} -> affine(tie = {name})", (width,)) if self.random.random() < 0.5 else (text, shape)

    def _skip(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        """A point that is read behind a chain."""
        text, shape = self._name(shape, depth, named)
        name = text[text.index("@") + 1 : -1]
        word = self.pick("add", "mul", "concat")
        after = (2 * shape[0] if word == "concat" else shape[0], *shape[1:])
        return f"{text} -> {self.keeping(shape, 0, False)} -> {word}(id | @{name})", after

    def _read(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        fitting = [name for name, one in self.names.items() if one == shape]
        if not fitting:
            return self._activation(shape, depth, named)
        name = self.pick(*fitting)
        word = self.pick("add", "mul", "concat")
        text = f"{word}(id | @{name}{self.pick('', '-relu', '-bn')})"
        return text, (2 * shape[0] if word == "concat" else shape[0], *shape[1:])

    def _tie(self, shape: Shape, depth: int, named: bool) -> tuple[str, Shape]:
        for name, (depth_of, width) in self.ties.items():
            if shape == (depth_of,):
                return f"affine(tie = {name})", (width,)
            if shape == (width,):
                return f"affine(tie = {name}.T)", (depth_of,)
        return self._layer(shape, depth, named)


@st.composite
def programs(draw: st.DrawFn, depth: int = 2) -> tuple[str, Shape]:
    """A program that ends in three classes, and the shape of its rows."""
    random = draw(st.randoms(use_true_random=False))
    writer = Writer(random)
    shape: Shape = random.choice([(4,), (7,), (2, 5, 4), (3, 4, 4)])
    entries = []
    row = shape
    texts = []
    if random.random() < 0.5:
        body, _ = writer.chain((4,), 0, False)
        act = writer.pick("relu", "tanh")
        entries.append(f"def block(w, act = {act}) = affine(4)-act -> {body} -> affine(w)")
        call = writer.pick("block(3)", "block(w=2, act=leaky_relu(0.2))", "block(5, act = dropout(p=25%))")
        count = writer.pick("", "x2")
        texts.append(f"{call}{count}" if len(shape) == 1 else "conv(3)")
        row = ({"block(3)": 3, "block(5, act = dropout(p=25%))": 5}.get(call, 2),) if len(shape) == 1 else (3, *shape[1:])
    for _ in range(random.randint(2, 4)):
        text, row = writer.unit(row, depth, True)
        texts.append(text)
    net = " -> ".join([*texts, "affine", writer.pick("softmax", "svm")])
    return "\n".join([*entries, f"net {net}"]), shape
