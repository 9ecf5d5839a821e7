"""Weights that one layer has from another: `tie = enc`, `tie = enc.T`."""

from __future__ import annotations


class Tie(str):
    """The name of an affine whose W is shared, as written; with `.T` behind it the transpose."""

    __slots__ = ()

    @property
    def layer(self) -> str:
        return self.removesuffix(".T")

    @property
    def transposed(self) -> bool:
        return self.endswith(".T")
