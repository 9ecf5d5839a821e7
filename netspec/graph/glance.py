"""What the beginning of the data tells about a text that is right in itself. Data may lie elsewhere, so that all of it are warnings."""

from __future__ import annotations

from netspec.base.dataset import Glimpse
from netspec.base.diagnostic import Diagnostic
from netspec.base.errors import DataError, Problem
from netspec.base.kinds import Target
from netspec.catalog.paths import folders_of, resolve_path
from netspec.frontend.program import DataSection, Program
from netspec.graph.counts import split_head

CODE = "W601"
ELSEWHERE = "training will read it and stop there; where the data lies on another machine, all may be well"


def glanced(program: Program) -> tuple[Diagnostic | None, str]:
    """What the beginning of the program's data says against it; and how much of its data was seen: `all`, where it has none of its own to
    read, `some` or `none`."""
    section = program.data
    if section is None or section.source is None or section.source.builtin:
        return None, "all"
    try:
        seen = _glimpse(program, section)
        if seen is not None:
            _require_labels(seen, split_head(program)[1].target, program.classes)
    except Problem as found:
        return _warning(program, found), "none"
    except DataError as error:
        return _warning(program, Problem(CODE, str(error), argument="data.path")), "none"
    return None, "none" if seen is None else "some"


def _glimpse(program: Program, section: DataSection) -> Glimpse | None:
    assert section.source is not None, "the caller has looked"
    folders = folders_of(program.source)
    path = resolve_path(section.path, folders) if section.path is not None else None
    return section.source.glance(path, section.source_keys, folders)


def _warning(program: Program, found: Problem) -> Diagnostic:
    spans = program.spans
    span = spans.get(found.argument or "") or spans.get("data.path") or spans.get("data.source") or spans.get("data")
    return Diagnostic(found.code, found.message, program.source, span, help=found.help or ELSEWHERE)


def _require_labels(seen: Glimpse, target: Target, classes: int | None) -> None:
    """Raises Problem where the head cannot take labels like the first ones."""
    texts = [label for label in seen.labels if isinstance(label, str)]
    decimals = [label for label in seen.labels if isinstance(label, float) and not label.is_integer()]
    if target == "value" and texts:
        message, help_text = f"{seen.target} holds text ({texts[0]!r}), and linear predicts numbers", "end the net in softmax"
    elif target == "class" and decimals and not texts:
        message = f"{seen.target} holds {decimals[0]:g}, which is not a whole number, as classes are"
        help_text = "end the net in linear to predict measured values"
    elif target == "binary" and len(set(seen.labels)) > 2 and classes in (None, 2):
        first = list(dict.fromkeys(seen.labels))[:3]
        shown = ", ".join(f"{label:g}" if isinstance(label, float) else repr(label) for label in first)
        message, help_text = (
            f"{seen.target} holds more than two different labels ({shown}), and sigmoid takes two",
            "end the net in softmax",
        )
    else:
        return
    raise Problem(CODE, message, help=help_text, argument="data.target")
