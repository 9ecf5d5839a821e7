"""Fashion-MNIST: pictures of clothes, 60,000 images 1x28x28 of bytes to train and 10,000 to test, in the files and layout of MNIST.

`path` is a folder with the four IDX files, compressed or not, or an .npz with arrays x_train, y_train, x_test and y_test. The official test
part is the test split, so that a split has two parts: split = 55000 / 5000. The labels are the ten words. H. Xiao, K. Rasul, R. Vollgraf,
Fashion-MNIST, arXiv:1708.07747, 2017.
"""

from __future__ import annotations

from typing import ClassVar

from netspec.catalog.idx import IdxImages


class FashionMnist(IdxImages):
    """Clothes in ten classes, images 1x28x28."""

    name: ClassVar[str] = "fashion_mnist"
    words: ClassVar[tuple[str, ...] | None] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
