"""`netspec summary`: a tree that can be read at any width, and whole sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from netspec.frontend.program import Overrides
from netspec.pipeline import read, stages
from netspec.ui.cli import app
from netspec.ui.layer_rows import LayerRow
from netspec.ui.layer_table import broken, layers_table
from netspec.ui.shapes import known_counts
from netspec.ui.summary import COLUMNS, Summary, summarize

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
INNER = "res[concat(conv(4, lr_scale=0.125)-relu | conv(2))](proj)"
DEEP = f"netspec 1\ninput 3x8x8\nclasses 3\nnet {'[' * 6}{INNER}]x2]x2{']x1' * 4} -> affine -> softmax"
WIDTHS = (24, 40, 60, 80, 100, 140)
NUMBER = re.compile(r"\d[\d.]*(?:e[+-]?\d+)?")


def summary_of(spec: Path | str) -> Summary:
    program = read(spec) if isinstance(spec, Path) else read(spec, Overrides())
    made = stages(program, known_counts(program))
    return summarize(made.program, made.graph, made.plan)


def entries(summary: Summary) -> list[tuple[int, str]]:
    """Every unit, copy and layer with its depth, from a page that has room for all."""
    lines = summary.table(1000).plain.splitlines()[2:]
    return [((len(line) - len(line.lstrip())) // 2, re.split(r" {2,}", line.strip())[0]) for line in lines]


def faults(text: str, summary: Summary, width: int) -> Iterator[str]:
    """What keeps a page from being the tree: entries that are missing, cut or repeated, levels that stand farther left than those around
    them, lines that are too wide."""
    lines = text.splitlines()
    yield from (f"too wide: {line!r}" for line in lines if len(line) > width)
    indents: dict[int, set[int]] = {}
    at = 2
    for depth, entry in entries(summary):
        first = lines[at] if at < len(lines) else ""
        indent = len(first) - len(first.lstrip())
        indents.setdefault(depth, set()).add(indent)
        found = re.split(r" {2,}", first.strip())[0].replace(" ", "")
        at += 1
        while at < len(lines) and found != entry.replace(" ", "") and entry.replace(" ", "").startswith(found):
            if len(lines[at]) - len(lines[at].lstrip()) <= indent:
                yield f"the rest of {entry!r} is not farther in"
            if NUMBER.search(lines[at - 1].rstrip()[-1:]) and NUMBER.match(lines[at].lstrip()):
                yield f"a number of {entry!r} is cut"
            found += lines[at].strip().replace(" ", "")
            at += 1
        if found != entry.replace(" ", ""):
            yield f"{entry!r} is {found!r}"
            return
    if at != len(lines):
        yield f"more than the net has: {lines[at]!r}"
    levels = sorted(indents)
    yield from (f"depth {one} stands left of {other}" for other, one in pairwise(levels) if min(indents[one]) < max(indents[other]))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("spec", [*MODELS, DEEP], ids=lambda spec: spec.stem if isinstance(spec, Path) else "deep")
def test_the_tree_can_be_read_at_any_width(spec: Path | str, width: int) -> None:
    summary = summary_of(spec)
    assert list(faults(summary.table(width).plain, summary, width)) == []


def test_levels_stand_apart_where_there_is_room() -> None:
    summary = summary_of(MODELS[0].with_name("digits_inception.net"))
    lines = summary.table(80).plain.splitlines()[2:]
    unbroken = [line for line in lines if not line.lstrip().startswith("pool(3, stride=1, pad=1)-")]
    assert [(len(line) - len(line.lstrip())) // 2 for line in unbroken] == [depth for depth, _ in entries(summary)]


def test_faults_of_a_tree_are_noticed() -> None:
    """The control of the law above."""
    summary = summary_of(MODELS[0].with_name("digits_inception.net"))
    text = summary.table(80).plain
    lines = text.splitlines()
    long = next(number for number, line in enumerate(lines) if line.lstrip().startswith("concat(seen"))
    wrong = {
        "no indentation": [line.lstrip() if number == long + 1 else line for number, line in enumerate(lines)],
        "too far left": [line.removeprefix("    ") if line.strip() == "branch 2: seen(c)-seen(c, k=3)" else line for line in lines],
        "cut": [line[:-3] if number == long else line for number, line in enumerate(lines)],
        "twice": [*lines, lines[-1]],
        "missing": [line for number, line in enumerate(lines) if number != 5],
        "a number in two": [
            part
            for line in lines
            for part in (line.replace("16, k", "1\n            6, k").split("\n") if "seen(16, k=3)" in line else [line])
        ],
        "too wide": [f"{line:<81}." if number == 4 else line for number, line in enumerate(lines)],
    }
    for name, changed in wrong.items():
        assert list(faults("\n".join(changed), summary, 80)), name


def test_lines_end_where_they_may() -> None:
    text = "concat(conv(160, eps=1e-05)-bn-relu | layernorm(12.5%)-aaaaaaaaaaaaaaaaaaaaaaaa)x(c: 16, 320)"
    for width in range(14, 100):
        for indent in (0, 2, 5):
            lines = broken(text, width, indent)
            assert max(map(len, lines)) <= width
            assert "".join(line.strip() for line in lines).replace(" ", "") == text.replace(" ", "")
            assert [found for line in lines for found in NUMBER.findall(line)] == NUMBER.findall(text)
            assert all(line.startswith(" " * indent) for line in lines)
    assert broken("a | bbb | c", 8, 0) == ["a | bbb", "    | c"] or broken("a | bbb | c", 9, 0) == ["a | bbb |", "    c"]


# words


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: str) -> Result:
    return CliRunner().invoke(app, ["summary", *words])


def rows(summary: Summary) -> dict[str, LayerRow]:
    return {row.name: row for row in summary.rows}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_each_default_is_told_once(path: Path) -> None:
    text = summary_of(path).footer(1000)
    kinds = re.findall(r"^  (\w+): ", text, re.MULTILINE)
    assert len(kinds) == len(set(kinds))
    assert not any(len(names) != len(set(names)) for names in (re.findall(r"(\w+)=", line) for line in text.splitlines()))


def test_a_default_names_the_layers_that_have_another_value() -> None:
    text = "netspec 1\ninput 3x8x8\nclasses 3\nnet conv(4)-relu -> conv(4, stride=2) -> conv(4, bias=false) -> affine -> softmax"
    assert "  conv: kernel=3, stride=1 (not in conv2), pad=same, groups=1, bias=true (not in conv3)" in summary_of(text).footer(200)
    many = text.replace("conv(4, stride=2)", "[conv(4, stride=2)]x5")
    assert "stride=1 (not in 5 of 7)" in summary_of(many).footer(200)


def test_tied_layers_are_marked() -> None:
    summary = summary_of("netspec 1\ninput 6\nnet affine(6) @enc -> [affine(6)-tanh]x2 tied -> affine(tie = enc.T) -> linear")
    text = str(summary)
    assert "affine2#2 (6)  " in text
    assert "#2, #3, ...: tied copies" in text
    assert "affine3 (6) tied" in text
    assert "enc (6) tied" not in text
    assert "tied: its W is another layer's" in text
    assert rows(summary)["affine3"].as_json()["shares"] == {"W": "enc.W"}
    assert "tied" not in str(summary_of(DEEP))


def test_what_is_known_of_a_wrong_net_is_a_whole_sentence(folder: Path) -> None:
    (folder / "wrong.net").write_text("netspec 1\ninput 8\nclasses 3\nnet affine(4)-relu -> [pool]x2 -> affine -> softmax\n")
    result = call("wrong.net")
    assert result.exit_code == 3
    assert result.stdout.endswith("\nthese are the layers whose shapes are known: the net has 1 error\n\n")
    assert "NS4" in result.stderr
    assert "relu1" in result.stdout


def test_few_columns_drop_figures_and_keep_the_tree() -> None:
    summary = summary_of(MODELS[0].with_name("cifar_resnet.net"))
    headers = [layers_table(summary.input, summary.rows, width, COLUMNS).plain.splitlines()[0].split() for width in (140, 80, 60, 40, 24)]
    assert headers[0] == headers[1] == ["layer", "output", *COLUMNS]
    assert [len(header) for header in headers] == sorted((len(header) for header in headers), reverse=True)


def test_a_unit_that_fills_a_copy_is_told_once() -> None:
    summary = summary_of("netspec 1\ninput 6\nclasses 2\nnet [res[affine(6)-relu]]x2 -> [[affine(6)-relu]x2]x2 -> affine -> softmax")
    text = summary.table(80).plain
    assert text.count("res[affine(6)-relu]") == 1
    assert [depth for depth, entry in entries(summary) if entry == "copy 2 of 2"] == [1, 3, 1, 3]


def test_layers_of_a_launch_stand_below_its_name(folder: Path) -> None:
    (folder / "long.net").write_text("netspec 1\ninput 8\nclasses 3\nnet affine(8)-bn-relu-tanh-tanh-tanh-dropout -> affine -> softmax\n")
    lines = CliRunner().invoke(app, ["compile", "long.net"]).stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if "bn1 relu1" in line)
    end = next(number for number, line in enumerate(lines) if number > start and re.match(r" *\d+ ", line))
    assert {len(line) - len(line.lstrip()) for line in lines[start:end] if line[:30].strip()} == {6}
    assert max(map(len, lines)) <= 80


def test_names_of_units_are_told() -> None:
    text = "netspec 1 input 3x8x8 classes 3 def d(c) = conv(c)-relu net d(4) @a -> conv(4)-relu @b -> [conv(4)-bn @c] -> [d(4)]x2 @e"
    summary = summary_of(text + " -> conv(4) @f -> affine -> softmax")
    told = [line for _, line in entries(summary) if "@" in line or line.startswith("f ")]
    assert told == ["d(4) @a", "conv(4)-relu @b", "bn1 (1e-05*) @c", "d(4) @e", "f (4)"]
