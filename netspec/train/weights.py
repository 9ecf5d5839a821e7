"""What a trained network is as a weights file: its arrays by name, and the words that it can be built from again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from netspec.base.errors import DataError
from netspec.base.shape import Shape, show, size
from netspec.frontend.program import Program
from netspec.graph.graph import Graph
from netspec.plan.network import Network
from netspec.save.description import Ends, Side, described_as
from netspec.train.columns import Columns, as_metadata, from_metadata, width
from netspec.train.loop import Best
from netspec.train.normalize import Kind, Normalization

FORMAT = 1
PREFIX = "normalization."
"""Of the names of arrays that are no parameters."""
LEARNED = ("labels", "normalization", "columns", "origin", "class_weights")
"""What a model knows of its data beside its arrays, by the names of its attributes."""
Counted = Annotated[int, Field(ge=0, lt=2**62)]


class Origin(BaseModel):
    """What rows were before they were prepared: their shape, and the column of labels where they stood in a table."""

    model_config = ConfigDict(strict=True, frozen=True)
    row: list[Side] = Field(min_length=1, max_length=3)
    target: str | None = None


class Description(Ends):
    """What a weights file says beside its arrays: the resolved spec, the ends of the net, how far training has come, what it learnt of the
    data. A newer version may say more."""

    seed: Annotated[int, Field(ge=0, lt=2**64)]
    step: Counted
    epoch: Counted
    labels: list[str] | list[bool] | list[int | float] | None = None
    normalization: Kind | None = None
    columns: list[dict[str, Any]] | None = None
    class_weights: list[Annotated[float, Field(ge=0)]] | None = None
    origin: Origin | None = None

    @model_validator(mode="after")
    def has_labels_that_differ(self) -> Self:
        if self.labels is not None and len(set(self.labels)) != len(self.labels):
            raise PydanticCustomError("labels", "labels must differ")
        return self


def described(metadata: Mapping[str, Any], path: Path) -> Description:
    """The metadata of a weights file, checked. Raises DataError naming what is missing or damaged."""
    return described_as(Description, metadata, path)


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
    """Copies arrays of matching names and shapes into the network, where all their values are numbers; returns the names of the network
    that got none.

    Raises DataError where `strict` for a wrong shape or dtype, for NaN and infinities, for averages that none can be (a variance below
    zero), and for any name that is missing or too many.
    """
    own = {**dict(network.store.parameters), **dict(network.store.state)}
    if strict:
        require_fit({name: array.shape for name, array in own.items()}, tensors)
    fitting = [name for name in own if name in tensors and _fits(tensors[name], own[name].shape)]
    with np.errstate(over="ignore"):
        arrays = {name: tensors[name].astype(own[name].dtype, copy=False) for name in fitting}
    odd = {name: int((~np.isfinite(array)).sum()) for name, array in arrays.items() if not np.isfinite(array).all()}
    if odd and strict:
        found = [f"{name} ({count} of {arrays[name].size} numbers)" for name, count in odd.items()]
        raise DataError(
            f"NaN or infinity in {'; '.join(found)}: a net with them answers nothing. Take weights saved before training diverged, "
            "or load the others with netspec.compile(spec, weights=..., strict=False)"
        )
    low = {name: state.least for name, state in network.graph.state.items() if name in arrays and (arrays[name] < state.least).any()}
    if low and strict:
        raise DataError("; ".join(f"{name} has numbers below {least:g}, which it cannot have" for name, least in low.items()))
    left_out = {*odd, *low}
    for name in arrays.keys() - left_out:
        own[name][...] = arrays[name]
    return [name for name in own if name not in arrays or name in left_out]


def _fits(tensor: NDArray[Any], shape: Shape) -> bool:
    return tensor.shape == shape and tensor.dtype.kind == "f"


def require_fit(own: Mapping[str, Shape], tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raises DataError with everything in which arrays differ from those that the net has, by name."""
    wrong = [f"{name} is {_told(tensors[name])}, and the spec needs {show(own[name])} of floating-point numbers"
             for name in own if name in tensors and not _fits(tensors[name], own[name])]  # fmt: skip
    missing = [f"{name} ({show(own[name])}) is missing" for name in sorted(own) if name not in tensors]
    foreign = [
        f"{name} ({_told(tensors[name])}) is not in the spec" for name in sorted(tensors) if name not in own and not name.startswith(PREFIX)
    ]
    faults = [*wrong, *missing, *foreign]
    if faults:
        raise DataError("the weights do not fit the spec:\n  " + "\n  ".join(faults))


def _told(array: NDArray[Any]) -> str:
    return f"{show(array.shape) if array.ndim else 'a single number'} {array.dtype}"


def require_weights_of(graph: Graph, tensors: Mapping[str, NDArray[Any]]) -> None:
    """As `require_fit`, for a net that has no memory yet; `tensors` may be what a header declares."""
    parameters = {name: parameter.shape for name, parameter in graph.parameters.items()}
    require_fit({**parameters, **{name: state.shape for name, state in graph.state.items()}}, tensors)


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
