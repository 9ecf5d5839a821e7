"""`netspec draw` of nets with branches: the same laws, whatever joins what."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from xml.etree import ElementTree

import numpy as np
import pytest
from draw_laws import ends, faults, misplaced, untrue

from netspec.frontend.program import Overrides
from netspec.pipeline import Stages, read, stages
from netspec.ui.cells import INPUT, Flow
from netspec.ui.copies import named
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.fold import folded
from netspec.ui.mermaid import mermaid
from netspec.ui.svg import BACKWARD, DARK, FAINT, FORWARD, FRAMED, GROUPED, INK, NEUTRAL, PAPER, Drawing, svg

BLOCK = "def cr(c, k=3) = conv(c, kernel=k)-bn-relu\n"
MODULE = "concat(cr(a, k=1) | cr(8, k=1) -> cr(a) | cr(8, k=1) -> cr(a, k=5) | pool(3, stride=1, pad=1) -> cr(a, k=1))"
NETS = {
    "resnet": "net conv(8)-relu -> [res[conv(8)-bn-relu-conv(8)-bn]-relu]x3 -> res[conv(16, stride=2)-bn-relu-conv(16)-bn](proj)-relu "
    "-> [res[conv(16)-bn-relu-conv(16)-bn]-relu]x3 -> globalpool -> affine",
    "inception": f"{BLOCK}def module(a) = {MODULE}\nnet cr(16) -> pool -> module(8) -> module(12) -> globalpool -> affine",
    "u": f"{BLOCK}net cr(8) @one -> pool -> cr(16) @two -> pool -> cr(32) -> upsample(2) -> concat(id | @two) -> cr(16) "
    "-> upsample(2) -> concat(id | @one) -> cr(8) -> flatten -> affine",
    "dense": "net conv(8) -> [concat(id | conv(8)-relu)]x4 -> globalpool -> affine",
    "nested": "net conv(8)-relu -> add(concat(conv(4)-relu | conv(4, kernel=1)) | res[conv(8)-bn-relu]) -> relu -> globalpool -> affine",
    "gates": "net conv(8)-bn-relu -> res[conv(8)-bn -> mul(id | conv(8, kernel=1)-sigmoid)]-relu -> concat(id | id) -> affine",
    "from outside a frame": "net conv(8) @a -> [conv(8)-add(id | @a)-relu]x4 -> affine",
    "names in branches": "net conv(8) @a -> relu -> add(conv(8) @p -> relu-add(conv(8)-relu | @a | @p) | conv(8)-[conv(8)-bn]x3 @q -> relu "
    "| @q -> conv(8)) -> concat(@p -> conv(4) | id | concat(@q | @a)) -> affine",
    "a name read at once": "net affine(6) -> add(affine(6)-relu @x | @x) -> add(relu @y -> tanh | @y) -> affine",
    "frames in branches": "net concat(conv(8) | [conv(8)-bn-relu]x2 -> [conv(8, kernel=1)]x3 | [[conv(8)-relu]x2-bn]x2) -> affine",
    "nothing trained before": "net affine(9, frozen=true)-relu -> add(id | affine(9, frozen=true)-tanh) -> add(affine(9) | id) -> affine",
    "many branches": f"net affine(4) -> concat({' | '.join(f'affine({width})' for width in range(1, 13))}) -> affine",
    "from the input": "net concat(conv(4) | conv(4, kernel=1)) -> affine",
}


def made_of(text: str) -> Stages:
    return stages(read(f"netspec 1\n{text} -> softmax", Overrides(input=(8, 16, 16), classes=3)))


def flow_of(made: Stages, unroll: bool = False) -> Flow:
    return flow(made.program, made.graph, made.plan, "net", unroll=unroll)


def wrong(made: Stages, unroll: bool) -> list[str]:
    shown = flow_of(made, unroll)
    drawing = draw(shown)
    ElementTree.fromstring(svg(drawing))
    return [*faults(drawing), *ends(drawing), *misplaced(drawing, shown), *untrue(shown, made.graph)]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_branches_can_be_read(name: str, unroll: bool) -> None:
    assert wrong(made_of(NETS[name]), unroll) == []


class Net:
    """A net drawn at random: everything takes and gives a vector of 6."""

    def __init__(self, seed: int, length: int) -> None:
        self.draw = np.random.default_rng([seed, 31])
        self.names: list[str] = []
        self.numbers = count(1)
        self.text = f"net {self.chain(length, 3)} -> affine"

    def chain(self, length: int, depth: int) -> str:
        return " -> ".join(self.item(depth) for _ in range(length))

    def item(self, depth: int) -> str:
        kind = self.draw.choice(["run", "run", "name", "merge", "res", "repeat"]) if depth else "run"
        some = int(self.draw.integers(1, 4))
        match kind:
            case "name":
                run = self.run()
                self.names.append(f"n{next(self.numbers)}v")
                return f"{run} @{self.names[-1]}"
            case "merge":
                return self.merge(depth - 1)
            case "res":
                return f"res[{self.chain(some, depth - 1)}]{self.draw.choice(['', '', '(proj)'])}"
            case "repeat":
                return f"[{self.chain(some, depth - 1)}]x{self.draw.integers(2, 4)}{self.draw.choice(['', '', ' tied'])}"
        return self.run()

    def run(self) -> str:
        layers = ["affine(6)", *self.draw.choice(["relu", "bn", "tanh", "dropout", "layernorm"], self.draw.integers(0, 3), replace=False)]
        return str(self.draw.choice(["-".join(layers), "id", "relu", "affine(6)"]))

    def merge(self, depth: int) -> str:
        known = list(self.names)
        branches = [self.chain(int(self.draw.integers(1, 3)), depth) for _ in range(self.draw.integers(1, 4))]
        for _ in range(self.draw.integers(0, 3) if known else 0):
            read = f"@{self.draw.choice(known)}"
            more = f" -> {self.chain(1, depth)}" if self.draw.random() < 0.5 else ""
            branches.insert(int(self.draw.integers(len(branches) + 1)) if not more else len(branches), read + more)
        if len(branches) < 2:
            branches.append("id")
        kind = str(self.draw.choice(["add", "concat", "mul"]))
        return f"{kind}({' | '.join(branches)}){' -> affine(6)' if kind == 'concat' else ''}"


def random_text(seed: int) -> str:
    """Each eighth is long, so that it stands on several pages."""
    return Net(seed, 18 if seed % 8 == 7 else 2 + seed % 7).text


def random_stages(seed: int) -> Stages:
    text = random_text(seed)
    return stages(read(f"netspec 1\n{text} -> softmax", Overrides(input=(6,), classes=3)))


@pytest.mark.parametrize("seed", range(40))
def test_any_branches_can_be_read(seed: int) -> None:
    made = random_stages(seed)
    assert wrong(made, seed % 2 == 1) == []


def test_random_nets_have_all_that_branches_can_have() -> None:
    """The control of the test above."""
    texts = [random_text(seed) for seed in range(40)]
    for part in ("add(", "concat(", "mul(", "res[", "](proj)", " tied", "| @n", "@n1v -> ", "x2", "x3"):
        assert sum(part in text for text in texts) > 3, part
    pages = [sum(text.text == "forward, down" for text in draw(flow_of(random_stages(seed))).texts) for seed in (7, 15, 23)]
    assert min(pages) > 1


# the laws notice what breaks them


@pytest.fixture(scope="module")
def nested() -> tuple[Stages, Flow, Drawing]:
    made = made_of(NETS["resnet"])
    shown = flow_of(made)
    return made, shown, draw(shown)


def test_lines_through_boxes_and_words_are_noticed(nested: tuple[Stages, Flow, Drawing]) -> None:
    _, _, drawing = nested
    way = next(way for way in drawing.ways if len(way.points) > 4)
    box = next(box for box in drawing.boxes if box.name == "bn2")
    ways = (*drawing.ways, replace(way, points=((box.x - 50, box.y + 5), (box.x + 50, box.y + 5))))
    assert any("goes through 'bn2'" in fault for fault in faults(replace(drawing, ways=ways)))
    text = next(text for text in drawing.texts if text.text == "dadd1 8x16x16")
    ways = (*drawing.ways, replace(way, points=((text.span[0] + 5, text.y - 30), (text.span[0] + 5, text.y + 30))))
    assert any(f"goes through '{text.text}'" in fault for fault in faults(replace(drawing, ways=ways)))
    with pytest.raises(AssertionError, match="aslant"):
        faults(replace(drawing, ways=(replace(way, points=((0, 0), (5, 5))),)))


def test_lines_on_each_other_are_noticed(nested: tuple[Stages, Flow, Drawing]) -> None:
    _, _, drawing = nested
    way = next(way for way in drawing.ways if way.side == "forward" and len(way.points) > 4)
    other = replace(way, source="another")
    assert any("lies on" in fault for fault in faults(replace(drawing, ways=(*drawing.ways, other))))


def test_rims_that_cut_are_noticed(nested: tuple[Stages, Flow, Drawing]) -> None:
    _, shown, drawing = nested
    frame = next(rim for rim in drawing.rims if not rim.shaded)
    low = replace(frame, y=frame.y + 60)
    assert list(misplaced(replace(drawing, rims=(*drawing.rims, low)), shown))
    assert any("crosses" in fault for fault in faults(replace(drawing, rims=(*drawing.rims, low))))
    assert list(misplaced(replace(drawing, rims=drawing.rims[1:]), shown))
    label = next(text for text in drawing.texts if text.text.startswith("res["))
    high = replace(frame, y=label.y - 4, height=frame.height + 20)
    assert any("the rim of" in fault and "res[" in fault for fault in faults(replace(drawing, rims=(high,))))


def test_arrows_that_are_missing_or_too_many_are_noticed(nested: tuple[Stages, Flow, Drawing]) -> None:
    made, shown, _ = nested
    assert list(untrue(shown, made.graph)) == []
    for arrows in (shown.arrows[1:], (*shown.arrows, shown.arrows[3]), (*shown.arrows[:-1], replace(shown.arrows[-1], source="conv1"))):
        assert list(untrue(replace(shown, arrows=arrows), made.graph))
    assert list(untrue(replace(shown, cells=shown.cells[:-1]), made.graph))


# where things stand


def forward(drawing: Drawing) -> dict[str, tuple[float, float]]:
    return {box.name: (box.x, box.y) for box in drawing.boxes if box.side == "forward"}


def test_branches_stand_side_by_side_and_what_they_join_is_below() -> None:
    drawing = draw(flow_of(made_of(NETS["inception"])))
    places = forward(drawing)
    starts = [places[name] for name in ("conv2", "conv3", "conv5", "pool2")]
    assert max(y for _, y in starts) - min(y for _, y in starts) < 40  # frames have a line of words
    assert [x for x, _ in starts] == sorted(x for x, _ in starts)
    assert places["concat1"][1] > max(y for name, (_, y) in places.items() if name in ("relu2", "relu4", "relu6", "relu7"))
    assert drawing.width < 2000


@pytest.mark.parametrize("name", NETS)
def test_the_backward_half_is_the_mirror_image(name: str) -> None:
    drawing = draw(flow_of(made_of(NETS[name])))
    boxes = {(box.name, "forward" if box.side == "forward" else "backward"): box for box in drawing.boxes if box.side != "both"}
    middles = {
        round(box.x + box.width + boxes[layer, "backward"].x, 1)
        for (layer, side), box in boxes.items()
        if side == "forward" and layer != INPUT
    }
    pages = sum(text.text == "forward, down" for text in drawing.texts)
    assert len(middles) == pages
    assert all(box.y == boxes[layer, "backward"].y for (layer, side), box in boxes.items() if side == "forward" and layer != INPUT)


def test_merges_are_small() -> None:
    drawing = draw(flow_of(made_of(NETS["resnet"])))
    boxes = {box.name: box for box in drawing.boxes if box.side == "forward"}
    assert boxes["add1"].height < boxes["relu2"].height <= boxes["conv2"].height


def test_a_value_that_is_read_later_says_where_it_comes_from() -> None:
    texts = [text.text for text in draw(flow_of(made_of(NETS["u"]))).texts]
    assert {"relu1 8x16x16", "drelu1 8x16x16", "relu2 16x8x8", "drelu2 16x8x8"} <= set(texts)


# copies


def copies(text: str) -> list[tuple[int, str]]:
    rims = draw(flow_of(made_of(text))).rims
    return [(rim.times, rim.tip) for rim in rims if not rim.shaded]


def test_blocks_with_branches_are_drawn_once() -> None:
    assert copies("net conv(8) -> [res[conv(8)-bn-relu]-relu]x3 -> affine") == [(3, "res[conv(8)-bn-relu]-relu")]
    assert copies("net conv(8) -> [concat(id | relu)-conv(8)]x5 -> affine") == [(5, "concat(id | relu)-conv(8)")]
    assert copies(NETS["from outside a frame"]) == [(4, "conv(8)-add(id | @a)-relu")]
    assert [times for times, _ in copies("net affine(6) -> [res[[affine(6)-relu]x3-affine(6)]]x2 -> affine")] == [2, 3]


def test_blocks_that_differ_are_drawn_for_themselves() -> None:
    grown = copies(NETS["dense"])
    assert [times for times, _ in grown] == [1, 1, 1, 1]
    first = "copy 1 of 3: res[conv(16)-relu](proj)"
    assert copies("net conv(8) -> [res[conv(16)-relu](proj)]x3 -> affine") == [(1, first), (2, first.replace("copy 1", "copies 2 to 3"))]


def test_copies_that_read_another_value_are_not_folded() -> None:
    cells = flow_of(made_of("net affine(6) @a -> [add(affine(6)-relu | @a)]x3 -> affine"), unroll=True).cells
    assert [cell.names for cell in folded(cells, unroll=False) if cell.merges] == [("add1", "add2", "add3")]
    for other, value in (("a", "affine3"), ("a", "relu1"), ("relu2", "add1")):
        changed = [
            replace(cell, values=tuple((value if name == other else name, shape) for name, shape in cell.values))
            if cell.name == "add2"
            else cell
            for cell in cells
        ]
        assert [cell.names for cell in folded(changed, unroll=False) if cell.merges] == [("add1",), ("add2",), ("add3",)]


def words(shown: Flow, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    cell = next(cell for cell in shown.cells if cell.name == name)
    return cell.forward, cell.backward


def test_tied_copies_and_tied_weights_say_whose_they_are() -> None:
    made = made_of("net affine(7) @enc -> affine(tie = enc.T)-relu -> affine(6) -> [affine(6)-tanh]x3 tied -> affine")
    shown = flow_of(made, unroll=True)
    assert words(shown, "affine2")[0][:4] == ("affine2 (2048)", "b 2048", "2,048 parameters", "W of enc, transposed")
    assert "dW added to enc's" in words(shown, "affine2")[1]
    assert words(shown, "affine4#2")[0][:2] == ("affine4#2 (6)", "W, b of affine4")
    assert "dW, db added to affine4's" in words(shown, "affine4#2")[1]
    assert f"{made.graph.parameter_count:,} parameters" in shown.subtitles[0]


def test_tied_copies_are_drawn_once() -> None:
    text = "net affine(6) -> [affine(6)-tanh]x3 tied -> affine"
    assert copies(text) == [(3, "affine(6)-tanh, tied")]
    shown = flow_of(made_of(text))
    assert "42 parameters for 3 copies" in words(shown, "affine2")[0]
    assert "dW 6x6, db 6, over all copies" in words(shown, "affine2")[1]
    assert any("of tied ones all have the same weights" in note for note in shown.notes)
    assert "3 copies of 42 parameters" in words(flow_of(made_of(text.replace(" tied", ""))), "affine2")[0]


def test_a_projection_tells_what_differs_from_the_defaults() -> None:
    shown = flow_of(made_of(NETS["resnet"]))
    assert words(shown, "proj1")[0][:3] == ("proj1 (16)", "kernel=1, stride=2", "W 16x8x1x1, b 16")
    same = flow_of(made_of("net res[conv(16, kernel=3, bias=false)-bn](proj) -> affine"))
    assert words(same, "proj1")[0][1] == "kernel=1"
    assert words(same, "conv1")[0][1] == "bias=false"


def doubled(text: str, unroll: bool = False) -> set[str]:
    drawing = draw(flow_of(made_of(text), unroll))
    assert any("double border" in one.text for one in drawing.texts) == any(box.is_double for box in drawing.boxes)
    return {box.name for box in drawing.boxes if box.is_double}


def test_shared_parameters_are_marked_on_both_sides() -> None:
    text = "net affine(7) @enc -> affine(tie = enc.T)-relu -> affine(6) -> [affine(6)-tanh]x3 tied -> affine"
    assert doubled(text) == {"enc", "affine2", "affine4"}
    assert doubled(text, unroll=True) == {"enc", "affine2", "affine4", "affine4#2", "affine4#3"}
    assert doubled(text.replace(" tied", "").replace("tie = enc.T", "2048")) == set()
    shown = flow_of(made_of(text), unroll=True)
    assert "W shared with affine2" in words(shown, "enc")[0]
    assert "W, b shared with affine4#2, affine4#3" in words(shown, "affine4")[0]
    assert words(shown, "affine4#3")[0][0] == "affine4#3 (6)"
    many = flow_of(made_of(text.replace("x3", "x9")), unroll=True)
    assert "W, b shared with 8 others" in words(many, "affine4")[0]


def test_titles_tell_which_copies_are_meant() -> None:
    told = {
        ("relu2",): "relu2", ("affine2#2",): "affine2#2", ("conv2", "conv4"): "conv2, conv4", ("add1", "add2"): "add1, add2",
        ("add1", "add2", "add3"): "add1 to add3", ("conv2", "conv4", "conv6"): "conv2, conv4, conv6",
        ("conv2", "conv4", "conv6", "conv8"): "conv2, conv4, ... conv8", ("enc", "enc2", "enc3", "enc4"): "enc to enc4",
        ("bn1", "bn1#2", "bn1#3"): "bn1", ("bn1", "bn1#2", "bn2", "bn2#2"): "bn1, bn2",
    }  # fmt: skip
    assert {names: named(names) for names in told} == told


@pytest.mark.parametrize("name", NETS)
def test_boxes_of_copies_tell_how_many_there_are(name: str) -> None:
    for cell in flow_of(made_of(NETS[name])).cells:
        counted = [line for line in cell.forward if re.search(rf"\b{len(cell.names)} copies\b", line)]
        assert bool(counted) == (len(cell.names) > 1), cell.forward


# colours


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("text", [INK, FAINT, FORWARD[0], BACKWARD[0]])
@pytest.mark.parametrize("below", [PAPER, FORWARD[1], BACKWARD[1], NEUTRAL[1], GROUPED[1], FRAMED[1]])
def test_words_stand_out(text: str, below: str) -> None:
    """By the contrast that the Web Content Accessibility Guidelines ask for."""
    assert (luminance(below) + 0.05) / (luminance(text) + 0.05) >= 4.5


@pytest.mark.parametrize("text", [INK, FAINT, FORWARD[0], BACKWARD[0]])
@pytest.mark.parametrize("below", [PAPER, FORWARD[1], BACKWARD[1], NEUTRAL[1], GROUPED[1], FRAMED[1]])
def test_words_stand_out_on_dark_pages(text: str, below: str) -> None:
    assert (luminance(DARK[text]) + 0.05) / (luminance(DARK[below]) + 0.05) >= 4.5
    assert (luminance(DARK[text]) + 0.05) / (luminance(below) + 0.05) < 4.5


def test_every_colour_has_its_dark_one() -> None:
    text = svg(draw(flow_of(made_of(NETS["nothing trained before"]))))
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-f]{6})"', text.partition("</style>")[2]))
    assert {PAPER, INK, FORWARD[0]} <= used <= set(DARK)
    assert (luminance(DARK[PAPER]) + 0.05) / (luminance(DARK[FAINT]) + 0.05) < 1 / 4.5  # a count on its mark


# the flowchart


def nodes_and_arrows(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        node = re.match(r" +(\w+)\(?\[\"", line)
        arrow = re.match(r" +(\w+) (?:-->|-\.->)\|\".*\"\| (\w+)$", line)
        if node:
            yield node[1], ""
        elif arrow:
            yield arrow[1], arrow[2]


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_flowchart_has_every_arrow(name: str, unroll: bool) -> None:
    shown = flow_of(made_of(NETS[name]), unroll)
    text = mermaid(shown)
    found = list(nodes_and_arrows(text))
    nodes = [one for one, other in found if not other]
    arrows = [pair for pair in found if pair[1]]
    assert len(set(nodes)) == len(nodes) == 2 + sum(1 + cell.reached for cell in shown.cells)
    assert len(arrows) == len(shown.arrows) + sum(bool(arrow.gradient) for arrow in shown.arrows)
    assert {end for pair in arrows for end in pair} <= set(nodes)
    ids = re.findall(r"subgraph (\w+)\[", text)
    assert len(set(ids)) == len(ids)
    assert len(ids) == sum(line.strip() == "end" for line in text.splitlines())


def test_the_flowchart_marks_shared_parameters() -> None:
    text = mermaid(flow_of(made_of("net affine(6) -> [affine(6)-tanh]x3 tied -> affine")))
    assert text.endswith("  classDef shared stroke-width:4px\n  class f2,b2 shared")
    assert "classDef" not in mermaid(flow_of(made_of(NETS["resnet"])))


@pytest.mark.parametrize("unroll", [False, True])
def test_labels_of_the_flowchart_are_readable_as_text(unroll: bool) -> None:
    text = mermaid(flow_of(made_of("net affine(6) -> [affine(6) -> tanh]x3 tied -> affine"), unroll))
    assert "affine(6) -> tanh" in text
    assert ("affine2#3 (6)" in text) == unroll
    assert not re.search(r"#\w+;", text)  # what mermaid would read as a character's number


# names, defs, and branches that are lines

UNET = """netspec 1
def dbl(c) = conv(c)-bn-relu-conv(c)-bn-relu
net dbl(4) @d1 -> pool -> dbl(8) @d2 -> pool -> dbl(16) -> upsample(2)-conv(8) -> concat(id | @d2) -> dbl(8) -> upsample(2)-conv(4)
    -> concat(id | @d1) -> dbl(4) -> conv(1, kernel=1)-flatten -> sigmoid
"""


def unet() -> Stages:
    return stages(read(UNET, Overrides(input=(1, 16, 16), classes=256)))


def test_an_id_that_is_a_branch_is_a_line() -> None:
    made = unet()
    shown = flow_of(made)
    assert shown.lines == ("id1", "id2")
    assert not any(cell.row.kind == "id" for cell in shown.cells)
    assert [arrow.source for arrow in shown.arrows if arrow.target == "concat1"] == ["conv7", "relu4"]
    assert wrong(made, False) == []
    assert wrong(made, True) == []
    named = stages(read("affine(4) -> add(id @here | relu) -> affine(4) -> add(relu | @here) -> affine -> softmax", Overrides((6,), 3)))
    assert flow_of(named).lines == ()


def test_gradients_that_skip_pages_do_not_cross_the_forward_boxes() -> None:
    drawing = draw(flow_of(unet()))
    heads = sorted(text.x for text in drawing.texts if text.text == "forward, down")
    assert len(heads) > 1
    merge = {box.side: box for box in drawing.boxes if box.name == "concat2"}
    (way,) = (way for way in drawing.ways if (way.side, way.source, way.target) == ("backward", "relu2", "concat2"))
    level = [x for x, y in way.points if merge["backward"].y - 200 < y <= merge["backward"].y]
    assert min(level) > merge["forward"].x + merge["forward"].width


def test_named_points_and_values_of_defs_are_told() -> None:
    shown = flow_of(unet())
    titles = {cell.name: cell.forward[0] for cell in shown.cells}
    assert (titles["relu2"], titles["relu4"], titles["relu6"]) == ("relu2 @d1", "relu4 @d2", "relu6")
    frames = list(dict.fromkeys(frame.label for cell in shown.cells for frame in cell.frames))
    assert frames == ["dbl(c=4) @d1", "dbl(c=8) @d2", "dbl(c=16)", "dbl(c=8)", "dbl(c=4)"]
    over = stages(read("[conv(c)-relu]x(c: 4, 8) @deep -> affine -> softmax", Overrides((1, 8, 8), 3)))
    labels = list(dict.fromkeys(frame.label for cell in flow_of(over).cells for frame in cell.frames))
    assert labels == ["copy 1 of 2: conv(c)-relu, c=4 @deep", "copy 2 of 2: conv(c)-relu, c=8 @deep"]
