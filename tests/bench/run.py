"""The whole benchmark, on a machine that does nothing else: `python tests/bench/run.py --write` (about 20 minutes; extra `bench`).

Parts: `steps`, training steps of the six workloads and of other shapes against PyTorch and JAX; `first`, the first step from a cold shell;
`predict`, one row against onnxruntime; `products`, matrix products against MKL; `growth`, step time and memory against width, depth, batch
and threads. Every measurement is a process of its own; who is compared runs in turn, and medians over the rounds are compared.

    python tests/bench/run.py                                    all, printed
    python tests/bench/run.py --parts steps --only mlp4,mnist --rounds 5 --seconds 2
    python tests/bench/run.py --results figures.json --write     kept, and written into the README with the picture

With `--results` figures are added to those of the file, so that parts can be measured one after another. `--threads` holds all to so many
cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from growth import PICTURE, cores_here, draw, nets
from machine import machine_in_words
from measures import PREDICTORS, first_step, grown, multiply, predict_one
from report import markdown, write
from workloads import ALL, ways

from netspec.base.errors import NetspecError
from netspec.frontend.program import Overrides
from netspec.ui.peers.compare import Task, alone, time_steps

README = Path(__file__).parents[2] / "README.md"
PARTS = ("steps", "first", "predict", "products", "growth")
FIRST, PREDICTED = ("mlp4",), ("mlp4", "conv3")
SIDES = (128, 256, 512, 1024, 2048)
Rounds = dict[str, list[float]]


def heard(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def in_turn(whos: Sequence[str], measure: Callable[[str], float], rounds: int, what: str) -> Rounds:
    """Figures of all rounds by who was measured; one who fails is told and left out."""
    found: Rounds = {}
    failed: set[str] = set()
    for number in range(rounds):
        for who in whos:
            if who in failed:
                continue
            try:
                found.setdefault(who, []).append(measure(who))
            except Exception as error:  # a peer's own: the others are still compared
                if isinstance(error, NetspecError) and who == "netspec":
                    raise
                heard(f"{what}: {who} failed: {error}")
                failed.add(who)
                found.pop(who, None)
        if number == 0:
            heard(what)
    return found


def steps(names: Sequence[str], options: argparse.Namespace) -> dict[str, Rounds]:
    def measure(name: str, who: str) -> float:
        return alone(time_steps, Task(ALL[name].source, Overrides(), who, options.seconds, options.threads)).median

    return {name: in_turn(ways(name), lambda who, name=name: measure(name, who), options.rounds, f"steps {name}") for name in names}


def first(names: Sequence[str], options: argparse.Namespace) -> dict[str, Rounds]:
    first_step("netspec", FIRST[0], options.threads)  # so that kernels are cached
    whos = ("netspec", "torch", "jax")
    return {
        name: in_turn(whos, lambda who, name=name: first_step(who, name, options.threads), options.rounds, f"first {name}")
        for name in FIRST
        if name in names
    }


def predict(names: Sequence[str], options: argparse.Namespace) -> dict[str, Rounds]:
    def measure(name: str, who: str) -> float:
        return alone(predict_one, who, ALL[name], options.seconds / 2, options.threads)

    return {
        name: in_turn(PREDICTORS, lambda who, name=name: measure(name, who), options.rounds, f"predict {name}")
        for name in PREDICTED
        if name in names
    }


def products(_names: Sequence[str], options: argparse.Namespace) -> dict[str, Rounds]:
    def measure(side: int, who: str) -> float:
        return alone(multiply, who, side, options.seconds / 4, options.threads)

    whos = ("netspec", "torch")
    return {
        str(side): in_turn(whos, lambda who, side=side: measure(side, who), options.rounds, f"product {side}") for side in SIDES
    }  # fmt: skip


def growth(_names: Sequence[str], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for axis, points in nets(min(cores_here(), options.threads or cores_here())).items():
        heard(f"growth {axis}")
        found[axis] = {
            str(at): grown(net.text, options.seconds / 2, at if axis == "threads" else options.threads) for at, net in points.items()
        }
    return found


MEASURES = {"steps": steps, "first": first, "predict": predict, "products": products, "growth": growth}


def choices(words: str, allowed: Sequence[str]) -> list[str]:
    """Words between commas, each of those allowed."""
    found = [word.strip() for word in words.split(",")]
    unknown = [word for word in found if word not in allowed]
    if unknown:
        raise argparse.ArgumentTypeError(f"{unknown[0]}: write some of {', '.join(allowed)}")
    return found


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: choices(text, PARTS), default=list(PARTS), metavar="PARTS")
    parser.add_argument("--only", type=lambda text: choices(text, list(ALL)), default=list(ALL), metavar="WORKLOADS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.8, help="of each process that is measured")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--results", type=Path, metavar="JSON", help="figures so far, which new ones are added to")
    parser.add_argument("--write", action="store_true", help="the tables into the README, the picture beside this file")
    return parser.parse_args(words)


def main() -> None:
    options = arguments()
    kept: dict[str, Any] = {}
    if options.results and options.results.exists():
        kept = json.loads(options.results.read_text())
    for part in options.parts:
        kept.setdefault(part, {}).update(MEASURES[part](options.only, options))
        kept["machine"] = machine_in_words(options.threads)
        if options.results:
            options.results.write_text(json.dumps(kept, indent=1))
    text = markdown(kept)
    print(text)
    if options.write:
        write(README, text)
        if kept.get("growth"):
            draw(kept["growth"], PICTURE)


if __name__ == "__main__":
    main()
