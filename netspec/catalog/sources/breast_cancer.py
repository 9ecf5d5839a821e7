"""Breast cancer Wisconsin (diagnostic): 569 rows of 30 measurements of cell nuclei, malignant (0) or benign (1).

Means, standard errors and worst values of ten measurements in a digitised image of a fine needle aspirate. W. Wolberg, O. Mangasarian,
N. Street and W. Street, Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, 1995 (doi:10.24432/C5DW2B), licensed
CC BY 4.0; taken from scikit-learn's copy (`load_breast_cancer`), whose numbering of the classes is kept.
"""

from __future__ import annotations

from typing import ClassVar

from netspec.base.dataset import Facts
from netspec.catalog.builtin import Builtin


class BreastCancer(Builtin):
    """Tumours, malignant or benign, 569 rows of 30 measurements."""

    name: ClassVar[str] = "breast_cancer"
    known: ClassVar[Facts] = Facts(shape=(30,), classes=2, outputs=None, rows=569, target="class")
    labels: ClassVar[tuple[str, ...] | None] = None  # 0 malignant, 1 benign: predictions stay the numbers that scikit-learn gives
    origin: ClassVar[str] = (
        "W. Wolberg, O. Mangasarian, N. Street, W. Street: Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning Repository, 1995, "
        "doi:10.24432/C5DW2B, CC BY 4.0; scikit-learn's copy"
    )
