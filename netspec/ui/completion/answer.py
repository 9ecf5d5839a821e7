"""What a shell is answered: typer knows what can come next; it is written a candidate a line, what it is behind a tab."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from typer._completion_classes import FishComplete  # of the three the one that takes a line as far as it is typed

VERBS = ("launch", "train")
"""A verb whose words are those of another one, options included."""


def print_answer(group: Any, variable: str) -> None:
    """A shell that has gone on typing reads no more."""
    with suppress(BrokenPipeError):
        print(answer(group, variable), flush=True)


def answer(group: Any, variable: str) -> str:
    """For the line in the environment, of which `variable` tells that it is there. Explanations stay as they are: typer has rich read each
    as markdown, which takes longer than all else."""
    asked = FishComplete(group, {}, "netspec", variable)
    words, incomplete = asked.get_completion_args()
    return "\n".join(_line(one) for one in asked.get_completions(_as_one_verb(words), incomplete))


def _line(candidate: Any) -> str:
    explained = " ".join((candidate.help or "").split())
    return f"{candidate.value}\t{explained}" if explained else str(candidate.value)


def _as_one_verb(words: Sequence[str]) -> list[str]:
    """`launch -n 2 train FILE` as `train FILE`."""
    outer, inner = VERBS
    return list(words[words.index(inner) :]) if words[:1] == [outer] and inner in words else list(words)
