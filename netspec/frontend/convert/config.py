"""Arguments of a layer of another library, read with distrust: each has the type that is asked for, or the model is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from netspec.base.errors import DataError

MOST = 1 << 31
REQUIRED: Any = object()


@dataclass(frozen=True)
class Config:
    """Arguments by name. `place` opens messages; `channels_last` is the order in which the model holds images."""

    values: Mapping[str, Any]
    place: str
    channels_last: bool = True
    asked: set[str] = field(default_factory=set, compare=False)
    """The arguments that were read so far: the others had no part in what a layer became."""

    def raw(self, key: str, default: Any = REQUIRED) -> Any:
        """The value as it stands. Raises DataError where there is none, nor a default."""
        self.asked.add(key)
        if key in self.values:
            return self.values[key]
        if default is REQUIRED:
            raise DataError(f"{self.place} has no {key}")
        return default

    def whole(self, key: str, default: Any = REQUIRED) -> int:
        """A whole number of at least 0."""
        value = self.raw(key, default)
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if type(number) is not int or not 0 <= number < MOST:
            raise self._wrong(key, value, "a whole number")
        return number

    def number(self, key: str, default: Any = REQUIRED) -> float:
        """A finite number, with the digits that a float32 holds: libraries store 0.3 as 0.30000001192092896."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(float(value)):
            raise self._wrong(key, value, "a number")
        short = float(str(np.float32(value)))
        return short if abs(short - value) <= 1e-6 * abs(value) else float(value)

    def truth(self, key: str, default: Any = REQUIRED) -> bool:
        value = self.raw(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def word(self, key: str, default: Any = REQUIRED) -> str:
        value = self.raw(key, default)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a word")
        return value

    def pair(self, key: str, default: Any = REQUIRED) -> tuple[int, int]:
        """Two sides, height and width; one number stands for both."""
        value = self.raw(key, default)
        sides = [value, value] if not isinstance(value, (list, tuple)) else list(value) * (2 if len(value) == 1 else 1)
        if len(sides) != 2 or any(type(side) is not int or not 0 <= side < MOST for side in sides):
            raise self._wrong(key, value, "one whole number or two")
        return sides[0], sides[1]

    def wholes(self, key: str, default: Any = REQUIRED) -> tuple[int, ...]:
        """Whole numbers of any sign; one stands for a list of one."""
        value = self.raw(key, default)
        found = list(value) if isinstance(value, (list, tuple)) else [value]
        if any(type(one) is not int or abs(one) >= MOST for one in found):
            raise self._wrong(key, value, "whole numbers")
        return tuple(found)

    def _wrong(self, key: str, value: Any, wanted: str) -> DataError:
        return DataError(f"{self.place}: {key} is {str(value)[:60]!r}, where {wanted} is needed")
