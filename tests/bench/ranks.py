"""What training on several machines would gain: step and all-reduce times that are measured here, put into a model of the rest.

python tests/bench/ranks.py                  writes ranks.md
mpiexec -n 2 python tests/bench/ranks.py --part collective | shared NAME     what it starts itself
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import ceil, log2
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine_in_words
from numpy.typing import NDArray
from report import ms, table
from workloads import SIX, Workload

from netspec.frontend.program import Overrides
from netspec.frontend.validate import load
from netspec.graph.check import to_graph
from netspec.graph.counts import Counts
from netspec.groups.groups import group
from netspec.kernels.context import Share
from netspec.plan.network import Network, Settings, train_rows
from netspec.plan.shared import Collective, SharedSteps
from netspec.train.settings import schedule_of, settings_of
from netspec.train.team import Team, team_of_world
from netspec.ui.verbs.launch import mpiexec

PAGE = Path(__file__).with_name("ranks.md")
RESNET = (
    "conv(16)-bn-relu -> [res[conv(16)-bn-relu-conv(16)-bn]-relu]x3 -> [res[conv(c, stride=2)-bn-relu-conv(c)-bn](proj)-relu -> "
    "[res[conv(c)-bn-relu-conv(c)-bn]-relu]x2]x(c: 32, 64) -> globalpool -> affine(10) -> softmax"
)
NETS = {**{name: SIX[name] for name in ("mlp4", "conv3", "wide", "vgg")}, "resnet20": Workload(RESNET, "3x32x32", 128, "sgd(lr=0.1)")}
RANKS = (1, 2, 4, 8, 16, 32, 64)
SIZES = (1, 16, 256, 4096, 1 << 16, 1 << 18, 1 << 20, 1 << 22)
NETWORKS = {"10 Gbit/s Ethernet": (30e-6, 1.1e9), "100 Gbit/s, RDMA": (3e-6, 11e9)}
"""Seconds of a message and bytes a second between two machines, assumed: what such networks usually give."""
ROWS = 2000


class Nobody:
    """The other ranks, where only the time of this one's part counts."""

    def add(self, values: NDArray[Any]) -> None: ...

    def gather(self, parts: NDArray[Any]) -> None: ...


def network_of(workload: Workload, share: Share, threads: int | None) -> tuple[Network, Any]:
    program = load(workload.source, Overrides())
    counts = Counts(tuple(int(side) for side in workload.input.split("x")), 10, None)
    settings: Settings = settings_of(program, threads=threads)
    return Network(group(to_graph(program, counts), True), replace(settings, share=share)), program


def step_seconds(workload: Workload, share: Share, collective: Collective, seconds: float, threads: int | None) -> float:
    """The median of a step's time, of a rank that has its share of each batch."""
    network, program = network_of(workload, share, threads)
    plan = network.plan(train_rows(network.graph, network.settings))
    draw = np.random.default_rng(0)
    x = draw.normal(size=(ROWS, *network.graph.input.shape)).astype(network.dtype)
    order, y = np.arange(ROWS), network.labels_to_layout(draw.integers(0, 10, ROWS))
    plan.bind(x=x, y=y, order=order)
    network.store.update_state(True)
    steps, count = SharedSteps(plan, share, collective), ROWS // workload.batch
    starts, counts = np.arange(count) * workload.batch, np.full(count, workload.batch)
    scalars = schedule_of(program, 1).scalars(1, count, 1, count, [])
    pieces: list[float] = []

    def piece() -> None:
        began = time.perf_counter()
        steps.train(1, order, np.arange(ROWS), starts, counts, scalars, np.zeros((count, 2)), list)
        pieces.append((time.perf_counter() - began) / count)

    _repeat(piece, seconds, collective)
    return float(np.median(pieces[1:]))


def _repeat(call: Callable[[], None], seconds: float, collective: Collective) -> None:
    """As often as fits into the time, and at least six times; of several ranks all stop when one would."""
    end, done, more = time.perf_counter() + seconds, 0, np.ones(1)
    while more[0] or done < 6:
        call()
        done += 1
        more[0] = time.perf_counter() < end
        if isinstance(collective, Team):
            collective.take_from_first(more)


def collective_seconds(team: Team, rounds: int = 60) -> dict[int, float]:
    """Medians of the all-reduce of so many float32."""
    found = {}
    for size in SIZES:
        values, taken = np.zeros(size, np.float32), []
        for _ in range(rounds):
            team.add(np.zeros(1))
            began = time.perf_counter()
            team.add(values)
            taken.append(time.perf_counter() - began)
        found[size] = float(np.median(taken))
    return found


def fitted(measured: Mapping[int, float]) -> tuple[float, float]:
    """(seconds of a message, bytes a second) of an all-reduce between two: 2 messages, and all bytes once."""
    sizes = sorted(measured)
    latency = measured[sizes[0]] / 2
    largest = [size for size in sizes if size >= 1 << 16]
    return latency, float(np.median([4 * size / max(1e-9, measured[size] - 2 * latency) for size in largest]))


def exchange_seconds(ranks: int, parameters: int, exchanges: int, link: tuple[float, float]) -> float:
    """Of a step: the all-reduce of the gradient as a reduce-scatter and an all-gather (Thakur, Rabenseifner and Gropp, Optimization of
    collective communication operations in MPICH, 2005), and a gather for each time that bn exchanges statistics."""
    if ranks == 1:
        return 0.0
    latency, rate = link
    rounds = ceil(log2(ranks))
    return (2 + exchanges) * rounds * latency + 2 * (ranks - 1) / ranks * 4 * parameters / rate


def started(ranks: int, *words: str) -> Any:
    """What this script says as so many ranks."""
    command = [mpiexec(), "-n", str(ranks), sys.executable, str(Path(__file__)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the page is made of."""
    found: dict[str, Any] = {"links": {}, "steps": {}, "facts": {}, "shared": {}, "alone": {}}
    for ranks in (2, 4):
        found["links"][ranks] = fitted({int(size): value for size, value in started(ranks, "--part", "collective").items()})
    for name in options.only:
        workload, seconds = NETS[name], options.seconds
        found["steps"][name] = {}
        for ranks in RANKS:
            share = Share(0, ranks, True)
            found["steps"][name][ranks] = step_seconds(workload, share, Nobody(), seconds, options.threads)
            print(f"{name}: {ranks} ranks, {ms(found['steps'][name][ranks])} ms", file=sys.stderr)
        network, _ = network_of(workload, Share(0, 2, True), options.threads)
        exchanges = sum(launch.exchanged is not None for launch in network.training.train.lowered.launches)
        found["facts"][name] = network.graph.parameter_count, exchanges
        one = {ranks: step_seconds(workload, Share(0, ranks, True), Nobody(), seconds, 1) for ranks in (1, 2, 4)}
        found["alone"][name] = one
        found["shared"][name] = {ranks: started(ranks, "--part", "shared", "--only", name) for ranks in (2, 4)}
    return found


HEAD = """\
# How far a step can be shared

Where the batch stays the same, more machines pay as far as this, with this machine as each of them:

{short}

Below are the measurements, the model, and how far it can be trusted. A net gains where it computes much for each parameter: convolutions
do, affine layers hardly do. To judge your own, compare a step on one machine (`netspec bench FILE`) with 8 bytes a parameter over the
bandwidth of the network, for a million parameters and 10 Gbit/s Ethernet 7.3 ms: where the step takes less, one machine is faster, and the
longer it takes, the more machines pay.

## The model

Data-parallel training: each of R processes computes its part of the batch, the gradients are added up by one all-reduce, all make the same
update. So a step takes what the part takes, t, which is measured here with one process that computes it, and then what the exchange takes,
which is modelled by its messages and its bytes:

    T(R) = t(rows / R) + (2 + E) ceil(log2 R) latency + 2 (R - 1) / R * 4 bytes * parameters / bandwidth

E counts the exchanges of bn, two a layer, where it takes the statistics of the whole batch (`--local-bn` leaves them out). Machines that
are not alike, a network that others use too, and the end of an epoch, with its figures and its save, are not in the model: a step waits for
the slowest.
Taken on {machine} `python tests/bench/ranks.py` repeats it.

## The model against real ranks

Ranks of one thread each on this one machine, whose link is measured too: {links}.
The model is rough: the last column says by how much. Ranks of one machine share its memory and its caches, of which the model knows
nothing, so that large nets take longer than it says; machines of their own share neither.

{check}

## More machines

Each of the R machines is this one, with {threads} threads, joined by a network whose latency and bandwidth are assumed. "ms" is a
step on one machine; a cell says how many times as fast it is on so many, the batch being the same: below 1 it is slower. Bold is the most.
It stops paying where each further machine adds less than a tenth of one.
"""
LARGER = """\
## Larger batches

With the batch of the tables above for each machine, so that R machines take R times the rows in a step: the share of its time in which a
machine computes. R machines get through R times that share as many rows a second as one: eight at 75% are six times as fast. This is the
way to use many machines, as far as the learning itself bears larger batches: an epoch has R times fewer updates, which mostly asks for a
higher learning rate.
"""


def page(found: Mapping[str, Any], threads: int | None) -> str:
    """The page, in Markdown."""
    links = "; ".join(f"{ranks} ranks {in_words(link)}" for ranks, link in found["links"].items())
    machine = machine_in_words(threads)
    short = "\n".join(f"- {name}: {_in_short(found, link)}" for name, link in NETWORKS.items())
    parts = [HEAD.format(machine=machine, links=links, check=_check(found), threads=threads or "all its", short=short)]
    parts += [f"### {name}: {in_words(link)}\n\n{_same(found, link)}\n" for name, link in NETWORKS.items()]
    parts.append(LARGER)
    parts += [f"{name}:\n\n{_larger(found, link)}\n" for name, link in NETWORKS.items()]
    return "\n".join(parts)


def in_words(link: tuple[float, float]) -> str:
    return f"{link[0] * 1e6:.2g} us a message, {link[1] / 1e9:.2g} GB/s"


def _check(found: Mapping[str, Any]) -> str:
    rows = []
    for name, shared in found["shared"].items():
        for ranks, seconds in shared.items():
            part, alone = found["alone"][name][ranks], found["alone"][name][1]
            model = part + exchange_seconds(ranks, *found["facts"][name], found["links"][ranks])
            rows.append((name, str(ranks), ms(alone), ms(model), ms(seconds), f"{alone / seconds:.2f}", f"{seconds / model:.2f}"))
    return table(("net", "ranks", "one rank, ms", "model, ms", "measured, ms", "times as fast", "measured / model"), rows)


def gains_of(found: Mapping[str, Any], name: str, link: tuple[float, float]) -> dict[int, float]:
    """How many times as fast a step of the same batch is, by the number of machines."""
    steps = found["steps"][name]
    return {ranks: steps[1] / (steps[ranks] + exchange_seconds(ranks, *found["facts"][name], link)) for ranks in RANKS}


def _in_short(found: Mapping[str, Any], link: tuple[float, float]) -> str:
    """The nets by how many machines pay."""
    names: dict[int, list[str]] = {}
    for name in found["steps"]:
        names.setdefault(pays_to(gains_of(found, name, link)), []).append(name)
    several = [f"{', '.join(names[most])} up to {most}" for most in sorted(names) if most > 1]
    parts = [", ".join(several).replace(several[0], f"{several[0]} machines", 1)] if several else []
    return "; ".join([*parts, *([f"{', '.join(names[1])} fastest on one"] if 1 in names else [])])


def _same(found: Mapping[str, Any], link: tuple[float, float]) -> str:
    rows = []
    for name, steps in found["steps"].items():
        gains = gains_of(found, name, link)
        cells = [f"**{gain:.2f}**" if gain == max(gains.values()) else f"{gain:.2f}" for gain in gains.values()]
        most = pays_to(gains)
        pays = "1 machine" if most == 1 else f"{most} machines"
        rows.append((name, f"{found['facts'][name][0]:,}", f"{NETS[name].batch}", ms(steps[1]), *cells[1:], pays))
    return table(("net", "parameters", "batch", "ms", *(f"x{ranks}" for ranks in RANKS[1:]), "pays up to"), rows)


def _larger(found: Mapping[str, Any], link: tuple[float, float]) -> str:
    rows = []
    for name, steps in found["steps"].items():
        exchanged = [exchange_seconds(ranks, *found["facts"][name], link) for ranks in RANKS[1:]]
        rows.append((name, *(f"{steps[1] / (steps[1] + seconds):.0%}" for seconds in exchanged)))
    return table(("net", *(f"x{ranks}" for ranks in RANKS[1:])), rows)


def pays_to(gains: Mapping[int, float]) -> int:
    """The last number of machines of which each adds a tenth of its own speed to those before."""
    last, before = 1, 1
    for ranks in RANKS[1:]:
        if gains[ranks] - gains[before] < 0.1 * (ranks - before):
            break
        last = before = ranks
    return last


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=("collective", "shared"))
    parser.add_argument("--only", nargs="+", choices=NETS, default=list(NETS))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args(words)
    if options.part is None:
        options.output.write_text(page(measured(options), options.threads))
        return
    team = team_of_world()
    assert team is not None, "started by mpiexec"
    collective = options.part == "collective"
    told = collective_seconds(team) if collective else step_seconds(NETS[options.only[0]], team.share, team, options.seconds, 1)
    if team.leads:
        print(json.dumps(told))


if __name__ == "__main__":
    main()
