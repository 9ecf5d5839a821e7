"""What a cell displays by itself."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from netspec.base.html import Markup


@dataclass(frozen=True, repr=False)
class Page:
    """HTML for notebooks, and the same in plain words for everything else."""

    html: Markup
    text: str

    def _repr_html_(self) -> str:
        return self.html

    def __repr__(self) -> str:
        return self.text


def show(shown: object) -> None:
    """Displays it below the cell that runs."""
    import_module("IPython.display").display(shown)
