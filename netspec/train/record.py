"""A run on disk: the folder is filled as training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from netspec.frontend.program import Program
from netspec.plan.network import Network
from netspec.save.environment import describe_environment
from netspec.save.run_folder import RunFolder, create_run_folder
from netspec.save.weights import save_weights


class Saved(Protocol):
    """What gives the contents of a weights file."""

    @property
    def network(self) -> Network: ...

    def tensors(self) -> dict[str, NDArray[Any]]: ...

    def metadata(self) -> dict[str, Any]: ...


@dataclass
class Record:
    """One run's folder and the model that it records."""

    folder: RunFolder
    model: Saved

    @classmethod
    def create(
        cls, model: Saved, program: Program, plan: str, fingerprint: str | None, run_dir: Path | None, name: str
    ) -> Record:
        """A new folder with spec, plan and environment in it."""
        folder = create_run_folder(name, run_dir)
        folder.write_spec(program.source.text, program.resolved)
        folder.write_plan(plan + "\n")
        folder.write_environment(describe_environment(model.network.store.seed, model.network.threads, fingerprint))
        return cls(folder, model)

    def epoch(self, row: Mapping[str, Any], best: bool) -> None:
        """The epoch's row, the last weights, and the best where they are that."""
        self.save_last()
        if best:
            save_weights(self.folder.best, self.model.tensors(), self.model.metadata())
        self.folder.add_epoch(row)
        self.folder.add_event({"event": "epoch", **row})

    def save_last(self) -> None:
        """Weights and optimiser state of this moment."""
        save_weights(self.folder.last, self.model.tensors(), self.model.metadata())
        store = self.model.network.store
        slots = {f"{slot}.{name}": array for slot, arrays in store.slots.items() for name, array in arrays.items()}
        save_weights(self.folder.state, slots, self.model.metadata())

    def event(self, **event: Any) -> None:
        """A line of events.jsonl."""
        self.folder.add_event(event)
