"""Diabetes: 442 patients, 10 measurements each, and a number for the progress of the disease a year later.

Columns: age in years, sex (1, 2), body mass index, mean blood pressure, and six blood serum values (total cholesterol, ldl, hdl, their
ratio, log of triglycerides, glucose), in the units they were measured in. B. Efron, T. Hastie, I. Johnstone and R. Tibshirani, Least
Angle Regression, Annals of Statistics 32 (2004) 407-499, published by the authors with the paper, without a licence of its own; taken
from the copy that scikit-learn (BSD 3-Clause) distributes (`load_diabetes(scaled=False)`).
"""

from __future__ import annotations

from typing import ClassVar

from netspec.base.dataset import Facts
from netspec.catalog.builtin import Builtin


class Diabetes(Builtin):
    """Progress of diabetes after a year (25 to 346), 442 rows of 10 measurements."""

    name: ClassVar[str] = "diabetes"
    known: ClassVar[Facts] = Facts(shape=(10,), classes=None, outputs=1, rows=442, target="value")
    origin: ClassVar[str] = (
        "B. Efron, T. Hastie, I. Johnstone, R. Tibshirani: Least Angle Regression, Annals of Statistics 32 (2004) 407-499; "
        "scikit-learn's copy (BSD 3-Clause), unscaled"
    )
