"""Laws of the comparison: what means the same has no difference, every change of meaning is seen, and the two sides are alike."""

from __future__ import annotations

from contextlib import suppress
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_specs import random_spec

import netspec
from netspec.base.errors import SpecError
from netspec.base.text import Source
from netspec.frontend.explicit import write_out
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.align import Point, aligned
from netspec.graph.compare import Comparison, Meaning, compare, meaning_of
from netspec.graph.counted import counted_arguments

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))


def meaning(text: str, path: str = "<string>", **overrides: object) -> Meaning:
    return meaning_of(load(Source(text, path), Overrides(**overrides)))  # type: ignore[arg-type]


def difference(a: str, b: str, **overrides: object) -> Comparison:
    return compare(meaning(a, **overrides), meaning(b, **overrides))


def explicit(text: str, **overrides: object) -> str:
    """The text with its defaults written out."""
    program = load(Source(text), Overrides(**overrides))  # type: ignore[arg-type]
    return format_file(write_out(parse(Source(text)), program, counted_arguments(program)))


BASE = """\
netspec 1
let w = 20
def unit(c, act = relu) = affine(c)-bn-act
input 30
classes 4
net unit(w)x2 -> affine -> softmax
train { optimizer = adam(lr=1e-3); batch = 50; schedule = step(every=20ep) }
seed 3
"""


def test_a_default_that_is_written_out_is_no_difference() -> None:
    same = [
        BASE,
        BASE.replace("let w = 20\n", "").replace("(w)", "(20)"),
        BASE.replace("unit(w)x2", "[affine(20) -> bn -> relu]x2"),
        BASE.replace("unit(w)x2", "affine(20)-bn-relu-affine(20)-bn(eps=1e-5)-relu"),
        BASE.replace("affine ->", "affine(4, bias=true) ->"),
        BASE.replace("affine(c)", "affine(width=c, lr_scale=1)"),
        BASE.replace("affine(c)", "affine(c, init=he)").replace("affine ->", "affine(init=xavier) ->"),
        BASE.replace("unit(w)x2", "id -> [unit(w)-id]x2 -> id-flatten"),
        BASE.replace("seed 3", "seed 3 defaults { affine.width = 7 }"),
        BASE.replace("batch = 50", "batch = 50; epochs = 10; threads = 2; loss = cross_entropy; lr_decay = 1.0"),
        BASE.replace("adam(lr=1e-3)", "adam(beta1=0.9)"),
        BASE.replace("optimizer = adam(lr=1e-3)", "lr = 0.001"),
        BASE.replace("netspec 1\n", "# another look\n").replace("; ", "\n"),
        explicit(BASE),
        load(Source(BASE)).resolved,
        explicit(load(Source(BASE)).resolved),
    ]
    for text in same:
        assert difference(BASE, text) == Comparison((), (), difference(BASE, BASE).totals, True)
        assert difference(text, BASE).same


CHANGES = [
    ("let w = 20", "let w = 21", {"width", "output"}),
    ("act = relu", "act = gelu", {"added", "removed"}),
    ("act = relu", "act = leaky_relu(0.2)", {"added", "removed"}),
    ("x2", "x3", {"added"}),
    ("x2", "x1", {"removed"}),
    ("affine(c)", "affine(c, bias=false)", {"bias"}),
    ("affine(c)", "affine(c, init=xavier)", {"init"}),
    ("affine -> softmax", "affine(init=he) -> softmax", {"init"}),
    ("affine(c)", "affine(c, frozen=true)", {"frozen"}),
    ("-bn", "-bn(momentum=0.8)", {"momentum"}),
    ("-bn", "", {"removed"}),
    ("affine -> softmax", "affine -> svm", {"head", "loss"}),
    ("classes 4", "classes 5", {"classes", "width", "output"}),
    ("input 30", "input 31", {"input", "totals"}),
    ("input 30", "input 1x5x6", {"input", "added"}),
    ("seed 3", "seed 4", {"seed"}),
    ("batch = 50", "batch = 51", {"train.batch"}),
    ("batch = 50", "batch = 50; l2 = 1e-4", {"train.l2"}),
    ("batch = 50", "batch = 50; dtype = float64", {"train.dtype"}),
    ("batch = 50", "batch = 50; clip = 2", {"train.clip"}),
    ("batch = 50", "batch = 50; label_smoothing = 0.1", {"train.label_smoothing"}),
    ("lr=1e-3", "lr=1e-2", {"train.optimizer.lr"}),
    ("adam(lr=1e-3)", "sgd(lr=1e-3)", {"train.optimizer"}),
    ("step(every=20ep)", "step(every=21ep)", {"train.schedule.every"}),
    ("step(every=20ep)", "cosine(20ep)", {"train.schedule"}),
    ("; schedule = step(every=20ep)", "", {"train.schedule"}),
    ("seed 3", "seed 3 data { transforms = per_feature }", {"data.split", "data.transforms"}),
]


JOINED = """\
netspec 1
input 1x8x8
classes 3
net conv(4) @stem -> add(conv(4)-bn | @stem) -> res[conv(8, stride=2)-bn](proj) -> concat(id | conv(2)) -> flatten
    -> affine(20) @enc -> relu -> [res[affine(20)-relu]]x2 tied -> affine(tie=enc.T) -> add(affine | affine) -> softmax
"""
JOINTS = [
    ("| @stem", "| @stem-relu", {"added"}),
    ("add(conv(4)-bn | @stem)", "add(conv(4)-bn-id | conv(4))", {"added"}),
    ("add(conv", "mul(conv", {"added", "removed"}),
    ("concat(id | conv(2))", "concat(conv(2) | id)", {"reads"}),
    ("]]x2 tied", "]]x2", {"arrays of"}),
    ("tie=enc.T", "tie=enc", set()),
    ("(tie=enc.T)", "", {"arrays of", "tie"}),
    ("@enc -> relu", "@code -> relu", set()),
    ("(proj)", "", set()),
    ("add(affine | affine)", "add(affine | id)", set()),
]


@pytest.mark.parametrize(("old", "new", "words"), JOINTS)
def test_what_joins_layers_is_part_of_the_meaning(old: str, new: str, words: set[str]) -> None:
    changed = JOINED.replace(old, new)
    assert changed != JOINED
    try:
        found = difference(JOINED, changed)
    except SpecError:
        assert not words  # no program at all
        return
    assert words <= seen(found)
    assert not found.same


IDENTITIES = [
    ("res[conv(8)-bn]", "add(conv(8)-bn | id)"),
    ("res[conv(8)-bn]", "add([conv(8) -> id -> bn]-id | id-id)"),
    ("relu @stem -> add(conv(8) | @stem)", "relu -> id @stem -> add(conv(8) | @stem)"),
    ("relu @stem -> add(conv(8) | @stem)", "relu -> add(conv(8) | id)"),
    ("flatten -> affine(5) -> flatten -> id", "affine(5)"),
    ("pool(3)-avgpool(2x3, pad=1)", "pool(3, stride=3)-avgpool(2x3, stride=2x3, pad=1)"),
]


NOTHINGS = [
    ("id-dropout-affine", "dropout-affine"),
    ("affine(4)-flatten-dropout-id-dropout", "affine(4)-dropout-dropout"),
    ("reshape(5)-dropout", "dropout"),
    ("res[affine(5)-dropout]-dropout", "add(affine(5)-dropout | id)-dropout"),
    ("[id-dropout-affine(5)]x2", "[dropout-affine(5)]x2"),
    ("relu-dropout @a -> add(id | @a)", "relu-id-dropout-id @a -> add(id-id | @a-id)"),
]


@pytest.mark.parametrize(("a", "b"), NOTHINGS)
def test_what_means_the_same_trains_to_the_same_bytes(a: str, b: str) -> None:
    one, other = (f"netspec 1 net {text} -> affine -> softmax" for text in (a, b))
    assert difference(one, other, input=(5,), classes=3).same
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(8, 5)), draw.integers(0, 3, 8)
    found = []
    for text in (one, other):
        model = netspec.compile(text, input=5, classes=3, dtype="float64", seed=3, train="optimizer = sgd(lr=0.1)")
        found.append([*(model.step(x, y) for _ in range(3)), model.params.flat.tobytes()])
    assert found[0] == found[1]


def test_a_layer_that_computes_something_moves_the_masks() -> None:
    graphs = [meaning(f"{text} -> affine", input=(5,), outputs=1).graph for text in ("id-dropout", "relu-dropout")]
    assert [[node.place for node in graph.nodes] for graph in graphs if graph] == [[0, 0, 1], [0, 1, 2]]


@pytest.mark.parametrize(("input_shape", "a", "b"), [
    ((5,), "res[affine(5)](proj)", "add(affine(5) | affine(5))"),
    ((2, 6, 6), "res[conv(4, kernel=1)](proj)", "add(conv(4, kernel=1) | conv(4, kernel=1))"),
    ((5,), "affine(5) @a -> affine", "affine(5) -> affine"),
])  # fmt: skip
def test_parameters_of_other_names_are_a_difference(input_shape: tuple[int, ...], a: str, b: str) -> None:
    one, other = (f"netspec 1 net {text} -> affine -> softmax" for text in (a, b))
    known: dict[str, object] = {"input": input_shape, "classes": 3}
    graphs = [meaning(text, **known).graph for text in (one, other)]
    names = [list(graph.parameters) for graph in graphs if graph]
    assert names[0] != names[1]
    assert "name" in seen(difference(one, other, **known))


@pytest.mark.parametrize("input_shape", [(5,), (2, 6, 6)])
def test_what_is_the_same_has_parameters_of_the_same_names(input_shape: tuple[int, ...]) -> None:
    found = []
    for text in dict.fromkeys(chain(*IDENTITIES, *NOTHINGS, ["res[affine(5)](proj)", "add(affine(5) | affine(5))"])):
        with suppress(SpecError):
            found.append(meaning(f"netspec 1 net {text} -> affine -> softmax", input=input_shape, classes=3))
    pairs = [(a, b) for a in found for b in found if a.graph and b.graph and a is not b and compare(a, b).same]
    assert len(pairs) >= 8
    for a, b in pairs:
        assert a.graph.parameters.keys() == b.graph.parameters.keys()


@pytest.mark.parametrize(("a", "b"), IDENTITIES)
def test_what_changes_nothing_is_no_difference(a: str, b: str) -> None:
    one, other = (f"netspec 1 net conv(8)-{text} -> affine(7)-relu -> affine -> softmax" for text in (a, b))
    known: dict[str, object] = {"input": (2, 6, 6), "classes": 3}
    assert difference(one, other, **known).same
    assert "flatten" in a or difference(one, other).same  # that an image is flattened is not known without shapes


def test_what_changes_something_is_a_difference() -> None:
    known: dict[str, object] = {"input": (2, 6, 6), "classes": 3}
    for a, b in (("res[conv(8)-bn]", "add(conv(8)-bn | tanh)"), ("pool(3)", "pool(3, stride=2)"), ("id", "flatten"), ("id", "dropout")):
        one, other = (f"netspec 1 net conv(8)-{text} -> relu -> affine -> softmax" for text in (a, b))
        assert not difference(one, other, **known).same


def seen(found: Comparison) -> set[str]:
    """What a comparison finds, by the words that it is told with."""
    words = {one.kind for one in found.layers if one.kind != "changed"}
    words |= {difference.key for one in found.layers for difference in one.differences} | {one.key for one in found.settings}
    return words or ({"totals"} if not found.same else set())


@pytest.mark.parametrize(("old", "new", "words"), CHANGES)
def test_every_change_of_meaning_is_seen(old: str, new: str, words: set[str]) -> None:
    assert old in BASE
    found, back = difference(BASE, BASE.replace(old, new)), difference(BASE.replace(old, new), BASE)
    assert not found.same
    assert not back.same
    assert words - {"totals"} <= seen(found)
    swapped = {"added": "removed", "removed": "added"}
    assert {swapped.get(word, word) for word in seen(found)} == seen(back)
    assert [(one.key, one.b, one.a) for one in found.settings] == [(one.key, one.a, one.b) for one in sorted_as(found, back)]


def sorted_as(found: Comparison, back: Comparison) -> list:
    """The settings of `back` in the order of those of `found`."""
    order = [one.key for one in found.settings]
    return sorted(back.settings, key=lambda one: order.index(one.key))


def test_both_values_of_a_change_are_there() -> None:
    found = difference(BASE, BASE.replace("let w = 20", "let w = 24"))
    first = found.layers[0]
    assert (first.a and first.a.name, first.kind) == ("affine1", "changed")
    assert [(one.key, one.a, one.b) for one in first.differences] == [("width", "20", "24"), ("output", "20", "24")]
    assert [one.key for change in found.layers[1:3] for one in change.differences] == ["output", "output"]
    assert next((one.key, one.a, one.b) for one in found.totals) == ("parameters", 1204, 1540)


def test_totals_are_those_of_the_graph() -> None:
    one = meaning(BASE)
    assert one.graph is not None
    found = compare(one, one)
    assert [(total.key, total.a) for total in found.totals] == [
        ("parameters", one.graph.parameter_count),
        ("flops", sum(node.flops for node in one.graph.nodes)),
    ]


# without shapes


def test_without_shapes_the_rest_is_compared() -> None:
    text = "net affine(3)-relu -> affine -> softmax"
    found = difference(text, text.replace("relu", "tanh"))
    assert (found.with_shapes, found.totals, seen(found)) == (False, (), {"added", "removed"})
    assert difference(text, text.replace("affine(3)", "affine(3, bias=true)")).same
    assert not difference(text, text.replace("affine(3)", "affine(4)")).same
    assert not difference(text, f"{text} classes 3").same
    one, other = meaning(text), meaning(text, input=(5,), classes=3)
    assert not compare(one, other).with_shapes
    assert seen(compare(one, other)) == {"input", "classes"}


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_example_means_what_it_and_its_long_forms_say(model: Path) -> None:
    source = source_of(model)
    program = load(source)
    file = parse(source)
    written_out = Source(format_file(write_out(file, program, counted_arguments(program))), source.path)
    for text in (source, Source(format_file(file), source.path), Source(program.resolved, source.path), written_out):
        assert compare(meaning_of(program), meaning_of(load(text))).same
    again = load(written_out)
    assert format_file(write_out(parse(written_out), again, counted_arguments(again))) == written_out.text


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_random_nets_are_equal_to_themselves_written_out_and_to_no_other(seed: int, other: int) -> None:
    (text, shape), (another, other_shape) = random_spec(seed), random_spec(other)
    counts: dict[str, object] = {"input": shape, "outputs" if text.endswith("linear") else "classes": 3}
    long = explicit(text, **counts)
    found = difference(text, long, **counts)
    assert found.same
    assert explicit(long, **counts) == long
    if shape == other_shape and text.rsplit(" ", 1)[1] == another.rsplit(" ", 1)[1]:
        layers = [[call.layer for call in meaning(one, **counts).program.net] for one in (text, another)]
        assert difference(text, another, **counts).same == (layers[0] == layers[1])


# data


DATA = 'netspec 1 input 5 classes 2 data { source = npz; path = "rows.npz" } net affine -> softmax'


def test_a_path_is_the_file_that_it_leads_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    (tmp_path / "one" / "rows.npz").write_bytes(b"")
    here, there = str(tmp_path / "one" / "a.net"), str(tmp_path / "two" / "b.net")
    same_file = DATA.replace("rows.npz", "one/rows.npz")
    assert compare(meaning(DATA, here), meaning(same_file, there)).same  # from the working folder
    assert compare(meaning(DATA, here), meaning(DATA, there)).same  # in `two` there is none
    (tmp_path / "two" / "rows.npz").write_bytes(b"")
    (found,) = compare(meaning(DATA, here), meaning(DATA, there)).settings
    assert (found.key, found.a) == ("data.path", f'"{tmp_path / "one" / "rows.npz"}"')
    (found,) = compare(meaning(DATA, here), meaning(DATA.replace("rows", "columns"), here)).settings
    assert (found.a, found.b) == ('"rows.npz"', '"columns.npz"')


def test_normalize_is_the_first_transform() -> None:
    text = "netspec 1 data { source = digits; normalize = per_feature } net affine -> softmax"
    assert difference(text, text.replace("normalize", "transforms")).same
    assert not difference(text, text.replace("normalize = per_feature", "transforms = rescale")).same


# alignment


def points(text: str) -> list[Point]:
    """`a1 b c2`: letters are kinds, numbers their arguments."""
    return [Point(f"{word[0]}{at}", word[0], {"n": word[1:]}, ()) for at, word in enumerate(text.split())]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a1 b c", "a1 b c", "a1=a1 b=b c=c"),
        ("a1 b c", "a2 b c", "a1=a2 b=b c=c"),
        ("a3 r a1", "a4 r a3", "a3=a4 r=r a1=a3"),
        ("a1 r a2 r a3 r", "a1 r a3 r", "a1=a1 r=r a2- r- a3=a3 r=r"),
        ("a b", "a c b", "a=a c+ b=b"),
        ("a b", "", "a- b-"),
        ("", "a", "a+"),
        ("a b", "b a", "a- b=b a+"),
        ("r1 g1", "x1 y1", "r1- g1- x1+ y1+"),
    ],
)
def test_layers_stand_beside_those_of_their_kind(a: str, b: str, expected: str) -> None:
    shown = []
    for one, other in aligned(points(a), points(b)):
        left, right = (f"{p.kind}{p.arguments['n']}" if p else "" for p in (one, other))
        shown.append(f"{left}={right}" if left and right else f"{left}-" if left else f"{right}+")
    assert " ".join(shown) == expected


@given(st.lists(st.sampled_from("abc"), max_size=12), st.lists(st.sampled_from("abc"), max_size=12))
def test_every_layer_is_there_once_in_its_order(a: list[str], b: list[str]) -> None:
    one, other = points(" ".join(a)), points(" ".join(b))
    pairs = aligned(one, other)
    assert [left for left, _ in pairs if left] == one
    assert [right for _, right in pairs if right] == other
    assert all(left.kind == right.kind for left, right in pairs if left and right)


def test_very_long_nets_are_compared_in_time() -> None:
    found = difference("[affine(9)-relu]x4999 -> affine", "[affine(8)-gelu]x4000 -> affine", input=(5,), outputs=1)
    assert not found.same
    assert sum(one.kind == "removed" for one in found.layers) >= 4999
