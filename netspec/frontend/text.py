"""Texts as users hand them over: parse, load, format."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path
from typing import Protocol

from netspec.base.errors import UsageError
from netspec.base.text import Source
from netspec.frontend import limits, syntax
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse as parse_source


class Built(Protocol):
    """A net or a program that was made of Python objects (builder.py)."""

    @property
    def tree(self) -> syntax.File: ...


AnySpec = str | Path | Built
"""A text, a Path or a str ending in .net that names a file, or what was built in Python."""


def source_of(spec: AnySpec) -> Source:
    """The text of a spec: a Path, or a str that ends in .net, is a file; any other str is the text itself; what was built in Python is the
    text that it prints as. Raises UsageError."""
    if isinstance(tree := getattr(spec, "tree", None), syntax.File):
        return Source(format_file(tree))
    if isinstance(spec, str) and not spec.endswith(".net"):
        return Source(spec)
    if not isinstance(spec, (str, PathLike)):
        kinds = "a text (str), a Path or str ending in .net that names a file, or a net built in Python"
        raise UsageError(f"a spec is {kinds}; this is {_kind(spec)}")
    try:
        return Source(_read(Path(spec)), str(spec))
    except FileNotFoundError:
        raise UsageError(f"{spec}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{spec}: is a folder, not a .net file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{spec}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{spec}: cannot be read: {error.strerror}") from None


def _kind(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"of the type {name}"


def _read(path: Path) -> str:
    """The text with plain line ends, cut off soon after the limit: parsing then refuses it, however long the file is."""
    with path.open("rb") as stream:
        content = stream.read(limits.SPEC_BYTES + 4)  # so that a letter cut in two still leaves too much
    text = content.decode("utf-8", "strict" if len(content) <= limits.SPEC_BYTES else "ignore")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse(text: str) -> syntax.File:
    """The program that a text is, as written, before expansion. Raises SpecError, UsageError."""
    if not isinstance(text, str):
        raise UsageError(f"parse takes a text (str); this is {_kind(text)}; load(path) reads a file")
    return parse_source(Source(text))


def load(path: str | Path) -> syntax.File:
    """The program of a .net file, as written. Raises SpecError, UsageError."""
    if isinstance(path, str) and not path.endswith(".net") and not os.path.exists(path):  # which answers for any text
        raise UsageError(f"{path[:40]}: no such file; load reads a .net file, and parse(text) takes a text")
    return parse_source(source_of(Path(path) if isinstance(path, str) else path))


def format(program: syntax.File | Built) -> str:  # noqa: A001  the word of the interface
    """The program as text in canonical form: parsing it gives the program again, and comments are kept. Takes what was built in Python
    too. Raises UsageError."""
    tree = getattr(program, "tree", program)
    if not isinstance(tree, syntax.File):
        raise UsageError(f"format takes what parse(text) or load(path) gives; this is {_kind(program)}")
    return format_file(tree)
