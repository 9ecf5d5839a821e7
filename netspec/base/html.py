"""Parts of the pages that notebooks show: tables, notes, what is folded, pictures.

A page stands by itself: styles are inline, there is no script, and no colour but of lines and marks, all of which can be seen on white and
on black; words have the colour of the page around. Whatever is no Markup is escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape
from typing import Literal

Side = Literal["left", "right"]
BLUE, ORANGE, GREEN, RED, GREY = "#3d85c8", "#cf7a1d", "#2f9e6e", "#d84a5b", "#828282"
"""At least 3:1 against white and against black."""
RULE = "1px solid rgba(128, 128, 128, 0.35)"
FAINT = "opacity: 0.72"
ROUNDED = "height: 6px; border-radius: 3px"


class Markup(str):
    """HTML that is complete, with all words from outside escaped."""

    __slots__ = ()


def escaped(text: object) -> Markup:
    """The words as HTML; characters that cannot be seen, which may turn or hide words, are replaced."""
    if isinstance(text, Markup):
        return text
    return Markup(escape("".join(one if one.isprintable() or one in "\n\t" else "\ufffd" for one in str(text))))


def joined(*parts: object, by: str = "") -> Markup:
    """The parts one behind the other."""
    return Markup(by.join(escaped(part) for part in parts))


def element(tag: str, content: object = "", style: str = "", **attributes: object) -> Markup:
    """`<tag style=...>content</tag>`."""
    given = {**({"style": style} if style else {}), **attributes}
    inside = "".join(f' {name}="{escaped(value)}"' for name, value in given.items())
    return Markup(f"<{tag}{inside}>{escaped(content)}</{tag}>")


def line(*parts: object, style: str = "") -> Markup:
    """Words on lines of their own, which wrap; nothing where there are none."""
    words = joined(*parts)
    return element("div", words, style) if words else words


def bold(text: object, colour: str = "") -> Markup:
    return element("b", text, f"color: {colour}" if colour else "")


def figures(text: object) -> Markup:
    """`loss 0.07  accuracy 0.98`, with the spaces between them."""
    return element("span", text, "white-space: pre-wrap")


def faint(text: object) -> Markup:
    return element("span", text, FAINT) if text else Markup()


def code(text: object) -> Markup:
    """Lines as they are, each letter as wide as the other."""
    return element(
        "pre", text, "font-family: monospace; margin: 2px 0; line-height: 1.35; overflow-x: auto; white-space: pre; text-align: left"
    )


def fold(title: object, *parts: object, is_open: bool = False) -> Markup:
    """What is shown at a click on its title."""
    head = element("summary", title, "cursor: pointer")
    return element("details", joined(head, *parts), "margin: 4px 0", **({"open": "open"} if is_open else {}))


def page(*parts: object) -> Markup:
    """The whole of what a cell shows."""
    return element("div", joined(*parts), "text-align: left; max-width: 100%; overflow-x: auto")


def table(columns: Sequence[tuple[str, Side]], rows: Iterable[Sequence[object]]) -> Markup:
    """A table of names and figures; columns without names have no line for them. A row with fewer cells than columns ends in one that is as
    wide as the rest."""
    heads = "".join(_cell("th", name, side, weight="bold") for name, side in columns)
    head = f'<thead><tr style="border-bottom: {RULE}; background: transparent">{heads}</tr></thead>' if any(dict(columns)) else ""
    lines = []
    for row in rows:
        cells = [
            _cell("td", cell, columns[at][1], span=len(columns) - at if at == len(row) - 1 else 1) for at, cell in enumerate(row)
        ]  # fmt: skip
        lines.append(f'<tr style="background: transparent">{"".join(cells)}</tr>')
    style = "border-collapse: collapse; border: none; margin: 4px 0; width: auto; table-layout: auto"
    return element("table", Markup(f"{head}<tbody>{''.join(lines)}</tbody>"), style)


def shaded(content: object, share: float, colour: str = BLUE) -> Markup:
    """Words on a ground of that colour that is the stronger the larger the share, 0 to 1."""
    hue = ", ".join(str(int(colour[at : at + 2], 16)) for at in (1, 3, 5))
    ground = f"background-color: rgba({hue}, {max(0.0, min(share, 1.0)) * 0.6:.2f}); padding: 1px 6px; display: block"
    return element("span", content, ground)


def _cell(tag: str, content: object, side: Side, *, span: int = 1, weight: str = "normal") -> Markup:
    breaks = "pre" if side == "right" else "pre-wrap"  # figures stay whole
    style = f"text-align: {side}; padding: 1px 8px; border: none; font-weight: {weight}; white-space: {breaks}; vertical-align: top"
    return element(tag, content, style, align=side, **({"colspan": span} if span > 1 else {}))


def bar(share: float, colour: str = BLUE) -> Markup:
    """How much of something is done, 0 to 1."""
    done = element("div", "", f"width: {100 * max(0.0, min(share, 1.0)):.1f}%; {ROUNDED}; background-color: {colour}")
    return element("div", done, f"width: 100%; max-width: 480px; margin: 4px 0; {ROUNDED}; background-color: rgba(128, 128, 128, 0.25)")


def picture(svg: str, words: str, width: float | None = None) -> Markup:
    """A picture that scripts and styles of the page cannot reach, nor it them; `words` are for who does not see it."""
    data = b64encode(svg.encode()).decode()
    size = f"width: {width:.0f}px; " if width else ""
    return Markup(f'<img src="data:image/svg+xml;base64,{data}" alt="{escaped(words)}" style="{size}max-width: 100%; height: auto">')
