"""Pieces to layers: every copy written out, every layer told which layers it reads, names of points resolved."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import LimitError
from netspec.base.layer import Layer
from netspec.base.text import Source, Span
from netspec.catalog.layers.affine import Affine
from netspec.catalog.registry import entry_of
from netspec.frontend import limits
from netspec.frontend.pieces import Gap, Merge, Named, Pieces, Recall, Unit, count_layers
from netspec.frontend.program import INPUT, UNKNOWN, Call, Chain, UnitMark
from netspec.frontend.report import Report
from netspec.frontend.values import fail
from netspec.frontend.words import nearest

MANY = 10**18


def flatten(pieces: Pieces, source: Source, span: Span, report: Report) -> Chain:
    """Every copy written out. What is wrong with names goes to `report`; raises LimitError, before anything is written, where there are
    too many layers."""
    total = count_layers(pieces)
    if total > limits.LAYERS:
        shown = str(total) if total < MANY else "more than 10^18"
        message = f"the net has {shown} layers when repeats are expanded; at most {limits.LAYERS} are allowed"
        place, words = _too_often(pieces) or (source, span)
        raise LimitError([Diagnostic("NS804", message, place, words, help="repeat less")])
    writer = _Writer(report, dict(_names(pieces, "")))
    writer.pieces(pieces, INPUT, _Place())
    return tuple(replace(call, copy_of=writer.copy_of.get(place)) for place, call in enumerate(writer.calls))


def _too_often(pieces: Pieces) -> tuple[Source, Span] | None:
    """The innermost repeat that alone makes too many layers, if there is one."""
    found: tuple[Source, Span] | None = None
    while True:
        large = next((piece for piece in pieces if isinstance(piece, (Unit, Merge)) and piece.layers > limits.LAYERS), None)
        if large is None:
            inner = [piece.pieces for piece in pieces if isinstance(piece, Named) and count_layers(piece.pieces) > limits.LAYERS]
            if not inner:
                return found
            pieces = inner[0]
            continue
        if isinstance(large, Unit) and large.repeat and large.source:
            found = large.source, large.repeat
        bodies = large.bodies if isinstance(large, Unit) else large.branches
        pieces = tuple(piece for body in bodies for piece in body)


@dataclass(frozen=True)
class _Point:
    """A named point: the layer that it is behind, whether that layer is all that the name covers, whether something in it is wrong or not
    known, and the words of the name."""

    place: int
    alone: bool
    broken: bool
    word: Span
    source: Source


@dataclass(frozen=True)
class _Place:
    """Where pieces stand: the units around them, how these copies are named in messages, and the names of their def (or of the net)."""

    marks: tuple[UnitMark, ...] = ()
    notes: tuple[str, ...] = ()
    points: dict[str, _Point] = field(default_factory=dict)
    inside: str = ""
    """The def that these names belong to."""

    @property
    def told(self) -> tuple[str, ...]:
        return (", ".join(self.notes),) if self.notes else ()


class _Writer:
    """Writes calls one after another. The value at a point is the place of the call that it is behind, INPUT, or UNKNOWN behind a gap."""

    def __init__(self, report: Report, named: dict[tuple[str, str], str]) -> None:
        self.report, self.named_somewhere = report, named
        self.calls: list[Call] = []
        self.copy_of: dict[int, int] = {}
        """The place of a call to the place of the call whose arrays it has, where a repeat is tied."""
        self.gaps = 0
        """How many pieces there were that are wrong, or not known."""
        self.keys = 0
        self.branch_start: int | None = None
        """How many calls there were when the branch began that is being written."""
        self.recalled: int | None = None
        """The point that this branch goes on from, where that is a named one."""

    def pieces(self, pieces: Pieces, value: int, place: _Place) -> int:
        """Writes pieces that go on from `value`; returns the value behind them."""
        for piece in pieces:
            match piece:
                case Call():
                    value = self.call(piece, (value,), place)
                case Unit():
                    value = self.unit(piece, value, place)
                case Named():
                    value = self.named(piece, value, place)
                case Recall():
                    value = self.recall(piece, place)
                case Merge():
                    value = self.merge(piece, value, place)
                case Gap():
                    self.gaps += 1
                    value = UNKNOWN
        return value

    def call(self, call: Call, reads: tuple[int, ...], place: _Place) -> int:
        shared = self.tied(call, place) if isinstance(call.layer, Affine) and call.layer.tie else None
        self.calls.append(replace(call, reads=reads, units=place.marks, notes=place.told, shares_weight_of=shared))
        return len(self.calls) - 1

    def mark(self, place: _Place, text: str, copy: int = 1, copies: int = 1, *, title: str = "", label: str = "") -> tuple[UnitMark, ...]:
        self.keys += 1
        point = label and f" @{label}"
        return (*place.marks, UnitMark(self.keys, text + point, copy, copies, title and title + point))

    # units

    def unit(self, unit: Unit, value: int, place: _Place) -> int:
        copies, number, first = unit.times * len(unit.bodies), 0, 0
        for _ in range(unit.times):
            for body, title in zip(unit.bodies, unit.titles or ("",) * len(unit.bodies), strict=True):
                number += 1
                start = len(self.calls)
                value = self._copy(replace(unit, titles=(title,)), body, (number, copies), value, place)
                if number == 1:
                    first = start
                elif unit.tied:
                    self._tie(first, start)
        return value

    def _copy(self, unit: Unit, body: Pieces, copy: tuple[int, int], value: int, place: _Place) -> int:
        text, inside, title, number, copies = unit.text, unit.inside, unit.titles[0], *copy
        here = (f"in copy {number} of {copies} {unit.note}",) if unit.note else ()
        only = body[0] if len(body) == 1 else None
        if isinstance(only, Unit) and only.inside and not inside:  # copies of one def call: its mark is theirs
            text, inside, title, body = only.text, only.inside, only.titles[0], only.bodies[0]
        points, owner = ({}, inside) if inside else (place.points, place.inside)
        notes = (*((inside,) if inside else ()), *here, *place.notes)
        marks = self.mark(place, text, number, copies, title=title, label=unit.label)
        return self.pieces(body, value, _Place(marks, notes, points, owner))

    def _tie(self, first: int, start: int) -> None:
        """The calls from `start` on have the arrays of those from `first` on."""
        for offset in range(len(self.calls) - start):
            self.copy_of[start + offset] = self.copy_of.get(first + offset, first + offset)

    # names

    def named(self, piece: Named, value: int, place: _Place) -> int:
        start, gaps = len(self.calls), self.gaps
        only = piece.pieces[0] if len(piece.pieces) == 1 else None
        inner = (replace(only, label=piece.word.text),) if isinstance(only, (Unit, Merge)) else piece.pieces
        value = self.pieces(inner, value, place)
        name, known = piece.word.text, place.points.get(piece.word.text)
        if known is not None and (known.word, known.source) != (piece.word.span, piece.source):
            with self.report.collecting():
                raise _twice(piece, known)
        alone = len(self.calls) == start + 1
        if alone:
            with self.report.collecting():
                _check_name(piece)
            self.calls[start] = replace(self.calls[start], label=name)
        elif start <= value < len(self.calls):
            self.calls[value] = replace(self.calls[value], points=(*self.calls[value].points, name))
        place.points[name] = _Point(value, alone, self.gaps > gaps, piece.word.span, piece.source)
        return value

    def recall(self, piece: Recall, place: _Place) -> int:
        if not self.calls and self.branch_start is None:
            help_text = "begin with a layer; id is the one that changes nothing"
            self._refuse("NS210", f"nothing stands before `@{piece.word.text}` that it could go on from", piece, place, help_text)
            return UNKNOWN
        if self.branch_start != len(self.calls) or self.recalled is not None:
            message = f"`@{piece.word.text}` would throw away what comes before it: a name is read at the start of a branch"
            self._refuse("NS512", message, piece, place, f"write add(id | @{piece.word.text}), or concat(id | @{piece.word.text})")
            return UNKNOWN
        self.recalled = self.point(piece.word.text, piece, place)
        return self.recalled

    def point(self, name: str, piece: Recall, place: _Place) -> int:
        known = place.points.get(name)
        if known is not None:
            return known.place
        self._refuse("NS210", f"no point before this one is named `@{name}`", piece, place, self._advice(name, place))
        return UNKNOWN

    def _refuse(self, code: str, message: str, piece: Recall, place: _Place, help_text: str) -> None:
        span = Span(piece.word.span.start - 1, piece.word.span.end)
        self.report.add([Diagnostic(code, message, piece.source, span, notes=place.told, help=help_text)])

    def tied(self, call: Call, place: _Place) -> int | None:
        """The place of the affine whose W another one has, by `tie = enc`."""
        layer = call.layer
        assert isinstance(layer, Affine)
        assert layer.tie is not None
        name, span = layer.tie.layer, call.arguments.get("tie", call.span)
        known = place.points.get(name)
        if known is None:
            message = f"no affine before this one is named `@{name}`"
            unknown = not place.points and name not in {word for word, _ in self.named_somewhere}
            help_text = "name one, alone: [affine(100) @enc], and write tie = enc, or enc.T for the transpose"
            help_text = help_text if unknown else self._advice(name, place, "tied")
        elif known.broken:
            return None
        else:
            named = self.calls[known.place].layer if known.alone else None
            if isinstance(named, Affine):
                return known.place
            what = named.name if named is not None else "a unit of several layers"
            message = f"`tie` shares the W of an affine, and `@{name}` is {what}"
            help_text = f"name the affine alone, in brackets or between arrows: [affine(100) @{name}]"
        self.report.add([Diagnostic("NS211", message, call.source, span, notes=place.told, help=help_text)])
        return None

    def _advice(self, name: str, place: _Place, use: str = "added") -> str:
        """What to write for a name that no point before has."""
        later = self.named_somewhere.get((name, place.inside))
        if later is not None:
            return f"`@{name}` is named behind this point ({later}), and names are read backwards only"
        elsewhere = next((inside for word, inside in self.named_somewhere if word == name), None)
        if elsewhere is not None:
            where = elsewhere.removeprefix("inside ") or "the net"
            return f"`@{name}` is a name of {where}, and seen there alone: what is {use} belongs into one def, or into the net"
        known = list(place.points)
        near = nearest(name, known)
        if near:
            return f"did you mean `@{near}`?"
        if known:
            return f"named before: {', '.join(f'@{one}' for one in known)}"
        return f"name the point where it is: affine(100)-relu @{name}"

    # branches

    @contextmanager
    def _branch(self) -> Iterator[None]:
        outside = self.branch_start, self.recalled
        self.branch_start, self.recalled = len(self.calls), None
        try:
            yield
        finally:
            self.branch_start, self.recalled = outside

    def merge(self, piece: Merge, value: int, place: _Place) -> int:
        at_start = self.branch_start == len(self.calls)
        whole = replace(place, marks=self.mark(place, piece.text, label=piece.label))
        ends: list[int] = []
        starts: list[int] = []
        for number, (branch, text) in enumerate(zip(piece.branches, piece.texts, strict=True), 1):
            several = not piece.is_res and count_layers(branch) > 1
            around = replace(whole, marks=self.mark(whole, f"branch {number}: {text}")) if several else whole
            first = branch[0] if branch else None
            with self._branch():
                if isinstance(first, Call) and first.projects:
                    ends.append(self.call(first, (value, ends[0]), around))
                else:
                    ends.append(self.pieces(branch, value, around))
                starts.append(value if self.recalled is None else self.recalled)
        if value not in starts:
            if at_start:  # of a branch, which then goes on from that point
                self.recalled = starts[0]
            else:
                self._refuse_dead_end(piece, place)
        return self.call(piece.call, tuple(ends), whole)

    def _refuse_dead_end(self, piece: Merge, place: _Place) -> None:
        name = piece.call.layer.name
        message = f"{name}: every branch reads a name, so that nothing reads what comes before"
        help_text = f"let one branch go on from here: {name}(id | ...)"
        self.report.add([Diagnostic("NS511", message, piece.call.source, piece.call.name_span, notes=place.told, help=help_text)])


def _twice(piece: Named, known: _Point) -> Exception:
    line = known.source.position(known.word.start)[0]
    message = f"`@{piece.word.text}` already names another point (line {line})"
    return fail("NS212", message, piece.source, piece.word.span, help="choose another name")


def _check_name(piece: Named) -> None:
    """Raises SpecError for the name of a layer that netspec itself gives to another: `affine2`."""
    name = piece.word.text
    stem = name.rstrip("0123456789")
    if stem != name and (stem == "proj" or entry_of(Layer, stem) is not None):  # type: ignore[type-abstract]
        message = f"`{name}` is a name that layers get by their number"
        raise fail("NS213", message, piece.source, piece.word.span, help=f"choose a name that does not end in a number after `{stem}`")


def _names(pieces: Pieces, inside: str) -> Iterator[tuple[tuple[str, str], str]]:
    """((name, def that it belongs to), line) of every named point, each body once."""
    for piece in pieces:
        match piece:
            case Named():
                yield (piece.word.text, inside), f"line {piece.source.position(piece.word.span.start)[0]}"
                yield from _names(piece.pieces, inside)
            case Unit():
                for body in piece.bodies:
                    yield from _names(body, piece.inside or inside)
            case Merge():
                for branch in piece.branches:
                    yield from _names(branch, inside)
