"""`netspec draw`: the picture says what the graph says, and everything in it can be read."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from draw_laws import ends, faults, misplaced, untrue
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextToPath
from random_specs import random_spec
from typer.testing import CliRunner, Result

from netspec.base.shape import show
from netspec.frontend.program import Overrides
from netspec.graph.graph import Graph
from netspec.pipeline import Stages, read, stages
from netspec.ui.cells import INPUT, LOSS, Flow
from netspec.ui.cli import app
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.mermaid import mermaid
from netspec.ui.shapes import known_counts
from netspec.ui.svg import Drawing, shortened, svg, width_of, wrapped

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
NESTED = """def rb(c) = [affine(c)-relu]x2-bn
net affine(20, frozen=true)-relu -> rb(20)x3 -> [rb(20)-tanh]x2 -> affine(20, frozen=true) -> affine"""
NETS = {
    "one": ("net affine", (5,)),
    "only a head": ("net softmax", (3,)),
    "three": ("net conv(8, kernel=7)-relu-pool -> affine(50)-relu -> affine", (3, 12, 12)),
    "fifty": (f"net {' -> '.join(f'affine({10 + number})-relu' for number in range(25))} -> affine", (7,)),
    "wide names": (
        "net [conv(16, kernel=3, bias=false, init=normal(std=0.05), lr_scale=0.125)-leaky_relu(0.3)-dropout2d(12.5%)]x6 -> affine",
        (1234, 4, 4),
    ),
    "before the weights": ("net conv(16) -> [bn-relu-conv(16)]x5 -> [bn-relu-conv(c)]x(c: 20, 24, 30) -> affine", (3, 8, 8)),
    "nested": (NESTED, (20,)),
    "many levels": (f"net {'[' * 7}affine(4)-tanh{']x2' * 7} -> affine", (3,)),
    "nothing trained": ("net affine(4, frozen=true)-relu -> affine(frozen=true)", (5,)),
}


def stages_of(text: str, shape: tuple[int, ...], **more: int) -> Stages:
    given = more or {"classes": 3}
    return stages(read(text, Overrides(input=shape, **given)))


def net(name: str) -> Stages:
    text, shape = NETS[name]
    return stages_of(f"netspec 1\n{text}{'' if name == 'only a head' else ' -> softmax'}\n", shape)


def flow_of(made: Stages, unroll: bool = False) -> Flow:
    return flow(made.program, made.graph, made.plan, "net", unroll=unroll)


def model_stages(path: Path) -> Stages:
    program = read(path)
    return stages(program, known_counts(program))


def random_stages(seed: int) -> Stages:
    text, shape = random_spec(seed)
    return stages_of(text, shape, **({"outputs": 2} if text.endswith("linear") else {"classes": 2}))


def wrong(made: Stages, unroll: bool = False) -> list[str]:
    shown = flow_of(made, unroll)
    drawing = draw(shown)
    return [*faults(drawing), *ends(drawing), *misplaced(drawing, shown), *untrue(shown, made.graph)]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_nothing_overlaps_and_arrows_end_at_boxes(name: str, unroll: bool) -> None:
    assert wrong(net(name), unroll) == []


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_models_can_be_read(path: Path) -> None:
    assert wrong(model_stages(path)) == []


@pytest.mark.parametrize("seed", range(25))
def test_any_net_can_be_read(seed: int) -> None:
    made = random_stages(seed)
    assert wrong(made) == []
    ElementTree.fromstring(svg(draw(flow_of(made))))


def test_faults_are_noticed() -> None:
    """The control of the tests above."""
    drawing = draw(flow_of(net("three")))
    box, text, way = drawing.boxes[1], next(one for one in drawing.texts if one.text == "input 3x12x12"), drawing.ways[0]
    moved = replace(box, x=box.x + 40)
    assert faults(replace(drawing, boxes=(*drawing.boxes, moved)))
    assert faults(replace(drawing, texts=(*drawing.texts, replace(text, x=drawing.width - 3))))
    assert faults(replace(drawing, texts=(*drawing.texts, replace(text, x=text.x + 9))))
    assert faults(replace(drawing, height=drawing.height - 40))
    assert list(ends(replace(drawing, ways=(replace(way, points=(way.points[0], (way.points[1][0], way.points[1][1] - 3))),))))


def test_long_nets_fold_into_columns() -> None:
    drawing = draw(flow_of(net("fifty")))
    assert len({box.x for box in drawing.boxes if box.side == "forward"}) > 2
    assert 0.6 < drawing.width / drawing.height < 2.5
    assert len({box.x for box in draw(flow_of(net("three"))).boxes if box.side == "forward"}) == 1


@pytest.mark.parametrize("bold", [False, True])
def test_texts_are_no_wider_than_estimated(bold: bool) -> None:
    font = FontProperties(family="DejaVu Sans", size=12, weight="bold" if bold else "normal")
    samples = [chr(code) * 10 for code in range(32, 127) if chr(code) != "$"]  # which begins a formula there
    for text in (*samples, "affine12 backward", "W 512x128x3x3, b 512", "init=normal(std=0.05)"):
        assert TextToPath().get_text_width_height_descent(text, font, ismath=False)[0] <= width_of(text, 12, bold), text


def test_lines_are_broken_where_they_are_too_wide() -> None:
    for text in ("one two three four", "a" * 50, "", "W 3x3, " + "b" * 40):
        lines = wrapped(text, 11, 80)
        assert all(width_of(line, 11) <= 80 for line in lines)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert shortened("abc", 11, 80) == "abc"
    assert shortened("abc " * 20, 11, 80).endswith("...")


# what it says


def passes(drawing: Drawing, side: str) -> list[str]:
    return [box.name for box in drawing.boxes if box.side == side]


@pytest.mark.parametrize("name", NETS)
def test_every_layer_stands_in_both_directions(name: str) -> None:
    made = net(name)
    drawing = draw(flow_of(made, unroll=True))
    names = [node.name for node in made.graph.nodes]
    assert passes(drawing, "forward") == [INPUT, *names]
    assert [box.name for box in drawing.boxes if box.side in ("backward", "none")] == names
    texts = " ".join(text.text for text in drawing.texts)
    for node in made.graph.nodes:
        assert re.search(rf"{node.name}\b.*{node.name}\b", texts)


def labels(drawing: Drawing, side: str) -> list[str]:
    return [way.label for way in drawing.ways if way.side == side]


@pytest.mark.parametrize("name", NETS)
def test_arrows_have_the_shapes_of_the_graph(name: str) -> None:
    made = net(name)
    drawing, graph = draw(flow_of(made, unroll=True)), made.graph
    values = [*(node.input for node in graph.nodes), graph.output]
    assert labels(drawing, "forward") == [show(value.shape) for value in values]
    assert labels(drawing, "backward") == gradients(graph, made)
    shown = [text.text for text in drawing.texts]
    assert all(label in shown for label in (*labels(drawing, "forward"), *labels(drawing, "backward")))


def gradients(graph: Graph, made: Stages) -> list[str]:
    """Those that the plan computes: of the values behind trained parameters, judged by what its launches work on."""
    busy = {layer for launch in made.plan.train.lowered.launches if launch.section == "backward" for layer in launch.layers}
    first = next((place for place, node in enumerate(graph.nodes) if node.name in busy), None)
    if first is None:
        return []
    return [*(f"d{node.name} {show(node.output.shape)}" for node in graph.nodes[first:-1]), f"dscores {show(graph.output.shape)}"]


def box_lines(drawing: Drawing, name: str, side: str) -> tuple[str, ...]:
    return next(box.lines for box in drawing.boxes if (box.name, box.side) == (name, side))


def test_boxes_tell_arguments_parameters_and_gradients() -> None:
    made = stages_of("conv(8, kernel=7)-bn-relu -> affine(50, frozen=true)-relu -> affine -> softmax", (3, 12, 12))
    drawing = draw(flow_of(made))
    bytes_of = made.plan.train.bytes_by_layer()
    assert box_lines(drawing, "conv1", "forward")[:4] == ("conv1 (8)", "kernel=7", "W 8x3x7x7, b 8", "1,184 parameters")
    assert len(box_lines(drawing, "conv1", "forward")) == 4 + bool(bytes_of["conv1"][0])
    assert box_lines(drawing, "conv1", "backward")[:3] == ("conv1 backward", "dW 8x3x7x7, db 8", "db is 0: bn subtracts b")
    assert box_lines(drawing, "bn1", "backward")[1] == "dgamma 8, dbeta 8"
    assert box_lines(drawing, "affine1", "forward")[:3] == ("affine1 (50)", "W 1152x50, b 50", "57,650 parameters, frozen")
    assert box_lines(drawing, "affine1", "backward")[1] == "frozen: no dW or db"
    assert box_lines(drawing, "flatten1", "forward")[0] == "flatten1 (implied)"
    assert {box.name for box in drawing.boxes if box.frozen} == {"affine1"}
    assert box_lines(drawing, LOSS, "both")[:2] == ("softmax, 3 classes", "loss cross_entropy of scores and labels")


def test_no_gradient_goes_before_the_first_trained_layer() -> None:
    drawing = draw(flow_of(net("nested"), unroll=True))
    assert passes(drawing, "none") == ["affine1", "relu1"]
    assert not any(way.side == "backward" and way.source in ("affine1", "relu1", INPUT) for way in drawing.ways)
    assert passes(draw(flow_of(net("nothing trained"))), "backward") == []


def test_groups_are_those_of_the_plan() -> None:
    made = net("three")
    tips = [rim.tip for rim in draw(flow_of(made)).rims if rim.shaded]
    wanted = [[node.name for node in one.nodes] for one in made.groups.groups if len(one.nodes) > 1]
    assert tips == [f"computed together: {', '.join(names)}" for names in wanted]
    apart = stages(read("netspec 1\ninput 4\nclasses 3\nnet affine(5)-relu -> affine -> softmax\ntrain { fuse = false }"))
    assert draw(flow_of(apart)).rims == ()


# repeats


def counts(made: Stages, unroll: bool = False) -> list[tuple[int, str]]:
    return [(rim.times, rim.label) for rim in draw(flow_of(made, unroll)).rims if not rim.shaded]


def test_copies_that_are_alike_are_drawn_once() -> None:
    made = stages_of("[affine(20)-relu]x4 -> affine -> softmax", (20,))
    assert counts(made) == [(4, "affine(20)-relu")]
    assert passes(draw(flow_of(made)), "forward") == [INPUT, "affine1", "relu1", "affine5"]
    assert [label for _, label in counts(made, unroll=True)] == [f"copy {number} of 4: affine(20)-relu" for number in range(1, 5)]


def test_copies_of_other_shapes_are_drawn_for_themselves() -> None:
    made = stages_of("[affine(20)-relu]x4 -> affine -> softmax", (7,))
    assert counts(made) == [(1, "copy 1 of 4: affine(20)-relu"), (3, "copies 2 to 4 of 4: affine(20)-relu")]
    shown = draw(flow_of(made))
    assert box_lines(shown, "affine2", "forward")[0] == "affine2 to affine4 (20)"
    assert box_lines(shown, "affine2", "forward")[2] == "3 copies of 420 parameters"
    varied = stages_of("[affine(c)-relu]x(c: 20, 30, 40) -> affine -> softmax", (20,))
    assert [times for times, _ in counts(varied)] == [1, 1, 1]


def test_a_repeat_in_a_repeat() -> None:
    made = net("nested")
    assert sorted(times for times, _ in counts(made)) == [1, 2, 2, 2, 3]
    assert all(times == 1 for times, _ in counts(made, unroll=True))
    cells = flow_of(made).cells
    named = [name for cell in cells for name in cell.names]
    assert sorted(named) == sorted(node.name for node in made.graph.nodes)
    assert [cell.names for cell in cells if cell.row.kind == "bn"] == [("bn1", "bn2", "bn3"), ("bn4", "bn5")]
    assert [cell.names for cell in cells if len(cell.names) == 6] == [
        tuple(f"{kind}{number}" for number in range(2, 8)) for kind in ("affine", "relu")
    ]


def test_a_def_with_a_count_and_a_long_repeat() -> None:
    made = stages_of("netspec 1\ndef hidden(w, p = 25%) = affine(w)-bn-relu-dropout(p)\nnet hidden(9)x500 -> affine -> softmax", (9,))
    assert counts(made) == [(500, "hidden(w=9, p=0.25)")]
    assert len(draw(flow_of(made)).boxes) == 2 + 2 * 5


def test_a_group_that_goes_on_in_the_next_copy_is_open() -> None:
    rims = draw(flow_of(net("before the weights"))).rims
    assert [(rim.open_above, rim.open_below) for rim in rims if rim.shaded][:3] == [(False, True), (True, False), (False, True)]


# the verb


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.net").write_text("netspec 1\ninput 5\nclasses 3\nnet [affine(5)-relu]x3 -> affine -> softmax\n")
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["draw", *map(str, words)])


def test_the_picture_is_written_beside_and_printed(folder: Path) -> None:
    assert call("small.net").stdout == "small.svg\n"
    root = ElementTree.fromstring(Path("small.svg").read_text())
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    background = root.find("{http://www.w3.org/2000/svg}rect")
    assert background is not None
    assert (background.get("width"), background.get("height"), background.get("fill")) == (root.get("width"), root.get("height"), "#ffffff")
    texts = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"x3", "affine1 to affine3 (5)", "dscores 3", "daffine1 5"} <= set(texts)
    assert sorted(os.listdir()) == ["small.net", "small.svg"]


def test_the_same_net_gives_the_same_bytes(folder: Path) -> None:
    assert (call("small.net", "-o", "a.svg").stdout, call("small.net", "-o", "b.svg").stdout) == ("a.svg\n", "b.svg\n")
    assert Path("a.svg").read_bytes() == Path("b.svg").read_bytes()
    assert call("small.net", "-o", "c.svg", "--unroll").exit_code == 0
    assert Path("a.svg").read_bytes() != Path("c.svg").read_bytes()


def test_json_names_path_and_boxes(folder: Path) -> None:
    found = json.loads(call("small.net", "--json", "-o", "x.svg").stdout)
    assert found["path"] == "x.svg"
    assert [box["name"] for box in found["boxes"] if box["side"] == "forward"] == [INPUT, "affine1", "relu1", "affine4"]
    assert [arrow["label"] for arrow in found["arrows"] if arrow["side"] == "backward"] == ["daffine1 5", "drelu3 5", "dscores 3"]
    assert Path("x.svg").exists()


@pytest.mark.parametrize("name", NETS)
def test_the_flowchart_names_every_layer_and_is_balanced(name: str) -> None:
    made = net(name)
    for unroll in (False, True):
        text = mermaid(flow_of(made, unroll))
        lines = text.splitlines()
        assert lines[0] == "flowchart TD"
        assert sum(line.split()[0] == "subgraph" for line in lines) == sum(line.strip() == "end" for line in lines)
        assert all(line.count('"') in (0, 2) for line in lines)
        defined = {match for line in lines for match in re.findall(r"^ +(\w+)\(?\[", line)}
        used = {end for line in lines if "-->" in line or "-.->" in line for end in (line.split()[0], line.split()[-1])}
        assert used <= defined
    assert all(re.search(rf"{node.name}\b", text) for node in made.graph.nodes)


def test_the_flowchart_is_printed_and_nothing_written(folder: Path) -> None:
    result = call("small.net", "--mermaid")
    assert result.stdout.startswith("flowchart TD\n")
    assert '"x3 affine(5)-relu"' in result.stdout
    assert os.listdir() == ["small.net"]


def test_names_are_escaped(folder: Path) -> None:
    name = "a & b <i> \"c\" #d 'e'"
    Path(f"{name}.net").write_text(Path("small.net").read_text())
    assert call(f"{name}.net").exit_code == 0
    root = ElementTree.fromstring(Path(f"{name}.svg").read_text())
    assert next(root.iter("{http://www.w3.org/2000/svg}title")).text == name
    made = stages_of("netspec 1\nnet [affine(9)]x2 -> affine -> softmax", (9,))
    shown = flow_of(made)
    strange = replace(
        shown, input=('in "<&> #1;`\x07',), cells=tuple(replace(cell, forward=("<&\x07", *cell.forward)) for cell in shown.cells)
    )
    ElementTree.fromstring(svg(draw(strange)))
    assert '["in #34;#60;#38;> #1#59;#96;#7;"]' in mermaid(strange)


USAGE = {
    "png": (("small.net", "-o", "small.png"), 2, "written as .svg"),
    "no folder": (("small.net", "-o", "nowhere/small.svg"), 2, "there is no folder nowhere"),
    "no file": (("absent.net",), 2, "absent.net: no such file"),
    "mermaid to a file": (("small.net", "--mermaid", "-o", "small.svg"), 2, "--mermaid"),
    "mermaid as json": (("small.net", "--mermaid", "--json"), 2, "--mermaid"),
    "no shape": (("open.net",), 3, "NS409"),
}


@pytest.mark.parametrize("name", USAGE)
def test_what_cannot_be_drawn_is_told(folder: Path, name: str) -> None:
    words, code, part = USAGE[name]
    Path("open.net").write_text("netspec 1\nnet affine(5)-relu -> affine -> softmax\n")
    result = call(*words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert part in result.stderr
    assert not list(folder.glob("*.svg"))


def test_a_picture_that_cannot_be_written_leaves_the_old_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("small.svg").write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netspec.save.atomic.os.replace", full)
    assert call("small.net").exit_code == 1
    assert (Path("small.svg").read_text(), sorted(os.listdir())) == ("before", ["small.net", "small.svg"])
