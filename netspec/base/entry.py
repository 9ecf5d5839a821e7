"""What a .net file may name: every catalogue entry is a frozen pydantic model whose fields are its arguments."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

CONFIG = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, arbitrary_types_allowed=True, protected_namespaces=())


class Entry(BaseModel):
    """Something with a name in the language. The first field is the positional argument; every field has a description, and a default
    where there is one that serves.

    `name` is the word in the language. A class without one is an abstract kind and is not registered.
    """

    model_config = CONFIG
    name: ClassVar[str]

    @classmethod
    def positional(cls) -> str | None:
        """Name of the argument that may be written without its key, if there is one."""
        return next(iter(cls.positionals()), None)

    @classmethod
    def positionals(cls) -> tuple[str, ...]:
        """Names of the arguments that may be written without their keys, in this order; the first argument alone, unless said otherwise."""
        return tuple(cls.model_fields)[:1]


def refuse_unfinished(entry: type[Entry], missing: list[str]) -> None:
    """Raises TypeError where a named class lacks a part of its contract, and takes its name away so that no registry finds it."""
    if missing:
        name = entry.name
        del entry.name
        raise TypeError(f"{name}: {entry.__name__} lacks {', '.join(missing)}")


def _pair(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(side, int) for side in value):
        return tuple(value)
    raise PydanticCustomError("pair", "a whole number, or two as 3x5")


def _pad(value: Any) -> Any:
    if value == "same":
        return value
    try:
        return _pair(value)
    except PydanticCustomError:
        raise PydanticCustomError("pad", "same, a whole number, or two as 1x2") from None


def _row(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,)
    if isinstance(value, (tuple, list)) and len(value) in (1, 3) and all(isinstance(side, int) for side in value):
        return tuple(value)
    raise PydanticCustomError("row", "a whole number of at least 1 for a vector, or three as 3x4x5 for an image")


Count = Annotated[int, Field(ge=1)]
Side = Annotated[int, Field(ge=1, le=65535)]
Pair = Annotated[tuple[Side, Side], BeforeValidator(_pair)]
"""Two sides, height x width, each at least 1; one number stands for both."""
Margin = Annotated[int, Field(ge=0, le=65535)]
Padding = Annotated[tuple[Margin, Margin], BeforeValidator(_pair)]
"""Two margins, height x width, each at least 0; one number stands for both."""
SamePadding = Annotated[str | tuple[Margin, Margin], BeforeValidator(_pad)]
"""`same`, or a Padding."""
Row = Annotated[tuple[Count] | tuple[Count, Count, Count], BeforeValidator(_row)]
"""The shape of a row: (D,) for a vector, (C, H, W) for an image; one number stands for a vector."""
