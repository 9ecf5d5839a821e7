"""Nets from Python objects, which print as the text.

`ns.repeat(ns.affine(100) - ns.bn - ns.relu, 4) >> ns.affine >> ns.softmax` is `[affine(100)-bn-relu]x4 -> affine -> softmax`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from inspect import isfunction
from typing import Any, ClassVar

from netspec.base.entry import Entry
from netspec.base.errors import UsageError
from netspec.base.layer import Layer
from netspec.frontend import syntax
from netspec.frontend.builder_check import check_call, check_count, check_def_call
from netspec.frontend.builder_part import Built, Held, in_words, named_word, together
from netspec.frontend.builder_value import Value, as_value, param, run_once, single
from netspec.frontend.format import chain_text, format_file
from netspec.frontend.migrations import newest
from netspec.frontend.syntax import BLOCKS, Bracket, Chain, Reference, Repeated, Run


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Net(Built):
    """A chain of layers. `a - b` binds a run, `a >> b` is the arrow `->`; in Python too `-` binds tighter.

    A chain or a named unit inside a run gets its brackets by itself. `str(net)` is the text, with the `let`s and defs that it uses.
    """

    kind: ClassVar[str] = "net"
    chain: Chain

    def __sub__(self, other: Any) -> Net:
        return _run(self, as_net(other))

    def __rsub__(self, other: Any) -> Net:
        return _run(as_net(other), self)

    def __rshift__(self, other: Any) -> Net:
        return _arrow(self, as_net(other))

    def __rrshift__(self, other: Any) -> Net:
        return _arrow(as_net(other), self)

    def _no_operator(self, *_: Any) -> Any:
        """An operator that joins no layers. Raises UsageError."""
        raise UsageError(
            f"`{self.text}`: nets are joined by - and >> alone; branches are ns.add(a, b), ns.mul(a, b) or ns.concat(a, b), and copies "
            "ns.repeat(net, 3)"
        )

    __add__ = __radd__ = __mul__ = __rmul__ = __or__ = __ror__ = __and__ = __rand__ = _no_operator
    __truediv__ = __matmul__ = __lshift__ = __rlshift__ = __pow__ = __getitem__ = _no_operator
    __neg__ = __pos__ = __invert__ = __lt__ = __le__ = __gt__ = __ge__ = _no_operator

    def __call__(self, /, *_: Any, **__: Any) -> Net:
        """A call of what is no word. Raises UsageError."""
        raise UsageError(f"`{self.text}` takes no arguments, or has them already: a layer is called once, as in ns.affine(100, bias=False)")

    def named(self, name: str) -> Net:
        """The unit with a name, to be read later by `ns.ref(name)`: `unit @name`. Raises UsageError for what is no name."""
        run = self.chain.runs[0]
        if len(self.chain.runs) > 1 or run.label is not None:
            return unit(self).named(name)
        return Net(self.held, Chain((replace(run, label=named_word(name)),)))

    @property
    def T(self) -> Value:  # noqa: N802  the word of the language, and of NumPy
        """The transpose of a named unit's weights: `ns.affine(tie=enc.T)` is `affine(tie=enc.T)`."""
        name = self._points_to()
        if name is None:
            raise AttributeError(f'only what has a name has a transpose, such as ns.affine(100).named("enc"); `{self.text}` has none')
        return Value(Held(), syntax.Name(name, "T"))

    @property
    def text(self) -> str:
        return chain_text(self.chain)

    @property
    def tree(self) -> syntax.File:
        """The program that the text is: a chain alone, or with the definitions that it uses."""
        if not self.held.names:
            return syntax.File((syntax.Net(self.chain, bare=True),))
        return whole([version_entry(newest())], [name.entry for name in self.held.names], [syntax.Net(self.chain)])

    def expression(self) -> syntax.Expression:
        run = self.chain.runs[0]
        item = run.items[0]
        if (name := self._points_to()) is not None:
            return syntax.Name(name)
        if len(self.chain.runs) == len(run.items) == 1 and isinstance(item, syntax.Layer):
            return syntax.Name(item.name.text) if item.arguments is None else syntax.CallValue(item.name, item.arguments)
        raise UsageError(f"`{self.text}` is a chain, and here a value is needed: a layer or a call alone; nets are joined by - and >>")

    def _points_to(self) -> str | None:
        """The name of a named unit, or the one that a reference reads."""
        run = self.chain.runs[0]
        if len(self.chain.runs) > 1:
            return None
        only = run.items[0] if len(run.items) == 1 else None
        word = run.label or (only.name if isinstance(only, Reference) else None)
        return word.text if word else None

    def __str__(self) -> str:
        return format_file(self.tree).removesuffix("\n")

    def __repr__(self) -> str:
        return f"Net({self.text})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Word(Net):
    """A layer, a def, or another entry of the catalogue by its name. Itself it is the bare word; called, it has arguments: the first one
    without a key, the others as `key=value`. Where a value is needed it is one: `ns.affine(100, init=ns.normal(0.1))`."""

    contracts: tuple[type[Entry], ...] = ()
    """What the name may mean, as far as arguments are checked when they are given."""
    definition: syntax.Def | None = None
    """The def that it is."""

    def __call__(self, /, *positional: Any, **keywords: Any) -> Net:
        """The call. Raises SpecError for arguments that it does not take, UsageError for what is no value."""
        name = _only_layer(self).name
        if self.definition is not None:
            check_def_call(self.definition, syntax.CallValue(name, _arguments(positional, keywords)[0]))
        if not positional and not keywords:
            return Net(self.held, self.chain)
        return _called(name, positional, keywords, self.contracts, self.held)


def _only_layer(word: Word) -> syntax.Layer:
    item = word.chain.runs[0].items[0]
    assert isinstance(item, syntax.Layer), "a word is one layer"
    return item


def word_net(name: str, contracts: tuple[type[Entry], ...], held: Held | None = None, definition: syntax.Def | None = None) -> Word:
    """The word of that name. Raises UsageError for what is no name."""
    return Word(held or Held(), _chain(syntax.Layer(named_word(name))), contracts, definition)


def _called(name: syntax.Word, positional: Sequence[Any], keywords: dict[str, Any], contracts: Sequence[type[Entry]], held: Held) -> Net:
    arguments, parts = _arguments(positional, keywords)
    words = {one.text for one in (*positional, *keywords.values()) if isinstance(one, Word) and one.definition is None and one.contracts}
    check_call(contracts, syntax.CallValue(name, arguments), words)
    return Net(together([held, *(part.held.bracketed() for part in parts)]), _chain(syntax.Layer(name, arguments)))


def _arguments(positional: Sequence[Any], keywords: dict[str, Any]) -> tuple[tuple[syntax.Argument, ...], list[Value]]:
    given = [*((None, as_value(value)) for value in positional), *((named_word(key), as_value(value)) for key, value in keywords.items())]
    return tuple(syntax.Argument(key, single(value)) for key, value in given), [value for _, value in given]


def as_net(given: Any) -> Net:
    """A part of a net: a net, or a name that stands for a layer. Raises UsageError for anything else."""
    if isinstance(given, Net):
        return given
    if isinstance(given, Value) and isinstance(given.node, syntax.Name) and given.node.part is None:
        return Net(given.held, _chain(syntax.Layer(syntax.Word(given.node.text))))
    raise UsageError(f"a net is made of layers and nets, such as ns.affine(100) - ns.relu; this is {in_words(given)}")


def _chain(item: syntax.Item) -> Chain:
    return Chain((Run((item,)),))


def _single_run(net: Net) -> Run | None:
    """The run that a net is, if it is one and has no name."""
    run = net.chain.runs[0]
    return run if len(net.chain.runs) == 1 and run.label is None else None


def _run(one: Net, other: Net) -> Net:
    left, right = _items(one), _items(other)
    return Net(together([left[1], right[1]]), Chain((Run((*left[0], *right[0])),)))


def _items(net: Net) -> tuple[Sequence[syntax.Item], Held]:
    """A net as elements of a run."""
    run = _single_run(net)
    if run is None:
        return [Bracket(net.chain)], net.held.bracketed()
    if len(run.items) > 1:  # joined before
        return run.items, net.held
    item = _in_run(run.items[0])
    return [item], net.held.bracketed(item is not run.items[0])


def _in_run(item: syntax.Item) -> syntax.Item:
    """Inside a run a repeat stands behind square brackets."""
    if isinstance(item, Repeated) and not isinstance(item.unit, Bracket):
        return replace(item, unit=Bracket(_chain(item.unit)))
    return item


def _arrow(one: Net, other: Net) -> Net:
    return Net(together([one.held, other.held]), Chain((*one.chain.runs, *other.chain.runs)))


def unit(net: Any) -> Net:
    """The chain in brackets, one unit: `ns.unit(a >> b)` is `[a -> b]`."""
    inner = as_net(net)
    return Net(together([inner.held.bracketed()]), _chain(Bracket(inner.chain)))


def repeat(what: Any, times: Any = None, /, *, tied: bool = False, **over: Any) -> Net:
    """Copies in a row: `ns.repeat(block, 4)` is `[block]x4`, with weights of its own for each copy, or with `tied=True` one set for all.

    One name with values makes a copy for each: `ns.repeat(lambda c: ns.conv(c) - ns.relu, c=(16, 32))` is `[conv(c)-relu]x(c: 16, 32)`.
    `times` is a whole number, or a value with names: `depth - 1`. Raises UsageError.
    """
    if (times is None) == (not over) or len(over) > 1:
        forms = "ns.repeat(block, 4), or one name with its values: ns.repeat(lambda c: ns.conv(c), c=(16, 32))"
        raise UsageError(f"repeat takes a number of times: {forms}")
    if tied not in (True, False):
        raise UsageError(f"tied is True or False; this is {in_words(tied)}")
    if not over:
        if isfunction(what):
            raise UsageError("a function that takes a value goes with its values: ns.repeat(lambda c: ns.conv(c), c=(16, 32))")
        if isinstance(times, (list, tuple)):
            raise UsageError(f"the number of copies is one number, as in ns.repeat(block, 4); this is {in_words(times)}")
        count = as_value(times)
        check_count(single(count), in_words(times))
        return _repeated(as_net(what), [count], syntax.Count(single(count)), tied)
    (name, values), *_ = over.items()
    if isinstance(values, (str, bytes, Built, Mapping, Set)) or not hasattr(values, "__iter__"):
        raise UsageError(f"the values of `{name}` stand in a tuple: {name}=(16, 32, 64); this is {in_words(values)}")
    each = [as_value(value) for value in values]
    if not each:
        raise UsageError(f"`{name}` is given no values; a repeat over values has one or more, as in {name}=(16, 32, 64)")
    body = as_net(run_once(what, [param(name)], {}) if callable(what) and (isinstance(what, Word) or not isinstance(what, Net)) else what)
    return _repeated(body, each, syntax.Over(named_word(name), tuple(map(single, each))), tied)


def _repeated(body: Net, values: Sequence[Value], times: syntax.Count | syntax.Over, tied: bool) -> Net:
    direct = _repeatable(body)
    copied = Repeated(direct or Bracket(body.chain), times, bool(tied))
    return Net(together([body.held.bracketed(not direct), *(value.held.bracketed() for value in values)]), _chain(copied))


def _repeatable(body: Net) -> syntax.Layer | Bracket | syntax.Block | syntax.Branches | None:
    """What a repeat may follow without further brackets: one element that ends in a bracket."""
    run = _single_run(body)
    item = run.items[0] if run is not None and len(run.items) == 1 else None
    if isinstance(item, (Bracket, syntax.Block, syntax.Branches)) or (isinstance(item, syntax.Layer) and item.arguments is not None):
        return item
    return None


def layer(name: str | Value, *arguments: Any) -> Word:
    """The layer or def of that name, to be called: one that `use` brings, one whose name netspec has for itself, a parameter that stands
    for a layer. Raises UsageError for what is no name, and for arguments, which go into a call of their own."""
    if arguments:
        raise UsageError(f'layer takes a name alone; its arguments follow in brackets of their own: ns.layer("{name}")({arguments[0]!r})')
    if isinstance(name, Value):
        return word_net(str(name), (), name.held)
    return word_net(name, (Layer,))


def call(name: str, /, *positional: Any, **keywords: Any) -> Net:
    """A call by its name, for any the language knows: `ns.call("choice", 16, 32)` is `choice(16, 32)`; brackets also where they are
    empty. Raises SpecError for arguments that a layer of that name does not take, UsageError."""
    return _called(named_word(name), positional, keywords, (Layer,), Held())


def ref(name: str | Net) -> Net:
    """What a name points to, read later: `ns.ref("stem")` is `@stem`. Takes the named unit too. Raises UsageError."""
    target = name._points_to() if isinstance(name, Net) else name
    if target is None:
        raise UsageError(f'`{name}` has no name to refer to; give it one: ns.affine(100).named("stem")')
    return Net(Held(), _chain(Reference(named_word(target))))


def add(*chains: Any) -> Net:
    """Branches summed: `ns.add(a, b)` is `add(a | b)`. Raises UsageError for fewer than two."""
    return branches("add", *chains)


def mul(*chains: Any) -> Net:
    """Branches multiplied element by element: `ns.mul(a, b)` is `mul(a | b)`. Raises UsageError for fewer than two."""
    return branches("mul", *chains)


def concat(*chains: Any) -> Net:
    """Branches joined by channels, or by features for vectors: `ns.concat(a, b, c)` is `concat(a | b | c)`. Raises UsageError for fewer
    than two."""
    return branches("concat", *chains)


def branches(name: str, /, *chains: Any) -> Net:
    """Parallel branches, merged by the word: `name(a | b)`. Raises UsageError for fewer than two."""
    word, nets = named_word(name), [as_net(chain) for chain in chains]
    if len(nets) < 2:
        raise UsageError(f"{name} merges two branches or more: ns.{name}(a, b)")
    return Net(together(net.held.bracketed() for net in nets), _chain(syntax.Branches(word, tuple(net.chain for net in nets))))


def res(chain: Any, *more: Any, proj: bool = False) -> Net:
    """A residual unit: `ns.res(chain)` is `res[chain]`, and with `proj=True` `res[chain](proj)`, whose skip fits any shape."""
    if more:
        raise UsageError("res takes one chain; a projection on the skip is ns.res(chain, proj=True), and chains in a row are joined by -")
    if proj not in (True, False):
        raise UsageError(f"proj is True or False; this is {in_words(proj)}")
    return block("res", chain, *(("proj",) if proj else ()))


def block(name: str, chain: Any, /, *positional: Any, **keywords: Any) -> Net:
    """A chain that the word is about: `name[chain]`, `name[chain](argument)`. Raises UsageError."""
    if name not in BLOCKS:
        raise UsageError(f"no word of the language goes before `[chain]` but {', '.join(BLOCKS)}; this is {in_words(name)}")
    inner = as_net(chain)
    arguments, values = _arguments(positional, keywords)
    node = syntax.Block(named_word(name), inner.chain, arguments or None)
    return Net(together(part.held.bracketed() for part in (inner, *values)), _chain(node))


def version_entry(number: int) -> syntax.Version:
    return syntax.Version(syntax.Literal("number", str(number)))


def whole(head: Sequence[syntax.Entry], names: Sequence[syntax.Entry], rest: Sequence[syntax.Entry]) -> syntax.File:
    """A file of three parts, with an empty line between them."""
    entries: list[syntax.Entry] = []
    for part in (head, names, rest):
        begun = bool(entries)
        entries += [replace(entry, trivia=syntax.Trivia(leading=("",) if begun and not at else ())) for at, entry in enumerate(part)]
    return syntax.File(tuple(entries))
