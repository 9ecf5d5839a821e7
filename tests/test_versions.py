"""Versions of the language: which one a text is for, steps between them, and every released example loading with the meaning that it had.

tests/golden/versions/<version> holds each example as it was released (.net), everything that it meant written out (.resolved.net), and its
graph (.txt). NETSPEC_GOLDEN=write adds what is missing for the newest version, and writes graphs anew; the texts of a version stay.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from drawn_specs import comments_of

from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend import migrations, syntax
from netspec.frontend.format import format_file
from netspec.frontend.migrations import STEPS, migrate, migration, newest, steps_of, version_of
from netspec.frontend.parse import parse
from netspec.frontend.rewrite import rewritten
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.compare import compare, meaning_of

HERE = Path(__file__).parent
MODELS = sorted((HERE.parent / "models").glob("*.net"))
GOLDEN = HERE / "golden" / "versions"
WRITE = os.environ.get("NETSPEC_GOLDEN") == "write"
RELEASED = sorted(path for path in GOLDEN.glob("*/*.net") if not path.name.endswith(".resolved.net"))


def codes(text: str) -> list[str]:
    """What is wrong with a text."""
    try:
        load(Source(text))
    except SpecError as error:
        return [found.code for found in error.diagnostics]
    return []


# the version line


@pytest.mark.parametrize(
    "rest",
    [
        "net affine",
        "net affine => $soft",
        'let a = "never closed',
        "net [affine",
        "\u2260",
        "net affine\nnet affine",
        "}" * 5,
        "x" * 70_000,
    ],
)
@pytest.mark.parametrize("line", ["netspec 2\n", "# a\n\n  netspec # b\n 3 # c\n", ";netspec 12;\n", "netspec 9999999999999999999999\n"])
def test_a_text_for_a_newer_language_is_told_so_whatever_it_says(line: str, rest: str) -> None:
    assert codes(line + rest) == ["NS701"]


def test_what_a_newer_text_needs_is_said() -> None:
    with pytest.raises(SpecError) as caught:
        load(Source("netspec 7\nnet affine"))
    (found,) = caught.value.diagnostics
    assert found.message == f"this text is written in version 7 of the language, and this netspec reads version {newest()}"
    assert found.help == "a newer netspec reads it: pip install -U netspec"
    assert (found.line, found.column) == (1, 9)


@pytest.mark.parametrize("word", ["1.0", "0", "01", "1e0", "one", "v1", '"1"', "-1", "1x1", "1ep", "=", ":", "\u0661", "1_0", "\uff11"])
def test_a_version_is_a_whole_number(word: str) -> None:
    assert codes(f"netspec {word}\nnet affine => $") == ["NS702"]


@pytest.mark.parametrize("text", ["netspec", "netspec\nnet affine", "netspec # 1\n", "netspec;net affine", "net affine\nnetspec\n"])
def test_a_version_line_has_a_number(text: str) -> None:
    assert codes(text) == ["NS702"]


@pytest.mark.parametrize(
    "text",
    [
        "netspec 1 net affine",
        "# netspec 2\nnetspec 1\nnet affine",
        'let a = "netspec 2"\nnetspec 1\nnet affine',
        'data { source = npz; path = "\\" netspec 2" }\nnetspec 1\nnet affine',
        "net affine\nnetspec 1\n",
        "net affine netspec 1",
        "netspec 1;net affine",
    ],
)
def test_a_version_line_that_is_known_is_read(text: str) -> None:
    assert codes(text) == []


def test_words_elsewhere_are_no_version_line() -> None:
    assert codes("let netspec = 3 net affine") == ["NS112"]
    assert codes("netspec 1 train { netspec = 3 } net affine") == ["NS204"]
    assert codes("netspec 1 netspec 7 net affine") == ["NS505"]


# steps between versions


@pytest.fixture
def own_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A language with two more versions: `gelu_tanh` became gelu in the second, and `passes` of train became epochs in the third."""
    monkeypatch.setattr(migrations, "STEPS", {})

    @migration(from_=1, to=2)
    def one_name(file: syntax.File) -> syntax.File:
        """gelu_tanh is now gelu.

        The second paragraph is for the reader of the code.
        """

        def change(node: syntax.Node) -> syntax.Node:
            old = isinstance(node, syntax.Layer) and node.name.text == "gelu_tanh"
            return replace(node, name=replace(node.name, text="gelu")) if old and isinstance(node, syntax.Layer) else node

        return rewritten(file, change)

    @migration(from_=2, to=3)
    def epochs(file: syntax.File) -> syntax.File:
        """`passes` of train is now `epochs`."""

        def change(node: syntax.Node) -> syntax.Node:
            return replace(node, key=("epochs",)) if isinstance(node, syntax.Pair) and node.key == ("passes",) else node

        return rewritten(file, change)

    assert newest() == 3


OLD = """\
# an old text
netspec 1  # the first
net affine(3)  # three
    -> gelu_tanh
train { passes = 7 }  # few
"""
NEW = """\
# an old text
netspec 3  # the first
net affine(3)  # three
    -> gelu
train { epochs = 7 }  # few
"""


@pytest.mark.usefixtures("own_steps")
def test_steps_are_taken_in_order_and_comments_are_kept() -> None:
    old = parse(Source(OLD))
    assert (version_of(old), [step.to for step in steps_of(old)]) == (1, [2, 3])
    assert [step.says for step in steps_of(old)] == ["gelu_tanh is now gelu.", "`passes` of train is now `epochs`."]
    assert format_file(migrate(old)) == NEW
    assert comments_of(NEW) == comments_of(OLD)
    assert migrate(migrate(old)) == migrate(old)


@pytest.mark.usefixtures("own_steps")
def test_only_the_steps_that_are_needed_are_taken() -> None:
    from_two = OLD.replace("netspec 1", "netspec 2")
    assert "gelu_tanh" in format_file(migrate(parse(Source(from_two))))
    assert "epochs = 7" in format_file(migrate(parse(Source(from_two))))
    newest_already = OLD.replace("netspec 1", "netspec 3")
    assert migrate(parse(Source(newest_already))) == parse(Source(newest_already))
    without = OLD.replace("netspec 1  # the first\n", "")
    assert migrate(parse(Source(without))) == parse(Source(without))


@pytest.mark.usefixtures("own_steps")
def test_an_old_text_loads_as_the_new_one_says_it() -> None:
    old, new = load(Source(OLD)), load(Source(NEW))
    assert [call.layer for call in old.net] == [call.layer for call in new.net]
    assert (old.train, old.version, old.resolved) == (new.train, 3, new.resolved)
    assert old.resolved.startswith("netspec 3\n")
    assert compare(meaning_of(old), meaning_of(new)).same


@pytest.mark.usefixtures("own_steps")
def test_a_finding_about_an_old_text_stands_at_its_own_words() -> None:
    with pytest.raises(SpecError) as caught:
        load(Source(OLD.replace("passes = 7", "passes = 0")))
    (found,) = caught.value.diagnostics
    assert (found.code, found.line, found.source.words(found.span) if found.source and found.span else "") == ("NS302", 5, "0")


@pytest.mark.usefixtures("own_steps")
def test_versions_that_are_known_are_named() -> None:
    with pytest.raises(SpecError, match="this netspec reads versions 1 to 3"):
        load(Source("netspec 4 net affine"))
    assert codes("netspec 3\nnet gelu_tanh") == ["NS201"]


def test_without_steps_an_old_word_is_unknown() -> None:
    """The control of the tests above: what they change is no word of the language by itself."""
    assert set(codes(OLD)) == {"NS201", "NS204"}


@pytest.mark.usefixtures("own_steps")
@pytest.mark.parametrize(
    ("from_", "to", "reason"),
    [(3, 5, "leads to the next version"), (4, 5, "version 3 so far"), (1, 2, "version 3 so far"), (3, 3, "leads to the next version")],
)
def test_a_step_that_does_not_fit_is_refused(from_: int, to: int, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):

        @migration(from_=from_, to=to)
        def step(file: syntax.File) -> syntax.File:
            """Says something."""
            return file


@pytest.mark.usefixtures("own_steps")
def test_a_step_says_what_changes() -> None:
    with pytest.raises(ValueError, match="no docstring"):

        @migration(from_=3, to=4)
        def step(file: syntax.File) -> syntax.File:
            return file


# every released example, in every version


def graph_of(path: Path) -> str:
    program = load(source_of(path))
    return f"{to_graph(program)}\n"


def require_released(net: Path) -> None:
    """The example loads, means what its resolved text says, and has the graph that is on file. A missing file fails."""
    resolved, graph = net.with_suffix(".resolved.net"), net.with_suffix(".txt")
    for path in (resolved, graph):
        assert path.is_file(), f"{path.name} is missing: NETSPEC_GOLDEN=write writes it"
    found = compare(meaning_of(load(source_of(net))), meaning_of(load(source_of(resolved))))
    assert found.same, f"{net.name} does not mean what it did: {found}"
    assert graph_of(net) == graph.read_text(encoding="utf-8"), f"{net.name} has another graph"


def write_missing(folder: Path) -> None:
    for used in [*MODELS[0].parent.glob("blocks/*.net")]:
        kept = folder / used.relative_to(MODELS[0].parent)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            kept.write_text(used.read_text(encoding="utf-8"), encoding="utf-8")
    for model in MODELS:
        net = folder / model.name
        if not net.exists():
            net.write_text(model.read_text(encoding="utf-8"), encoding="utf-8")
            net.with_suffix(".resolved.net").write_text(load(source_of(model)).resolved, encoding="utf-8")
        net.with_suffix(".txt").write_text(graph_of(net), encoding="utf-8")


def test_every_example_is_kept_in_every_version() -> None:
    if WRITE:
        write_missing(GOLDEN / str(newest()))
    assert {path.name for path in GOLDEN.iterdir()} == {str(number) for number in range(1, newest() + 1)}
    kept = {path.name for path in (GOLDEN / str(newest())).glob("*.net")}
    assert {model.name for model in MODELS} <= kept, "NETSPEC_GOLDEN=write keeps the examples that are new"
    files = {path.name for path in (GOLDEN / str(newest())).iterdir() if path.is_file()}
    stems = {name.removesuffix(".resolved.net").removesuffix(".net").removesuffix(".txt") for name in files}
    assert files == {f"{stem}{end}" for stem in stems for end in (".net", ".resolved.net", ".txt")}


@pytest.mark.parametrize("net", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_released_example_means_what_it_did(net: Path) -> None:
    require_released(net)
    assert f"netspec {net.parent.name}\n" in net.with_suffix(".resolved.net").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("part", "old", "new", "reason"),
    [
        (".resolved.net", "batch = 64", "batch = 65", "does not mean what it did"),
        (".resolved.net", "hidden(width)x2", "hidden(width)x3", "does not mean what it did"),
        (".net", "dropout(p)", "dropout(50%)", "does not mean what it did"),
        (".txt", "26634", "26635", "has another graph"),
        (".resolved.net", None, None, "is missing"),
        (".txt", None, None, "is missing"),
    ],
)
def test_another_meaning_and_a_missing_file_fail(tmp_path: Path, part: str, old: str | None, new: str | None, reason: str) -> None:
    for end in (".net", ".resolved.net", ".txt"):
        text = (GOLDEN / "1" / f"digits{end}").read_text(encoding="utf-8")
        if end == part and old is None:
            continue
        changed = text.replace(old, new or "") if end == part and old else text
        if part == ".txt" == end and changed == text:
            changed = text.replace("affine1", "affine9", 1)
        (tmp_path / f"digits{end}").write_text(changed, encoding="utf-8")
    with pytest.raises(AssertionError, match=reason):
        require_released(tmp_path / "digits.net")


def test_the_language_has_one_version() -> None:
    """Version 1 is the newest: with the first step, its examples are frozen and those of version 2 join them."""
    assert (newest(), dict(STEPS)) == (1, {})
