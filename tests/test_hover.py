"""Hover texts tell the shape at every point of a net, and of which copies, as an editor asks for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from editor import Editor

from netspec.base.shape import show
from netspec.frontend.program import Overrides
from netspec.pipeline import read, stages

TEXT = """netspec 1
input 3x32x32
classes 10
def cr(c, k=3) = conv(c, kernel=k)-bn-relu
def block(c) = res[cr(c) -> conv(c)-bn](proj)-relu
net cr(16) @stem -> [block(c) -> pool]x(c: 16, 32) -> concat(id | cr(8) -> conv(4) | pool(3, stride=1, pad=1)-conv(4))
 -> [dropout]x2 tied -> add(id | conv(40)) -> globalpool -> affine -> softmax
"""
WRONG = TEXT.replace("add(id | conv(40))", "add(id | conv(41))")


@pytest.fixture(scope="module")
def editor() -> Iterator[Editor]:
    with Editor() as session:
        yield session


def hover(editor: Editor, text: str, words: str, further: int = 0) -> str:
    """What is said where some words begin, or `further` on."""
    uri = f"untitled:{abs(hash((text, words, further)))}"
    editor.open(uri, text)
    lines = text[: text.index(words) + further].split("\n")
    found = editor.at("hover", uri, len(lines) - 1, len(lines[-1]))
    editor.tell("textDocument/didClose", textDocument={"uri": uri})
    return str(found["contents"]["value"]) if found else ""


POINTS = {
    "in a def": ("-bn-relu\n", "`16x32x32` in copies 1..2, `32x16x16` in copy 3, `8x8x8` in copy 4"),
    "in a res": (" -> conv(c)-bn]", "`16x32x32` in copy 1, `32x16x16` in copy 2"),
    "behind a res": ("-relu\nnet", "`16x32x32` in copy 1, `32x16x16` in copy 2"),
    "in a repeat": (" -> pool]", "`16x32x32` in copy 1, `32x16x16` in copy 2"),
    "in a branch": (" -> conv(4) |", "`8x8x8`"),
    "in the last branch": ("-conv(4))", "`32x8x8`"),
    "behind a merge": ("\n -> [dropout]", "`40x8x8`"),
}


@pytest.mark.parametrize("text", [TEXT, WRONG], ids=["right", "wrong behind"])
@pytest.mark.parametrize("name", POINTS)
def test_points_tell_the_shape_of_each_copy(editor: Editor, name: str, text: str) -> None:
    words, shapes = POINTS[name]
    assert hover(editor, text, words) == f"shape here: {shapes}"


LAYERS = {
    "def body": ("conv(c, kernel", ["copies 1..4", "| 2 | `16x32x32 -> 16x32x32` | 2,320 | 4.7M | conv2 |", "| conv6 |"]),
    "alike": ("bn-relu\ndef", ["| 1..2 | `16x32x32 -> 16x32x32` | 32 | 115k | bn1, bn2 |"]),
    "skip": ("proj)", ["copies 1..2", "| 1 | `16x32x32 -> 16x32x32` | 272 |", "| proj2 |"]),
    "call": ("cr(8)", ["`32x8x8 -> 8x8x8`, 2,328 parameters", "3 layers"]),
    "merge": ("concat", ["`32x8x8 and 4x8x8 and 4x8x8 -> 40x8x8`"]),
    "tied": ("dropout]", ["| 1..2 | `40x8x8 -> 40x8x8` | 0 |"]),
}


@pytest.mark.parametrize("text", [TEXT, WRONG], ids=["right", "wrong behind"])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_tell_shapes_and_names_of_their_copies(editor: Editor, name: str, text: str) -> None:
    words, parts = LAYERS[name]
    found = hover(editor, text, words)
    assert [part for part in parts if part not in found] == []


def test_names_and_shapes_are_those_of_the_graph(editor: Editor) -> None:
    """Every line of a table that names one layer, against the graph."""
    nodes = {node.name: node for node in stages(read(TEXT, Overrides())).graph.nodes}
    told = 0
    for words in ("conv(c, kernel", "bn-relu\ndef", "conv(c)-bn]", "proj)", "pool]", "relu\nnet"):
        for output, names in re.findall(r"-> (\S+)` .*\| (\w[\w, ]*) \|$", hover(editor, TEXT, words), re.MULTILINE):
            for name in names.split(", "):
                assert show(nodes[name].output.shape) == output
                told += 1
    assert told == 4 + 4 + 2 + 2 + 2 + 2


def test_a_head_tells_the_scores_that_it_takes(editor: Editor) -> None:
    assert "scores of one row: `10`" in hover(editor, TEXT, "softmax")
    assert "not known: the text has an error" in hover(editor, WRONG, "softmax")


def test_what_depends_on_an_error_says_so(editor: Editor) -> None:
    for words in ("add(", "globalpool", "affine ->"):
        assert "Its shape is not known: the text has an error before this point, or here." in hover(editor, WRONG, words)
        assert "not known" not in hover(editor, TEXT.replace("41", "40"), words)


def test_a_projection_is_that_of_its_own_res(editor: Editor) -> None:
    text = "netspec 1\ninput 6\nclasses 2\nnet res[affine(4) -> res[affine(5)](proj)-relu](proj) -> affine -> softmax\n"
    assert "`4 -> 5`" in hover(editor, text, "proj)-relu")
    assert "`6 -> 5`" in hover(editor, text, "proj) -> affine")
