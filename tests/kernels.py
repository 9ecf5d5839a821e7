"""A real kernel of Jupyter, in which a test runs cells."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

SECONDS = 300


class Listening(NotebookClient):
    """Notes the kind of each message, and interrupts the kernel at the first update of a display where that is wanted."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.kinds: list[str] = []
        self.interrupts = False

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        self.kinds.append(msg["msg_type"])
        if self.interrupts and msg["msg_type"] == "update_display_data":
            self.interrupts = False
            self.interrupting = asyncio.ensure_future(self.km.interrupt_kernel())
        return super().process_message(msg, cell, cell_index)


@dataclass
class Cell:
    """What a cell left in the notebook, and the kinds of all messages on the way."""

    outputs: list[Any]
    kinds: list[str]

    @property
    def html(self) -> list[str]:
        return [one.data["text/html"] for one in self.outputs if "text/html" in one.get("data", {})]

    @property
    def plain(self) -> list[str]:
        return [one.data["text/plain"] for one in self.outputs if "text/plain" in one.get("data", {})]

    @property
    def streams(self) -> str:
        return "".join(one.text for one in self.outputs if one.output_type == "stream")

    @property
    def error(self) -> str:
        """The traceback of a cell that failed."""
        return "\n".join("\n".join(one.traceback) for one in self.outputs if one.output_type == "error")


class Kernel:
    def __init__(self, folder: Path) -> None:
        self.notebook = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}})
        self.client = Listening(self.notebook, timeout=SECONDS, allow_errors=True, resources={"metadata": {"path": str(folder)}})

    def run(self, source: str, interrupts: bool = False) -> Cell:
        cell = nbformat.v4.new_code_cell(source)
        self.notebook.cells.append(cell)
        self.client.kinds, self.client.interrupts = [], interrupts
        self.client.execute_cell(cell, len(self.notebook.cells) - 1)
        return Cell(cell.outputs, self.client.kinds)

    def complete(self, text: str) -> list[str]:
        """What the kernel proposes at the end of a cell's text."""
        given = "from IPython.core.completer import provisionalcompleter\nwith provisionalcompleter():"
        shown = self.run(f"{given}\n    print(*[one.text for one in get_ipython().Completer.completions({text!r}, {len(text)})])")
        assert not shown.error, shown.error
        return shown.streams.split()


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel that works in a folder of its own, which other tests do not share."""
    started = Kernel(folder)
    environment = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime")}
    with started.client.setup_kernel(env=environment):
        yield started
