"""What two programs mean differently, as tables and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from netspec.base.layer import Trained
from netspec.frontend.words import written
from netspec.graph.align import Point
from netspec.graph.compare import Comparison, Difference, LayerChange, Total
from netspec.ui.tables import Justify, table

SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}
SHOWN_NAMES = 2
NONE = "-"
"""Where one of the two has no such value."""


def parts(comparison: Comparison, a: str, b: str, blind: Sequence[str], width: int) -> list[RenderableType]:
    """The report: which is A and which is B, layers, settings, totals; `blind` are those whose shapes are not known."""
    found: list[RenderableType] = [Text(f"A {a}\nB {b}")]
    if comparison.layers:
        found += [Text(), table(_columns("layer", "what"), layer_rows(comparison.layers), wrap=("layer", "A", "B"))]
    if comparison.settings:
        rows = [(one.key, one.a or NONE, one.b or NONE) for one in comparison.settings]
        found += [Text(), table(_columns("setting")[1:], rows, wrap=("A", "B"))]
    totals = [_total(one) for one in comparison.totals if one.a != one.b]
    if totals:
        columns: list[tuple[str, Justify]] = [("total", "left"), ("A", "right"), ("B", "right"), ("", "right")]
        found += [Text(), table(columns, totals)]
    if blind:
        found += [Text(), Text(without_shapes(blind))]
    return found


def without_shapes(blind: Sequence[str]) -> str:
    """Why shapes are not compared, and what to give."""
    named = " and ".join(dict.fromkeys(blind))
    return (
        f"shapes, parameters and FLOPs are not compared, for nothing gives the shape of a row, or the counts, of {named}; "
        "give --input, and --classes or --outputs"
    )


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The object that `diff --json` prints."""
    return {
        "same": comparison.same,
        "shapes": comparison.with_shapes,
        "layers": [
            {
                "change": one.kind,
                "a": _point(one.a),
                "b": _point(one.b),
                "differences": [_difference(found) for found in one.differences],
            }
            for one in comparison.layers
        ],
        "settings": [_difference(one) for one in comparison.settings],
        "totals": {one.key: {"a": one.a, "b": one.b} for one in comparison.totals},
    }


def _point(point: Point | None) -> dict[str, Any] | None:
    if point is None:
        return None
    return {
        "name": point.name, "layer": point.kind, "arguments": dict(point.arguments), "reads": point.reads, "arrays_of": point.owners,
        "output": point.output, "parameters": point.parameters, "flops": point.flops,
    }  # fmt: skip


def _difference(one: Difference) -> dict[str, str | None]:
    return {"key": one.key, "a": one.a, "b": one.b}


def _columns(*first: str) -> list[tuple[str, Justify]]:
    return [("", "left"), *((name, "left") for name in (*first, "A", "B"))]


# layers


def layer_rows(changes: Iterable[LayerChange]) -> list[Sequence[str | Text]]:
    """A row for each layer that only one has, and for each thing that differs; neighbours that differ in the same way share one."""
    rows: list[Sequence[str | Text]] = []
    for change in _together(changes):
        names, kind, told = change
        sign, colour = SIGNS[kind]
        for number, (what, a, b) in enumerate(told):
            first = number == 0
            rows.append((Text(sign if first else "", style=colour), _names(names) if first else "", what, a, b))
    return rows


Told = tuple[tuple[str, str, str], ...]


def _together(changes: Iterable[LayerChange]) -> list[tuple[list[str], str, Told]]:
    """Layers that changed alike, with what there is to say of them; in the order of the first of each."""
    found: dict[tuple[str, str, Told], list[LayerChange]] = {}
    for change in changes:
        kind = _point_of(change).kind if _own(change) else ""
        found.setdefault((change.kind, kind, _told(change)), []).append(change)
    rows = []
    for (kind_of_change, _, told), alike in found.items():
        names = [_point_of(one).name for one in alike]
        rows.append((names, kind_of_change, told if len(alike) > 1 else _told_alone(alike[0])))
    return rows


def _point_of(change: LayerChange) -> Point:
    point = change.b or change.a
    assert point is not None, "a change is of a layer"
    return point


def _own(change: LayerChange) -> bool:
    """Whether more than the shape differs, which follows from a layer before."""
    return change.kind != "changed" or any(one.key != "output" for one in change.differences)


def _told(change: LayerChange) -> Told:
    if change.a is not None and change.b is not None:
        return _rows(change.differences)
    text = _call(_point_of(change))
    return (("layer", text, NONE),) if change.a is not None else (("layer", NONE, text),)


def _told_alone(change: LayerChange) -> Told:
    """The same of a layer that no other is like: a new one also with what it reads, where that is not the layer before it."""
    return _told(change) if change.kind == "changed" else (*_told(change), *_rows(change.differences))


def _rows(differences: Iterable[Difference]) -> Told:
    return tuple((one.key, one.a or NONE, one.b or NONE) for one in differences)


def _call(point: Point) -> str:
    """`affine(width=100, bias=true)`; that a layer is trained as usual goes without saying."""
    usual = {name: written(info.default) for name, info in Trained.model_fields.items()}
    given = [f"{key}={value}" for key, value in point.arguments.items() if usual.get(key) != value]
    return f"{point.kind}({', '.join(given)})" if given else point.kind


def _names(names: Sequence[str]) -> str:
    """`affine1, affine2, ... affine9 (9)`."""
    if len(names) <= SHOWN_NAMES + 1:
        return ", ".join(names)
    return f"{', '.join(names[:SHOWN_NAMES])}, ... {names[-1]} ({len(names)})"


def _total(one: Total) -> tuple[str, str, str, str]:
    name = "FLOPs a row" if one.key == "flops" else one.key
    factor = f" (x{one.b / one.a:.3g})" if one.a and f"{one.b / one.a:.3g}" != "1" else ""
    return name, f"{one.a:,}", f"{one.b:,}", f"{one.b - one.a:+,}{factor}"
