"""`netspec layers [NAME]`: what a .net file may name, with arguments, types, defaults, shapes, formula and example."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic.fields import FieldInfo

from netspec.base.clip import Clip
from netspec.base.dataset import DataSource
from netspec.base.entry import Entry
from netspec.base.errors import UsageError
from netspec.base.initializer import Initializer
from netspec.base.kinds import Head, Merge
from netspec.base.layer import Layer
from netspec.base.loss import Loss
from netspec.base.optimizer import Optimizer
from netspec.base.schedule import RateSchedule
from netspec.base.shape import Shape, show
from netspec.base.stopping import StoppingRule
from netspec.base.text import Source
from netspec.base.transform import Transform
from netspec.catalog.registry import entries
from netspec.frontend.later import OTHER_KEYS, OTHER_WORDS, squeezed
from netspec.frontend.program import Overrides
from netspec.frontend.sections import SECTION_MODELS
from netspec.frontend.validate import load
from netspec.frontend.words import describe_field, nearest, written
from netspec.graph.check import to_graph
from netspec.ui.entry_words import BLOCK_WORDS, SEARCH_WORDS, WORDS
from netspec.ui.screen import print_json

WIDTH = 78
OTHER_PAGES = {**BLOCK_WORDS, **SEARCH_WORDS, **WORDS}
"""Words that are no entries of the catalogue."""
CONTRACTS: dict[str, type[Entry]] = {
    "layers": Layer, "losses": Loss, "optimizers": Optimizer, "schedules": RateSchedule, "gradient bounds": Clip,
    "stopping rules": StoppingRule, "initial weights": Initializer, "data sources": DataSource, "transforms": Transform,
}  # fmt: skip


def run(name: str | None, *, json: bool) -> int:
    """Prints the list, or the page of one name. Raises UsageError for a name that is not there."""
    if name is None:
        if json:
            print_json([facts_of(entry, title) for title, entry in every()])
        else:
            print(overview())
        return 0
    known = {entry.name: (entry, title) for title, entry in reversed(list(every()))}  # a layer before a transform of its name
    owners = [section for section, model in SECTION_MODELS.items() if name in model.model_fields]
    if name in known:
        entry, title = known[name]
        facts, text = facts_of(entry, title), page(entry)
    elif name in SECTION_MODELS:
        facts, text = section_facts(name), section_page(name)
    elif owners:
        facts, text = key_facts(owners[0], name), key_page(owners[0], name)
    elif name in OTHER_PAGES:
        example, meaning = OTHER_PAGES[name]
        facts, text = {"name": name, "kind": "words", "example": example, "text": meaning}, word_page(name)
    elif takers := [entry for _, entry in every() if name in entry.model_fields]:
        facts, text = argument_facts(takers, name), argument_page(takers, name)
    else:
        keys = [key for model in SECTION_MODELS.values() for key in model.model_fields]
        near = OTHER_WORDS.get(squeezed(name)) or OTHER_KEYS.get(squeezed(name)) or nearest(name, [*known, *SECTION_MODELS, *keys])
        hint = f"did you mean {near}? " if near else ""
        raise UsageError(f"there is nothing named {name} in the catalogue; {hint}`netspec layers` lists all")
    if json:
        print_json(facts)
    else:
        print(text)
    return 0


def every() -> Iterator[tuple[str, type[Entry]]]:
    """(kind, entry), layers first and heads apart."""
    layers = list(entries(Layer).values())  # type: ignore[type-abstract]  # the contract itself is never made
    yield from (("layers", entry) for entry in layers if not issubclass(entry, Head))
    yield from (("heads", entry) for entry in layers if issubclass(entry, Head))
    for title, contract in list(CONTRACTS.items())[1:]:
        yield from ((title, entry) for entry in entries(contract).values())


def overview() -> str:
    """Every entry in a line: its call with defaults, what it does."""
    lines: list[str] = []
    shown = ""
    for title, entry in every():
        if title != shown:
            lines += ["", title] if lines else [title]
            shown = title
        call = signature(entry)
        first = f"  {call:<28} "
        if len(call) > 28:
            lines += textwrap.wrap(call, WIDTH, initial_indent="  ", subsequent_indent="      ")
            first = " " * 31
        lines += textwrap.wrap(one_line(entry), WIDTH, initial_indent=first, subsequent_indent=" " * 31)
    lines += ["", "sections"]
    for name, model in SECTION_MODELS.items():
        lines += textwrap.wrap(", ".join(model.model_fields), WIDTH, initial_indent=f"  {name:<28} ", subsequent_indent=" " * 31)
    lines += textwrap.wrap(
        "let names and keys of train, by choice(...), range(a, b) or log(a, b)", WIDTH, initial_indent=f"  {'search':<28} ",
        subsequent_indent=" " * 31,
    )  # fmt: skip
    lines += ["", "words of chains"]
    for example, meaning in BLOCK_WORDS.values():
        lines += textwrap.wrap(meaning.replace("`", ""), WIDTH, initial_indent=f"  {example:<34} ", subsequent_indent=" " * 37)
    lines += ["", "`netspec layers NAME` shows one of them: arguments, shapes, formula, example;", "of a section or a key what it means."]
    return "\n".join(lines)


def one_line(entry: type[Entry]) -> str:
    """The first words of the file that declares the entry, or else of its own docstring."""
    module = inspect.getmodule(entry)
    text = (module.__doc__ if module else None) or entry.__doc__ or ""
    return " ".join(text.strip().split("\n\n")[0].split())


def signature(entry: type[Entry]) -> str:
    """`conv(filters=32, kernel=3, ...)`; arguments whose default is none are left out."""
    if issubclass(entry, Merge):
        return f"{entry.name}(a | b | ...)"
    parts = [f"{name}={_default(info)}" for name, info in entry.model_fields.items() if not _has_no_default(info)]
    return f"{entry.name}({', '.join(parts)})" if parts else entry.name


def page(entry: type[Entry]) -> str:
    """All that the declaration says."""
    parts = [textwrap.fill(signature(entry), WIDTH, subsequent_indent="  "), _docstring(entry)]
    if issubclass(entry, DataSource) and entry.keys:
        parts.append(f"keys of data, beside split, normalize and transforms\n  {', '.join(entry.keys)}")
    if entry.model_fields:
        parts.append("arguments\n" + "\n".join(_argument(name, info) for name, info in entry.model_fields.items()))
    form = getattr(entry, "head_form", None)
    if form is not None:
        parts.append(f"as the last layer\n{textwrap.indent(_docstring(form), '  ')}")
    head: type[Entry] = form or entry
    if issubclass(head, Head):
        parts.append(f"losses\n  {', '.join(head.losses)} (the first where none is named)")
    if issubclass(entry, Layer):
        parts.append("examples\n" + "\n".join(f"  {call:<44} {before} -> {after}" for call, before, after in examples(entry)))
    return "\n\n".join(parts)


def word_page(name: str) -> str:
    """A word that is no entry of the catalogue."""
    example, meaning = OTHER_PAGES[name]
    return f"{example}\n\n{textwrap.fill(meaning.replace('`', ''), WIDTH)}"


def section_page(name: str) -> str:
    """The keys of a section."""
    fields = SECTION_MODELS[name].model_fields
    parts = [f"{name} {{ key = value; ... }}", "keys\n" + "\n".join(_argument(key, info) for key, info in fields.items())]
    return "\n\n".join([*parts, f"`--set {name}.KEY=VALUE` changes one from the command line."])


def key_page(section: str, key: str) -> str:
    """One key of a section."""
    return f"a key of {section}\n{_argument(key, SECTION_MODELS[section].model_fields[key])}"


def section_facts(name: str) -> dict[str, Any]:
    """What `--json` prints of a section."""
    return {"name": name, "kind": "sections", "keys": [_facts(key, info) for key, info in SECTION_MODELS[name].model_fields.items()]}


def key_facts(section: str, key: str) -> dict[str, Any]:
    """What `--json` prints of a key."""
    return {"kind": f"a key of {section}", **_facts(key, SECTION_MODELS[section].model_fields[key])}


def argument_page(takers: Sequence[type[Entry]], name: str) -> str:
    """An argument of several entries, what it means in each."""
    return f"an argument of {', '.join(entry.name for entry in takers)}\n\n" + "\n".join(
        dict.fromkeys(f"{entry.name}\n{_argument(name, entry.model_fields[name])}" for entry in takers)
    )


def argument_facts(takers: Sequence[type[Entry]], name: str) -> dict[str, Any]:
    """What `--json` prints of an argument."""
    return {"kind": "an argument", "name": name, "of": {entry.name: _facts(name, entry.model_fields[name]) for entry in takers}}


def _facts(name: str, info: FieldInfo) -> dict[str, Any]:
    default = None if _has_no_default(info) else _default(info)
    return {"name": name, "type": describe_field(info), "default": default, "description": info.description}


def _docstring(entry: type[Entry]) -> str:
    """The entry's own words; of a source those of its file, which say how the data must lie."""
    module = inspect.getmodule(entry) if issubclass(entry, DataSource) else None
    paragraphs = inspect.cleandoc((module.__doc__ if module else None) or entry.__doc__ or "").split("\n\n")
    return "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="  ") for part in paragraphs for line in _sentences(part))


def _sentences(part: str) -> list[str]:
    """The lines of a docstring, with `Shapes:` and `Source:` beginning lines of their own."""
    text = " ".join(part.split())
    for word in ("Shapes:", "Source:"):
        text = text.replace(f" {word}", f"\n{word}")
    return text.split("\n")


def _has_no_default(info: FieldInfo) -> bool:
    return info.is_required() or info.default is None


def _default(info: FieldInfo) -> str:
    return written(info.get_default(call_default_factory=True))


def _argument(name: str, info: FieldInfo) -> str:
    head = f"  {name}" if _has_no_default(info) else f"  {name} = {_default(info)}"
    text = f"{info.description} ({describe_field(info)})" if info.description else describe_field(info)
    if len(head) > 24:
        return f"{textwrap.fill(head, WIDTH, subsequent_indent=' ' * 6)}\n{textwrap.indent(textwrap.fill(text, WIDTH - 21), ' ' * 21)}"
    return textwrap.fill(text, WIDTH, initial_indent=f"{head:<20} ", subsequent_indent=" " * 21)


def examples(entry: type[Layer]) -> list[tuple[str, str, str]]:
    """(call, shape of an input row, shape of an output row) of the samples that the layer declares."""
    # a layer behind it, for a last `sigmoid` is read as the head, and a last affine may have the width of the scores
    behind = "" if issubclass(entry, Head) else " -> tanh"
    return [(sample.call, show(sample.shape), show(_after(f"{sample.call}{behind}", sample.shape))) for sample in entry.samples]


def _after(chain: str, shape: Shape) -> Shape:
    graph = to_graph(load(Source(chain), Overrides(input=shape)))
    return graph.output.shape


def facts_of(entry: type[Entry], title: str) -> dict[str, Any]:
    """What `--json` prints of one entry."""
    facts: dict[str, Any] = {
        "name": entry.name,
        "kind": title,
        "summary": one_line(entry),
        "text": inspect.cleandoc(entry.__doc__ or ""),
        "arguments": [_facts(name, info) for name, info in entry.model_fields.items()],
    }
    if issubclass(entry, Layer):
        facts["examples"] = [{"call": call, "input": before, "output": after} for call, before, after in examples(entry)]
    if issubclass(entry, Head):
        facts["losses"] = list(entry.losses)
    return facts
