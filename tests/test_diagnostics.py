"""Every diagnostic of the language against its expected text, part by part; every code has a page."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError, SpecError
from netspec.base.text import Source, Span
from netspec.frontend.explain import codes, page
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import diagnose

HERE = Path(__file__).parent
ERRORS = HERE / "errors"
FRONTEND = HERE.parent / "netspec"
FILES = sorted(ERRORS.glob("*.net"))
NO_FILE_SHOWS = {"NS801": "a text beyond 64 KiB", "NS807": "the memory of this machine", "NS809": "a hundred files"}
ELSEWHERE = {
    "NS409": "no input shape, which `check` does without: test_cli.py",
    "NS604": "a split that does not fit the rows: test_data.py",
    "W601": "data that does not fit: test_check_data.py",
    "NS810": "data beyond what memory holds: test_data.py",
}
"""Findings that a text alone does not give, and where they are tested."""
CODE = re.compile(r'"((?:NS|W)\d{3})"')


def findings(path: Path) -> tuple[Diagnostic, ...]:
    """What is found in a file. A first line `# with let a = 3` or `# with key train.batch = 3` is what a caller gives."""
    text = path.read_text(encoding="utf-8")
    given = re.match(r"# with (let|key) (\S+) = (.+)\n", text)
    overrides = Overrides()
    if given:
        named = {given[2]: given[3]}
        overrides = Overrides(lets=named) if given[1] == "let" else Overrides(keys=named)
    with contextlib.chdir(path.parent):  # where the files lie that it uses
        return tuple(diagnose(Source(text, path.name), overrides))


@dataclass(frozen=True)
class Parts:
    """The parts of one printed diagnostic."""

    headline: str
    place: str
    line: str
    caret: str
    rest: tuple[str, ...]


def parts(text: str) -> Parts:
    headline, place, line, caret, *rest = text.split("\n")
    return Parts(headline, place, line, caret, tuple(rest))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_message_is_the_expected_one(path: Path) -> None:
    expected_path = path.with_suffix(".txt")
    assert expected_path.is_file(), f"write the expected text to {expected_path.name}"
    expected = [parts(text) for text in expected_path.read_text(encoding="utf-8").rstrip("\n").split("\n\n")]
    found = findings(path)
    printed = [parts(str(one)) for one in found]
    assert [one.headline for one in printed] == [one.headline for one in expected]
    assert [one.place for one in printed] == [one.place for one in expected]
    assert [(one.line, one.caret) for one in printed] == [(one.line, one.caret) for one in expected]
    assert [one.rest for one in printed] == [one.rest for one in expected]
    assert path.stem.split("_")[0] in {one.code for one in found}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_message_has_a_place_and_says_something(path: Path) -> None:
    for found in findings(path):
        assert found.span is not None
        assert found.line >= 1
        assert found.end_column >= found.column >= 1
        assert found.message
        assert not re.search(r"(?<!U\+)\b[A-Z]{3,}_?[A-Z]*\b", found.message.replace(path.name, "")), "a parser's own name"
        assert str(found).count("^") >= 1
        as_json = json.loads(json.dumps(found.as_json()))
        assert set(as_json) == {"code", "severity", "message", "path", "line", "column", "end_column", "notes", "help"}
        assert as_json["severity"] == ("warning" if found.code.startswith("W") else "error")


def test_every_code_has_an_example() -> None:
    used = {code for path in FRONTEND.rglob("*.py") for code in CODE.findall(path.read_text())}
    shown = {path.stem.split("_")[0] for path in FILES}
    assert used - {*NO_FILE_SHOWS, *ELSEWHERE} == shown
    assert {path.stem for path in ERRORS.glob("*.txt")} == {path.stem for path in FILES}


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    used = {code for path in FRONTEND.rglob("*.py") for code in CODE.findall(path.read_text())}
    assert used == set(codes())
    assert page("NS000") is None
    assert page("../program") is None


@pytest.mark.parametrize("code", codes())
def test_a_page_has_its_parts(code: str) -> None:
    text = page(code)
    assert text is not None
    assert text.startswith(f"# {code}: ")
    assert text.count("```") % 2 == 0
    assert "```" in text
    assert page(code.lower()) == text


NO_PROGRAMS = {"NS207", "NS409", "NS214", "NS215", "NS216", "NS801", "NS802", "NS803", "NS808", "NS810", "W601"}


@pytest.mark.parametrize("code", [code for code in codes() if code[2] in "123457" or code[0] == "W" if code not in NO_PROGRAMS])
def test_the_texts_of_a_page_show_what_it_says(code: str) -> None:
    wrong, right = re.findall(r"```\n(.*?)```", page(code) or "", re.DOTALL)
    assert code in _codes_of(wrong)
    assert code not in _codes_of(right)


def _codes_of(text: str) -> set[str]:
    return {found.code for found in diagnose(Source(text))}


@pytest.mark.parametrize(("text", "kind"), [("afine", SpecError), ("[relu]x1000000", LimitError)])
def test_an_error_prints_its_findings_and_knows_its_exit_code(text: str, kind: type[SpecError]) -> None:
    with pytest.raises(SpecError) as caught:
        load(Source(text))
    assert type(caught.value) is kind
    assert str(caught.value) == "\n\n".join(map(str, caught.value.diagnostics))


def test_all_independent_errors_in_one_run() -> None:
    text = "netspec 1\nlet a = 1 // 0\nnet afine(a)-affine(0)\ntrain { bacth = 3; optimizer = sdg }\ndata { source = digitz }\nclasses 1\n"
    with pytest.raises(SpecError) as caught:
        load(Source(text))
    found = [one.code for one in caught.value.diagnostics]
    assert found == ["NS308", "NS302", "NS204", "NS208", "NS208", "NS302"]


def test_a_value_that_is_wrong_is_told_once() -> None:
    with pytest.raises(SpecError) as caught:
        load(Source("let a = 1 // 0 let b = a * 2 net affine(b)-affine(a) -> [affine(b)]x(b)"))
    assert [one.code for one in caught.value.diagnostics] == ["NS308"]


def test_columns_count_code_points_and_tabs_keep_the_caret_in_place() -> None:
    source = Source('let a = "\U0001f40d é"\t\tlet b = afine', "a.net")
    found = Diagnostic("NS201", "unknown", source, Span(23, 28), label="this")
    assert (found.line, found.column, found.end_column) == (1, 24, 29)
    line, caret = str(found).split("\n")[2:4]
    assert line.index("afine") == caret.index("^")
    assert caret.endswith("^^^^^ this")
    assert caret.count("\t") == 2


def test_a_span_of_several_lines_marks_the_first() -> None:
    found = Diagnostic("NS101", "odd", Source("ab\ncd"), Span(1, 4))
    assert (found.line, found.column, found.end_column) == (1, 2, 3)


def test_a_long_line_is_cut_around_the_words() -> None:
    text = "relu-" * 200 + "afine" + "-relu" * 200
    with pytest.raises(SpecError) as caught:
        load(Source(text))
    line, caret = str(caught.value).split("\n")[2:4]
    assert len(line) < 250
    assert line[caret.index("^") : caret.rindex("^") + 1] == "afine"
    assert caught.value.diagnostics[0].column == 1001


def test_without_a_file_the_text_is_called_string() -> None:
    with pytest.raises(SpecError, match=r"--> <string>:1:1\n"):
        load(Source("afine"))


def test_errors_inside_a_def_name_the_def_and_the_copy() -> None:
    text = "netspec 1\ndef f(w) = affine(w)\nnet [f(c)-relu]x(c: 3, 0)\n"
    with pytest.raises(SpecError) as caught:
        load(Source(text))
    (found,) = caught.value.diagnostics
    assert found.notes == ("inside def f(w=0) (line 2), in copy 2 of 2 of [...]x(c: 3, 0) (line 3)",)


def test_texts_from_outside_have_their_own_place() -> None:
    with pytest.raises(SpecError) as caught:
        load(Source("net affine"), Overrides(train="bacth = 3; l2 = -1", keys={"train.epochs": "0"}))
    places = [(one.code, one.path, one.column) for one in caught.value.diagnostics]
    assert ("NS204", "<train>", 1) in places
    assert ("NS302", "<train>", 17) in places
    assert ("NS302", "<train.epochs>", 1) in places


@pytest.mark.parametrize("chain", ["softmax -> affine", "affine -> svm -> relu", "affine -> softmax -> svm"])
@pytest.mark.parametrize("count", ["classes 10", "outputs 10", "train { loss = hinge }"])
def test_a_misplaced_head_is_all_that_is_told_of_the_head(chain: str, count: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(Source(f"netspec 1 net {chain} {count}"))
    (found,) = caught.value.diagnostics
    assert found.code in ("NS502", "NS503")


def test_the_count_of_a_well_placed_head_is_still_checked() -> None:
    with pytest.raises(SpecError, match="NS506"):
        load(Source("netspec 1 net affine -> relu classes 10"))


@pytest.mark.parametrize(
    ("chain", "words"),
    [
        ("affine -> [relu]x1000000000 -> affine", "x1000000000"),
        ("[[relu]x20000]x3", "x20000"),
        ("[[relu]x300]x300", "x300"),
        ("affine -> leaky_relu(0.1) x20000", "x20000"),
        ("[[relu]x(n * 2)]x(k: 1, 2)", "x(n * 2)"),
        ("[affine -> many]x2", "x10001"),
        ("[relu]x9999 -> [relu]x9999", "[relu]x9999 -> [relu]x9999"),
    ],
)
def test_too_many_layers_are_marked_at_the_repeat_that_makes_them(chain: str, words: str) -> None:
    with pytest.raises(LimitError) as caught:
        load(Source(f"netspec 1 let n = 8000 def many = [relu]x10001 net {chain}"))
    (found,) = caught.value.diagnostics
    assert found.source is not None
    assert found.span is not None
    assert (found.code, found.source.words(found.span)) == ("NS804", words)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("epochs", "train.epochs"), ("lr", "train.lr"), ("batch", "train.batch"), ("path", "data.path"), ("split", "data.split")],
)
def test_a_key_without_its_section_is_told_its_section(name: str, meant: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(Source("netspec 1 let epoch = 3 net affine(epoch)"), Overrides(lets={name: "1"}))
    (found,) = caught.value.diagnostics
    assert (found.code, found.help) == ("NS207", f"did you mean `{meant}`?")


@pytest.mark.parametrize(
    ("given", "help_"),
    [
        ({"epochs": 3}, '`epochs` is a key of train: write train="epochs = 3"'),
        ({"lr": np.float64(0.1)}, '`lr` is a key of train: write train="lr = 0.1"'),
        ({"drop_last": True}, '`drop_last` is a key of train: write train="drop_last = true"'),
        ({"optimizer": netspec.adam(lr=0.1)}, '`optimizer` is a key of train: write train="optimizer = adam(lr=0.1)"'),
        ({"class_weights": (1, 2)}, '`class_weights` is a key of train: write train="class_weights = 1, 2"'),
        ({"epochs": 3, "train": "batch = 20;"}, '`epochs` is a key of train: write train="batch = 20; epochs = 3"'),
        ({"train.epochs": 3}, '`epochs` is a key of train: write train="epochs = 3"'),
        ({"train.epoch": 3}, '`epochs` is a key of train: write train="epochs = 3"'),
        ({"path": "b.csv"}, '`path` is a key of data: write it into the text: data { path = "b.csv" }'),
        ({"widht": 3}, "did you mean `width`?"),
    ],
)
def test_a_key_that_is_a_keyword_of_compile_is_told_as_it_is_written(given: dict[str, Any], help_: str) -> None:
    spec = "netspec 1 let width = 3 net affine(width) -> affine -> softmax"
    (found,) = netspec.check(spec, input=4, classes=3, **given)
    assert (found.code, found.help) == ("NS207", help_)
    with pytest.raises(SpecError) as caught:
        netspec.compile(spec, input=4, classes=3, **given)
    assert caught.value.diagnostics == (found,)
    written = re.fullmatch(r'.*write train="(.*)"', help_)
    if written and "class_weights" not in given:
        netspec.compile(spec, input=4, classes=3, train=written[1])


@pytest.mark.parametrize(
    ("given", "help_"),
    [
        ({"epochs": 3}, '`epochs` is a key of train: write **{"train.epochs": 3}'),
        ({"optimizer": "adam(lr=1e-2)"}, '`optimizer` is a key of train: write **{"train.optimizer": "adam(lr=1e-2)"}'),
        ({"split": "80% / 20%"}, '`split` is a key of data: write **{"data.split": "80% / 20%"}'),
        ({"widht": 3}, "did you mean `width`?"),
    ],
)
def test_a_key_that_is_a_keyword_of_train_is_told_as_it_is_written(given: dict[str, Any], help_: str) -> None:
    with pytest.raises(SpecError) as caught:
        netspec.train("models/digits.net", **given)
    (found,) = caught.value.diagnostics
    assert (found.code, found.help) == ("NS207", help_)


@pytest.mark.parametrize("given", [{"lets": {"w": "wide"}}, {"keys": {"train.lr": "abc"}}, {"train": "lr = abc"}])
def test_nothing_is_defined_before_a_value_from_outside(given: dict[str, Any]) -> None:
    with pytest.raises(SpecError) as caught:
        load(Source("netspec 1 let w = 3 net affine(w)"), Overrides(**given))
    (found,) = caught.value.diagnostics
    assert (found.code, found.help) == ("NS203", "give a value, such as 0.01, 64 or true, or the name of a `let` of the text")


def test_a_let_that_has_the_name_of_a_key_is_a_let() -> None:
    assert load(Source("netspec 1 let epochs = 3 net affine(epochs)"), Overrides(lets={"epochs": "4"})).lets["epochs"] == 4


HELPS = {
    "dropout(.5)": ("NS111", "write 0.5"),
    "netspec 1 net affine train { l2=.1 }": ("NS111", "write 0.1"),
    "netspec 1 let a = 3 * .25 net dropout(a)": ("NS111", "write 0.25"),
    "conv(kernel=3 x 5)": ("NS111", "write 3x5 without blanks"),
    "conv(kernel=3x 5)": ("NS111", "write 3x5 without blanks"),
    "conv(kernel=3 x5)": ("NS111", "write 3x5 without blanks"),
    "netspec 1 input 3 x 32 x 32 net affine": ("NS111", "write 3x32x32 without blanks"),
    "affine(10,20)": ("NS304", None),
    "pool(3,5)": ("NS304", "write 3x5"),
    "dropout(0,5)": ("NS110", "write 0.5"),
    "netspec 1 net affine train { batch = 10,20 }": ("NS301", None),
    "affine(7)-relu x2": ("NS107", "write [relu]x2, or [affine(7)-relu]x2 for all of them"),
    "affine -> [bn-relu]x2-tanh x2 -> affine": ("NS107", "write [tanh]x2, or [[bn-relu]x2-tanh]x2 for all of them"),
    "affine -> relu x2": ("NS107", "write [relu]x2"),
    "[affine(4)]x2x3": ("NS107", "write [[affine(4)]x2]x3"),
    "relu -> [affine(4)]x2x3x4": ("NS107", "write [[[affine(4)]x2]x3]x4"),
    "[affine(4)]x2 x3": ("NS107", "write [[affine(4)]x2]x3"),
    "[affine(4)]x(2)x3": ("NS107", "write [[affine(4)]x(2)]x3"),
    "leaky_relu(4)x2x3": ("NS107", "write [leaky_relu(4)x2]x3"),
    "netspec 1 def affine(w)=bn net affine-softmax": ("NS205", "choose another name"),
    "netspec 1 net affine(3)-softmax def softmax(w)=bn": ("NS205", "choose another name"),
}


@pytest.mark.parametrize("text", HELPS)
def test_a_slip_is_told_once_with_what_to_write(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load(Source(text))
    assert [(one.code, one.help) for one in caught.value.diagnostics] == [HELPS[text]]


@pytest.mark.parametrize("text", [text for text, (_, help_) in HELPS.items() if help_ and help_.startswith("write [")])
def test_what_is_offered_for_a_repeat_parses(text: str) -> None:
    for offered in re.findall(r"\[\S+x\d+", HELPS[text][1] or ""):
        load(Source(offered))
