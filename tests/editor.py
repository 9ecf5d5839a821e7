"""A scripted editor: starts `netspec lsp` as a process and speaks JSON-RPC with it over its pipes."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from queue import Queue
from types import TracebackType
from typing import Any

SECONDS = 60
LSP = ("-m", "netspec", "lsp")
EVERYTHING = {
    "general": {"positionEncodings": ["utf-16"]},
    "textDocument": {
        "completion": {"completionItem": {"snippetSupport": True}},
        "rename": {"prepareSupport": True},
        "documentSymbol": {"hierarchicalDocumentSymbolSupport": True},
    },
}


class Refused(Exception):  # noqa: N818  what the server answered
    """An error in the place of a result."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Editor:
    """One session. What the server sends unasked is kept in `told`."""

    def __init__(self, capabilities: dict[str, Any] | None = None, words: Sequence[str] = LSP, root: str | None = None) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([sys.executable, *words], stdin=pipe, stdout=pipe, stderr=pipe)
        self.capabilities = EVERYTHING if capabilities is None else capabilities
        self.arrived: Queue[dict[str, Any] | None] = Queue()
        self.told: list[dict[str, Any]] = []
        self.number = 0
        self.root = root
        self.errors = b""
        self.threads = [threading.Thread(target=self._read, daemon=True), threading.Thread(target=self._read_errors, daemon=True)]
        for thread in self.threads:
            thread.start()

    def __enter__(self) -> Editor:
        self.started = self.ask("initialize", processId=None, rootUri=self.root, capabilities=self.capabilities)
        self.tell("initialized")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None and kind is None:
            self.ask("shutdown")
            self.tell("exit")
            self.wait()
        self.stop()

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        while True:
            length = 0
            while line := stream.readline().strip():
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            if not length:
                self.arrived.put(None)
                return
            self.arrived.put(json.loads(stream.read(length)))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors = self.process.stderr.read()

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin is not None
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def tell(self, method: str, **params: Any) -> None:
        """A notification."""
        self.send({"method": method, "params": params})

    def ask(self, method: str, **params: Any) -> Any:
        """The result of a request. Raises Refused."""
        self.number += 1
        self.send({"id": self.number, "method": method, **({"params": params} if params else {})})
        while True:
            message = self.next()
            if message.get("id") == self.number:
                if "error" in message:
                    raise Refused(message["error"]["code"], message["error"]["message"])
                return message["result"]
            self.told.append(message)

    def next(self) -> dict[str, Any]:
        message = self.arrived.get(timeout=SECONDS)
        assert message is not None, "the server has ended"
        return message

    def open(self, uri: str, text: str) -> None:
        self.tell("textDocument/didOpen", textDocument={"uri": uri, "languageId": "netspec", "version": 1, "text": text})

    def change(self, uri: str, version: int, text: str) -> None:
        self.tell("textDocument/didChange", textDocument={"uri": uri, "version": version}, contentChanges=[{"text": text}])

    def at(self, method: str, uri: str, line: int, character: int, **more: Any) -> Any:
        """A request about a place."""
        return self.ask(f"textDocument/{method}", textDocument={"uri": uri}, position={"line": line, "character": character}, **more)

    def findings(self, uri: str, version: int | None = None) -> list[dict[str, Any]]:
        """The diagnostics that come next for a text, of that version where one is named."""
        while True:
            for at, message in enumerate(self.told):
                params = message.get("params", {})
                if message["method"] == "textDocument/publishDiagnostics" and params["uri"] == uri:
                    del self.told[at]
                    if version is None or params.get("version") == version:
                        return list(params["diagnostics"])
                    break
            else:
                self.told.append(self.next())

    def wait(self) -> int:
        return self.process.wait(timeout=SECONDS)

    def stop(self) -> None:
        """Ends the process, if it has not ended, and closes its pipes."""
        self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join(timeout=SECONDS)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
