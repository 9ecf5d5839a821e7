"""What a drawing consists of, how wide its words are at most, and the drawing as SVG."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape

Point = tuple[float, float]

INK, FAINT, PAPER = "#1f2933", "#5b6673", "#ffffff"
FORWARD, BACKWARD, NEUTRAL = ("#2f62a8", "#e9f1fc"), ("#944c0a", "#fdf0e0"), ("#8a94a1", "#f4f5f7")
GROUPED, FRAMED = ("#8fa3bf", "#dfe6ef"), ("#5b6673", "#fafbfc")
DARK = {
    INK: "#e6edf3", FAINT: "#a3afbd", PAPER: "#0f151c", FORWARD[0]: "#8ab8f5", FORWARD[1]: "#152338", BACKWARD[0]: "#f0a860",
    BACKWARD[1]: "#2e2010", NEUTRAL[0]: "#77828f", NEUTRAL[1]: "#1b222b", GROUPED[0]: "#5a6d88", GROUPED[1]: "#222c3a",
    FRAMED[1]: "#141b23",
}  # fmt: skip
"""What each colour is where the reader prefers dark pages."""
HEAD, COUNT, RIM = 5, 13, 3  # half an arrow's head; the font size of a count; between two borders

WIDTHS = ((0.36, "ijl|'"), (0.46, " .,:;!()[]/\\frtI-"), (0.84, "w+=<>~#&^"), (1.04, "mMW%@"))
"""Upper bounds of the widths of characters, in ems of DejaVu Sans and Verdana, the widest of the common sans-serif fonts."""
LOWER, UPPER, OTHER, BOLD = 0.66, 0.82, 1.1, 1.16


def width_of(text: str, size: float, bold: bool = False) -> float:
    """At most how wide a text is in any common sans-serif font."""
    return size * (BOLD if bold else 1.0) * sum(_ems(one) for one in text)


def _ems(one: str) -> float:
    for ems, characters in WIDTHS:
        if one in characters:
            return ems
    if one.isascii():
        return UPPER if one.isupper() else LOWER
    return 0.0 if unicodedata.combining(one) else OTHER


def wrapped(text: str, size: float, most: float, bold: bool = False) -> list[str]:
    """Lines of at most `most`, broken behind spaces, or anywhere in words that are longer."""
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width_of(longer, size, bold) <= most:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for one in word:
            if width_of(lines[-1] + one, size, bold) > most:
                lines.append("")
            lines[-1] += one
    return lines


def shortened(text: str, size: float, most: float) -> str:
    """The text, cut where it is wider than `most`."""
    if width_of(text, size) <= most:
        return text
    while text and width_of(f"{text}...", size) > most:
        text = text[:-1]
    return f"{text.rstrip()}..."


@dataclass(frozen=True)
class Box:
    """One pass of a layer, the input, or the head with its loss. `side` is forward, backward, none (no gradient) or both."""

    name: str
    side: str
    x: float
    y: float
    width: float
    height: float
    lines: tuple[str, ...]
    frozen: bool = False
    tip: str = ""
    is_round: bool = False
    is_double: bool = False
    """Whether it has two borders."""

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(frozen=True)
class Way:
    """An arrow through `points`. `source` and `target` are boxes' names in the direction of the data, whatever the pass."""

    side: str
    source: str
    target: str
    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Rim:
    """What is drawn around boxes: a group, shaded, perhaps open at an end, or a frame with a label and a count."""

    x: float
    y: float
    width: float
    height: float
    level: int
    shaded: bool = False
    open_above: bool = False
    open_below: bool = False
    label: str = ""
    times: int = 1
    pill: Point = (0.0, 0.0)
    """Where the count stands."""
    tip: str = ""


@dataclass(frozen=True)
class Text:
    """`anchor` is start, middle or end of `x`; `y` is the baseline."""

    x: float
    y: float
    text: str
    size: float
    colour: str = INK
    bold: bool = False
    anchor: str = "start"

    @property
    def span(self) -> tuple[float, float]:
        """From where to where it reaches at most."""
        wide = width_of(self.text, self.size, self.bold)
        left = self.x - {"start": 0.0, "middle": wide / 2, "end": wide}[self.anchor]
        return left, left + wide


@dataclass(frozen=True)
class Drawing:
    """Everything in its place."""

    title: str
    width: float
    height: float
    boxes: tuple[Box, ...]
    ways: tuple[Way, ...]
    rims: tuple[Rim, ...]
    texts: tuple[Text, ...]


# SVG


def svg(drawing: Drawing) -> str:
    """The picture as one SVG document, the same text for the same drawing. It paints its own background."""
    wide, high = _number(drawing.width), _number(drawing.height)
    style = f"<style>@media (prefers-color-scheme: dark) {{{dark_rules()}}}</style>"
    return document(drawing, style, f'<rect width="{wide}" height="{high}" fill="{PAPER}"/>')


def document(drawing: Drawing, *ground: str) -> str:
    """The picture on what `ground` paints."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {_size(drawing)} font-family="sans-serif">',
        f"<title>{_words(drawing.title)}</title>",
        *ground,
        *_shapes(drawing),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def svg_inside(drawing: Drawing) -> str:
    """The picture as an element of a page, which has the background, and `dark_rules` for it."""
    lines = [f'<svg {_size(drawing)} role="img">', f"<title>{_words(drawing.title)}</title>", *_shapes(drawing), "</svg>"]
    return "\n".join(lines)


def _size(drawing: Drawing) -> str:
    wide, high = _number(drawing.width), _number(drawing.height)
    return f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'


def _shapes(drawing: Drawing) -> list[str]:
    return [
        *(_rim(rim) for rim in sorted(drawing.rims, key=lambda rim: (rim.shaded, rim.level))),
        *(_way(way) for way in drawing.ways),
        *(_box(box) for box in drawing.boxes),
        *(_text(text) for text in drawing.texts),
    ]


def dark_rules(inside: str = "") -> str:
    """CSS rules that give each colour its dark form, inside elements of that selector."""
    return " ".join(f'{inside}[{kind}="{light}"]{{{kind}:{dark}}}' for light, dark in DARK.items() for kind in ("fill", "stroke"))


def _words(text: str) -> str:
    """Escaped, without the control characters that XML lacks."""
    return escape("".join(one if one.isprintable() else "\ufffd" for one in text), quote=False)


def _quoted(text: str) -> str:
    return f'"{escape(text)}"'


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _rect(x: float, y: float, width: float, height: float, more: str) -> str:
    sides = " ".join(f'{key}="{_number(value)}"' for key, value in (("x", x), ("y", y), ("width", width), ("height", height)))
    return f"<rect {sides} {more}/>"


def _tipped(shape: str, tip: str) -> str:
    return f"<g><title>{_words(tip)}</title>{shape}</g>" if tip else shape


def _rim(rim: Rim) -> str:
    if not rim.shaded:
        colours = f'fill="{FRAMED[1]}" stroke="{FRAMED[0]}" stroke-width="{1.5 if rim.times > 1 else 0.7}" rx="7"'
        frame = _rect(rim.x, rim.y, rim.width, rim.height, colours)
        if rim.times > 1:
            frame += _rect(*rim.pill, pill_width(rim.times), 17, f'fill="{FRAMED[0]}" rx="8"')
        return _tipped(frame, rim.tip)
    fill = f'fill="{GROUPED[1]}"'
    if not rim.open_above and not rim.open_below:
        return _tipped(_rect(rim.x, rim.y, rim.width, rim.height, f'{fill} stroke="{GROUPED[0]}" rx="5"'), rim.tip)
    left, right, top, bottom = (_number(value) for value in (rim.x, rim.x + rim.width, rim.y, rim.y + rim.height))
    sides = [f"M{left} {top}V{bottom}", f"M{right} {top}V{bottom}"]
    sides += [] if rim.open_above else [f"M{left} {top}H{right}"]
    sides += [] if rim.open_below else [f"M{left} {bottom}H{right}"]
    lines = f'<path d="{"".join(sides)}" fill="none" stroke="{GROUPED[0]}"/>'
    return _tipped(_rect(rim.x, rim.y, rim.width, rim.height, fill) + lines, rim.tip)


def _way(way: Way) -> str:
    colour = FORWARD[0] if way.side == "forward" else BACKWARD[0]
    (x, y), (_, before) = way.points[-1], way.points[-2]
    back = HEAD if y > before else -HEAD
    body = [*way.points[:-1], (x, y - 1.5 * back)]
    line = " ".join(f"{_number(one)},{_number(other)}" for one, other in body)
    head = " ".join(f"{_number(one)},{_number(other)}" for one, other in ((x, y), (x - HEAD, y - 2 * back), (x + HEAD, y - 2 * back)))
    return (
        f'<g class="{way.side}" data-from={_quoted(way.source)} data-to={_quoted(way.target)} data-label={_quoted(way.label)}>'
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'
        f'<polygon points="{head}" fill="{colour}"/></g>'
    )


def _box(box: Box) -> str:
    line, fill = {"forward": FORWARD, "backward": BACKWARD}.get(box.side, NEUTRAL)
    dashed = ' stroke-dasharray="5 3"' if box.side == "none" or box.frozen else ""
    look = f'fill="{fill}" stroke="{line}" stroke-width="1.2"{dashed} rx="{12 if box.is_round else 4}"'
    rect = _rect(box.x, box.y, box.width, box.height, look)
    if box.is_double:
        rect += _rect(box.x + RIM, box.y + RIM, box.width - 2 * RIM, box.height - 2 * RIM, f'fill="none" stroke="{line}"{dashed} rx="2"')
    return _tipped(f'<g class="box {box.side}" data-name={_quoted(box.name)}>{rect}</g>', box.tip)


def _text(text: Text) -> str:
    bold, anchor = ' font-weight="bold"' if text.bold else "", f' text-anchor="{text.anchor}"' if text.anchor != "start" else ""
    place = f'x="{_number(text.x)}" y="{_number(text.y)}" font-size="{_number(text.size)}" fill="{text.colour}"'
    return f"<text {place}{bold}{anchor}>{_words(text.text)}</text>"


def pill_width(times: int) -> float:
    """Of the mark with a count."""
    return width_of(f"x{times}", COUNT, True) + 10
