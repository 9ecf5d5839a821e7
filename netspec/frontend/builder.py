"""Whole programs from Python objects: names, defs and sections around a net.

`ns.program(net, data={"source": ns.digits}, train={"optimizer": ns.adam(lr=0.01), "batch": 64})` is the net with the lines
`data { source = digits }` and `train { optimizer = adam(lr=0.01); batch = 64 }`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter as Argument
from inspect import isfunction, signature
from typing import Any

from netspec.base import html
from netspec.base.errors import SpecError, UsageError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.builder_net import Word, as_net, version_entry, whole, word_net
from netspec.frontend.builder_part import NAME, Built, Definition, Held, in_words, named_word, together
from netspec.frontend.builder_value import Parameter, Value, as_value, param, run_once, string
from netspec.frontend.format import format_file
from netspec.frontend.migrations import newest
from netspec.frontend.parse import parse_pairs, parse_value
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.words import accepts_words, is_list, nearest

NEWEST = newest()
EXAMPLE = "write @ns.define above `def hidden(w): return ns.affine(w) - ns.relu`"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Spec:
    """A whole program. `str(spec)` is the text of its file; `ns.compile`, `ns.check`, `ns.train` and `ns.format` take it as it is."""

    tree: syntax.File

    def __str__(self) -> str:
        return format_file(self.tree).removesuffix("\n")

    def __repr__(self) -> str:
        return f"Spec({len(self.tree.entries)} entries)\n{self}"

    def _repr_html_(self) -> str:
        return html.page(html.code(self))

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, Spec) else NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))


def let(name: str, value: Any) -> Value:
    """A value with a name: `width = ns.let("width", 100)`, then `ns.affine(width)`. A net that uses it brings `let width = 100` along, and
    `compile(net, width=64)` gives it another value. Raises UsageError."""
    given = as_value(value)
    entry = syntax.Let(named_word(name), given.node)
    return Value(Held((*given.held.names, Definition.of(entry))), syntax.Name(name))


def define(function: Callable[..., Any], *more: Any) -> Word:
    """A def from a Python function that takes its parameters and gives its chain; the decorated name is then called as a layer is:

        @ns.define
        def hidden(w, p="25%"):
            return ns.affine(w) - ns.bn - ns.relu - ns.dropout(p)

    is `def hidden(w, p = 25%) = affine(w)-bn-relu-dropout(p)`. The function runs once, with names for its parameters. Raises UsageError.
    """
    if more:
        other = 'of a name and a chain a def is made by ns.definition("hidden", chain)'
        raise UsageError(f"define takes a function alone: {EXAMPLE}; {other}")
    if not isfunction(function):
        raise UsageError(f"define takes a Python function that gives a chain: {EXAMPLE}; this is {in_words(function)}")
    parameters = {name: _parameter(one) for name, one in signature(function).parameters.items()}
    if function.__name__ == "<lambda>":
        given = ", ".join([*(f'ns.param("{name}")' for name in parameters), ""])
        raise UsageError(f'a def needs a name, and a lambda has none: {EXAMPLE}; or ns.definition("hidden", chain, {given}...)')
    kinds = {name: one.kind for name, one in signature(function).parameters.items()}
    by_key = {name: value for name, value in parameters.items() if kinds[name] is Argument.KEYWORD_ONLY}
    chain = run_once(function, [value for name, value in parameters.items() if name not in by_key], by_key)
    if chain is None:
        raise UsageError(f"{function.__name__} gives None: end it with `return` and its chain, such as return ns.affine(w) - ns.relu")
    return definition(function.__name__, chain, *parameters.values())


def _parameter(argument: Argument) -> Parameter:
    if argument.kind in (Argument.VAR_POSITIONAL, Argument.VAR_KEYWORD):
        raise UsageError(f"a def has parameters with names; `{argument}` takes any")
    return param(argument.name, None if argument.default is Argument.empty else argument.default)


def definition(name: str, chain: Any, /, *parameters: Parameter) -> Word:
    """A def from a chain that is made with `ns.param`: `w = ns.param("w"); ns.definition("hidden", ns.affine(w) - ns.relu, w)`. What it
    gives is called as a layer is. Raises UsageError."""
    body, taken = as_net(chain), []
    for one in parameters:
        if not isinstance(one, Parameter):
            raise UsageError(f'the parameters of a def are made by ns.param("w"); this is {in_words(one)}')
        assert isinstance(one.node, syntax.Name), "a parameter is a name"
        taken.append(syntax.Parameter(syntax.Word(one.node.text), one.default.node if one.default is not None else None))
    inside = together([body.held, *(one.default.held for one in parameters if one.default is not None)])
    entry = syntax.Def(named_word(name), tuple(taken), body.chain)
    return word_net(name, (), Held((*inside.names, Definition.of(entry))), entry)


Given = Mapping[str, Any] | str | None
ORDER = ("data", "input", "classes", "outputs", "defaults", "net", "train", "search", "seed")
"""Of the entries behind the names, as a file has them."""
Entry = tuple[syntax.Entry, Sequence[Built]]
"""An entry, and the parts that it was made of."""


def program(
    net: Any = None, /, *, version: int | None = NEWEST, use: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    names: Iterable[Value | Word] | Mapping[str, Any] = (), data: Given = None, input: Any = None,  # noqa: A002  the words of the language
    classes: Any = None, outputs: Any = None, defaults: Given = None, train: Given = None, search: Given = None, seed: Any = None,
    **unknown: Any,
) -> Spec:  # fmt: skip
    """A whole program, to print, to write to a file, to compile.

    `names` are `let`s and defs in their order, or a mapping of `let` values by name; those that the net uses need not be given. `use` is
    the path of another text, or several. `data`, `train`, `defaults` and `search` are mappings of keys, such as
    `{"optimizer": ns.adam(lr=1e-3), "batch": 100}` and `{"affine.width": 64}`, or what stands between the braces as a text; a str by its
    key is what the text says there: `"80% / 10% / 10%"`, `"adam(lr=1e-3)"`, a path. `input` is a shape or a number of features. Without a
    net it is a library for `use`. Raises UsageError, and SpecError for a text with an error.
    """
    if unknown:
        first = next(iter(unknown))
        takes = "version, use, names, data, input, classes, outputs, defaults, train, search and seed"
        help_text = f"its keys are {takes}" if first != "net" else "the net stands first, without a key: ns.program(net, ...)"
        raise UsageError(f"program has no key `{first}`; {help_text}")
    sections = {"data": data, "defaults": defaults, "train": train, "search": search}
    settings = {"input": input, "classes": classes, "outputs": outputs, "seed": seed}
    entries = {word: _section(word, given) for word, given in sections.items() if given is not None}
    entries |= {word: _setting(word, given) for word, given in settings.items() if given is not None}
    if net is not None:
        chain = as_net(net)
        entries["net"] = syntax.Net(chain.chain), [chain]
    used = together(part.held for _, parts in entries.values() for part in parts)
    if version is not None and version not in range(1, NEWEST + 1):
        raise UsageError(f"version={version!r}: the language has the version{'s 1 to' if NEWEST > 1 else ''} {NEWEST}; leave version out")
    head: list[syntax.Entry] = [] if version is None else [version_entry(version)]
    head += map(_use, [use] if isinstance(use, (str, os.PathLike)) else _several("use", "the path of a text, or several in a list", use))
    defined = tuple(dict.fromkeys((*_defined(names), *used.names)))
    return Spec(whole(head, [name.entry for name in defined], [entries[word][0] for word in ORDER if word in entries]))


def _use(path: str | os.PathLike[str]) -> syntax.Use:
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"use= takes the path of a text, or several in a list; this is {in_words(path)}")
    node = string(os.fspath(path)).node
    assert isinstance(node, syntax.Literal), "a string is a literal"
    return syntax.Use(node)


def _defined(names: Iterable[Value | Word] | Mapping[str, Any]) -> tuple[Definition, ...]:
    if isinstance(names, Mapping):
        return tuple(entry for name, value in names.items() for entry in let(name, value).held.names)
    found: list[Definition] = []
    for one in _several("names", "a list of what ns.let and ns.define give, or a mapping of let values", names):
        if not isinstance(one, (Value, Word)) or not one.held.names:
            raise UsageError(f"names takes what ns.let and ns.define give, or a mapping of let values; this is {in_words(one)}")
        found += one.held.names
    return tuple(found)


def _several(key: str, what: str, given: Any) -> Iterable[Any]:
    if isinstance(given, (str, Built)) or not isinstance(given, Iterable):
        raise UsageError(f"{key}= takes {what}; this is {in_words(given)}")
    return given


def _setting(word: str, given: Any) -> Entry:
    value = as_value(given)
    return syntax.Setting(syntax.Word(word), value.node), [value]


def _section(word: str, given: Mapping[str, Any] | str) -> Entry:
    if isinstance(given, str):
        return syntax.Section(syntax.Word(word), parse_pairs(Source(given, f"<{word}>"))), []
    if not isinstance(given, Mapping):
        raise UsageError(f"{word}= takes a mapping of keys, or what stands between the braces as a text; this is {in_words(given)}")
    model = SECTION_MODELS.get(word)
    known = [] if model is None else list(model.model_fields)
    for key in given if known else ():
        if ".".join(_key(word, key)) not in (*known, "lr"):
            near = nearest(key, known)
            hint = f"did you mean `{near}`? Its" if near else "its"
            raise UsageError(f"{word} has no key `{key}`; {hint} keys are {', '.join(known)}")
    values = {_key(word, key): _value(word, key, value) for key, value in given.items()}
    pairs = (syntax.Pair(key, key_span=syntax.NOWHERE, value=value.node) for key, value in values.items())
    return syntax.Section(syntax.Word(word), tuple(pairs)), list(values.values())


def _value(section: str, key: str, given: Any) -> Value:
    """What stands behind a key's `=`. A str is a text of the language, but where the key takes words, such as a path."""
    model = SECTION_MODELS.get(section)
    info = model.model_fields.get(key) if model else None
    takes_words = info is not None and accepts_words(info.annotation) and not is_list(info.annotation)
    if not isinstance(given, str) or takes_words:
        return as_value(given)
    try:
        return Value(Held(), parse_value(Source(given, f"<{section}.{key}>")))
    except SpecError:
        if model is not None and info is None:  # the key is unknown, which is told of the whole program
            return as_value(given)
        raise


def _key(word: str, key: Any) -> tuple[str, ...]:
    parts = tuple(key.split(".")) if isinstance(key, str) else ()
    if not parts or not all(NAME.fullmatch(part) for part in parts):
        raise UsageError(f'a key of {word} is a name, or names with points, such as "affine.width"; this is {in_words(key)}')
    return parts
