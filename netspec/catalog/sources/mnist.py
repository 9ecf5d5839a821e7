"""MNIST: handwritten digits, 60,000 images 1x28x28 of bytes to train and 10,000 to test.

`path` is a folder with the four files of the original, compressed or not (train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz,
t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz), or the file mnist.npz with arrays x_train, y_train, x_test and y_test. The official
test part is the test split, so that a split has two parts: split = 55000 / 5000. Y. LeCun, C. Cortes, C. Burges, The MNIST database of
handwritten digits.
"""

from __future__ import annotations

from typing import ClassVar

from netspec.catalog.idx import IdxImages


class Mnist(IdxImages):
    """Handwritten digits 0 to 9, images 1x28x28."""

    name: ClassVar[str] = "mnist"
