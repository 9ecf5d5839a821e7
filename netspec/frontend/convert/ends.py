"""The end of a converted net: its head, and the count of classes or outputs from which the last affine takes its width."""

from __future__ import annotations

from dataclasses import dataclass, replace

from netspec.base.errors import UsageError
from netspec.base.kinds import Head
from netspec.catalog.layers.affine import Affine
from netspec.frontend.convert.build import layer
from netspec.frontend.convert.paths import Piece, Pieces
from netspec.frontend.convert.rows import Row

HEADS = ("softmax", "svm", "sigmoid", "linear")
LOGITS = "`forward` gives the scores before softmax or sigmoid, as the loss needs them; `predict_proba` gives the probabilities"


@dataclass(frozen=True)
class End:
    """A chain with its head, and what stands beside it in a file. `notes` are told."""

    pieces: Pieces
    classes: int | None = None
    outputs: int | None = None
    notes: tuple[str, ...] = ()


def with_end(pieces: Pieces, row: Row, head: str | None) -> End:
    """The chain with its head: its own, else `head`, else `linear`. Raises UsageError where `head` contradicts the chain's own."""
    last = pieces[-1].layer if pieces else None
    own = last.name if isinstance(last, Head) or (last is not None and last.name == "sigmoid") else None
    if head is not None and own is not None and head != own:
        raise UsageError(f"--head {head}: the model ends in {own} by itself")
    if own is None and head in ("softmax", "svm", "sigmoid"):
        pieces = (*pieces, Piece(layer=layer(head)))
        own = head
    width = row.channels if row.is_vector else None
    if own is None:
        return _values(pieces, width)
    if own == "sigmoid":
        return _sigmoid(pieces, width, row)
    return End(_counted(pieces), classes=width, notes=(LOGITS,) if own == "softmax" else ())


def _values(pieces: Pieces, width: int | None) -> End:
    if width is None or not pieces or not isinstance(pieces[-1].layer, Affine):
        return End(pieces, outputs=width)
    notes = (
        f"the net ends in {width} numbers, so the head is linear and the loss the squared error; where they are the scores of classes, "
        "--head softmax (or sigmoid) says so",
    )
    return End(_counted((*pieces, Piece(layer=layer("linear")))), outputs=width, notes=notes if width > 1 else ())


def _sigmoid(pieces: Pieces, width: int | None, row: Row) -> End:
    if row.is_image or width == 2:
        what = "an image" if row.is_image else "2 numbers"
        notes = (f"the sigmoid of {what} is a layer here, with the head linear: as a head it is for one logit, or for 3 labels and more",)
        return End((*pieces, Piece(layer=layer("linear"))), outputs=width, notes=notes)
    classes = 2 if width == 1 else width
    form = getattr(pieces[-1].layer, "head_form", None)
    head = replace(pieces[-1], layer=form()) if form is not None else pieces[-1]
    return End(_counted((*pieces[:-1], head)), classes=classes, notes=(LOGITS,))


def _counted(pieces: Pieces) -> Pieces:
    """The chain, with the width of an affine straight before the head left to the count."""
    if len(pieces) < 2 or not isinstance(pieces[-2].layer, Affine) or pieces[-2].label is not None:
        return pieces
    return (*pieces[:-2], replace(pieces[-2], counted=True), pieces[-1])
