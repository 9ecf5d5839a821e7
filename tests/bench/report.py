"""Results as the tables of the README. Results are a dict that JSON can hold: part -> row -> who -> seconds (or rates) of the rounds."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from workloads import ALL, SHAPES, SIX

START, END = "<!-- bench:start -->", "<!-- bench:end -->"
TORCH = ("torch", "torch, fused", "torch, channels last")
UNITS = {"width": "units a layer", "depth": "layers", "batch": "rows a batch", "threads": "threads"}


def markdown(results: Mapping[str, Any]) -> str:
    """Everything that stands between the markers: the machine, then a table for each part that was measured."""
    made = [f"Taken on {results['machine']}"] if "machine" in results else []
    made += _steps(results.get("steps", {}))
    made += _first(results.get("first", {}))
    made += _predict(results.get("predict", {}))
    made += _products(results.get("products", {}))
    made += _growth(results.get("growth", {}))
    return "\n\n".join(made)


def write(path: Path, text: str) -> None:
    """Puts the text between the markers of a file. Raises ValueError where they are missing."""
    whole = path.read_text()
    before, start, rest = whole.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{path}: the markers {START} and {END} are missing")
    path.write_text(f"{before}{START}\n{text}\n{END}{after}")


def middle(rounds: Sequence[float]) -> float:
    return float(statistics.median(rounds))


def ms(seconds: float) -> str:
    """Milliseconds with three digits that count."""
    taken = seconds * 1e3
    return f"{taken:,.0f}" if taken >= 100 else f"{taken:.{1 if taken >= 10 else 2 if taken >= 1 else 3}f}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are texts, the others numbers."""
    rule = ["---"] * left + ["--:"] * (len(columns) - left)
    return "\n".join("| " + " | ".join(row) + " |" for row in (columns, rule, *rows))


def _steps(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    found = []
    for part, title in ((SIX, "A training step in ms"), (SHAPES, "Other shapes")):
        rows = [_step_row(name, measured[name]) for name in part if name in measured]
        if rows:
            said = (
                f"{title}: batch drawn and gathered from 2,000 rows, forward, loss, backward, update, loss read back. Processes in turn,\n"
                "medians of their medians; PyTorch is the best of eager, with the fused optimizer, and channels last. Times: by how much\n"
                "netspec is faster than the best of the others."
                if part is SIX
                else f"{title}, measured in the same way:"
            )
            found += [said, table(("workload", "net, batch, optimizer", "netspec", "PyTorch", "JAX", "times"), rows, left=2)]
    return found


def _step_row(name: str, measured: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    own = middle(measured["netspec"]) if "netspec" in measured else None
    torch = min((middle(measured[who]) for who in TORCH if who in measured), default=None)
    jax = middle(measured["jax"]) if "jax" in measured else None
    others = [one for one in (torch, jax) if one is not None]
    times = f"{min(others) / own:.1f}" if own and others else ""
    return (name, str(ALL[name]), *(ms(one) if one is not None else "" for one in (own, torch, jax)), times)


def _first(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    if not measured:
        return []
    whos = ("netspec", "torch", "jax")
    rows = [(name, *(f"{middle(found[who]):.2f}" if who in found else "" for who in whos)) for name, found in measured.items()]
    said = "The first training step from a cold shell in s, imports included, netspec's kernels cached:"
    return [said, table(("workload", "netspec", "PyTorch", "JAX"), rows)]


def _predict(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    if not measured:
        return []
    rows = []
    for name, found in measured.items():
        own, theirs = middle(found["netspec"]), min(middle(rounds) for who, rounds in found.items() if who != "netspec")
        rows.append((name, f"{own * 1e6:.0f}", f"{theirs * 1e6:.0f}", f"{theirs / own:.1f}"))
    said = "Prediction of one row from Python in microseconds, the same weights; onnxruntime with all threads or one, whichever is faster:"
    return [said, table(("workload", "netspec", "onnxruntime", "times"), rows)]


def _products(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    if not measured:
        return []
    rows = []
    for side, found in sorted(measured.items(), key=lambda one: int(one[0])):
        own, theirs = middle(found["netspec"]) / 1e9, middle(found["torch"]) / 1e9
        rows.append((f"{side} x {side}", f"{own:,.0f}", f"{theirs:,.0f}", f"{own / theirs:.2f}"))
    said = "Products of square float32 matrices in GFLOP/s, netspec's kernel beside MKL's through `torch.mm`:"
    return [said, table(("side", "netspec", "MKL", "times"), rows)]


def _growth(measured: Mapping[str, Mapping[str, Mapping[str, float]]]) -> list[str]:
    found = []
    for axis, points in measured.items():
        rows = [
            (
                f"{int(at):,}", ms(point["seconds"]), f"{point['flops'] / point['seconds'] / 1e9:,.1f}",
                f"{point['peak_bytes'] / 1e6:,.1f}", f"{point['resident_bytes'] / 1e6:,.1f}",
            )
            for at, point in sorted(points.items(), key=lambda one: int(one[0]))
        ]  # fmt: skip
        found.append(table((UNITS[axis], "step, ms", "GFLOP/s", "planned, MB", "resident, MB"), rows, left=0))
    if not found:
        return []
    said = (
        "How a step and its memory grow with the width, the depth, the batch and the threads. Planned memory is what `compile` prints\n"
        "before anything is allocated; resident is what the process takes more than before the net was built, without the rows."
    )
    return [said, "![Step time and memory against width, depth, batch and threads](tests/bench/growth.svg)", *found]
