"""What a message advises is right, and what is told of a def that nothing calls is true of every call."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from netspec.base.text import Source
from netspec.frontend.convert.keras_layers import LAYERS as KERAS
from netspec.frontend.convert.torch_layers import MODULES as TORCH
from netspec.frontend.format import format_file
from netspec.frontend.text import parse
from netspec.graph.check import check, diagnose
from netspec.ui.cli import app

IMAGE = "netspec 1 input 3x32x32 classes 10 "
VECTOR = "netspec 1 input 20 classes 10 "
BLOCK = "def block(c, act = relu) = conv(c)-act "
SKIP = "net conv(8) @a -> pool -> conv(8) -> "
END = " -> affine -> softmax"
U_NET = (
    "net conv(8) @a -> pool -> conv(8) @b -> pool -> conv(8) -> upsample -> concat(id | @b) -> conv(8) -> upsample -> concat(id | @a)" + END
)
SQUEEZED = "def se(c, r = 4) = mul(id | {}) net conv(8) -> se(8)" + END

ADVICE = [
    (IMAGE + "net conv(8) -> res[conv(8, pad=0)]" + END, "leave `pad` out", IMAGE + "net conv(8) -> res[conv(8)]" + END),
    (
        IMAGE + "net conv(8) -> res[conv(4, pad=0)]" + END,
        "leave `pad` out of conv (line 1), so that height and width stay, and write res[...](proj)",
        IMAGE + "net conv(8) -> res[conv(4)](proj)" + END,
    ),
    (IMAGE + "net conv(8) -> res[conv(8, stride=2)]" + END, "res[...](proj)", IMAGE + "net conv(8) -> res[conv(8, stride=2)](proj)" + END),
    (IMAGE + "net conv(8) -> res[conv(9, stride=2)]" + END, "conv(8, stride=1)", IMAGE + "net conv(8) -> res[conv(8, stride=1)]" + END),
    (
        IMAGE + "net conv(8) -> res[conv(6)-upsample(2)]" + END,
        "add([...] | upsample(2)-conv(6, kernel=1))",
        IMAGE + "net conv(8) -> add([conv(6)-upsample(2)] | upsample(2)-conv(6, kernel=1))" + END,
    ),
    (IMAGE + SKIP + "add(id | @a)" + END, "end branch 1 in upsample(2)", IMAGE + SKIP + "add(upsample(2) | @a)" + END),
    (IMAGE + SKIP + "add(id | @a)" + END, "branch 2 in pool(2)", IMAGE + SKIP + "add(id | @a-pool(2))" + END),
    (IMAGE + SKIP + "concat(id | @a)" + END, "branch 2 in pool(2)", IMAGE + SKIP + "concat(id | @a-pool(2))" + END),
    (
        IMAGE + SKIP + "add(conv(5) | @a)" + END,
        "end branch 2 in conv(5, kernel=1, stride=2)",
        IMAGE + SKIP + "add(conv(5) | @a-conv(5, kernel=1, stride=2))" + END,
    ),
    (
        IMAGE + "net conv(8) -> mul(id | globalpool-affine(4)-sigmoid)" + END,
        "end branch 2 in affine(8)-reshape(8x1x1)-upsample(32)",
        IMAGE + "net conv(8) -> mul(id | globalpool-affine(4)-sigmoid-affine(8)-reshape(8x1x1)-upsample(32))" + END,
    ),
    (
        IMAGE + "def f(c) = res[conv(c)-relu] net conv(8) -> f(16)" + END,
        "conv(c) with c = 8",
        IMAGE + "def f(c) = res[conv(c)-relu] net conv(8) -> f(8)" + END,
    ),
    (
        IMAGE + "def f(c) = add(conv(c) | id) net conv(8) -> f(16)" + END,
        "end branch 2 in conv(c, kernel=1)",
        IMAGE + "def f(c) = add(conv(c) | id-conv(c, kernel=1)) net conv(8) -> f(16)" + END,
    ),
    (
        IMAGE + "net conv(12) -> res[conv(8, groups=4)-conv(6, groups=2)]" + END,
        "res[...](proj), or conv(12)",
        IMAGE + "net conv(12) -> res[conv(8, groups=4)-conv(12, groups=2)]" + END,
    ),
    (
        VECTOR + "net affine(8) @e -> relu -> affine(tie = e.T) -> softmax",
        "write -> affine behind it",
        VECTOR + "net affine(8) @e -> relu -> affine(tie = e.T) -> affine -> softmax",
    ),
    (IMAGE + "net [conv(8)]x3 tied" + END, "write conv(8) -> before", IMAGE + "net conv(8) -> [conv(8)]x3 tied" + END),
    (VECTOR + "net [affine(8)-relu]x3 tied" + END, "write affine(8) -> before", VECTOR + "net affine(8) -> [affine(8)-relu]x3 tied" + END),
    (
        IMAGE + BLOCK + "net block(8, act=[relu-bn])" + END,
        "def part = relu-bn",
        IMAGE + BLOCK + "def part = relu-bn net block(8, act=part)" + END,
    ),
    (IMAGE + "net conv(8) -> concat(id | @input)" + END, "id @start", IMAGE + "net id @start -> conv(8) -> concat(id | @start)" + END),
    (IMAGE + "net conv(8) @a-pool" + END, "[conv(8) @a]-...", IMAGE + "net [conv(8) @a]-pool" + END),
    (
        "netspec 1 input 1x30x30 classes 2 " + U_NET,
        "multiples of 4, as in 1x32x32",
        "netspec 1 input 1x32x32 classes 2 " + U_NET,
    ),
    (
        "netspec 1 input 1x20x20 classes 2 " + U_NET.replace("pool", "pool(3)").replace("upsample", "upsample(3)"),
        "multiples of 9, as in 1x27x27",
        "netspec 1 input 1x27x27 classes 2 " + U_NET.replace("pool", "pool(3)").replace("upsample", "upsample(3)"),
    ),
    (
        IMAGE + SQUEEZED.format("globalpool-affine(c // r)-relu-affine(c)-sigmoid"),
        "avgpool(32)-conv(c // r, kernel=1)-relu-conv(c, kernel=1)-sigmoid-upsample(32)",
        IMAGE + SQUEEZED.format("avgpool(32)-conv(c // r, kernel=1)-relu-conv(c, kernel=1)-sigmoid-upsample(32)"),
    ),
    (
        IMAGE + SQUEEZED.format("globalpool-affine(c // r)-leaky_relu(0.2)-affine(3)"),
        "avgpool(32)-conv(c // r, kernel=1)-leaky_relu(0.2)-conv(3, kernel=1)-conv(8, kernel=1)-upsample(32)",
        IMAGE + SQUEEZED.format("avgpool(32)-conv(c // r, kernel=1)-leaky_relu(0.2)-conv(3, kernel=1)-conv(8, kernel=1)-upsample(32)"),
    ),
    ("3 * [relu] -> affine", "write [relu]x3", "[relu]x3 -> affine"),
    ("3x conv(8)-relu", "write [conv(8)]x3", "[conv(8)]x3-relu"),
    ("2[conv(8)-[relu]x2]", "write [conv(8)-[relu]x2]x2", "[conv(8)-[relu]x2]x2"),
    ("netspec 1 let n = 3 net [relu]xn", "write x(n)", "netspec 1 let n = 3 net [relu]x(n)"),
    ("netspec 1 let n = 3 net [relu] x n", "write x(n)", "netspec 1 let n = 3 net [relu] x(n)"),
    (IMAGE + "net conv(8) -> res(conv(8)-bn)" + END, "write res[conv(8)-bn]", IMAGE + "net conv(8) -> res[conv(8)-bn]" + END),
    (IMAGE + "net conv(8) -> res(proj)[conv(4)]" + END, "write res[conv(4)](proj)", IMAGE + "net conv(8) -> res[conv(4)](proj)" + END),
    ("affine(bias=True)", "write true", "affine(bias=true)"),
    ("netspec 1 let w = 9 net affine(w / 2 + 1)", "write w // 2 + 1", "netspec 1 let w = 9 net affine(w // 2 + 1)"),
    ("netspec 1 let e = 64 / 2 net affine(e)", "let e = 64 // 2", "netspec 1 let e = 64 // 2 net affine(e)"),
    ("netspec 1 let e = 6 / 2 net [relu]x(e)", "let e = 6 // 2", "netspec 1 let e = 6 // 2 net [relu]x(e)"),
    ("netspec 1 input (32, 32, 3) net conv", "write 3x32x32", "netspec 1 input 3x32x32 net conv"),
    ("netspec 1 input (784,) net affine", "write 784", "netspec 1 input 784 net affine"),
    ("netspec 1 input 32, 32, 3 net conv", "write input 3x32x32", "netspec 1 input 3x32x32 net conv"),
    ("netspec 1 input 28x28 net conv", "write input 1x28x28", "netspec 1 input 1x28x28 net conv"),
    ("netspec 1 input: 32 net affine", "write input 32", "netspec 1 input 32 net affine"),
    ("netspec 1 net = affine-relu", "write net affine-relu", "netspec 1 net affine-relu"),
    (
        "netspec 1 net affine train = { epochs: 3, lr: 0.1 }",
        "write train { epochs = 3; lr = 0.1 }",
        "netspec 1 net affine train { epochs = 3; lr = 0.1 }",
    ),
    (
        "netspec 1 net affine train { optimizer = sgd(0.1, momentum=0.9), epochs = 5, }",
        "write optimizer = sgd(0.1, momentum=0.9); epochs = 5",
        "netspec 1 net affine train { optimizer = sgd(0.1, momentum=0.9); epochs = 5 }",
    ),
    (
        'netspec 1 net affine data { source = csv, path = "a.csv", features = b, c, split = 80% / 20% }',
        'write source = csv; path = "a.csv"; features = b, c; split = 80% / 20%',
        'netspec 1 net affine data { source = csv; path = "a.csv"; features = b, c; split = 80% / 20% }',
    ),
    ("netspec 1 net affine epochs: 5", "write train { epochs = 5 }", "netspec 1 net affine train { epochs = 5 }"),
    (
        'netspec 1 data { source = "houses.csv" } net affine',
        'write source = csv; path = "houses.csv"',
        'netspec 1 data { source = csv; path = "houses.csv" } net affine',
    ),
    (
        "netspec 1 data { source = x.npy } net affine",
        'write source = npy; x = "x.npy"; y = "labels.npy"',
        'netspec 1 data { source = npy; x = "x.npy"; y = "labels.npy" } net affine',
    ),
    (
        'netspec 1 net affine train { "lr": 0.1, "batch": 3 }',
        "write lr = 0.1; batch = 3",
        "netspec 1 net affine train { lr = 0.1; batch = 3 }",
    ),
    ("netspec 1 let n = 3 net [relu]*n", "write x(n)", "netspec 1 let n = 3 net [relu]x(n)"),
    ("netspec 1 let n = 3 net relu x n", "write [relu]x(n)", "netspec 1 let n = 3 net [relu]x(n)"),
    ("affine(8 / 2 / 2)", "write 8 // 2 // 2", "affine(8 // 2 // 2)"),
    ("affine(bias=false, width=(8 + 2) / 2)", "write (8 + 2) // 2", "affine(bias=false, width=(8 + 2) // 2)"),
    ("netspec 1 net affine train { lr 0.1 }", "write lr = 0.1", "netspec 1 net affine train { lr = 0.1 }"),
    (
        "netspec 1 input 3x9x9 net conv(4) -> res[conv(4)-pool-upsample]",
        "multiples of 2, as in 3x10x10",
        "netspec 1 input 3x10x10 net conv(4) -> res[conv(4)-pool-upsample]",
    ),
    ("conv(8) --> relu", "write ->", "conv(8) -> relu"),
    ("conv(8, pad=valid)", "write pad=0", "conv(8, pad=0)"),
    (VECTOR + "net affine(8)-softmax" + END, "leave it out", VECTOR + "net affine(8)" + END),
    (
        "netspec 1 outputs 8 net affine-sigmoid",
        "-> linear behind sigmoid",
        "netspec 1 outputs 8 net affine-sigmoid -> linear",
    ),
    ("netspec 1 input 1x4x4 net conv(1) -> sigmoid", "or flatten", "netspec 1 input 1x4x4 net conv(1) -> flatten -> sigmoid"),
    ("netspec 1 input 1x4x4 outputs 1x4x4 net conv(1)", "write 16", "netspec 1 input 1x4x4 outputs 16 net conv(1)"),
    (IMAGE + "net [conv(c)]x(c = 3, 4)" + END, "write x(c: 3, 4)", IMAGE + "net [conv(c)]x(c: 3, 4)" + END),
]


@pytest.mark.parametrize(("wrong", "advice", "right"), ADVICE)
def test_what_is_advised_is_right(wrong: str, advice: str, right: str) -> None:
    (found,) = diagnose(Source(wrong))
    assert advice in (found.help or "")
    assert [one for one in diagnose(Source(right)) if one.severity == "error"] == []


def test_no_projection_is_advised_that_would_not_fit() -> None:
    for body in ("conv(8, pad=0)", "conv(4, kernel=5, pad=0)", "upsample(2)", "conv(4)-upsample(2x3)"):
        (found,) = diagnose(Source(f"{IMAGE}net conv(8) -> res[{body}]{END}"))
        (again,) = diagnose(Source(f"{IMAGE}net conv(8) -> res[{body}](proj){END}"))
        assert again.code == "NS416"
        assert not (found.help or "").startswith("write res[...](proj)")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("block(8, act=rleu)", "rleu"),
        ("block(8, act=7)", "7"),
        ("block(relu)", "relu"),
        ("block(2 - 4)", "2 - 4"),
        ("block((8.5))", "(8.5)"),
        ("outer(pool)", "pool"),
        ("outer(w=0)", "0"),
        ("[block(c)]x(c: 3, 0, 4)", "0"),
        ("block(depth)", "depth"),
    ],
)
def test_a_wrong_argument_is_marked_where_the_call_gives_it(call: str, words: str) -> None:
    text = f"netspec 1 let depth = 0 def block(c, act = relu) = conv(c)-act def outer(w) = block(w)-bn net {call}"
    (found,) = diagnose(Source(text))
    assert found.source is not None
    assert found.span is not None
    assert found.source.words(found.span) == words
    assert found.span.start >= text.index("net ")


def test_what_is_wrong_in_a_body_is_marked_there() -> None:
    text = "netspec 1 def f(w) = affine(w - 5)-conv(w, act=w) net f(3)"
    words = [one.source.words(one.span) for one in diagnose(Source(text)) if one.source and one.span]
    assert words == ["w - 5", "act"]


RIGHT = [
    "def f(c) = conv(c, kernel=c, stride=c)-affine(c * 2 + 1)-dropout(min(c, 0.5))",
    "def f(n, m) = [relu]x(n - m)-[affine(k)]x(k: n, 3, m)",
    "def f(act, p) = conv(8)-act-dropout(p)-reshape(8x4x4)",
    "def g(c, act = relu) = conv(c)-act def f(a, c) = g(c, act=a) -> res[g(c)](proj) -> add(g(c) | id)",
    "def f(c) = affine(c) @enc -> add(affine(c, tie=enc) | @enc)",
    "def f(s) = reshape(s)-bn(eps=-s)",
    "def f(depth) = [[relu]x(depth)]x(depth * 2) tied",
    "def f = [relu]x20000",
    "let a = 3 def f(relus) = affine(a)-relus",
]


@pytest.mark.parametrize("text", RIGHT)
@pytest.mark.parametrize("net", ["", " net affine(2)"])
def test_a_def_that_nothing_calls_is_right_where_some_call_is(text: str, net: str) -> None:
    assert diagnose(Source(f"netspec 1 {text}{net}")) == []


WRONG = {
    "def f(c) = conv(c)-nosuch": "NS201",
    "def f(c) = conv(c, filtrs=3)": "NS303",
    "def f(c) = conv(c, kernel=0)": "NS302",
    "def f(c) = conv(c + d)": "NS203",
    "def f(act) = act(8)": "NS509",
    "def f(c) = dropout(50)-conv(c)": "NS302",
    "def g(c) = conv(c) def f(c) = g(d=c)": "NS303",
    "def f(c) = softmax(c | id)": "NS510",
    "def f(c) = conv(c) -> add(id | @x)": "NS210",
    "def f(c, act = rleu) = conv(c)-act": "NS201",
    "def f(c) = [conv(c)]x(2.5)": "NS310",
}


@pytest.mark.parametrize("text", WRONG)
@pytest.mark.parametrize("net", ["", " net affine(2)"])
def test_what_no_call_makes_right_is_told_without_one(text: str, net: str) -> None:
    assert [one.code for one in diagnose(Source(f"netspec 1 {text}{net}"))] == [WRONG[text]]


def test_a_comment_may_stand_inside_a_repeat() -> None:
    text = "netspec 1\nnet [affine(8)]x # how often\n(2) -> affine(2)\n"
    assert diagnose(Source(text)) == []
    assert parse(format_file(parse(text))) == parse(text)
    assert "# how often" in format_file(parse(text))


@pytest.mark.parametrize(
    ("code", "hint"), [("412", "did you mean NS412?"), ("add", "`netspec layers add`"), ("adam", "`netspec layers adam`")]
)
def test_explain_says_what_to_type(code: str, hint: str) -> None:
    result = CliRunner().invoke(app, ["explain", code])
    assert result.exit_code == 2
    assert hint in result.stderr


def test_after_an_error_in_a_used_file_no_name_is_called_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("low.net").write_text("netspec 1\ndef low(c) = conv(c)-\ndef other(c) = conv(c)\n")
    Path("mid.net").write_text('netspec 1\nuse "low.net"\ndef mid(c) = low(c)-relu\n')
    for use in ("low.net", "mid.net"):
        found = diagnose(Source(f'netspec 1 use "{use}" net low(8) -> other(3) -> mid(3) -> affine(2)', "main.net"))
        assert [(one.code, one.path) for one in found] == [("NS114", "low.net")]


@pytest.mark.parametrize(
    ("net", "warned"),
    [
        ("[affine-bn-relu-dropout]x2 -> softmax", True),
        ("affine-gelu -> svm", True),
        ("affine-dropout -> sigmoid", True),
        ("affine-relu -> linear", True),
        ("conv(3)-relu -> flatten -> softmax", True),
        ("affine-relu-bn -> softmax", True),
        ("affine-relu -> affine -> softmax", False),
        ("affine-bn -> softmax", False),
        ("affine-tanh -> linear", False),
        ("affine-sigmoid -> linear", False),
        ("affine-relu", False),
        ("conv(3)-relu -> globalpool -> softmax", False),
        ("affine-relu-affine -> dropout-affine -> softmax", False),
        ("affine -> add(relu | id) -> softmax", False),
    ],
)
def test_an_activation_on_the_scores_is_warned_of(net: str, warned: bool) -> None:
    assert ("W106" in {one.code for one in diagnose(Source(f"netspec 1 net {net}"))}) is warned


@pytest.mark.parametrize(
    ("shape", "warned"),
    [
        ("32x32x3", True), ("28x28x1", True), ("224x200x4", True), ("8x8x1", True),
        ("3x32x32", False), ("1x28x28", False), ("64x4x4", False), ("16x1x1", False), ("12x1000x1", False), ("3x4x4", False), ("30", False),
    ],
)  # fmt: skip
def test_an_input_whose_channels_seem_to_stand_last_is_warned_of(shape: str, warned: bool) -> None:
    assert ("W107" in {one.code for one in diagnose(Source(f"netspec 1 input {shape} net affine"))}) is warned
    sides = tuple(map(int, shape.split("x")))
    assert ("W107" in {one.code for one in check("netspec 1 net affine", input=sides)}) is warned


def test_a_list_of_all_layers_is_told_once() -> None:
    found = diagnose(Source("netspec 1 net Conv2D(8) -> Dense -> quux"))
    assert [any(note.startswith("layers: ") for note in one.notes) for one in found] == [True, False, False]


@pytest.mark.parametrize("name", sorted({*KERAS, *TORCH} - {"TFOpLambda", "NonDynamicallyQuantizableLinear"}))
def test_a_class_that_convert_reads_is_known_to_messages(name: str) -> None:
    (found,) = diagnose(Source(f"netspec 1 net {name}"))
    assert (found.code, bool(found.help)) == ("NS201", True)


def test_what_is_no_habit_of_other_languages_is_left_alone() -> None:
    for text in (
        "netspec 1 let a = 7\n// 2\nnet affine(a)",
        "netspec 1 let a = 7\n--2\nnet affine(a)",
        "netspec 1 def epochs(w) = affine(w) net epochs(5)",
        "netspec 1 net affine train { schedule = step(2ep); epochs = 5; }",
        "netspec 1 input (784) net affine((3))",
    ):
        assert [one for one in diagnose(Source(text)) if one.severity == "error"] == [], text
