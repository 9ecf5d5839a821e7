"""Small specs with all that a run carries from step to step, training that is killed at a chosen step, and the bytes that a run leaves."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from netspec import model, pipeline
from netspec.plan.pace import Pace
from netspec.train import record
from netspec.train.loop import Monitor

ROWS = 50
MLP = """netspec 1
data { source = npz; path = "rows.npz"; split = 0.7/0.2/0.1; normalize = rescale }
net flatten -> [affine(16)-bn-relu-dropout(30%)]x2 -> affine -> softmax
train { optimizer = adam(lr=2e-2); batch = 8; epochs = 3; l2 = 1e-3; schedule = plateau(patience=1ep); lr_decay = 0.9; clip = 1.0 }
seed 3
"""
"""A last batch of three rows, masks, running averages, two slots, a rate that follows the epochs before."""
CONV = """netspec 1
data { source = npz; path = "rows.npz"; split = 0.7/0.3; normalize = per_channel; transforms = flip, crop(pad=1) }
net conv(4)-bn-relu -> pool -> affine -> softmax
train { optimizer = sgd(lr=5e-2, momentum=0.9); batch = 8; epochs = 3; class_weights = balanced; schedule = warmup(2ep, then=cosine(4ep)) }
"""
"""Images that are drawn anew in each step, and labels that are words."""
SPECS = {"mlp": MLP, "conv": CONV}


def write_spec(folder: Path, text: str, rows: int = ROWS) -> Path:
    """A spec with its data beside it: images 2x6x6 whose brightness tells the class."""
    draw = np.random.default_rng(rows)
    y = np.arange(rows) % 3
    x = draw.normal(size=(rows, 2, 6, 6)) + y[:, None, None, None]
    np.savez(folder / "rows.npz", x=x.astype(np.float32), y=np.array(["low", "middle", "high"])[y])
    spec = folder / "net.net"
    spec.write_text(text)
    return spec


class Killed(BaseException):
    """What no `except` of the code under test can hold back, as if the process were gone."""


class KillAt(Monitor):
    """Ends the process, as it were, after a step; or at the end of an epoch, before its row is written."""

    def __init__(self, step: int, epoch: int = 0) -> None:
        self.step, self.at_epoch = step, epoch

    def begin(self, **_: Any) -> None: ...

    def steps(self, *, step: int, **_: Any) -> None:  # type: ignore[override]
        if step == self.step:
            raise Killed

    def epoch(self, row: dict[str, Any]) -> None:
        if row["epoch"] == self.at_epoch:
            raise Killed

    def end(self) -> None: ...


def save_each_step(patch: Any) -> None:
    """Every call of the driver does one step, and everything is saved as soon as it may be."""
    patch.setattr(Pace, "steps", lambda self: 1)
    patch.setattr(record, "SAVE_SECONDS", 0.0)
    patch.setattr(record, "SAVE_SHARE", 1e9)
    patch.setattr(record.Record, "_interval", 0.0)
    patch.setattr(model, "draw_run", lambda folder: None)  # a picture takes longer than all else
    for module in (model, pipeline):
        patch.setattr(module, "report_run", lambda *given: None)


def left(folder: Path) -> dict[str, str]:
    """SHA-256 of each weights and state file, and the results but for their times."""
    found = {path.name + " of " + path.parent.name: _sha(path.read_bytes()) for path in sorted(folder.glob("*/*.safetensors"))}
    lines = (folder / "results.csv").read_text().splitlines()
    return {**found, "results": "\n".join(line.rpartition(",")[0] for line in lines)}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
