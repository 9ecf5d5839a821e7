"""A model as its spec's text and its arrays, and the model again: what a pickle holds of an estimator."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netspec.model import Model
from netspec.pipeline import rebuilt
from netspec.train.history import History
from netspec.train.state import slots_of
from netspec.train.weights import described


def packed(model: Model) -> dict[str, Any]:
    """Texts, numbers and arrays: the spec with every default written out, parameters, averages, optimiser slots, the history."""
    arrays = {**model.tensors(), **slots_of(model.network)}
    history = model.history
    return {
        "about": {**model.metadata(), "path": "<string>"},
        "arrays": {name: np.array(array) for name, array in arrays.items()},
        "history": {"loss": list(history.loss), "epochs": list(history.epochs), "stopped": history.stopped},
    }


def unpacked(kept: dict[str, Any], place: str = "the pickle") -> Model:
    """The model, its plans and kernels made anew. `place` opens messages. Raises SpecError, DataError."""
    path = Path(place)
    found = described(kept["about"], path)
    model = rebuilt(found.spec, kept["arrays"], found, path)
    model.history = History(**kept["history"])
    return model
