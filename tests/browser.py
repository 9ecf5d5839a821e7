"""A real browser without a window, over the DevTools protocol on a pipe: what a page shows, asks for, and complains of."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60.0
"""For an answer; a busy machine is slow to start a browser."""


def browser_path() -> str | None:
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@dataclass
class Seen:
    """What happened while a page was open."""

    requests: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


class Browser:
    """One process with one page; a message is a line of JSON that ends in a zero byte."""

    def __init__(self, writer: int, reader: int) -> None:
        self.writer, self.reader, self.number, self.rest = writer, reader, 0, b""
        self.session: str | None = None
        self.seen = Seen()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        self.number += 1
        session = {} if self.session is None else {"sessionId": self.session}
        message = json.dumps({"id": self.number, "method": method, "params": given, **session}).encode() + b"\0"
        while message:
            message = message[os.write(self.writer, message) :]
        while True:
            found = self._read()
            if found.get("id") == self.number:
                assert "error" not in found, found["error"]
                return dict(found["result"])

    def _read(self) -> dict[str, Any]:
        """The next message; of events is kept what matters."""
        until = time.monotonic() + SECONDS
        while b"\0" not in self.rest:
            assert select.select([self.reader], [], [], max(0.0, until - time.monotonic()))[0], "the browser does not answer"
            part = os.read(self.reader, 1 << 20)
            assert part, "the browser has gone"
            self.rest += part
        line, _, self.rest = self.rest.partition(b"\0")
        found: dict[str, Any] = json.loads(line)
        given = found.get("params", {})
        match found.get("method"):
            case "Network.requestWillBeSent":
                self.seen.requests.append(given["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.seen.told.append(f"console: {given['args']}")
            case "Runtime.exceptionThrown":
                self.seen.told.append(f"exception: {given['exceptionDetails']['text']}")
            case "Log.entryAdded":
                self.seen.told.append(f"{given['entry']['level']}: {given['entry']['text']}")
            case "Page.loadEventFired":
                self.loaded = True
        return found

    def open(self, path: Path, width: int = 1280, dark: bool = False) -> Seen:
        """Loads a page at that width and theme, to its end."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=844, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.seen, self.loaded = Seen(), False
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not self.loaded:
            self._read()
        self.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 30)))")
        return self.seen

    def run(self, script: str) -> Any:
        """The value of an expression in the page; a promise is waited for."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def screenshot(self, path: Path) -> None:
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser whose profile lies in `folder`, ended afterwards."""
    path = browser_path()
    assert path is not None
    (to_read, to_write), (from_read, from_write) = os.pipe(), os.pipe()
    # the protocol wants the descriptors 3 and 4, which bash gives it
    words = [
        "bash", "-c", f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}', path, "--headless", "--no-sandbox", "--disable-gpu",
        "--remote-debugging-pipe", f"--user-data-dir={folder}", "--no-first-run", "--disable-background-networking",
        "--disable-component-update", "--disable-dev-shm-usage", "about:blank",
    ]  # fmt: skip
    running = subprocess.Popen(words, pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(to_read)
    os.close(from_write)
    try:
        opened = Browser(to_write, from_read)
        yield opened
        opened.session = None
        opened.call("Browser.close")
        running.wait(20)
    finally:
        running.kill()
        running.wait()
        os.close(to_write)
        os.close(from_read)


CONTRAST = """(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = text => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = '#000'; canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    const d = canvas.getImageData(0, 0, 1, 1).data; return [d[0], d[1], d[2], d[3] / 255];
  };
  const over = (top, below) => [0, 1, 2].map(k => top[k] * top[3] + below[k] * (1 - top[3]));
  const light = c => {
    const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const ground = element => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const filled = text => { const box = text.getBoundingClientRect(); const svg = text.ownerSVGElement; let found = null;
    if (!svg.closest('.net')) return ground(svg);
    for (const one of svg.querySelectorAll('rect')) { const b = one.getBoundingClientRect(); const style = getComputedStyle(one).fill;
      if (style !== 'none' && b.left <= box.left + 2 && b.right >= box.right - 2 && b.top <= box.top + 2 && b.bottom >= box.bottom - 2) {
        found = rgba(style).slice(0, 3); } }
    return found || ground(svg);
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some(node => node.nodeType === 3 && node.textContent.trim());
    const box = element.getBoundingClientRect();
    if (!own || !box.width || !box.height || element.closest('.sr') || element.tagName === 'title') continue;
    const isSvg = element.namespaceURI.endsWith('svg');
    const style = getComputedStyle(element);
    const below = isSvg ? filled(element) : ground(element);
    const top = over(rgba(isSvg ? style.fill : style.color), below);
    found.push([ratio(top, below), element.tagName + '.' + (element.getAttribute('class') || '') + ' ' + element.textContent.slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]);
})()"""
"""[ratio, element] of every text on the page, the faintest first, as WCAG measures contrast; shades that are see-through are laid over
what is below them."""
