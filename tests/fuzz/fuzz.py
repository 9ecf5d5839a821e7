"""Long runs of the targets: `python tests/fuzz/fuzz.py TARGET [SECONDS [CORPUS]]`. See README.md.

With atheris installed mutations follow the coverage of netspec's readers; without it they are blind. An input that raises anything but an
error of netspec's, takes five seconds or two gigabytes ends the run, and lies in the working folder as `crash-*` (atheris), or is named.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import tempfile
import time
from pathlib import Path

FOLLOWED = ["netspec.catalog", "netspec.frontend", "netspec.graph", "netspec.save", "netspec.train"]
COMPILED = ["netspec.catalog.layers", "netspec.catalog.losses", "netspec.catalog.optimizers", "netspec.catalog.clips"]
"""Hold templates that numba compiles, which must not be altered to count what they pass."""
MOST_BYTES = 8192


def with_atheris(name: str, seconds: int, corpus: Path) -> None:
    import atheris  # noqa: PLC0415  only where it is installed

    with atheris.instrument_imports(include=FOLLOWED, exclude=COMPILED):
        import targets  # noqa: PLC0415  imported to be counted

    for number, seed in enumerate(targets.TARGETS[name][1]):
        (corpus / f"seed-{number}").write_bytes(seed)

    def once(data: bytes) -> None:
        targets.refuses_or_takes(name, data)

    limits = [
        "-timeout=5",
        "-rss_limit_mb=2048",
        f"-max_len={MOST_BYTES}",
        f"-max_total_time={seconds}",
        "-len_control=10",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], str(corpus), *limits], once)
    atheris.Fuzz()


def blind(name: str, seconds: int) -> None:
    """Pieces put in, left out, doubled, exchanged between seeds; bytes and numbers altered."""
    import targets  # noqa: PLC0415  above it is imported otherwise

    draw, seeds, count, end = random.Random(time.time_ns()), targets.TARGETS[name][1], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 6)):
            at, length = draw.randrange(len(data) + 1), draw.choice((0, 1, 1, 2, 4, 8, 40))
            piece = draw.choice((draw.randbytes(length), data[at : at + length] * 2, draw.choice(seeds)[at : at + 20], b"", b"9" * length))
            data[at : at + length] = piece
        began = time.process_time()
        try:
            targets.refuses_or_takes(name, bytes(data))
            assert time.process_time() - began < 5, "it took five seconds"
        except BaseException:
            Path("crash-blind").write_bytes(data)
            raise
        count += 1
    print(f"{name}: {count} executions in {seconds} s, nothing found")


def main() -> None:
    name, seconds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 600
    corpus = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(tempfile.mkdtemp(prefix=f"netspec-{name}-"))
    corpus.mkdir(exist_ok=True)
    if importlib.util.find_spec("atheris") is not None:
        with_atheris(name, seconds, corpus)
    else:
        blind(name, seconds)


if __name__ == "__main__":
    main()
