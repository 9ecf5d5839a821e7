"""Reads a line of text by a TextMate grammar, as an editor does: of the rules that fit, the first match from the left wins."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """Some letters and their scopes, the outermost first."""

    start: int
    end: int
    scopes: tuple[str, ...]


class TextMate:
    """A grammar in the subset that Oniguruma and Python's re read alike."""

    def __init__(self, grammar: Rule) -> None:
        self.grammar = grammar

    def rules(self, patterns: list[Rule]) -> Iterator[Rule]:
        """The rules of a list, those that it includes written out."""
        for rule in patterns:
            if "include" in rule:
                yield from self.rules([self.grammar["repository"][rule["include"].removeprefix("#")]])
            elif "match" in rule or "begin" in rule:
                yield rule
            else:
                yield from self.rules(rule["patterns"])

    def pieces(self, text: str) -> list[Piece]:
        """Every piece of a text that has a scope, later ones inside earlier ones."""
        found: list[Piece] = []
        stack: list[Rule] = []
        start = 0
        for line in text.splitlines(keepends=True):
            self._line(line.rstrip("\n"), start, stack, found)
            start += len(line)
        return found

    def _line(self, line: str, start: int, stack: list[Rule], found: list[Piece]) -> None:
        at = 0
        while at <= len(line):
            patterns = stack[-1]["patterns"] if stack else self.grammar["patterns"]
            best: tuple[int, Rule, re.Match[str], bool] | None = None
            if stack:
                end = re.compile(stack[-1]["end"]).search(line, at)
                best = (end.start(), stack[-1], end, True) if end else None
            for rule in self.rules(patterns):
                match = re.compile(rule.get("match", rule.get("begin"))).search(line, at)
                if match and (best is None or match.start() < best[0]):
                    best = (match.start(), rule, match, False)
            if best is None:
                return
            _, rule, match, ends = best
            key = "endCaptures" if ends else "captures" if "match" in rule else "beginCaptures"
            if "name" in rule:
                found.append(Piece(start + match.start(), start + match.end(), (rule["name"],)))
            for number, capture in rule.get(key, {}).items():
                if match.start(int(number)) >= 0:
                    found.append(Piece(start + match.start(int(number)), start + match.end(int(number)), (capture["name"],)))
            if ends:
                stack.pop()
            elif "begin" in rule:
                assert match.end() > match.start(), "a begin that takes nothing would open for ever"
                stack.append(rule)
            at = match.end() if match.end() > at or ends else at + 1

    def scope_at(self, text: str) -> list[str]:
        """The scope of each letter; empty where it has none."""
        scopes = [""] * len(text)
        for piece in self.pieces(text):
            for at in range(piece.start, piece.end):
                scopes[at] = piece.scopes[-1]
        return scopes
