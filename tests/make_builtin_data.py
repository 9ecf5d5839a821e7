"""Writes the data sets that ship with the package from scikit-learn's copies: `python tests/make_builtin_data.py`.

Needs scikit-learn. `test_data.py` compares the shipped files with what `arrays()` gives, where scikit-learn is installed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits

FOLDER = Path(__file__).parent.parent / "netspec" / "catalog" / "sources"


def arrays() -> dict[str, tuple[NDArray[np.generic], NDArray[np.generic]]]:
    """Inputs and labels of every built-in set, as they are stored."""
    digits, cancer, diabetes = load_digits(), load_breast_cancer(), load_diabetes(scaled=False)
    return {
        "digits": (digits.images.astype(np.uint8)[:, None], digits.target.astype(np.uint8)),
        "breast_cancer": (cancer.data.astype(np.float64), cancer.target.astype(np.uint8)),
        "diabetes": (diabetes.data.astype(np.float64), diabetes.target.astype(np.float64)),
    }


if __name__ == "__main__":
    for name, (x, y) in arrays().items():
        np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=y)
