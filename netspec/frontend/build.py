"""The parser's tree to the syntax tree."""

from __future__ import annotations

from typing import Any

from lark import Token, Tree

from netspec.base.text import Span
from netspec.frontend import syntax


def _span(token: Token) -> Span:
    return Span(token.start_pos or 0, token.end_pos or 0)


def _word(token: Token) -> syntax.Word:
    return syntax.Word(str(token), span=_span(token))


def _where(meta: Any) -> Span:
    return Span(getattr(meta, "start_pos", 0), getattr(meta, "end_pos", 0))


def _flat(children: list[Any], build: Any, meta: Any) -> Any:
    """The only child itself, or the children without their operators' tokens."""
    return children[0] if len(children) == 1 else build(tuple(children), span=_where(meta))


class _Build:
    """One method a rule; every child is built before."""

    def literal(self, meta: Any, children: list[Token]) -> syntax.Literal:
        token = children[0]
        kind = "boolean" if token.type in ("TRUE", "FALSE") else token.type.lower()
        return syntax.Literal(kind, str(token).replace("\u00d7", "x") if kind == "shape" else str(token), span=_where(meta))

    def name(self, meta: Any, children: list[Token | None]) -> syntax.Name:
        return syntax.Name(str(children[0]), None if children[1] is None else str(children[1]), span=_where(meta))

    def call(self, meta: Any, children: list[Any]) -> syntax.CallValue:
        return syntax.CallValue(_word(children[0]), children[1], span=_where(meta))

    def group(self, meta: Any, children: list[Any]) -> syntax.Group:
        return syntax.Group(children[0], span=_where(meta))

    def negative(self, meta: Any, children: list[Any]) -> syntax.Negative:
        return syntax.Negative(children[1], span=_where(meta))

    def addition(self, meta: Any, children: list[Any]) -> syntax.Expression:
        if len(children) == 1:
            return children[0]  # type: ignore[no-any-return]
        rest = tuple((str(operator), value) for operator, value in zip(children[1::2], children[2::2], strict=True))
        return syntax.Arithmetic(children[0], rest, span=_where(meta))

    multiplication = addition

    def split(self, meta: Any, children: list[Any]) -> syntax.Expression:
        return _flat(children, syntax.SplitValue, meta)  # type: ignore[no-any-return]

    def enumeration(self, meta: Any, children: list[Any]) -> syntax.Expression:
        return _flat(children, syntax.ListValue, meta)  # type: ignore[no-any-return]

    def value(self, _meta: Any, children: list[Any]) -> syntax.Expression:
        return children[0]  # type: ignore[no-any-return]

    def positional(self, meta: Any, children: list[Any]) -> syntax.Argument:
        return syntax.Argument(None, children[0], span=_where(meta))

    def keyword(self, meta: Any, children: list[Any]) -> syntax.Argument:
        return syntax.Argument(_word(children[0]), children[1], span=_where(meta))

    def arguments(self, _meta: Any, children: list[Any]) -> tuple[syntax.Argument, ...]:
        return tuple(child for child in children if child is not None)

    def layer(self, meta: Any, children: list[Any]) -> syntax.Layer:
        return syntax.Layer(_word(children[0]), children[1], span=_where(meta))

    def bracket(self, meta: Any, children: list[Any]) -> syntax.Bracket:
        return syntax.Bracket(children[0], span=_where(meta))

    def block(self, meta: Any, children: list[Any]) -> syntax.Block:
        return syntax.Block(_word(children[0]), children[1], children[2], span=_where(meta))

    def branches(self, meta: Any, children: list[Any]) -> syntax.Branches:
        return syntax.Branches(_word(children[0]), tuple(children[2:]), span=_where(meta))

    def reference(self, meta: Any, children: list[Any]) -> syntax.Reference:
        return syntax.Reference(_word(children[0]), span=_where(meta))

    def count(self, meta: Any, children: list[Any]) -> syntax.Count:
        value = children[0]
        if isinstance(value, Token):
            value = syntax.Literal("number", str(value), span=_span(value))
        return syntax.Count(value, span=_where(meta))

    def over(self, meta: Any, children: list[Any]) -> syntax.Over:
        return syntax.Over(_word(children[0]), tuple(children[1:]), span=_where(meta))

    def repeated(self, meta: Any, children: list[Any]) -> syntax.Repeated:
        return syntax.Repeated(children[0], children[2], tied=children[3] is not None, span=_where(meta))

    def label(self, _meta: Any, children: list[Token]) -> syntax.Word:
        return _word(children[0])

    def run(self, meta: Any, children: list[Any]) -> syntax.Run:
        return syntax.Run(tuple(children[:-1:2]), children[-1], span=_where(meta))

    def chain(self, meta: Any, children: list[Any]) -> syntax.Chain:
        return syntax.Chain(tuple(children[::2]), span=_where(meta))

    def version(self, meta: Any, children: list[Token]) -> syntax.Version:
        return syntax.Version(syntax.Literal("number", str(children[1]), span=_span(children[1])), span=_where(meta))

    def use(self, meta: Any, children: list[Token]) -> syntax.Use:
        return syntax.Use(syntax.Literal("string", str(children[1]), span=_span(children[1])), span=_where(meta))

    def let(self, meta: Any, children: list[Any]) -> syntax.Let:
        return syntax.Let(_word(children[1]), children[2], span=_where(meta))

    def parameter(self, meta: Any, children: list[Any]) -> syntax.Parameter:
        return syntax.Parameter(_word(children[0]), children[1] if len(children) > 1 else None, span=_where(meta))

    def parameters(self, _meta: Any, children: list[Any]) -> tuple[syntax.Parameter, ...]:
        return tuple(child for child in children if child is not None)

    def def_(self, meta: Any, children: list[Any]) -> syntax.Def:
        return syntax.Def(_word(children[1]), children[2] or (), children[3], span=_where(meta))

    def setting(self, meta: Any, children: list[Any]) -> syntax.Setting:
        return syntax.Setting(_word(children[0]), children[1], span=_where(meta))

    def net(self, meta: Any, children: list[Any]) -> syntax.Net:
        return syntax.Net(children[1], span=_where(meta))

    def key(self, meta: Any, children: list[Token]) -> tuple[tuple[str, ...], Span]:
        return tuple(map(str, children)), _where(meta)

    def pair(self, meta: Any, children: list[Any]) -> syntax.Pair:
        key, span = children[0]
        return syntax.Pair(key, key_span=span, value=children[1], span=_where(meta))

    def pairs(self, _meta: Any, children: list[Any]) -> tuple[syntax.Pair, ...]:
        return tuple(children)

    def section(self, meta: Any, children: list[Any]) -> syntax.Section:
        return syntax.Section(_word(children[0]), children[1], span=_where(meta))

    def file(self, meta: Any, children: list[Any]) -> syntax.File:
        return syntax.File(tuple(children), span=_where(meta))

    def bare(self, meta: Any, children: list[Any]) -> syntax.File:
        return syntax.File((syntax.Net(children[0], bare=True, span=_where(meta)),), span=_where(meta))


_BUILD = _Build()


def build(tree: Tree[Token]) -> Any:
    """A File for the start `file`, Pairs for `pairs`, an Expression for `value`."""
    built: dict[int, Any] = {}
    for part in tree.iter_subtrees():  # from the leaves on; a loop, so that deep nesting needs no deep stack
        children = [built[id(child)] if isinstance(child, Tree) else child for child in part.children]
        built[id(part)] = getattr(_BUILD, part.data)(part.meta, children)
    return built[id(tree)]
