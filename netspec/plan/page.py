"""A plan as notebooks show it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from netspec.base import html
from netspec.base.html import Markup, Side
from netspec.base.units import bytes_in_words, flops_in_words, short_count
from netspec.kernels.launch import Buffer, Launch
from netspec.plan.plan import Layout

MOST = 200
"""Launches and buffers that are shown."""
NAMED = 6
"""Buffers of a launch that are named."""
LAUNCHES: tuple[tuple[str, Side], ...] = (
    ("wave", "right"), ("section", "left"), ("launch", "left"), ("layers", "left"), ("tasks", "right"), ("FLOPs", "right"),
    ("bytes", "right"), ("buffers", "left"),
)  # fmt: skip
BUFFERS: tuple[tuple[str, Side], ...] = (("buffer", "left"), ("bytes", "right"), ("place", "right"), ("waves", "left"))


def plan_page(layout: Layout, parts: Mapping[str, int]) -> str:
    """The launches of a training step, in waves (`>`: each task after the same task of the launch before); `parts` are
    the bytes that training takes, by what for."""
    launches = layout.lowered.launches
    arena = layout.arena
    together = sum(life.buffer.bytes for life in arena.lives)
    buffers = (
        (
            life.buffer.name, f"{life.buffer.bytes:,}", f"+{arena.offsets[life.buffer]:,}",
            f"{life.first} to {life.last}" if life.last > life.first else f"{life.first}",
        )
        for life in sorted(arena.lives, key=lambda one: (arena.offsets[one.buffer], one.first))[:MOST]
    )  # fmt: skip
    memory = [(name, bytes_in_words(count)) for name, count in parts.items()]
    return html.page(
        html.line(
            html.bold(f"{flops_in_words(layout.flops)} a step, {bytes_in_words(sum(parts.values()))} at most"),
            html.faint(f": {len(launches)} launches in {len(layout.waves)} waves, at most {layout.batch} rows, float{8 * layout.itemsize}"),
        ),
        html.table(LAUNCHES, _launches(layout)),
        html.line(html.faint(_left_out(len(launches), "launches"))),
        html.fold("memory", html.table((("for", "left"), ("bytes", "right")), memory)),
        html.fold(
            f"arena: {bytes_in_words(arena.bytes)} for {len(arena.lives)} buffers of {bytes_in_words(together)} together",
            html.table(BUFFERS, buffers), html.line(html.faint(_left_out(len(arena.lives), "buffers"))),
        ),
    )  # fmt: skip


def _left_out(count: int, noun: str) -> str:
    return f"{count - MOST:,} more {noun}: print(model.plan) shows all" if count > MOST else ""


def _launches(layout: Layout) -> Iterator[Sequence[object]]:
    starts = {wave.first: number for number, wave in enumerate(layout.waves)}
    goes_on = {number for wave in layout.waves for chain in wave.chains for number in range(chain.first + 1, chain.last)}
    for number, launch in enumerate(layout.lowered.launches[:MOST]):
        work = short_count(launch.flops) if launch.flops else ""
        label, layers = f"{'> ' if number in goes_on else ''}{launch.label}", html.faint(" ".join(launch.layers))
        yield starts.get(number, ""), launch.section, label, layers, launch.tasks, work, bytes_in_words(launch.bytes), _ways(launch)


def _ways(launch: Launch) -> Markup:
    reads, writes = (_names(buffers) for buffers in (launch.reads, launch.writes))
    return html.element("span", f"{reads} \u2192 {writes}", f"{html.FAINT}; font-size: smaller")


def _names(buffers: Sequence[Buffer]) -> str:
    names = list(dict.fromkeys(buffer.name for buffer in buffers if not buffer.name.startswith("work")))
    return ", ".join(names) if len(names) <= NAMED else f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
