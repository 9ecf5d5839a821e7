"""What this machine can do, measured: the rate of netspec's own matrix product, and of a large copy."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from netspec.base.memory import available_bytes
from netspec.base.text import Source
from netspec.catalog.optimizers.sgd import Sgd
from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.groups.groups import group
from netspec.plan.network import Network, Settings
from netspec.train.bench import Benchmark, launch_seconds

SIDES = (512, 1024)
COPY_BYTES = 128 << 20
COPIES = 8


@dataclass(frozen=True)
class Peak:
    """The best rates seen on `threads` threads: FLOP/s of a product of `side` x `side` matrices, bytes/s read and written by a copy."""

    flops_per_second: float
    bytes_per_second: float
    threads: int
    side: int
    copied_bytes: int


def measure_peak(threads: int, dtype: str, seconds: float = 0.2) -> Peak:
    """The best product of the sides in SIDES, `seconds` for each, and the best of eight copies."""
    rates = {side: product_rate(side, threads, dtype, seconds) for side in SIDES}
    side = max(rates, key=lambda one: rates[one])
    rate, copied = copy_rate(threads)
    return Peak(rates[side], rate, threads, side, copied)


def product_rate(side: int, threads: int, dtype: str, seconds: float) -> float:
    """FLOP/s of C = A B with three matrices of side x side: the forward product of a net's second affine, as it runs in training."""
    program = load(Source(f"[affine({side}, bias=false)]x2"), Overrides(input=(side,), outputs=side))
    grouping = group(to_graph(program))
    bench = Benchmark(Network(grouping, Settings(Sgd(), side, dtype=dtype, threads=threads)))
    bench.first_step()
    launches = bench.plan.layout.lowered.launches
    waves = bench.plan.layout.waves
    place = next(place for place, wave in enumerate(waves) if "affine2" in launches[wave.first].layers)
    [(_, taken)] = launch_seconds(bench.plan, side, threads, seconds, [place])
    return 2.0 * side**3 / max(taken, 1e-9)


def copy_rate(threads: int) -> tuple[float, int]:
    """Bytes/s of copying an array that no cache holds, cut among the threads; what is read and what is written both count. With it the
    bytes that were copied: 128 MiB, less where memory is short."""
    count = max(1 << 20, min(COPY_BYTES, available_bytes() // 16)) // (8 * threads) * threads
    source, target = np.ones(count), np.zeros(count)
    pieces = list(zip(np.split(target, threads), np.split(source, threads), strict=True))
    best = float("inf")
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(COPIES):
            began = time.perf_counter()
            for done in [pool.submit(np.copyto, *piece) for piece in pieces]:
                done.result()
            best = min(best, time.perf_counter() - began)
    return 2 * source.nbytes / best, source.nbytes
