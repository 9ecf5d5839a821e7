"""`netspec convert MODEL --weights STATE -o FILE`: a model of PyTorch with its trained arrays as a weights file, which carries its spec."""

from __future__ import annotations

import os
from pathlib import Path

from netspec.base.errors import NetspecError, UsageError
from netspec.frontend.convert.convert import convert
from netspec.frontend.convert.sketch import NoChain
from netspec.model import Model
from netspec.pipeline import load_state_dict, read
from netspec.ui.given import shape_of
from netspec.ui.guard import tell
from netspec.ui.screen import print_json, say
from netspec.ui.verbs.convert import STDIN, sketch_of

SUFFIX = ".safetensors"


def run(model: Path, weights: Path, *, output: Path | None, input: str | None, head: str | None, json: bool) -> int:  # noqa: A002
    """Writes the weights file; nothing where anything of the model has no counterpart. Raises DataError, UsageError, SpecError."""
    place = _require_place(output)
    if not weights.is_file():
        raise UsageError(f"--weights {weights}: no such file")
    name = "<stdin>" if str(model) == STDIN else str(model)
    sketch = sketch_of(model, name)
    try:
        found = convert(sketch, shape_of(input), head)
    except NoChain as reason:
        raise NetspecError(f"{name}: cannot be written as a .net: {reason}") from None
    for one in (*found.missing, *found.notes):
        tell(str(one))
    if found.missing:
        raise NetspecError(f"{name}: the net would be another one without what is not mapped, so no weights were written")
    made = Model(read(found.text))
    _require_shape(made, name)
    load_state_dict(made, weights, order=sketch.modules)
    made.save(place)
    if json:
        print_json({"model": found.title, "output": str(place), "text": found.text, "parameters": made.graph.parameter_count})
    else:
        say(f"{place}: {found.layers} layers, {made.graph.parameter_count:,} parameters")
    return 0


def _require_place(output: Path | None) -> Path:
    """Where the weights file goes. Raises UsageError."""
    if output is None:
        raise UsageError(f"--weights: give -o FILE{SUFFIX}, the weights file to write")
    if output.suffix != SUFFIX:
        raise UsageError(f"-o {output}: the name of a weights file ends in {SUFFIX}; the .net alone is written without --weights")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}")
    if os.path.lexists(output):
        raise UsageError(f"{output}: exists already, and is not overwritten; -o names another file")
    return output


def _require_shape(made: Model, name: str) -> None:
    try:
        _ = made.graph
    except UsageError:
        raise UsageError(f"{name}: does not tell the shape of its rows; give it with --input, such as --input 3x32x32") from None
