"""Writes tests/keras: models as Keras describes them, some with weights, rows and outputs to compare with.

KERAS_BACKEND=torch python tests/make_keras_models.py 3      (with keras 3 installed)
python tests/make_keras_models.py 2                          (with tensorflow 2.15, whose keras is 2)
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).with_name("keras")
VERSION = int(sys.argv[1])
if VERSION == 2:
    from tensorflow import keras
else:
    import keras
layers: Any = keras.layers


def tutorial() -> Any:
    return keras.Sequential(
        [
            keras.Input((28, 28)), layers.Flatten(), layers.Dense(128, activation="relu", kernel_regularizer="l2"), layers.Dropout(0.2),
            layers.Dense(10, kernel_regularizer="l2"),
        ]
    )  # fmt: skip


def windows() -> Any:
    """Every way of padding, on sides that are odd and even, with groups, and pools of both kinds."""
    return keras.Sequential(
        [
            keras.Input((9, 12, 3)), layers.ZeroPadding2D(((0, 0), (1, 1))), layers.Conv2D(4, 3, strides=2, activation="elu"),
            layers.BatchNormalization(), layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2), layers.LeakyReLU(),
            layers.SeparableConv2D(6, (3, 2), padding="same", activation="tanh"), layers.UpSampling2D(2),
            layers.Conv2D(4, 4, strides=(2, 3), padding="same", use_bias=False), layers.GroupNormalization(2) if VERSION == 3
            else layers.BatchNormalization(momentum=0.9), layers.Activation("gelu"), layers.AveragePooling2D(2, strides=1),
            layers.MaxPooling2D(3, strides=1, padding="same"), layers.SpatialDropout2D(0.25), layers.GlobalAveragePooling2D(),
            layers.Dense(5, activation="softplus"), layers.Dense(1, activation="sigmoid"),
        ]
    )  # fmt: skip


def flattened() -> Any:
    """An image that is flattened with its channels last, and a Dense on images."""
    return keras.Sequential(
        [
            keras.Input((4, 3, 2)), layers.Conv2D(3, 1, activation="relu"), layers.Dense(4), layers.Flatten(),
            layers.Dense(6, activation="relu"), layers.Dense(3, activation="softmax"),
        ]
    )  # fmt: skip


def branches() -> Any:
    """A residual unit, a dense one, and a value that two branches read."""
    x = keras.Input((8, 8, 4))
    relu = layers.ReLU()
    y = layers.Conv2D(4, 3, padding="same", name="first")(x)
    z = relu(layers.Add()([y, x]))
    z = layers.Concatenate()([layers.Conv2D(2, 3, padding="same")(z), z])
    gate = layers.Conv2D(6, 1, activation="sigmoid", name="gate")(z)
    z = layers.Add()([layers.Multiply()([gate, z]), relu(gate)])
    z = layers.GlobalAveragePooling2D()(z)
    return keras.Model(x, layers.Dense(3, activation="softmax")(z))


def nested() -> Any:
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same"), layers.ReLU()], name="inner")
    x = keras.Input((8, 8, 4))
    return keras.Model(x, layers.Dense(2, activation="softmax")(layers.Flatten()(inner(x))))


def foreign() -> Any:
    """Layers without a counterpart."""
    return keras.Sequential(
        [
            keras.Input((16, 16, 3)), layers.Rescaling(1 / 255), layers.Conv2D(8, 3, dilation_rate=2),
            layers.Conv2D(8, 3, activation="selu"), layers.BatchNormalization(scale=False),
            layers.Flatten(), layers.Dense(4, activation="softmax"),
        ]
    )  # fmt: skip


def recurrent() -> Any:
    return keras.Sequential([keras.Input((7, 5)), layers.LSTM(8), layers.Dense(2, activation="softmax")])


def two_inputs() -> Any:
    one, other = keras.Input((4,)), keras.Input((4,))
    return keras.Model([one, other], layers.Add()([one, other]))


def logits() -> Any:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8, activation="relu"), layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def unbuilt() -> Any:
    return keras.Sequential([layers.Dense(8, activation="relu"), layers.Dense(3)])


MODELS = (tutorial, windows, flattened, branches, nested, foreign, recurrent, two_inputs, logits, unbuilt)
COMPARED = ("windows", "flattened", "branches")

for make in MODELS:
    model, name = make(), f"{make.__name__}_{VERSION}"
    (FOLDER / f"{name}.json").write_text(model.to_json())
    if make.__name__ in COMPARED:
        generator = np.random.default_rng(0)
        weights = [generator.uniform(0.2, 1.0, array.shape).astype(np.float32) * generator.choice([-1, 1], array.shape) ** (array.ndim > 1)
                   for array in model.get_weights()]  # fmt: skip
        model.set_weights(weights)
        x = generator.normal(size=(3, *model.input_shape[1:])).astype(np.float32)
        arrays = {f"w{place}": array.astype(np.float32) for place, array in enumerate(weights)}
        np.savez_compressed(FOLDER / f"{name}.npz", x=x, y=np.asarray(model.predict(x, verbose=0)), **arrays)
