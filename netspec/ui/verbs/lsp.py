"""`netspec lsp`: the language server over stdin and stdout, for editors."""

from __future__ import annotations

from netspec.ui.language.server import serve


def run() -> int:
    """Serves one editor; the exit code is the protocol's."""
    return serve()
