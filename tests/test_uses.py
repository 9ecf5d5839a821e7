"""`use`: what a net means with its files is what its resolved text means alone; large nets with branches are checked at once."""

from __future__ import annotations

import gc
import time
from pathlib import Path

import pytest

import netspec
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import to_graph

HEAD = "input 5 classes 3"
CASES = {
    "a let of a layer's name": ("def f(w) = affine(w)-relu", f'let relu = tanh use "b.net" {HEAD} net f(4) -> affine -> softmax', {}),
    "a let from outside": ("def f(w) = affine(w)-relu", f'use "b.net" {HEAD} net f(4) -> relu -> affine -> softmax', {"relu": "tanh"}),
    "a let of a word": (
        "def f = conv(4, stride=2, pad=same)-relu", 'let same = 1 use "b.net" input 3x9x9 classes 3 net f -> affine -> softmax', {},
    ),
    "a default that is a let of a parameter's name": (
        "let a = tanh def f(a = elu, b = a) = affine(4)-b", f'let a = relu use "b.net" {HEAD} net f -> affine -> softmax', {},
    ),
    "a default of its own name": (
        "let w = 3 def g(w = w) = affine(w)", f'let w = 9 use "b.net" {HEAD} net g -> affine(w) -> affine -> softmax', {},
    ),
    "a negative let": ("let c = -3 def f = affine(10 * -c)-affine(-c)-relu", f'use "b.net" {HEAD} net f -> affine -> softmax', {}),
    "values of a repeat": (
        "let c = 4 def f = [affine(c)-relu]x(c: 2, 3) -> affine(c)", f'use "b.net" {HEAD} net f -> affine -> softmax', {},
    ),
    "a projected skip": (
        "def f = res[conv(7)-relu](proj)",
        'use "b.net" input 3x8x8 classes 3 defaults { conv.pad = 1; conv.lr_scale = 0.5 } net conv(4) -> f -> affine -> softmax', {},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("used", "text", "lets"), CASES.values(), ids=CASES)
def test_the_resolved_text_is_the_same_net_without_the_file(
    used: str, text: str, lets: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("b.net").write_text(used)
    Path("m.net").write_text(text)
    one = load(source_of(Path("m.net")), Overrides(lets=lets))
    Path("b.net").unlink()
    again = load(Source(one.resolved))
    assert [call.layer for call in again.net] == [call.layer for call in one.net]
    assert str(to_graph(again)) == str(to_graph(one))
    assert again.resolved == one.resolved
    assert one.uses.keys() == {"b.net"}
    assert not again.uses


@pytest.mark.parametrize("text", [
    "[affine(8)-relu]x4900 tied -> affine -> softmax",
    "[[[[affine(8)-relu]x9 tied]x9 tied]x9 tied]x6 tied -> affine -> softmax",
    "[add(id | id)]x3000 -> affine -> softmax",
    f"add({' | '.join(['id'] * 800)}) -> affine -> softmax",
    "id @s -> [add(id | @s)]x3000 -> affine -> softmax",
])  # fmt: skip
def test_a_large_net_is_checked_within_a_second(text: str) -> None:
    gc.collect()
    gc.freeze()  # what the tests before have left is not looked through
    try:
        began = time.process_time()
        assert netspec.check(text, input=8, classes=3) == []
        assert time.process_time() - began < 1.0
    finally:
        gc.unfreeze()
