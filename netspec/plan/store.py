"""What outlives a step: parameters, gradients, optimiser slots, running averages, the control block. Each is one flat buffer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.random import WORD
from netspec.frontend.words import nearest
from netspec.kernels.launch import Lowered, ParameterPlace
from netspec.kernels.native import AUGMENT, CONTROL_WORDS, SEED, STEP, UPDATE_STATE
from netspec.plan.memory import aligned

MOST_NAMES = 20
"""That a message lists."""


class NoSuchArrayError(UsageError, KeyError):
    """A name that a mapping of arrays does not have; made of the name and those that there are."""

    def __str__(self) -> str:
        name, names = self.args
        near = nearest(str(name), names)
        told = f"there is no array {name!r}" + (f" (did you mean {near!r}?)" if near else "")
        more = f", ... {names[-1]}" if len(names) > MOST_NAMES else ""
        return f"{told}; there are {', '.join(names[:MOST_NAMES])}{more}" if names else f"{told}; there is none of this kind"


class Arrays(Mapping[str, NDArray[Any]]):
    """Named arrays that are views of one flat buffer: writing into one is seen by the next call. Assigning a name copies into its view."""

    def __init__(self, flat: NDArray[Any], places: Mapping[str, ParameterPlace]) -> None:
        self.flat, self.places = flat, places

    def __getitem__(self, name: str) -> NDArray[Any]:
        place = self.places.get(name)
        if place is None:
            raise NoSuchArrayError(name, tuple(self.places))
        count = int(np.prod(place.shape, dtype=np.int64))
        return self.flat[place.offset : place.offset + count].reshape(place.shape)

    def __setitem__(self, name: str, value: Any) -> None:
        self[name][...] = value

    def __contains__(self, name: object) -> bool:
        return name in self.places

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def over(self, flat: NDArray[Any]) -> Arrays:
        """The same names over another flat buffer."""
        return Arrays(flat, self.places)

    def copy(self) -> dict[str, NDArray[Any]]:
        """Every array, apart from the buffer."""
        return {name: self[name].copy() for name in self}

    def __repr__(self) -> str:
        rows = (f"{name}: {'x'.join(map(str, array.shape))} {array.dtype}" for name, array in self.items())
        return "{" + ", ".join(rows) + "}"


class Store:
    """The flat buffers of one model, shared by all its plans."""

    def __init__(self, lowered: Lowered, dtype: Any, seed: int) -> None:
        self.dtype = np.dtype(dtype)
        self.parameters = Arrays(aligned(lowered.parameter_elements, dtype), lowered.parameters)
        self.state = Arrays(aligned(lowered.state_elements, dtype), lowered.states)
        self.slots = {name: Arrays(aligned(lowered.parameter_elements, dtype), lowered.parameters) for name in lowered.slot_names}
        self.control = aligned(CONTROL_WORDS, np.int64)
        self.seed = seed

    @cached_property
    def gradients(self) -> Arrays:
        """Where plans that keep gradients leave them; made when the first such plan is. Training keeps none."""
        return Arrays(aligned(self.parameters.flat.size, self.dtype), self.parameters.places)

    @property
    def keeps_gradients(self) -> bool:
        """Whether there is an array for them yet."""
        return "gradients" in self.__dict__

    @property
    def is_finite(self) -> bool:
        """Whether all parameters and averages are numbers."""
        return bool(np.isfinite(self.parameters.flat).all() and np.isfinite(self.state.flat).all())

    @property
    def step(self) -> int:
        """Updates done."""
        return int(self.control[STEP])

    @step.setter
    def step(self, value: int) -> None:
        self.control[STEP] = value

    @property
    def seed(self) -> int:
        """Taken modulo 2**64."""
        return int(self.control[SEED]) & WORD

    @seed.setter
    def seed(self, value: int) -> None:
        self.control[SEED] = np.uint64(value & WORD).astype(np.int64)

    def update_state(self, on: bool) -> None:
        """Whether the train form moves the running averages."""
        self.control[UPDATE_STATE] = on

    def augment(self, on: bool) -> None:
        """Whether a training step takes images through the augmentations, or as they are."""
        self.control[AUGMENT] = on

    @property
    def kept(self) -> list[NDArray[Any]]:
        """Everything that a copy of a model needs, in a fixed order: parameters, averages, slots, control block."""
        return [self.parameters.flat, self.state.flat, *(slot.flat for slot in self.slots.values()), self.control]

    @property
    def bytes(self) -> int:
        arrays = [self.parameters, self.state, *self.slots.values()]
        return sum(each.flat.nbytes for each in arrays)

    def flat(self, name: str) -> NDArray[Any]:
        """The flat array of a buffer of the kinds control, parameters, gradients, state, slots."""
        if name == "control":
            return self.control
        if name.startswith("slot."):
            return self.slots[name[5:]].flat
        arrays: Arrays = getattr(self, name)
        return arrays.flat
