"""The drawing of a net for a page whose colours nobody knows: without a ground, in colours that can be seen on white and on black."""

from __future__ import annotations

import re

from netspec.base.html import Markup, picture
from netspec.frontend.program import Program
from netspec.graph.graph import Graph
from netspec.plan.network import TrainingPlan
from netspec.ui.draw import draw
from netspec.ui.flow import flow
from netspec.ui.svg import BACKWARD, FAINT, FORWARD, FRAMED, GROUPED, INK, NEUTRAL, document

MOST_LAYERS = 300
"""Of larger nets no picture is made for a page."""
TAG = re.compile(r"<[^<>]+>")  # words and values have these two escaped
ATTRIBUTE = re.compile(r"""(\s[\w-]+)=("[^"]*"|'[^']*')""")
ANYWHERE = {
    INK: ("#828c99", ""), FAINT: ("#858d97", ""), FORWARD[0]: ("#3d85c8", ""), FORWARD[1]: ("#3d85c8", "0.1"),
    BACKWARD[0]: ("#cf7a1d", ""), BACKWARD[1]: ("#cf7a1d", "0.1"), NEUTRAL[0]: ("#8a94a1", ""), NEUTRAL[1]: ("#8a94a1", "0.1"),
    GROUPED[0]: ("#7d8fa9", ""), GROUPED[1]: ("#7d8fa9", "0.1"), FRAMED[1]: ("#8a94a1", "0.06"),
}  # fmt: skip
"""What stands for each colour of the drawing, and how much of the ground it covers."""


def net_picture(program: Program, graph: Graph, plan: TrainingPlan, name: str) -> Markup | None:
    """The picture that `netspec draw` makes; None of nets that are too large for a page."""
    if len(graph.nodes) > MOST_LAYERS:
        return None
    drawing = draw(flow(program, graph, plan, name))
    return picture(on_any_ground(document(drawing)), f"the net {name}, forward and backward", drawing.width)


def on_any_ground(svg: str) -> str:
    """The SVG with its colours exchanged; words and names stay as they are."""
    return TAG.sub(lambda tag: ATTRIBUTE.sub(_exchanged, tag[0]), svg)


def _exchanged(attribute: re.Match[str]) -> str:
    key, value = attribute[1].strip(), attribute[2][1:-1]
    if key not in ("fill", "stroke") or value not in ANYWHERE:
        return attribute[0]
    colour, covers = ANYWHERE[value]
    return f'{attribute[1]}="{colour}"' + (f' {key}-opacity="{covers}"' if covers else "")
