"""What a page for notebooks may consist of: the tags, attributes and styles that JupyterLab leaves in a notebook that is not trusted."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

TAGS = {"div", "span", "b", "pre", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "img"}
ATTRIBUTES = {
    "style": TAGS, "align": {"td", "th"}, "colspan": {"td", "th"}, "open": {"details"}, "src": {"img"}, "alt": {"img"},
}  # fmt: skip
STYLES = {
    "border", "border-bottom", "border-collapse", "border-radius", "background", "background-color", "color", "cursor", "display",
    "font-family", "font-size", "font-weight", "height", "line-height", "margin", "max-width", "opacity", "overflow-x", "padding",
    "table-layout", "text-align", "vertical-align", "white-space", "width",
}  # fmt: skip
PICTURE = "data:image/svg+xml;base64,"
SHAPES = {"svg", "title", "g", "rect", "path", "polyline", "polygon", "circle", "text"}
COUNT = re.compile(r"x\d+")
"""Of copies, in white on a ground of its own."""
GROUNDS = ("#ffffff", "#111111")
"""Of JupyterLab's light and dark pages."""
LEAST_CONTRAST = 3.0
"""Of lines and large words against their ground (WCAG 2.1, 1.4.11)."""


@dataclass
class Page(HTMLParser):
    """What a page says and what is wrong with it."""

    wrong: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    colours: set[str] = field(default_factory=set)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if tag not in ATTRIBUTES.get(name, ()):
                self.wrong.append(f"<{tag} {name}>")
            self.wrong += [f"style {one}" for one in _styles(value or "") if name == "style" and one not in STYLES]
            if name == "style":
                self.colours |= set(re.findall(r"(?<![-\w])color: (#\w+)", value or ""))
            if name == "src":
                self._picture(value or "")
        if tag != "img":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("b", "span"):
            self.words.append(" ")
        if not self._open or self._open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def _picture(self, source: str) -> None:
        if not source.startswith(PICTURE):
            self.wrong.append(f"a picture from {source[:40]}")
            return
        svg = b64decode(source.removeprefix(PICTURE)).decode()
        self.pictures.append(svg)
        for one in ElementTree.fromstring(svg).iter():
            if one.tag.removeprefix("{http://www.w3.org/2000/svg}") not in SHAPES:
                self.wrong.append(f"{one.tag} in a picture")
            self.wrong += [f"{name} in a picture" for name in one.attrib if name.startswith("on") or name in ("href", "style")]
            if not COUNT.fullmatch(one.text or ""):
                self.colours |= {one.attrib[name] for name in ("fill", "stroke") if one.attrib.get(name, "none") != "none"}

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def offences(self) -> list[str]:
        faint = [
            f"{colour} on {ground}" for colour in sorted(self.colours) for ground in GROUNDS if contrast(colour, ground) < LEAST_CONTRAST
        ]
        return [*self.wrong, *(f"<{tag}> is open" for tag in self._open), *faint]


def read(markup: str) -> Page:
    page = Page()
    page.feed(markup)
    page.close()
    return page


def _styles(value: str) -> Iterator[str]:
    yield from (one.partition(":")[0].strip() for one in value.split(";") if one.strip())
    yield from ("url" for _ in re.findall("url", value))


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminances (WCAG 2.1)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    shares = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
