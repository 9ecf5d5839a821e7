"""What an editor is told, in the protocol's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from netspec.base import diagnostic
from netspec.base.extras import library
from netspec.base.text import Source, Span
from netspec.frontend.explain import page_path
from netspec.ui.language.complete import Item
from netspec.ui.language.outline import Outlined
from netspec.ui.language.positions import Lines, Position
from netspec.ui.language.signature import Signature

if TYPE_CHECKING:
    from lsprotocol import types
else:
    types = library("lsprotocol.types", "lsp")

NAME = "netspec"
ITEM_KINDS = {
    "keyword": types.CompletionItemKind.Keyword, "layer": types.CompletionItemKind.Class, "call": types.CompletionItemKind.Function,
    "def": types.CompletionItemKind.Function, "let": types.CompletionItemKind.Constant, "parameter": types.CompletionItemKind.Variable,
    "argument": types.CompletionItemKind.Field, "key": types.CompletionItemKind.Property, "word": types.CompletionItemKind.EnumMember,
    "point": types.CompletionItemKind.Reference,
}  # fmt: skip
SYMBOL_KINDS = {
    "value": types.SymbolKind.Constant, "chain": types.SymbolKind.Function, "section": types.SymbolKind.Namespace,
    "key": types.SymbolKind.Property, "layers": types.SymbolKind.Object, "file": types.SymbolKind.File,
}  # fmt: skip


def position(place: Position) -> types.Position:
    return types.Position(*place)


def range_of(lines: Lines, span: Span) -> types.Range:
    first, last = lines.range(span)
    return types.Range(position(first), position(last))


def diagnostic_of(found: diagnostic.Diagnostic, source: Source, lines: Lines, used: Mapping[str, Span]) -> types.Diagnostic:
    """One finding. One about another text says where it is, and stands at the `use` that brings it, by the path; else at the beginning."""
    own = found.source is None or found.source == source
    place = found.span if own else used.get(str(Path(found.path)))
    where = "" if own else f"{found.path}:{found.line}:{found.column}: "
    notes = [*([found.label] if found.label else []), *found.notes, *([f"help: {found.help}"] if found.help else [])]
    page = page_path(found.code)
    return types.Diagnostic(
        range=range_of(lines, place or Span(0, 0)),
        message="\n".join([where + found.message, *notes]),
        severity=types.DiagnosticSeverity.Error if found.severity == "error" else types.DiagnosticSeverity.Warning,
        code=found.code,
        code_description=types.CodeDescription(page.resolve().as_uri()) if page else None,
        source=NAME,
    )


def markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)


def completion_of(item: Item, number: int, lines: Lines, snippets: bool) -> types.CompletionItem:
    """One proposal, sorted as numbered."""
    is_snippet = snippets and bool(item.snippet)
    return types.CompletionItem(
        item.label,
        kind=ITEM_KINDS[item.kind],
        detail=item.detail or None,
        documentation=markdown(item.page) if item.page else None,
        sort_text=f"{number:04}",
        filter_text=item.label,
        insert_text_format=types.InsertTextFormat.Snippet if is_snippet else types.InsertTextFormat.PlainText,
        text_edit=types.TextEdit(range_of(lines, item.replaces), item.snippet if is_snippet else item.text or item.label),
    )


def symbols_of(outlined: Sequence[Outlined], lines: Lines) -> list[types.DocumentSymbol]:
    """An outline as a tree."""
    return [
        types.DocumentSymbol(
            one.name or NAME,
            SYMBOL_KINDS[one.kind],
            range_of(lines, one.span),
            range_of(lines, one.name_span),
            detail=one.detail,
            children=symbols_of(one.children, lines),
        )
        for one in outlined
    ]


def flat_symbols_of(outlined: Sequence[Outlined], lines: Lines, uri: str, inside: str = "") -> list[types.SymbolInformation]:
    """An outline as a list, for editors that know no trees."""
    found: list[types.SymbolInformation] = []
    for one in outlined:
        where = types.Location(uri, range_of(lines, one.span))
        found.append(types.SymbolInformation(where, one.name or NAME, SYMBOL_KINDS[one.kind], container_name=inside or None))
        found += flat_symbols_of(one.children, lines, uri, one.name)
    return found


def signature_of(found: Signature) -> types.SignatureHelp:
    """The arguments of a call."""
    parameters = [types.ParameterInformation(words, documentation=text or None) for words, text in found.arguments]
    active = len(parameters) if found.active is None else found.active  # one that is not there: none is marked
    return types.SignatureHelp([types.SignatureInformation(found.label, parameters=parameters)], 0, active)
