"""A syntax tree back to text, one entry a line. Parsing the text gives the same tree; formatting it again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.frontend import syntax

WIDTH = 100
INDENT = "    "


def format_file(file: syntax.File) -> str:
    """The whole text, with its comments, ending in a line end."""
    lines: list[str] = []
    for number, entry in enumerate(file.entries):
        if entry.trivia.blank and number:
            lines.append("")
        lines += entry.trivia.leading
        body = _entry(entry)
        if entry.trivia.trailing:
            body[-1] += f"  {entry.trivia.trailing}"
        lines += body
    lines += file.tail
    return "\n".join(lines) + "\n" if lines else ""


def _entry(entry: syntax.Entry) -> list[str]:
    match entry:
        case syntax.Version():
            return [f"netspec {entry.number.text}"]
        case syntax.Use():
            return [f"use {entry.path.text}"]
        case syntax.Let():
            return [f"let {entry.name.text} = {value_text(entry.value)}"]
        case syntax.Setting():
            return [f"{entry.word.text} {value_text(entry.value)}"]
        case syntax.Def():
            parameters = f"({', '.join(map(_parameter, entry.parameters))})" if entry.parameters else ""
            return _chain(f"def {entry.name.text}{parameters} = ", entry.chain)
        case syntax.Net():
            return _chain("" if entry.bare else "net ", entry.chain)
        case syntax.Section():
            return _section(entry)


def _parameter(parameter: syntax.Parameter) -> str:
    return parameter.name.text if parameter.default is None else f"{parameter.name.text} = {value_text(parameter.default)}"


def _chain(head: str, chain: syntax.Chain) -> list[str]:
    """On one line where it fits and no comment breaks it, else a unit a line."""
    line = head + chain_text(chain)
    runs = chain.runs
    commented = any(run.trivia.leading for run in runs[1:]) or any(run.trivia.trailing for run in runs)
    if not commented and (len(line) <= WIDTH or len(runs) == 1):
        return [line]
    lines: list[str] = []
    for number, run in enumerate(runs):
        if number:
            lines += [INDENT + comment for comment in run.trivia.leading]
        text = (f"{INDENT}-> " if number else head) + _run(run)
        lines.append(f"{text}  {run.trivia.trailing}" if run.trivia.trailing else text)
    return lines


def _section(section: syntax.Section) -> list[str]:
    pairs = [f"{'.'.join(pair.key)} = {value_text(pair.value)}" for pair in section.pairs]
    commented = section.tail or any(pair.trivia.leading or pair.trivia.trailing for pair in section.pairs)
    line = f"{section.word.text} {{ {'; '.join(pairs)} }}" if pairs else f"{section.word.text} {{ }}"
    if not commented and len(line) <= WIDTH:
        return [line]
    lines = [f"{section.word.text} {{"]
    for pair, text in zip(section.pairs, pairs, strict=True):
        lines += [INDENT + comment for comment in pair.trivia.leading]
        lines.append(INDENT + text + (f"  {pair.trivia.trailing}" if pair.trivia.trailing else ""))
    lines += [INDENT + comment for comment in section.tail]
    return [*lines, "}"]


def chain_text(chain: syntax.Chain) -> str:
    """A chain on one line."""
    return " -> ".join(map(_run, chain.runs))


def _run(run: syntax.Run) -> str:
    text = "-".join(map(item_text, run.items))
    return f"{text} @{run.label.text}" if run.label else text


def item_text(item: syntax.Item) -> str:
    """One element of a run."""
    match item:
        case syntax.Layer():
            return item.name.text + _arguments(item.arguments)
        case syntax.Bracket():
            return f"[{chain_text(item.chain)}]"
        case syntax.Block():
            return f"{item.name.text}[{chain_text(item.chain)}]{_arguments(item.arguments)}"
        case syntax.Branches():
            return f"{item.name.text}({' | '.join(map(chain_text, item.chains))})"
        case syntax.Reference():
            return f"@{item.name.text}"
        case syntax.Repeated():
            return f"{item_text(item.unit)}x{_times(item.times)}{' tied' if item.tied else ''}"


def _times(times: syntax.Count | syntax.Over) -> str:
    if isinstance(times, syntax.Over):
        return f"({times.name.text}: {', '.join(map(value_text, times.values))})"
    value = times.value
    return value.text if isinstance(value, syntax.Literal) and value.kind == "number" else f"({value_text(value)})"


def _arguments(arguments: Sequence[syntax.Argument] | None) -> str:
    if arguments is None:
        return ""
    return f"({', '.join(f'{a.key.text}={value_text(a.value)}' if a.key else value_text(a.value) for a in arguments)})"


def value_text(value: syntax.Expression) -> str:
    """An expression on one line."""
    match value:
        case syntax.Literal():
            return value.text
        case syntax.Name():
            return value.text if value.part is None else f"{value.text}.{value.part}"
        case syntax.CallValue():
            return value.name.text + _arguments(value.arguments)
        case syntax.Group():
            return f"({value_text(value.inner)})"
        case syntax.Negative():
            return f"-{value_text(value.operand)}"
        case syntax.Arithmetic():
            return value_text(value.first) + "".join(f" {operator} {value_text(operand)}" for operator, operand in value.rest)
        case syntax.SplitValue():
            return " / ".join(map(value_text, value.parts))
        case syntax.ListValue():
            return ", ".join(map(value_text, value.items))
