"""Words for what is written as elsewhere, or in the wrong place: chains as values, branches without a merge, names, files, `tied`."""

from __future__ import annotations

import re

from netspec.base.kinds import Merge
from netspec.base.layer import Layer
from netspec.base.text import Span
from netspec.catalog.registry import entries
from netspec.frontend.place import CLOSING, FOLLOWED, OPENING, Place, Slip, opener_of, run_begin
from netspec.frontend.slips import span_of
from netspec.frontend.values import CHAIN_IN_VALUE, chain_help
from netspec.frontend.words import listing

_OF_CHAINS = frozenset({"LSQB", "ARROW", "BRANCH_OPEN", "AT"})
"""Kinds of words that stand in chains, and in no value."""
_ENDS_CHAIN = frozenset({"NAME", "RSQB", "RPAR", "NUMBER", "TIED"})


def _merges() -> list[str]:
    every = entries(Layer)  # type: ignore[type-abstract]  # the contract itself is never made
    return [name for name, layer in every.items() if issubclass(layer, Merge)]


def _file(place: Place) -> Slip:
    """`use blocks`, `import "blocks.net"`."""
    if place.before.type == "USE" and place.token.type == "NAME":
        begin = place.token.start_pos or 0
        path = (re.match(r"[\w./-]+", place.source.text[begin:]) or [place.token.value])[0]
        help_text = f'write use "{path.removesuffix(".net")}.net"'
        return place.found("NS101", "`use` takes the path of a file, in quotes", help_text, Span(begin, begin + len(path)))
    name, path = (place.before, place.token) if place.token.type == "STRING" else (place.token, place.after)
    if name.type != "NAME" or path.type != "STRING" or not path.value.endswith('.net"'):
        return None
    return place.found("NS101", "the defs of another file are brought by `use`", f"write use {path.value}", span_of(name))


def _branches(place: Place) -> Slip:
    """`concat[a | b]`, `a | b`, `a + b`."""
    kind, inside = place.token.type, place.inside
    sign = kind in ("PLUS", "STAR") and "ARROW" in place.expected and place.after.type not in ("NUMBER", "STAR")
    bar = kind == "VBAR" and place.before.type in ("NAME", "RPAR", "RSQB", "NUMBER")
    if not (sign or bar) or (inside is not None and place.tokens[inside].value == "{"):
        return None
    begin, merge = run_begin(place.tokens, place.at), "mul" if kind == "STAR" else "add"
    named = inside is not None and place.tokens[inside].value == "[" and place.kind(inside - 1) == "NAME"
    if inside is not None and named and place.tokens[inside - 1].value in _merges():
        whole = place.words(inside + 1, place.end(inside + 1, ()))
        help_text = f"write {place.tokens[inside - 1].value}({whole})"
        return place.found("NS101", "branches stand in round brackets", help_text, span_of(place.tokens[inside]))
    end = place.end(place.at + 1, FOLLOWED | {"ARROW", "PLUS", "STAR"})
    both = f"{place.words(begin, place.at)} | {place.words(place.at + 1, end)}" if begin < place.at and end > place.at + 1 else "a | b"
    message = f"a branch is always merged, by {listing(_merges())}"
    return place.found("NS101", message, f"write {merge}({both})" + (f", or concat({both})" if kind == "VBAR" else ""))


def _commas(place: Place) -> Slip:
    """`add([relu], @a)`."""
    inside = place.inside
    if inside is None or place.kind(inside) != "LPAR" or place.kind(inside - 1) != "NAME" or place.token.type not in _OF_CHAINS:
        return None
    name, begin = place.tokens[inside - 1].value, inside + 1
    if name not in _merges():
        return None
    branches = []
    while begin <= (end := place.end(begin)) < len(place.tokens):
        branches.append(place.words(begin, end) if begin < end else "id")
        begin = end + 1
        if place.kind(end) != "COMMA":
            break
    if not branches:
        return None
    written = " | ".join([*branches, "..."] if len(branches) == 1 else branches)
    return place.found("NS101", f"branches of {name} are separated by |", f"write {name}({written})", span_of(place.tokens[inside - 1]))


def _round(place: Place) -> Slip:
    """`(relu - bn)`, `(relu | bn)`; `relu, bn`."""
    if place.token.type == "COMMA" and "ARROW" in place.expected:
        return place.found("NS101", "layers are not joined by `,`", "write `-` inside a unit, or `->` between units")
    if place.token.value != "(" or not {"NAME", "LSQB"} <= place.expected:
        return None
    end = place.end(place.at + 1, ())
    if place.after.value == ")":
        return place.found("NS114", "a layer is missing in these brackets", "write the layers; id is the one that changes nothing")
    inner = place.words(place.at + 1, end)
    whole = place.kind(place.at + 1) in ("NAME", "LSQB") and place.kind(end - 1) in _ENDS_CHAIN
    if place.token.type == "BRANCH_OPEN":
        inner = inner if whole else "a | b"
        return place.found("NS101", f"a branch is always merged, by {listing(_merges())}", f"write add({inner}), or concat({inner})")
    help_text = f"write [{inner}]" if whole else "write layers in them, such as [affine(100)-relu]"
    return place.found("NS101", "a chain stands in square brackets", help_text)


def _key(place: Place) -> Slip:
    """`add(a = conv(8) | id)`."""
    inside = place.inside
    if place.token.type not in ("EQUAL", "COLON") or inside is None or place.kind(inside) != "BRANCH_OPEN":
        return None
    name = place.before.value
    chain = place.words(place.at + 1, place.end(place.at + 1))
    return place.found("NS101", "a branch is a chain without a key", f"write {chain}; a name stands behind: {chain} @{name}")


def _values(place: Place) -> Slip:
    """`[conv(c)]x(c = 3, 4)`, `x(c in 3, 4)`, `x(3, 4)`."""
    inside = place.inside
    if inside is None or place.kind(inside - 1) != "REPEAT" or not (place.token.type in ("EQUAL", "COMMA") or place.token.value == "in"):
        return None
    named = place.token.type != "COMMA"
    begin = place.at + 1 if named else inside + 1
    values = place.words(begin, place.end(begin, ()))
    name = place.before.value if named else "c"
    help_text = f"write x({name}: {values})" + ("" if named else ", and use c in the chain")
    return place.found("NS107", "a repeat over values gives them a name, with a colon behind it", help_text)


def _tied(place: Place) -> Slip:
    """`[conv(8)]tied x3`, `[tied conv(8)]x3`."""
    word = place.before if place.before.value == "tied" else place.token
    if word.value != "tied" or word.type != "NAME":
        return None
    return place.found("NS107", "`tied` stands behind the count of a repeat", "write [...]x3 tied", span_of(word))


def _named(place: Place) -> Slip:
    """`relu @a-pool`, `@input`."""
    if place.before.type == "AT" and place.token.value in place.entry_words:
        start = "the input has no name of its own: write id @start first, and read @start" if place.token.value == "input" else None
        message = f"`{place.token.value}` is a word of the language and cannot be a name"
        return place.found("NS112", message, start or "choose another name")
    if place.token.type != "MINUS" or place.before.type != "NAME" or place.kind(place.at - 2) != "AT":
        return None
    run = place.words(run_begin(place.tokens, place.at - 2), place.at)
    help_text = f"write {run} -> ..., or [{run}]-..."
    return place.found("NS101", f"`@{place.before.value}` names what stands before it and ends the run", help_text)


def _reference(place: Place) -> Slip:
    """`tie = @enc.T`."""
    if place.token.type != "AT" or "NUMBER" not in place.expected:
        return None
    name = place.words(place.at + 1, place.end(place.at + 1)) if place.after.type == "NAME" else "enc"
    return place.found("NS101", "an argument names a layer without `@`", f"write {name}")


def _chain(place: Place) -> Slip:
    """`block(act = [bn-relu])`, `block(act = bn -> relu)`, `let a = res[relu]`."""
    in_value = bool(place.expected & {"NUMBER", "STAR"}) and "ARROW" not in place.expected
    if not in_value or place.token.type not in _OF_CHAINS - {"AT"}:
        return None
    inside = place.inside
    begin = place.at
    while begin - 1 > (-1 if inside is None else inside) and place.kind(begin - 1) not in ("COMMA", "EQUAL"):
        begin = opener_of(place.tokens, begin - 1) if place.tokens[begin - 1].value in CLOSING else begin - 1
    let = inside is None and place.kind(begin - 3) == "LET"
    if not let and (inside is None or place.kind(inside) != "LPAR" or place.kind(inside - 1) == "REPEAT"):
        return None
    if place.token.type == "LSQB" and begin < place.at and place.before.end_pos != place.token.start_pos:
        return None  # a chain of its own, without `net`
    end = place.end(begin)
    span = Span(place.tokens[begin].start_pos or 0, place.tokens[end - 1].end_pos or 0)
    text = place.words(begin, end)
    if re.match(r"\[\s*([^A-Za-z]|\])", text):
        return place.found("NS101", "values stand without square brackets", "write 3x5 for two sides, and a, b for a list", span)
    chain = text[1:-1] if re.fullmatch(r"\[[^\[\]]*\]", text) else text
    return place.found("NS101", CHAIN_IN_VALUE, f"write def {place.tokens[begin - 2].value} = {chain}" if let else chain_help(chain), span)


def _nothing(place: Place) -> Slip:
    """`[]`, `-relu`, `add(| a)`."""
    token, before = place.token, place.before
    if not {"NAME", "LSQB"} <= place.expected or before.type in ("ARROW", "MINUS", "VBAR", "COMMA", "EQUAL"):
        return None
    if token.value in CLOSING and before.value in OPENING:
        return place.found("NS114", "a layer is missing in these brackets", "write the layers; id is the one that changes nothing")
    if token.type not in ("MINUS", "ARROW", "VBAR"):
        return None
    help_text = "id is the branch that changes nothing" if token.type == "VBAR" else f"write a layer, or leave `{token.value}` out"
    return place.found("NS114", f"a layer is missing before `{token.value}`", help_text)


MISPLACED_WORDS = (_file, _branches, _commas, _round, _key, _values, _tied, _named, _reference, _chain, _nothing)
