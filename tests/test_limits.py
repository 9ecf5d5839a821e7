"""Every limit refuses a bomb of its own within 100 ms of process time and 50 MB, in a process that does nothing else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import bombs
import pytest

MOST_SECONDS, MOST_BYTES = 0.1, 50e6


def measured(group: str) -> dict[str, dict[str, object]]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(Path(bombs.__file__)), group]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return {one.pop("name"): one for one in map(json.loads, done.stdout.splitlines())}


def faults(found: dict[str, object], wanted: str) -> list[str]:
    """What of a bomb is not as it must be."""
    told, seconds, grown = str(found["told"]), float(str(found["seconds"])), float(str(found["bytes"]))
    return [
        *([f"said {told[:200]}"] if told.startswith(("!", "nothing")) or not re.search(wanted, told) else []),
        *([f"took {seconds * 1e3:.0f} ms"] if seconds > MOST_SECONDS else []),
        *([f"took {grown / 1e6:.0f} MB"] if grown > MOST_BYTES else []),
    ]


@pytest.mark.parametrize("group", bombs.GROUPS)
def test_a_bomb_is_refused_at_once_and_costs_nothing(group: str) -> None:
    found = measured(group)
    assert found.keys() == bombs.GROUPS[group].keys()
    wrong = {name: faults(one, bombs.GROUPS[group][name][1]) for name, one in found.items()}
    assert not {name: told for name, told in wrong.items() if told}


def test_a_bomb_that_costs_something_is_told() -> None:
    """The negative control of the measurement."""
    found = measured("controls")
    wrong = [" and ".join(faults(one, bombs.CONTROLS[name][1])) for name, one in found.items()]
    assert [told.split(" ")[0] for told in wrong] == ["took", "took", "said", "said"], wrong
    assert wrong[0].endswith("MB")
    assert wrong[1].endswith("ms")


def test_every_limit_of_the_language_has_its_bomb() -> None:
    pages = {page.stem for page in (Path(bombs.netspec.__file__).parent / "frontend" / "explain").glob("NS8*.md")}
    assert pages == {code for group in bombs.GROUPS.values() for _, code in group.values()} & pages
