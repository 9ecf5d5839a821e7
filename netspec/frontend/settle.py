"""A text with values put into it: its `let`s and keys as a caller has them, its search section gone, its comments where they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.base.shape import show as show_shape
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.parse import parse_value
from netspec.frontend.program import Overrides, Program
from netspec.frontend.resolved import data_keys, train_keys
from netspec.frontend.space import Tried
from netspec.frontend.syntax import Argument, Literal, Pair, Word
from netspec.frontend.values import show
from netspec.frontend.words import written

RATE = "train.lr"
SETTINGS = ("input", "classes", "outputs", "seed")


def settle(
    file: syntax.File, program: Program, overrides: Overrides, values: Mapping[str, Tried], places: Mapping[str, str] | None = None,
    heading: Sequence[str] = (),
) -> str:  # fmt: skip
    """The text. `program` is what `file` comes to with `overrides`, which have the `values` of a trial among them; `places` are paths of
    the data by key, `heading` comments that stand first. `use` is left as it is."""
    return _Settling(file, program, overrides, values, places or {}).text(heading)


@dataclass
class _Settling:
    file: syntax.File
    program: Program
    overrides: Overrides
    values: Mapping[str, Tried]
    places: Mapping[str, str]
    keys: dict[str, dict[str, syntax.Expression]] = field(init=False)
    """By section, what its keys are to be."""

    def __post_init__(self) -> None:
        self.keys = {"train": {}, "data": {}}
        texts = {"train": train_keys(self.program.train), "data": data_keys(self.program.data) if self.program.data else {}}
        for dotted in self.overrides.keys:
            section, _, key = dotted.partition(".")
            if section in self.keys and dotted != RATE and key in texts[section]:
                given = self.values.get(dotted)
                self.keys[section][key] = _value(texts[section][key] if given is None else _text(given))
        self.keys["data"] |= {key: Literal("string", f'"{path}"') for key, path in self.places.items()}

    def text(self, heading: Sequence[str]) -> str:
        entries = [self._entry(one) for one in self.file.entries if not _is_search(one)]
        present = {one.word.text for one in entries if isinstance(one, (syntax.Section, syntax.Setting))}
        entries += [
            self._section(syntax.Section(Word(word), ())) for word in ("data", "train") if word not in present and self._changes(word)
        ]
        entries += [syntax.Setting(Word(word), _value(text)) for word, text in self._settings().items() if word not in present]
        named = {one.name.text for one in entries if isinstance(one, syntax.Let)}
        added: list[syntax.Entry] = [syntax.Let(Word(name), self._let(name)) for name in self.overrides.lets if name not in named]
        first = next((at for at, one in enumerate(entries) if not isinstance(one, syntax.Version)), 0)
        made = replace(self.file, entries=(*entries[:first], *added, *entries[first:]))
        return "".join(f"# {line}\n" for line in heading) + format_file(made)

    def _changes(self, section: str) -> bool:
        return bool(self.keys[section]) or (section == "train" and RATE in self.overrides.keys)

    def _entry(self, entry: syntax.Entry) -> syntax.Entry:
        match entry:
            case syntax.Let() if entry.name.text in self.overrides.lets:
                return replace(entry, value=_in_place(self._let(entry.name.text), entry.value))
            case syntax.Section() if entry.word.text in self.keys:
                return self._section(entry)
            case syntax.Setting() if entry.word.text in self._settings():
                return replace(entry, value=_in_place(_value(self._settings()[entry.word.text]), entry.value))
            case syntax.Net():
                return replace(entry, bare=False)
            case _:
                return entry

    def _let(self, name: str) -> syntax.Expression:
        given = self.values.get(name)
        return _value(show(self.program.lets[name]) if given is None else _text(given))

    def _settings(self) -> dict[str, str]:
        """The settings that are given from outside, as texts."""
        found: dict[str, str] = {}
        for word in SETTINGS:
            if getattr(self.overrides, word) is not None or word in self.overrides.keys:
                value = getattr(self.program, word)
                found[word] = show_shape(value) if isinstance(value, tuple) else str(value)
        return found

    def _section(self, section: syntax.Section) -> syntax.Section:
        keys = self.keys[section.word.text]
        pairs = [
            replace(pair, value=_in_place(keys[name], pair.value)) if (name := ".".join(pair.key)) in keys else pair
            for pair in section.pairs
        ]
        present = {".".join(pair.key) for pair in pairs}
        pairs += [_pair(key, value) for key, value in keys.items() if key not in present]
        if section.word.text == "train":
            pairs = self._with_rate(pairs)
        return replace(section, pairs=tuple(pairs))

    def _with_rate(self, pairs: list[Pair]) -> list[Pair]:
        """The learning rate where it is said: in the optimizer, else as a key of its own. One that is given with the optimizer replaces
        a rate that stands beside it."""
        at = {".".join(pair.key): number for number, pair in enumerate(pairs)}
        given = RATE in self.overrides.keys
        if not given:
            return pairs if "optimizer" not in self.keys["train"] else [pair for pair in pairs if pair.key != ("lr",)]
        rate = _value(_text(self.values.get(RATE, self.program.train.optimizer.lr)))
        if "optimizer" not in at:
            return [pair for pair in pairs if pair.key != ("lr",)] + [_pair("lr", rate)]
        pair = pairs[at["optimizer"]]
        value = _rated(pair.value, rate)
        if value is not None:
            pairs[at["optimizer"]] = replace(pair, value=value)
            return [pair for pair in pairs if pair.key != ("lr",)]
        if isinstance(pair.value, (syntax.Name, syntax.CallValue)) and _text_of(pair.value) not in self.program.lets:
            kept = [one for one in pairs if one.key != ("lr",)]
            return [*kept, _pair("lr", rate)]
        pairs[at["optimizer"]] = replace(pair, value=_in_place(_value(written(self.program.train.optimizer)), pair.value))
        return [pair for pair in pairs if pair.key != ("lr",)]


def _is_search(entry: syntax.Entry) -> bool:
    return isinstance(entry, syntax.Section) and entry.word.text == "search"


def _text(value: Tried) -> str:
    return value if isinstance(value, str) else repr(value)


def _text_of(node: syntax.Name | syntax.CallValue) -> str:
    return node.text if isinstance(node, syntax.Name) else node.name.text


def _value(text: str) -> syntax.Expression:
    return parse_value(Source(text))


def _in_place(value: syntax.Expression, of: syntax.Expression) -> syntax.Expression:
    """A value with the comments beside the one that it replaces."""
    return replace(value, trivia=of.trivia)


def _pair(key: str, value: syntax.Expression) -> Pair:
    return Pair((key,), key_span=syntax.NOWHERE, value=value)


def _rated(optimizer: syntax.Expression, rate: syntax.Expression) -> syntax.Expression | None:
    """The call with another rate, where it says one."""
    if not isinstance(optimizer, syntax.CallValue):
        return None
    for at, argument in enumerate(optimizer.arguments):
        if argument.key is None or argument.key.text == "lr":
            new: Argument = replace(argument, value=_in_place(rate, argument.value))
            return replace(optimizer, arguments=(*optimizer.arguments[:at], new, *optimizer.arguments[at + 1 :]))
    return None
