"""The examples in models/: each checks, summarises, compiles, learns; those with data reach their figures on held-out rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.base.text import Source
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides
from netspec.graph.check import diagnose
from netspec.model import Model
from netspec.pipeline import held_out, read
from netspec.ui.verbs.gradcheck import LIMIT, batch, synthetic

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
NAMES = [path.stem for path in MODELS]
EXPECTED = {"breast_cancer", "cifar_conv3", "cifar_mlp", "diabetes", "digits", "digits_conv"}
FIGURES = {"digits": 0.97, "digits_conv": 0.98, "breast_cancer": 0.96, "diabetes": 0.40}
"""Means over seeds 0 to 4 on the test rows: accuracy, r2 for diabetes."""


def model_of(name: str, **more: object) -> Model:
    path = next(path for path in MODELS if path.stem == name)
    return Model(read(path, Overrides(**more)))  # type: ignore[arg-type]


def test_the_examples_are_all_there() -> None:
    assert set(NAMES) == EXPECTED


@pytest.mark.parametrize("path", MODELS, ids=NAMES)
def test_each_opens_with_what_it_shows_and_has_no_finding(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# ")
    assert "netspec 1" in text
    assert diagnose(Source(text, str(path))) == []


@pytest.mark.parametrize("path", MODELS, ids=NAMES)
def test_formatting_keeps_the_meaning(path: Path) -> None:
    source = Source(path.read_text(), str(path))
    file = parse(source)
    text = format_file(file)
    assert parse(Source(text)) == file
    assert format_file(parse(Source(text))) == text


@pytest.mark.parametrize("name", NAMES)
def test_two_steps_on_the_same_rows_lower_the_loss(name: str) -> None:
    # without dropout, whose masks differ from step to step, and at a rate at which any descent direction descends
    program = model_of(name, keys={"train.optimizer": "sgd(lr=1e-4)"}).program
    model = Model(program)
    x, y = synthetic(model.graph, 0)
    before = model.evaluate(x, y)["loss"]
    losses = [model.step(x, y) for _ in range(2)]
    assert np.isfinite([before, *losses]).all()
    assert model.step_count == 2
    if not any(node.layer.name == "dropout" for node in model.graph.nodes):
        assert losses[1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_right_in_every_parameter(name: str) -> None:
    model = model_of(name)
    x, y, _ = batch(model)
    report = model.gradcheck(x, y)
    assert set(report.errors) == {*model.params, "x"}
    assert report.max_error <= LIMIT, report
    assert not report.unchecked


@pytest.mark.parametrize("name", FIGURES)
def test_examples_reach_their_figures_on_held_out_rows(name: str) -> None:
    figures = []
    for seed in range(5):
        model = model_of(name, seed=seed)
        splits = model.splits_of_data()
        model.run_training(model.training_of(splits, model.program.train.epochs))
        split, rows = held_out(splits)
        assert split == "test"
        measured = model.evaluate_rows(rows)
        figures.append(measured.get("accuracy", measured.get("r2", 0.0)))
    assert np.mean(figures) >= FIGURES[name], figures


def test_an_untrained_net_reaches_none_of_them() -> None:
    for name, figure in FIGURES.items():
        model = model_of(name)
        _, rows = held_out(model.splits_of_data())
        measured = model.evaluate_rows(rows)
        assert measured.get("accuracy", measured.get("r2", 0.0)) < figure
