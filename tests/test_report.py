"""The report of a run and the page of several: what they say, that they need nothing else, how a real browser shows them."""

from __future__ import annotations

import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CONTRAST, Browser, browser, browser_path
from small_runs import KillAt, Killed
from typer.testing import CliRunner, Result

import netspec
from netspec.base.dataset import Column
from netspec.base.errors import DivergedError
from netspec.pipeline import train
from netspec.save.run_folder import RunFolder
from netspec.ui.cli import app
from netspec.ui.report import write
from netspec.ui.report.charts import MOST_POINTS, inline, thinned
from netspec.ui.report.facts import facts_of
from netspec.ui.report.images import pictures
from netspec.ui.report.mistakes import Feature, features_of, image_shape, row_losses
from netspec.ui.report.page import cleaned

DIGITS = """netspec 1
let width = 24
data { source = digits; split = 60% / 20% / 20%; normalize = rescale }
net [affine(width)-bn-relu-dropout(25%)]x2 -> affine -> softmax
train { optimizer = adam(lr=1e-2); batch = 64; epochs = 5 }
"""
VALUES = """netspec 1
data { source = diabetes; split = 70% / 10% / 20%; normalize = per_feature }
net affine(8)-relu -> affine -> linear
train { optimizer = adam(lr=1e-2); batch = 50; epochs = 4 }
"""
HOSTILE = ("<script>alert(1)</script>", '"onload="alert(1)', "{{7*7}}", "$\\frac{1}{0}$ $", "{% for x in y %}", "\u202etxet", "L" * 100_000)
"""Labels by which a page could be broken out of."""
VOID = {"meta", "link", "img", "br", "path", "use", "rect", "polyline", "polygon", "circle", "line", "input", "hr"}


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs on images, on values, on a table with hostile words, and the page that compares two of them."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("digits.net").write_text(DIGITS)
        Path("values.net").write_text(VALUES)
        train(Path("digits.net"), run_dir=Path("digits"))
        train(Path("digits.net"), run_dir=Path("narrow"), width=8, **{"train.epochs": 3})
        train(Path("values.net"), run_dir=Path("values"))
        hostile_run(Path("hostile <b>&'\"{{1}}"))
        assert call("report", "digits", "narrow", "hostile <b>&'\"{{1}}", "-o", "compared.html").exit_code == 0
        yield folder


def hostile_run(folder: Path) -> None:
    """A fit whose labels and columns are hostile; enough rows of each are taken for another to have them in every table."""
    pandas = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    x = pandas.DataFrame(draw.normal(size=(140, 3)), columns=['<img src=x onerror="alert(1)">', "{{config}}", "</td></table>"])
    y = np.array(HOSTILE, dtype=object)[draw.integers(0, len(HOSTILE), 140)]
    netspec.compile("affine(5)-relu -> affine -> softmax", train="batch = 20").fit(x, y, validation=0.4, epochs=3, run_dir=folder)


# what a page is, read as text


class Walker(HTMLParser):
    """The elements of a page with their attributes, and what is wrong with how they are nested."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.faults: list[str] = []
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.styles: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is never closed" for tag in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        (self.styles if self.open and self.open[-1] == "style" else self.words).append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.found if name == tag]


def addresses(page: Walker) -> list[str]:
    """Every address that a page names: in attributes, and in the CSS of attributes and styles."""
    given = [
        value for _, attributes in page.found for name, value in attributes.items() if name in ("src", "href", "srcset", "action", "data")
    ]
    css = [*page.styles, *(value for _, attributes in page.found for value in attributes.values() if "url(" in value)]
    imported = [one for text in page.styles for one in re.findall(r"@import\s+\S+", text)]
    return [*given, *(one for text in css for one in re.findall(r"url\(\s*['\"]?([^'\")]*)", text)), *imported]


def offences(text: str) -> list[str]:
    """What a page has that it must not: addresses outside of it, scripts, handlers, ids of two elements, bad nesting, no policy."""
    page = Walker(text)
    found = [*page.faults]
    found += [
        f"address {one}" for one in addresses(page) if not one.startswith(("#", "data:image/png;base64,", "./", "../")) and one != "data:,"
    ]
    found += [f"<{tag}>" for tag, _ in page.found if tag in ("script", "iframe", "object", "embed", "form", "base")]
    found += [f"handler {name}" for _, attributes in page.found for name in attributes if name.startswith("on")]
    ids = [attributes["id"] for _, attributes in page.found if "id" in attributes]
    found += [f"id {one} twice" for one in {one for one in ids if ids.count(one) > 1}]
    found += [f"no element {one}" for one in addresses(page) if one.startswith("#") and one[1:] not in ids]
    policies = [one["content"] for one in page.all("meta") if one.get("http-equiv") == "Content-Security-Policy"]
    if policies != ["default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"]:
        found.append("no policy")
    return found


PAGES = ("digits/report.html", "narrow/report.html", "values/report.html", "hostile <b>&'\"{{1}}/report.html", "compared.html")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_and_names_nothing_outside_of_it(runs: Path, name: str) -> None:
    text = (runs / name).read_text()
    assert offences(text) == []
    assert len(text) < 500_000
    page = Walker(text)
    levels = [int(tag[1]) for tag, _ in page.found if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels)), "no level of heading is left out"
    assert all("scope" in one for one in page.all("th"))
    assert all(one["alt"] for one in page.all("img"))
    assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("put", "fault"),
    [
        ('<img src="https://example.org/x.png" alt="x">', "address https://example.org/x.png"),
        ('<p style="background:url(//example.org/x)">x</p>', "address //example.org/x"),
        ("<script>1</script>", "<script>"),
        ('<p onload="x">x</p>', "handler onload"),
        ("<p><b>x</p></b>", "</p> closes something else"),
        ('<p id="curves">x</p>', "id curves twice"),
        ('<a href="#nowhere">x</a>', "no element #nowhere"),
        ("<style>@import 'x.css'</style>", "address @import 'x.css'"),
    ],
)
def test_the_walk_finds(runs: Path, put: str, fault: str) -> None:
    """Negative controls."""
    text = (runs / PAGES[0]).read_text()
    assert fault in offences(text.replace("</main>", f"{put}</main>"))
    assert "no policy" in offences(text.replace("default-src 'none'", "default-src *"))


# what it says


def words_of(path: Path) -> str:
    return " ".join("".join(Walker(path.read_text()).words).split())


def test_a_run_on_images_shows_everything(runs: Path) -> None:
    page, words = Walker((runs / "digits/report.html").read_text()), words_of(runs / "digits/report.html")
    for part in (
        "Curves",
        "Confusion matrix",
        "Figures by class",
        "Worst mistakes",
        "By layer",
        "Forward and backward",
        "Environment",
        "Best epoch",
    ):
        assert part in words, part
    assert len(page.all("img")) == 24
    assert len(page.all("svg")) == 3
    measured = facts_of(RunFolder(runs / "digits")).figures
    rows = RunFolder(runs / "digits").read_environment()["rows"]["test"]
    assert f"Accuracy{measured['accuracy']:.4f}test, {rows} rows" in words
    for line in ("affine1 (24)", "dropout2 (0.25)", "copy 2 of 2", "let width = 24", "wave 0", "versions.numba"):
        assert line in words, line


def test_the_confusion_matrix_counts_the_rows(runs: Path) -> None:
    text = (runs / "digits/report.html").read_text()
    table = text[text.index('<div class="box matrix"') :]
    cells = [
        0 if one == "·" else int(one) for one in re.findall(r'<td class="[^"]*" title="[^"]*">([^<]*)</td>', table[: table.index("</div>")])
    ]
    model = netspec.restore(runs / "digits")
    part = model.splits_of_data().test
    assert part is not None
    assert cells == model.report_rows(part).confusion.reshape(-1).tolist()


def test_the_worst_mistakes_are_the_rows_of_largest_loss(runs: Path) -> None:
    model = netspec.restore(runs / "digits")
    part = model.splits_of_data().test
    assert part is not None
    p = model.predict_proba(part.x)
    losses = -np.log(p[np.arange(len(part)), part.y])
    order = np.argsort(-losses)[:24]
    assert part.index is not None
    shown = re.findall(r"row ([\d,]+), loss ([^<]*)<", (runs / "digits/report.html").read_text())
    assert [int(row.replace(",", "")) for row, _ in shown] == part.index[order].tolist()
    np.testing.assert_allclose([float(loss) for _, loss in shown], losses[order], rtol=6e-3)


def test_a_run_on_values_shows_residuals(runs: Path) -> None:
    words = words_of(runs / "values/report.html")
    for part in ("R2", "Predicted and true values", "feature ", "rmse"):
        assert part in words, part
    assert "Confusion" not in words


def test_hostile_words_are_words(runs: Path) -> None:
    """They stand in the page as they are, but for what is too long or turns its neighbours around; nothing of them is an element."""
    for name in (PAGES[3], "compared.html"):
        text = (runs / name).read_text()
        assert "<script" not in text
        assert "hostile <b>&'\"{{1}}" in words_of(runs / name)
        assert "\u202e" not in text
    text = (runs / PAGES[3]).read_text()
    words = words_of(runs / PAGES[3])
    for label in HOSTILE[:5]:
        assert label in words, label
    assert "L" * 29 not in text
    assert "{{config}}" in words
    assert len(text) < 300_000


def test_without_a_test_part_and_without_data_what_is_known_is_shown(runs: Path, tmp_path: Path) -> None:
    name = "hostile <b>&'\"{{1}}"
    result = call("report", runs / name, "-o", tmp_path / "again.html")
    assert (result.exit_code, result.stdout) == (0, f"{tmp_path / 'again.html'}\n")
    assert "The rows came from Python" in result.stderr
    words = words_of(tmp_path / "again.html")
    assert "The rows came from Python" in words
    assert "Curves" in words
    assert "Worst mistakes" not in words


def test_made_anew_it_is_the_same(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    pages = []
    for number in range(2):
        result = call("report", "digits", "-o", f"again{number}.html")
        assert (result.exit_code, result.stderr) == (0, "")
        pages.append(Path(f"again{number}.html").read_bytes())
    assert pages[0] == pages[1]
    # the marks at the layers tell where a value is from, and a resolved spec has all of them in its text
    first = Path("digits/report.html").read_text()
    assert first[: first.index('<section id="net">')] == pages[0].decode().partition('<section id="net">')[0]


def test_the_report_of_other_places(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that cannot be read costs the figures of rows alone."""
    monkeypatch.chdir(tmp_path)
    np.savez("rows.npz", x=np.random.default_rng(0).normal(size=(40, 3)), y=np.arange(40) % 2)
    Path("net.net").write_text('netspec 1\ndata { source = npz; path = "rows.npz" }\nnet affine -> softmax\ntrain { epochs = 2 }\n')
    train(Path("net.net"), run_dir=Path("run"))
    Path("run/report.html").unlink()
    Path("rows.npz").unlink()
    result = call("report", "run")
    assert (result.exit_code, result.stdout) == (0, "run/report.html\n")
    assert "The data cannot be read" in result.stderr
    assert "rows.npz" in words_of(Path("run/report.html"))


def test_a_page_of_several_runs_says_what_differs(runs: Path) -> None:
    path = runs / "compared.html"
    page, words = Walker(path.read_text()), words_of(path)
    assert [one["href"] for one in page.all("a")] == [
        "./digits/report.html", "./narrow/report.html", "./hostile%20%3Cb%3E%26%27%22%7B%7B1%7D%7D/report.html",
    ]  # fmt: skip
    assert "train.epochs 5 3" in words.replace("train.epochs53", "train.epochs 5 3")
    assert "Layers of narrow, beside digits" in words
    assert 'class="pill"' not in path.read_text()  # they were measured on different splits
    assert call("report", runs / "digits", runs / "narrow", "-o", runs / "two.html").exit_code == 0
    two = words_of(runs / "two.html")
    best = max(facts_of(RunFolder(runs / name)).figures["accuracy"] for name in ("digits", "narrow"))
    assert f"{best:.4f} the best" in two


@pytest.mark.parametrize("factor", [1, 1000])
def test_validation_losses_that_differ_very_much_have_a_logarithmic_axis(
    factor: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    for name, scale in (("small", 1), ("large", factor)):
        np.savez(f"{name}.npz", x=x, y=scale * draw.normal(size=60))
        Path(f"{name}.net").write_text(
            f'netspec 1 data {{ source = npz; path = "{name}.npz"; split = 40/20 }} net affine train {{ epochs = 3 }}'
        )
        netspec.train(f"{name}.net", run_dir=name)
    assert call("report", "small", "large", "-o", "both.html").exit_code == 0
    chart = Path("both.html").read_text().partition("Validation loss")[2].partition("</figure>")[0]
    ticks = set(re.findall(r"<text[^>]*>([^<]*)</text>", chart))
    powers = {f"{10.0**power:g}" for power in range(-4, 5)} | {"1e5", "1e6"}
    assert (len(ticks & powers) >= 4) == (factor == 1000), ticks
    assert call("plot", "small", "large").exit_code == 0


USAGE = {
    "absent": (("report", "absent"), "absent: no such run folder"),
    "no run": (("report", "."), "not a run folder"),
    "ending": (("report", "digits", "-o", "x.txt"), "x.txt: a report is a page: give a name that ends in .html to -o"),
    "folder": (("report", "digits", "-o", "none/x.html"), "there is no folder none"),
    "spec": (("report", "digits.net"), "is a spec, where a run folder is needed"),
    "one of several": (("report", "digits", "absent"), "absent: no such run folder"),
}


@pytest.mark.parametrize("name", USAGE)
def test_what_cannot_be_reported_is_told(runs: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    words, part = USAGE[name]
    result = call(*words)
    assert result.exit_code == 2
    assert part in result.stderr
    assert not Path("x.txt").exists()


# when it is written


def test_without_the_extra_a_run_has_no_report(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    train(runs / "values.net", run_dir=tmp_path / "run", **{"train.epochs": 1})
    assert not (tmp_path / "run/report.html").exists()
    result = call("report", runs / "values")
    assert (result.exit_code, result.stderr) == (2, "error: this needs jinja2: pip install 'netspec[report]'\n")


def test_training_that_diverged_has_a_report_that_says_why(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 4))
    model = netspec.compile("affine", input=4, train="optimizer = sgd(lr=1e3); batch = 10")
    with pytest.raises(DivergedError):
        model.fit(x, x[:, 0], epochs=40, run_dir=tmp_path / "run")
    words = words_of(tmp_path / "run/report.html")
    assert "Training ended early: the loss became" in words
    assert "Curves" in words


def test_a_resumed_run_writes_it_anew(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(runs / "values.net", run_dir=tmp_path / "run", monitor=KillAt(0, epoch=3))
    assert not (tmp_path / "run/report.html").exists()
    assert call("report", tmp_path / "run").exit_code == 0  # of a run that was killed too
    assert "Worst mistakes" in words_of(tmp_path / "run/report.html")
    train(runs / "values.net", resume=tmp_path / "run")
    assert "of 4" in words_of(tmp_path / "run/report.html")


def test_a_report_that_fails_costs_no_result(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise ZeroDivisionError("as if")

    monkeypatch.setattr(write, "write_report", broken)
    with pytest.warns(RuntimeWarning, match="no report.html: ZeroDivisionError: as if"):
        train(runs / "values.net", run_dir=tmp_path / "run", **{"train.epochs": 1})
    assert RunFolder(tmp_path / "run").is_over


@pytest.mark.parametrize("name", ["plan.txt", "spec.net", "spec.resolved.net", "env.json"])
def test_a_link_out_of_the_folder_is_not_shown(runs: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(runs / "values", tmp_path / "run")
    (tmp_path / "mine").write_text('{"password": "open sesame"}')
    (tmp_path / "run" / name).unlink()
    (tmp_path / "run" / name).symlink_to(tmp_path / "mine")
    (tmp_path / "run" / "report.html").unlink(missing_ok=True)
    call("report", tmp_path / "run")
    page = tmp_path / "run" / "report.html"
    assert not page.exists() or "open sesame" not in page.read_text()
    (tmp_path / "run" / name).unlink()
    shutil.copy(runs / "values" / name, tmp_path / "run" / "beside")
    (tmp_path / "run" / name).symlink_to("beside")
    assert call("report", tmp_path / "run").exit_code == 0


@pytest.mark.parametrize("loss", ["-1.7e308", "1.7e308"])
def test_losses_near_the_end_of_the_numbers_are_not_drawn(runs: Path, tmp_path: Path, loss: str) -> None:
    shutil.copytree(runs / "values", tmp_path / "run")
    for name, pattern in (("events.jsonl", r'(loss": )[^,}]+'), ("results.csv", r"(?m)^(\d+,\d+,[^,]+,)[^,]*")):
        path = tmp_path / "run" / name
        path.write_text(re.sub(pattern, rf"\g<1>{loss}", path.read_text()))
    for words in (("report",), ("plot", "-o", tmp_path / "c.png"), ("watch", "--once")):
        done = call(words[0], tmp_path / "run", *words[1:])
        assert done.exit_code in (0, 2), done.stderr
        assert "bug" not in done.stderr


def test_damaged_folders_are_told(runs: Path, tmp_path: Path) -> None:
    for name, content in (("events.jsonl", b"[1]\n"), ("results.csv", b"x\n")):
        folder = tmp_path / name
        shutil.copytree(runs / "values", folder)
        (folder / name).write_bytes(content)
        result = call("report", folder)
        assert result.exit_code == 4
        assert "damaged" in result.stderr
    folder = tmp_path / "odd"
    shutil.copytree(runs / "values", folder)
    (folder / "plan.txt").unlink()
    os.mkfifo(folder / "plan.txt")
    assert call("report", folder).exit_code == 4  # reading a pipe might never end
    (folder / "plan.txt").unlink()
    (folder / "results.csv").write_text(
        "epoch,step,lr,loss,train_accuracy,val_loss,val_accuracy,seconds\n1,1,,,,,,\n2,2,nan,inf,,1e400,,-1\n"
    )
    with (folder / "events.jsonl").open("a") as stream:
        stream.write(
            f'{{"event": "end", "split": ["<b>"], "r2": {10**400}, "loss": "<i>"}}\n{{"event": "stopped", "reason": {{"<b>": 1}}}}\n'
        )
    os.utime(folder / "spec.net", (1e13, 1e13))
    assert call("report", folder, runs / "values", "-o", tmp_path / "two.html").exit_code == 0
    assert offences((tmp_path / "two.html").read_text()) == []
    (folder / "env.json").write_text('{"rows": 3, "versions": [[[]]], "a": {"b": {"c": null, "<i>": "<b>"}}}')
    assert call("report", folder).exit_code == 0
    assert offences((folder / "report.html").read_text()) == []


# its parts


def test_rows_have_the_losses_whose_mean_is_the_nets(runs: Path) -> None:
    for name in ("digits", "values"):
        model = netspec.restore(runs / name)
        part = model.splits_of_data().test
        assert part is not None
        measured = model.measured("test", part)
        losses = row_losses(model.graph.loss, measured.scored.scores, measured.scored.y)
        assert losses.mean() == pytest.approx(measured.figures["loss"], rel=1e-5)


def test_pictures_keep_bytes_and_fractions_and_stretch_other_numbers() -> None:
    assert image_shape((64,), [1, 8, 8]) == (1, 8, 8)
    assert image_shape((64,), [64]) is None
    assert image_shape((64,), None) is None
    for images in (np.zeros((2, 1, 4, 4)), np.full((1, 3, 5, 4), 200, np.uint8), np.random.default_rng(0).normal(size=(3, 5, 400, 3))):
        assert all(one.startswith("data:image/png;base64,") for one in pictures(images))


def test_names_of_features() -> None:
    columns = (Column("rooms"), Column("city", ("Oslo", "Rome")))
    assert features_of(columns, 3) == [Feature("rooms", 0), Feature("city", 1, ("Oslo", "Rome"))]
    assert [one.name for one in features_of(columns, 4)] == ["feature 0", "feature 1", "feature 2", "feature 3"]
    assert [one.told(np.array([4.5, 0.0, 1.0])) for one in features_of(columns, 3)] == ["rooms 4.5", "city = Rome"]


@pytest.mark.parametrize("normalize", ["", ", per_feature"])
def test_a_column_of_text_is_one_feature(normalize: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    towns = [f"town{number}" for number in draw.integers(0, 6, 80)]
    rows = [f"{draw.normal():.3f},{draw.normal():.3f},{town},{'ab'[number % 2]},{number % 3}" for number, town in enumerate(towns)]
    Path("t.csv").write_text("\n".join(["width,height,town,kind,label", *rows, ""]))
    text = f'data {{ source = csv; path = "t.csv"; transforms = one_hot{normalize}; split = 40/40 }} net affine -> softmax'
    Path("t.net").write_text(f"netspec 1 {text} train {{ epochs = 2 }}")
    netspec.train("t.net", run_dir="run")
    listed = re.findall(r'<td class="words long">([^<]*)</td>', Path("run/report.html").read_text())
    assert len(listed) == 12
    for features in listed:
        names = [feature.split()[0] for feature in features.split(", ")]
        assert sorted(names) == ["height", "kind", "town", "width"], "each of the four columns, once"
    found = re.findall(r"town = (town\d) \(([+-][\d.]+)\)", " ".join(listed))
    validated = {name for name, _ in found}
    assert len(found) == 12
    assert validated <= set(towns)
    assert all(float(away) > 0 for _, away in found), "the number of the town that it is lies above its mean"
    for row, features in re.findall(
        r'<th scope="row">(\d+)</th>.*?<td class="words long">([^<]*)</td>', Path("run/report.html").read_text()
    ):
        assert f"town = {towns[int(row)]} " in features


def test_a_long_line_keeps_its_ends_and_its_extremes() -> None:
    values = np.random.default_rng(0).normal(size=20_000)
    at = thinned(values)
    assert len(at) <= MOST_POINTS
    assert {0, 19_999, int(values.argmin()), int(values.argmax())} <= set(at.tolist())
    assert thinned(np.ones(5)).tolist() == [0, 1, 2, 3, 4]


def test_what_a_page_cannot_hold_is_replaced() -> None:
    assert cleaned("a\x00b\ud800c\u2066d\te") == "a\ufffdb\ufffdc\ufffdd\te"
    assert len(cleaned("x" * 1_000_000)) < 300_000


def test_ids_of_pictures_are_apart() -> None:
    shapes = '<path id="m1" d="M 0.123 4.567"/><use xlink:href="#m1" style="fill: #000101"/>'
    document = f'<?xml?><svg viewBox="0 0 1 1" id="a"><metadata>http://x</metadata>{shapes}</svg>'
    assert inline(document, "one") == (
        '<svg viewBox="0 0 1 1" aria-hidden="true"><path id="one-m1" d="M 0.1 4.5"/><use href="#one-m1" style="fill: var(--ink)"/></svg>'
    )


# in a real browser


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if browser_path() is None:
        pytest.skip("needs a browser: apt install chromium")
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def open_all(chrome: Browser) -> None:
    chrome.run("document.querySelectorAll('details').forEach(one => one.open = true)")


def faults(chrome: Browser, path: Path, width: int, dark: bool) -> list[str]:
    """What is wrong with a page as the browser shows it."""
    seen = chrome.open(path, width, dark)
    open_all(chrome)
    found = [f"asks for {one[:80]}" for one in seen.requests if not one.startswith("data:") and one != path.resolve().as_uri()]
    found += seen.told
    wide, room = chrome.run("[document.scrollingElement.scrollWidth, innerWidth]")
    if wide > room or room != width:
        found.append(f"is {wide} wide in {width}")
    faint = [one for one in chrome.run(CONTRAST) if one[0] < 4.5]
    found += [f"faint: {ratio:.2f} {told}" for ratio, told in faint]
    flat = chrome.run(
        "[...document.querySelectorAll('section, figure svg, img, table')].filter(one => one.getBoundingClientRect().height < 8).length"
    )
    if flat:
        found.append(f"{flat} parts have no height")
    return found


@pytest.mark.parametrize("name", PAGES)
def test_a_browser_shows_it(runs: Path, chrome: Browser, name: str) -> None:
    """On a phone and on a screen, on light and on dark pages: no request leaves, nothing is complained of, nothing is too wide or faint."""
    colours = set()
    for width, dark in ((360, False), (360, True), (1280, True), (1280, False)):
        assert faults(chrome, runs / name, width, dark) == []
        colours.add((dark, chrome.run("getComputedStyle(document.body).backgroundColor + getComputedStyle(document.body).color")))
    assert len({colour for _, colour in colours}) == len(colours) == 2, "light and dark differ"
    strokes = []
    for dark in (False, True):
        chrome.open(runs / name, 1280, dark)
        strokes.append(chrome.run("[...document.querySelectorAll('figure svg path')].map(one => getComputedStyle(one).stroke)"))
    assert strokes[0] != strokes[1], "curves follow the theme"


@pytest.mark.parametrize(
    ("put", "fault"),
    [
        ('<img src="https://example.invalid/x.png" alt="x">', "asks for https://example.invalid/x.png"),
        ("<script>console.error('as if')</script>", "console: "),
        ("<script>throw new Error('as if')</script>", "exception: "),
        ('<table><tr><td style="white-space:nowrap">' + "wide " * 200 + "</td></tr></table>", "wide in 360"),
        ('<p style="color:#999;background:#bbb">faint</p>', "faint: "),
        ("<section style='height:0;padding:0;border:0;margin:0'></section>", "1 parts have no height"),
    ],
)
def test_the_browser_finds(runs: Path, chrome: Browser, tmp_path: Path, put: str, fault: str) -> None:
    """Negative controls, without the policy that would keep them from happening."""
    text = (runs / PAGES[0]).read_text()
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text)
    assert policy is not None
    (tmp_path / "page.html").write_text(text.replace(policy[0], "").replace("</main>", f"{put}</main>"))
    assert any(fault in one for one in faults(chrome, tmp_path / "page.html", 360, False))


def test_the_policy_stops_what_would_get_in(runs: Path, chrome: Browser, tmp_path: Path) -> None:
    put = "<script>document.title = 'sprung'</script><img src=x onerror=\"document.title = 'sprung'\">"
    (tmp_path / "page.html").write_text((runs / PAGES[0]).read_text().replace("</main>", f"{put}</main>"))
    chrome.open(tmp_path / "page.html", 360)
    assert chrome.run("document.title") == "digits - netspec"
    assert chrome.run("document.querySelector('h1').textContent") == "digits"


def test_no_warning_is_given_while_a_page_is_made(runs: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call("report", runs / "digits", "-o", tmp_path / "x.html").exit_code == 0


def test_paper_is_white(runs: Path, chrome: Browser) -> None:
    """Also where the reader prefers dark pages; boxes that scroll are open, for paper does not."""
    chrome.open(runs / PAGES[0], 800, True)
    chrome.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    shown = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    assert chrome.run(shown) == ["rgb(255, 255, 255)", "rgb(27, 36, 45)"]
    assert chrome.run("[...document.querySelectorAll('.box')].every(one => getComputedStyle(one).overflow === 'visible')")
    assert min(ratio for ratio, _ in chrome.run(CONTRAST)) >= 4.5
    chrome.call("Emulation.setEmulatedMedia", media="screen")
