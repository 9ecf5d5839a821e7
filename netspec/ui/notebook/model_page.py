"""A model as notebooks show it."""

from __future__ import annotations

from collections.abc import Iterator

from netspec.base import html
from netspec.base.html import Markup
from netspec.base.shape import show
from netspec.frontend.program import Program
from netspec.graph.graph import Graph
from netspec.plan.network import TrainingPlan
from netspec.train.history import History
from netspec.ui.summary import summarize

MOST_LAYERS = 300
"""Of larger nets a page has no picture."""


def model_page(
    program: Program, graph: Graph, plan: TrainingPlan, history: History, epochs_done: int, picture: str = ""
) -> str:  # fmt: skip
    """What it is, in a line, and folded its layers, its picture, its training, its text."""
    ends = f"{show(graph.input.shape)} \u2192 {show(graph.output.shape)}"
    told = f": {graph.parameter_count:,} parameters, {_epochs(epochs_done)}, head {graph.head.name}"
    summary = Markup(summarize(program, graph, plan)._repr_html_())
    parts = [html.fold(f"layers ({len(graph.nodes)})", summary)]
    if picture:
        parts.append(html.fold("picture", Markup(picture)))
    if history.epochs:
        parts.append(html.fold("training", Markup(history._repr_html_())))
    return html.page(html.line(html.bold(f"Model {ends}"), told), *parts, *_texts(program))


def unsized_page(program: Program) -> str:
    """Of a model before its shapes are known."""
    told = ": its shapes are not known yet; give input= (and classes= or outputs=) to compile, or call fit, which learns them from the rows"
    return html.page(html.line(html.bold("Model"), told), *_texts(program))


def _epochs(done: int) -> str:
    return "not trained yet" if not done else "1 epoch done" if done == 1 else f"{done} epochs done"


def _texts(program: Program) -> Iterator[Markup]:
    yield html.fold("text", html.code(program.source.text.strip("\n")))
    if program.resolved:
        yield html.fold("text with every default", html.code(program.resolved.strip("\n")))
