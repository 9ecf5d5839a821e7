"""Accuracy of the experiments in models/ on CIFAR-10's own photographs: python tests/bench/accuracy.py [NAME ...]

NETSPEC_CIFAR10 names a zip with the 50,000 training pictures in folders by class; 49,000 train, 1,000 validate, as the files say. Prints a
row for each: the best validation accuracy, the time of training, and for the four optimizers what they reach on their training rows. Exits
with 1 where a figure is below its limit, which is the published one where there is one, or no better than that of plain gradient descent.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import netspec

MODELS = Path(__file__).parents[2] / "models"


@dataclass(frozen=True)
class Experiment:
    """One file, with keys and lets in place of its own, the figure to reach, and the experiment to beat."""

    file: str
    least: float | None = None
    keys: Mapping[str, Any] = field(default_factory=dict)
    figure: str = "val_accuracy"
    beats: str | None = None


EXPERIMENTS = {
    "two_layer, 10 epochs": Experiment("two_layer", 0.521),
    "conv3, 1 epoch": Experiment("conv3", 0.57),
    "conv3, 10 epochs": Experiment("conv3", 0.65, {"train.epochs": 10}),
    "cifar_vgg, 12 epochs": Experiment("cifar_vgg", 0.80),
    "optimizers: sgd": Experiment("optimizers", figure="train_accuracy"),
    "optimizers: momentum": Experiment("optimizers", None, {"rule": "sgd(lr=5e-3, momentum=0.9)"}, "train_accuracy", "optimizers: sgd"),
    "optimizers: rmsprop": Experiment("optimizers", 0.47, {"rule": "rmsprop(lr=1e-4)"}, "train_accuracy", "optimizers: sgd"),
    "optimizers: adam": Experiment("optimizers", 0.47, {"rule": "adam(lr=1e-3)"}, "train_accuracy", "optimizers: sgd"),
}


def missed(reached: Mapping[str, float]) -> list[str]:
    """What is wrong with the figures of the experiments that were run."""
    found = []
    for name, figure in reached.items():
        least, rival = EXPERIMENTS[name].least, EXPERIMENTS[name].beats
        if least is not None and not figure >= least:
            found.append(f"{name}: {figure:.4f} is below {least}")
        if rival in reached and not figure > reached[rival]:
            found.append(f"{name}: {figure:.4f} does not beat {reached[rival]:.4f} of {rival}")
    return found


def main() -> None:
    photographs = Path(os.environ["NETSPEC_CIFAR10"]).resolve()
    wanted = sys.argv[1:]
    reached: dict[str, float] = {}
    print(f"{'experiment':<24} {'figure':<15} {'reached':>8} {'least':>6} {'epoch':>6} {'seconds':>8}", flush=True)
    for name, experiment in EXPERIMENTS.items():
        if wanted and not any(name.startswith(word) for word in wanted):
            continue
        keys = {"data.source": "images", "data.path": str(photographs), **experiment.keys}
        with tempfile.TemporaryDirectory() as folder:
            run = netspec.train(MODELS / f"{experiment.file}.net", run_dir=Path(folder) / "run", allow=(photographs.parent,), **keys)
        rows = run.history.epochs
        best = max(rows, key=lambda row: row[experiment.figure])
        reached[name] = best[experiment.figure]
        least = "" if experiment.least is None else f"{experiment.least:.3f}"
        print(
            f"{name:<24} {experiment.figure:<15} {reached[name]:>8.4f} {least:>6} {best['epoch']:>6} {rows[-1]['seconds']:>8.1f}",
            flush=True,
        )
    found = missed(reached) if reached else [f"no experiment begins with {' or '.join(wanted)}"]
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
