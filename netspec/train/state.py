"""What training goes on from, in one file: parameters, averages, optimiser slots, the best parameters so far, the position.

The file is whole by itself, so that it never has to agree with another one that was written a moment before or after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netspec.base.errors import DataError
from netspec.plan.network import Network
from netspec.save.weights import load_weights
from netspec.train.loop import Best, Training
from netspec.train.weights import Counted, Description, described

OPTIMIZER, BEST, LOSSES = "optimizer/", "best/", "history/loss"
"""What names of arrays begin with that are none of the net's own, which have no slash."""


class Position(BaseModel):
    """Where training stands beside what every weights file says: steps of the epoch that is not over, epoch and update of the best
    parameters with their score (higher is better), and the rows where it trains on the first few alone."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)
    steps: Counted
    best_epoch: Counted = 0
    best_step: Counted = 0
    best_score: float | None = None
    overfit: Annotated[int, Field(ge=1)] | None = None


@dataclass(frozen=True)
class State:
    """A state file: the net's own arrays, all others by their names, and what it says."""

    own: dict[str, NDArray[Any]]
    others: dict[str, NDArray[Any]]
    found: Description
    position: Position


def state_tensors(network: Network, tensors: Mapping[str, NDArray[Any]], training: Training) -> dict[str, NDArray[Any]]:
    """The arrays of a state file; `tensors` are those of the weights file. Views: they change with the next step."""
    best = {f"{BEST}{name}": array for name, array in training.best.arrays(network).items()}
    return {**tensors, **slots_of(network), **best, LOSSES: np.array(training.losses_of_epoch, np.float64)}


def slots_of(network: Network) -> dict[str, NDArray[Any]]:
    """The optimiser's arrays by the names of a state file: views."""
    return {f"{OPTIMIZER}{slot}/{name}": array for slot, arrays in network.store.slots.items() for name, array in arrays.items()}


def position_of(training: Training, overfit: int | None) -> Position:
    best = training.best
    score = best.score if best.is_known else None
    return Position(steps=training.steps_done, best_epoch=best.epoch, best_step=best.step, best_score=score, overfit=overfit)


def read_state(path: Path) -> State:
    """A state file. Raises DataError where it is missing, damaged, or a weights file that training cannot go on from."""
    tensors, metadata = load_weights(path)
    if "position" not in metadata:
        raise DataError(f"{path}: holds weights alone; training goes on from a run's state/last.safetensors")
    try:
        position = Position.model_validate(metadata["position"])
    except ValidationError as error:
        raise DataError(f"{path}: its metadata is damaged: position: {error.errors()[0]['msg']}") from None
    own, others = apart(tensors)
    return State(own, others, described(metadata, path), position)


def apart(tensors: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """The arrays of a weights file, and those that only a state has."""
    own = {name: array for name, array in tensors.items() if "/" not in name}
    return own, {name: array for name, array in tensors.items() if "/" in name}


def take_over_slots(network: Network, others: Mapping[str, NDArray[Any]]) -> None:
    """The optimiser's state. Raises DataError where it does not fit the network."""
    for slot, arrays in network.store.slots.items():
        for name, array in arrays.items():
            array[...] = _array(others, f"{OPTIMIZER}{slot}/{name}", array)


def take_over_progress(training: Training, state: State) -> None:
    """The losses of the epoch, the best parameters and the position. Raises DataError where they do not fit."""
    position, network = state.position, training.network
    if position.steps > training.steps_per_epoch:
        raise DataError(f"the state stands at step {position.steps} of an epoch that has {training.steps_per_epoch}")
    losses = state.others.get(LOSSES)
    if losses is None or losses.shape != (position.steps,):
        raise DataError(f"the state lacks the losses of the epoch that is not over ({LOSSES})")
    training.history.loss[:] = losses.tolist()
    training.steps_done = position.steps
    if position.best_score is not None:
        training.best = Best(position.best_score, position.best_epoch, position.best_step)
        training.best.keep(network)
        for name, array in training.best.arrays(network).items():
            array[...] = _array(state.others, f"{BEST}{name}", array)


def _array(others: Mapping[str, NDArray[Any]], name: str, own: NDArray[Any]) -> NDArray[Any]:
    found = others.get(name)
    if found is None or found.shape != own.shape or found.dtype.kind != "f":
        told = "is missing" if found is None else f"has the shape {found.shape} and the dtype {found.dtype}, and {own.shape} is needed"
        raise DataError(f"the state does not fit the spec: {name} {told}")
    return found
