"""`netspec draw FILE`: a picture of the data's way through the net, forward and backward."""

from __future__ import annotations

from pathlib import Path

from netspec.base.errors import UsageError
from netspec.frontend.program import Overrides
from netspec.pipeline import read, stages
from netspec.save.atomic import write_atomic
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.given import spec_file
from netspec.ui.mermaid import mermaid
from netspec.ui.picture import picture_path
from netspec.ui.screen import print_json, say
from netspec.ui.shapes import known_counts
from netspec.ui.svg import Drawing, svg


def run(file: Path, overrides: Overrides, *, output: Path | None, unroll: bool, as_mermaid: bool, json: bool) -> int:
    """Writes the picture and prints where it is, or prints a flowchart. Raises SpecError, UsageError, SaveError."""
    if as_mermaid and (output or json):
        raise UsageError("--mermaid prints a flowchart on stdout: it goes without -o and --json")
    path = picture_path(output or Path(f"{file.stem}.svg"), (".svg",))
    program = read(spec_file(file), overrides)
    made = stages(program, known_counts(program))
    shown = flow(made.program, made.graph, made.plan, file.stem, unroll=unroll)
    if as_mermaid:
        print(mermaid(shown))
        return 0
    drawing = draw(shown)
    write_atomic(path, svg(drawing).encode())
    if json:
        print_json({"path": str(path), **_as_json(drawing)})
    else:
        say(path)
    return 0


def _as_json(drawing: Drawing) -> dict[str, object]:
    boxes = [
        {"name": box.name, "side": box.side, "x": box.x, "y": box.y, "width": box.width, "height": box.height, "lines": box.lines}
        for box in drawing.boxes
    ]
    arrows = [{"from": way.source, "to": way.target, "side": way.side, "label": way.label} for way in drawing.ways]
    return {"width": drawing.width, "height": drawing.height, "boxes": boxes, "arrows": arrows}
