"""`netspec compile FILE`: the plan with its kernels, or one stage on the way to it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from netspec.base.units import bytes_in_words, flops_in_words, short_count
from netspec.frontend.parse import parse
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.kernels import store
from netspec.kernels.launch import Buffer
from netspec.pipeline import Stages, read, stages
from netspec.plan.network import Network, TrainingPlan
from netspec.plan.plan import Layout, driver, driver_source
from netspec.train.settings import settings_of
from netspec.ui.given import spec_file
from netspec.ui.layer_table import broken
from netspec.ui.screen import print_json
from netspec.ui.shapes import known_counts
from netspec.ui.tables import Justify, print_table, table
from netspec.ui.tree import tree

NAME = 28
"""Columns for what a launch is called, and its layers."""


def run(file: Path, overrides: Overrides, *, emit: str | None, json: bool) -> int:
    """Prints each launch, the memory, and what was compiled; with `emit` that stage alone, without compiling anything."""
    if emit is not None:
        text = stage_text(file, overrides, emit)
        if json:
            print_json({"stage": emit, "text": text})
        else:
            print(text)
        return 0
    program = read(spec_file(file), overrides)
    made = stages(program, known_counts(program))
    before, began = store.compiled_count, time.perf_counter()
    Network(made.groups, settings_of(made.program))
    driver()
    seconds, compiled = time.perf_counter() - began, store.compiled_count - before
    if json:
        print_json(as_json(made, seconds, compiled))
    else:
        print_table(launch_table(made.plan.train, program.train.batch))
        print(f"\n{memory_in_words(made.plan)}")
        total = len({*made.plan.train.sources, *made.plan.test.sources, driver_source()})
        how = f"{compiled} of {total} kernels compiled" if compiled else f"all {total} kernels were in the cache"
        print(f"{how}; {seconds:.2f} s")
    return 0


def launch_table(layout: Layout, batch: int) -> Table:
    """Each launch of a training step on `batch` rows: its layers, the buffers that it reads and writes with their shapes, FLOPs and
    bytes."""

    def shapes(buffers: Sequence[Buffer]) -> str:
        return ", ".join(_shape(buffer, layout.batch) for buffer in buffers if not buffer.name.startswith("work"))

    rows = []
    for number, launch in enumerate(layout.lowered.launches):
        name = "\n".join([*broken(launch.label, NAME, 0, 2), *(broken(" ".join(launch.layers), NAME, 2, 0) if launch.layers else ())])
        work = short_count(launch.flops) if launch.flops else ""
        ends = f"{shapes(launch.reads)}\n-> {shapes(launch.writes)}"
        rows.append((str(number), name, str(launch.tasks), work, bytes_in_words(launch.bytes), ends))
    numbers: list[tuple[str, Justify]] = [(name, "right") for name in ("tasks", "FLOPs", "bytes")]
    joined = f": {batch}, and a last one alone, which joins them as bn needs two" if layout.batch > batch else ""
    title = f"a training step of at most {layout.batch} rows{joined}"
    return table([("", "right"), ("launch", "left"), *numbers, ("buffers", "left")], rows, title, wrap=("buffers",))


def _shape(buffer: Buffer, batch: int) -> str:
    """`v2 65x128`: a batch's rows by the elements of one; of what outlasts a step the name alone."""
    if buffer.kind not in ("value", "result"):
        return buffer.name
    rows = f"{batch}x{buffer.count // batch}" if buffer.count % batch == 0 else f"{buffer.count:,}"
    return f"{buffer.name} {rows}"


def memory_in_words(plan: TrainingPlan) -> str:
    """What training allocates, and for what."""
    parts = {
        "a step": plan.train.own_bytes, "evaluation": plan.test.own_bytes, "parameters, optimiser": plan.store_bytes,
        "best parameters": plan.best_bytes,
    }  # fmt: skip
    lines = [f"{flops_in_words(plan.flops)} a step; peak memory {bytes_in_words(plan.peak_bytes)}, of which"]
    return "\n".join([*lines, *(f"  {bytes_in_words(count):>8}  {name}" for name, count in parts.items())])


def stage_text(file: Path, overrides: Overrides, emit: str) -> str:
    """The print of one stage. The earlier ones need no shapes."""
    if emit == "ast":
        return tree(parse(source_of(spec_file(file))))
    program = read(spec_file(file), overrides)
    if emit == "program":
        return program.resolved.rstrip("\n")
    made = stages(program, known_counts(program))
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
