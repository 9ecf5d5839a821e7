"""`netspec compile FILE`: the plan with its kernels, or one stage on the way to it."""

from __future__ import annotations

import time
from pathlib import Path

from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.kernels import store
from netspec.model import settings_of
from netspec.pipeline import Stages, read, stages
from netspec.plan.network import Network
from netspec.ui.given import spec_file
from netspec.ui.screen import print_json
from netspec.ui.tree import tree


def run(file: Path, overrides: Overrides, *, emit: str | None, json: bool) -> int:
    """Prints each launch, the memory, and what was compiled; with `emit` that stage alone, without compiling anything."""
    if emit is not None:
        text = stage_text(file, overrides, emit)
        if json:
            print_json({"stage": emit, "text": text})
        else:
            print(text)
        return 0
    made = stages(read(spec_file(file), overrides))
    before, began = store.compiled_count, time.perf_counter()
    Network(made.graph, settings_of(made.program))
    seconds, compiled = time.perf_counter() - began, store.compiled_count - before
    if json:
        print_json(as_json(made, seconds, compiled))
    else:
        print(made.plan)
        total = len({*made.plan.train.sources, *made.plan.test.sources})
        how = f"{compiled} of {total} kernels compiled" if compiled else f"all {total} kernels were in the cache"
        print(f"{how}; {seconds:.2f} s")
    return 0


def stage_text(file: Path, overrides: Overrides, emit: str) -> str:
    """The print of one stage. The earlier ones need no shapes."""
    if emit == "ast":
        return tree(parse(source_of(spec_file(file))))
    program = read(spec_file(file), overrides)
    if emit == "program":
        return program.resolved.rstrip("\n")
    made = stages(program)
    match emit:
        case "graph":
            return str(made.graph)
        case "groups":
            return str(made.groups)
        case "kernels":
            return "\n\n".join(f"# {store.kernel_name(source)}\n{source.strip()}" for source in made.plan.train.sources)
        case _:
            return str(made.plan)


def as_json(made: Stages, seconds: float, compiled: int) -> dict[str, object]:
    """What `--json` prints."""
    return {
        "launches": [
            {
                "label": launch.label, "section": launch.section, "layers": list(launch.layers), "tasks": launch.tasks,
                "flops": launch.flops, "bytes": launch.bytes, "reads": [buffer.name for buffer in launch.reads],
                "writes": [buffer.name for buffer in launch.writes],
            }
            for launch in made.plan.train.lowered.launches
        ],
        "peak_bytes": made.plan.peak_bytes, "flops": made.plan.flops, "seconds": seconds, "kernels_compiled": compiled,
    }  # fmt: skip
