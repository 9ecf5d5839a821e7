"""The page of the language: every block of it is what it says, and the lines of the other formats are counted."""

from __future__ import annotations

import ast
import contextlib
import re
from pathlib import Path

import pytest
from pytorch import pytorch

from netspec.base.text import Source
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import diagnose, to_graph

PAGE = (Path(__file__).parents[1] / "grammar" / "README.md").read_text()
FENCED = re.compile(r"^```(\w+)( [\w.]+)?\n(.*?)^```$", flags=re.M | re.S)
BLOCKS = FENCED.findall(PAGE)
NETS = [code for language, name, code in BLOCKS if language == "net" and not name]
ELSEWHERE = ("keras", "pytorch", "prototxt", "yaml")
BARE = Overrides(input=(3, 32, 32), classes=10)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files lie that blocks give a name."""
    made = tmp_path_factory.mktemp("page")
    for _, name, code in BLOCKS:
        if name:
            (made / name.strip()).write_text(code)
    return made


def overrides(text: str) -> Overrides:
    """What a text without an input is given."""
    return Overrides() if re.search(r"^(input|data) ", text, flags=re.M) else BARE


@pytest.mark.parametrize("text", NETS, ids=range(len(NETS)))
def test_every_program_is_right(text: str, folder: Path) -> None:
    with contextlib.chdir(folder):
        found = diagnose(Source(text), overrides(text))
        assert [one.code for one in found if one.code != "W104"] == []
        to_graph(load(Source(text), overrides(text))).verify()


def sections() -> dict[str, dict[str, str]]:
    """The blocks of each net that is written in all formats."""
    parts = re.findall(r"^### (.*?)\n(.*?)(?=^### |\Z)", PAGE, flags=re.M | re.S)
    return {title.lower(): {language: code for language, _, code in FENCED.findall(body)} for title, body in parts}


def lines(code: str) -> int:
    return sum(bool(line.strip()) and not line.strip().startswith("#") for line in code.splitlines())


def test_the_lines_are_those_that_the_table_says() -> None:
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")] for row in re.findall(r"^\|.*\|$", PAGE.split("## The same nets")[1], re.M)
    ]
    assert rows[0][1:] == ["netspec", "Keras", "PyTorch", "Caffe prototxt", "Ultralytics YAML"]
    told = {row[0]: [int(cell) for cell in row[1:]] for row in rows[2:]}
    assert told == {
        title: [lines(code) for code in (blocks["net"], *(blocks[one] for one in ELSEWHERE))] for title, blocks in sections().items()
    }


@pytest.mark.parametrize("title", sections())
def test_pytorch_has_as_many_parameters(title: str) -> None:
    torch = pytorch()
    names = {"torch": torch, "nn": torch.nn}
    exec(compile(sections()[title]["pytorch"], "<page>", "exec"), names)  # the page's own code
    graph = to_graph(load(Source(sections()[title]["net"]), BARE))
    assert sum(one.numel() for one in names["model"].parameters()) == graph.parameter_count
    assert names["model"].eval()(torch.zeros(2, 3, 32, 32)).shape == (2, graph.output.shape[0])


def weights(kind: str, inner: str, below: int) -> tuple[int, int]:
    """(parameters, channels or features behind) of a layer of a prototxt."""
    count = re.search(r"num_output: (\d+)", inner)
    if kind == "Scale":
        return 2 * below, below
    if count is None or kind == "Deconvolution":  # which is not trained here: it repeats pixels
        return 0, below
    window = int((re.search(r"kernel_size: (\d+)", inner) or [0, "1"])[1])
    return below * window**2 * int(count[1]) + int(count[1]), int(count[1])


@pytest.mark.parametrize("title", sections())
def test_a_prototxt_reads_what_is_there_and_has_as_many_parameters(title: str) -> None:
    text = sections()[title]["prototxt"]
    sizes, total, side = {"data": 3}, 0, 32
    for body in re.findall(r"layer \{\n(.*?)\n\}", text, flags=re.S):
        below = re.findall(r'bottom: "(\w+)"', body)
        (top,), (kind,) = re.findall(r'top: "(\w+)"', body), re.findall(r'^  type: "(\w+)"', body, flags=re.M)
        assert set(below) <= set(sizes), f"{below} before they are there"
        features = sum(sizes[one] for one in below)
        if kind == "InnerProduct" and side:
            features, side = features * side**2, 0
        if kind == "Pooling":
            side = 1 if "global" in body else side // 2
        more, sizes[top] = weights(kind, body, features)
        total += more
    assert total == to_graph(load(Source(sections()[title]["net"]), BARE)).parameter_count


@pytest.mark.parametrize("title", sections())
def test_a_yaml_reads_rows_above(title: str) -> None:
    rows = re.findall(r"^  - \[(-1|\[[-\d, ]+\]), 1, ([\w.]+), \[(.*)\]\]$", sections()[title]["yaml"], flags=re.M)
    assert len(rows) == lines(sections()[title]["yaml"]) - 4  # nc, activation, backbone, head
    for number, (source, _, _) in enumerate(rows):
        assert all(int(one) < number for one in re.findall(r"-?\d+", source))


@pytest.mark.parametrize("title", sections())
def test_keras_is_python(title: str) -> None:
    tree = ast.parse(sections()[title]["keras"])
    assert {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} >= {"keras", "model"}
