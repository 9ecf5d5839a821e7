"""Laws of `fmt --explicit`: the same program, nothing new to warn of, nothing left to write, and the same text when done again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from random_programs import programs

from netspec.base.kinds import Contraction
from netspec.base.shape import Shape, show
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.parse import parse
from netspec.frontend.program import Program, first_readers
from netspec.frontend.settled import deciding_activations, settled, settled_data, settled_train
from netspec.frontend.text import source_of
from netspec.frontend.validate import load
from netspec.graph.check import diagnose
from netspec.graph.counted import counted_arguments, place_of
from netspec.graph.counts import split_head
from netspec.ui.verbs.fmt import explicit_text

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))


def explicit(source: Source) -> Source:
    return Source(explicit_text(source), source.path)


def meaning(program: Program) -> tuple[Any, ...]:
    """All that a program says, with what its silence means."""
    head = split_head(program)[1]
    activations = deciding_activations(program.net)
    calls = []
    for place, call in enumerate(program.net):
        activation = activations[place if call.copy_of is None else call.copy_of]
        layer = settled(call.layer, activation is not None and activation.layer.relu_like)
        calls.append((layer, call.reads, call.label, call.copy_of, call.shares_weight_of, call.projects))
    data = settled_data(program.data) if program.data is not None else None
    ends = (program.input, program.classes, program.outputs, program.seed)
    return tuple(calls), settled_train(program.train, head), data, ends


def codes(source: Source) -> list[str]:
    return sorted(found.code for found in diagnose(source))


def unwritten(source: Source) -> set[str]:
    """Arguments of layers that still come from defaults: `affine.bias`."""
    program = load(source)
    counted = counted_arguments(program)
    return {
        f"{call.layer.name}.{name}"
        for call in program.net
        for name, value in settled(call.layer, False)
        if value is not None and name not in call.explicit and place_of(call, name) not in counted
        if call.named_at[0].path == source.path and not call.projects
    }


def unwritten_keys(source: Source) -> set[str]:
    """Keys that have a value, and are not in the text."""
    program = load(source)
    given = {entry.word.text: entry for entry in parse(source).entries if isinstance(entry, (syntax.Section, syntax.Setting))}
    missing = {"seed", "train"} - set(given)
    sections = {"train": settled_train(program.train, split_head(program)[1]), "data": program.data and settled_data(program.data)}
    for word, section in sections.items():
        entry = given.get(word)
        if isinstance(entry, syntax.Section) and section is not None:
            written = {pair.key[0] for pair in entry.pairs} | ({"optimizer"} if "lr" in {pair.key[0] for pair in entry.pairs} else set())
            missing |= {f"{word}.{key}" for key, value in section if value is not None and key not in written}
    return missing


def may_stay(source: Source) -> set[str]:
    """What is not to be written: a bias that bn cancels; initial weights that copies do not share, or that a parameter decides."""
    program = load(source)
    readers = first_readers(program.net)
    chosen: dict[Any, set[Any]] = {}
    found = set()
    for place, (call, activation) in enumerate(zip(program.net, deciding_activations(program.net), strict=True)):
        reader = program.net[readers[place]].layer if place in readers else None
        if isinstance(call.layer, Contraction) and reader is not None and reader.name == "bn":
            found.add(f"{call.layer.name}.bias")
        key = (call.named_at[0].path, call.named_at[1])
        chosen.setdefault(key, set()).add(activation is not None and activation.layer.relu_like)
        if len(chosen[key]) > 1 or (activation is not None and activation.word != (activation.source, activation.name_span)):
            found.add(f"{call.layer.name}.init")
    return found


def obeys(source: Source) -> None:
    long = explicit(source)
    assert meaning(load(long)) == meaning(load(source))
    assert not [code for code in codes(long) if codes(long).count(code) > codes(source).count(code)]
    assert explicit(long).text == long.text
    assert unwritten(long) <= may_stay(long)
    assert unwritten_keys(long) == set()
    assert any(isinstance(entry, syntax.Version) for entry in parse(long).entries)


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_every_example_obeys(model: Path) -> None:
    obeys(source_of(model))


@settings(max_examples=80, deadline=None)
@given(programs())
def test_random_programs_obey(drawn: tuple[str, Shape]) -> None:
    text, shape = drawn
    obeys(Source(f"input {show(shape)} classes 3\n{text}"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("net pool -> affine", "pool(window=2, stride=2, pad=0)"),
        ("let w = 3 net pool(w) -> affine", "pool(w, stride=w, pad=0)"),
        ("net avgpool(window=3x1) -> affine", "avgpool(window=3x1, stride=3x1, pad=0)"),
        ("let a = leaky_relu net affine-a", "let a = leaky_relu(slope=0.01)"),
        ("def f(a = prelu(frozen=true)) = affine(3)-a net f", "a = prelu(frozen=true, lr_scale=1.0)"),
        ("net [affine(3)-a]x(a: relu, elu)-affine", "x(a: relu, elu(alpha=1.0))"),
        ("defaults { elu.alpha = 2 } net affine(3)-elu-affine", "elu(alpha=2.0)"),
        ("net affine(3)-bn-affine", "affine(3, init=xavier, frozen=false"),
        ("net affine(3, bias=true)-bn-affine", "affine(3, bias=true, init=xavier, frozen=false"),
        ("net affine(3)-bn(frozen=true)-affine", "affine(3, bias=true, init=xavier, frozen=false"),
        ("net affine(3)-dropout-gelu-affine", "affine(3, bias=true, init=he, "),
        ("def f(a) = affine(3)-a net f(relu)-affine", "affine(3, bias=true, frozen=false"),
        ("net affine(3) @e -> affine(tie=e.T)", "affine(tie=e.T, bias=true, frozen=false"),
        ("net affine(3)-softmax", "loss = cross_entropy"),
        ("net affine(3)-sigmoid", "loss = bce"),
        ("net affine(3)-affine", "loss = squared_error"),
        ("net affine(3)-affine train { loss = huber }", "loss = huber(delta=1.0)"),
        ("net affine(3)-svm train { early_stop = stop(patience=3ep) }", "stop(patience=3ep, metric=val_accuracy, min_delta=0.0)"),
        ('data { source = npz; path = "a.npz"; y = "t" } net affine', "x = x"),
    ],
)
def test_each_kind_of_default_is_written(text: str, expected: str) -> None:
    source = Source(text)
    assert expected in " ".join(explicit(source).text.split())
    obeys(source)


def test_the_laws_see_what_they_are_about() -> None:
    """The controls: a default that is missing, a value that differs, a warning that is new."""
    short = Source("netspec 1 input 5 classes 3 net affine(4)-bn-relu -> affine -> softmax")
    assert {"affine.bias", "bn.eps", "affine.lr_scale"} <= unwritten(short)
    assert {"seed", "train"} <= unwritten_keys(short)
    long = explicit(short)
    for old, new in (("init=he", "init=xavier"), ("0.9", "0.8"), ("batch = 100", "batch = 99"), ("seed 0", "seed 1")):
        changed = Source(long.text.replace(old, new, 1))
        assert changed.text != long.text
        assert meaning(load(changed)) != meaning(load(short))
    assert codes(Source(long.text.replace("cross_entropy", "huber"))) == ["NS508"]
    assert codes(Source(long.text.replace("affine(4", "affine(4, bias=true"))) == ["W101"]
    assert unwritten(long) == {"affine.bias"} == may_stay(long)
