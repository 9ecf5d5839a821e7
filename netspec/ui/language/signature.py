"""The arguments of the call around a cursor."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.base.text import Source
from netspec.frontend.tokens import tokenize_unfinished
from netspec.frontend.words import describe_field
from netspec.ui.language.context import Frame, frames_of, key_of, split_arguments, visible_at
from netspec.ui.language.lookup import called, default_of
from netspec.ui.language.unfinished import begins_entry


@dataclass(frozen=True)
class Signature:
    """`conv(filters = 32, kernel = 3, ...)`: the label, each argument with its words and what it is, and which is being written."""

    label: str
    arguments: tuple[tuple[str, str], ...]
    active: int | None


def signature_at(source: Source, offset: int) -> Signature | None:
    """The call around an offset; None outside calls."""
    tokens = tokenize_unfinished(Source(source.text[:offset], source.path)).tokens
    start = next((at for at in range(len(tokens) - 1, -1, -1) if begins_entry(tokens, at)), 0)
    here = tokens[start:]
    frames = frames_of(here)
    if not frames or frames[-1].opened != "call":
        return None
    frame: Frame = frames[-1]
    given = split_arguments(here[frame.first :])
    key = key_of(given[-1])
    in_section = any(one.opened == "section" for one in frames)
    arguments = _arguments(source, offset, frame.owner, in_section)
    if not arguments:
        return None
    names = [words.split(" ")[0] for words, _ in arguments]
    active = names.index(key) if key in names else 0 if len(given) == 1 else None
    return Signature(f"{frame.owner}({', '.join(words for words, _ in arguments)})", arguments, active)


def _arguments(source: Source, offset: int, owner: str, in_section: bool) -> tuple[tuple[str, str], ...]:
    definition = visible_at(source, offset).defs.get(owner)
    if definition is not None:
        return tuple((name, "") for name in definition)
    entry = called(owner, in_section)
    if entry is None:
        return ()
    found = []
    for name, info in entry.model_fields.items():
        default = default_of(info)
        text = f"{info.description} ({describe_field(info)})" if info.description else describe_field(info)
        found.append((name if default is None else f"{name} = {default}", text))
    return tuple(found)
