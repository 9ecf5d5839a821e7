"""What a message advises is right, and what is told of a def that nothing calls is true of every call."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from netspec.base.text import Source
from netspec.frontend.format import format_file
from netspec.frontend.text import parse
from netspec.graph.check import diagnose
from netspec.ui.cli import app

IMAGE = "netspec 1 input 3x32x32 classes 10 "
VECTOR = "netspec 1 input 20 classes 10 "
BLOCK = "def block(c, act = relu) = conv(c)-act "
SKIP = "net conv(8) @a -> pool -> conv(8) -> "
END = " -> affine -> softmax"

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
