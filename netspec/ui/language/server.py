"""The language server: editors speak to it over stdin and stdout, in the Language Server Protocol. Built on pygls."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.base.cell_error import DEBUG
from netspec.base.errors import UsageError
from netspec.base.extras import library
from netspec.base.text import Source
from netspec.frontend.format import format_file
from netspec.frontend.text import source_of
from netspec.ui.language import convert
from netspec.ui.language.analysis import Analysis
from netspec.ui.language.complete import complete
from netspec.ui.language.document import Document, path_of
from netspec.ui.language.folders import texts_in
from netspec.ui.language.outline import outline
from netspec.ui.language.positions import Lines, with_ends_of, with_plain_ends
from netspec.ui.language.rename import renamable, rename
from netspec.ui.language.signature import signature_at

if TYPE_CHECKING:
    from lsprotocol import types
    from pygls.capabilities import get_capability
    from pygls.exceptions import JsonRpcException
    from pygls.lsp.server import LanguageServer
    from pygls.uris import from_fs_path, to_fs_path
else:
    LanguageServer = library("pygls.lsp.server", "lsp").LanguageServer
    types = library("lsprotocol.types", "lsp")
    get_capability = library("pygls.capabilities", "lsp").get_capability
    JsonRpcException = library("pygls.exceptions", "lsp").JsonRpcException
    from_fs_path, to_fs_path = library("pygls.uris", "lsp").from_fs_path, library("pygls.uris", "lsp").to_fs_path

PAUSE_SECONDS = 0.1
"""How long typing must pause before a text is checked: of several changes in a row the last alone is."""
COMPLETION_LETTERS = ["(", "[", "{", ",", "=", "-", ">", "@", ".", "|"]


class Server(LanguageServer):
    """The open texts by their addresses. Each change replaces the whole text, which is at most 64 KiB."""

    def __init__(self) -> None:
        super().__init__(convert.NAME, version("netspec"), text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self.documents: dict[str, Document] = {}
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        self.ended = False

    @property
    def encoding(self) -> str:
        """What columns count, as agreed when the session began."""
        chosen = self.workspace.position_encoding
        return str(getattr(chosen, "value", chosen) or "utf-16")

    def document(self, uri: str) -> Document:
        """An open text, or that of a file. Raises JsonRpcException where there is none."""
        found = self.documents.get(uri)
        if found is not None:
            return found
        path = to_fs_path(uri)
        source = self.read(Path(path)) if path else None
        if source is None:
            raise refused(f"{uri} is not open")
        return Document(path_of(path), source.text, self.read, self.encoding)

    def read(self, path: Path) -> Source | None:
        """A file's text as it is in the editor, else on disk."""
        uri = from_fs_path(str(path))
        opened = self.documents.get(uri or "")
        if opened is not None:
            return opened.analysis.source
        try:
            return Source(with_plain_ends(source_of(path).text), str(path))
        except (UsageError, ValueError, OSError):
            return None

    def others(self, document: Document) -> Iterator[Analysis]:
        """The other texts that are open, and those in the folders of the workspace; without one in the folders of the open texts."""
        opened = {one.analysis.source.path: one.analysis for one in self.documents.values() if one is not document}
        yield from opened.values()
        own = document.analysis.source.path
        roots = [Path(path) for path in map(to_fs_path, self.workspace.folders) if path]
        if not roots and self.workspace.root_path:
            roots = [Path(self.workspace.root_path)]
        beside = [Path(path).parent for path in (own, *opened, *document.analysis.used_files) if path.endswith(".net")]
        known = {str(Path(path).resolve()) for path in (own, *opened)}
        for path in texts_in(roots or beside):
            source = None if str(path) in known else self.read(path)
            if source is not None:
                yield Analysis(source, self.read)

    def uri_of(self, path: str) -> str:
        """The address by which the editor knows a file."""
        place = Path(path).resolve()
        for uri, document in self.documents.items():
            if document.analysis.source.path.endswith(".net") and Path(document.analysis.source.path).resolve() == place:
                return uri
        return from_fs_path(str(place)) or path

    def take(self, uri: str, pause: float) -> None:
        """Takes the text that the editor has now, and checks it after a pause, unless there is another by then."""
        text = self.workspace.get_text_document(uri).source
        found = self.documents.get(uri)
        if found is None:
            self.documents[uri] = Document(path_of(to_fs_path(uri)), text, self.read, self.encoding)
        else:
            found.change(text)
        self.check_later(uri, pause)
        self.check_users(uri)

    def check_users(self, uri: str) -> None:
        """Checks the other texts that use files, for one of those may have changed."""
        for other, document in self.documents.items():
            if other != uri and document.analysis.uses:
                document.refresh()
                self.check_later(other, PAUSE_SECONDS)

    def check_later(self, uri: str, pause: float) -> None:
        if uri in self.waiting:
            self.waiting.pop(uri).cancel()
        self.waiting[uri] = asyncio.get_running_loop().call_later(pause, self.check, uri)

    def check(self, uri: str) -> None:
        """Sends every finding about a text."""
        self.waiting.pop(uri, None)
        document = self.documents.get(uri)
        if document is None:
            return
        try:
            now = document.analysis
            found = [convert.diagnostic_of(one, now.source, document.lines, now.used_files) for one in now.diagnostics]
        except Exception as error:  # a fault of ours: the session goes on, and the editor's log has it
            self.window_log_message(types.LogMessageParams(types.MessageType.Error, f"{type(error).__name__}: {error}"))
            return
        number = self.workspace.get_text_document(uri).version
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, number))

    def close(self, uri: str) -> None:
        self.documents.pop(uri, None)
        if uri in self.waiting:
            self.waiting.pop(uri).cancel()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def can(self, capability: str) -> bool:
        """Whether the editor says that it can do something."""
        return bool(get_capability(self.client_capabilities, f"text_document.{capability}", False))


def refused(message: str) -> JsonRpcException:
    """The answer to a request that cannot be fulfilled, with words for the person at the editor."""
    return JsonRpcException(message, code=types.LSPErrorCodes.RequestFailed.value)


# the requests; `ls` is what pygls calls the server


def did_open(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    ls.take(params.text_document.uri, 0)


def did_change(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    ls.take(params.text_document.uri, PAUSE_SECONDS)


def did_close(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    ls.close(params.text_document.uri)


def did_save(ls: Server, params: types.DidSaveTextDocumentParams) -> None:
    ls.check_users(params.text_document.uri)


def shutdown(ls: Server, _params: Any) -> None:
    ls.ended = True


def _at(ls: Server, params: Any) -> tuple[Document, int]:
    """The text and the code point that a request is about."""
    document = ls.document(params.text_document.uri)
    return document, document.lines.offset(params.position.line, params.position.character)


def hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    document, offset = _at(ls, params)
    found = document.hover(offset)
    return None if found is None else types.Hover(convert.markdown(found.text), convert.range_of(document.lines, found.span))


def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    document, offset = _at(ls, params)
    snippets = ls.can("completion.completion_item.snippet_support")
    items = complete(document.analysis, offset)
    return types.CompletionList(False, [convert.completion_of(one, at, document.lines, snippets) for at, one in enumerate(items)])


def signature_help(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    document, offset = _at(ls, params)
    found = signature_at(document.analysis.source, offset)
    return None if found is None else convert.signature_of(found)


def definition(ls: Server, params: types.DefinitionParams) -> types.Location | None:
    document, offset = _at(ls, params)
    place = document.definition(offset)
    if place is None:
        return None
    if not place.path:
        return types.Location(params.text_document.uri, convert.range_of(document.lines, place.span))
    source = ls.read(Path(place.path))
    uri = from_fs_path(os.path.normpath(place.path))
    if source is None or uri is None:
        return None
    return types.Location(uri, convert.range_of(Lines(source.text, ls.encoding), place.span))


def references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    document, offset = _at(ls, params)
    spans = document.references(offset, params.context.include_declaration)
    return [types.Location(params.text_document.uri, convert.range_of(document.lines, span)) for span in spans]


def document_symbol(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol] | list[types.SymbolInformation]:
    document = ls.document(params.text_document.uri)
    found = outline(document.analysis.file)
    if ls.can("document_symbol.hierarchical_document_symbol_support"):
        return convert.symbols_of(found, document.lines)
    return convert.flat_symbols_of(found, document.lines, params.text_document.uri)


def formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit] | None:
    """The whole text anew; nothing where it does not parse."""
    document = ls.document(params.text_document.uri)
    if document.analysis.parsed is None:
        return None
    text = document.analysis.source.text
    new = format_file(document.analysis.parsed)
    if new == text:
        return []
    end = document.lines.position(len(text))
    whole = types.Range(types.Position(0, 0), convert.position(end))
    return [types.TextEdit(whole, with_ends_of(document.text, new))]


def prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.PrepareRenamePlaceholder:
    document, offset = _at(ls, params)
    try:
        found = renamable(document.analysis, offset)
    except UsageError as error:
        raise refused(str(error)) from None
    return types.PrepareRenamePlaceholder(convert.range_of(document.lines, found.span), found.text)


def rename_everywhere(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit:
    document, offset = _at(ls, params)
    try:
        changes = rename(document.analysis, offset, params.new_name, ls.others(document))
    except UsageError as error:
        raise refused(str(error)) from None
    edits: dict[str, list[types.TextEdit]] = {}
    for change in changes:
        own = change.analysis is document.analysis
        uri = params.text_document.uri if own else ls.uri_of(change.analysis.source.path)
        lines = Lines(change.analysis.source.text, ls.encoding)
        edits[uri] = [types.TextEdit(convert.range_of(lines, span), params.new_name) for span in change.spans]
    return types.WorkspaceEdit(changes=edits)


def make_server() -> Server:
    """The server with all that it answers."""
    server = Server()
    for feature, answer, options in (
        (types.TEXT_DOCUMENT_DID_OPEN, did_open, None),
        (types.TEXT_DOCUMENT_DID_CHANGE, did_change, None),
        (types.TEXT_DOCUMENT_DID_CLOSE, did_close, None),
        (types.TEXT_DOCUMENT_DID_SAVE, did_save, None),
        (types.SHUTDOWN, shutdown, None),
        (types.TEXT_DOCUMENT_HOVER, hover, None),
        (types.TEXT_DOCUMENT_COMPLETION, completion, types.CompletionOptions(trigger_characters=COMPLETION_LETTERS)),
        (types.TEXT_DOCUMENT_SIGNATURE_HELP, signature_help, types.SignatureHelpOptions(trigger_characters=["(", ","])),
        (types.TEXT_DOCUMENT_DEFINITION, definition, None),
        (types.TEXT_DOCUMENT_REFERENCES, references, None),
        (types.TEXT_DOCUMENT_DOCUMENT_SYMBOL, document_symbol, None),
        (types.TEXT_DOCUMENT_FORMATTING, formatting, None),
        (types.TEXT_DOCUMENT_PREPARE_RENAME, prepare_rename, None),
        (types.TEXT_DOCUMENT_RENAME, rename_everywhere, types.RenameOptions(prepare_provider=True)),
    ):
        server.feature(feature, options)(answer)
    return server


def serve() -> int:
    """Answers one editor until it says exit, or is gone. The exit code is 0 where it asked to shut down before, else 1, as the
    protocol says."""
    if not os.environ.get(DEBUG):
        logging.getLogger("pygls").setLevel(logging.CRITICAL)  # it logs what is answered to the editor anyway, with tracebacks
    server = make_server()
    # a stream of its own, which it may close; whatever else is printed must not stand between messages
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out, redirect_stdout(sys.stderr):
        server.start_io(sys.stdin.buffer, out)
    return 0 if server.ended else 1
