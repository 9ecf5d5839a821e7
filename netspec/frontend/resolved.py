"""The program as text with every default and override written out. Parsing it gives an equal program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pydantic import BaseModel

from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.migrations import newest
from netspec.frontend.program import Chain, Program, TrainSection
from netspec.frontend.syntax import Literal, Word
from netspec.frontend.values import Value, show
from netspec.frontend.words import written


def resolve(
    file: syntax.File, program: Program, lets: Mapping[str, Value], added: Sequence[str], brought: Mapping[int, Sequence[syntax.Def]]
) -> str:  # fmt: skip
    """The text. `lets` are those that a caller replaced, `added` the names among them that the file does not have, `brought` the defs
    that each `use` brings, by the number of its entry."""
    settings = {"input": program.input, "classes": program.classes, "outputs": program.outputs, "seed": program.seed}
    entries: list[syntax.Entry] = [syntax.Version(Literal("number", str(newest())))]
    # sections and the defs of other files come before every `let`, which would stand for their words
    if program.data is not None:
        entries.append(_section("data", data_keys(program.data)))
    for word, value in settings.items():
        if value is not None:
            shown = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
            entries.append(syntax.Setting(Word(word), _raw(shown)))
    defaults = _defaults(program.net)
    if defaults:
        entries.append(_section("defaults", defaults))
    entries.append(_section("train", train_keys(program.train)))
    for index in sorted(brought):
        entries += brought[index]
    entries += [syntax.Let(Word(name), _raw(show(lets[name].content))) for name in added]
    for entry in file.entries:
        match entry:
            case syntax.Let() if entry.name.text in lets:
                entries.append(replace(entry, value=_raw(show(lets[entry.name.text].content))))
            case syntax.Let() | syntax.Def():
                entries.append(entry)
    entries += [replace(entry, bare=False) for entry in file.entries if isinstance(entry, syntax.Net)]
    return format_file(syntax.File(tuple(entries)))


def net_of(resolved: str) -> str:
    """The chain of a resolved text, in one line: its last entry."""
    return " ".join(f"\n{resolved}".rpartition("\nnet ")[2].split())


def _raw(text: str) -> Literal:
    return Literal("number", text)


def _section(word: str, keys: Mapping[str, str]) -> syntax.Section:
    pairs = tuple(syntax.Pair(tuple(key.split(".")), key_span=syntax.NOWHERE, value=_raw(text)) for key, text in keys.items())
    return syntax.Section(Word(word), pairs)


def _keys(section: BaseModel) -> dict[str, str]:
    # threads change no result, and are the machine's matter: a file of weights has the same bytes on any number of them
    values = {name: getattr(section, name) for name in type(section).model_fields if name != "threads"}
    return {name: written(value) for name, value in values.items() if value is not None}


def train_keys(section: TrainSection) -> dict[str, str]:
    """Every key of the train section with its value as text."""
    keys, weights = _keys(section), section.class_weights
    return {**keys, "class_weights": ", ".join(map(repr, weights))} if isinstance(weights, tuple) else keys


def data_keys(section: BaseModel) -> dict[str, str]:
    """Every key of the data section that has a value, as text."""
    keys = _keys(section)
    split = getattr(section, "split", ())
    return {**keys, "split": " / ".join(map(repr, split))} if split else keys


def _defaults(net: Chain) -> dict[str, str]:
    """What each layer takes where its call is silent, as the `defaults` section."""
    found: dict[str, str] = {}
    for call in net:
        # what a projection is follows from its res, and is no default of other layers
        for name in () if call.projects else type(call.layer).model_fields:
            value = getattr(call.layer, name)
            if name not in call.explicit and value is not None:
                found[f"{call.layer.name}.{name}"] = written(value)
    return dict(sorted(found.items()))
