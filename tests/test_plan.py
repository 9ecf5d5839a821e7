"""The plan: memory that never overlaps, bits that do not depend on threads, fusion that changes nothing, clear ends."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import tracemalloc
from dataclasses import replace
from itertools import pairwise
from typing import Any

import laws
import numpy as np
import pytest
from random_specs import random_labels, random_spec

import netspec
from netspec.kernels.launch import At, Launch
from netspec.plan import arena, network, plan, store
from netspec.plan.arena import Arena
from netspec.plan.plan import Layout
from netspec.plan.waves import Wave

MLP = "[affine(33)-bn-relu-dropout]x2 -> affine -> softmax"
CONV = "[conv(c)-bn-relu-pool]x(c: 5, 9) -> affine(20)-tanh -> affine -> softmax"
NETS = [
    (MLP, (12,)),
    (CONV, (3, 9, 7)),
    ("affine -> softmax", (5,)),
    ("tanh -> conv(3, kernel=1) -> globalpool -> affine -> svm", (2, 4, 4)),
]
over_nets = pytest.mark.parametrize(("text", "shape"), NETS)


def model_of(text: str, shape: tuple[int, ...], **more: Any) -> netspec.Model:
    if not text.endswith("linear"):
        more.setdefault("classes", 3)
    else:
        more.setdefault("outputs", 3)
    return netspec.compile(text, input=shape, **more)


def rows_of(shape: tuple[int, ...], count: int, seed: int = 0) -> tuple[Any, Any]:
    draw = np.random.default_rng(seed)
    return draw.normal(size=(count, *shape)), draw.integers(0, 3, count)


def layouts(text: str, shape: tuple[int, ...]) -> list[Layout]:
    training = model_of(text, shape).plan
    return [training.train, training.test]


def live_at(layout: Layout, number: int) -> list[tuple[int, int, str]]:
    """(start, end, name) of every buffer that is needed in a wave, worked out anew."""
    found = []
    for buffer, start in layout.arena.offsets.items():
        touching = [n for n, wave in enumerate(layout.waves) if any(buffer in touched(launch) for launch in launches_of(layout, wave))]
        if touching[0] <= number <= touching[-1]:
            found.append((start, start + buffer.bytes, buffer.name))
    return sorted(found)


def launches_of(layout: Layout, wave: Wave) -> tuple[Launch, ...]:
    return layout.lowered.launches[wave.first : wave.last]


def touched(launch: Launch) -> set[Any]:
    return {*launch.reads, *launch.writes, *(word.buffer for word in launch.words if isinstance(word, At))}


@over_nets
def test_places_never_overlap(text: str, shape: tuple[int, ...]) -> None:
    for layout in layouts(text, shape):
        for number in range(len(layout.waves)):
            live = live_at(layout, number)
            for (_, end, name), (start, _, other) in pairwise(live):
                assert end <= start, f"{name} and {other} overlap in wave {number}"
        assert all(offset % 64 == 0 for offset in layout.arena.offsets.values())
        assert all(offset + buffer.bytes <= layout.arena.bytes for buffer, offset in layout.arena.offsets.items())


def test_a_broken_placement_is_caught() -> None:
    found = layouts(MLP, (12,))[0].arena
    one, other = next((a, b) for a in found.lives for b in found.lives if a is not b and a.meets(b))
    moved = Arena({**found.offsets, one.buffer: found.offsets[other.buffer]}, found.lives, found.bytes)
    with pytest.raises(AssertionError, match="overlap"):
        moved.verify()


def test_memory_is_shared() -> None:
    """The arena is smaller than all its buffers together."""
    layout = layouts("[affine(50)-bn-relu]x6 -> affine -> softmax", (12,))[0]
    assert layout.arena.bytes < 0.8 * sum(buffer.bytes for buffer in layout.arena.offsets)


@over_nets
def test_every_buffer_has_a_place_and_is_written_before_it_is_read(text: str, shape: tuple[int, ...]) -> None:
    for layout in layouts(text, shape):
        written: set[Any] = set()
        for launch in layout.lowered.launches:
            for buffer in touched(launch):
                whole = buffer.flat or buffer
                assert whole in layout.arena.offsets if whole.kind == "value" else whole in layout.lowered.named.values()
            for buffer in launch.reads:
                cancelled = buffer.name.startswith("gradients.") and buffer.name.endswith(".b")  # by a bn: zero, and never written
                known = buffer.kind not in ("value", "result") or buffer in written or cancelled
                assert known, f"{launch.label} reads {buffer.name} too early"
            written |= set(launch.writes)


def test_a_read_too_early_would_be_seen() -> None:
    """The lives of a list of launches in the opposite order differ: the control of the two tests above."""
    layout = layouts(MLP, (12,))[0]
    launches = layout.lowered.launches
    forward, backward = arena.lives(launches, layout.waves), arena.lives(launches, layout.waves[::-1])
    assert {life.buffer: (life.first, life.last) for life in forward} != {life.buffer: (life.first, life.last) for life in backward}


@over_nets
def test_memory_by_layer_is_all_that_there_is(text: str, shape: tuple[int, ...]) -> None:
    model = model_of(text, shape)
    layout, summary = model.plan.train, model.summary()
    named = {*(row.name for row in summary.rows), "input", "loss"}
    by_layer = layout.bytes_by_layer()
    assert set(by_layer) <= named
    separate = sum(life.buffer.bytes for life in layout.arena.lives)
    assert sum(forward + backward for forward, backward in by_layer.values()) == separate == summary.buffer_bytes
    assert model.network.plan(layout.batch)._arena.nbytes == summary.shared_bytes <= separate + 64 * len(layout.arena.lives)
    kept = [row for row in summary.rows if row.forward_bytes >= row.memory_bytes > 0]
    assert kept  # what a group leaves behind has a buffer, at least


@over_nets
def test_peak_bytes_are_those_allocated(text: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every aligned array is counted; the table of launches, which is no buffer, apart."""
    allocated, tables = [], []

    def counted(count: int, dtype: Any) -> Any:
        allocated.append(-(-count * np.dtype(dtype).itemsize // 64) * 64)
        return original(count, dtype)

    original = plan.aligned
    monkeypatch.setattr(plan, "aligned", counted)
    monkeypatch.setattr(store, "aligned", counted)
    model = model_of(text, shape)
    for layout in (model.plan.train, model.plan.test):
        tables.append(-(-sum(8 * len(launch.words) for launch in layout.lowered.launches) // 64) * 64)
        allocated += [-(-buffer.bytes // 64) * 64 for buffer in layout.own if buffer.kind == "constants"]
        tables += [-(-buffer.bytes // 64) * 64 for buffer in layout.own if buffer.kind == "constants"]
    parameters = model.network.store
    best = parameters.parameters.flat.nbytes + parameters.state.flat.nbytes
    assert sum(allocated) - sum(tables) + best == model.plan.peak_bytes


def test_training_allocates_no_more_than_it_says() -> None:
    x, y = rows_of((3, 16, 16), 400)
    x = x.astype(np.float32)
    model = model_of(CONV, (3, 16, 16), train="batch = 50; epochs = 1")
    model.fit(x, y, validation=(x[:50], y[:50]))
    tracemalloc.start()
    try:
        model = model_of(CONV, (3, 16, 16), train="batch = 50; epochs = 1")
        model.fit(x, y, validation=(x[:50], y[:50]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    data = 2 * x.nbytes  # channels last, and the converted copy on the way
    assert peak <= 1.1 * model.plan.peak_bytes + data + 4e6


TRAINED = """
import hashlib, os, numpy as np, netspec
draw = np.random.default_rng(0)
hashes = set()
for threads in {threads}:
    model = netspec.compile("{text}", input={shape}, classes=3, train="batch = 190; monitor_rows = 5", threads=threads)
    tasks = [launch.tasks for launch in model.plan.train.lowered.launches]
    assert max(tasks) >= 4, tasks
    assert model.network.threads == threads
    draw = np.random.default_rng(0)
    model.fit(draw.normal(size=(400, *{shape})), draw.integers(0, 3, 400), epochs=2, validation=0.1)
    arrays = [model.params.flat, model.state.flat, *(slot.flat for slot in model.network.store.slots.values())]
    hashes.add(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
print(len(hashes))
"""


def run_script(text: str, threads: int = 4) -> subprocess.CompletedProcess[str]:
    """A script in a process of its own, which has that many threads, whatever the machine has."""
    command = [sys.executable, "-c", f"import os; os.environ['NUMBA_NUM_THREADS'] = '{threads}'\n{textwrap.dedent(text)}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)


PARALLEL = [
    ("[affine(256)-bn-relu-dropout]x2 -> affine -> softmax", (100,)),
    ("[conv(c)-bn-relu-pool]x(c: 16, 8) -> affine -> softmax", (3, 14, 12)),
    ("conv(16)-groupnorm(4)-relu-pool -> affine(256)-layernorm-relu-dropout -> affine -> softmax", (3, 14, 12)),
    ("prelu -> affine(256)-bn-prelu-dropout -> affine(200)-prelu-gelu -> affine -> softmax", (100,)),
    (
        "conv(16)-bn-prelu-dropout2d -> upsample(2x1) -> conv(8)-prelu -> pool(3, stride=2) -> reshape(13x8x5)-prelu -> affine -> softmax",
        (3, 14, 12),
    ),
]


@pytest.mark.parametrize(("text", "shape"), PARALLEL)
def test_the_same_bytes_on_any_number_of_threads(text: str, shape: tuple[int, ...]) -> None:
    done = run_script(TRAINED.format(text=text, shape=shape, threads=(1, 2, 4, 1, 3, 4, 2)))
    assert done.stdout.strip() == "1", done.stderr[-2000:] or done.stdout


FEW = [
    ("affine(300)-bn-relu -> affine(70)-tanh -> affine -> softmax", (1100,)),
    ("conv(40, kernel=5)-relu-pool -> affine(20)-relu -> affine -> softmax", (9, 33, 31)),
    ("conv(33, kernel=3x6, stride=2, pad=0)-bn-relu -> conv(70) -> conv(150, kernel=1) -> globalpool -> affine -> softmax", (14, 37, 35)),
]
PREDICTED = """
import hashlib, numpy as np, netspec
x = np.random.default_rng(0).normal(size=(140, *{shape})).astype(np.float32)
hashes = set()
for threads in (1, 2, 4, 3):
    model = netspec.compile("{text}", input={shape}, classes=3, threads=threads)
    plan = model.network.test_plan(1)
    assert plan.batch == 8 and plan.layout.rows_alone == 0, plan.layout
    assert any(launch.tasks > launch.flops / 1e7 > 0 for launch in plan.layout.lowered.launches)
    scores = [model.network.test_scores(x[:rows])[0] for rows in (1, 3, 8, 9, 33, 140, 1)]
    assert (scores[0] == scores[-1]).all()
    for some in scores:
        np.testing.assert_allclose(some, scores[5][: len(some)], rtol=1e-4, atol=1e-5)
    hashes.add(hashlib.sha256(b"".join(some.tobytes() for some in scores)).hexdigest())
print(len(hashes))
"""


@pytest.mark.parametrize(("text", "shape"), FEW)
def test_few_rows_have_the_same_bytes_on_any_number_of_threads(text: str, shape: tuple[int, ...]) -> None:
    """And the scores of many, up to rounding."""
    done = run_script(PREDICTED.format(text=text, shape=shape))
    assert done.stdout.strip() == "1", done.stderr[-2000:] or done.stdout


def test_little_work_is_done_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads are not asked for where one is done before others have started."""
    asked: list[int] = []
    pool = plan.thread_pool

    def noting(threads: int) -> Any:
        asked.append(threads)
        return pool(threads)

    monkeypatch.setattr(plan, "thread_pool", noting)
    for text, shape, rows, alone in ((MLP, (12,), 1, True), (FEW[0][0], FEW[0][1], 1, False), (FEW[0][0], FEW[0][1], 140, False)):
        model = model_of(text, shape, threads=2)
        model.predict(rows_of(shape, rows)[0])
        assert asked[-1] == (1 if alone else 2), text


def test_a_caller_may_change_rows_between_calls() -> None:
    """Few rows are copied to where the plan reads them, many are read in place: each call sees its own."""
    small, large = model_of(MLP, (12,)), model_of(MLP, (9000,))
    for model, width in ((small, 12), (large, 9000)):
        x = rows_of((width,), 40)[0].astype(np.float32)
        whole = model.predict_proba(x)
        for rows in (slice(0, 1), slice(5, 6), slice(3, 9), slice(0, 40), slice(7, 8)):
            model.evaluate(x[::-1], np.arange(40) % 3)
            np.testing.assert_allclose(model.predict_proba(x[rows]), whole[rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(50))
def test_fused_equals_unfused(seed: int) -> None:
    text, shape = random_spec(seed)
    draw = np.random.default_rng(seed)
    rows = int(draw.choice([2, 7, 19]))
    x, y = draw.normal(size=(rows, *shape)), random_labels(draw, text, rows, 3)
    results = []
    for fuse in (True, False):
        model = model_of(text, shape, dtype="float64", fuse=fuse, seed=seed, train="l2 = 0.01; optimizer = sgd(lr=1e-3)")
        loss, grads = model.loss(x, y)
        train = model.forward(x, train=True)
        dx, more = model.backward(np.random.default_rng(1).normal(size=train.shape))
        steps = [model.step(x, y) for _ in range(2)]
        results.append(
            {"loss": loss, **grads, "train": train, "dx": dx, **{f"{name} again": g for name, g in more.items()}, "test": model.forward(x)}
            | {"steps": steps, "params": model.params.flat.copy(), "state": model.state.flat.copy()}
        )
    for name, array in results[0].items():
        laws.close(array, results[1][name], 1e-6)
    assert np.isfinite(results[0]["loss"])


def test_the_random_specs_are_of_all_kinds() -> None:
    texts = [random_spec(seed)[0] for seed in range(50)]
    for word in (
        "conv",
        "bn-relu",
        "layernorm",
        "groupnorm",
        "dropout",
        "pool",
        "avgpool",
        "globalpool",
        "flatten",
        "bn-prelu",
        "dropout2d",
        "upsample",
        "softmax",
        "svm",
        "sigmoid",
        "linear",
    ):
        assert sum(word in text for text in texts) >= 3, word
    assert len(set(texts)) >= 45


FORKED = """
import os, sys, numpy as np, netspec
model = netspec.compile("affine(3000)-relu -> affine -> softmax", input=(50,), classes=3, threads=2)
x, y = np.zeros((100, 50)), np.zeros(100, int)
model.step(x, y)
child = os.fork()
if child == 0:
    try:
        model.step(x, y)
    except netspec.NetspecError as error:
        print(error, flush=True)
        os._exit(7)
    os._exit(1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
model.step(x, y)
print("parent goes on", code)
"""


def test_a_fork_after_a_parallel_launch_ends_clearly() -> None:
    done = run_script(FORKED, threads=2)
    assert "forked after netspec had started its threads" in done.stdout, done.stderr[-2000:]
    assert "spawn" in done.stdout
    assert "parent goes on 7" in done.stdout


def test_a_nan_stops_before_its_update() -> None:
    model = model_of(MLP, (12,))
    x, y = rows_of((12,), 20)
    model.step(x, y)
    model.params["affine2.W"][0, 0] = np.nan
    before, steps = model.params.flat.copy(), model.step_count
    with pytest.raises(netspec.DivergedError, match="nan"):
        model.step(x, y)
    np.testing.assert_array_equal(model.params.flat, before)
    assert model.step_count == steps


def test_training_that_diverges_stops_within_a_step() -> None:
    model = model_of("affine(9)-relu -> affine -> linear", (12,), train="optimizer = sgd(lr=1e6); batch = 5")
    draw = np.random.default_rng(0)
    with pytest.raises(netspec.DivergedError, match=r"the loss became (nan|inf) at step \d+ \(epoch 1\).*train.lr") as caught:
        model.fit(draw.normal(size=(400, 12)), draw.normal(size=(400, 3)), epochs=3)
    assert caught.value.exit_code == 5
    losses = model.history.loss
    assert len(losses) == model.step_count < 240
    assert np.isfinite(losses).all()
    assert losses[-1] > losses[0]


def test_a_step_takes_the_memory_limit_into_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "available_bytes", lambda: 1_000_000)
    with pytest.raises(netspec.LimitError, match=r"the plan needs .* and the limit is 60%") as caught:
        model_of("affine(200) -> affine -> softmax", (300,))
    assert caught.value.exit_code == 6
    assert caught.value.diagnostics[0].code == "NS807"


def test_flops_are_three_products_a_layer() -> None:
    """Forward, weight gradient and input gradient (none for the first layer) of the products, and little else."""
    model = model_of("affine(64) -> affine -> softmax", (32,), train="batch = 10")
    products = 2 * 10 * 32 * 64 * 2 + 2 * 10 * 64 * 3 * 3
    assert products <= model.plan.flops < 1.1 * products + 20 * model.graph.parameter_count
    assert replace(model.plan, store_bytes=0).flops == model.plan.flops
