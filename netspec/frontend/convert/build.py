"""Layers of the catalogue from the arguments that other libraries share. What has no counterpart raises NotMapped with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import ValidationError

from netspec.base.layer import Layer
from netspec.frontend.bind import layers
from netspec.frontend.convert.rows import NO_MARGINS, Margins, Row
from netspec.frontend.convert.sketch import Made, Misfit, NotMapped

Pad = Literal["same"] | Margins

IMAGES_ONLY = "it takes images here, and rows that are vectors arrive"


def layer(name: str, **arguments: Any) -> Layer:
    """A layer by its name here. Raises NotMapped for a value that it does not take."""
    try:
        return layers()[name].model_validate({key: value for key, value in arguments.items() if value is not None})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        key = str(detail["loc"][0]) if detail["loc"] else name
        raise NotMapped(f"{name} does not take {key} = {arguments.get(key)}") from None


def _plain_row(row: Row) -> Row:
    return Row(row.shape)


def _as_it_is(row: Row) -> Row:
    return row


def _pixel(row: Row) -> Row:
    return Row(row.shape, pixel=True)


def made(*layers: Layer, **more: Any) -> Made:
    """Layers as what a step becomes."""
    return Made(layers, **more)


def plain(name: str, **arguments: Any) -> Made:
    """One layer that takes rows of any shape."""
    return made(layer(name, **arguments))


def image(row: Row) -> tuple[Layer, ...]:
    """What makes the row the image that the source has; nothing where it is one. Raises NotMapped for a vector."""
    if row.bare:
        raise NotMapped("its rows are height x width without channels, a sequence to it")
    if row.pixel and row.channels is not None:
        return (layer("reshape", shape=(row.channels, 1, 1)),)
    if row.is_vector:
        raise NotMapped(IMAGES_ONLY)
    return ()


def no_zeros(row: Row) -> None:
    """Raises NotMapped where a padding layer stands before: zeros around an image are an argument of conv here."""
    if row.margins != NO_MARGINS:
        raise NotMapped("the padding layer before it puts zeros around the image, which only a conv takes over (its `pad`)")


def affine(row: Row, width: int, *, bias: bool, inputs: int | None = None, frozen: bool | None = None) -> Made:
    """A fully connected layer on vectors. `inputs` are the features that its weights are made for, where the source says so."""
    no_zeros(row)
    if row.is_vector and inputs and row.channels not in (None, inputs):
        raise Misfit(f"its weights are for {inputs} features, and {row.channels} arrive")
    return plain("affine", width=width, bias=bias, frozen=frozen)


def conv(
    row: Row, filters: int, kernel: tuple[int, int], *, stride: tuple[int, int] = (1, 1), pad: Pad = NO_MARGINS, groups: int = 1,
    bias: bool = True, dilation: tuple[int, int] = (1, 1), inputs: int | None = None, frozen: bool | None = None,
) -> Made:  # fmt: skip
    """A convolution, with the zeros that a padding layer before it asks for. `pad` "same" is that of this language."""
    if dilation != (1, 1):
        raise NotMapped("dilated convolutions are not in version 1 of the language")
    before = image(row)
    channels = row.channels
    if inputs and channels not in (None, inputs):
        raise Misfit(f"its weights are for {inputs} channels, and {channels} arrive")
    shape = None if not row.is_image else row.known
    own = _conv_pad(pad, row.margins, kernel, stride, (1, 1) if row.pixel else shape and shape[1:])
    built = layer("conv", filters=filters, kernel=kernel, stride=stride, pad=own, groups=groups, bias=bias, frozen=frozen)
    return made(*before, built, row=_plain_row)


def _conv_pad(
    pad: Pad, zeros: Margins, kernel: tuple[int, int], stride: tuple[int, int], sides: tuple[int, ...] | None
) -> str | tuple[int, int]:
    if pad == "same":
        if zeros != NO_MARGINS:
            raise NotMapped("zeros of a padding layer before it and `same` come together; pad here is one of the two")
        return "same"
    assert not isinstance(pad, str)
    top, bottom, left, right = margins = _sum(pad, zeros)
    is_same = margins == same_margins(kernel, stride, sides)
    if top == bottom and left == right and not (is_same and stride == (1, 1)):
        return (top, left)
    if is_same:
        return "same"
    more = "; with the shape of the input (--input) it may be found to be `same`" if sides is None else ""
    raise NotMapped(f"{top} zeros above and {bottom} below, {left} left and {right} right: pad here is the same on both sides{more}")


def _sum(one: Margins, other: Margins) -> Margins:
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


def same_margins(kernel: tuple[int, int], stride: tuple[int, int], sides: tuple[int, ...] | None) -> Margins | None:
    """The zeros of `same`, the odd one at the bottom and right; None where they depend on sides that are not known."""
    found: list[int] = []
    for axis, (extent, step) in enumerate(zip(kernel, stride, strict=True)):
        if step == 1:
            total = extent - 1
        elif sides is None:
            return None
        else:
            total = max(0, (-(-sides[axis] // step) - 1) * step + extent - sides[axis])
        found += [total // 2, total - total // 2]
    return found[0], found[1], found[2], found[3]


def pool(name: str, row: Row, window: tuple[int, int], stride: tuple[int, int], pad: Pad) -> Made:
    """The pools `pool` and `avgpool`; their margins are the same on both sides."""
    before = image(row)
    sides = (1, 1) if row.pixel else row.known and row.known[1:]
    margins: Margins | None = same_margins(window, stride, sides) if isinstance(pad, str) else pad
    if margins is None:
        raise NotMapped("how `same` pads a pool depends on the image's sides, which are not known; give them with --input")
    if row.margins != NO_MARGINS:
        if name != "pool" or not row.positive:
            raise NotMapped("zeros of the padding layer before it take part in what it computes; margins of a pool never do here")
        margins = _sum(margins, row.margins)
    if margins[0] != margins[1] or margins[2] != margins[3]:
        raise NotMapped(
            f"on these sides it pads {margins[0]} above and {margins[1]} below, {margins[2]} left and {margins[3]} right; "
            "a pool here pads the same on both sides"
        )
    built = layer(name, window=window, stride=None if stride == window else stride, pad=(margins[0], margins[2]))
    return made(*before, built, row=_plain_row)


def global_mean(row: Row, *, keeps_image: bool) -> Made:
    """The mean over height and width, a vector here."""
    no_zeros(row)
    if row.pixel:
        return made(row=_pixel if keeps_image else _plain_row)
    image(row)
    return made(layer("globalpool"), row=_pixel if keeps_image else _plain_row)


def global_max(row: Row, *, keeps_image: bool) -> Made:
    """The largest element of each channel: a pool over the whole image."""
    no_zeros(row)
    if row.pixel:
        return made(row=_pixel if keeps_image else _plain_row)
    image(row)
    if row.known is None:
        raise NotMapped("a pool over the whole image needs its sides, which are not known; give them with --input")
    pooled = layer("pool", window=row.known[1:])
    return made(pooled) if keeps_image else made(pooled, layer("flatten"))


def flatten(row: Row, *, note: str = "") -> Made:
    """One row a vector; nothing where it is one. `note` is told where several channels have several pixels."""
    no_zeros(row)
    if row.is_vector:
        return made(row=_plain_row)
    known = row.known
    alike = known is not None and (known[0] == 1 or known[1:] == (1, 1))
    return made(layer("flatten"), row=_plain_row, notes=(note,) if note and not alike else ())


def reshape(row: Row, shape: tuple[int, ...]) -> Made:
    """Rows of another shape, in the order of C; nothing where the shape is the same."""
    no_zeros(row)
    known = row.known
    if -1 in shape:
        rest = -_product(shape)
        if known is None or rest == 0 or _product(known) % rest:
            raise NotMapped("the side -1 of its shape cannot be told without the shape of its input; give that with --input")
        shape = tuple(_product(known) // rest if side == -1 else side for side in shape)
    if len(shape) not in (1, 3) or min(shape) < 1:
        raise NotMapped(f"rows of shape {'x'.join(map(str, shape))}; rows here are vectors or images of channels x height x width")
    if shape == known:
        return made(row=_plain_row)
    return made(layer("flatten") if len(shape) == 1 and row.is_image else layer("reshape", shape=shape), row=_plain_row)


def _product(sides: tuple[int, ...]) -> int:
    total = 1
    for side in sides:
        total *= side
    return total


def dropout(row: Row, name: str, p: float) -> Made:
    """Dropout by elements or channels; nothing where nothing is dropped."""
    if p == 0:
        return made()
    before = image(row) if name == "dropout2d" else ()
    return made(*before, layer(name, p=p), row=_plain_row if before else _as_it_is)


def upsample(row: Row, factor: tuple[int, int]) -> Made:
    """The nearest pixel, copied."""
    no_zeros(row)
    return made(*image(row), layer("upsample", factor=factor), row=_plain_row)


def padded(row: Row, zeros: Margins) -> Made:
    """Zeros around an image, kept until a conv takes them."""
    before = image(row)
    if min(zeros) < 0:
        raise NotMapped("padding of less than nothing cuts an image, which no layer here does")
    both = tuple(own + more for own, more in zip(row.margins, zeros, strict=True))
    return made(*before, row=lambda row: Row(row.shape, margins=(both[0], both[1], both[2], both[3])))


def merged(name: str, rows: Sequence[Row]) -> Made:
    """Branches merged. Raises NotMapped where a row waits for zeros, or images of one pixel meet larger ones."""
    for row in rows:
        no_zeros(row)
    if any(row.pixel for row in rows) and not all(row.pixel for row in rows):
        raise NotMapped("it merges an image of one pixel with a larger one; nothing is broadcast here")
    return Made(merge=name)
