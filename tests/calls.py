"""The calls of samples, read without the language's own parser, so that the laws of layers stand on the catalogue alone."""

from __future__ import annotations

import re
from typing import Any

from netspec.base.initializer import Initializer
from netspec.base.layer import Layer
from netspec.catalog.registry import entries

CALL = re.compile(r"(?P<name>\w+)(?:\((?P<arguments>.*)\))?")


def value(text: str) -> Any:
    """A value of the language: a number, a percentage, a pair, true or false, or a name."""
    if re.fullmatch(r"\d+", text):
        return int(text)
    if re.fullmatch(r"\d+x\d+", text):
        return tuple(map(int, text.split("x")))
    if re.fullmatch(r"[\d.]+%", text):
        return float(text[:-1]) / 100
    if re.fullmatch(r"[\d.]+(e-?\d+)?", text):
        return float(text)
    if text in ("true", "false"):
        return text == "true"
    inits = entries(Initializer)
    return inits[text]() if text in inits else text


def arguments(text: str, positional: str | None) -> dict[str, Any]:
    """Named arguments of a call, the first one by its place where it has no key."""
    given = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, mark, word = part.partition("=")
        given[key.strip() if mark else str(positional)] = value((word if mark else key).strip())
    return given


def layer_of(call: str, kind: type[Layer] | None = None) -> Layer:
    """`conv(4, pad=1)` as a layer; of `kind` where the word has two meanings."""
    found = CALL.fullmatch(call)
    assert found, call
    kind = kind or entries(Layer)[found["name"]]
    return kind(**arguments(found["arguments"] or "", kind.positional()))
