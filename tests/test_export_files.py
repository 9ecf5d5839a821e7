"""Exported files as a user meets them: what heads and tables become, hostile words, names of files, messages."""

from __future__ import annotations

import ast
import csv
import importlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from exported import numpy_scores, onnx_results, onnx_scores, ran, rows_for, subject_of_text, torch_net
from graphs import forward, graph_of_text
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import close
from pytorch import pytorch
from test_onnx_graphs import NETS
from typer.testing import CliRunner, Result

import netspec
from netspec.base.dataset import Column
from netspec.base.errors import UsageError
from netspec.base.layer import Layer
from netspec.catalog.layers.relu import Relu
from netspec.model import Model
from netspec.save.export import numpy_source as numpy_source_module
from netspec.save.export.numpy_source import numpy_source
from netspec.save.export.onnx_file import onnx_bytes
from netspec.save.export.subject import Subject
from netspec.save.export.torch_source import torch_files
from netspec.save.export.words import docstring, identifier, literal, text_literal
from netspec.ui.cli import app
from netspec.ui.verbs.export import subject_of

RNG = np.random.default_rng(0)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def torch() -> Any:
    return pytorch()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fitted(text: str, y: Any, x: Any = None, **more: Any) -> tuple[Model, Any]:
    """A net after one epoch on these labels, and its rows."""
    x = RNG.normal(3, 5, size=(len(y), 4)).astype(np.float32) if x is None else x
    program = f"netspec 1 data {{ normalize = per_feature }} net {text} train {{ epochs = 1; batch = 10 }}"
    model = netspec.compile(program, threads=1, **more)
    model.fit(x, y)
    return model, x


def agree(model: Model, x: Any) -> dict[str, Any]:
    """The law: every form predicts what the model predicts. Gives the results in ONNX."""
    subject = subject_of(model, "net")
    found = onnx_results(onnx_bytes(subject), x)
    own = model.predict(x)
    predicted = found["label"] if "label" in found else found["scores"].reshape(own.shape)
    module = ran(numpy_source(subject, "net.py"), "net")
    for one in (predicted, module.predict(x)):
        if own.dtype.kind == "f" and model.labels is None:
            close(np.asarray(one, float), own, 1e-5)
        else:
            assert (np.asarray(one) == own).all()
    has_probabilities = model.graph.head.has_probabilities
    assert ("probabilities" in found) == hasattr(module, "predict_proba") == has_probabilities
    if has_probabilities:
        close(found["probabilities"], model.predict_proba(x), 1e-5)
        close(module.predict_proba(x), model.predict_proba(x), 1e-5)
    return found


LABELS: dict[str, tuple[str, Any]] = {
    "class numbers": ("affine(5)-bn-relu -> affine -> softmax", np.arange(60) % 3),
    "texts": ("affine(5)-relu -> affine -> softmax", np.array(["rød", 'a"b\\', "<c>\n"])[np.arange(60) % 3]),
    "numbers as labels": ("affine(5)-relu -> affine -> softmax", np.arange(60) % 3 + 1),
    "a margin": ("affine(5)-relu -> affine -> svm", np.arange(60) % 3),
    "yes or no": ("affine -> sigmoid", np.arange(60) % 2),
    "two texts": ("affine -> sigmoid", np.array(["no", "yes"])[np.arange(60) % 2]),
    "truth": ("affine -> sigmoid", np.arange(60) % 2 == 0),
    "two numbers": ("affine -> sigmoid", np.where(np.arange(60) % 2, 1.5, -2.0)),
    "several answers": ("affine -> sigmoid", RNG.integers(0, 2, (60, 4))),
    "a value": ("affine(5)-tanh -> affine -> linear", RNG.normal(size=60)),
    "values": ("affine(5)-tanh -> affine(3)", RNG.normal(size=(60, 3))),
}  # fmt: skip


@pytest.mark.parametrize("name", LABELS)
def test_heads_and_labels(name: str) -> None:
    text, y = LABELS[name]
    more = {"classes": y.shape[1]} if name == "several answers" else {}
    model, x = fitted(text, y, **more)
    found = agree(model, x)
    assert ("class" in found) == (model.labels is not None)
    if model.labels is not None:
        assert found["class"].dtype == np.int64
        assert (np.asarray(model.labels)[found["class"]] == model.predict(x)).all()


@pytest.mark.parametrize("name", LABELS)
def test_heads_and_labels_in_pytorch(torch: Any, name: str) -> None:
    text, y = LABELS[name]
    model, x = fitted(text, y, **({"classes": y.shape[1]} if name == "several answers" else {}))
    module, net = torch_net(torch, subject_of(model, "net"))
    predicted = net.predict(torch.from_numpy(x)).numpy()
    own = model.predict(x)
    if model.labels is not None:
        assert list(model.labels) == module.CLASSES
        predicted = np.asarray(module.CLASSES)[predicted]
    close(predicted, own, 1e-5) if own.dtype.kind == "f" else None
    assert own.dtype.kind == "f" or (predicted == own).all()
    if model.graph.head.has_probabilities:
        close(net.predict_proba(torch.from_numpy(x)).numpy(), model.predict_proba(x), 1e-5)


def test_values_far_from_zero_lose_no_digits() -> None:
    """Rows about 1e6, whose differences are about 1: their statistics have digits that float32 lacks."""
    x = np.round(1e6 + RNG.normal(0, 2, (60, 4)) * 16) / 16
    model, _ = fitted("affine(5)-tanh -> affine -> softmax", np.arange(60) % 3, x)
    found = agree(model, x.astype(np.float32))
    coarse = (x.astype(np.float32) - model.normalization.shift.astype(np.float32)) / model.normalization.scale.astype(np.float32)
    wanted = model.forward((x - model.normalization.shift) / model.normalization.scale)
    close(found["scores"], wanted, 1e-5)
    with pytest.raises(AssertionError, match="off by"):  # as one subtraction in float32 would have it
        close(model.forward(coarse), wanted, 1e-5)


def test_images_that_become_vectors() -> None:
    x = RNG.normal(size=(40, 2, 3, 3)).astype(np.float32)
    program = "netspec 1 data { transforms = per_channel, flatten } net affine(5)-relu -> affine -> softmax train { epochs = 1 }"
    model = netspec.compile(program, threads=1)
    model.fit(x, np.arange(40) % 3)
    subject = replace(subject_of(model, "net"), row=(2, 3, 3))  # as a run of a data section knows it
    close(onnx_scores(subject, x), numpy_scores(subject, x), 1e-5)
    assert (ran(numpy_source(subject, "net.py"), "net").predict(x) == model.predict(x)).all()


# tables

TABLE = """netspec 1
data  { source = csv; path = "houses.csv"; target = "price"; transforms = one_hot, per_feature; split = 6 / 2 }
net   affine(4)-tanh -> affine
train { optimizer = adam(lr=0.1); epochs = 3 }
"""
HOUSES = "rooms,city,price\n3,Oslo,390\n2,Rome,210\n4,Oslo,480\n1,Bern,150\n3,Rome,300\n2,Bern,240\n4,Bern,430\n1,Oslo,190\n"


@pytest.fixture
def houses(folder: Path) -> Path:
    Path("houses.csv").write_text(HOUSES)
    Path("houses.net").write_text(TABLE)
    assert call("train", "houses.net", "--quiet").exit_code == 0
    return folder / "runs" / "houses"


def test_a_table_with_text(houses: Path) -> None:
    done = call("export", houses, "--onnx", "--numpy")
    assert done.exit_code == 0, done.output
    assert "columns of text as numbers" in done.stderr
    assert call("predict", houses, "houses.csv", "-o", "p.csv").exit_code == 0
    with Path("p.csv").open() as stream:
        wanted = [float(row["value"]) for row in csv.DictReader(stream)]
    script = subprocess.run([sys.executable, "-I", "houses_numpy.py", "houses.csv"], check=True, capture_output=True, text=True)
    close([float(line) for line in script.stdout.split()], wanted, 1e-6)
    module = ran(Path("houses_numpy.py").read_text(), "houses_numpy")
    rows = [["3", "Oslo"], [2, "Rome"]]
    close(module.predict(rows), wanted[:2], 1e-6)
    with pytest.raises(ValueError, match="city: 'Paris' is none of"):
        module.predict([[3, "Paris"]])
    whole = onnx.load_model("houses.onnx")
    told = {one.key: one.value for one in whole.metadata_props}
    assert json.loads(told["features"]) == ["rooms", "city=Bern", "city=Oslo", "city=Rome"]
    assert json.loads(told["columns"])[1] == {"name": "city", "categories": ["Bern", "Oslo", "Rome"]}
    found = onnx_results(Path("houses.onnx").read_bytes(), module.spread(rows))
    close(found["scores"][:, 0], wanted[:2], 1e-4)


@pytest.mark.parametrize(("place", "path"), [(".", "houses.csv"), ("out/deep", "../../houses.csv"), ("runs/houses", "../../houses.csv")])
@pytest.mark.parametrize("is_there", [True, False])
def test_the_data_path_of_the_spec_leads_from_the_exported_file(houses: Path, place: str, path: str, is_there: bool) -> None:
    if not is_there:
        Path("houses.csv").rename("elsewhere.csv")
    done = call("export", houses, "--numpy", "--torch", "--onnx", "-o", f"{place}/")
    assert done.exit_code == 0, done.output
    for name in ("houses_numpy.py", "houses_torch.py"):
        told = ast.get_docstring(ast.parse(Path(place, name).read_text()))
        assert told is not None
        assert f'path = "{path}"' in told
    told_in_onnx = {one.key: one.value for one in onnx.load_model(Path(place, "houses.onnx")).metadata_props}
    assert f'path = "{path}"' in told_in_onnx["spec"]


BAD_ROWS = {
    "absent.csv": (None, "No such file or directory"),
    "empty.csv": ("", "there is no column rooms, city"),
    "other.csv": ("rooms,town\n3,Oslo\n", "there is no column city"),
    "text.csv": ("rooms,city\nx,Oslo\n", "could not convert string to float: 'x'"),
    "paris.csv": ("rooms,city\n3,Paris\n", "city: 'Paris' is none of ['Bern', 'Oslo', 'Rome']"),
    "short.csv": ("rooms,city\n3,Oslo\n\n2\n", "line 4 and the first line have 1 and 2 cells"),
    "nan.csv": ("rooms,city\n3,Oslo\nnan,Rome\n", "row 1: nan is no finite number"),
    "empty.npy": ("", "No data left in file"),
    "text.npy": ("no array", ""),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_the_command_says_in_a_line_what_is_wrong(houses: Path, name: str) -> None:
    assert call("export", houses, "--numpy").exit_code == 0
    text, told = BAD_ROWS[name]
    if text is not None:
        Path(name).write_text(text)
    done = subprocess.run([sys.executable, "-I", "houses_numpy.py", name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"{name}: ")
    assert told in line


@pytest.mark.parametrize(("words", "code"), [(("--help",), 0), (("-h",), 0), ((), 1), (("a.csv", "b.csv"), 1)])
def test_the_command_says_how_it_is_used(houses: Path, words: tuple[str, ...], code: int) -> None:
    assert call("export", houses, "--numpy").exit_code == 0
    done = subprocess.run([sys.executable, "-I", "houses_numpy.py", *words], capture_output=True, text=True, check=False)
    usage = "usage: python houses_numpy.py ROWS.npy|ROWS.csv\n"
    assert (done.returncode, done.stdout, done.stderr) == (code, "" if code else usage, usage if code else "")


def test_the_command_ends_quietly_where_its_reader_has_seen_enough(houses: Path) -> None:
    assert call("export", houses, "--numpy").exit_code == 0
    Path("rows.csv").write_text("rooms,city\n" + "3,Oslo\n" * 20_000)
    words = ["bash", "-c", 'set -o pipefail; "$0" -I houses_numpy.py rows.csv | head -n 1', sys.executable]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1


def test_labels_are_written_whatever_the_terminal_has(folder: Path) -> None:
    model, x = fitted("affine -> softmax", np.array(["rød", "grøn"])[np.arange(20) % 2])
    Path("net.py").write_text(numpy_source(subject_of(model, "net"), "net.py"), encoding="utf-8")
    np.save("rows.npy", x)
    for coding, letter in (("ascii", "\\xf8"), ("utf-8", "ø")):
        done = subprocess.run(
            [sys.executable, "net.py", "rows.npy"], env={"PYTHONIOENCODING": coding}, capture_output=True, encoding="utf-8", check=True
        )
        assert done.stdout.splitlines() == [str(label).replace("ø", letter) for label in model.predict(x)]


def test_a_table_with_text_in_pytorch(torch: Any, houses: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("export", houses, "--torch").exit_code == 0
    monkeypatch.syspath_prepend(".")
    module = importlib.import_module("houses_torch")
    rows = module.spread([["3", "Oslo"], ["2", "Rome"]])
    model = netspec.restore(houses)
    close(module.load().predict(rows).numpy(), model.predict([["3", "Oslo"], ["2", "Rome"]]), 1e-4)


# words of strangers

HOSTILE = 'netspec 1\n"""\nimport os; os.system("touch owned")\n"""\\\n\\" \\N{BELL} {x} %s\x00\u202e#\r\n\'\'\' \\'


@pytest.mark.parametrize("text", [HOSTILE, '"', "\\", '""', 'a"""', '\\"""', "é\u2028x", "", "\n", '"\n"'])
def test_a_docstring_holds_any_text(text: str) -> None:
    whole = ast.parse(f"{docstring(text)}\nx = 1")
    assert len(whole.body) == 2
    found = ast.get_docstring(whole, clean=False)
    assert found is not None
    assert [line.rstrip(" ") for line in text.split("\n")] == found.rstrip("\n").split("\n") + [""] * (
        text.count("\n") - found.rstrip("\n").count("\n")
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_words_come_back_as_they_were(text: str) -> None:
    assert ast.literal_eval(text_literal(text)) == text
    assert len(ast.parse(f"{docstring(text)}\nx = 1").body) == 2
    assert text_literal(text).isprintable()


def body(source: str) -> str:
    """What a source does, without the words that it begins with."""
    whole = ast.parse(source)
    return ast.dump(ast.Module(whole.body[1:], []))


def test_no_text_of_a_spec_becomes_code() -> None:
    plain = subject_of_text("affine(4)-bn-relu -> [affine(4)-tanh]x2 -> affine -> softmax", (3,))
    hostile = replace(plain, program=replace(plain.program, resolved=HOSTILE))
    for write in (lambda one: torch_files(one, "w.safetensors")[0], lambda one: numpy_source(one, "net.py")):
        source = write(hostile)
        assert body(source) == body(write(plain))
        assert "\u202e" not in source
        assert "\x00" not in source
    labels = (HOSTILE, "')]; import os #", '"); x = ("')
    named = replace(plain, labels=labels)
    for source in (torch_files(named, "w.safetensors")[0], numpy_source(named, "net.py")):
        found = next(node for node in ast.parse(source).body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLASSES")
        value = found.value.args[0] if isinstance(found.value, ast.Call) else found.value
        assert ast.literal_eval(value) == list(labels)


def test_what_is_no_word_is_refused() -> None:
    with pytest.raises(ValueError, match="is no name"):
        identifier("a b")
    with pytest.raises(ValueError, match="no value of a layer's argument"):
        literal(object())
    assert identifier("class") == "class_"
    assert identifier("x", {"x"}) == "x_"
    assert identifier("__init__") == "init___"
    assert ast.literal_eval(literal((1, 2.5, True, None, "a"))) == (1, 2.5, True, None, "a")
    assert literal(float("-inf")) == 'float("-inf")'


def test_onnx_holds_its_words() -> None:
    plain = subject_of_text("affine -> softmax", (3,), labels=("ä", 'b"', "c\n"))
    whole = onnx.load_model_from_string(onnx_bytes(plain))
    assert whole.producer_name == "netspec"
    told = {one.key: one.value for one in whole.metadata_props}
    assert json.loads(told["classes"]) == ["ä", 'b"', "c\n"]
    assert told["spec"] == plain.program.resolved
    assert [one.name for one in whole.graph.output] == ["scores", "probabilities", "label", "class"]
    assert all(value.type.tensor_type.shape.dim[0].dim_param == "N" for value in (*whole.graph.input, *whole.graph.output))


# layers of one's own


class Own(Relu):
    """y = max(x, 0), written by a user: it has no name of its own, so that the catalogue stays as it is."""


class Crooked(Relu):
    """y = max(x, 0), with an ONNX form that is none."""

    def onnx(self, shape: Any) -> Any:
        return netspec.OnnxForm((netspec.OnnxNode("Multiply", ("x", "x"), ("y",)),))


def with_layer(kind: type[Layer]) -> Subject:
    subject = subject_of_text("affine(4)-relu -> affine", (3,))
    return replace(subject, graph=graph_of_text("affine(4)-relu -> affine", (3,), {Relu: kind}))


def test_a_layer_of_ones_own() -> None:
    """What it is in ONNX it declares; what it is elsewhere nobody knows, whatever its name is."""
    subject = with_layer(Own)
    x = rows_for(subject.graph)
    close(onnx_scores(subject, x), forward(subject.graph, subject.arrays, x, train=False), 1e-5)
    with pytest.raises(UsageError, match=r"relu1: the layer relu is none of the catalogue's.*--onnx takes it"):
        torch_files(subject, "w.safetensors")
    with pytest.raises(UsageError, match=r"--numpy: relu1: the layer relu.*--onnx takes it"):
        numpy_source(subject, "net.py")
    with pytest.raises(UsageError, match=r"--onnx: what the layers declare makes no ONNX model: .*Multiply"):
        onnx_bytes(with_layer(Crooked))


# files


@pytest.fixture
def weights(folder: Path) -> Path:
    model = netspec.compile("affine(4)-bn-relu -> affine -> softmax", input=(3,), classes=2, threads=1)
    model.save("tiny.safetensors")
    return folder


def test_names_of_files(weights: Path) -> None:
    done = call("export", "tiny.safetensors", "--numpy", "--onnx", "--torch", "--json")
    assert json.loads(done.stdout) == {"files": ["tiny.onnx", "tiny_torch.py", "tiny_torch.safetensors", "tiny_numpy.py"]}
    done = call("export", "tiny.safetensors", "--numpy", "-o", "mine.py")
    assert (done.exit_code, done.stdout) == (0, "mine.py\n")
    done = call("export", "tiny.safetensors", "--torch", "-o", "net.py")
    assert done.stdout == "net.py\nnet.safetensors\n"
    assert 'with_name("net.safetensors")' in Path("net.py").read_text()
    done = call("export", "tiny.safetensors", "--torch", "--numpy", "-o", "new/folder")
    assert done.stdout == "new/folder/tiny_torch.py\nnew/folder/tiny_torch.safetensors\nnew/folder/tiny_numpy.py\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "into which form? Write one or more of --onnx, --torch, --numpy"),
        (("--numpy", "-o", "here.py"), "here.py: exists already, and is not overwritten; -o names another place"),
        (("--onnx", "-o", "net.py"), "-o net.py: the name of what --onnx writes ends in .onnx"),
        (("--onnx", "--numpy", "-o", "net.py"), "-o net.py: several forms are asked for, so -o names a folder"),
        (("--numpy", "-o", "no/net.py"), "-o no/net.py: there is no folder no"),
        (("--torch", "-o", "module.py"), "module.safetensors: exists already"),
        (("--torch", "-o", "plain"), "-o plain: the name of what --torch writes ends in .py"),
    ],
)
def test_what_cannot_be_written(weights: Path, words: tuple[str, ...], told: str) -> None:
    Path("here.py").write_text("mine")
    Path("plain").write_text("mine")
    Path("module.safetensors").write_text("mine")
    before = sorted(weights.iterdir())
    done = call("export", "tiny.safetensors", *words)
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert sorted(weights.iterdir()) == before
    assert Path("here.py").read_text() == Path("module.safetensors").read_text() == "mine"


def test_a_folder_that_cannot_be_made(weights: Path) -> None:
    Path("plain").write_text("mine")
    done = call("export", "tiny.safetensors", "--numpy", "-o", "plain/below")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: plain/below: cannot be written: ")


def test_a_missing_library_is_named(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    done = call("export", "tiny.safetensors", "--onnx")
    assert (done.exit_code, done.stderr) == (2, "error: this needs onnx: pip install 'netspec[onnx]'\n")
    assert not Path("tiny.onnx").exists()


def test_weights_too_many_for_text(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numpy_source_module, "MOST_BYTES", 10)
    done = call("export", "tiny.safetensors", "--numpy")
    assert done.exit_code == 2
    assert "the text of one file at most 0 MiB; --onnx and --torch take them" in done.stderr


def test_best_and_last_weights(folder: Path) -> None:
    np.savez("rows.npz", x=RNG.normal(size=(60, 3)), y=np.arange(60) % 2)
    Path("n.net").write_text(
        'netspec 1 data { source = npz; path = "rows.npz" } net affine(3)-relu -> affine -> softmax train { epochs = 4 }'
    )
    assert call("train", "n.net", "--quiet").exit_code == 0
    for words, name in (((), "best"), (("--last",), "last")):
        assert call("export", "runs/n", "--numpy", "-o", f"{name}.py", *words).exit_code == 0
        own = netspec.restore(f"runs/n/weights/{name}.safetensors")
        assert (ran(Path(f"{name}.py").read_text(), name).P["affine1.W"] == own.params["affine1.W"]).all()


# what is written


SOURCES: dict[str, tuple[str, tuple[int, ...]]] = {
    **NETS,
    "tables": ("affine(4)-relu -> affine -> softmax", (3,)),
    "every part": ("affine(4, frozen=true)-bn(frozen=true)-tanh -> affine(5, lr_scale=0.5)-bn-relu -> affine -> softmax", (3,)),
}
TRAIN = "train {{ optimizer = {}; l2 = 1e-3; clip = 1; lr_decay = 0.9 }}"


def test_sources_are_as_people_write_them(folder: Path) -> None:
    """In the layout of a formatter, with nothing that a linter finds."""
    for number, (name, (text, shape)) in enumerate(SOURCES.items()):
        rule = ("adam", "sgd(momentum=0.9)", "adamw", "rmsprop", "adagrad")[number % 5]
        net = text if text.startswith(("net ", "def ")) else f"net {text}"
        subject = subject_of_text(f"{TRAIN.format(rule)}\n{net}", shape, shift=np.zeros(shape), scale=np.ones(shape))
        if name == "tables":
            columns = (Column("a"), Column('b"', ("x", "y\\")))
            subject = replace(subject, columns=columns, labels=("one", "two", "three"), class_weights=np.arange(3.0))
        Path(f"torch_{number}.py").write_text(torch_files(subject, "w.safetensors")[0])
        Path(f"numpy_{number}.py").write_text(numpy_source(subject, f"numpy_{number}.py"))
    for words in (("check", "--select", "E,F,W,I,B,UP,C4,SIM,PIE,RET"), ("format", "--check")):
        width = "140" if words[0] == "check" else "120"
        command = [sys.executable, "-m", "ruff", words[0], "--isolated", "--no-cache", "--line-length", width, *words[1:], "."]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_repeats_and_defs_are_classes() -> None:
    text = (
        "def hidden(w, p = 25%) = affine(w)-bn-relu-dropout(p)\ndef block(c) = res[conv(c)-bn]-relu\n"
        "net conv(4) -> block(4)x2 -> [conv(c)-prelu-pool]x(c: 6, 8) -> [res[conv(8)-tanh]]x3 tied -> hidden(9)x2 -> affine -> softmax"
    )
    source, tensors = torch_files(subject_of_text(text, (2, 8, 8)), "w.safetensors")
    for line in (
        "        self.block = nn.Sequential(Block(), Block())",
        "        self.blocks = nn.Sequential(Block2(in_channels=4, out_channels=6), Block2(in_channels=6, out_channels=8))",
        "        for _ in range(3):",
        "            x = self.block2(x)",
        "        self.hidden = nn.Sequential(Hidden(in_features=32), Hidden(in_features=9))",
        "        return self.affine3(x)",
    ):
        assert f"\n{line}\n" in source
    assert {"conv1.weight", "block.1.conv.weight", "blocks.0.prelu.weight", "hidden.1.bn.running_mean", "affine3.bias"} <= set(tensors)
