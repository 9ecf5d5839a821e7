"""What was found and designed as a .net text with comments, printed as `netspec fmt` prints it."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.base.errors import DataError
from netspec.base.text import Source
from netspec.frontend import syntax
from netspec.frontend.format import format_file
from netspec.frontend.limits import LINE_LENGTH
from netspec.frontend.migrations import newest
from netspec.frontend.parse import parse
from netspec.frontend.syntax import Literal, Trivia, Word
from netspec.ui.start.design import Design
from netspec.ui.start.look import Found

BLANK = Trivia(("",))
"""An empty line before."""


def to_text(found: Found, design: Design, title: str, command: str) -> str:
    """The whole file."""
    above = [f"# {line}" for line in (*_headline(found, title), f"Train it with: {command}")]
    net = parse(Source(f"net {design.net}")).entries[0]
    entries: list[syntax.Entry] = [syntax.Version(_raw(str(newest())), trivia=Trivia(tuple(above)))]
    entries.append(syntax.Section(Word("data"), tuple(_data(found, design)), trivia=BLANK))
    if found.kind != "values" and found.from_zero:
        entries.append(syntax.Setting(Word("classes"), _raw(str(found.count)), trivia=BLANK))
    elif found.kind == "values" and found.count > 1:
        entries.append(syntax.Setting(Word("outputs"), _raw(str(found.count)), trivia=BLANK))
    assert isinstance(net, syntax.Net)
    own = tuple(f"# {line}" for line in _about_net(found, design))
    entries.append(syntax.Net(net.chain, trivia=Trivia((*(("",) if len(entries) < 3 else ()), *own))))
    entries.append(syntax.Section(Word("train"), tuple(_train(design)), trivia=BLANK))
    entries.append(syntax.Setting(Word("seed"), _raw("0")))
    return format_file(syntax.File(tuple(entries)))


def _raw(text: str) -> Literal:
    return Literal("number", text)


def _pair(key: str, text: str, *comments: str) -> syntax.Pair:
    return syntax.Pair((key,), key_span=syntax.NOWHERE, value=_raw(text), trivia=Trivia(tuple(f"# {one}" for one in comments)))


def quoted(text: str) -> str:
    """A string of the language. Raises DataError for one that it cannot hold."""
    if "\n" in text or "\r" in text:
        raise DataError(f"the name {text!r} has a line break, which a spec cannot hold; rename it")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _plain(text: str) -> str:
    return " ".join(text.split())[:160]


def _headline(found: Found, title: str) -> list[str]:
    lines = [f"{_plain(title)}: {found.rows:,} rows of {_row(found)}. {labels_in_words(found)}"]
    if found.texts:
        lines.append(f"Text in {_plain(_few(found.texts))}.")
    lines += _cautions(found)
    lines += [f"Left out: {_plain(name)}, which {why}." for name, why in list(found.left_out.items())[:10]]
    return lines


FAR_FROM_0 = "The values lie around {0}, far from 0 beside how they spread: subtract {0} from them first, and the net learns the rest."
TINY = "The values spread by {0:g} alone, which float32 gradients hardly see: multiply them by a number such as {1:,.0f} first."
LEAST = 1e-3


def _cautions(found: Found) -> list[str]:
    """What the data should be changed by first, for a net to learn the values well."""
    if found.kind != "values":
        return []
    tiny = 0 < found.scale < LEAST
    return [
        *([FAR_FROM_0.format(_shown(found.offset))] if found.offset else []),
        *([TINY.format(float(f"{found.scale:.0e}"), 1 / float(f"{found.scale:.0e}"))] if tiny else []),
    ]


def _shown(value: float) -> str:
    return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"


def _row(found: Found) -> str:
    if found.columns is not None:
        return f"{len(found.columns)} feature{'' if len(found.columns) == 1 else 's'}"
    shown = "x".join(map(str, found.shape))
    return f"{shown} pixels" if len(found.shape) == 3 else f"{shown} numbers"


def labels_in_words(found: Found) -> str:
    """`The target is species: 3 classes (setosa, ...).`"""
    what = "The labels are" if found.target is None else f"The target is {_plain(found.target)}:"
    match found.kind:
        case "classes":
            return f"{what} {found.count} classes ({_plain(found.example)})."
        case "labels" | "one_hot":
            return f"{what} {found.example}."
        case _:
            return f"{what} {found.example if found.count > 1 else f'numbers, {found.example}'}."


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _data(found: Found, design: Design) -> list[syntax.Pair]:
    place = found.place
    pairs = [_pair("source", place.source), *(_pair(key, quoted(value)) for key, value in place.keys.items())]
    if found.target is not None:
        pairs.append(_pair("target", quoted(found.target)))
    if found.left_out:
        pairs.append(_pair("features", _features(found), "all columns but the target and those left out"))
    if found.size is not None:
        pairs.append(_pair("size", "x".join(map(str, found.size)), "height x width that all pictures are resized to"))
    parts = (
        "to train, and to choose the best epoch"
        if len(design.split) == 2
        else "to train, to choose the best epoch, and to measure at the end"
    )
    official = "; the test part is the data's own" if found.has_test else ""
    pairs.append(_pair("split", " / ".join(f"{100 * part:g}%" for part in design.split), f"rows {parts}{official}"))
    if design.normalize is not None:
        pairs.append(_pair("normalize", design.normalize, NORMALIZE[design.normalize]))
    if design.transforms:
        pairs.append(_pair("transforms", ", ".join(design.transforms), "texts become columns of 0 and 1; then every column " + MEAN))
    return pairs


MEAN = "gets the mean 0 and the deviation 1"
NORMALIZE = {
    "per_feature": f"every column {MEAN}",
    "per_channel": f"every colour {MEAN}; transforms = flip, crop(4) would change images at random while training",
    "rescale": "numbers are brought to 0..1",
}


def _features(found: Found) -> str:
    text = ", ".join(quoted(column.name) for column in found.columns or ())
    if len(text) > LINE_LENGTH - 100:
        names = _few(list(found.left_out))
        raise DataError(f"its features are too many to be listed in a spec; write the table without the columns that are no use: {names}")
    return text


def _about_net(found: Found, design: Design) -> list[str]:
    if design.scaled == 1:
        return []
    if design.scaled > 1:
        return [f"{_values(found, 'large')}: the last layer learns by steps {design.scaled:,.0f} times as large (lr_scale)"]
    return [f"{_values(found, 'small')}: the last layer begins at 0 and learns by steps {design.scaled:g} times as large (lr_scale)"]


def _values(found: Found, how: str) -> str:
    return f"the values are {how}{f' ({found.example})' if found.count == 1 else ''}"


def _train(design: Design) -> list[syntax.Pair]:
    pairs = [
        _pair("optimizer", "adam(lr=3e-3)"),
        _pair("schedule", "cosine"),
        _pair("batch", str(design.batch)),
        _pair("epochs", str(design.epochs)),
        _pair("early_stop", f"{design.patience}ep", "ends when the validation rows have not got better for so long"),
    ]
    return pairs if design.l2 is None else [*pairs, _pair("l2", design.l2, "few rows: large weights are penalised")]


def summary(found: Found, design: Design) -> list[tuple[str, str]]:
    """What init prints, line by line: a word and what it says."""
    source = found.place.keys.get("path") or found.place.keys.get("x") or found.place.source
    lines = [("data", f"{source}: {found.rows:,} rows of {_row(found)}")]
    if found.texts:
        lines.append(("text", f"{_plain(_few(found.texts))}: one_hot"))
    if found.left_out:
        lines.append(("left out", "; ".join(f"{_plain(name)} {why}" for name, why in list(found.left_out.items())[:10])))
    own = labels_in_words(found).removesuffix(".").removeprefix("The target is ").removeprefix("The labels are ")
    lines.append(("target" if found.target is not None else "labels", own))
    return [*lines, *(("caution", caution) for caution in _cautions(found)), ("net", design.net)]
