"""Laws of the Python builder: it prints as the text, has every feature of the text, and is checked in the words of the text."""

from __future__ import annotations

import operator
import subprocess
import sys
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from drawn_specs import CHAINS, FILES
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from rebuilt import canonical, chain, meaning, program
from test_frontend import WHOLE

import netspec as ns
from netspec.base.layer import Layer
from netspec.base.text import Source
from netspec.catalog.registry import FOLDERS, entries
from netspec.frontend import limits, syntax
from netspec.frontend.builder_value import as_value
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse, parse_value
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.frontend.values import Scope, evaluate

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
ENCODER = ns.affine(100).named("enc")


COPIES = r"the number of copies is a whole number of at least 0, as in ns.repeat\(block, 4\); this is "
JOINS = (operator.add, operator.mul, operator.or_)
UNDECIDED: list[Callable[[Any], Any]] = []
"""Functions that want to know a number that is not there yet."""


@UNDECIDED.append
def compared(c: Any) -> Any:
    return ns.conv(c) if c > 3 else ns.relu


@UNDECIDED.append
def equalled(c: Any) -> Any:
    return ns.conv(c) if c == 3 else ns.relu


@UNDECIDED.append
def tested(c: Any) -> Any:
    return ns.conv(c) if c else ns.relu


@UNDECIDED.append
def counted(c: Any) -> Any:
    return next(ns.relu for _ in range(c))


@UNDECIDED.append
def rounded(c: Any) -> Any:
    return ns.conv(int(c))


def quotient(c: Any) -> Any:
    return ns.conv(c / 2)


def looked_up(c: Any) -> Any:
    return ns.conv({3: 4}[c])


def silent(c: Any) -> Any:
    ns.conv(c)


def layers_of(net: Any) -> list[Layer]:
    return [call.layer for call in load(source_of(net)).net]


# the same text


@pytest.mark.parametrize(
    ("net", "text"),
    [
        (
            ns.repeat(ns.affine(100) - ns.bn() - ns.relu() - ns.dropout(0.25), 4) >> ns.affine() >> ns.softmax(),
            "[affine(100)-bn-relu-dropout(0.25)]x4 -> affine -> softmax",
        ),
        (ns.affine(100) - ns.bn - ns.relu, "affine(100)-bn-relu"),
        (ns.affine - (ns.bn - ns.relu), "affine-bn-relu"),
        (ns.affine >> (ns.bn >> ns.relu), "affine -> bn -> relu"),
        (ns.affine - (ns.bn >> ns.relu), "affine-[bn -> relu]"),
        (ns.conv(8, kernel=(3, 5), pad="same", bias=False), "conv(8, kernel=3x5, pad=same, bias=false)"),
        (ns.affine(init=ns.normal(0.1)), "affine(init=normal(0.1))"),
        (ns.unit(ns.bn >> ns.relu), "[bn -> relu]"),
        (ns.repeat(ns.relu, 2), "[relu]x2"),
        (ns.repeat(ns.affine(3), 2), "affine(3)x2"),
        (ns.repeat(ns.affine(3), 2) - ns.relu, "[affine(3)]x2-relu"),
        (ns.repeat(ns.repeat(ns.relu, 2), 3, tied=True), "[[relu]x2]x3 tied"),
        (ns.repeat(ns.unit(ns.bn - ns.relu), 2), "[bn-relu]x2"),
        (ns.repeat(ns.relu, ns.param("depth") - 1), "[relu]x(depth - 1)"),
        (ns.repeat(ns.relu, "depth"), "[relu]x(depth)"),
        (ns.repeat(lambda c: ns.conv(c) - ns.bn - ns.relu - ns.pool, c=(16, 32, 64)), "[conv(c)-bn-relu-pool]x(c: 16, 32, 64)"),
        (ns.repeat(ns.conv(ns.param("c")) - ns.relu, c=range(1, 3)), "[conv(c)-relu]x(c: 1, 2)"),
        (ns.repeat(ns.conv, c=(16, 32)), "conv(c)x(c: 16, 32)"),
        (ns.res(ns.conv - ns.bn), "res[conv-bn]"),
        (ns.res(ns.conv(64) >> ns.bn, proj=True) - ns.relu, "res[conv(64) -> bn](proj)-relu"),
        (ns.repeat(ns.res(ns.conv - ns.bn), 2), "res[conv-bn]x2"),
        (ns.add(ns.conv - ns.bn, ns.id()), "add(conv-bn | id)"),
        (ns.concat(ns.conv(1), ns.conv(2) >> ns.relu, ns.pool), "concat(conv(1) | conv(2) -> relu | pool)"),
        (ns.mul(ns.sigmoid, ns.id), "mul(sigmoid | id)"),
        ((ns.conv - ns.relu).named("stem") >> ns.add(ns.id, ns.ref("stem")), "conv-relu @stem -> add(id | @stem)"),
        ((ns.conv >> ns.relu).named("stem"), "[conv -> relu] @stem"),
        (ns.relu.named("a").named("b"), "[relu @a] @b"),
        (ns.conv - ns.relu.named("act") - ns.bn, "conv-[relu @act]-bn"),
        (ENCODER >> ns.affine(tie=ENCODER) >> ns.affine(tie=ENCODER.T), "affine(100) @enc -> affine(tie=enc) -> affine(tie=enc.T)"),
        (ns.affine(tie="enc") - ns.affine(tie=ns.ref("enc").T), "affine(tie=enc)-affine(tie=enc.T)"),
        (ns.affine - ns.param("act"), "affine-act"),
        (ns.param("act") - ns.affine, "act-affine"),
        (ns.layer(ns.param("act")) - ns.param("gate"), "act-gate"),
        (ns.layer("hidden")(64, act=ns.tanh), "hidden(64, act=tanh)"),
        (ns.call("hidden"), "hidden()"),
        (ns.block("res", ns.affine, 2, bias=False), "res[affine](2, bias=false)"),
        (ns.branches("max", ns.relu, ns.tanh), "max(relu | tanh)"),
    ],
)
def test_a_net_prints_as_its_text(net: ns.Net, text: str) -> None:
    assert str(net) == text
    assert ns.parse(text) == net.tree
    assert ns.format(net) == f"{text}\n"


LEAVES = st.sampled_from([ns.relu, ns.affine(3), ns.conv(8, kernel=(3, 5)), ns.ref("a"), ns.affine(ns.param("w") + 1), ns.dropout("25%")])


def grown(nets: st.SearchStrategy[ns.Net]) -> st.SearchStrategy[ns.Net]:
    pairs = st.tuples(nets, nets)
    return st.one_of(
        pairs.map(lambda two: two[0] - two[1]),
        pairs.map(lambda two: two[0] >> two[1]),
        pairs.map(lambda two: ns.add(*two)),
        nets.map(ns.unit),
        nets.map(lambda net: net.named("a")),
        nets.map(lambda net: ns.res(net, proj=True)),
        nets.map(lambda net: ns.repeat(net, 2)),
        nets.map(lambda net: ns.repeat(lambda w: net, tied=True, w=(1, 2))),
    )


@SLOW
@given(st.recursive(LEAVES, grown, max_leaves=8))
def test_parsing_what_is_printed_gives_what_was_built(net: ns.Net) -> None:
    assert ns.parse(str(net)) == net.tree
    assert chain(net.chain) == net


@SLOW
@given(FILES)
def test_every_tree_can_be_built(tree: syntax.File) -> None:
    wanted = canonical(tree)
    built = program(wanted)
    assert meaning(built.tree) == meaning(wanted)
    assert parse(Source(str(built))) == built.tree


@SLOW
@given(CHAINS)
def test_both_joins_associate(node: syntax.Chain) -> None:
    one, two = chain(canonical(node)), ns.affine - ns.relu
    for join in (operator.sub, operator.rshift):
        assert join(join(two, one), two) == join(two, join(one, two))


def test_a_tree_that_differs_is_noticed() -> None:
    tree = parse(Source("let a = (1 + 2) * 3 net affine(a)-relu"))
    for text in (
        "let a = 1 + 2 * 3 net affine(a)-relu",
        "let a = (1 + 2) * 3 net affine(a) -> relu",
        "let a = (1 + 2) * 3 net affine-relu",
    ):
        assert meaning(parse(Source(text))) != meaning(tree)
    assert meaning(parse(Source("let a = ((1 + 2)) * (3) net affine(a)-relu"))) == meaning(tree)
    assert canonical(tree) != canonical(parse(Source("let b = (1 + 2) * 3 net affine(b)-relu")))


@pytest.mark.parametrize("path", [*MODELS, WHOLE], ids=lambda path: path.stem)
def test_every_example_can_be_built(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)  # where a text without a file looks for what it uses
    file = ns.load(path)
    built = program(file)
    assert built.tree == file
    assert ns.check(built) == ns.check(path)
    written = [line.split("  #")[0] for line in ns.format(file).splitlines() if line and not line.startswith("#")]
    assert [line for line in str(built).splitlines() if line] == written


# the same meaning


@SLOW
@given(st.recursive(LEAVES.filter(lambda net: "@" not in str(net) and "w" not in str(net)), lambda nets: st.one_of(
    st.tuples(nets, nets).map(lambda two: two[0] - two[1]), st.tuples(nets, nets).map(lambda two: two[0] >> two[1]),
    nets.map(ns.unit), nets.map(lambda net: ns.repeat(net, 2)),
), max_leaves=4))  # fmt: skip
def test_what_joins_mean(net: ns.Net) -> None:
    one, two = layers_of(net), layers_of(ns.tanh)
    assert layers_of(net - ns.tanh) == layers_of(net >> ns.tanh) == one + two
    assert layers_of(ns.unit(net)) == one
    assert layers_of(ns.repeat(net, 3)) == one * 3


NUMBERS = st.integers(-9, 9)
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
}  # fmt: skip
SUMS = st.recursive(
    NUMBERS, lambda parts: st.tuples(st.sampled_from(sorted(SIGNS)), parts, parts) | st.tuples(st.just("neg"), parts), max_leaves=8
)


def calculated(tree: Any, leaf: Callable[[int], Any]) -> Any:
    match tree:
        case int():
            return leaf(tree)
        case ("neg", one):
            return -calculated(one, leaf)
        case (sign, one, other):
            return SIGNS[sign](calculated(one, leaf), calculated(other, leaf))


@SLOW
@given(SUMS)
def test_a_calculation_means_what_python_means_by_it(tree: Any) -> None:
    try:
        number = calculated(tree, int)
    except ZeroDivisionError:
        assume(False)
    written = ns.literal(calculated(tree, ns.literal))
    source = Source(str(written))
    node = parse_value(source)
    assert node == written.node
    assert evaluate(node, Scope(source, {}, 0)).content == number


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (2 * (ns.param("w") + 1), "2 * (w + 1)"),
        (ns.param("w") - 1 - 2, "w - 1 - 2"),
        (ns.param("w") - (ns.param("v") - 2), "w - (v - 2)"),
        (-(ns.param("w") // 2) % 3, "-(w // 2) mod 3"),
        (np.int64(3) - ns.param("w"), "3 - w"),
        (2 * ns.min(ns.param("w"), 64) - ns.max(ns.param("w") // 2, 1), "2 * min(w, 64) - max(w // 2, 1)"),
        (ns.param("w") + ns.literal("25%"), "w + 25%"),
    ],
)
def test_how_a_calculation_is_written(made: Any, text: str) -> None:
    assert str(made) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (100, "100"), (-3, "-3"), (0.25, "0.25"), (1e-5, "1e-5"), (1.5e300, "1.5e300"), (1e16, "1.0e16"), (-0.5, "-0.5"), (3.0, "3.0"),
        (True, "true"), (False, "false"), (np.float64(0.1), "0.1"), (np.int32(7), "7"),
        ("25%", "25%"), ("20ep", "20ep"), ("500it", "500it"), ("1e-3", "1e-3"), ("3x5", "3x5"), ("same", "same"), ("true", "true"),
        ("a.csv", '"a.csv"'), ("data/cifar-10", '"data/cifar-10"'), ("a b", '"a b"'), ("net", '"net"'), ("", '""'), ("-1", '"-1"'),
        ('say "x" \\', '"say \\"x\\" \\\\"'), (Path("data"), '"data"'), (" relu", '" relu"'), ("w + 1", '"w + 1"'), ("# x", '"# x"'),
        ((3, 5), "3x5"), ((3, 32, 32), "3x32x32"), ((30,), "30"), ([1, "x"], "1, x"),
        (["flip"], "flip"), (["flip", ns.crop(4)], "flip, crop(4)"),
        (ns.relu, "relu"), (ns.leaky_relu(0.2), "leaky_relu(0.2)"), (ns.ref("enc"), "enc"),
    ],
)  # fmt: skip
def test_how_values_are_written(given: Any, text: str) -> None:
    value = as_value(given)
    assert str(value) == text
    assert parse(Source(f"let a = {text} net affine")).entries[0] == syntax.Let(syntax.Word("a"), value.node)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_read_as_the_same_decimal(number: float) -> None:
    source = Source(str(as_value(number)))
    read = evaluate(parse_value(source), Scope(source, {}, 0)).content
    assert (type(read), read) == (float, number)


@given(st.text())
def test_a_text_is_a_word_or_the_same_string(text: str) -> None:
    assume("\n" not in text and "\r" not in text)
    source = Source(str(ns.string(text)))
    assert evaluate(parse_value(source), Scope(source, {}, 0)).content == text
    assert str(as_value(text)) in (text, str(ns.string(text)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ns.affine(None), "None is no value of the language; leave the argument out"),
        (lambda: ns.affine(float("nan")), "nan is no value of the language; give a finite number"),
        (lambda: ns.affine({}), r"\{\} \(a dict\) is no value of the language; give a number, True or False, a str"),
        (lambda: ns.conv(8, kernel=(3, 0.5)), "a tuple is a shape, of whole numbers; a list is written"),
        (lambda: ns.let("a", []), "an empty list is no value of the language; leave the key out"),
        (lambda: ns.let("a", [[1, 2], 3]), "1, 2 is a list in a list"),
        (lambda: ns.affine([1, 2]), "1, 2 is several values, and here one is needed"),
        (lambda: ns.min(1), r"min takes two numbers or more: ns.min\(a, b\)"),
        (lambda: ns.split(1), "a split has two parts or more"),
        (lambda: ns.string("a\nb"), "a string of the language is a str on one line"),
        (lambda: ns.param("two words"), r"'two words' \(a str\) is no name of the language: names are made of the letters"),
        (lambda: ns.param("w" * 65), "at most 64"),
        (lambda: ns.let("seed", 3), "`seed` is a word of the language itself, and no name; choose another"),
        (lambda: ns.relu.named("mod"), "`mod` is a word of the language itself"),
        (lambda: ns.affine(ns.affine - ns.relu), "`affine-relu` is a chain, and here a value is needed"),
        (lambda: ns.relu - 3, r"a net is made of layers and nets, such as ns.affine\(100\) - ns.relu; this is 3 \(an int\)"),
        (lambda: "relu" >> ns.relu, r"a net is made of layers and nets.* this is 'relu' \(a str\)"),
        (lambda: ns.add(ns.relu), r"add merges two branches or more: ns.add\(a, b\)"),
        (lambda: ns.repeat(ns.relu), r"repeat takes a number of times: ns.repeat\(block, 4\), or one name with its values"),
        (lambda: ns.repeat(ns.relu, 2, c=(1, 2)), "repeat takes a number of times"),
        (lambda: ns.repeat(ns.relu, c=(1,), d=(2,)), "repeat takes a number of times"),
        (lambda: ns.repeat(ns.conv, c=16), r"the values of `c` stand in a tuple: c=\(16, 32, 64\); this is 16 \(an int\)"),
        (lambda: ns.repeat(ns.conv, c=()), r"`c` is given no values; a repeat over values has one or more, as in c=\(16, 32, 64\)"),
        (lambda: ns.ref(ns.relu), r'`relu` has no name to refer to; give it one: ns.affine\(100\).named\("stem"\)'),
        (lambda: ns.define(lambda *widths: ns.relu), r"a def has parameters with names; `\*widths` takes any"),
        (
            lambda: ns.define(lambda w: ns.affine(w)),
            r'a def needs a name, and a lambda has none: write @ns.define .*; or ns.definition\("hidden", chain, ns.param\("w"\)',
        ),
        (lambda: ns.define(3), r"define takes a Python function that gives a chain: write @ns.define above .* this is 3 \(an int\)"),
        (lambda: ns.define(ns.relu), r"define takes a Python function .* this is Net\(relu\) \(a Word\)"),
        (lambda: ns.define(len), "define takes a Python function"),
        *((lambda make=make: ns.define(make), "`c` has no value while the net is built.* write ns.min or ns.max") for make in UNDECIDED),
        (lambda: ns.define(quotient), "`c`: the language calculates with .* write // for the whole part of a quotient"),
        (lambda: ns.define(looked_up), "looked_up is run once, with names in place of numbers .`c`., and failed: KeyError"),
        (lambda: ns.define(silent), "silent gives None: end it with `return`"),
        *((lambda times=times: ns.repeat(ns.relu, times), COPIES) for times in (-1, 2.5, True, "a b", "25%", ns.literal(2) - 3)),
        *((lambda times=times: ns.repeat(ns.relu, times), "the number of copies is one number") for times in ([2], (2, 3))),
        (lambda: ns.repeat(lambda c: ns.conv(c), 3), "a function that takes a value goes with its values"),
        (lambda: ns.repeat(lambda c, d: ns.conv(c), c=(1, 2)), "is run once, with names in place of numbers .`c`., and failed: TypeError"),
        (lambda: ns.repeat(lambda c: ns.conv(c), c={1, 2}), "the values of `c` stand in a tuple"),
        (lambda: ns.repeat(ns.relu, 2, tied=3), r"tied is True or False; this is 3 \(an int\)"),
        (lambda: ns.res(ns.relu, proj="yes"), "proj is True or False"),
        *(
            (lambda join=join: join(ns.relu, ns.bn), "`relu`: nets are joined by - and >> alone; branches are")
            for join in (operator.add, operator.mul, operator.or_)
        ),
        (lambda: ns.relu[0], "nets are joined by - and >> alone"),
        (lambda: ns.program(ns.relu, names=3), r"names= takes a list of what ns.let and ns.define give.* this is 3 \(an int\)"),
        (lambda: ns.program(ns.relu, use=3), r"use= takes the path of a text, or several in a list; this is 3 \(an int\)"),
        (lambda: ns.program(ns.relu, version=99), "version=99: the language has the version 1"),
        (lambda: ns.definition("f", ns.relu, "w"), r"the parameters of a def are made by ns.param"),
        (lambda: ns.program(ns.relu, names=[3]), "names takes what ns.let and ns.define give"),
        (lambda: ns.program(ns.relu, train=3), "train= takes a mapping of keys, or what stands between the braces as a text; this is 3"),
        (lambda: ns.program(ns.relu, train={"a b": 3}), r'a key of train is a name, or names with points, such as "affine.width"; this is'),
        (
            lambda: ns.program(ns.program(ns.relu)),
            r"a net is made of layers and nets.*; this is Spec\(2 entries\) netspec 1 net relu \(a Spec\)",
        ),
        (lambda: ns.program("relu"), "a net is made of layers and nets"),
    ],
)
def test_what_cannot_be_written_is_told(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ns.UsageError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [lambda: ns.repeat(ns.relu, np.int64(2)), lambda: ns.repeat(ns.relu, 0), lambda: ns.repeat(ns.relu, ns.param("n") - 1),
     lambda: ns.repeat(lambda c: ns.conv(c), c=np.array([1, 2])), lambda: ns.repeat(ns.relu, "n", tied=np.True_)],
)  # fmt: skip
def test_what_can_be_written_is_not_refused(make: Callable[[], ns.Net]) -> None:
    assert "x" in str(make())


# the same checks


@pytest.mark.parametrize("call", ["hidden()", "hidden(1, 2)", "hidden(1, 2, 3)", "hidden(1, q=3)", "hidden(1, w=3)", "bare(3)", "bare(n)"])
def test_the_arguments_of_a_def_are_refused_in_the_words_of_the_text(call: str) -> None:
    bare = ns.definition("bare", ns.relu)
    with pytest.raises(ns.SpecError) as caught:
        eval(call, {"hidden": hidden, "bare": bare, "n": ns.param("n")})
    (entry,) = bare.held.names
    text = f"let n = 1\n{hidden.held.names[0].text}{entry.text}net {call}"
    found = [one for one in ns.check(text) if one.severity == "error"]
    assert [(one.code, one.message, one.help, one.notes) for one in caught.value.diagnostics] == [
        (one.code, one.message, one.help and one.help.replace("= 1", "= n") if "n)" in call else one.help, one.notes) for one in found
    ]


def test_the_arguments_of_a_def_may_be_names() -> None:
    assert str(hidden(ns.param("n"), p=ns.let("q", 0.5), act=ns.leaky_relu(0.2))).endswith("net hidden(n, p=q, act=leaky_relu(0.2))")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ns.affine(100, widht=3), "affine(100, widht=3)"),
        (lambda: ns.affine(2.5), "affine(2.5)"),
        (lambda: ns.conv(8, 3), "conv(8, 3)"),
        (lambda: ns.affine(100, width=3), "affine(100, width=3)"),
        (lambda: ns.dropout(1.5), "dropout(1.5)"),
        (lambda: ns.relu(ns.affine(3)), "relu(affine(3))"),
        (lambda: ns.affine(init=ns.call("nrmal", 0.1)), "affine(init=nrmal(0.1))"),
        (lambda: ns.conv(ns.param("c"), kernel=0, widht=3), "conv(c, kernel=0, widht=3)"),
    ],
)
def test_arguments_are_refused_in_the_words_of_the_text(make: Callable[[], object], text: str) -> None:
    with pytest.raises(ns.SpecError) as caught:
        make()
    found = [one for one in ns.check(text) if "`c` has no value" not in one.message]
    assert [str(one) for one in caught.value.diagnostics] == [str(one) for one in found if one.severity == "error"]


def samples(bad: bool) -> list[tuple[str, str]]:
    return [
        (one.call, getattr(one, "code", "")) for layer in entries(Layer).values() for one in (layer.bad_samples if bad else layer.samples)
    ]


@pytest.mark.parametrize("call", [call for call, _ in samples(bad=False)])
def test_every_sample_of_a_layer_can_be_built(call: str) -> None:
    assert str(program(ns.parse(call))) == ns.format(ns.parse(call)).strip()


@pytest.mark.parametrize(("call", "code"), samples(bad=True))
def test_every_bad_sample_is_refused_when_built_or_compiled(call: str, code: str) -> None:
    wanted = [str(one) for one in ns.check(call)]
    try:
        found = [str(one) for one in ns.check(program(ns.parse(call)))]
    except ns.SpecError as error:
        found = [str(one) for one in error.diagnostics]
        assert [one.code for one in error.diagnostics] == [code]  # noqa: PT017  the other samples are left to the check
    assert found == wanted


@pytest.mark.parametrize(
    "net",
    [
        ns.affine("width"), ns.affine(ns.param("width") // 0.5), ns.reshape(), ns.conv(30, groups="g"), ns.affine(tie=ns.ref("enc").T),
        ns.layer("nothing_known")(1, 2, 3, x=4), ns.dropout(ns.param("p"), ), ns.affine(init=ns.normal("std")), ns.call("choice", 1, 2),
    ],
)  # fmt: skip
def test_what_only_the_whole_program_can_tell_waits(net: ns.Net) -> None:
    assert ns.parse(str(net)) == net.tree


def test_a_finding_points_into_the_printed_text() -> None:
    spec = ns.program(ns.affine("width") >> ns.softmax, train={"batch": 0}, classes=3)
    found = {one.code: one for one in ns.check(spec)}
    assert (found["NS203"].path, found["NS203"].line, found["NS203"].column) == ("<string>", 4, 12)
    assert found["NS302"].source is not None
    assert str(spec).splitlines()[found["NS302"].line - 1] == "train { batch = 0 }"
    with pytest.raises(ns.SpecError, match=r"`batch` of train must be a whole number of at least 1; this is 0"):
        ns.compile(spec)


# whole programs

WIDTH = ns.let("width", 128)


@ns.define
def hidden(w: Any, p: Any = "25%", *, act: Any = ns.relu) -> ns.Net:
    return ns.affine(w) - ns.bn - act - ns.dropout(p)


DIGITS = """\
netspec 1

let width = 128
def hidden(w, p = 25%, act = relu) = affine(w)-bn-act-dropout(p)

data { source = digits; split = 80% / 10% / 10%; normalize = rescale }
defaults { affine.bias = false }
net hidden(width)x2 -> affine -> softmax
train { optimizer = adam(lr=0.003); batch = 64; epochs = 2; schedule = warmup(1ep, then=cosine) }
seed 0
"""


def digits(**more: Any) -> ns.Spec:
    return ns.program(
        ns.repeat(hidden(WIDTH), 2) >> ns.affine >> ns.softmax,
        names=[WIDTH],
        data={"source": ns.digits, "split": ns.split("80%", "10%", "10%"), "normalize": "rescale"},
        defaults={"affine.bias": False},
        train={"optimizer": ns.adam(lr=0.003), "batch": 64, "epochs": 2, "schedule": ns.warmup("1ep", then=ns.cosine)},
        seed=0,
        **more,
    )


def test_a_whole_program_prints_as_its_file(tmp_path: Path) -> None:
    assert ns.format(digits()) == DIGITS
    assert str(digits()) == DIGITS.rstrip("\n")
    (tmp_path / "digits.net").write_text(ns.format(digits()))
    assert ns.load(tmp_path / "digits.net") == digits().tree == ns.parse(DIGITS)
    assert ns.check(digits()) == []


def test_every_entry_has_its_keyword() -> None:
    spec = ns.program(
        ns.layer("block")(3) >> ns.linear, version=1, use=["blocks.net", Path("more.net")], names={"a": 3, "b": ["flip", "crop"]},
        data="source = npz; path = \"a.npz\"", input=(3, 32, 32), outputs=2, train="batch = 3",
        search={"train.lr": ns.call("log", 1e-4, "1e-2"), "a": ns.call("choice", 3, 4)}, seed=3,
    )  # fmt: skip
    text = """
        netspec 1 use "blocks.net" use "more.net" let a = 3 let b = flip, crop data { source = npz; path = "a.npz" } input 3x32x32
        outputs 2 net block(3) -> linear train { batch = 3 } search { train.lr = log(0.0001, 1e-2); a = choice(3, 4) } seed 3"""
    assert spec.tree == ns.parse(text)
    library = ns.program(version=None, names=[hidden])
    assert str(library) == "def hidden(w, p = 25%, act = relu) = affine(w)-bn-act-dropout(p)"


@pytest.mark.parametrize(
    ("section", "key", "given", "text"),
    [
        ("data", "path", "x/cifar-10", '"x/cifar-10"'),
        ("data", "path", "houses.csv", '"houses.csv"'),
        ("data", "target", "age(years)", '"age(years)"'),
        ("data", "source", "digits", "digits"),
        ("data", "split", "80% / 10% / 10%", "80% / 10% / 10%"),
        ("data", "split", ns.split(1000, "50"), "1000 / 50"),
        ("data", "features", ["age", "my column"], 'age, "my column"'),
        ("data", "transforms", "flip, crop(4)", "flip, crop(4)"),
        ("train", "optimizer", "adam(lr=1e-3)", "adam(lr=1e-3)"),
        ("train", "optimizer", ns.call("adam", lr="1e-3"), "adam(lr=1e-3)"),
        ("train", "schedule", ns.cosine("20ep"), "cosine(20ep)"),
        ("train", "class_weights", "balanced", "balanced"),
        ("train", "class_weights", [1, 2.5], "1, 2.5"),
        ("train", "dtype", "float64", "float64"),
        ("train", "lr", "1e-3", "1e-3"),
        ("defaults", "affine.init", "normal(0.1)", "normal(0.1)"),
        ("search", "train.lr", "log(1e-4, 1e-2)", "log(1e-4, 1e-2)"),
    ],
)
def test_how_the_value_of_a_key_is_written(section: str, key: str, given: Any, text: str) -> None:
    spec = ns.program(ns.affine, **{section: {key: given}})
    assert f"{section} {{ {key} = {text} }}" in str(spec)
    assert ns.parse(str(spec)) == spec.tree


def test_a_text_with_an_error_is_refused_at_its_key() -> None:
    with pytest.raises(ns.SpecError, match=r"--> <train.optimizer>:1:6"):
        ns.program(ns.affine, train={"optimizer": "adam("})
    with pytest.raises(ns.SpecError, match=r"--> <train>:1:7"):
        ns.program(ns.affine, train="batch 3")


def test_a_net_brings_the_names_that_it_uses() -> None:
    drop = ns.let("drop", "20%")
    inner = ns.definition("inner", ns.dropout(drop) - ns.relu)
    w = ns.param("w", 2 * WIDTH)
    outer = ns.definition("outer", ns.affine(w) - inner, w)
    net = ns.repeat(outer, w=(1, 2)) >> outer(WIDTH + 1)
    assert str(net).splitlines() == [
        "netspec 1",
        "",
        "let drop = 20%",
        "def inner = dropout(drop)-relu",
        "let width = 128",
        "def outer(w = 2 * width) = affine(w)-inner",
        "",
        "net outer(w)x(w: 1, 2) -> outer(width + 1)",
    ]
    assert [layer.name for layer in layers_of(net)] == ["affine", "dropout", "relu"] * 3
    assert [one.code for one in ns.check(net - ns.affine(ns.let("width", 3)))] == ["NS206"]
    assert "let act = relu" in str(ns.layer(ns.let("act", ns.relu)) - ns.bn)


def test_a_built_net_compiles_to_the_same_model() -> None:
    net = ns.repeat(ns.affine(ns.let("width", 16)) - ns.bn - ns.relu, 2) >> ns.affine >> ns.softmax
    text = "[affine(width)-bn-relu]x2 -> affine -> softmax"
    x = np.random.default_rng(0).normal(size=(5, 7))
    one = ns.compile(net, input=7, classes=3, seed=4, width=8)
    two = ns.compile(text, input=7, classes=3, seed=4, width=8)
    assert one.params["affine1.W"].shape == (7, 8)
    np.testing.assert_array_equal(one.forward(x), two.forward(x))
    act = ns.compile("affine(4)-act", input=7, act=ns.leaky_relu(0.2)).program.net[1].layer
    assert act == ns.compile("affine(4)-leaky_relu(0.2)", input=7).program.net[1].layer
    assert ns.optimizer(ns.sgd(lr=0.5)).optimizer == ns.optimizer("sgd(lr=0.5)").optimizer
    assert str(ns.transform(ns.crop(4))) == str(ns.transform("crop(4)"))


def test_branches_names_and_ties_compile_to_the_same_model() -> None:
    stem = (ns.affine(6) - ns.relu).named("stem")
    code = ns.affine(4).named("code")
    net = stem >> ns.res(ns.affine(6) - ns.relu) >> ns.add(ns.id, ns.ref(stem)) >> code >> ns.affine(6, tie=code.T) >> ns.affine
    text = "affine(6)-relu @stem -> res[affine(6)-relu] -> add(id | @stem) -> affine(4) @code -> affine(6, tie=code.T) -> affine"
    x = np.random.default_rng(0).normal(size=(5, 7))
    one, two = (ns.compile(spec, input=7, outputs=2) for spec in (net, text))
    assert list(one.params) == list(two.params)
    np.testing.assert_array_equal(one.forward(x), two.forward(x))


def test_a_built_program_trains_and_is_restored(tmp_path: Path) -> None:
    run = ns.train(digits(), run_dir=tmp_path / "run", **{"train.epochs": 1, "train.optimizer": ns.sgd(lr=0.1), "width": 8})
    assert (run.path / "spec.net").read_text() == DIGITS
    assert run.model.program.train.optimizer == ns.optimizer("sgd(lr=0.1)").optimizer
    assert ns.restore(run.path).params["affine1.W"].shape == (64, 8)


# what a part is


def test_parts_never_change() -> None:
    net = ns.affine(100) - ns.relu
    longer = net
    longer -= ns.bn
    assert (str(net), str(longer)) == ("affine(100)-relu", "affine(100)-relu-bn")
    with pytest.raises(FrozenInstanceError):
        net.chain = longer.chain  # type: ignore[misc]
    assert ns.bn == ns.bn() != ns.call("bn")
    assert len({ns.bn, ns.bn(), ns.relu}) == 2
    assert repr(net) == "Net(affine(100)-relu)"
    assert repr(ns.param("w") + 1) == "Value(w + 1)"
    assert repr(ns.program(ns.relu)) == "Spec(2 entries)\nnetspec 1\n\nnet relu"


def doubled(net: Any) -> Any:
    return net >> net


@pytest.mark.parametrize(
    ("grow", "code"),
    [
        (doubled, "NS801"),
        (ns.unit, "NS803"),
        (ns.res, "NS803"),
        (lambda net: ns.repeat(net, 2), "NS803"),
        (lambda net: net - (ns.bn >> ns.relu).named("a") - ns.repeat(ns.affine(3), 2), "NS801"),
        (lambda net: ns.bn - (net >> ns.bn), "NS803"),
        (lambda net: ns.add(net, ns.id), "NS803"),
        (lambda net: ns.call("f", net if len(net.chain.runs) == 1 else ns.id), "NS803"),
    ],
)
def test_what_no_text_can_hold_is_refused_while_it_is_built(grow: Callable[[Any], Any], code: str) -> None:
    assert refusal(ns.relu, grow) == code


def refusal(part: Any, grow: Callable[[Any], Any]) -> str:
    """The code of the limit that ends the growth; the largest part still prints."""
    for _ in range(100_000):
        try:
            part = grow(part)
        except ns.LimitError as error:
            str(part)
            return error.diagnostics[0].code
    return "none"


def test_values_have_the_same_limits() -> None:
    assert refusal(ns.param("w"), lambda value: (value + 1) * 2) == "NS803"
    assert refusal(ns.param("w"), operator.neg) == "NS803"
    assert refusal(ns.param("w"), lambda value: ns.max(value, 1)) == "NS803"
    assert refusal(ns.param("w"), lambda value: value + value * 1) == "NS801"
    assert refusal(ns.param("w"), lambda value: value) == "none"


@pytest.mark.parametrize("grow", [ns.unit, lambda net: ns.add(net, ns.id), lambda net: ns.repeat(ns.add(net, ns.id), 2)])
def test_what_a_text_may_nest_may_be_built(grow: Callable[[Any], Any]) -> None:
    net: Any = ns.relu
    for _ in range(limits.NESTING):
        net = grow(net)
    assert ns.format(ns.parse(str(net))) == ns.format(net)  # by text: to compare such trees takes a deep stack
    with pytest.raises(ns.LimitError, match="brackets are nested more than 64 deep"):
        grow(net)
    body = ns.definition("f", net)
    assert ns.unit(body - body) == ns.unit(body - ns.definition("f", net))


# the package's words


def test_every_word_of_the_catalogue_is_an_attribute() -> None:
    words = {name for contract in FOLDERS for name in entries(contract)}
    assert words & set(ns.__all__) <= {"add", "concat", "mul", "res"}, "else a word of the package hides one of the catalogue"
    for name in words - set(ns.__all__):
        assert str(getattr(ns, name)) == name
    assert words <= set(dir(ns))


def test_a_users_layer_is_an_attribute_too() -> None:
    class Users(ns.Rearrangement):
        """y = x, of a user's own."""

        name: ClassVar[str] = "of_a_user"
        output_shape = onnx = reference = lambda *_: None
        samples = bad_samples = ()

    assert str(ns.affine(3) - ns.of_a_user) == "affine(3)-of_a_user"
    with pytest.raises(ns.SpecError, match="of_a_user takes no arguments"):
        ns.of_a_user(3)
    del Users.name  # so that no other test finds it
    with pytest.raises(AttributeError, match="of_a_user"):
        ns.of_a_user  # noqa: B018


@pytest.mark.parametrize(
    ("name", "near"), [("afine", "affine"), ("dense", "affine"), ("repaet", "repeat"), ("optimiser", "optimizer"), ("adamm", "adam")]
)
def test_a_misspelt_name_is_an_attribute_error_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(AttributeError, match=rf"module 'netspec' has no attribute '{name}'; did you mean `{near}`\?"):
        getattr(ns, name)
    for private in ("_afine", "__wrapped__", "qqqqqqqq"):
        with pytest.raises(AttributeError, match=rf"module 'netspec' has no attribute '{private}'$"):
            getattr(ns, private)


def test_only_what_points_has_a_transpose() -> None:
    with pytest.raises(
        AttributeError, match=r'only what has a name has a transpose, such as ns.affine\(100\).named\("enc"\); `relu` has none'
    ):
        ns.relu.T  # noqa: B018


def test_building_and_checking_need_no_numba() -> None:
    build = "ns.check(ns.affine(5, bias=False) >> ns.affine >> ns.softmax, input=5, classes=3)"
    code = f"import sys, netspec as ns\nassert {build} == []\nprint('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "False"


def test_the_formatter_prints_what_is_built() -> None:
    tree = digits().tree
    assert format_file(tree) == ns.format(digits()) == ns.format(tree)


SLIPS: tuple[tuple[Callable[[], Any], str], ...] = (
    (lambda: -ns.affine, "nets are joined by - and >> alone"),
    (lambda: ns.res(ns.affine(4), "proj"), r"ns\.res\(chain, proj=True\)"),
    (lambda: ns.program(net=ns.affine), "the net stands first, without a key"),
    (lambda: ns.program(ns.affine, optimizer=ns.adam), "program has no key `optimizer`; its keys are version, use"),
    (lambda: ns.define("f", ns.affine), r"ns\.definition\(\"hidden\", chain\)"),
    (lambda: ns.layer("affine", 3), r"ns\.layer\(\"affine\"\)\(3\)"),
    (lambda: ns.relu()(), "a layer is called once"),
    (lambda: ns.affine(4)(3), "a layer is called once"),
    (lambda: ns.program(ns.affine, train={"foo": 1}), "train has no key `foo`; its keys are optimizer, batch"),
    (lambda: ns.program(ns.affine, train={"epoch": 1}), r"train has no key `epoch`; did you mean `epochs`\?"),
    (lambda: ns.program(ns.affine, data={"path.x": 1}), r"data has no key `path\.x`"),
    (lambda: ns.block("foo", ns.affine), r"goes before `\[chain\]` but res; this is 'foo'"),
)


@pytest.mark.parametrize(("slip", "told"), SLIPS)
def test_slips_of_python_are_told_with_what_to_write(slip: Callable[[], Any], told: str) -> None:
    with pytest.raises(ns.NetspecError, match=told):
        slip()


def test_a_word_of_the_catalogue_is_checked_where_another_kind_is_needed() -> None:
    for wrong in (ns.relu, ns.adam):
        with pytest.raises(ns.SpecError, match="unknown initial-weight rule"):
            ns.affine(init=wrong)
    assert str(ns.affine(init=ns.he)) == "affine(init=he)"
    assert str(ns.affine(init=ns.param("rule"))) == "affine(init=rule)"  # a name that has its value later
    assert str(ns.program(ns.affine, train={"lr": 0.1}).tree.entries[-1].pairs[0].key) == "('lr',)"  # type: ignore[union-attr]
