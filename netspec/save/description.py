"""What a weights file says of the net that its arrays belong to: the words that it can be built from again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from netspec.base.errors import DataError
from netspec.base.text import Source
from netspec.frontend.text import source_of

Side = Annotated[int, Field(ge=1, lt=2**31)]


class Ends(BaseModel):
    """The resolved spec, where it was read from, the shape of a row, and how many classes or outputs there are."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)
    spec: str
    path: str
    input: list[Side] = Field(min_length=1, max_length=3)
    classes: Side | None = None
    outputs: Side | None = None

    @model_validator(mode="after")
    def has_ends(self) -> Self:
        if (self.classes is None) == (self.outputs is None):
            raise PydanticCustomError("ends", "either classes or outputs must be there")
        return self


Kind = TypeVar("Kind", bound=Ends)


def described_as(kind: type[Kind], metadata: Mapping[str, Any], path: Path) -> Kind:
    """The metadata of a weights file, checked. Raises DataError naming what is missing or damaged."""
    try:
        return kind.model_validate(metadata)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{first['loc'][0]}: " if first["loc"] else ""
        raise DataError(f"{path}: its metadata is damaged: {where}{first['msg']}") from None


def spec_of(path: Path, found: Ends) -> Source:
    """The spec that a weights file carries; inside a run folder that of the folder, whose data paths lead from there.

    Where a file says that its spec lies outside the working folder and its own, it counts as lying beside the file: a stranger's file
    opens no folder to its data paths. Raises UsageError where the folder's spec cannot be read.
    """
    resolved = path.parent.parent / "spec.resolved.net"
    if path.parent.name == "weights" and resolved.is_file():
        return source_of(resolved)
    return Source(found.spec, found.path if _is_near(found.path, path) else str(path.parent / f"{path.stem}.net"))


def _is_near(told: str, path: Path) -> bool:
    if told == Source("").path:
        return True
    try:
        place = Path(told).resolve()
        return any(place.is_relative_to(folder.resolve()) for folder in (Path(), path.parent))
    except (OSError, RuntimeError, ValueError):
        return False
