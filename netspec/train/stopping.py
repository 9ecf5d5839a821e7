"""Whether training has the figure that its stopping rule watches."""

from __future__ import annotations

from netspec.base.errors import Problem
from netspec.frontend.program import Program
from netspec.graph.counts import key_error


def require_watched(program: Program, values: bool, held_out: bool) -> None:
    """Raises SpecError where `early_stop` watches a validation figure and no validation rows are held out."""
    rule = program.train.early_stop
    figure = rule.watches(values) if rule is not None else ""
    if held_out or not figure.startswith("val_"):
        return
    message = f"early_stop watches {figure}, and there are no validation rows"
    help_text = "give validation=(Xv, yv) or validation=0.1 to fit, or watch loss: early_stop = stop(loss, patience=5ep)"
    raise key_error(program, Problem("NS605", message, help=help_text, argument="train.early_stop"))
