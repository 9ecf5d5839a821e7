"""`netspec bench FILE`: how fast a net trains here, launch by launch, beside what this machine can do, and beside other libraries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Any

from rich.table import Table

from netspec.base.shape import is_image, show
from netspec.base.units import bytes_in_words
from netspec.frontend.program import Overrides
from netspec.frontend.text import source_of
from netspec.pipeline import read, stages
from netspec.plan.network import Network
from netspec.train.bench import Benchmark, LaunchTime, StepTimes, rows_needed
from netspec.train.peak import COPIES, Peak, measure_peak
from netspec.train.settings import settings_of
from netspec.ui.given import spec_file
from netspec.ui.peers.compare import ROUNDS, Compared, compare, peers_of, require_counterparts
from netspec.ui.screen import print_json
from netspec.ui.shapes import known_counts
from netspec.ui.tables import Justify, print_table, table

LAUNCH_SHARE = 0.25
"""Of the seconds that are given, the part that the launches get."""


@dataclass(frozen=True)
class Report:
    """All that was measured. `flops` of a step, `peak_bytes` of training."""

    net: str
    batch: int
    dtype: str
    flops: float
    peak_bytes: int
    steps: StepTimes
    launches: Sequence[LaunchTime]
    peak: Peak
    compared: Sequence[Compared]

    @property
    def launched_seconds(self) -> float:
        return sum(launch.seconds for launch in self.launches)

    def limit(self, launch: LaunchTime) -> tuple[float, bool]:
        """The share of this machine's peak that a launch reaches, and whether the arithmetic is nearer to its peak than the memory is."""
        arithmetic = launch.flops_per_second / self.peak.flops_per_second
        memory = launch.bytes_per_second / self.peak.bytes_per_second
        return max(arithmetic, memory), arithmetic >= memory


def run(file: Path, overrides: Overrides, *, threads: int | None, seconds: float, peers: str | None, json: bool) -> int:
    """Measures and prints. Raises UsageError for peers that are unknown or not installed, before anything is measured."""
    names = peers_of(peers) if peers is not None else ()
    report = measure(spec_file(file), overrides, threads=threads, seconds=seconds, peers=names)
    if json:
        print_json(as_json(report))
        return 0
    print(f"{headline(report)}\n")
    print_table(launch_table(report))
    print(f"\n{footer(report)}")
    if report.compared:
        print()
        print_table(comparison_table(report))
        print(f"\n{comparison_footer(report)}")
    return 0


def measure(file: Path, overrides: Overrides, *, threads: int | None, seconds: float, peers: Sequence[str] = ()) -> Report:
    """Steps, launches, peaks, peers, in that order."""
    program = read(file, overrides)
    made = stages(program, known_counts(program))
    require_counterparts(made.graph, program.train.optimizer, peers, program.train.clip, program.train.l2)
    bench = Benchmark(Network(made.groups, settings_of(program)))
    steps = bench.steps(seconds * (1 - LAUNCH_SHARE))
    launches = bench.launches(steps.threads, seconds * LAUNCH_SHARE)
    peak = measure_peak(steps.threads, program.train.dtype)
    compared: list[Compared] = []
    if peers:
        compared = compare(
            source_of(file), overrides, peers, image=is_image(made.graph.input.shape), seconds=seconds / ROUNDS, threads=threads,
            heard=_heard,
        )  # fmt: skip
    net = f"{show(made.graph.input.shape)} -> {show(made.graph.output.shape)}, {made.graph.parameter_count:,} parameters"
    return Report(
        net, program.train.batch, program.train.dtype, bench.flops, made.plan.peak_bytes, steps, launches, peak, compared
    )  # fmt: skip


def _heard(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def headline(report: Report) -> str:
    """The step in a few lines."""
    steps = report.steps
    return "\n".join(
        (
            f"{'net':<8} {report.net}",
            f"{'step':<8} {_milliseconds(steps.median)} ms (least {_milliseconds(steps.least)}, most {_milliseconds(steps.most)}; "
            + f"{steps.steps:,} steps in {len(steps.seconds)} pieces)",
            f"{'rate':<8} {steps.rows_per_second:,.0f} rows/s, {report.flops / steps.median / 1e9:.1f} GFLOP/s",
            f"{'run with':<8} batch {report.batch}, {report.dtype}, {_threads(steps.threads)}",
            f"{'memory':<8} {bytes_in_words(report.peak_bytes)} at most",
        )
    )


def _milliseconds(seconds: float) -> str:
    """Three digits that count."""
    taken = seconds * 1e3
    behind = 2 - floor(log10(max(taken, 1e-6)))
    return f"{taken:,.{max(0, behind)}f}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def launch_table(report: Report) -> Table:
    """Each launch: what, over which layers, tasks, microseconds, share of the step, rate, share of the peak."""
    rows, before = [], ""
    for launch in report.launches:
        share, arithmetic = report.limit(launch)
        name = f"{launch.what}\n  {' '.join(launch.layers)}" if launch.layers else launch.what
        shown = launch.section if launch.section != before else ""
        before = launch.section
        rate = f"{launch.flops_per_second / 1e9:.1f} GFLOP/s" if arithmetic else f"{launch.bytes_per_second / 1e9:.1f} GB/s"
        known = launch.seconds > 0
        rows.append(
            (
                shown, name, str(launch.tasks), f"{launch.seconds * 1e6:,.1f}", f"{launch.seconds / report.steps.median:.1%}",
                rate if known else "", f"{share:.0%}" if known else "",
            )
        )  # fmt: skip
    taken = report.launched_seconds
    rows.append(("", "together", "", f"{taken * 1e6:,.1f}", f"{taken / report.steps.median:.1%}", "", ""))
    numbers: list[tuple[str, Justify]] = [(name, "right") for name in ("tasks", "us", "of step", "rate", "of peak")]
    return table([("section", "left"), ("launch", "left"), *numbers], rows, wrap=("launch",))


def footer(report: Report) -> str:
    """How the figures came about."""
    peak = report.peak
    return "\n".join(
        (
            f"peak, measured just now on {_threads(peak.threads)}: {peak.flops_per_second / 1e9:.1f} GFLOP/s by netspec's own product",
            f"of {peak.side} x {peak.side} matrices; {peak.bytes_per_second / 1e9:.1f} GB/s read and written by the best of {COPIES}",
            f"copies of {bytes_in_words(peak.copied_bytes)}. A launch is rated by what it comes nearer to; what lies in",
            "a cache moves faster than a copy through memory, so above 100% of it. Times of",
            "launches are medians of each in its place in a step; rows are drawn at random.",
        )
    )


def comparison_table(report: Report) -> Table:
    """A row for netspec and for each way to run a peer."""
    rows = [
        (one.who, _milliseconds(one.seconds), f"{_milliseconds(one.least)} to {_milliseconds(one.most)}", f"{one.ratio:.2f}")
        for one in report.compared
    ]
    return table([("a step in", "left"), ("ms", "right"), ("rounds", "right"), ("ratio", "right")], rows)


def comparison_footer(report: Report) -> str:
    return (
        f"Medians of {ROUNDS} rounds, each library in a process of its own, in turn; ratio: times netspec's.\n"
        f"A step draws {report.batch} of {rows_needed(report.batch):,} rows, and reads the loss back."
    )


def as_json(report: Report) -> dict[str, Any]:
    """What `--json` prints; times in seconds, rates in FLOP/s and bytes/s."""
    steps, peak = report.steps, report.peak
    return {
        "batch": report.batch, "dtype": report.dtype, "threads": steps.threads, "flops": report.flops, "peak_bytes": report.peak_bytes,
        "step": {
            "median": steps.median, "min": steps.least, "max": steps.most, "pieces": len(steps.seconds), "steps": steps.steps,
            "rows_per_second": steps.rows_per_second, "flops_per_second": report.flops / steps.median,
        },
        "peak": {
            "flops_per_second": peak.flops_per_second, "bytes_per_second": peak.bytes_per_second, "threads": peak.threads,
            "product_side": peak.side, "copied_bytes": peak.copied_bytes,
        },
        "launches": [
            {
                "section": launch.section, "launch": launch.what, "layers": list(launch.layers), "tasks": launch.tasks,
                "seconds": launch.seconds, "share": launch.seconds / steps.median, "flops": launch.flops, "bytes": launch.bytes,
                "flops_per_second": launch.flops_per_second, "bytes_per_second": launch.bytes_per_second,
                "peak_share": report.limit(launch)[0],
            }
            for launch in report.launches
        ],
        "compare": [
            {"who": one.who, "seconds": one.seconds, "min": one.least, "max": one.most, "ratio": one.ratio} for one in report.compared
        ],
    }  # fmt: skip
