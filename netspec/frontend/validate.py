"""Syntax tree to validated program: every name resolved, every value checked, every independent error found in one run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError
from netspec.base.layer import Layer
from netspec.base.shape import show
from netspec.base.text import Source, Span
from netspec.frontend import limits, syntax
from netspec.frontend.bind import layers
from netspec.frontend.cycles import check_cycles
from netspec.frontend.expand import Expander
from netspec.frontend.flatten import flatten
from netspec.frontend.inline import brought
from netspec.frontend.key_words import as_given
from netspec.frontend.migrations import migrate, newest
from netspec.frontend.names import check_definition, check_free, defined
from netspec.frontend.parse import parse
from netspec.frontend.pieces import count_layers
from netspec.frontend.program import Chain, DataSection, Overrides, Program, TrainSection
from netspec.frontend.report import Report
from netspec.frontend.resolved import resolve
from netspec.frontend.search import Lets, read_search
from netspec.frontend.sections import (
    SECTION_MODELS,
    data_section,
    input_shape,
    key_of,
    merge_train,
    outside_value,
    override_keys,
    override_pairs,
    read_defaults,
    read_pairs,
    section_keys,
    train_section,
    whole_number,
)
from netspec.frontend.space import Space
from netspec.frontend.structure import (
    check_counts,
    check_early_stop,
    check_heads,
    check_input_order,
    check_loss,
    head_of,
    lint,
    with_head_form,
)
from netspec.frontend.ties import points_in
from netspec.frontend.used import nodes_in, used_names
from netspec.frontend.uses import Library, bring
from netspec.frontend.values import Definition, Scope, Value, evaluate, fail
from netspec.frontend.versions import number_error
from netspec.frontend.words import nearest

NOTHING = Overrides()


def load(source: Source, overrides: Overrides = NOTHING) -> Program:
    """Parses and validates a text, of an older version as the newest says it. Raises SpecError with every error, LimitError where a limit
    refuses it."""
    return validate(migrate(parse(source)), source, overrides)


def validate(file: syntax.File, source: Source, overrides: Overrides = NOTHING) -> Program:
    """The program that a file describes. Raises SpecError with every independent error, LimitError where a limit refuses it."""
    return _Validation(file, source, overrides).run()


def validate_partly(file: syntax.File, source: Source, overrides: Overrides = NOTHING) -> tuple[Program | None, tuple[Diagnostic, ...]]:
    """The program as far as it is right, with what is wrong in it: calls behind an error read UNKNOWN. None where there is no net.
    Raises LimitError where a limit refuses it."""
    validation = _Validation(file, source, overrides)
    validation.collect()
    return validation.partly(), validation.report.in_order()


Place = tuple[Source, Span]


@dataclass
class _Validation:
    """One run: what was found so far."""

    file: syntax.File
    source: Source
    overrides: Overrides
    report: Report = field(default_factory=Report)
    layers: Mapping[str, type[Layer]] = field(default_factory=layers)
    lets: dict[str, tuple[int, Value]] = field(default_factory=dict)
    replaced: dict[str, Value] = field(default_factory=dict)
    definitions: dict[str, Definition] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    let_spans: dict[str, Span] = field(default_factory=dict)
    spans: dict[str, Span] = field(default_factory=dict)
    first: dict[str, syntax.Entry] = field(default_factory=dict)
    indices: dict[str, int] = field(default_factory=dict)
    train_places: dict[str, Place] = field(default_factory=dict)

    search: Space = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    train: TrainSection | None = None
    data: DataSection | None = None
    net: Chain | None = None

    def __post_init__(self) -> None:
        self.library = Library(self.report, self.layers, self.source)
        self.points = points_in(self.file)
        self.uses = [index for index, entry in enumerate(self.file.entries) if isinstance(entry, syntax.Use)]

    def run(self) -> Program:
        self.collect()
        self.report.stop_if_wrong()
        assert self.net is not None, "a program without a net has errors"
        assert self.train is not None, "a program without a train section has errors"
        program = self._program(self.net, self.train)
        added = [name for name in self.replaced if name not in self.let_spans]
        inlined = {index: brought(self.definitions, index, self._scope(index)) for index in self.uses}
        return replace(program, resolved=resolve(self.file, program, self.replaced, added, inlined))

    def collect(self) -> None:
        """Reads everything; what is wrong goes to the report."""
        self._entries_once()
        self._names()
        check_cycles({name: one for name, one in self.definitions.items() if one.home.source is self.source}, self.source)
        self.search = self._search()
        self.settings = self._settings()
        train_keys, self.data = self._train_keys(), self._data()
        self.train = self._train(train_keys)
        self.net = self._net()
        self._whole(self.net, self.train, self.settings)

    def partly(self) -> Program | None:
        """The program with defaults in the place of what is wrong."""
        return None if self.net is None else self._program(self.net, self.train or TrainSection.model_validate({}))

    def _scope(self, index: int) -> Scope:
        return Scope(
            self.source, self.lets, index, later=self.let_spans, broken=self.broken, definitions=self.definitions, points=self.points
        )

    # what stands in the file

    def _entries_once(self) -> None:
        """Keeps the first entry of each kind; a second is an error."""
        for index, entry in enumerate(self.file.entries):
            with self.report.collecting():
                match entry:
                    case syntax.Version():
                        self._once("netspec", entry, index, Span(entry.span.start, entry.span.start + len("netspec")))
                        self._version(entry)
                    case syntax.Setting():
                        self._once(entry.word.text, entry, index, entry.word.span)
                        self.spans[entry.word.text] = entry.value.span
                    case syntax.Section():
                        self._once(entry.word.text, entry, index, entry.word.span)
                        self._section(entry)
                    case syntax.Net():
                        self._once("net", entry, index, Span(entry.span.start, entry.span.start + len("net")))
                        self.spans["net"] = entry.chain.span
        if "net" not in self.first:
            end = self.source.text.rstrip()
            message = "no `net`: a program is a chain of layers, and this text has none"
            self.report.add(
                [
                    Diagnostic(
                        "NS504", message, self.source, Span(len(end), len(end)), help="write net affine(100)-relu -> affine -> softmax"
                    )
                ]
            )

    def _once(self, word: str, entry: syntax.Entry, index: int, span: Span) -> None:
        if word in self.first:
            line = self.source.position(self.first[word].span.start)[0]
            raise fail("NS505", f"`{word}` is given twice, first in line {line}", self.source, span, help="keep one")
        self.first[word], self.indices[word] = entry, index

    def _version(self, entry: syntax.Version) -> None:
        wrong = number_error(entry.number.text)
        if wrong is not None:
            code, message, help_text = wrong
            raise fail(code, message, self.source, entry.number.span, help=help_text)

    def _section(self, entry: syntax.Section) -> None:
        self.spans[entry.word.text] = entry.word.span
        for pair in entry.pairs:
            self.spans[f"{entry.word.text}.{'.'.join(pair.key)}"] = pair.value.span

    def _names(self) -> None:
        """Evaluates every `let` in order and notes every `def`."""
        self.let_spans = {e.name.text: e.name.span for e in reversed(self.file.entries) if isinstance(e, syntax.Let)}
        for name, given in self.overrides.lets.items():
            if name not in self.let_spans:
                self._override_let(name, given, -1)
        for index, entry in enumerate(self.file.entries):
            if not isinstance(entry, (syntax.Let, syntax.Def, syntax.Use)) or self.report.full:
                continue
            known = len(self.report.errors)
            with self.report.collecting():
                self._define(entry, index)
            if isinstance(entry, syntax.Let) and entry.name.text not in self.lets and len(self.report.errors) >= known:
                self.broken.add(entry.name.text)
        used = used_names(self.file)
        for name in self.overrides.lets:
            if name not in used:
                self._unused(name, used)

    def _define(self, entry: syntax.Let | syntax.Def | syntax.Use, index: int) -> None:
        if isinstance(entry, syntax.Use):
            bring(self.definitions, self.library.definitions(entry, self.source), entry, index, self.source)
            return
        name = entry.name.text
        check_free(entry, self.file, self.source, self.definitions, self.lets)
        if isinstance(entry, syntax.Def):
            self.definitions[name] = defined(entry, index, self._scope(index))
            check_definition(entry, self.source, self.layers)
        elif name in self.overrides.lets:
            self._override_let(name, self.overrides.lets[name], index, entry.value)
        else:
            self.lets[name] = (index, evaluate(entry.value, self._scope(index)))

    def _override_let(self, name: str, given: Any, index: int, written: syntax.Expression | None = None) -> None:
        words = isinstance(written, syntax.Literal) and written.kind == "string"
        with self.report.collecting():
            value = outside_value(given, f"<{name}>", self._scope(max(index, 0)), words)
            self.lets[name] = (index, value)
            self.replaced[name] = value

    def _unused(self, name: str, used: frozenset[str]) -> None:
        known = sorted(self.let_spans)
        source = Source(name, f"<{name}>")
        near = nearest(name, [*known, *sorted(used)])
        notes = (f"lets of the text: {', '.join(known)}",) if known else ("the text has no `let`",)
        message = f"`{name}` is given a value, and the text never uses it"
        key = nearest(name, section_keys(*SECTION_MODELS)) if "." in name else key_of(name)
        help_ = f"did you mean `{key or near}`?" if key or near else None
        if key and self.overrides.keys_by:
            section = key.partition(".")[0]
            help_ = f"`{key.removeprefix(f'{section}.')}` is a key of {section}: {as_given(key, self.overrides.lets[name], self.overrides)}"
        self.report.add([Diagnostic("NS207", message, source, Span(0, len(name)), notes=notes, help=help_)])

    def _search(self) -> Space:
        entry = self.first.get("search")
        if not isinstance(entry, syntax.Section):
            return {}
        names = dict.fromkeys(e.name.text for e in self.file.entries if isinstance(e, syntax.Let))
        values = {name: self.lets[name][1] if name in self.lets else None for name in names}
        found = read_search(entry, self._scope(self.indices["search"]), Lets(values, used_names(self.file)), self.report)
        return {key: candidates for key, candidates in found.items() if not self.overrides.fixes(key)}

    # settings and sections, with what the caller overrides

    def _settings(self) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for word in ("input", "classes", "outputs", "seed"):
            given: Any = getattr(self.overrides, word)
            given = self.overrides.keys.get(word) if given is None else given
            entry = self.first.get(word)
            with self.report.collecting():
                if given is not None:
                    self.spans.pop(word, None)
                    value = outside_value(given, f"<{word}>", self._scope(len(self.file.entries)), words=False)
                elif isinstance(entry, syntax.Setting):
                    value = evaluate(entry.value, self._scope(self.indices[word]))
                else:
                    continue
                if word == "input":
                    values[word] = input_shape(value)
                else:
                    values[word] = whole_number(value, word, 0 if word == "seed" else 2 if word == "classes" else 1)
        self._unknown_keys()
        return values

    def _unknown_keys(self) -> None:
        settings = ("input", "classes", "outputs", "seed")
        for key in self.overrides.keys:
            section = key.partition(".")[0]
            if key not in settings and section not in SECTION_MODELS:
                known = [*settings, *section_keys(*SECTION_MODELS)]
                near = nearest(key, known)
                source = Source(key, f"<{key}>")
                diagnostic = Diagnostic(
                    "NS204",
                    f"there is no key `{key}`",
                    source,
                    Span(0, len(key)),
                    notes=(f"keys: {', '.join(known)}",),
                    help=f"did you mean `{near}`?" if near else None,
                )
                self.report.add([diagnostic])

    def _keys_of(self, section: str) -> Mapping[str, Any]:
        return {key: value for key, value in self.overrides.keys.items() if key.partition(".")[0] == section and "." in key}

    def _pairs(self, word: str) -> dict[str, Any]:
        entry = self.first.get(word)
        if not isinstance(entry, syntax.Section):
            return {}
        return read_pairs(entry.pairs, self._scope(self.indices[word]), word, self.report)

    def _train_keys(self) -> dict[str, Any]:
        end = self._scope(len(self.file.entries))
        outside = override_pairs(self.overrides.train, end, self.report) if self.overrides.train else {}
        keys = override_keys("train", self._keys_of("train"), end, self.report)
        for key in (*outside, *keys):
            self.spans.pop(f"train.{key}", None)
        return merge_train([self._pairs("train"), outside, keys])

    def _place(self, word: str) -> Value | None:
        entry = self.first.get(word)
        return Value(word, self.source, entry.word.span) if isinstance(entry, syntax.Section) else None

    def _train(self, keys: dict[str, Any]) -> TrainSection | None:
        self.train_places = {key: (given.value.source, given.value.span) for key, given in keys.items()}
        with self.report.collecting():
            return train_section(keys, self._place("train"))
        return None

    def _data(self) -> DataSection | None:
        keys = self._pairs("data")
        given = override_keys("data", self._keys_of("data"), self._scope(len(self.file.entries)), self.report)
        for key in given:
            self.spans.pop(f"data.{key}", None)
        if "data" not in self.first and not given:
            return None
        with self.report.collecting():
            return data_section({**keys, **given}, self._place("data"))
        return None

    # the net

    def _net(self) -> Chain | None:
        entry = self.first.get("net")
        defaults = read_defaults(self._pairs("defaults"), self.report)
        points = [run.label.text for run in nodes_in(self.file) if isinstance(run, syntax.Run) and run.label is not None]
        expander = Expander(self.source, defaults, self.report, points=points, lacks_defs=self.library.lacks_defs)
        if not isinstance(entry, syntax.Net):
            self._uncalled(expander)
            return None
        scope = replace(self._scope(self.indices["net"]), points=points_in(entry.chain))
        pieces = expander.chain(entry.chain, scope)
        net = with_head_form(flatten(pieces, self.source, entry.chain.span, self.report))
        self._uncalled(expander)
        return net

    def _uncalled(self, expander: Expander) -> None:
        """What is wrong in defs that the net never calls, as far as it can be told without arguments."""
        left = limits.LAYERS
        for name, definition in reversed(self.definitions.items()):  # so that what calls comes before what it calls
            if name in expander.called or name in self.layers or definition.home.source is not self.source or self.report.full:
                continue
            with suppress(LimitError):  # which a call with other arguments may not reach
                pieces = expander.uncalled(definition)
                left -= count_layers(pieces)
                if left >= 0:  # many defs of many layers would take long
                    flatten(pieces, self.source, definition.node.chain.span, self.report)

    def _whole(self, net: Chain | None, train: TrainSection | None, settings: Mapping[str, Any]) -> None:
        """Checks that need the net and its surroundings together."""
        if net is None or self.report.errors:
            return
        if not net:
            self.report.add([Diagnostic("NS507", "the net has no layers", self.source, self.spans["net"])])
            return
        misplaced = check_heads(net)
        self.report.add(misplaced)
        if not misplaced:  # else nothing can be told about what goes with the head
            head = head_of(net)
            self.report.add(check_counts(head, self._given("classes", settings), self._given("outputs", settings)))
            if train is not None:
                self.report.add(check_loss(head, train, self.train_places))
                self.report.add(check_early_stop(head, train, self.train_places.get("early_stop")))
        self.report.add(lint(net))
        shape = self._given("input", settings)
        if shape is not None:
            self.report.add(check_input_order(settings["input"], shape))
        bare = any(isinstance(entry, syntax.Net) and entry.bare for entry in self.file.entries)
        if "netspec" not in self.first and not bare:
            message = f"no version line; the newest language, version {newest()}, is read"
            self.report.add([Diagnostic("W104", message, self.source, Span(0, 0), help=f"begin the file with: netspec {newest()}")])

    def _given(self, word: str, settings: Mapping[str, Any]) -> Place | None:
        if word not in settings:
            return None
        if word in self.spans:
            return self.source, self.spans[word]
        value = settings[word]
        text = f"{word} {show(value) if isinstance(value, tuple) else value}"
        return Source(text, f"<{word}>"), Span(0, len(text))

    def _program(self, net: Chain, train: TrainSection) -> Program:
        settings = self.settings
        return Program(
            source=self.source,
            net=net,
            train=train,
            data=self.data,
            input=settings.get("input"),
            classes=settings.get("classes"),
            outputs=settings.get("outputs"),
            seed=settings.get("seed", 0),
            version=newest() if "netspec" in self.first else None,
            search=self.search,
            lets={name: value.content for name, (_, value) in self.lets.items()},
            spans=self.spans,
            warnings=tuple(self.report.warnings),
            uses={used.source.path: used.sha256 for used in self.library.files.values()},
        )
