"""Columns of categories as columns of 0 and 1."""

from __future__ import annotations

from typing import ClassVar

from netspec.base.transform import Encoding


class OneHot(Encoding):
    """Each column of text becomes one column for each of its texts, in sorted order: 1 in the column of the row's text, else 0.

    Columns of numbers stay as they are. It comes before all other steps, wherever it is written. The texts are those of the rows that
    the net is first trained with; one that is not among them later is an error that names row and column.
    Source: one-of-K coding, Bishop, Pattern recognition and machine learning, 2006, section 4.1.3.
    """

    name: ClassVar[str] = "one_hot"
