"""The cell `%%netspec`: a text, checked and compiled, and trained on its own data where that is asked for."""

from __future__ import annotations

import ast
import re
import shlex
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from functools import partial
from keyword import iskeyword
from typing import Any, NoReturn

from netspec.base import html
from netspec.base.cell_error import one_line
from netspec.base.diagnostic import Diagnostic, Diagnostics, counted_in_words
from netspec.base.errors import SpecError, UsageError
from netspec.base.html import Markup
from netspec.base.text import Source
from netspec.frontend.program import Overrides, Program
from netspec.frontend.validate import load
from netspec.frontend.words import nearest
from netspec.graph.check import diagnosed
from netspec.graph.counts import Counts
from netspec.model import Model
from netspec.pipeline import held_out
from netspec.train.data import Splits
from netspec.train.history import told_when_interrupted
from netspec.ui.given import overrides_of
from netspec.ui.notebook.completion import offer, withdraw
from netspec.ui.notebook.page import Page, show
from netspec.ui.notebook.progress import progress
from netspec.ui.results import results_page
from netspec.ui.screen import figures_in_words
from netspec.ui.shapes import asks_for_counts, known_counts

NAME = "netspec"
CELL = "cell"
"""What stands for the file in messages; paths in the text are relative to the working folder."""
EXPRESSION = re.compile(r"\{[^{}]*\}|(?<![\w/.])\$[A-Za-z_]\w*")
"""What IPython puts the value of in its place."""
NO_VERSION = "W104"
"""Texts in cells need no version line: they run with the version that is installed."""


class CellError(SpecError):
    """What is wrong with the text of a cell, whose findings stand above: IPython adds one line, and runs no further cells."""

    def __init__(self, diagnostics: Sequence[Diagnostic], name: str = "model") -> None:
        super().__init__(diagnostics)
        self.name = name

    def _render_traceback_(self) -> list[str]:
        return one_line("SpecError", f"{counted_in_words(self.diagnostics)} in this cell; `{self.name}` is as it was")


class _Options(ArgumentParser):
    """Raises ValueError where argparse would end the process."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def _options() -> _Options:
    parser = _Options(
        prog=f"%%{NAME}", add_help=False, usage=SUPPRESS, allow_abbrev=False,
        description="Compiles the text of the cell, and gives the model a name.",
    )  # fmt: skip
    parser.add_argument("name", nargs="?", default="model", help="of the variable that holds the model; `model` if not given")
    parser.add_argument("--input", metavar="SHAPE", help="of a row, where nothing gives it: 3x32x32, or 30")
    parser.add_argument("--classes", type=int, metavar="N", help="how many classes there are")
    parser.add_argument("--outputs", type=int, metavar="N", help="how many outputs there are")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="any let, or key of a section; {x} is a variable")
    parser.add_argument("--seed", type=int, metavar="N", help="of weights, order and masks")
    parser.add_argument("--threads", type=int, metavar="N", help="how many cores are used")
    parser.add_argument("--train", action="store_true", help="train on the data of the text, and measure on held-out rows")
    parser.add_argument("--epochs", type=int, metavar="N", help="passes over the training rows")
    return parser


def parsed(line: str) -> Namespace:
    """The line behind `%%netspec`. Raises UsageError."""
    try:
        given = _options().parse_args(shlex.split(line))
    except ValueError as error:
        raise UsageError(f"%%{NAME} {line}: {error}; %%{NAME}? shows what the line takes") from None
    if not given.name.isidentifier() or iskeyword(given.name):
        raise UsageError(f"%%{NAME} {given.name}: give the name of a variable, such as model; a text stands in the lines below")
    return given


def _require_expanded(line: str, variables: Mapping[str, Any]) -> None:
    """Raises UsageError where expressions of Python stand in the line yet: IPython leaves all of them where one has no value."""
    left = [found[0] for found in EXPRESSION.finditer(line)]
    for words in left:
        try:
            names = _read_names(words.strip("${} "))
        except SyntaxError:
            raise UsageError(f"%%{NAME} {line}: {words} is no expression of Python") from None
        missing = [name for name in names if name not in variables and not hasattr(variables.get("__builtin__"), name)]
        if missing:
            near = nearest(missing[0], [name for name in variables if len(name) > 2 and not name.startswith("_")])
            hint = f"did you mean {near}?" if near else "give it a value in a cell before"
            raise UsageError(f"%%{NAME} {line}: {words}: the notebook has no variable {missing[0]}; {hint}")
    if left:
        advice = "calculate it in a cell of its own, which shows why, and give the result a name"
        raise UsageError(f"%%{NAME} {line}: {' or '.join(left)} fails; {advice}")


def _read_names(expression: str) -> list[str]:
    """The variables whose values an expression of Python takes. Raises SyntaxError."""
    nodes = list(ast.walk(ast.parse(expression, mode="eval")))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    own |= {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return [node.id for node in names if node.id not in own]


def netspec_cell(shell: Any, line: str, text: str) -> None:
    """Checks the text and shows what is wrong with it, or gives the model its name and shows its layers; with --train trains it. Raises
    CellError, UsageError, and what data and training raise."""
    _require_expanded(line, shell.user_ns)
    given = parsed(line)
    # the line of the options is a comment, so that lines count as the cell's do
    source = Source(f"# %%{NAME} {line}".rstrip() + f"\n{text}", CELL)
    overrides = overrides_of(
        given.set, input=given.input, classes=given.classes, outputs=given.outputs, seed=given.seed, epochs=given.epochs,
        threads=given.threads,
    )  # fmt: skip
    try:
        program = _checked(source, overrides)
        if given.train:
            model = Model(_with_data(program))
            splits = model.splits_of_data()
        else:
            model = Model(program, _counts(program))
    except SpecError as error:
        _show(error.diagnostics)
        raise CellError(error.diagnostics, given.name) from None
    shell.user_ns[given.name] = model
    show(model.summary() if model.is_built else model)
    if given.train:
        with told_when_interrupted(model.history, given.name):
            _train(model, splits)


def _checked(source: Source, overrides: Overrides) -> Program:
    """The program, its warnings shown. Raises SpecError with every finding."""
    program, found = diagnosed(source, overrides)
    found = [one for one in found if one.code != NO_VERSION]
    if program is None:
        raise SpecError(found)
    if found:
        _show(found)
    return load(source, overrides)


def _show(found: Sequence[Diagnostic]) -> None:
    show(Page(Markup(Diagnostics(found)._repr_html_()), "\n\n".join(map(str, found))))


def _counts(program: Program) -> Counts | None:
    """The ends of the net, from the text or its data; None where `fit(X, y)` is to learn them. Raises SpecError, DataError."""
    try:
        return known_counts(program)
    except SpecError as error:
        if not asks_for_counts(error):
            raise
        return None


def _with_data(program: Program) -> Program:
    """The program, if there is something to train it on. Raises UsageError."""
    if program.data is None or program.data.source is None:
        say = "the text has none: write one, such as `data { source = digits }`, or leave --train out and call model.fit(X, y)"
        raise UsageError(f"%%{NAME} --train trains on the rows that a data section names, and {say}")
    return program


def _train(model: Model, splits: Splits) -> None:
    """Trains with a display of its progress, then shows the figures of rows that were held out."""
    training = model.training_of(splits, model.program.train.epochs, monitor=progress())
    history = model.run_training(training)
    split, rows = held_out(splits)
    metrics = model.evaluate_rows(rows)
    page = html.page(results_page(model.program, history, splits.counts(), split, metrics))
    show(Page(Markup(page), f"{split}: {figures_in_words(metrics)}"))


def load_ipython_extension(shell: Any) -> None:
    """Called by `%load_ext netspec`: cells that begin with `%%netspec` then hold a text."""
    cell = partial(netspec_cell, shell)
    cell.__doc__ = _options().format_help()  # what %%netspec? shows
    shell.register_magic_function(cell, "cell", NAME)
    offer(shell, f"%%{NAME}", [word for one in _options()._actions for word in one.option_strings])


def unload_ipython_extension(shell: Any) -> None:
    """Called by `%unload_ext netspec`."""
    shell.magics_manager.magics["cell"].pop(NAME, None)
    withdraw(shell)
