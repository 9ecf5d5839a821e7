"""The program as written, before any name means anything. Equality ignores where the words stand and the comments around them."""

from __future__ import annotations

from dataclasses import dataclass, field

from netspec.base.text import Span

NOWHERE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Trivia:
    """The comments beside a node, which formatting keeps: those on lines before it, one behind it on its line, those on lines after it
    where nothing of its kind follows, one behind the bracket with which it opens. An empty text in `leading` is an empty line."""

    leading: tuple[str, ...] = ()
    trailing: str = ""
    after: tuple[str, ...] = ()
    opening: str = ""


BARE = Trivia()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(default=NOWHERE, compare=False, repr=False)
    trivia: Trivia = field(default=BARE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Word(Node):
    """A name at a place where it is given or used."""

    text: str


# values


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A number, percentage, duration, shape, string or truth value, with its text; `kind` is number, percent, duration, ..."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A `let`, a parameter, or a name of the catalogue; `part` is the T of `enc.T`."""

    text: str
    part: str | None = None


@dataclass(frozen=True, slots=True)
class Argument(Node):
    key: Word | None
    value: Expression


@dataclass(frozen=True, slots=True)
class CallValue(Node):
    name: Word
    arguments: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class Group(Node):
    inner: Expression


@dataclass(frozen=True, slots=True)
class Negative(Node):
    operand: Expression


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """Operators of one rank, from left to right: `first op value op value ...`."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class SplitValue(Node):
    """`80% / 10% / 10%`."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ListValue(Node):
    """`flip, crop(4)`."""

    items: tuple[Expression, ...]


Expression = Literal | Name | CallValue | Group | Negative | Arithmetic | SplitValue | ListValue

# chains


@dataclass(frozen=True, slots=True)
class Layer(Node):
    """A layer or a def: `relu`, `affine(100)`. `arguments` is None without brackets."""

    name: Word
    arguments: tuple[Argument, ...] | None = None


@dataclass(frozen=True, slots=True)
class Bracket(Node):
    """`[ chain ]`."""

    chain: Chain


BLOCKS = ("res",)
"""Names that go around a chain in square brackets."""


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`res[...]`, `res[...](proj)`."""

    name: Word
    chain: Chain
    arguments: tuple[Argument, ...] | None = None


@dataclass(frozen=True, slots=True)
class Branches(Node):
    """`add(a | b)`."""

    name: Word
    chains: tuple[Chain, ...]


@dataclass(frozen=True, slots=True)
class Reference(Node):
    """`@stem`, read inside branches."""

    name: Word


@dataclass(frozen=True, slots=True)
class Count(Node):
    """`x4`, `x(expression)`."""

    value: Expression


@dataclass(frozen=True, slots=True)
class Over(Node):
    """`x(c: 16, 32, 64)`."""

    name: Word
    values: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Repeated(Node):
    unit: Layer | Bracket | Block | Branches | Reference
    times: Count | Over
    tied: bool = False


Item = Layer | Bracket | Block | Branches | Reference | Repeated


@dataclass(frozen=True, slots=True)
class Run(Node):
    """`a-b-c`, with the name of `a-b-c @stem`."""

    items: tuple[Item, ...]
    label: Word | None = None


@dataclass(frozen=True, slots=True)
class Chain(Node):
    runs: tuple[Run, ...]


# entries


@dataclass(frozen=True, slots=True)
class Version(Node):
    number: Literal


@dataclass(frozen=True, slots=True)
class Use(Node):
    path: Literal


@dataclass(frozen=True, slots=True)
class Let(Node):
    name: Word
    value: Expression


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: Word
    default: Expression | None = None


@dataclass(frozen=True, slots=True)
class Def(Node):
    name: Word
    parameters: tuple[Parameter, ...]
    chain: Chain


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """`input`, `classes`, `outputs`, `seed` and their value."""

    word: Word
    value: Expression


@dataclass(frozen=True, slots=True)
class Net(Node):
    """The chain; `bare` when it is the whole text."""

    chain: Chain
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Pair(Node):
    """`key = value`; a key may have parts: `affine.width`."""

    key: tuple[str, ...]
    key_span: Span = field(compare=False, repr=False)
    value: Expression


@dataclass(frozen=True, slots=True)
class Section(Node):
    """`data`, `train`, `defaults` or `search`. `tail` holds comments after the last pair."""

    word: Word
    pairs: tuple[Pair, ...]
    tail: tuple[str, ...] = field(default=(), compare=False, repr=False)


Entry = Version | Use | Let | Def | Setting | Net | Section


@dataclass(frozen=True, slots=True)
class File(Node):
    """A whole text. `tail` holds comments after the last entry."""

    entries: tuple[Entry, ...]
    tail: tuple[str, ...] = field(default=(), compare=False, repr=False)
