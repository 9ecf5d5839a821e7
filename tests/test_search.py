"""The `search` section: what it means, what it refuses, and that nothing but a sweep hears of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import netspec as ns
from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.space import Choice, Interval
from netspec.frontend.validate import load
from netspec.graph import trials
from netspec.graph.check import diagnose
from netspec.graph.compare import Meaning, compare
from netspec.graph.counts import Counts
from netspec.train.resume import differences

NET = """netspec 1
let width = 64
let act = relu
let depth = 2
let p = 25%
input 1x4x4
classes 10
net [affine(width)-bn-act-dropout(p)]x(depth) -> affine -> softmax
train { batch = 64; epochs = 10 }
"""


def with_search(pairs: str, net: str = NET) -> str:
    return f"{net}search {{ {pairs} }}\n"


def codes(text: str, **given: object) -> list[str]:
    return [one.code for one in diagnose(Source(text), Overrides(**given))]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pair", "candidates"),
    [
        ("width = choice(64, 2 * width)", Choice(("64", "128"))),
        ("act = choice(relu, leaky_relu(0.2), act)", Choice(("relu", "leaky_relu(0.2)"))),
        ("p = choice(25%, 0.5)", Choice(("25%", "0.5"))),
        ("depth = range(1, 2 * 3)", Interval(1, 6)),
        ("width = log(1, 1e2)", Interval(1, 100, log=True)),
        ("p = range(0%, 50%)", Interval(0.0, 0.5)),
        ("train.lr = log(1e-4, 1)", Interval(0.0001, 1, log=True)),
        ("train.optimizer = choice(adam, sgd(lr=1e-2, momentum=0.9))", Choice(("adam", "sgd(lr=1e-2, momentum=0.9)"))),
        ("train.drop_last = choice(true, false)", Choice(("true", "false"))),
        ("train.schedule = choice(cosine(5ep), step(2ep))", Choice(("cosine(5ep)", "step(2ep)"))),
    ],
)
def test_what_a_key_may_be(pair: str, candidates: object) -> None:
    text = with_search(pair)
    if "act = choice" in pair:
        assert codes(text) == ["NS505"]  # act is relu
        text = text.replace(", act)", ")")
    assert codes(text) == []
    assert list(load(Source(text)).search.values()) == [candidates]


def test_whole_numbers_are_told_from_others() -> None:
    assert Interval(1, 2).whole
    assert not Interval(1, 2.0).whole
    assert codes(with_search("p = range(0, 0.5)")) == []
    assert codes(with_search("train.l2 = range(0, 1)")) == ["W108"]
    assert codes(with_search("train.batch = range(8, 64)")) == []


def test_the_text_means_what_it_means_without_the_section() -> None:
    text = with_search("width = choice(8, 16); train.lr = log(1e-4, 1e-1)")
    program, bare = load(Source(text)), load(Source(NET))
    assert program.resolved == bare.resolved
    assert "search" not in program.resolved
    assert program.lets == bare.lets
    assert load(Source(program.resolved)).search == {}
    assert str(ns.compile(text).summary()) == str(ns.compile(NET).summary())


def test_what_is_given_leaves_the_search() -> None:
    text = with_search("width = choice(8, 16); train.lr = log(1e-4, 1e-1); depth = range(1, 3)")
    program = load(Source(text), Overrides(lets={"width": "48"}, keys={"train.lr": "0.5"}))
    assert list(program.search) == ["depth"]
    assert program.lets["width"] == 48
    wrong = with_search("width = choice(8, 0)")
    assert codes(wrong) == ["NS318"]
    assert codes(wrong, lets={"width": "48"}) == []


@pytest.mark.parametrize("value", [0.1, 1e-7, 1.2345678901234567e-5, 3, 2**40 + 1])
def test_a_number_that_was_drawn_reaches_the_program_as_it_is(value: float) -> None:
    program = load(Source(NET), Overrides().with_values({"train.lr": value}))
    assert program.train.optimizer.lr == value
    assert load(Source(program.resolved)).train.optimizer.lr == value


# what is refused


def test_the_caret_stands_under_the_very_value() -> None:
    text = with_search("width = choice(64,\n  0, 128)")
    (found,) = diagnose(Source(text))
    assert (found.code, found.line, found.column, found.end_column) == ("NS318", 11, 3, 4)
    assert "`width` of affine must be a whole number of at least 1" in found.message


def test_shapes_are_looked_at_too() -> None:
    net = "netspec 1\nlet k = 3\ninput 1x4x4\nclasses 3\nnet conv(4, kernel=k, pad=0) -> affine -> softmax\n"
    assert codes(with_search("k = choice(1, 3, 4)", net)) == []
    assert codes(with_search("k = choice(1, 3, 5)", net)) == ["NS318"]
    assert codes(with_search("k = choice(1, 3, 5)", net.replace("1x4x4", "1x8x8"))) == []


GROUPS = "netspec 1\nlet c = 8\nlet g = 4\ninput 1x4x4\nclasses 3\nnet conv(8) -> conv(c, groups=g)-bn -> affine -> softmax\n"


def test_a_value_that_goes_with_another_key_is_right() -> None:
    assert codes(with_search("c = choice(8, 6)", GROUPS)) == ["NS318"]
    assert codes(with_search("c = choice(8, 6); g = choice(4, 2)", GROUPS)) == []
    assert codes(with_search("c = choice(8, 7); g = choice(4, 2)", GROUPS)) == ["NS318"]


def test_a_huge_range_costs_no_more_than_its_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = trials.validate_partly
    monkeypatch.setattr(trials, "validate_partly", lambda *given: tried.append(given) or real(*given))
    assert codes(with_search("train.batch = range(1, 1000000000)")) == []
    assert len(tried) == 2
    assert codes(with_search("depth = range(1, 1000000000)")) == ["NS318"]


def test_the_work_of_a_check_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    real = trials.validate_partly
    monkeypatch.setattr(trials, "validate_partly", lambda *given: tried.append(given) or real(*given))
    many = ", ".join(map(str, range(1, 250)))
    assert codes(with_search(f"width = choice({many}); depth = choice({many})")) == []
    assert 20 < len(tried) <= trials.MOST_WORK // trials.WORK_OF_TRY + 1
    assert codes(with_search(f"width = choice({', '.join(map(str, range(1, 300)))})")) == ["NS803"]


def test_a_let_may_stand_behind_the_section() -> None:
    assert codes("netspec 1 search { width = choice(8, 16) } let width = 4 net affine(width)-relu") == []


def test_a_wrong_let_is_told_once() -> None:
    assert codes("netspec 1 let w = 1 // 0 net affine(w)-relu search { w = choice(w, 3) }") == ["NS308"]


# what else hears of it


def test_a_difference_of_search_is_one_of_meaning_and_none_of_a_run() -> None:
    a, b = load(Source(with_search("width = choice(8, 16)"))), load(Source(with_search("width = choice(8, 32); p = range(0%, 9%)")))
    told = [(one.key, one.a, one.b) for one in compare(Meaning(a), Meaning(b)).settings]
    assert told == [("search.width", "choice(8, 16)", "choice(8, 32)"), ("search.p", None, "range(0.0, 0.09)")]
    assert differences(a, b, Counts((1, 4, 4), 10)) == []


def test_training_leaves_it_aside(tmp_path: Path) -> None:
    text = with_search("width = choice(8, 16); train.epochs = range(1, 3)").replace("input 1x4x4\nclasses 10", "data { source = digits }")
    (tmp_path / "a.net").write_text(text)
    run = ns.train(tmp_path / "a.net", run_dir=tmp_path / "run", **{"train.epochs": 1, "width": 8})
    assert "search" in (run.path / "spec.net").read_text()
    assert "search" not in (run.path / "spec.resolved.net").read_text()
    assert len(run.history.epochs) == 1


def test_the_builder_says_it_too() -> None:
    width = ns.let("width", 64)
    spec = ns.program(
        ns.affine(width) - ns.relu >> ns.affine >> ns.softmax,
        input=8,
        classes=3,
        search={"width": "choice(8, 16)", "train.lr": "log(1e-4, 1e-1)"},
    )
    assert "search { width = choice(8, 16); train.lr = log(1e-4, 1e-1) }" in str(spec)
    assert ns.check(spec) == []
    assert list(load(Source(str(spec))).search) == ["width", "train.lr"]


@pytest.mark.parametrize("verb", ["check", "summary", "fmt", "layers"])
def test_no_verb_but_sweep_imports_optuna(tmp_path: Path, verb: str) -> None:
    (tmp_path / "a.net").write_text(with_search("width = choice(8, 16)"))
    given = "search" if verb == "layers" else str(tmp_path / "a.net")
    code = (
        "import sys\nfrom netspec.ui.cli import main\n"
        f"sys.argv = ['netspec', {verb!r}, {given!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not {'optuna', 'sqlalchemy'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
