"""What a trained network is as a weights file: its arrays by name, and the words that it can be built from again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from netspec.base.errors import DataError
from netspec.base.shape import show, size
from netspec.base.text import Source
from netspec.frontend.program import Program
from netspec.graph.graph import Graph
from netspec.plan.network import Network
from netspec.train.columns import Columns, as_metadata, from_metadata, width
from netspec.train.loop import Best
from netspec.train.normalize import Kind, Normalization

FORMAT = 1
PREFIX = "normalization."
"""Of the names of arrays that are no parameters."""
LEARNED = ("labels", "normalization", "columns", "origin", "class_weights")
"""What a model knows of its data beside its arrays, by the names of its attributes."""
Counted = Annotated[int, Field(ge=0, lt=2**62)]
Side = Annotated[int, Field(ge=1, lt=2**31)]


class Origin(BaseModel):
    """What rows were before they were prepared: their shape, and the column of labels where they stood in a table."""

    model_config = ConfigDict(strict=True, frozen=True)
    row: list[Side] = Field(min_length=1, max_length=3)
    target: str | None = None


class Description(BaseModel):
    """What a weights file says beside its arrays: the resolved spec, the ends of the net, how far training has come, what it learnt of the
    data. A newer version may say more."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)
    spec: str
    path: str
    input: list[Side] = Field(min_length=1, max_length=3)
    classes: Side | None = None
    outputs: Side | None = None
    seed: Annotated[int, Field(ge=0, lt=2**64)]
    step: Counted
    epoch: Counted
    labels: list[str] | list[bool] | list[int | float] | None = None
    normalization: Kind | None = None
    columns: list[dict[str, Any]] | None = None
    class_weights: list[Annotated[float, Field(ge=0)]] | None = None
    origin: Origin | None = None

    @model_validator(mode="after")
    def has_ends(self) -> Self:
        if (self.classes is None) == (self.outputs is None):
            raise PydanticCustomError("ends", "either classes or outputs must be there")
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise PydanticCustomError("labels", "labels must differ")
        return self


def described(metadata: Mapping[str, Any], path: Path) -> Description:
    """The metadata of a weights file, checked. Raises DataError naming what is missing or damaged."""
    try:
        return Description.model_validate(metadata)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise DataError(f"{path}: its metadata is damaged: {where}{first['msg']}") from None


def tensors_of(network: Network, normalization: Normalization | None, best: Best | None = None) -> dict[str, NDArray[Any]]:
    """Views of the parameters and averages, of this moment or those of `best`, and the normalisation."""
    own = best.arrays(network) if best is not None else {}
    own = own or {**network.store.parameters, **network.store.state}
    return {**own, **(normalization.tensors() if normalization is not None else {})}


def description(
    network: Network, program: Program, normalization: Normalization | None, labels: Sequence[Any] | None,
    position: tuple[int, int], columns: Columns | None = None, origin: Origin | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The metadata of a weights file: the resolved spec, the ends of the net, the epochs and updates done (`position`)."""
    graph = network.graph
    counted = "outputs" if graph.head.target == "value" else "classes"
    return {
        "format": FORMAT,
        "spec": program.resolved,
        "path": program.source.path,
        "input": list(graph.input.shape),
        counted: graph.classes,
        "dtype": network.dtype.name,
        "seed": network.store.seed,
        "step": position[1],
        "epoch": position[0],
        "labels": [_plain(label) for label in labels] if labels is not None else None,
        "normalization": normalization.kind if normalization is not None else None,
        **({"columns": as_metadata(columns)} if columns is not None else {}),
        **({"origin": origin.model_dump()} if origin is not None else {}),
    }


def _plain(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def take_over(network: Network, tensors: Mapping[str, NDArray[Any]], strict: bool) -> list[str]:
    """Copies arrays of matching names and shapes into the network; returns the names of the network that got none.

    Raises DataError where `strict` for a wrong shape or dtype, and for any name that is missing or too many.
    """
    own = {**dict(network.store.parameters), **dict(network.store.state)}
    fitting = [name for name in own if name in tensors and _fits(tensors[name], own[name])]
    if strict:
        _require_all(own, tensors, fitting)
    for name in fitting:
        own[name][...] = tensors[name]
    return [name for name in own if name not in fitting]


def _fits(tensor: NDArray[Any], own: NDArray[Any]) -> bool:
    return tensor.shape == own.shape and tensor.dtype.kind == "f"


def _require_all(own: Mapping[str, NDArray[Any]], tensors: Mapping[str, NDArray[Any]], fitting: Sequence[str]) -> None:
    wrong = [
        f"{name} is {show(tensors[name].shape)} {tensors[name].dtype}, and the spec needs {show(own[name].shape)}"
        for name in own
        if name in tensors and name not in fitting
    ]
    missing = [f"{name} is missing" for name in sorted(own) if name not in tensors]
    foreign = [f"{name} is not in the spec" for name in sorted(tensors) if name not in own and not name.startswith(PREFIX)]
    if wrong or missing or foreign:
        raise DataError("the weights do not fit the spec: " + "; ".join([*wrong, *missing, *foreign]))


def learned_of(found: Description, tensors: Mapping[str, NDArray[Any]], graph: Graph, strict: bool) -> dict[str, Any]:
    """What a file's net learnt of its data, by LEARNED's names, without what it says nothing of.

    What does not fit the graph raises DataError, or is left out where that is not `strict`.
    """
    shape = graph.input.shape
    classes = {1: 2}.get(size(graph.output.shape), graph.classes) if graph.head.target == "binary" else graph.classes
    fits: dict[str, Any] = {"origin": found.origin}
    faults = []
    for what, values, convert in (("labels", found.labels, tuple), ("class_weights", found.class_weights, np.array)):
        if values is None or (len(values) == classes and graph.head.target != "value"):
            fits[what] = values and convert(values)
        else:
            faults.append(f"{len(values)} {what}, and the net has {classes} classes")
    columns = None if found.columns is None else from_metadata(found.columns)
    if columns is None or width(columns) == size(shape):
        fits["columns"] = columns
    else:
        faults.append(f"columns of {width(columns)} numbers, and the net takes {size(shape)}")
    if found.normalization is None and any(name.startswith(PREFIX) for name in tensors):
        faults.append("statistics of a normalisation whose kind is missing")
    try:
        fits["normalization"] = found.normalization and Normalization.from_tensors(found.normalization, tensors, shape)
    except DataError as error:
        faults.append(str(error))
    if faults and strict:
        raise DataError(f"the weights do not fit the spec: {'; '.join(faults)}")
    return {name: value for name, value in fits.items() if value is not None}


def spec_of(path: Path, found: Description) -> Source:
    """The spec that a weights file carries; inside a run folder that of the folder, whose data paths lead from there."""
    resolved = path.parent.parent / "spec.resolved.net"
    if path.parent.name == "weights" and resolved.is_file():
        return Source(resolved.read_text(encoding="utf-8"), str(resolved))
    return Source(found.spec, found.path)
