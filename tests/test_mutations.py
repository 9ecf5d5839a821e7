"""Twenty thousand mutated texts: nothing is raised but SpecError, each finding has its place, and none takes a second."""

from __future__ import annotations

import random
import time
from itertools import product

import pytest

from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides
from netspec.frontend.tokens import ENTRY_WORDS
from netspec.graph.check import diagnose, known

BASES = (
    "[affine-bn-relu-dropout]x4 -> affine -> softmax",
    "netspec 1 let w = 3 def rb(c, act = relu) = res[conv(c)-bn-act](proj) input 3x8x8 classes 4\nnet conv(w)-relu @stem -> [rb(4)]x2\n"
    "-> add(id | @stem | conv(w)) -> globalpool -> affine -> softmax",
    "input 6 net affine(6) @e -> [affine(6)-tanh]x3 tied -> concat(id | affine(tie = e.T)-relu) -> mul(id | id) -> affine(2) -> linear",
    "data { source = digits; split = 80% / 10% / 10%; transforms = flip, crop(2) } net [conv(c)-pool]x(c: 4, 8) -> affine -> svm",
    'use "blocks.net" train { optimizer = adam(lr=1e-3); schedule = warmup(2ep, then=cosine(20ep)) } seed 3 net hidden(4) -> affine(2)',
)
PIECES = (
    *"()[]{}|@=,;:.-+*/%#\"\\x0123456789ae \n\t",
    "->", "x4", "x 3", "x(c: 1, 2)", " tied", "@stem", "| id", "res[", "](proj)", "add(", "concat(", "mul(", "tie = e", "e.T", "net ",
    "def f = ", "let a = ", 'use "a.net" ', "netspec 2", "input 3x8x8", "1e999", "9" * 30, "x1000000000", "[" * 70, "é", "\u2192", "\ud800",
    "\x00", "train {", "}", "20ep", "25%", "3x5", "affine", "conv(8)", "relu", "softmax", "min(1,", "mod ", "true",
)  # fmt: skip
CHUNKS, EACH = 8, 2500


def mutated(draw: random.Random) -> str:
    """A text with a few pieces put in, left out, doubled or exchanged."""
    text = draw.choice(BASES)
    for _ in range(draw.randint(1, 5)):
        at, length = draw.randint(0, len(text)), draw.choice((0, 0, 1, 2, 5, 20))
        kept = text[at : at + length]
        text = text[:at] + draw.choice((draw.choice(PIECES), "", kept * 2)) + text[at + length :]
    return text


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_mutated_text_has_findings_and_raises_nothing(chunk: int) -> None:
    draw = random.Random(chunk)
    for number in range(EACH):
        text = mutated(draw)
        began = time.process_time()
        for found in diagnose(Source(text), Overrides(input=(3, 8, 8), classes=4) if number % 2 else Overrides()):
            assert found.line >= 1, text
            assert found.column >= 1, text
            assert found.message, text
            assert "Traceback" not in str(found), text
        assert time.process_time() - began < 1.0, text


def test_what_is_known_of_a_mutated_text_raises_nothing() -> None:
    draw = random.Random(99)
    for _ in range(1000):
        survey = known(Source(mutated(draw)), Overrides(input=(3, 8, 8), classes=4)).survey
        assert survey is None or all(node.output.shape for node in survey.nodes)


AROUND = ("({})", "[{}]", "{{{}}}", "(({}))", "[({})]", "add({} | id)", "add(id | {})", "add({})", "res[{}]", "affine({})", "[relu]x({})",
          "res[relu]({})", "(relu, {})", "({} relu)", "(relu {})")  # fmt: skip
BEFORE = (
    "",
    "net ",
    "net relu -> ",
    "net relu-",
    "net relu ",
    "let a = ",
    "def f = ",
    "def f",
    "input ",
    "train ",
    "net relu train { batch = ",
)
INSIDE = (
    *sorted(ENTRY_WORDS),
    "input 3", "seed 3", "net relu", "train { batch = 3 }", "let a = 3", "def f = relu", 'use "b.net"', "let", "def f",
    *"|@=,;:.-+*/%x", "->", "x4", "tied", "", "| |", ", ,", "a = ", "a.T", "@a", "-relu", "relu-", "3", "3x4", "25%", "true", '"a"',
)  # fmt: skip


@pytest.mark.parametrize("before", BEFORE)
def test_whatever_stands_in_brackets_raises_nothing(before: str) -> None:
    for around, inside in product(AROUND, INSIDE):
        for behind in ("", " -> affine -> softmax"):
            text = f"{before}{around.format(inside)}{behind}"
            for found in diagnose(Source(text), Overrides(input=(4,), classes=3)):
                assert found.line >= 1, text
                assert found.message, text


@pytest.mark.parametrize(("text", "code", "help_text"), [
    ("net relu -> (train)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (input)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (seed 3)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (net relu)", "NS101", "such as [affine(100)-relu]"),
    ("net (train)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (;)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (-relu)", "NS101", "such as [affine(100)-relu]"),
    ("net relu -> (| relu)", "NS101", "write add(a | b), or concat(a | b)"),
    ("net relu -> ()", "NS114", "write the layers"),
    ("net relu -> (relu-bn)", "NS101", "write [relu-bn]"),
    ("net relu -> (relu | bn)", "NS101", "write add(relu | bn)"),
])  # fmt: skip
def test_round_brackets_have_one_finding_and_a_help_that_parses(text: str, code: str, help_text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(Source(text))
    (found,) = caught.value.diagnostics
    assert found.code == code
    assert help_text in (found.help or "")
