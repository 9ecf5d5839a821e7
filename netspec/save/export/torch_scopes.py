"""Modules that hold modules, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.save.export.torch_calls import Call


@dataclass(frozen=True)
class Zeros:
    """A parameter on its own, of so many numbers."""

    size: int


@dataclass(frozen=True)
class Several:
    """Blocks one after another."""

    parts: tuple[Scope, ...]


@dataclass
class Scope:
    """A module: what it holds by name, the lines of its `forward`, and where in it each array is. `title` is the def's name, or empty."""

    title: str
    told: str = ""
    held: dict[str, Call | Zeros | Scope | Several] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    arrays: dict[str, str] = field(default_factory=dict)


def module_paths(scope: Scope, prefix: str = "") -> dict[str, str]:
    """PyTorch's name, in the whole, of each of netspec's arrays."""
    found = {name: f"{prefix}{path}" for name, path in scope.arrays.items()}
    for name, held in scope.held.items():
        if isinstance(held, Scope):
            found |= module_paths(held, f"{prefix}{name}.")
        elif isinstance(held, Several):
            for place, part in enumerate(held.parts):
                found |= module_paths(part, f"{prefix}{name}.{place}.")
    return found
