"""One training step from a cold shell: `python first_step.py WHO TEXT THREADS`. Prints when it was done, and what does not count.

PyTorch and JAX are built from netspec's graph, which their own users would not load: that part does not count for them.
"""

import json
import sys
import time

import numpy as np

assert np.__name__ == "numpy"  # loaded before the clock below starts: all three need it
loading = time.perf_counter()
from netspec.base.text import Source  # noqa: E402
from netspec.frontend.validate import load  # noqa: E402
from netspec.graph.check import to_graph  # noqa: E402

if __name__ == "__main__":
    who, text, threads = sys.argv[1], sys.argv[2], int(sys.argv[3]) or None
    program = load(Source(text))
    graph = to_graph(program)
    if who == "netspec":
        from netspec.groups.groups import group
        from netspec.model import settings_of
        from netspec.plan.network import Network
        from netspec.train.bench import Benchmark

        Benchmark(Network(group(graph, True), settings_of(program, threads=threads))).first_step()
        excluded = 0.0
    else:
        from netspec.ui.peers.compare import step_of, use_threads

        use_threads(threads)
        excluded = time.perf_counter() - loading
        step_of(who, graph, program.train)()
    print(json.dumps({"done": time.monotonic(), "excluded": excluded}))
