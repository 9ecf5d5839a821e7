"""The picture of a net from Python. In a notebook, the colours of whose page nobody knows, it has no ground, and colours that can be seen
on white and on black."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.html import page, picture
from netspec.frontend.program import Program
from netspec.frontend.text import AnySpec
from netspec.graph.check import overrides_of
from netspec.graph.graph import Graph
from netspec.model import Model
from netspec.pipeline import read, stages
from netspec.plan.network import TrainingPlan
from netspec.save.atomic import write_atomic
from netspec.ui.draw import draw as drawing_of
from netspec.ui.flow import flow
from netspec.ui.picture import picture_path
from netspec.ui.shapes import known_counts
from netspec.ui.svg import BACKWARD, FAINT, FORWARD, FRAMED, GROUPED, INK, NEUTRAL, Drawing, document, svg

TAG = re.compile(r"<[^<>]+>")  # words and values have these two escaped
ATTRIBUTE = re.compile(r"""(\s[\w-]+)=("[^"]*"|'[^']*')""")
ANYWHERE = {
    INK: ("#828c99", ""), FAINT: ("#858d97", ""), FORWARD[0]: ("#3d85c8", ""), FORWARD[1]: ("#3d85c8", "0.1"),
    BACKWARD[0]: ("#cf7a1d", ""), BACKWARD[1]: ("#cf7a1d", "0.1"), NEUTRAL[0]: ("#8a94a1", ""), NEUTRAL[1]: ("#8a94a1", "0.1"),
    GROUPED[0]: ("#7d8fa9", ""), GROUPED[1]: ("#7d8fa9", "0.1"), FRAMED[1]: ("#8a94a1", "0.06"),
}  # fmt: skip
"""What stands for each colour of the drawing, and how much of the ground it covers."""


@dataclass(frozen=True, repr=False)
class Picture:
    """The picture of a net: `str()` is an SVG document, a notebook shows it, and `save` writes it."""

    name: str
    drawing: Drawing

    def save(self, path: str | Path) -> None:
        """Writes an .svg, whole or not at all. Raises UsageError, SaveError."""
        write_atomic(picture_path(Path(path), (".svg",)), str(self).encode())

    def __str__(self) -> str:
        return svg(self.drawing)

    def __repr__(self) -> str:
        return f"Picture({self.name}, {self.drawing.width:.0f} x {self.drawing.height:.0f})"

    def _repr_html_(self) -> str:
        words = f"the net {self.name}, forward and backward"
        return page(picture(on_any_ground(document(self.drawing)), words, self.drawing.width))


def draw(net: Model | AnySpec, *, unroll: bool = False, **keywords: Any) -> Picture:
    """The data's way through a net, forward and backward, as `netspec draw` makes it: of a model, or of what `compile` takes, with its
    keywords. Copies of a repeat that are alike are drawn once, with `unroll` each of them. Raises SpecError, DataError, UsageError."""
    if isinstance(net, Model):
        if keywords:
            raise UsageError(f"draw: {', '.join(keywords)}: a model is drawn as it is; give keywords with a text or a file")
        return _drawn(net.program, net.graph, net.plan, "model", unroll)
    program = read(net, overrides_of(**keywords))
    made = stages(program, known_counts(program))
    name = Path(program.source.path).stem if program.source.path != "<string>" else "net"
    return _drawn(made.program, made.graph, made.plan, name, unroll)


def _drawn(program: Program, graph: Graph, plan: TrainingPlan, name: str, unroll: bool) -> Picture:
    return Picture(name, drawing_of(flow(program, graph, plan, name, unroll=unroll)))


def on_any_ground(svg: str) -> str:
    """The SVG with its colours exchanged; words and names stay as they are."""
    return TAG.sub(lambda tag: ATTRIBUTE.sub(_exchanged, tag[0]), svg)


def _exchanged(attribute: re.Match[str]) -> str:
    key, value = attribute[1].strip(), attribute[2][1:-1]
    if key not in ("fill", "stroke") or value not in ANYWHERE:
        return attribute[0]
    colour, covers = ANYWHERE[value]
    return f'{attribute[1]}="{colour}"' + (f' {key}-opacity="{covers}"' if covers else "")
