"""What is measured beside steps: the first step from a cold shell, prediction of one row, matrix products, growth.

Each function that is named in `alone(...)` runs in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx_net import onnx_bytes
from workloads import ALL, Workload

import netspec
from netspec.base.extras import library
from netspec.base.text import Source
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.groups.groups import group
from netspec.kernels import store
from netspec.model import settings_of
from netspec.plan.network import Network
from netspec.train.bench import Benchmark
from netspec.train.peak import product_rate
from netspec.ui.peers.compare import alone, use_threads

FOLDER = Path(__file__).parent
PREDICTORS = ("netspec", "onnxruntime", "onnxruntime, 1 thread")


def first_step(who: str, name: str, threads: int | None) -> float:
    """Seconds from starting Python to the loss of the first step: imports, building the net, and for netspec its kernels from the cache.

    For the others the time to build the net from netspec's graph does not count, nor does loading netspec.
    """
    began = time.monotonic()  # the same clock in every process
    words = [sys.executable, str(FOLDER / "first_step.py"), who, ALL[name].text, str(threads or 0)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    answer = json.loads(done.stdout)
    return float(answer["done"] - began - answer["excluded"])


def repeated(call: Callable[[], Any], seconds: float, least: int = 20) -> float:
    """Median seconds of a call, after a warm-up."""
    for _ in range(5):
        call()
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < least:
        began = time.perf_counter()
        call()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken))


def predict_one(who: str, workload: Workload, seconds: float, threads: int | None) -> float:
    """Median seconds of predicting one row from Python: netspec's `predict`, or the scores of onnxruntime, with the same weights."""
    use_threads(threads)
    model = netspec.compile(workload.text)
    x = np.random.default_rng(0).standard_normal((1, *model.graph.input.shape), np.float32)
    if who == "netspec":
        return repeated(lambda: model.predict(x), seconds)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1 if "1 thread" in who else threads or len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(onnx_bytes(model), options, providers=["CPUExecutionProvider"])
    return repeated(lambda: session.run(["scores"], {"x": x}), seconds)


def multiply(who: str, side: int, seconds: float, threads: int | None) -> float:
    """FLOP/s of a product of float32 matrices: netspec's launch, or torch.mm; of both without what an empty call takes."""
    use_threads(threads)
    count = threads or len(os.sched_getaffinity(0))
    if who == "netspec":
        return product_rate(side, count, "float32", seconds)
    torch = library("torch", "bench")
    torch.set_num_threads(count)
    a, b, c = (torch.randn(side, side) for _ in range(3))
    p, q, r = (torch.randn(1, 1) for _ in range(3))
    taken = repeated(lambda: torch.mm(a, b, out=c), seconds) - repeated(lambda: torch.mm(p, q, out=r), 0.05)
    return 2.0 * side**3 / max(taken, 1e-9)


def grown(text: str, seconds: float, threads: int | None) -> dict[str, float]:
    """Step time, planned memory, resident memory beyond that of the libraries and of the rows, and FLOPs of a step."""
    found = alone(_grown, text, seconds, threads)
    if found["compiled"]:  # the compiler's memory was counted
        found = alone(_grown, text, seconds, threads)
    return found


def _grown(text: str, seconds: float, threads: int | None) -> dict[str, float]:
    use_threads(threads)
    program = load(Source(text))
    before, compiled = _resident("VmRSS"), store.compiled_count
    network = Network(group(to_graph(program), True), settings_of(program, threads=threads))
    bench = Benchmark(network)
    times = bench.steps(seconds)
    resident = _resident("VmHWM") - before - bench.rows_bytes
    return {
        "seconds": times.median, "peak_bytes": network.training.peak_bytes, "resident_bytes": resident, "flops": bench.flops,
        "compiled": store.compiled_count - compiled,
    }  # fmt: skip


def _resident(key: str) -> int:
    """Bytes of this process in memory: now (VmRSS), or at most so far (VmHWM)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    return 0
