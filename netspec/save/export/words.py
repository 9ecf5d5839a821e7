"""Values as words of Python source. Whatever comes from a spec or a file reaches source through these functions alone."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def literal(value: Any) -> str:
    """A number, a truth value, a text, None, or a tuple or list of such, as a literal of Python. Raises ValueError for anything else."""
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, (tuple, list)):
        inner = ", ".join(literal(part) for part in plain)
        return f"[{inner}]" if isinstance(plain, list) else f"({inner}{',' if len(plain) == 1 else ''})"
    if isinstance(plain, float) and not isfinite(plain):
        return f'float("{plain}")'
    if plain is None or type(plain) in (bool, int, float):
        return repr(plain)
    if type(plain) is str:
        return text_literal(plain)
    raise ValueError(f"{type(value).__name__} is no value of a layer's argument")


def text_literal(text: str) -> str:
    """A text in quotes, what cannot be seen spelt out."""
    quote = "'" if '"' in text and "'" not in text else '"'
    inner = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return quote + "".join(letter if letter.isprintable() else _spelt(letter) for letter in inner) + quote


def docstring(text: str, indent: str = "") -> str:
    """A text of several lines in three quotes. No text ends it; what cannot be seen, or turns the direction of writing, is spelt out."""
    inner = text.replace("\\", "\\\\")
    if '"""' in inner or inner.endswith('"'):
        inner = inner.replace('"', '\\"')
    inner = "".join(letter if letter.isprintable() or letter == "\n" else _spelt(letter) for letter in inner)
    lines = [line.rstrip(" ") for line in inner.split("\n")]
    body = "\n".join([lines[0], *(f"{indent}{line}" if line else "" for line in lines[1:])])
    return f'"""{body}\n{indent}"""' if len(lines) > 1 else f'"""{body}"""'


def _spelt(letter: str) -> str:
    code = ord(letter)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def identifier(name: str, taken: Iterable[str] = ()) -> str:
    """The name, with an underline behind it where Python, or the place, has that name already. Raises ValueError for what is no name."""
    if not IDENTIFIER.fullmatch(name):
        raise ValueError(f"{name!r} is no name")
    used = set(taken)
    while keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in used or name.startswith("__"):
        name = f"{name.lstrip('_')}_" if name.startswith("__") else f"{name}_"
    return name


def wrapped(opening: str, parts: Sequence[str], closing: str, indent: str = "", width: int = 120) -> str:
    """`opening`, the parts with commas, `closing`: on one line, or a line for each part where it is too long."""
    one = f"{indent}{opening}{', '.join(parts)}{closing}"
    if len(one) <= width and "\n" not in one:
        return one
    inner = "".join(f"{indent}    {part.replace(chr(10), chr(10) + '    ')},\n" for part in parts)
    return f"{indent}{opening}\n{inner}{indent}{closing}"


def shorten(lines: list[str]) -> None:
    """`x = f(x); return x` as `return f(x)`."""
    if len(lines) > 1 and lines[-1].startswith("return ") and not lines[-2].startswith(" "):
        name = lines[-1].removeprefix("return ")
        if lines[-2].startswith(f"{name} = "):
            lines[-2:] = [f"return {lines[-2].removeprefix(f'{name} = ')}"]
