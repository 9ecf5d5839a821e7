"""Names of points beside lets, parameters, repeats and defs of the same names: `tie` means the point, with its files and without them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pytest

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend.program import Overrides, Program
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import diagnose, known, to_graph

GIVEN = Overrides(input=(4,), classes=3)


def errors(text: str) -> list[Diagnostic]:
    return [found for found in diagnose(Source(text), GIVEN) if not found.code.startswith("W")]


def owners(text: str) -> list[int | None]:
    return [call.shares_weight_of for call in load(Source(text), GIVEN).net if getattr(call.layer, "tie", None)]


@pytest.mark.parametrize("tie", ["e", "e.T", "(e)"])
@pytest.mark.parametrize("text", [
    "let e = 3 net [affine(4) @e] -> affine(tie = {}) -> affine -> softmax",
    "let e = relu net [affine(4) @e] -> affine(tie = {}) -> affine -> softmax",
    "def f(e) = [affine(4) @e] -> affine(tie = {}) net f(3) -> affine -> softmax",
    "def f(e = 3) = [affine(4) @e] -> affine(tie = {}) net f -> affine -> softmax",
    "def e = [affine(4) @e] -> affine(tie = {}) net e -> affine -> softmax",
    "net [[affine(4) @e] -> affine(tie = {})]x(e: 3) -> affine -> softmax",
    "let e = 3 let l = affine(tie = {}) net [affine(4) @e] -> l -> affine -> softmax",
    "let e = 3 def f(l = affine(tie = {})) = [affine(4) @e] -> l net f -> affine -> softmax",
])  # fmt: skip
def test_the_name_of_a_point_comes_before_a_value(text: str, tie: str) -> None:
    assert owners(text.format(tie)) == [0]


def test_a_name_that_no_point_of_its_chain_has_is_a_value() -> None:
    assert owners("let e = a net [affine(4) @a] -> affine(tie = e) -> affine -> softmax") == [0]
    assert owners("def f(e) = [affine(4) @a] -> affine(tie = e) net affine(4) @e -> f(a) -> affine -> softmax") == [1]
    (found,) = errors("let e = 3 net [affine(4) @a] -> affine(tie = e) -> affine -> softmax")
    assert (found.code, found.message.rpartition("this is ")[2]) == ("NS301", "3")


@pytest.mark.parametrize("text", [
    "net [id-nope @e] -> affine(tie=e)",
    "net [nope @e]-affine(tie=e.T)",
    "net [nope-relu @e]-affine(tie=e)",
    "net [affine(4)-nope @e]-affine(tie=e)",
    "net affine(0) @e -> affine(tie=e) -> affine(tie=e.T)",
    "net id @e -> [[nope]x2 @f] -> add(affine(tie=f) | @e)",
    "def f(l = nope) = [l @e] -> affine(tie = e) net f",
    "def f(l) = [l @e] -> affine(tie = e) net nope",
])  # fmt: skip
def test_a_tie_to_what_is_wrong_is_no_second_error(text: str) -> None:
    (found,) = errors(f"{text} -> affine -> softmax")
    assert found.code in ("NS201", "NS302")
    known(Source(text), GIVEN)


@pytest.mark.parametrize("text", ["net [relu @e] -> affine(tie=e)", "net nope -> [relu @e] -> affine(tie=e)", "net relu -> affine(tie=e)"])
def test_a_tie_to_what_is_no_affine_is_one(text: str) -> None:
    assert "NS211" in [found.code for found in errors(f"{text} -> affine -> softmax")]


@pytest.mark.parametrize("text", [
    "net affine(4) @s -> [affine(5) @q] -> add([affine(tie=q) @e] | @s -> affine(tie=e))",
    "net affine(4) @s -> add(nope -> [affine(4) @e] | @s -> affine(tie=e))",
])  # fmt: skip
def test_a_tie_to_a_layer_without_a_shape_is_no_second_error(text: str) -> None:
    (found,) = errors(f"{text} -> affine -> softmax")
    assert found.code in ("NS414", "NS201")
    known(Source(f"{text} -> affine -> softmax"), GIVEN)


@pytest.mark.parametrize(("text", "where"), [
    ("def dec(src) = affine(tie = src) net affine(4) @enc -> dec(src=enc)", "the net"),
    ("def dec = affine(tie = enc.T) net affine(4) @enc -> dec", "the net"),
    ("def enc(w) = affine(w) @enc net enc(4) -> affine(tie = enc)", "def enc(w=4)"),
])  # fmt: skip
def test_a_tie_out_of_a_def_says_that_names_stay_inside(text: str, where: str) -> None:
    (found,) = errors(f"{text} -> affine -> softmax")
    assert found.code == "NS211"
    assert f"`@enc` is a name of {where}" in (found.help or "")
    assert "seen there alone: what is tied belongs into one def, or into the net" in (found.help or "")


POOL = ("a", "e", "k", "m")


@dataclass
class Writer:
    """Draws chains that keep four features. `numbers` and `layers` are the values that the words of a chain may mean, `calls` the defs."""

    random: Random
    numbers: set[str] = field(default_factory=set)
    layers: set[str] = field(default_factory=set)
    calls: dict[str, str] = field(default_factory=dict)

    def lets(self, free: list[str]) -> list[str]:
        found = []
        for name in free:
            is_number = self.random.random() < 0.6
            (self.numbers if is_number else self.layers).add(name)
            value = str(self.random.randint(2, 6)) if is_number else self.random.choice(("relu", "tanh", "leaky_relu(0.2)"))
            found.append(f"let {name} = {value}")
        return found

    def defined(self, name: str) -> str:
        """A def with a parameter; calls of it are `calls[name]`."""
        parameter, is_number = self.random.choice(POOL), self.random.random() < 0.5
        inner = Writer(self.random, self.numbers - {parameter}, self.layers - {parameter}, dict(self.calls))
        (inner.numbers if is_number else inner.layers).add(parameter)
        inner.calls.pop(parameter, None)
        text = f"def {name}({parameter} = {'5' if is_number else 'elu'}) = {inner.chain()}"
        self.calls[name] = self.random.choice((f"{name}()", f"{name}({parameter} = {'3' if is_number else 'silu'})"))
        return text

    def chain(self) -> str:
        points: list[str] = []
        parts = ["affine(4)"]
        for _ in range(self.random.randint(2, 6)):
            kind = self.random.choice(("point", "point", "tie", "tie", "tie", "read", "width", "layer", "over", "call"))
            name = self.random.choice(POOL)
            if kind == "point" and name not in points:
                parts.append(f"[affine(4) @{name}]")
                points.append(name)
            elif kind == "tie" and points:
                parts.append(f"affine(tie = {self.random.choice(points)}{self.random.choice(('', '.T'))})")
            elif kind == "read" and points:
                parts.append(f"add(id | @{self.random.choice(points)})")
            elif kind == "width" and self.numbers:
                parts.append(f"affine({self.random.choice(sorted(self.numbers))})-affine(4)")
            elif kind == "layer" and self.layers:
                parts.append(self.random.choice(sorted(self.layers)))
            elif kind == "over":
                parts.append(f"[affine({name})-affine(4)]x({name}: 2, 3)")
            elif kind == "call" and self.calls:
                parts.append(self.calls[self.random.choice(sorted(self.calls))])
        return " -> ".join(parts)


def drawn(seed: int) -> tuple[str, str]:
    """A text, and the file `b.net` that it uses."""
    random = Random(seed)
    inside = Writer(random)
    names = random.sample(POOL, 3)
    used = [*inside.lets(names[:2]), inside.defined("f"), inside.defined(names[2])]
    outside = Writer(random, calls=inside.calls)
    own = random.sample(POOL, 2)
    own = [name for name in own if name not in inside.calls]
    text = ['use "b.net"', *outside.lets(own), outside.defined("g"), f"net {outside.chain()} -> f() -> affine -> softmax"]
    return "\n".join(text), "\n".join(used)


def same(one: Program, again: Program) -> bool:
    alike = [call.layer for call in one.net] == [call.layer for call in again.net]
    return alike and str(to_graph(one)) == str(to_graph(again)) and one.resolved == again.resolved


def test_names_that_collide_mean_the_same_without_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ties = 0
    for seed in range(400):
        text, used = drawn(seed)
        Path("b.net").write_text(used)
        Path("m.net").write_text(text)
        one = load(source_of(Path("m.net")), GIVEN)
        assert same(one, load(Source(one.resolved))), f"{used}\n---\n{text}\n---\n{one.resolved}"
        ties += any(call.shares_weight_of is not None for call in one.net)
    assert ties > 150


def test_a_tie_in_a_used_file_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for tie in ("e", "e.T"):
        Path("b.net").write_text(f"let e = 10\ndef f(c) = [affine(c) @e] -> relu -> affine(e) -> relu -> affine(tie = {tie})")
        Path("m.net").write_text(
            'netspec 1\nuse "b.net"\ndata { source = digits }\nnet flatten -> [affine(10)] -> f(10) -> affine -> softmax'
        )
        resolved = load(source_of(Path("m.net"))).resolved
        assert f"affine(tie={tie})" in resolved.replace(" ", "")
        assert "affine(10)" in resolved
        load(Source(resolved))


def test_the_law_sees_a_value_in_the_place_of_a_point() -> None:
    right = "def f = [affine(4) @e] -> affine(tie = e) input 4 classes 3 net f -> affine -> softmax"
    with pytest.raises(SpecError):
        load(Source(right.replace("tie = e", "tie = 3")))
    assert not same(load(Source(right)), load(Source(right.replace("tie = e", "tie = e.T"))))
