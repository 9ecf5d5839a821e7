"""Handwritten digits, 8x8: 1,797 images (1, 8, 8) of integers 0..16, ten classes.

Each pixel counts the ink in a 4x4 block of a 32x32 bitmap, from forms filled in by 13 writers. It is the test part of E. Alpaydin and
C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (doi:10.24432/C50P49), licensed CC BY 4.0;
taken from scikit-learn's copy (`load_digits`), stored as uint8.
"""

from __future__ import annotations

from typing import ClassVar

from netspec.base.dataset import Facts
from netspec.catalog.builtin import Builtin


class Digits(Builtin):
    """Handwritten digits 0 to 9, 1,797 images 1x8x8 with values 0 to 16."""

    name: ClassVar[str] = "digits"
    known: ClassVar[Facts] = Facts(shape=(1, 8, 8), classes=10, outputs=None, rows=1797, target="class")
    origin: ClassVar[str] = (
        "E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (test part), UCI Machine Learning Repository, 1998, "
        "doi:10.24432/C50P49, CC BY 4.0; scikit-learn's copy"
    )
