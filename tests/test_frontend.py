"""Laws of the language: round trips, what expansion means, which value counts, limits, and nothing but SpecError on any text."""

from __future__ import annotations

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from drawn_specs import FILES
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import netspec
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError, UsageError
from netspec.base.layer import Layer
from netspec.base.text import Source
from netspec.catalog.registry import FOLDERS, entries
from netspec.frontend import syntax
from netspec.frontend.bind import layers
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse
from netspec.frontend.program import Call, Overrides, Program
from netspec.frontend.validate import load
from netspec.graph.check import to_graph

GOLDEN = Path(__file__).parent / "golden" / "frontend"
WHOLE = GOLDEN / "whole.net"


def program(text: str, **overrides: object) -> Program:
    return load(Source(text), Overrides(**overrides))  # type: ignore[arg-type]


def chain(text: str, **overrides: object) -> list[Layer]:
    return [call.layer for call in program(text, **overrides).net]


def meaning(one: Program) -> object:
    """What a program means: everything but the places of its words and how it was written."""
    calls = [(call.layer, call.explicit | call.from_defaults) for call in one.net]
    return calls, one.train, one.data, one.input, one.classes, one.outputs, one.seed


# programs drawn from the grammar, as trees


SLOW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@SLOW
@given(FILES)
def test_formatting_a_tree_and_parsing_it_gives_the_tree(tree: syntax.File) -> None:
    text = format_file(tree)
    again = parse(Source(text))
    assert again == tree
    assert format_file(again) == text


@SLOW
@given(FILES)
def test_a_whole_file_fits_one_line(tree: syntax.File) -> None:
    assert (
        parse(Source(" ; ".join(format_file(tree).splitlines()) if not _is_multiline(tree) else format_file(tree).replace("\n", " ")))
        == tree
    )


def _is_multiline(tree: syntax.File) -> bool:
    return len(format_file(tree).splitlines()) > len(tree.entries)


def test_the_round_trip_notices_a_difference() -> None:
    assert parse(Source("affine(100)-relu")) != parse(Source("affine(100) -> relu"))
    assert parse(Source("[relu]x4")) != parse(Source("[relu]x5"))
    assert parse(Source("affine")) != parse(Source("affine()"))


WITH_COMMENTS = """\
# what this is

netspec 1 # the version
let a = 3   # three

# a block
def f(w) = affine(w)  # first
    -> bn
    # then the gate
    -> relu # second
net f(a) -> [ # inside
  affine-bn ]x2
train { # settings
    batch = 10; epochs = ( # odd
      2)   # two
    # no more keys
}
# the end
"""


def test_formatting_keeps_every_comment_and_changes_nothing_the_second_time() -> None:
    tree = parse(Source(WITH_COMMENTS))
    text = format_file(tree)
    comments = [line[line.index("#") :].strip() for line in WITH_COMMENTS.splitlines() if "#" in line]
    assert sorted(line[line.index("#") :].strip() for line in text.splitlines() if "#" in line) == sorted(comments)
    assert parse(Source(text)) == tree
    assert format_file(parse(Source(text))) == text
    assert text == (GOLDEN / "comments.net").read_text()


@SLOW
@given(st.data())
def test_comments_anywhere_survive(data: st.DataObject) -> None:
    lines = WHOLE.read_text().splitlines()
    for number in data.draw(st.lists(st.integers(0, len(lines) - 1), max_size=5, unique=True)):
        lines[number] += f" # note {number}" if data.draw(st.booleans()) else f"\n  # note {number}"
    tree = parse(Source("\n".join(lines)))
    text = format_file(tree)
    assert text.count("# note") == "\n".join(lines).count("# note")
    assert parse(Source(text)) == tree
    assert format_file(parse(Source(text))) == text


def test_spaces_and_signs_that_mean_the_same() -> None:
    same = [
        "[affine-relu]x4 -> bn",
        "[affine - relu]\u00d74 \u2192 bn",
        "[affine-relu] x 4->bn",
        "[affine-relu]x(4) -> bn",
        "[\naffine-relu\n]\nx4\n-> bn",
    ]
    assert len({format_file(parse(Source(text))) for text in same}) == 1


# meaning


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("[affine(3)-relu]x2", "affine(3)-relu-affine(3)-relu"),
        ("affine(3)-relu", "affine(3) -> relu"),
        ("[affine(c)-relu]x(c: 3, 4)", "affine(3)-relu-affine(4)-relu"),
        ("[relu]x0 -> affine(2)", "affine(2)"),
        ("[[relu]x2-bn]x2", "relu-relu-bn-relu-relu-bn"),
        ("let d = 3 net [relu]x(d - 1)", "relu-relu"),
        ("def f(w, p = 25%) = affine(w)-dropout(p) net f(5)x2", "affine(5)-dropout(0.25)-affine(5)-dropout(0.25)"),
        ("def f = relu-bn net f", "relu-bn"),
        ("def f(act = relu) = affine(1)-act net f(tanh)-f-f(leaky_relu(0.5))", "affine(1)-tanh-affine(1)-relu-affine(1)-leaky_relu(0.5)"),
        ("def f(w) = affine(w) def g(w) = f(w + 1)-f(w = w * 2) net g(3)", "affine(4)-affine(6)"),
        ("let a = leaky_relu(0.1) net affine(1)-a", "affine(1)-leaky_relu(0.1)"),
        ("def f(u) = u-relu net f(affine(3))", "affine(3)-relu"),
        ("affine(width = 3)", "affine(3)"),
        ("affine(1e2)", "affine(100)"),
        ("affine(7 // 2 + 7 mod 3 * 2 - -1)", "affine(6)"),
        ("affine(min(3, 4) + max(1, 2, 5))", "affine(8)"),
        ("affine((1 + 2) * 3)", "affine(9)"),
        ("conv(8, kernel=3x5)", "conv(filters=8, kernel=3x5)"),
        ("conv(8, kernel=3)", "conv(8, kernel=3x3)"),
        ("defaults { affine.width = 7 } net affine-affine(8)", "affine(7)-affine(8)"),
        ("let w = 3 defaults { affine.width = w } net affine", "affine(3)"),
        ("affine(3, init=normal(0.1))", "affine(init=normal(std=0.1), width=3)"),
    ],
)
def test_two_ways_to_say_the_same(text: str, same: str) -> None:
    assert chain(text) == chain(same)


def test_the_flagship_chain() -> None:
    one = program("[affine-bn-relu-dropout]x4 -> affine -> softmax", input=(3, 32, 32), classes=10)
    assert [call.layer.name for call in one.net] == ["affine", "bn", "relu", "dropout"] * 4 + ["affine", "softmax"]
    assert (one.input, one.classes, one.warnings) == ((3, 32, 32), 10, ())
    assert [call.units[-1].copy for call in one.net[:16:4]] == [1, 2, 3, 4]
    assert len({call.units[0].key for call in one.net[:16]}) == 4


def test_provenance_and_spans() -> None:
    text = "netspec 1\ndef rb(c = 64) = conv(c)-bn\nnet [rb-relu]x3 -> rb(c = 8)\n"
    one = program(text)
    second: Call = one.net[3]
    assert second.notes == ("inside def rb(c=64) (line 2), in copy 2 of 3 of [...]x3 (line 3)",)
    assert one.source.words(second.span) == "conv(c)"
    assert one.source.words(second.name_span) == "conv"
    assert one.source.words(second.arguments["filters"]) == "c"
    assert one.source.words(one.spans["net"]) == "[rb-relu]x3 -> rb(c = 8)"
    assert (second.units[0].copy, second.units[0].copies, second.units[0].text) == (2, 3, "rb-relu")


def test_which_value_counts() -> None:
    one = program("defaults { affine.width = 7; affine.bias = false } net affine-affine(8)")
    assert [(call.explicit, call.from_defaults) for call in one.net] == [
        (frozenset(), frozenset({"width", "bias"})),
        (frozenset({"width"}), frozenset({"bias"})),
    ]


def test_the_last_sigmoid_is_the_head_and_another_the_activation() -> None:
    first, *_, last = chain("sigmoid -> affine -> sigmoid")
    assert (first.kind, last.kind) == ("pointwise", "head")


def test_every_sample_of_the_catalogue_is_a_program() -> None:
    samples = [(name, sample) for name, layer in layers().items() for sample in layer.samples]
    assert samples
    for name, sample in samples:
        calls = program(sample.call).net
        assert name in (calls[0].layer.name, calls[-1].layer.name)  # a merge stands behind its branches


# overrides and the resolved text


def test_overrides_replace_what_the_file_says() -> None:
    text = WHOLE.read_text()
    keys = {"train.batch": 7, "train.epochs": "3", "train.lr": "1e-2", "data.normalize": "none", "data.source": "digits", "seed": 9}
    one = program(text, keys=keys, lets={"width": "3 * 4"}, classes=5, train="l2 = 0.5; batch = 8")
    assert (one.train.batch, one.train.epochs, one.train.optimizer.lr, one.train.l2, one.seed, one.classes) == (7, 3, 0.01, 0.5, 9, 5)
    assert one.data is not None
    assert one.data.normalize == "none"
    assert getattr(one.net[0].layer, "width", None) == 12


def test_an_optimizer_from_outside_replaces_the_rate_of_the_file() -> None:
    text = "net affine train { optimizer = sgd(momentum=0.9); lr = 0.5 }"
    kept, replaced = program(text).train.optimizer, program(text, train="optimizer = sgd(lr=0.25)").train.optimizer
    assert (kept.lr, replaced.lr) == (0.5, 0.25)
    assert program(text, train="optimizer = sgd(lr=0.25)", keys={"train.lr": 2}).train.optimizer.lr == 2.0


def test_lets_of_a_caller() -> None:
    assert chain("affine(width)-act", lets={"width": 5, "act": "leaky_relu(0.2)"}) == chain("affine(5)-leaky_relu(0.2)")
    assert chain("let p = 10% net dropout(p)", lets={"p": 0.5}) == chain("dropout(0.5)")


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        (WHOLE.read_text(), {}),
        (WHOLE.read_text(), {"lets": {"width": 9}, "keys": {"train.lr": 1e-4, "data.split": "1000 / 500"}, "seed": 3}),
        ("[affine-bn-relu-dropout]x4 -> affine -> softmax", {"input": (3, 32, 32), "classes": 10}),
        ("affine(width)-act", {"lets": {"width": 5, "act": "leaky_relu(0.2)"}, "outputs": 3}),
        (
            'net affine-sigmoid data { source = npz; path = "a b/c.npz"; x = "rows"; split = 80% / 20% }',
            {"train": "loss = bce; dtype = float64"},
        ),
        (
            "def f(c, k = 3x5) = conv(c, kernel=k)-[relu-pool(2, stride=1x2)]x2\n"
            "net f(3)-[f(c)]x(c: 2, 4)-flatten-affine(2, init=normal(0.5))",
            {},
        ),
    ],
)
def test_the_resolved_text_means_the_same(text: str, overrides: dict[str, object]) -> None:
    one = program(text, **overrides)
    again = program(one.resolved)
    assert [call.layer for call in again.net] == [call.layer for call in one.net]
    assert meaning(again)[1:] == meaning(one)[1:]  # type: ignore[index]
    assert again.resolved == one.resolved
    assert again.version == 1


# limits and speed

DEEP = "[" * 70 + "relu" + "]" * 70
DOUBLING = "def a0 = relu " + " ".join(f"def a{n} = a{n - 1}-a{n - 1}" for n in range(1, 60)) + " net a59"
EMPTY_DOUBLING = DOUBLING.replace("relu", "[relu]x0", 1)
LISTS = "[" * 40 + "[relu]x0-bn" + "".join(f"]x(c{n}: 1, 2, 3)" for n in range(40))
EMPTY_LISTS = LISTS.replace("-bn", "")
LADDER = "def a0 = relu " + "\n".join(f"def a{n} = a{n - 1}" for n in range(1, 900)) + " net a899"
NESTED_VALUES = "let a0 = f(1) " + "\n".join(f"let a{n} = f(a{n - 1})" for n in range(1, 900)) + " net a899"
WIDE_VALUES = "let a0 = f(1) " + "\n".join(f"let a{n} = f(a=a{n - 1}, b=a{n - 1})" for n in range(1, 60)) + " net a59"
BOMBS = {
    "NS803 wide": WIDE_VALUES,
    "NS801": "# " + "x" * 70_000,
    "NS802": "affine(" + "1" * 5000 + ")",
    "NS803": DEEP,
    "NS803 defs": LADDER,
    "NS803 values": NESTED_VALUES,
    "NS804": "[affine]x1000000000",
    "NS804 nested": "[[[[[[affine]x1000]x1000]x1000]x1000]x1000]x1000",
    "NS804 defs": DOUBLING,
    "NS804 long": "-".join(["relu"] * 10_001).replace(
        "relu-relu-relu-relu-relu-relu-relu-relu-relu-relu", "\nrelu-relu-relu-relu-relu-relu-relu-relu-relu-relu"
    ),
    "NS805": "def f = g def g = h def h = f net f",
    "NS808": EMPTY_LISTS,
    "NS808 lists": LISTS,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_costs_nothing(name: str) -> None:
    chain("affine")  # what is loaded once is not the bomb's cost
    assert min(_seconds_to_refuse(BOMBS[name]) for _ in range(3)) < 0.5
    tracemalloc.start()
    with pytest.raises(LimitError) as caught:
        chain(BOMBS[name])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.diagnostics[0].code == name[:5]
    assert caught.value.exit_code == 6
    assert peak_bytes < 50e6


def _seconds_to_refuse(text: str) -> float:
    begin = time.process_time()  # of this process: other programs may hold the cores
    with pytest.raises(SpecError):
        chain(text)
    return time.process_time() - begin


def test_what_multiplies_nothing_is_allowed() -> None:
    assert chain(f"{EMPTY_DOUBLING} -> relu") == chain("relu")
    assert chain("[[relu]x0]x1000000000 -> relu") == chain("relu")
    assert len(chain("[[relu]x100]x100")) == 10_000


NUMBERED = range(4000)
CROWDS = {
    "lets": "\n".join(f"let a{n} = {n}" for n in NUMBERED),
    "wrong lets": "\n".join(f"let a{n} = b{n}+1" for n in NUMBERED),
    "defs": "\n".join(f"def a{n}=relu" for n in NUMBERED),
    "wrong defs": "\n".join(f"def a{n}=rel{n}" for n in NUMBERED),
    "ladder": "def a0=relu\n" + "\n".join(f"def a{n}=a{n - 1}" for n in NUMBERED[1:]),
    "comments": "#\n" * 30_000 + "net relu",
    "comments of lets": "\n".join(f"let a{n} = 1 #\n#" for n in NUMBERED[:3000]),
    "unknown layers": "net " + "-\n".join(f"afine{n}" for n in NUMBERED),
    "unknown keys": "train {" + "\n".join(f"b{n} = 3" for n in NUMBERED) + "} net relu",
    "nets": "net relu\n" * 4000,
    "sum": "let a = " + "+\n".join("1" * 9 for _ in range(6000)) + " net relu",
    "list": "let a = " + ",\n".join("relu" for _ in NUMBERED) + " net relu",
    "arguments": "affine(" + ",\n".join(f"a{n}=3" for n in NUMBERED) + ")",
    "pieces": "]" * 4000,
    "dashes": "-\n" * 30_000,
    "arrows": "net relu " + "let " * 10_000,
}


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowded_text_takes_less_than_a_second(name: str) -> None:
    chain("affine")
    assert min(_seconds_to_refuse(CROWDS[name] + "\nnet nothing") for _ in range(3)) < 1.0


@pytest.mark.parametrize("text", ["[" * 64 + "relu" + "]" * 64, "affine(" + "(" * 63 + "1" + ")" * 63 + ")", "relu-" * 800 + "relu"])
def test_the_limits_themselves_are_allowed(text: str) -> None:
    assert chain(text)
    assert parse(Source(format_file(parse(Source(text))))) == parse(Source(text))


@pytest.mark.parametrize("call", ["f({})", "f(a={})", "({})", "f(-({}))", "f(1 + 2 * f({}))"])
def test_deep_nesting_needs_no_deep_stack(call: str) -> None:
    text = "1"
    while call.format(text).count("(") <= 64:
        text = call.format(text)
    tree = parse(Source(f"let a = {text} net affine"))
    assert parse(Source(format_file(tree))) == tree
    with_let = program(f"let a = {text} net affine") if call == "({})" else None
    assert with_let is None or with_let.lets["a"] == 1


SIGNS = [*"[](){}-=;,.|@:/*+x\u00d7#\"'%\n ", "->", "\u2192", "//"]
PIECES = [
    "net ",
    "let ",
    "def ",
    "train ",
    "data ",
    "defaults ",
    "input ",
    "relu",
    "affine",
    "softmax",
    " mod ",
    "tied",
    "min(",
    "(3)",
    "x4",
    "x(",
]
ODD = ["0.5", "1e999", "9" * 30, "25%", "20ep", "3x5", "\uff08", "\u2212", "\x00", "\ud800", "\u00e9", "\u00b2"]
FRAGMENTS = st.sampled_from([*SIGNS, *PIECES, *ODD])


@SLOW
@example(base="affine", edits=[(3, 3, "\ud800")])
@given(base=st.sampled_from([WHOLE.read_text(), WITH_COMMENTS, "[affine-bn-relu-dropout]x4 -> affine -> softmax", ""]), edits=st.lists(
    st.tuples(st.integers(0, 800), st.integers(0, 12), FRAGMENTS | st.text(max_size=3)), min_size=1, max_size=6))  # fmt: skip
def test_a_mutated_text_raises_nothing_but_spec_errors(base: str, edits: list[tuple[int, int, str]]) -> None:
    text = base
    for at, length, insert in edits:
        at = min(at, len(text))
        text = text[:at] + insert + text[at + length :]
    begin = time.process_time()
    for found in _refusals(text):
        assert found.line >= 1
        assert found.column >= 1
        assert "^" in str(found)
        assert not any(name in str(found) for name in ("LPAR", "RSQB", "$END", "Token(", "Traceback", "LSQB", "RBRACE"))
    assert time.process_time() - begin < 1.0


def _refusals(text: str) -> tuple[Diagnostic, ...]:
    """The errors of a text; whatever else is raised ends the test."""
    try:
        program(text)
    except SpecError as error:
        return error.diagnostics or pytest.fail("an error without a finding")
    return ()


@SLOW
@given(FILES)
def test_a_random_program_raises_nothing_but_spec_errors(tree: syntax.File) -> None:
    assert all(found.span is not None for found in _refusals(format_file(tree)))


def test_check_is_fast_and_needs_no_numba() -> None:
    code = (
        "import sys, time, lark, numpy, pydantic.fields\nbegin = time.process_time()\n"
        "from netspec.base.text import Source\nfrom netspec.frontend.validate import load\n"
        f"load(Source(open({str(WHOLE)!r}).read()))\n"
        "print(time.process_time() - begin)\nassert 'numba' not in sys.modules, 'numba'"
    )
    seconds = min(float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout) for _ in range(5))
    assert seconds < 0.4  # of one core, what is ours; 0.2 alone


@pytest.mark.parametrize("ends", ["\r\n", "\n\n", "\f\n", " "])
def test_line_ends_mean_nothing(ends: str) -> None:
    text = "netspec 1\nlet a = 3\nnet [affine(a)-relu]x2\n-> affine\ntrain { batch = 3\nepochs = 4 }\n"
    assert parse(Source(text.replace("\n", ends))) == parse(Source(text))


def test_digits_are_ascii() -> None:
    for digit in "\uff13\u0663\u00b2":
        with pytest.raises(SpecError, match="NS1"):
            parse(Source(f"affine({digit})"))
        with pytest.raises(SpecError, match="NS1"):
            parse(Source(f"[relu]x{digit}"))


OWN_LAYER = """
from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend.bind import layers
from netspec.frontend.validate import load
from netspec.graph.check import to_graph

class Own(layers()["relu"]):
    "y = max(x, 0)"
    name = "own_gate"

assert type(load(Source("affine-own_gate")).net[1].layer) is Own
try:
    load(Source("affine-own_gat"))
except SpecError as error:
    print(error)
"""


def test_a_layer_defined_outside_the_package_is_a_word_of_the_language() -> None:
    # in a process of its own: the class would be a word of the language for every test after it
    done = subprocess.run([sys.executable, "-c", OWN_LAYER], capture_output=True, text=True, check=True)
    assert "did you mean `own_gate`" in done.stdout


def test_the_golden_program() -> None:
    one = program(WHOLE.read_text())
    assert one.resolved == (GOLDEN / "whole.resolved.net").read_text()


# values from Python


@pytest.mark.parametrize(
    ("keywords", "parts"),
    [
        ({"dtype": np.float64}, ["train.dtype is given the type float64", 'give its name, "float64"']),
        ({"dtype": np.dtype("float32")}, ['give its name, "float32"']),
        ({"fuse": "no"}, ["`fuse` of train must be true or false"]),
        ({"input": 3.5}, ["this is 3.5", "write input 30"]),
        ({"w": np.arange(3)}, ["w is given a ndarray", "give a number"]),
        ({"w": None}, ["w is given None"]),
        ({"train": {"batch": 3, "l2": 0.1}}, ['train="batch = 3; l2 = 0.1"']),
        ({"train": 3}, ["train= takes a text"]),
    ],
)
def test_a_python_value_that_is_none_of_the_language_is_refused_with_what_to_give(keywords: dict[str, object], parts: list[str]) -> None:
    with pytest.raises((SpecError, UsageError)) as caught:
        netspec.compile("netspec 1 input 5 let w = 3 net affine(w)", **keywords)
    assert all(part in str(caught.value) for part in parts)


def test_python_values_of_the_language_are_taken() -> None:
    text = "netspec 1 let w = 3 net affine(w)"
    assert netspec.check(text, dtype="float64", fuse=False, input="3x8x8", w=np.int64(4), train="batch = 3; l2 = 0.1") == []
    assert netspec.check(text, fuse="false", input=np.int64(5)) == []


@pytest.mark.parametrize("spec", [3, None, b"net affine", ["net affine"]])
def test_a_spec_that_is_no_text_is_a_usage_error(spec: object) -> None:
    for call in (netspec.check, netspec.parse, netspec.load):
        with pytest.raises(UsageError, match="this is "):
            call(spec)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["net affine", "net " + "a" * 5000, "net \n\0 x"])
def test_load_of_a_text_names_parse(text: str) -> None:
    with pytest.raises(UsageError, match=r"no such file; load reads a \.net file, and parse\(text\) takes a text"):
        netspec.load(text)
    with pytest.raises(UsageError, match=r"format takes what parse\(text\) or load\(path\) gives; this is of the type str"):
        netspec.format(text)  # type: ignore[arg-type]


def test_dir_lists_each_public_name_once() -> None:
    listed = dir(netspec)
    assert len(listed) == len(set(listed))
    words = {name for contract in FOLDERS for name in entries(contract)}
    assert set(listed) == {*netspec.__all__, "NetClassifier", "NetRegressor", "__version__", *words}
    assert all(hasattr(netspec, name) for name in listed)


def test_a_key_that_looks_like_a_repeat_is_a_key() -> None:
    file = parse(Source("train { optimizer = adam()\n x4 = 0 }\nnet [affine(3)]x4"))
    section, net = file.entries
    assert isinstance(section, syntax.Section)
    assert [pair.key for pair in section.pairs] == [("optimizer",), ("x4",)]
    assert isinstance(net, syntax.Net)
    assert isinstance(net.chain.runs[0].items[0], syntax.Repeated)


def test_a_file_of_defs_alone_is_fine_to_check_and_nothing_to_run() -> None:
    assert netspec.check("netspec 1 let p = 25% def hidden(w) = affine(w)-relu-dropout(p)") == []
    assert [one.code for one in netspec.check("netspec 1 def hidden(w) = afine(w)-relu")] == ["NS201"]
    assert [one.code for one in netspec.check("netspec 1 let p = 25%")] == ["NS504"]
    with pytest.raises(SpecError, match="NS504"):
        program("def hidden(w) = affine(w)-relu")


def test_a_let_of_the_name_of_a_word_changes_nothing_of_the_resolved_text() -> None:
    one = program("let same = 3 let float64 = 2 input 3x8x8 net conv(4, kernel=same) -> conv(float64)", keys={"train.dtype": "float64"})
    again = program(one.resolved)
    assert [call.layer for call in again.net] == [call.layer for call in one.net]
    assert again.train == one.train
    assert again.resolved == one.resolved


@pytest.mark.parametrize("defaults", ["", "defaults { conv.stride = 2; conv.bias = false; conv.lr_scale = 0.5 }"])
def test_the_resolved_text_of_a_projected_skip_is_the_same_net(defaults: str) -> None:
    """What the layer on the skip is made of is no default of other convolutions."""
    text = f"input 3x8x8 classes 2 {defaults} net conv(4) -> res[conv(8)-bn-conv(8)](proj) -> affine -> softmax"
    one = program(text)
    again = program(one.resolved)
    graphs = [to_graph(each) for each in (one, again)]
    assert str(graphs[0]) == str(graphs[1])
    assert [call.layer for call in again.net] == [call.layer for call in one.net]
    assert again.resolved == one.resolved
