"""Colours of terminals, and of notebooks where they show what a terminal would."""

from __future__ import annotations

import re

RED, YELLOW, BLUE, BOLD, PLAIN = "\033[1;31m", "\033[1;33m", "\033[34m", "\033[1m", "\033[0m"
GREEN, CYAN = "\033[32m", "\033[36m"
ANSI = re.compile(r"\033\[[0-9;]*m")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def coloured(text: str) -> str:
    """The text of a diagnostic with its severity, its place and its carets in colour."""
    lines = text.split("\n")
    tint = YELLOW if text.startswith("warning") else RED
    lines[0] = re.sub(r"^(\w+\[\w+\])(.*)$", rf"{tint}\1{PLAIN}{BOLD}\2{PLAIN}", lines[0])
    for at, line in enumerate(lines[1:], 1):
        if re.match(r"^ +\| [ \t]*\^", line):
            lines[at] = re.sub(r"(\^+.*)$", rf"{tint}\1{PLAIN}", line)
        elif line.startswith("  -->"):
            lines[at] = f"{BLUE}{line}{PLAIN}"
    return "\n".join(lines)


def spelt_out(text: str) -> str:
    """The text without what would move a terminal's cursor or change its colours: a message may quote a file of a stranger."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
