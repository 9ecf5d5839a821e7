"""What notebooks show: pages of every noun, progress, errors, the cell `%%netspec`; in a real kernel of Jupyter."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kernels import Kernel, kernel
from pages import GROUNDS, LEAST_CONTRAST, contrast, read

import netspec as ns
from netspec.base import html
from netspec.base.chart import Axis, Curve, chart
from netspec.base.diagnostic import Diagnostic, Diagnostics
from netspec.base.text import Source, Span
from netspec.catalog.layers.softmax import Softmax
from netspec.train.evaluate import Scored
from netspec.train.gradcheck import GradcheckReport
from netspec.train.history import History
from netspec.ui.class_report import report_of
from netspec.ui.notebook.magic import parsed
from netspec.ui.notebook.picture import on_any_ground
from netspec.ui.notebook.progress import Live, _time

DATA = """
import warnings; warnings.simplefilter("always")
import numpy as np, netspec as ns
rng = np.random.default_rng(0)
X = rng.normal(size=(300, 20)); y = (X[:, :5].sum(axis=1) > 0).astype(int)
"""
NET = "[affine(width)-bn-relu-dropout(10%)]x2 -> affine -> softmax"
SMALL = f'ns.compile("{NET}", input=20, classes=2, width=16, threads=1, train="optimizer = adam(lr=3e-3); epochs = 4; batch = 50")'
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&\u202e\x1b[2J"


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with kernel(tmp_path_factory.mktemp("notebook")) as started:
        first = started.run(f"{DATA}model = {SMALL}\n%load_ext netspec")
        assert (first.outputs, first.error) == ([], "")
        yield started


def shown(cells: Kernel, source: str) -> tuple[str, str]:
    """The page and the plain words of a cell that shows one thing, and nothing else."""
    cell = cells.run(source)
    assert not cell.error, cell.error
    assert (cell.streams, len(cell.html), len(cell.plain)) == ("", 1, 1)
    assert read(cell.html[0]).offences() == []
    return cell.html[0], cell.plain[0]


# pages, in the kernel


def test_a_model_shows_its_layers_its_picture_and_its_text(cells: Kernel) -> None:
    page, plain = shown(cells, "model")
    found = read(page)
    assert plain == "Model(20 -> 2, 706 parameters, 0 epochs done)"
    assert "Model 20 \u2192 2: 706 parameters, not trained yet, head softmax" in found.text
    assert "affine(width)-bn-relu-dropout(10%)" in found.text
    assert "let width = 16" in found.text
    assert len(found.pictures) == 1
    assert ">affine1 backward<" in found.pictures[0]
    assert found.tags.count("summary") >= 4


def test_a_summary_is_the_table_that_is_printed(cells: Kernel) -> None:
    page, plain = shown(cells, "model.summary()")
    words = set(re.findall(r"[\w%()*+.,-]+", plain))
    text = read(page).text.replace("\u2003", " ")
    assert len(words) > 60
    assert {word for word in words if word not in text} == set()


def test_what_prints_prints_in_a_kernel_as_elsewhere(cells: Kernel) -> None:
    """A library that finds a kernel may display what it is to print, and give an empty text."""
    cell = cells.run("print(model.summary()); print(model.report(X, y)); assert str(model.summary()).startswith('layer')")
    assert [one.output_type for one in cell.outputs] == ["stream"]
    assert "affine1 (16)" in cell.streams
    assert "confusion matrix" in cell.streams


def test_a_plan_shows_launches_and_memory(cells: Kernel) -> None:
    page, plain = shown(cells, "model.plan")
    text = read(page).text
    assert plain.startswith("batches of at most 51 rows, float32")
    for word in ("bn-relu-dropout gradient", "cross_entropy", "wave", "parameters, optimiser", "arena:"):
        assert word in text


def test_reports_and_searches(cells: Kernel) -> None:
    page, _ = shown(cells, "model.report(X, y)")
    assert "precision" in read(page).text
    assert "background-color: rgba(" in page
    page, plain = shown(cells, "model.gradcheck(X[:6], y[:6])")
    assert read(page).text.split(":")[0].endswith("right")
    assert plain.startswith("affine1.W")
    page, _ = shown(cells, "model.lr_find(X, y)")
    assert "suggested lr" in read(page).text
    assert 'stroke-dasharray="4 3"' in read(page).pictures[0]


def test_findings_are_shown_as_check_prints_them(cells: Kernel) -> None:
    page, plain = shown(cells, 'ns.check("netspec 1 net afine(3) -> affine -> softmax")')
    assert plain.startswith("error[NS201]: unknown layer `afine`\n  --> <string>:1:15\n")
    assert plain.endswith("1 error")
    for line in plain.split("\n")[:4]:
        assert " ".join(line.split()) in read(page).text
    assert read(shown(cells, 'ns.check("netspec 1 net affine")')[0]).text == "fine"


def test_a_model_without_shapes_and_what_was_built_in_python(cells: Kernel) -> None:
    page, _ = shown(cells, "ns.compile('affine(3)-relu -> affine -> softmax')")
    assert "shapes are not known yet" in read(page).text
    page, _ = shown(cells, "ns.program(ns.affine(3) >> ns.softmax)")
    assert "net affine(3) -> softmax" in read(page).text


# training, in the kernel


def test_progress_is_one_display_that_is_kept_up_to_date(cells: Kernel) -> None:
    cell = cells.run(f"seen = {SMALL}\nhistory = seen.fit(X, y, validation=0.2, verbose=1)")
    assert (cell.error, cell.streams) == ("", "")
    assert cell.kinds.count("display_data") == 1
    assert cell.kinds.count("update_display_data") >= 1
    assert len(cell.outputs) == 1
    page = read(cell.html[0])
    assert page.offences() == []
    assert page.text.startswith("trained to epoch 4: ")
    assert len(page.pictures) == 2
    assert cell.plain[0].startswith("trained to epoch 4: loss ")
    page = read(shown(cells, "history")[0])
    assert page.text.endswith("4 epochs, 20 steps")
    assert "training from" in shown(cells, "history")[0]
    assert "4 epochs done" in read(shown(cells, "seen")[0]).text


def updates_of(cells: Kernel, epochs: int) -> tuple[int, float]:
    """How often the display of so many epochs is updated, and the seconds that they take."""
    source = f"import time; seen = {SMALL}; began = time.monotonic()\nseen.fit(X, y, epochs={epochs}, verbose=1)\ntime.monotonic() - began"
    cell = cells.run(source)
    assert not cell.error, cell.error
    assert cell.plain[0].startswith(f"trained to epoch {epochs}: ")
    return cell.kinds.count("update_display_data"), float(cell.plain[-1])


def test_progress_does_not_flood(cells: Kernel) -> None:
    """At most five updates in a second, and the last one; the control hears of every epoch."""
    updates, seconds = updates_of(cells, 5000)
    assert updates <= 5 * seconds + 1
    pauses = "netspec.ui.notebook.progress.PAUSES"
    cells.run(f"import netspec.ui.notebook.progress; kept = {pauses}; {pauses} = ((float('inf'), 0.0),)")
    updates, seconds = updates_of(cells, 50)
    cells.run(f"{pauses} = kept")
    assert updates > 50


def test_silent_training_shows_nothing(cells: Kernel) -> None:
    assert cells.run("_ = model.fit(X, y, epochs=1)").outputs == []


def test_an_interrupt_stops_training_in_a_few_words(cells: Kernel) -> None:
    cell = cells.run(f"long = {SMALL}\nlong.fit(X, y, epochs=10_000_000, verbose=1)", interrupts=True)
    told = plain_of(cell.error)
    assert re.fullmatch(r"Interrupted\n  Cell In\[\d+\], line 2: long\.fit\(.*\)\n\nstopped by SIGINT in epoch \d+; .*", told)
    done = re.search(r"; the model's history has what was done \(([\d,]+) epochs, ([\d,]+) steps\), and its fit goes on from there$", told)
    assert done is not None
    counted = cells.run("print(f'{len(long.history.epochs):,} {len(long.history.loss):,}')").streams
    assert counted.split() == list(done.groups())
    assert cell.streams == ""
    assert re.match(r"ended (in|after) epoch \d+ of 10000000: ", cell.plain[0])
    assert read(cell.html[0]).offences() == []
    after = cells.run(
        "print(long.epochs_done > 0, long.history.stopped, long.predict(X[:2]).shape, len(long.fit(X, y, epochs=1).epochs) > 1)"
    )
    assert re.fullmatch(r"True stopped by SIGINT in epoch \d+ \(2,\) True\n", after.streams)


def plain_of(coloured: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", coloured)


# errors, in the kernel


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('ns.compile("input 20 classes 2\\nnet affin(3) -> softmax")', "error[NS201]: unknown layer `affin`\n  --> <string>:2:5\n"),
        ("model.fit(X, y[:-1])", "x has 300 rows and y has 299; each row needs one label"),
        ("model.fit(X)", "fit takes X and y together"),
        ('ns.restore("nothing.here")', "nothing.here"),
    ],
)
def test_an_error_is_told_without_frames_of_netspec(cells: Kernel, source: str, told: str) -> None:
    cell = cells.run(f"def own():\n    return {source}\nown()")
    assert "\x1b[1;31m" in cell.error
    text = plain_of(cell.error)
    assert re.match(r"(Spec|Data|Usage)Error\n  Cell In\[\d+\], line 3: own\(\)\n  Cell In\[\d+\], line 2: return ", text)
    assert told in text
    assert "netspec/" not in text
    assert [one.output_type for one in cell.outputs] == ["error"]


def test_other_errors_keep_their_traceback_and_debug_brings_all(cells: Kernel) -> None:
    """The controls of the test above."""
    assert "Traceback" in plain_of(cells.run("model.fit(X, y, callbacks=[lambda model, row: 1 / 0], epochs=1)").error)
    cell = cells.run("import os; os.environ['NETSPEC_DEBUG'] = '1'\nmodel.fit(X)")
    cells.run("del os.environ['NETSPEC_DEBUG']")
    assert "netspec/model.py" in cell.error
    cell = cells.run("os.environ['NO_COLOR'] = '1'\nmodel.fit(X)")
    cells.run("del os.environ['NO_COLOR']")
    assert "\x1b" not in cell.error
    assert "fit takes X and y together" in cell.error


# the cell


DIGITS = """let width = 8
data { source = digits; split = 80% / 10% / 10%; normalize = rescale }
net affine(width)-relu -> affine -> softmax
train { batch = 64; epochs = 3; threads = 1 }"""


def test_the_cell_gives_a_model(cells: Kernel) -> None:
    page, plain = shown(cells, f"%%netspec net --input 20 --classes 2 --set width={{4 * 4}} --threads 1\n{NET}")
    assert "affine1 (16)" in plain
    assert "706" in read(page).text
    assert cells.run("print(net, net.program.source.path)").streams == "Model(20 -> 2, 706 parameters, 0 epochs done) cell\n"
    cell = cells.run("%%netspec\naffine(3) -> affine -> softmax")
    assert "shapes are not known yet" in read(cell.html[0]).text
    assert cells.run("print(model)").streams == "Model(shapes not known yet)\n"
    assert not cells.run(f"model = {SMALL}").error


def test_the_cells_model_can_be_saved(cells: Kernel) -> None:
    made = cells.run(f"%%netspec net --input 20 --classes 2 --set width=16 --threads 1\n{NET}")
    assert not made.error
    cell = cells.run("net.save('net.safetensors'); print((ns.restore('net.safetensors').predict(X) == net.predict(X)).all())")
    assert cell.streams == "True\n"
    first = "__import__('pathlib').Path('run/spec.net').read_text().split('\\n')[0]"
    cell = cells.run(f"net.fit(X, y, epochs=1, run_dir='run'); print({first}, len(ns.check('run/spec.resolved.net')))")
    assert cell.streams == "# %%netspec net --input 20 --classes 2 --set width=16 --threads 1 0\n"


def test_the_cell_shows_what_is_wrong_and_changes_nothing(cells: Kernel) -> None:
    cells.run("net = 'as it was'")
    cell = cells.run("%%netspec net\nnetspec 1\ninput 1x8x8\nclasses 10\nnet [conv(16)-relu-pool]x4 -> affine -> softmax")
    page = read(cell.html[0])
    assert page.offences() == []
    assert page.text.startswith("error[NS402]: pool: a window of 2x2 is larger than the image 1x1")
    assert "--> cell:5:20" in page.text, "lines count as those of the cell"
    assert plain_of(cell.error) == "SpecError: 1 error in this cell; `net` is as it was"
    assert [one.output_type for one in cell.outputs] == ["display_data", "error"]
    assert cells.run("print(net)").streams == "as it was\n"


def test_the_cell_shows_warnings_and_goes_on(cells: Kernel) -> None:
    cell = cells.run("%%netspec net --input 4 --classes 2\nnet affine(4)-dropout(70%) -> affine -> softmax")
    assert not cell.error
    warning, summary = (read(page) for page in cell.html)
    assert (warning.offences(), summary.offences()) == ([], [])
    assert warning.text.startswith("warning[W103]: dropout drops 70% of the values")
    assert summary.text.startswith("layer output parameters")


def test_the_cell_trains(cells: Kernel) -> None:
    cell = cells.run(f"%%netspec digits --train --epochs 2\n{DIGITS}")
    assert (cell.error, cell.streams) == ("", "")
    assert [read(page).offences() for page in cell.html] == [[]] * 3
    summary, progress, figures = (read(page).text for page in cell.html)
    assert "affine1 (8)" in summary
    assert progress.startswith("trained to epoch 2: ")
    assert re.search(r"rows ?train 1,438, validation 179, test 180", figures)
    assert re.search(r"test ?loss \d\.\d+ accuracy 0\.\d+", figures)
    assert cells.run("print(digits.epochs_done)").streams == "2\n"


def test_an_interrupt_of_the_cell_names_its_variable(cells: Kernel) -> None:
    cell = cells.run(f"%%netspec digits --train --epochs 10000000\n{DIGITS}", interrupts=True)
    assert re.search(
        r"stopped by SIGINT in epoch \d+; digits\.history has what was done \(.*\), and digits\.fit goes on", plain_of(cell.error)
    )
    before = cells.run("digits.epochs_done").plain[0]
    assert cells.run("digits.fit(epochs=1); digits.epochs_done").plain[0] == str(int(before) + 1)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--set width={nosuch}", "--set width={nosuch}: {nosuch}: the notebook has no variable nosuch; give it a value in a cell before"),
        ("--set width={modle.epochs_done}", "{modle.epochs_done}: the notebook has no variable modle; did you mean model?"),
        ("--set a={X} --set b={nosuch}", "{nosuch}: the notebook has no variable nosuch"),
        ("--set width={1/0}", "{1/0} fails; calculate it in a cell of its own, which shows why, and give the result a name"),
        ("--set 'width={max(n for n in X.shape) / 0}'", "fails; calculate it in a cell of its own"),
        ("{nosuch} --train", "{nosuch}: the notebook has no variable nosuch"),
        ("--set width=$nosuch", "$nosuch: the notebook has no variable nosuch; give it a value"),
        ("--set width={3 +}", "{3 +} is no expression of Python"),
        ("--clases 2", "unrecognized arguments: --clases"),
        ("class", "%%netspec class: give the name of a variable, such as model"),
        ("my-net", "give the name of a variable"),
        ("--train", "the text has none: write one, such as `data { source = digits }`"),
        ("--set width", "--set width: write --set key=value"),
        ("--input 3by3", "--input 3by3: write the features of a vector (30)"),
        ("'half", "No closing quotation"),
    ],
)
def test_a_wrong_line_is_told_in_a_few_words(cells: Kernel, line: str, told: str) -> None:
    text = plain_of(cells.run(f"%%netspec {line}\naffine(3) -> softmax").error)
    assert text.startswith("UsageError\n\n")
    assert told in text


def test_completion_in_the_cell(cells: Kernel) -> None:
    assert cells.complete("%%netspec\nlet width = 3\nnet affine(wi") == ["width"]
    assert cells.complete("%%netspec\nnet affine(3)-drop") == ["dropout", "dropout2d"]
    assert cells.complete("%%netspec\naffine(3)\ntrain { optim") == ["optimizer"]
    assert cells.complete("%%netspec model --tr") == ["--train"]
    assert "drop" not in " ".join(cells.complete("drop")), "cells of Python are Python's"


def test_the_extension_comes_and_goes(cells: Kernel) -> None:
    count = "print('netspec' in get_ipython().magics_manager.magics['cell'], len(get_ipython().Completer.custom_matchers))"
    assert cells.run(f"%reload_ext netspec\n{count}").streams == "True 1\n"
    assert cells.run(f"%unload_ext netspec\n{count}").streams == "False 0\n"
    assert cells.run(f"%load_ext netspec\n{count}").streams == "True 1\n"
    documented = cells.run("print(get_ipython().find_cell_magic('netspec').__doc__)").streams
    assert "--set KEY=VALUE" in documented


# without a notebook


def test_nothing_of_ipython_is_imported() -> None:
    train = "netspec.compile('affine', input=2, threads=1).fit([[1., 2.]], [1.], verbose=1, epochs=1)"
    code = f"import sys, netspec\n{train}\nprint('IPython' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
    assert done.stderr.startswith("1 rows, 1 steps an epoch\nepoch 1: loss ")


def test_ipython_in_a_terminal(tmp_path: Path) -> None:
    """Progress is lines, errors are short, and the cell prints; without colour where stdout is no terminal."""
    script = tmp_path / "cells.ipy"
    cell = 'get_ipython().run_cell_magic("netspec", "net --input 2 --outputs 1 --threads 1", "affine(3)-relu -> affine")'
    lines = ["%load_ext netspec", cell, "net.fit([[1., 2.]] * 4, [1.] * 4, verbose=1, epochs=1)", "net.fit([[1., 2.]], None)"]
    script.write_text("\n".join(lines))
    given = [
        sys.executable,
        "-m",
        "IPython",
        "--no-banner",
        "--no-confirm-exit",
        "--ipython-dir",
        str(tmp_path),
        "--colors",
        "nocolor",
        str(script),
    ]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert "affine1 (3)" in done.stdout
    assert "4 rows, 1 steps an epoch\nepoch 1: loss " in done.stderr
    assert "fit takes X and y together" in done.stdout + done.stderr
    assert "netspec/model.py" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout


def test_pythons_own_traceback_is_as_ever() -> None:
    with pytest.raises(ns.SpecError) as caught:
        ns.compile("afine(3) -> softmax", input=3, classes=2)
    lines = traceback.format_exception(caught.value)
    assert lines[0].startswith("Traceback")
    assert any("pipeline.py" in line for line in lines)
    assert repr(ns.check("netspec 1 net affine")) == "[]"


@pytest.mark.parametrize("name", ["load_ipython_extension", "unload_ipython_extension"])
def test_ipythons_hooks_are_no_public_names(name: str) -> None:
    assert callable(getattr(ns, name))
    assert name not in ns.__all__
    assert name not in dir(ns)


# laws of pages


def hostile_objects() -> dict[str, Any]:
    model = ns.compile("affine(4)-relu -> affine -> softmax", input=3, classes=2, threads=1, train="epochs = 1")
    x, y = np.random.default_rng(0).normal(size=(20, 3)), np.array([HOSTILE, "fine"] * 10)
    model.fit(x, y)
    source = Source(f'net affine("{HOSTILE}")', HOSTILE)
    found = Diagnostic("NS301", HOSTILE, source, Span(4, 10), HOSTILE, (HOSTILE,), HOSTILE)
    history = History([1.0, float("nan")], [], HOSTILE)
    return {
        "report": model.report(x, y), "diagnostic": found, "without a place": Diagnostic("W101", HOSTILE),
        "diagnostics": Diagnostics([found, found]), "history": history, "errors": GradcheckReport({HOSTILE: 1.0}),
        "shapeless": ns.compile(f"affine(4) -> affine -> softmax # {HOSTILE[:-4]}"),
    }  # fmt: skip


@pytest.fixture(scope="module")
def hostile() -> dict[str, Any]:
    return hostile_objects()


@pytest.mark.parametrize("name", ["report", "diagnostic", "without a place", "diagnostics", "history", "errors", "shapeless"])
def test_words_of_strangers_are_words(hostile: dict[str, Any], name: str) -> None:
    page = read(hostile[name]._repr_html_())
    assert page.offences() == []
    assert page.tags.count("img") == len(page.pictures), "other pictures than the page's own"
    assert "<script>alert" in page.text, "it is shown, and does nothing"
    assert "\u202e" not in page.text
    assert "\x1b" not in page.text


@pytest.mark.parametrize(
    ("markup", "wrong"),
    [
        (f"<b>{HOSTILE}</b>", "<script>"),
        ("<b onclick='x'>a</b>", "<b onclick>"),
        ("<div><b>a</div>", "</div>"),
        ("<div>", "<div> is open"),
        ('<b style="position: fixed">a</b>', "style position"),
        ('<b style="background: url(x)">a</b>', "style url"),
        ('<b style="color: #eeeeee">a</b>', "#eeeeee on #ffffff"),
        ('<b style="color: #222222">a</b>', "#222222 on #111111"),
        ('<img src="http://a/b.png">', "a picture from http://a/b.png"),
        (html.picture('<svg xmlns="http://www.w3.org/2000/svg"><script/></svg>', ""), "script in a picture"),
        (html.picture('<svg xmlns="http://www.w3.org/2000/svg" onload="x"/>', ""), "onload in a picture"),
        (html.picture('<svg xmlns="http://www.w3.org/2000/svg"><text fill="#ffffff">a</text></svg>', ""), "#ffffff on #ffffff"),
    ],
)
def test_the_reader_of_pages_finds(markup: str, wrong: str) -> None:
    """The control of `offences`."""
    assert any(wrong in one for one in read(markup).offences())


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    for colour in (html.BLUE, html.ORANGE, html.GREEN, html.RED, html.GREY):
        assert min(contrast(colour, ground) for ground in GROUNDS) > LEAST_CONTRAST


def test_markup_stays_and_text_is_escaped() -> None:
    assert html.joined("<", html.bold("a & b"), ">") == "&lt;<b>a &amp; b</b>&gt;"
    assert html.escaped(html.escaped("<")) == "&lt;"
    assert html.element("b", "x", title='"<') == '<b title="&quot;&lt;">x</b>'
    assert html.table([("a", "left"), ("b", "right")], [("wide",)]).count('colspan="2"') == 1


def test_colours_of_a_drawing_change_and_its_words_do_not() -> None:
    drawn = '<svg><rect fill="#1f2933" data-label=\' fill="#1f2933"\'/><text fill="#5b6673">fill="#1f2933" </text></svg>'
    changed = on_any_ground(drawn)
    assert changed.count("#1f2933") == 2
    assert "#5b6673" not in changed
    assert '>fill="#1f2933" </text>' in changed


def test_a_net_is_drawn_from_python_too(tmp_path: Path) -> None:
    text = "[conv(4)-bn-relu]x3 -> res[conv(4)-relu] -> globalpool -> affine -> softmax"
    drawn = ns.draw(text, input=(1, 8, 8), classes=3, threads=1)
    page = read(drawn._repr_html_())
    assert (page.offences(), len(page.pictures)) == ([], 1)
    assert ">x2<" in page.pictures[0], "the first copy reads one channel"
    assert "<style>" not in page.pictures[0]
    assert re.sub("<[^>]*>", "", page.pictures[0]).split() == re.sub("<style.*?</style>|<[^>]*>", "", str(drawn)).split()
    drawn.save(tmp_path / "net.svg")
    assert (tmp_path / "net.svg").read_text() == str(drawn)
    assert repr(drawn).startswith("Picture(net, ")
    model = ns.compile(text, input=(1, 8, 8), classes=3, threads=1)
    assert str(ns.draw(model)) == str(drawn).replace(">net<", ">model<")
    assert str(ns.draw(model, unroll=True)).count("conv2 backward") > str(ns.draw(model)).count("conv2 backward")
    with pytest.raises(ns.UsageError, match="classes: a model is drawn as it is"):
        ns.draw(model, classes=3)
    with pytest.raises(ns.UsageError, match=r"pictures are written as \.svg"):
        drawn.save(tmp_path / "net.png")


def test_large_nets_have_short_pages() -> None:
    model = ns.compile("[affine(4)-bn-relu]x110 -> affine -> softmax", input=4, classes=2, threads=1)
    page = read(model._repr_html_())
    assert page.offences() == []
    assert page.pictures == []
    assert "43 more lines: print(model.summary()) shows all" in page.text
    assert "more launches: print(model.plan) shows all" in read(model.plan._repr_html_()).text


@pytest.mark.parametrize(
    "points",
    [
        [(1, 0.5)], [(1, 0.0), (2, 0.0)], [(1, float("nan")), (2, 1.0), (3, float("inf"))], [],
        [(step, 10.0 ** -(step % 9)) for step in range(1, 5000)],
        [(1, -3.0), (2, 4e9)], [(1, 1e-320), (2, 1.0)], [(1, 5.0), (2, 5.0)],
    ],
)  # fmt: skip
def test_any_curve_is_drawn_inside_its_picture(points: list[tuple[float, float]]) -> None:
    for log_x in (False, True):
        svg = chart([Curve("a", points, html.BLUE)], "step", "loss", log_x=log_x, width=300, height=200)
        page = read(html.picture(svg, "a curve"))
        assert page.offences() == []
        assert len(svg) < 8000
        for drawn in re.findall(r'points="([^"]*)"', svg):
            places = [tuple(map(float, one.split(","))) for one in drawn.split()]
            assert places == sorted(places, key=lambda place: place[0])
            assert all(0 <= x <= 300 and 0 <= y <= 200 for x, y in places)


@pytest.mark.parametrize("low", [0.0, 0.5, 0.86, 0.943, 0.9961, -3.0, 12.0, 4e5])
@pytest.mark.parametrize("length", [1.0, 0.5, 0.081, 0.0334, 0.0201, 0.0039, 7.7])
def test_an_axis_has_a_few_labels_wherever_it_begins(low: float, length: float) -> None:
    ticks = Axis(low, low + length, 200.0, 20.0, is_log=False).ticks()
    assert 3 <= len(ticks) <= 8
    assert low - 1e-9 <= ticks[0] < ticks[-1] <= low + length + 1e-9
    assert len({round((after - before) / length, 6) for before, after in itertools.pairwise(ticks)}) == 1
    assert Axis(low, low, 200.0, 20.0, is_log=False).ticks() == [low]


def test_wrong_cells_of_a_confusion_matrix_have_a_hue_and_a_weight_of_their_own() -> None:
    """Blue and orange, which the colour-blind tell apart; and by their weight where there is no colour."""
    scored = Scored(Softmax(), np.eye(3)[[0, 0, 1, 1, 1, 2]] * 5, np.array([0, 0, 1, 1, 2, 2]), 0.0)
    page = report_of(scored, np.array(["a", "b", "c"]))._repr_html_()
    cells = re.findall(r'<span style="background-color: rgba\(([\d, ]+), (\d\.\d+)\)[^>]*>(.*?)</span></td>', page)
    blue, orange = ("61, 133, 200", "207, 122, 29")
    assert [(hue, words) for hue, shade, words in cells if float(shade) > 0] == [
        (blue, "2"),
        (blue, "2"),
        (orange, "<b>1</b>"),
        (blue, "1"),
    ]
    assert min(float(shade) for hue, shade, _ in cells if hue == orange) > 0.1
    assert "wrong ones are orange and bold" in read(page).text


def test_a_curve_rises_where_its_values_do() -> None:
    svg = chart([Curve("a", [(1, 1.0), (2, 2.0), (3, 4.0)], html.BLUE)], "step", "loss")
    heights = [float(one.split(",")[1]) for one in re.findall(r'points="([^"]*)"', svg)[0].split()]
    assert heights == sorted(heights, reverse=True)
    assert heights[1] - heights[2] == pytest.approx(2 * (heights[0] - heights[1]), abs=0.2)


def test_progress_by_itself() -> None:
    """The display before, while and after it runs; nothing is displayed outside a kernel by these calls alone."""
    live = Live()
    assert read(live._repr_html_()).offences() == []
    live._first, live._epochs, live._steps = 3, 4, 10
    live.steps(epoch=4, step=35, loss=0.25, rows_per_second=12_345.0, done=5)
    assert live._title() == "epoch 4 of 6"
    assert "loss 0.2500, 12.3k rows/s" in repr(live)
    live.end()
    assert live._title() == "ended in epoch 4 of 6"
    live.steps(epoch=5, step=40, loss=0.25, rows_per_second=1.0, done=0)
    assert live._title() == "ended after epoch 4 of 6"
    live.steps(epoch=6, step=60, loss=0.25, rows_per_second=1.0, done=10)
    assert live._title() == "trained to epoch 6"
    for step in range(10_000):
        live.steps(epoch=6, step=step, loss=0.25, rows_per_second=1.0, done=10)
    assert 100 < len(live._losses) <= 401
    assert len({after[0] - before[0] for before, after in zip(live._losses[1:-1], live._losses[2:], strict=True)}) == 1
    assert [_time(seconds) for seconds in (0.0, 9.94, 42.4, 185.0, 3723.0)] == ["0.0 s", "9.9 s", "42 s", "3:05", "1:02:03"]


def test_the_line_of_the_cell() -> None:
    assert parsed("").name == "model"
    given = parsed("net --input 3x8x8 --classes 10 --set a=1 --set 'b=x y' --train --epochs 3 --seed 7")
    assert vars(given) == {
        "name": "net", "input": "3x8x8", "classes": 10, "outputs": None, "set": ["a=1", "b=x y"], "train": True, "epochs": 3, "seed": 7,
        "threads": None,
    }  # fmt: skip
    with pytest.raises(ns.UsageError, match="unrecognized"):
        parsed("--inp 3")
