"""What an editor asks about a text, without a protocol: shapes, completions, names, positions."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from netspec.base.errors import SpecError, UsageError
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.frontend.parse import parse
from netspec.frontend.text import source_of
from netspec.frontend.tokens import ENTRY_WORDS, tokenize
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.graph import Node
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.complete import complete
from netspec.ui.language.document import Document
from netspec.ui.language.hover import hover
from netspec.ui.language.outline import outline
from netspec.ui.language.pages import WORDS
from netspec.ui.language.points import chains_in, chains_of, layers_of_call, shapes_behind, unit_of
from netspec.ui.language.positions import UNITS, Lines
from netspec.ui.language.rename import rename
from netspec.ui.language.signature import signature_at
from netspec.ui.language.survey import survey
from netspec.ui.language.unfinished import Edit, readable

MODELS = {path.stem: source_of(path) for path in sorted((Path(__file__).parents[1] / "models").glob("*.net"))}
BUILT_IN = {name: source for name, source in MODELS.items() if "source = digits" in source.text or "cifar" in source.text}
BRANCHED = {name for name, source in BUILT_IN.items() if " | " in source.text or "use " in source.text}
EVERYTHING = """netspec 1
let width = 8
let act = relu  # width, in a comment
let rule = sgd(lr=5e-3)
def unit(w, p = 25%) = affine(width=w)-act-dropout(p) @mid -> add(id | @mid)
data { source = csv; path = "width"; split = 80% / 20% }
net [unit(width)]x(width // 4) -> [unit(w=c)]x(c: 4, width) -> affine(8) @enc -> affine(tie = enc) -> affine(tie = enc.T) -> affine
train { optimizer = rule; batch = width }
search { width = choice(4, 8); train.lr = log(1e-4, 1e-1) }
defaults { affine.bias = true }
"""


def at(text: str) -> tuple[str, int]:
    """A text and the place that `¦` marks in it."""
    offset = text.index("\u00a6")
    return text[:offset] + text[offset + 1 :], offset


def said(text: str) -> str:
    """What hovering says at the mark."""
    text, offset = at(text)
    found = hover(Analysis(Source(text)), offset)
    return found.text if found else ""


def offered(text: str) -> list[str]:
    """The completions at the mark, as labels."""
    text, offset = at(text)
    return [item.label for item in complete(Analysis(Source(text)), offset)]


# shapes


def test_a_layer_tells_the_shape_of_each_copy() -> None:
    text = said("netspec 1 input 3x32x32 classes 10 net [\u00a6conv(c)-relu-pool]x(c: 16, 32, 64) -> affine -> softmax")
    assert "copies 1..3: 16x32x32, 32x16x16, 64x8x8" in text
    assert "| 2 | `16x16x16 -> 32x16x16` | 4,640 | 2.4M |" in text
    assert "- `filters = 16, 32, 64`\n- `kernel = 3`, a default" in text
    assert "OH = ceil(H / stride)" in text


def test_values_say_where_they_come_from() -> None:
    text = "netspec 1 input 4 classes 3 defaults { affine.bias = false } net affine(7) -> \u00a6affine -> softmax"
    assert "- `width = 3`, from the number of classes or outputs\n- `bias = false`, from `defaults`\n- `frozen = false`, a default" in said(
        text
    )


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_survey_of_a_right_text_is_its_graph(name: str) -> None:
    source = BUILT_IN[name]
    found = survey(parse(source), source)
    assert found.whole
    assert [str(node) for node in found.nodes] == [str(node) for node in to_graph(load(source)).nodes]


@pytest.mark.parametrize("name", sorted(set(BUILT_IN) - BRANCHED))
def test_shapes_are_known_up_to_the_first_error(name: str) -> None:
    """A name that is no layer, put behind each item of the net in turn: what is before it stays known, what is behind it is not told."""
    source = BUILT_IN[name]
    nodes = to_graph(load(source)).nodes
    net = next(entry for entry in parse(source).entries if isinstance(entry, syntax.Net))
    lengths = []
    for run in net.chain.runs:
        for item in run.items[:-1] if run is net.chain.runs[-1] else run.items:
            end = item.span.end
            behind = source.text[end:].lstrip().removeprefix("-").removeprefix(">")
            wrong = Source(f"{source.text[:end]} -> bogus -> {behind}", source.path)
            found = survey(readable(wrong), wrong)
            assert not found.whole
            known = [(one.name, one.output.shape) for one in found.nodes]
            assert known == [(one.name, one.output.shape) for one in nodes[: len(known)]]
            lengths.append(len(known))
    assert lengths == sorted(lengths)
    assert lengths[-1] >= len(nodes) - 2


def test_branches_that_do_not_meet_leave_what_is_known_of_each() -> None:
    text = "netspec 1 input 1x8x8 classes 3 net conv(4) -> add(conv(6)-\u00a6relu | conv(5)) -> affine -> softmax"
    assert "`6x8x8 -> 6x8x8`" in said(text)
    assert "`4x8x8 -> 5x8x8`" in said(text.replace("\u00a6", "").replace("conv(5)", "\u00a6conv(5)"))
    assert "the text has an error before this point" in said(text.replace("\u00a6", "").replace("-> affine", "-> \u00a6affine"))


def test_merges_tell_all_that_they_read() -> None:
    text = "netspec 1 input 1x8x8 classes 3 net conv(4) -> \u00a6concat(conv(6) | id) -> res[conv(10)](proj) -> affine -> softmax"
    assert "`6x8x8 and 4x8x8 -> 10x8x8`, 0 parameters" in said(text)
    assert "`10x8x8 and 10x8x8 -> 10x8x8`" in said(text.replace("\u00a6", "").replace("res[", "\u00a6res["))
    assert "A 1x1 convolution on the way around" in said(text.replace("\u00a6", "").replace("(proj", "(\u00a6proj"))


def test_tied_copies_count_their_parameters_once() -> None:
    text = "netspec 1 input 4 classes 3 def f = affine(4)-relu net [\u00a6affine(4)]x3 tied -> f -> affine -> softmax"
    assert "| 1 | `4 -> 4` | 20 |" in said(text)
    assert "| 2..3 | `4 -> 4` | 0 |" in said(text)


@pytest.mark.parametrize("wrong", ["train { bacth = 3 }", "let b = 1 // 0", "search { }", 'use "a.net"', "seed x", "def g(a) = bogus(a)"])
def test_errors_elsewhere_hide_no_shapes(wrong: str) -> None:
    text = f"netspec 1 {wrong} input 8 classes 3 net \u00a6affine(5) -> affine -> softmax"
    assert "`8 -> 5`, 45 parameters" in said(text)


def test_an_error_of_shapes_leaves_those_before_it() -> None:
    text = "netspec 1 input 1x8x8 classes 10 net [conv(4)-\u00a6pool]x4 -> affine -> softmax"
    assert "copies 1..3: 4x4x4, 4x2x2, 4x1x1" in said(text)
    assert "the text has an error before this point" in said(text.replace("\u00a6", "").replace("affine", "\u00a6affine"))


def test_without_an_input_nothing_is_made_up() -> None:
    assert "Write `input 3x32x32`" in said("netspec 1 net \u00a6affine(5) -> affine")
    assert "The net has no copy of it" in said("netspec 1 input 5 def f = \u00a6relu net affine(3)")


@pytest.mark.parametrize("name", BUILT_IN)
def test_points_have_the_shapes_of_the_graph(name: str) -> None:
    """Behind every item of every chain, copies included: what the layers there give."""
    source = BUILT_IN[name]
    file, nodes = parse(source), to_graph(load(source)).nodes
    seen = 0
    for chain in chains_of(file):
        for run in chain.runs:
            for place, item in enumerate(run.items):
                if not isinstance(item, syntax.Layer) or item is net_end(file):
                    continue
                expected = [node.output.shape for node in nodes if node.call is not None and at_words(node, item.name.span, source)]
                if expected:
                    assert shapes_behind(file, source, run, place) == expected
                    seen += 1
    assert seen >= 1


def at_words(node: Node, span: Span, source: Source) -> bool:
    """Whether the name of a layer stands there."""
    return node.call is not None and node.call.source is source and node.call.name_span == span and not node.call.projects


def net_end(file: syntax.File) -> syntax.Item:
    """The last item of the net: its head, behind which no point is."""
    net = next(entry for entry in file.entries if isinstance(entry, syntax.Net))
    return net.chain.runs[-1].items[-1]


def test_a_joint_and_a_repeat_tell_their_shape() -> None:
    text = "netspec 1 input 1x8x8 classes 3 def f(c) = conv(c)-relu net f(2)x3 \u00a6-> [pool]x2 -> affine -> softmax"
    assert said(text) == "shape here: `2x8x8`"
    assert said(text.replace("\u00a6", "").replace("c)-relu", "c)\u00a6-relu")) == "shape here: `2x8x8` in copies 1..3"
    assert said(text.replace("\u00a6", "").replace("]x2 ->", "]x2\u00a6 ->")) == "shape here: `2x2x2`"


def test_a_call_tells_of_its_own_layers_alone() -> None:
    text = "netspec 1 input 4 classes 3 def f(w) = affine(w)-relu net \u00a6f(5) -> [f(6)-f(5)]x2 -> affine -> softmax"
    found = said(text)
    assert "def f(w) = affine(w)-relu" in found
    assert "`4 -> 5`, 25 parameters" in found
    assert "2 layers" in found
    other = said(text.replace("\u00a6", "").replace("-f(5)", "-\u00a6f(5)"))
    assert "| 1..2 | `6 -> 5` | 35 |" in other
    assert "2 layers each" in other


@pytest.mark.parametrize("name", BUILT_IN)
def test_calls_and_layers_of_the_net_hold_every_layer_once(name: str) -> None:
    source = BUILT_IN[name]
    file, graph, analysis = parse(source), to_graph(load(source)), Analysis(source, read_file)
    definitions = {entry.name.text for entry in file.entries if isinstance(entry, syntax.Def)} | set(analysis.imported)
    net = next(entry for entry in analysis.file.entries if isinstance(entry, syntax.Net))
    waiting, found = [net.chain], 0
    while waiting:
        for run in waiting.pop().runs:
            for item in map(unit_of, run.items):
                waiting += chains_in(item)
                if isinstance(item, syntax.Layer) and item.name.text in definitions:
                    copies = layers_of_call(analysis.file, source, item)
                    found += sum(node.call is not None for copy in copies for node in copy)
                elif not isinstance(item, (syntax.Bracket, syntax.Reference)):
                    found += len(analysis.nodes_at(item.name.span))
    assert found == sum(node.call is not None for node in graph.nodes)


def read_file(path: Path) -> Source | None:
    return source_of(path) if path.is_file() else None


HOVERS = {
    "netspec 1 let \u00a6a = 3 * 4 net affine(a)": ["let a = 3 * 4", "is `12`"],
    "netspec 1 let a = 3 * 4 net affine(\u00a6a)": ["is `12`"],
    "netspec 1 input 3 let act = tanh net affine(4)-\u00a6act": ["let act = tanh", "`4 -> 4`, 0 parameters"],
    "netspec 1 def f(\u00a6w, p = 3) = affine(w) net f(3)": ["**w**, a parameter of `f`"],
    "netspec 1 def f(w, p = 3) = affine(\u00a6p) net f(3)": ["**p**, a parameter of `f`, `3` if not given"],
    "net [affine(\u00a6c)]x(c: 1, 2)": ["one copy for each of `1, 2`"],
    "net conv(3, \u00a6pad = same)": [
        "**pad = same**, an argument of conv",
        "zeros around the image",
        "Takes same, a whole number, or two as 1x2",
    ],
    "net affine(init=\u00a6he)": ["**he** (initial-weight rule)"],
    "net affine train { \u00a6l2 = 1e-3 }": ["**l2 = 0.0**, a key of train", "Takes a number of at least 0"],
    "net affine train { \u00a6lr = 1e-3 }": ["The learning rate of the optimizer"],
    "net affine defaults { affine.\u00a6width = 3 }": ["**width = 100**, an argument of affine"],
    "net affine defaults { \u00a6affine.width = 3 }": ["**affine** (layer)"],
    "net affine data { source = \u00a6csv }": ["**csv** (data source)", "A table in a text file"],
    "net affine train { dtype = \u00a6float64 }": ["**float64**: one of float32 or float64"],
    "\u00a6train { } net affine": ["**train**: How the net is trained", "- `batch = 100`: rows of a step"],
    "netspec 1 input 4 net affine(3) @\u00a6stem -> relu": ["**@stem**", "shape here: `3`"],
}


@pytest.mark.parametrize("text", HOVERS)
def test_hover_says_what_a_word_is(text: str) -> None:
    found = said(text)
    for words in HOVERS[text]:
        assert words in found


NOTHING_TO_SAY = [
    "net affine  # af\u00a6fine", 'data { path = "\u00a6a b" } net affine', "net bog\u00a6us", "\u00a6", "net affine(\u00a63)",
]  # fmt: skip


@pytest.mark.parametrize("text", NOTHING_TO_SAY)
def test_hover_says_nothing_where_nothing_is(text: str) -> None:
    assert said(text) == ""


def test_every_entry_word_has_its_page() -> None:
    assert set(WORDS) == ENTRY_WORDS
    for example, _ in WORDS.values():
        parse(Source(example))


# completion

OFFERED = {
    "\u00a6": ["net", "affine"],
    "net af\u00a6": ["affine", "conv"],
    "let w = 3 def f(a, b) = affine(a) net \u00a6": ["f", "w", "relu"],
    "def f(a, b) = \u00a6": ["a", "b", "relu"],
    "net f(3) -> \u00a6 train { batch = 3 }": ["relu", "softmax"],
    "net [affine(\u00a6)]x(c: 1, 2)": ["c", "width"],
    "net conv(\u00a6": ["filters", "kernel", "pad"],
    "net conv(3, pad = \u00a6": ["same"],
    "net conv(3, init = \u00a6)": ["he", "xavier", "normal"],
    "net affine(3, init=normal(\u00a6": ["std"],
    "def f(a, b) = affine(a) net f(1, \u00a6": ["a", "b"],
    "net affine(bias = \u00a6": ["true", "false"],
    "net affine\ntr\u00a6": ["train"],
    "data { \u00a6": ["source", "split", "transforms"],
    "data { source = \u00a6": ["csv", "digits", "images"],
    "data { source = digits\n  \u00a6\n}\nnet affine": ["split", "normalize"],
    "data { transforms = flip, \u00a6 }": ["crop", "cutout"],
    "train { optimizer = \u00a6": ["adam", "sgd"],
    "train { optimizer = adam(\u00a6": ["lr", "beta1"],
    "train { loss = \u00a6": ["huber", "l1"],
    "train { schedule = warmup(5ep, then = \u00a6": ["cosine", "onecycle"],
    "train { dtype = \u00a6": ["float32", "float64"],
    "let b = 3 train { batch = \u00a6": ["b"],
    "defaults { \u00a6": ["affine.width", "conv.kernel"],
    "defaults { conv.\u00a6": ["conv.kernel"],
    "defaults { conv.pad = \u00a6": ["same"],
    "net res[conv(3)](\u00a6": ["proj"],
    "net conv -> \u00a6": ["add", "concat", "mul", "res"],
    "net conv -> add(\u00a6": ["conv", "id"],
    "let w = 3 search { \u00a6": ["w", "train.lr"],
    "let w = 3 search { w = \u00a6": ["choice", "range", "log"],
    "let act = relu search { act = choice(\u00a6": ["relu", "gelu"],
    "let act = relu search { act = choice(relu, \u00a6": ["gelu", "act"],
    "search { train.optimizer = choice(\u00a6": ["adam", "sgd"],
    "search { train.optimizer = choice(adam(\u00a6": ["lr", "beta1"],
    "search { train.dtype = choice(\u00a6": ["float32", "float64"],
    "let n = 3 search { train.batch = range(\u00a6": ["n"],
    "net affine(3) @stem -> add(id | @\u00a6": ["stem"],
    "net affine(3) @enc -> affine(tie = \u00a6": ["enc"],
    "let n = 3 net [relu]x(\u00a6": ["n"],
    "let n = 3 input \u00a6": ["n"],
}
NOT_OFFERED = {
    "let w = 3 search { w = choice(1); train.batch = choice(8); \u00a6": ["w", "train.batch"],
    "search { train.optimizer = choice(\u00a6": ["relu", "huber"],
    "let n = 3 search { train.batch = range(\u00a6": ["relu"],
    "net affine(3, width=4, \u00a6": ["width"],
    "net affine \u00a6": ["relu", "conv"],
    "let \u00a6": ["relu", "net"],
    "net affine @\u00a6": ["stem"],
    "net affine  # \u00a6": ["relu"],
    'data { path = "\u00a6': ["source"],
    "net \u00a6 let later = 3": ["later"],
    "def f(a, b = \u00a6": ["a"],
    "def f(a) = affine(a) net \u00a6": ["a"],
    "let n = 3 net [relu]x(\u00a6": ["relu"],
    "train { batch = 3; \u00a6": ["batch"],
    "train { l2 \u00a6": ["batch"],
    "net affine(1\u00a6": ["width"],
}


@pytest.mark.parametrize("text", OFFERED)
def test_what_fits_is_offered(text: str) -> None:
    assert set(OFFERED[text]) <= set(offered(text))


@pytest.mark.parametrize("text", NOT_OFFERED)
def test_what_does_not_fit_is_not(text: str) -> None:
    assert not set(NOT_OFFERED[text]) & set(offered(text))


def test_a_layer_comes_with_its_first_argument_and_its_page() -> None:
    text, offset = at("net aff\u00a6")
    items = {item.label: item for item in complete(Analysis(Source(text)), offset)}
    assert items["affine"].snippet == "affine(${1:100})"
    assert items["reshape"].snippet == "reshape(${1:shape})"
    assert items["bn"].snippet == items["relu"].snippet == ""
    assert items["add"].snippet == "add($1 | ${2:id})"
    assert items["res"].snippet == "res[$0]"
    assert items["affine"].replaces == Span(4, 7)
    assert "y = x W + b" in items["affine"].page
    there = complete(Analysis(Source("net aff(3)")), 7)
    assert next(item for item in there if item.label == "affine").snippet == ""


@pytest.mark.parametrize("name", MODELS)
def test_what_stands_in_a_text_is_offered_there(name: str) -> None:
    """For each word of a text, with the rest of the text behind it gone: the word is among what is offered."""
    source = MODELS[name]
    for token in tokenize(source).tokens:
        start = token.start_pos or 0
        named = [one for one in Analysis(source, read_file).names.occurrences if one.span.start == start and not one.defines]
        if not named or named[0].role in ("unknown", "file") or named[0].text == "netspec":
            continue
        if named[0].symbol is not None and named[0].symbol.kind == "variable":  # which stands behind
            continue
        labels = [item.label.rsplit(".", 1)[-1] for item in complete(Analysis(Source(source.text[:start], source.path), read_file), start)]
        assert str(token) in labels, (str(token), source.position(start))


SIGNATURES = {
    "net conv(\u00a6": ("conv(filters = 32", 0),
    "net conv(3, stride = \u00a6": ("conv(filters = 32", 2),
    "net conv(3, \u00a6": ("conv(filters = 32", None),
    "def f(a, b) = relu net f(1, b = \u00a6": ("f(a, b)", 1),
    "train { optimizer = adam(lr = 1, beta2 = \u00a6": ("adam(lr = 0.001, beta1", 2),
}


@pytest.mark.parametrize("text", SIGNATURES)
def test_a_call_shows_its_arguments(text: str) -> None:
    found = signature_at(Source(at(text)[0]), at(text)[1])
    assert found is not None
    assert found.label.startswith(SIGNATURES[text][0])
    assert found.active == SIGNATURES[text][1]


@pytest.mark.parametrize("text", ["net \u00a6", "net conv(3)\u00a6", "net [\u00a6", "let a = (3 + \u00a6", "net bogus(\u00a6"])
def test_outside_calls_no_arguments_are_shown(text: str) -> None:
    assert signature_at(Source(at(text)[0]), at(text)[1]) is None


# names


@pytest.mark.parametrize("source", [*MODELS.values(), Source(EVERYTHING)], ids=lambda source: Path(source.path).stem)
def test_every_name_of_a_text_has_a_meaning(source: Source) -> None:
    found = {one.span.start: one for one in Analysis(source, read_file).names.occurrences}
    parts = {"T", "lr"}  # of `enc.T`, of `train.lr`
    for token in tokenize(source).tokens:
        assert token.type != "NAME" or token in parts or token.start_pos in found, token
    unknown = {one.text for one in found.values() if one.role == "unknown"}
    assert unknown <= {"choice", "log"}  # what this version refuses


def renamed(text: str, offset: int, name: str, path: str = "<string>") -> str:
    changes = rename(Analysis(Source(text, path), read_file), offset, name)
    for span in sorted((span for change in changes for span in change.spans), key=lambda one: -one.start):
        text = text[: span.start] + name + text[span.end :]
    return text


@pytest.mark.parametrize("source", [*MODELS.values(), Source(EVERYTHING)], ids=lambda source: Path(source.path).stem)
def test_a_name_changed_and_changed_back_leaves_the_text_and_its_meaning(source: Source) -> None:
    text, path, names = source.text, source.path, Analysis(source, read_file).names
    for one in [one for one in names.occurrences if one.defines]:
        assert one.symbol is not None
        other = renamed(text, one.span.start, "fresh_name", path)
        assert other.count("fresh_name") == len(names.of(one.symbol))
        again = Analysis(Source(other, path), read_file).names.occurrences
        assert [(a.role, a.defines) for a in again] == [(a.role, a.defines) for a in names.occurrences]
        assert graph_of(other, path).replace("fresh_name", one.text) == graph_of(text, path)
        assert renamed(other, next(a for a in again if a.text == "fresh_name").span.start, one.text, path) == text


def graph_of(text: str, path: str) -> str:
    """The graph with its columns closed up, or what is wrong."""
    try:
        return " ".join(str(to_graph(load(Source(text, path)))).split())
    except SpecError as error:
        return ", ".join(one.code for one in error.diagnostics)


RENAMED = {
    "let \u00a6a = 3 def f(a) = affine(a) net f(a)": "let b = 3 def f(a) = affine(a) net f(b)",
    "let a = 3 def f(\u00a6a, c = a) = affine(a) net f(a=a)": "let a = 3 def f(b, c = a) = affine(b) net f(b=a)",
    "net [affine(\u00a6c)-[relu]x(c)]x(c: 1, 2)-conv": "net [affine(b)-[relu]x(b)]x(b: 1, 2)-conv",
    "net affine(3) @\u00a6a -> affine(tie = a)-affine(tie = a.T) -> add(id | @a)": (
        "net affine(3) @b -> affine(tie = b)-affine(tie = b.T) -> add(id | @b)"
    ),
    "def \u00a6a = relu # a\nnet a-a": "def b = relu # a\nnet b-b",
    'let \u00a6a = 3 net affine(a) search { a = choice(1) } data { path = "a" }': (
        'let b = 3 net affine(b) search { b = choice(1) } data { path = "a" }'
    ),
    "let \u00a6relu_ = relu net affine(3)-relu_": "let b = relu net affine(3)-b",
}


@pytest.mark.parametrize("text", RENAMED)
def test_a_rename_keeps_to_what_the_name_means(text: str) -> None:
    assert renamed(*at(text), "b") == RENAMED[text]


REFUSED = {
    ("let \u00a6a = 3 net affine(a)", "net"): "is a word of the language",
    ("let \u00a6a = 3 net affine(a)", "relu"): "is a layer",
    ("let \u00a6a = 3 net affine(a)", "res"): "is a word of the language",
    ("let \u00a6a = 3 net affine(a)", "3a"): "is no name",
    ("let \u00a6a = 3 net affine(a)", "\u00e9"): "is no name",
    ("let \u00a6a = 3 net affine(a)", "a b"): "is no name",
    ("let \u00a6a = 3 net affine(a)", "a" * 65): "at most 64 letters",
    ("let \u00a6a = 3 let b = 4 net affine(a)", "b"): r"already means something in this text \(line 1\)",
    ("let \u00a6a = 3 def f(b) = affine(a + b) net f(1)", "b"): "already means something",
    ("let \u00a6a = 3 net affine(a, init = he)", "he"): "already means something",
    ("def f(\u00a6a, b) = affine(a + b) net f(1, b=2)", "b"): "already means something",
    ("let b = 2 def f(\u00a6a) = affine(a) net f(1)", "b"): "already means something",
    ("net \u00a6relu", "b"): "is a name of the catalogue",
    ("\u00a6net relu", "b"): "is a word of the language",
    ("net affine(\u00a6width=3)", "b"): "is an argument that the language knows",
    ("train { \u00a6batch = 3 } net relu", "b"): "is a key that the language knows",
    ("net affine(3 \u00a6)", "b"): "no name here",
    ("let \u00a6a = 3 net affine(", "b"): "has an error of syntax",
    ("net \u00a6bogus", "b"): "is not defined in this text",
}


@pytest.mark.parametrize(("text", "name"), REFUSED)
def test_a_rename_that_would_change_the_meaning_is_refused(text: str, name: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[text, name]):
        renamed(*at(text), name)


def test_names_in_the_same_words_that_do_not_meet_may_be_given() -> None:
    assert renamed(*at("def f(\u00a6a) = affine(a) def g(b) = affine(b) net f(1)-g(2)"), "b") == (
        "def f(b) = affine(b) def g(b) = affine(b) net f(1)-g(2)"
    )


def test_the_outline_names_each_entry() -> None:
    text = EVERYTHING
    found = outline(parse(Source(text)))
    assert [(one.name, one.detail) for one in found][:4] == [("width", "8"), ("act", "relu"), ("rule", "sgd(lr=5e-3)"), ("unit", "(w, p)")]
    assert [one.name for one in found][4:] == ["data", "net", "train", "search", "defaults"]
    assert [child.name for child in found[4].children] == ["source", "path", "split"]
    for one in found:
        for inner in (one, *one.children):
            assert inner.span.start <= inner.name_span.start <= inner.name_span.end <= inner.span.end


# texts that are being written


def test_whole_entries_are_read_beside_a_broken_one() -> None:
    text = "netspec 1\nlet a = 3\nnet affine(\ntrain { batch = a\nseed 3 ] \nlet b = a"
    found = readable(Source(text))
    assert [type(entry).__name__ for entry in found.entries] == ["Version", "Let", "Setting", "Let"]
    kept = [text[entry.span.start : entry.span.end] for entry in found.entries]
    assert kept == ["netspec 1", "let a = 3", "seed 3", "let b = a"]
    assert readable(Source(")")).entries == ()


def test_a_place_is_found_again_after_edits() -> None:
    old = "netspec 1\nlet a = 3\nlet b = 4\nnet affine(a)-affine(b)\n"
    new = "netspec 1\nlet a = 35\n# more\nlet b = 4\nnet affine(a)--affine(b)\n"
    edit = Edit.between(old, new)
    for words in ("let a", "let b = 4", "affine(a)", "affine(b)"):
        span = Span(old.index(words), old.index(words) + len(words))
        assert edit.to_new(span) == Span(new.index(words), new.index(words) + len(words))
        assert edit.to_old(new.index(words)) == span.start
    assert edit.to_old(new.index("# more") + 2) is None
    assert Edit.between(old, "").to_new(Span(3, 5)) is None


@pytest.mark.parametrize("seed", range(20))
def test_places_found_again_hold_the_same_words(seed: int) -> None:
    draw = random.Random(seed)
    old = draw.choice(list(MODELS.values())).text
    new = old
    for _ in range(4):
        cut = draw.randrange(len(new))
        new = new[:cut] + draw.choice(["", "x", "\n", "let a = 3\n"]) + new[cut + draw.randrange(9) :]
    edit = Edit.between(old, new)
    kept = 0
    for one in Analysis(Source(old)).names.occurrences:
        span = edit.to_new(one.span)
        if span is not None:
            assert new[span.start : span.end] == old[one.span.start : one.span.end]
            kept += 1
    assert kept > 0


def test_what_was_known_is_told_while_the_text_does_not_parse() -> None:
    text = "netspec 1\ninput 4\nnet affine(3)-relu\n"
    document = Document("<string>", text, lambda _path: None)
    assert document.hover(text.index("relu")) == hover(Analysis(Source(text)), text.index("relu"))
    broken = text.replace("input", "let a = (\ninput")
    document.change(broken)
    found = document.hover(broken.index("relu"))
    assert found is not None
    assert broken[found.span.start : found.span.end] == "relu"
    assert "`3 -> 3`" in found.text
    assert document.hover(broken.index("let a")) is None


# positions


@pytest.mark.parametrize("encoding", UNITS)
def test_positions_and_offsets_are_inverse(encoding: str) -> None:
    text = "a\u00e9\u20ac\U0001f40d\tb\n\n\U0001f40d\U0001f40d\nend"
    lines = Lines(text, encoding)
    coded = {"utf-8": ("utf-8", 1), "utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}[encoding]
    for offset in range(len(text) + 1):
        line, column = lines.position(offset)
        assert lines.offset(line, column) == offset
        start = text.rfind("\n", 0, offset) + 1
        assert (line, column) == (text.count("\n", 0, offset), len(text[start:offset].encode(coded[0])) // coded[1])


def test_positions_outside_are_the_nearest_inside() -> None:
    lines = Lines("a\U0001f40db\nc", "utf-16")
    assert [lines.offset(*place) for place in ((0, 2), (0, 99), (7, 0), (-1, 3), (1, 1))] == [1, 3, 5, 0, 5]
    assert lines.position(99) == (1, 1)
