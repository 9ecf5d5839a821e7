"""Texts as users hand them over: parse, load, format."""

from __future__ import annotations

from pathlib import Path

from netspec.base.errors import UsageError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse as parse_source


def source_of(spec: str | Path) -> Source:
    """The text of a spec: a Path, or a str that ends in .net, is a file; any other str is the text itself. Raises UsageError."""
    if isinstance(spec, str) and not spec.endswith(".net"):
        return Source(spec)
    try:
        return Source(Path(spec).read_text(encoding="utf-8"), str(spec))
    except FileNotFoundError:
        raise UsageError(f"{spec}: no such file") from None
    except IsADirectoryError:
        raise UsageError(f"{spec}: is a folder, not a .net file") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{spec}: is not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise UsageError(f"{spec}: cannot be read: {error.strerror}") from None


def parse(text: str) -> syntax.File:
    """The program that a text is, as written, before expansion. Raises SpecError."""
    return parse_source(Source(text))


def load(path: str | Path) -> syntax.File:
    """The program of a .net file, as written. Raises SpecError, UsageError."""
    return parse_source(source_of(Path(path)))


def format(program: syntax.File) -> str:  # noqa: A001  the word of the interface
    """The program as text in canonical form: parsing it gives the program again, and comments are kept."""
    return format_file(program)
