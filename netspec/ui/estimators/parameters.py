"""The parameters that a text has: its lets, and the keys of its train section."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from netspec.base.text import Source
from netspec.frontend.migrations import migrate
from netspec.frontend.parse import parse
from netspec.frontend.program import Program
from netspec.frontend.resolved import train_keys
from netspec.frontend.sections import SECTION_MODELS, key_of, section_keys
from netspec.frontend.used import used_names
from netspec.frontend.values import Content, show
from netspec.frontend.words import listing, nearest

PLAIN = (bool, int, float, str, tuple, type(None))


def parameters_of(program: Program) -> dict[str, Any]:
    """Each that the text uses by its name, with the value that it has; what Python has no word for as a text of the language."""
    texts, train = train_keys(program.train), program.train
    keys = {name: getattr(train, name) for name in type(train).model_fields}
    values = {f"train.{name}": value if isinstance(value, PLAIN) else texts[name] for name, value in keys.items()}
    used = used_names(migrate(parse(program.source)))
    lets = {name: _in_python(content) for name, content in program.lets.items() if name in used}
    return {**lets, **values, "train.lr": getattr(train.optimizer, "lr", None)}


def _in_python(content: Content) -> Any:
    return content if isinstance(content, PLAIN) else show(content)


def unknown(names: Iterable[str], source: Source) -> list[str]:
    """Those names that no parameter of the text has. Raises SpecError."""
    known = {*used_names(migrate(parse(source))), *section_keys(*SECTION_MODELS), "seed"}
    return [name for name in names if name not in known]


def no_such(kind: str, names: Sequence[str], own: Iterable[str], of_text: Mapping[str, Any]) -> str:
    """The message about parameters that an estimator has not, with the nearest name and all that there are."""
    lets = [name for name in of_text if "." not in name]
    own, keys = list(own), section_keys(*SECTION_MODELS)
    told = []
    for name in names:
        near = key_of(name) or nearest(name, [*own, *lets, *keys])
        told.append(f"`{name}`" + (f" (did you mean `{near}`?)" if near else ""))
    of_text_too = f"the text's lets: {', '.join(lets)}" if lets else "the text has no `let`"
    named = ", ".join((*section_keys("train"), "data.transforms"))
    return f"{kind} has no parameter {listing(told, 'and')}. Its own: {', '.join(own)}; {of_text_too}; the text's keys: {named}"
