"""`netspec draw` of nets with branches: the same laws, whatever joins what."""

from __future__ import annotations

from itertools import count
from xml.etree import ElementTree

import numpy as np
import pytest
from draw_laws import ends, faults, misplaced, untrue

from netspec.frontend.program import Overrides
from netspec.pipeline import Stages, read, stages
from netspec.ui.cells import Flow
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.svg import svg

BLOCK = "def cr(c, k=3) = conv(c, kernel=k)-bn-relu\n"
MODULE = "concat(cr(a, k=1) | cr(8, k=1) -> cr(a) | cr(8, k=1) -> cr(a, k=5) | pool(3, stride=1, pad=1) -> cr(a, k=1))"
NETS = {
    "resnet": "net conv(8)-relu -> [res[conv(8)-bn-relu-conv(8)-bn]-relu]x3 -> res[conv(16, stride=2)-bn-relu-conv(16)-bn](proj)-relu "
    "-> [res[conv(16)-bn-relu-conv(16)-bn]-relu]x3 -> globalpool -> affine",
    "inception": f"{BLOCK}def module(a) = {MODULE}\nnet cr(16) -> pool -> module(8) -> module(12) -> globalpool -> affine",
    "u": f"{BLOCK}net cr(8) @one -> pool -> cr(16) @two -> pool -> cr(32) -> upsample(2) -> concat(id | @two) -> cr(16) "
    "-> upsample(2) -> concat(id | @one) -> cr(8) -> flatten -> affine",
    "dense": "net conv(8) -> [concat(id | conv(8)-relu)]x4 -> globalpool -> affine",
    "nested": "net conv(8)-relu -> add(concat(conv(4)-relu | conv(4, kernel=1)) | res[conv(8)-bn-relu]) -> relu -> globalpool -> affine",
    "gates": "net conv(8)-bn-relu -> res[conv(8)-bn -> mul(id | conv(8, kernel=1)-sigmoid)]-relu -> concat(id | id) -> affine",
    "from outside a frame": "net conv(8) @a -> [conv(8)-add(id | @a)-relu]x4 -> affine",
    "names in branches": "net conv(8) @a -> relu -> add(conv(8) @p -> relu-add(conv(8)-relu | @a | @p) | conv(8)-[conv(8)-bn]x3 @q -> relu "
    "| @q -> conv(8)) -> concat(@p -> conv(4) | id | concat(@q | @a)) -> affine",
    "a name read at once": "net affine(6) -> add(affine(6)-relu @x | @x) -> add(relu @y -> tanh | @y) -> affine",
    "frames in branches": "net concat(conv(8) | [conv(8)-bn-relu]x2 -> [conv(8, kernel=1)]x3 | [[conv(8)-relu]x2-bn]x2) -> affine",
    "nothing trained before": "net affine(9, frozen=true)-relu -> add(id | affine(9, frozen=true)-tanh) -> add(affine(9) | id) -> affine",
    "many branches": f"net affine(4) -> concat({' | '.join(f'affine({width})' for width in range(1, 13))}) -> affine",
    "from the input": "net concat(conv(4) | conv(4, kernel=1)) -> affine",
}


def made_of(text: str) -> Stages:
    return stages(read(f"netspec 1\n{text} -> softmax", Overrides(input=(8, 16, 16), classes=3)))


def flow_of(made: Stages, unroll: bool = False) -> Flow:
    return flow(made.program, made.graph, made.plan, "net", unroll=unroll)


def wrong(made: Stages, unroll: bool) -> list[str]:
    shown = flow_of(made, unroll)
    drawing = draw(shown)
    ElementTree.fromstring(svg(drawing))
    return [*faults(drawing), *ends(drawing), *misplaced(drawing, shown), *untrue(shown, made.graph)]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_branches_can_be_read(name: str, unroll: bool) -> None:
    assert wrong(made_of(NETS[name]), unroll) == []


class Net:
    """A net drawn at random: everything takes and gives a vector of 6."""

    def __init__(self, seed: int, length: int) -> None:
        self.draw = np.random.default_rng([seed, 31])
        self.names: list[str] = []
        self.numbers = count(1)
        self.text = f"net {self.chain(length, 3)} -> affine"

    def chain(self, length: int, depth: int) -> str:
        return " -> ".join(self.item(depth) for _ in range(length))

    def item(self, depth: int) -> str:
        kind = self.draw.choice(["run", "run", "name", "merge", "res", "repeat"]) if depth else "run"
        some = int(self.draw.integers(1, 4))
        match kind:
            case "name":
                run = self.run()
                self.names.append(f"n{next(self.numbers)}v")
                return f"{run} @{self.names[-1]}"
            case "merge":
                return self.merge(depth - 1)
            case "res":
                return f"res[{self.chain(some, depth - 1)}]{self.draw.choice(['', '', '(proj)'])}"
            case "repeat":
                return f"[{self.chain(some, depth - 1)}]x{self.draw.integers(2, 4)}{self.draw.choice(['', '', ' tied'])}"
        return self.run()

    def run(self) -> str:
        layers = ["affine(6)", *self.draw.choice(["relu", "bn", "tanh", "dropout", "layernorm"], self.draw.integers(0, 3), replace=False)]
        return str(self.draw.choice(["-".join(layers), "id", "relu", "affine(6)"]))

    def merge(self, depth: int) -> str:
        known = list(self.names)
        branches = [self.chain(int(self.draw.integers(1, 3)), depth) for _ in range(self.draw.integers(1, 4))]
        for _ in range(self.draw.integers(0, 3) if known else 0):
            read = f"@{self.draw.choice(known)}"
            more = f" -> {self.chain(1, depth)}" if self.draw.random() < 0.5 else ""
            branches.insert(int(self.draw.integers(len(branches) + 1)) if not more else len(branches), read + more)
        if len(branches) < 2:
            branches.append("id")
        kind = str(self.draw.choice(["add", "concat", "mul"]))
        return f"{kind}({' | '.join(branches)}){' -> affine(6)' if kind == 'concat' else ''}"


def random_stages(seed: int, length: int) -> Stages:
    text = Net(seed, length).text
    return stages(read(f"netspec 1\n{text} -> softmax", Overrides(input=(6,), classes=3)))
