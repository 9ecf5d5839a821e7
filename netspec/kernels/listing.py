"""The kernels of a plan as text: every source once, with the launches that use it."""

from __future__ import annotations

from netspec.kernels.launch import Entry, Launch, Lowered
from netspec.kernels.store import kernel_name


def listing(lowered: Lowered) -> str:
    """Emitted and library sources in the order of their first use, each under its name in the cache."""
    users: dict[str, list[str]] = {}
    for number, launch in enumerate(lowered.launches):
        for entry in _entries(launch):
            users.setdefault(entry.source, []).append(f"{number} {launch.label} ({entry.name})")
    parts = []
    for source, launches in users.items():
        lines = "".join(f"# launch {line}\n" for line in launches)
        parts.append(f"# {kernel_name(source)}\n{lines}\n{source.strip()}\n")
    return "\n\n".join(parts)


def _entries(launch: Launch) -> list[Entry]:
    return [launch.kernel, *(word for word in launch.words if isinstance(word, Entry))]
