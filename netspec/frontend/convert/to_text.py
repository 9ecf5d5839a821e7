"""Pieces to a .net text: the syntax tree of a file, printed as `netspec fmt` prints it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from netspec.base.kinds import Contraction, Head, Window
from netspec.base.layer import Layer
from netspec.frontend import syntax
from netspec.frontend.convert.ends import End
from netspec.frontend.convert.paths import Piece, Pieces, layers_in
from netspec.frontend.convert.repeats import fold
from netspec.frontend.format import format_file
from netspec.frontend.migrations import newest
from netspec.frontend.syntax import Trivia, Word
from netspec.frontend.words import written

WIDEST = 300
ALWAYS = {"affine": "width", "conv": "filters", "dropout": "p", "dropout2d": "p", "groupnorm": "groups"}
"""Arguments that are written out though they may be the default."""
SHARED = ("bn", "layernorm", "groupnorm")
"""Layers whose arguments go into `defaults` where all copies have the same."""
Shared = Mapping[str, Mapping[str, Any]]


def to_file(end: End, input: str | None, comments: Sequence[str], l2: float) -> str:  # noqa: A002  the word of the language
    """The whole text, with comments above it."""
    shared = _shared(layers_in(end.pieces))
    entries: list[syntax.Entry] = [syntax.Version(_raw(str(newest())), trivia=Trivia(leading=tuple(map(comment, comments))))]
    counts = (("input", input), ("classes", end.classes), ("outputs", end.outputs))
    entries += [syntax.Setting(Word(word), _raw(str(value))) for word, value in counts if value is not None]
    if shared:
        keys = {f"{name}.{key}": value for name, values in shared.items() for key, value in values.items()}
        entries.append(_section("defaults", {key: written(value) for key, value in keys.items()}))
    entries.append(_net(end.pieces, shared))
    if l2:
        entries.append(_section("train", {"l2": written(l2)}))
    entries[1] = replace(entries[1], trivia=replace(entries[1].trivia, leading=("", *entries[1].trivia.leading)))
    return format_file(syntax.File(tuple(entries)))


def comment(text: str) -> str:
    """A line of comment: one line, of no control characters, and not too long."""
    plain = re.sub(r"[^\x20-\x7e\u00a0-\uffff]", "?", " ".join(text.split()))
    return f"# {plain if len(plain) <= WIDEST else plain[: WIDEST - 3] + '...'}"


def _raw(text: str) -> syntax.Literal:
    return syntax.Literal("number", text)


def _section(word: str, keys: Mapping[str, str]) -> syntax.Section:
    pairs = tuple(syntax.Pair(tuple(key.split(".")), key_span=syntax.NOWHERE, value=_raw(text)) for key, text in keys.items())
    return syntax.Section(Word(word), pairs)


def _shared(layers: Sequence[Layer]) -> dict[str, dict[str, Any]]:
    """Arguments beside the defaults that every one of several layers of a name has."""
    found: dict[str, dict[str, Any]] = {}
    for name in SHARED:
        own = [layer for layer in layers if layer.name == name]
        if len(own) < 2:
            continue
        for key, value in _given(own[0]).items():
            if key != ALWAYS.get(name) and all(_given(other).get(key) == value for other in own):
                found.setdefault(name, {})[key] = value
    return found


def _given(layer: Layer) -> dict[str, Any]:
    """The arguments that are not the defaults, and those that are always written."""
    fields = type(layer).model_fields
    values = {name: getattr(layer, name) for name in fields}
    always = ALWAYS.get(layer.name)
    return {name: value for name, value in values.items() if name == always or value != fields[name].get_default(call_default_factory=True)}


def _call(piece: Piece, shared: Shared) -> syntax.Layer:
    layer = piece.layer
    assert layer is not None
    own = shared.get(layer.name, {})
    given = {key: value for key, value in _given(layer).items() if key not in own}
    if piece.counted:
        given.pop("width", None)
    first = None if layer.name == "bn" else layer.positional()
    arguments = [syntax.Argument(None if key == first else Word(key), _raw(_value(key, value))) for key, value in given.items()]
    return syntax.Layer(Word(layer.name), tuple(arguments) if arguments else None)


def _value(key: str, value: Any) -> str:
    percent = f"{100 * value:g}%" if key == "p" else ""
    return percent if re.fullmatch(r"[0-9]{1,2}%", percent) else written(value)


def _net(pieces: Pieces, shared: Shared) -> syntax.Net:
    runs = _runs(pieces, shared)
    leading: tuple[str, ...] = ()
    if runs and runs[0].trivia.leading:
        leading = runs[0].trivia.leading
        runs = (replace(runs[0], trivia=replace(runs[0].trivia, leading=())), *runs[1:])
    return syntax.Net(syntax.Chain(fold(runs)), trivia=Trivia(leading=leading))


def _runs(pieces: Pieces, shared: Shared) -> tuple[syntax.Run, ...]:
    """Units as a reader sees them: a layer with weights, a pool or a merge begins one, and what follows it belongs to it."""
    runs: list[syntax.Run] = []
    gaps: list[str] = []
    opens = True
    for piece in pieces:
        if piece.gap is not None:
            gaps.append(comment(f"not mapped: {piece.gap.words} ({piece.gap.place})"))
            opens = True
            if piece.label is None:
                continue
        item = _item(piece, shared)
        if opens or gaps or _begins(piece):
            runs.append(syntax.Run((item,), trivia=Trivia(leading=tuple(gaps))))
            gaps = []
        else:
            runs[-1] = replace(runs[-1], items=(*runs[-1].items, item))
        if piece.label is not None:
            runs[-1] = replace(runs[-1], label=Word(piece.label))
        opens = piece.label is not None or _stands_alone(piece)
    if not runs:
        runs.append(syntax.Run((syntax.Layer(Word("id")),)))
    if gaps:
        runs[-1] = replace(runs[-1], trivia=replace(runs[-1].trivia, trailing="  ".join(gaps)))
    return tuple(runs)


def _begins(piece: Piece) -> bool:
    layer = piece.layer
    return piece.merge is not None or piece.reads is not None or isinstance(layer, (Contraction, Head)) or _stands_alone(piece)


def _stands_alone(piece: Piece) -> bool:
    return isinstance(piece.layer, (Window, Head)) or (piece.layer is not None and piece.layer.name in ("flatten", "reshape", "upsample"))


def _item(piece: Piece, shared: Shared) -> syntax.Item:
    if piece.layer is not None:
        return _call(piece, shared)
    if piece.reads is not None:
        return syntax.Reference(Word(piece.reads))
    if piece.merge is None:
        return syntax.Layer(Word("id"))
    chains = tuple(syntax.Chain(fold(_runs(branch, shared))) for branch in piece.branches)
    identity = syntax.Chain((syntax.Run((syntax.Layer(Word("id")),)),))
    if piece.merge == "add" and len(chains) == 2 and chains[1] == identity and chains[0] != identity:
        return syntax.Block(Word("res"), chains[0])
    return syntax.Branches(Word(piece.merge), chains)
