"""Every default of a program written out where it is used: in the calls of layers, in `train` and in `data`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from netspec.base.entry import Entry
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.frontend import syntax
from netspec.frontend.migrations import newest
from netspec.frontend.parse import parse_value
from netspec.frontend.program import Call, Program, first_readers
from netspec.frontend.resolved import data_keys, train_keys
from netspec.frontend.rewrite import rewritten
from netspec.frontend.settled import deciding_activations, settled, settled_data, settled_train
from netspec.frontend.structure import has_cancelled_bias, head_of, with_head_form
from netspec.frontend.syntax import Argument, Literal, Word
from netspec.frontend.used import nodes_in
from netspec.frontend.words import written

_NAMES = re.compile(r'"(?:[^"\\]|\\.)*"|(?<!\w)[A-Za-z_]\w*+(?!\s*=)')


def write_out(file: syntax.File, program: Program, counted: Collection[tuple[str, Span, str]]) -> syntax.File:
    """The program, of which `file` is the tree, with its defaults as arguments and keys. `counted` are arguments of calls, by file, word
    and name, that are no defaults, but follow from the number of classes or outputs, say.

    What is written stays: defs and repeats, lets, and every comment. What copies of one call do not have in common is not written, nor what
    another word of the text decides (initial weights, where the activation is a parameter), nor a bias that bn cancels, which would be
    warned of; nor the number of threads, which is the machine's.
    """
    return _WriteOut(file, program, counted).file()


class _WriteOut:
    def __init__(self, file: syntax.File, program: Program, counted: Collection[tuple[str, Span, str]]) -> None:
        self.written, self.program, self.counted = file, program, counted
        self.taken = _own_names(file)
        self.train = settled_train(program.train, head_of(with_head_form(program.net)))
        self.data = settled_data(program.data) if program.data is not None else None
        self.calls: dict[Span, list[_Use]] = defaultdict(list)
        for use in _uses(program):
            source, span = use.call.named_at
            if source.path == program.source.path:
                self.calls[span].append(use)

    def file(self) -> syntax.File:
        file = rewritten(self.written, self._layer)
        entries = [self._section(entry) if isinstance(entry, syntax.Section) else entry for entry in file.entries]
        present = {entry.word.text for entry in entries if isinstance(entry, (syntax.Section, syntax.Setting))}
        if not any(isinstance(entry, syntax.Version) for entry in entries):
            entries.insert(0, syntax.Version(Literal("number", str(newest()))))
        if "train" not in present:
            entries.append(self._section(syntax.Section(Word("train"), ())))
        if "seed" not in present:
            entries.append(syntax.Setting(Word("seed"), _value(str(self.program.seed))))
        return replace(file, entries=tuple(replace(one, bare=False) if isinstance(one, syntax.Net) else one for one in entries))

    # layers

    def _layer(self, node: syntax.Node) -> syntax.Node:
        """A call of a layer, in a chain or as a value, with the arguments that all its copies have in common."""
        if not isinstance(node, (syntax.Layer, syntax.CallValue, syntax.Name)):
            return node
        word = Word(node.text, span=node.span) if isinstance(node, syntax.Name) else node.name
        uses = self.calls.get(word.span)
        if not uses or word.text in self.taken or word.text != uses[0].layer.name:
            return node
        layer = uses[0].layer
        kept = {name for name in type(layer).model_fields if all(getattr(use.layer, name) == getattr(layer, name) for use in uses)}
        kept -= {name for path, span, name in self.counted if (path, span) == (self.program.source.path, word.span)}
        kept -= {name for use in uses for name in use.silent}
        written_ones = () if isinstance(node, syntax.Name) else node.arguments or ()
        given = self._given(type(layer), written_ones, {name: getattr(layer, name) for name in kept})
        missing = self._missing(layer, kept - uses[0].call.explicit)
        missing = [_as_given(one, layer, given) for one in missing]
        if not given and not missing:
            return node
        arguments = (*given, *missing)
        if isinstance(node, syntax.Name):
            return syntax.CallValue(word, arguments, span=node.span, trivia=node.trivia)
        return replace(node, arguments=arguments)

    def _given(self, model: type[Entry], arguments: Sequence[Argument], values: Mapping[str, Any]) -> list[Argument]:
        """Arguments as written, and what is missing inside their values."""
        places = model.positionals()
        keys = [given.key.text if given.key else places[at] for at, given in enumerate(arguments)]
        return [replace(given, value=self._inside(given.value, values.get(key))) for key, given in zip(keys, arguments, strict=True)]

    def _missing(self, entry: Entry, names: Collection[str]) -> list[Argument]:
        """The arguments of those names, in the entry's own order, where they have values that can be written."""
        texts = {
            name: written(getattr(entry, name)) for name in type(entry).model_fields if name in names and getattr(entry, name) is not None
        }
        return [Argument(Word(name), _value(text)) for name, text in texts.items() if self._can_write(text)]

    def _can_write(self, text: str) -> bool:
        """Whether the names in a text mean here what they mean to the catalogue."""
        return not self.taken.intersection(_NAMES.findall(text))

    # sections

    def _section(self, section: syntax.Section) -> syntax.Section:
        word = section.word.text
        model: BaseModel | None = self.train if word == "train" else self.data if word == "data" else None
        if model is None:
            return section
        given = {".".join(pair.key) for pair in section.pairs}
        own_rate = {"lr"} & given
        pairs = [
            replace(pair, value=self._inside(pair.value, getattr(model, pair.key[0], None), own_rate)) if len(pair.key) == 1 else pair
            for pair in section.pairs
        ]
        texts = train_keys(self.train) if word == "train" else data_keys(model)
        for key, text in texts.items():
            if key not in given and self._can_write(text):
                value = _value(text)
                if key == "optimizer" and own_rate:
                    value = self._inside(syntax.Name(self.program.train.optimizer.name), self.program.train.optimizer, own_rate)
                pairs.append(syntax.Pair((key,), key_span=syntax.NOWHERE, value=value))
        return replace(section, pairs=tuple(pairs))

    # values

    def _inside(self, node: syntax.Expression, value: Any, without: Collection[str] = ()) -> syntax.Expression:
        """A value as written, with the missing arguments of the calls in it; those `without` are given elsewhere."""
        if isinstance(value, tuple):
            if isinstance(node, syntax.ListValue) and len(node.items) == len(value):
                return replace(node, items=tuple(self._inside(item, one) for item, one in zip(node.items, value, strict=True)))
            return self._inside(node, value[0]) if len(value) == 1 else node
        if not isinstance(value, Entry):
            return node
        call = syntax.CallValue(Word(node.text, span=node.span), (), span=node.span) if isinstance(node, syntax.Name) else node
        if not isinstance(call, syntax.CallValue) or call.name.text != value.name or value.name in self.taken:
            return node
        name, arguments = call.name, call.arguments
        places = value.positionals()
        keys = {given.key.text if given.key else places[at] for at, given in enumerate(arguments)}
        fields = type(value).model_fields
        given_arguments = self._given(type(value), arguments, {key: getattr(value, key) for key in keys})
        all_arguments = (*given_arguments, *self._missing(value, {key for key in fields if key not in keys and key not in without}))
        return syntax.CallValue(name, all_arguments, span=node.span, trivia=node.trivia) if all_arguments else node


@dataclass(frozen=True)
class _Use:
    """A call with all that it means. `silent` are arguments that are not to be written."""

    call: Call
    layer: Layer
    silent: frozenset[str]


def _uses(program: Program) -> Iterator[_Use]:
    net, readers = program.net, first_readers(program.net)
    activations = deciding_activations(net)
    for place, call in enumerate(net):
        # tied copies have the arrays of the first
        activation = activations[place if call.copy_of is None else call.copy_of]
        by_another_word = activation is not None and activation.named_at != (activation.source, activation.name_span)
        bias, init = has_cancelled_bias(net, readers, place) and "bias" not in call.explicit, by_another_word
        silent = [name for name, left in (("bias", bias), ("init", init)) if left and name not in call.explicit]
        yield _Use(call, settled(call.layer, activation is not None and activation.layer.relu_like), frozenset(silent))


def _as_given(missing: Argument, layer: Layer, given: Sequence[Argument]) -> Argument:
    """An argument that has another one's value: by the words of that, where they are there."""
    assert missing.key is not None, "it is written with its key"
    other, places = layer.follows.get(missing.key.text), layer.positionals()
    for at, one in enumerate(given):
        if (one.key.text if one.key else places[at]) == other:
            return replace(missing, value=rewritten(one.value, lambda node: replace(node, span=syntax.NOWHERE, trivia=syntax.BARE)))
    return missing


def _own_names(file: syntax.File) -> frozenset[str]:
    """The names that the text itself gives a meaning: lets, parameters, and the names of lists in repeats."""
    named = [node.name.text for node in nodes_in(file) if isinstance(node, (syntax.Let, syntax.Parameter, syntax.Over))]
    return frozenset(named)


def _value(text: str) -> syntax.Expression:
    return rewritten(parse_value(Source(text)), lambda node: replace(node, span=syntax.NOWHERE))
