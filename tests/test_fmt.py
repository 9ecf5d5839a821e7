"""fmt, diff and migrate as a user meets them: files, exit codes, what stands on stdout and on stderr."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from netspec.base.text import Source
from netspec.frontend import migrations, syntax
from netspec.frontend.migrations import migration
from netspec.frontend.parse import parse
from netspec.save import atomic
from netspec.ui.cli import app
from netspec.ui.verbs import fmt as fmt_verb

LOOSE = "netspec 1   # first\nnet   affine( 3 )-relu->affine\n"
NEAT = "netspec 1  # first\nnet affine(3)-relu -> affine\n"
BROKEN = "netspec 1\nnet affine(\n"
MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a text that is not in canonical form, one that is, and one that does not parse."""
    monkeypatch.chdir(tmp_path)
    for name, text in (("loose.net", LOOSE), ("neat.net", NEAT), ("broken.net", BROKEN)):
        Path(name).write_text(text)
    return tmp_path


def call(*words: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], input=stdin)


def on_terminal(*words: str) -> str:
    """What a command prints on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**{key: value for key, value in os.environ.items() if key != "NO_COLOR"}, "TERM": "xterm"}
    with subprocess.Popen([sys.executable, "-m", "netspec", *words], stdout=theirs, stderr=subprocess.PIPE, env=environment) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        assert process.stderr is not None
        process.stderr.read()
    os.close(ours)
    return shown.decode()


# fmt


def test_a_file_is_formatted_in_place() -> None:
    result = call("fmt", "loose.net")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "loose.net: formatted\n1 file formatted\n")
    assert Path("loose.net").read_text() == NEAT
    assert call("fmt", "loose.net").stderr == "1 file left unchanged\n"


def test_a_file_that_is_in_form_is_not_written() -> None:
    before = os.stat("neat.net")
    assert call("fmt", "neat.net").exit_code == 0
    after = os.stat("neat.net")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_check_names_what_would_change_and_changes_nothing() -> None:
    result = call("fmt", "--check", "loose.net", "neat.net")
    assert (result.exit_code, result.stdout) == (1, "loose.net: would be formatted\n")
    assert result.stderr == "1 file would be formatted, 1 file left unchanged\n"
    assert Path("loose.net").read_text() == LOOSE
    assert call("fmt", "--check", "neat.net").exit_code == 0


def test_diff_is_what_patch_takes() -> None:
    result = call("fmt", "--diff", "loose.net", "neat.net")
    assert result.exit_code == 0
    assert result.stdout == (
        "--- loose.net\n+++ loose.net\n@@ -1,2 +1,2 @@\n"
        "-netspec 1   # first\n-net   affine( 3 )-relu->affine\n+netspec 1  # first\n+net affine(3)-relu -> affine\n"
    )
    assert Path("loose.net").read_text() == LOOSE
    assert call("fmt", "--diff", "--check", "loose.net").exit_code == 1
    subprocess.run(["patch", "-s", "-p0"], input=result.stdout, text=True, check=True)
    assert Path("loose.net").read_text() == NEAT


def test_diff_says_where_the_last_line_has_no_end() -> None:
    Path("loose.net").write_text(NEAT.rstrip("\n"))
    assert call("fmt", "--diff", "loose.net").stdout.endswith(
        "-net affine(3)-relu -> affine\n\\ No newline at end of file\n+net affine(3)-relu -> affine\n"
    )


def test_colour_is_for_terminals() -> None:
    assert "\033[" not in call("fmt", "--diff", "loose.net").stdout
    shown = on_terminal("fmt", "--diff", "loose.net")
    assert "\033[32m+net affine(3)-relu -> affine\033[0m" in shown


def test_every_file_is_handled_and_the_worst_code_is_returned() -> None:
    result = call("fmt", "broken.net", "none.net", "loose.net")
    assert result.exit_code == 3
    assert "error[NS104]" in result.stderr
    assert "broken.net:2:12" in result.stderr
    assert "error: none.net: no such file" in result.stderr
    assert result.stderr.endswith("loose.net: formatted\n1 file formatted\n")
    assert (Path("broken.net").read_text(), Path("loose.net").read_text()) == (BROKEN, NEAT)
    assert call("fmt", "none.net", "neat.net").exit_code == 2
    assert call("fmt", "--check", "none.net", "broken.net").exit_code == 3
    assert call("fmt").exit_code == 2


def test_a_file_with_shape_errors_is_formatted() -> None:
    Path("shapes.net").write_text("netspec 1 input 3x2x2 net conv(3,pad=0,kernel=9)  ->  afine")
    assert call("fmt", "shapes.net").exit_code == 0
    assert Path("shapes.net").read_text() == "netspec 1\ninput 3x2x2\nnet conv(3, pad=0, kernel=9) -> afine\n"


def test_the_mode_of_a_file_is_kept_and_links_are_followed() -> None:
    os.chmod("loose.net", 0o640)
    os.symlink("loose.net", "link.net")
    assert call("fmt", "link.net").exit_code == 0
    assert os.path.islink("link.net")
    assert Path("loose.net").read_text() == NEAT
    assert os.stat("loose.net").st_mode & 0o777 == 0o640
    assert {path.name for path in Path().iterdir()} == {"loose.net", "neat.net", "broken.net", "link.net"}


def test_what_cannot_be_written_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_descriptor: int, _content: bytes) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "write_all", full)
        result = call("fmt", "loose.net", "neat.net")
    assert result.exit_code == 1
    assert "loose.net: the disk is full; nothing was written" in result.stderr
    assert Path("loose.net").read_text() == LOOSE
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert call("fmt", "loose.net").stderr == "error: loose.net: cannot be written: it is read-only\n"
    assert Path("loose.net").read_text() == LOOSE


def test_other_line_ends_become_plain_ones() -> None:
    Path("loose.net").write_bytes(NEAT.replace("\n", "\r\n").encode())
    assert call("fmt", "loose.net").stderr == "loose.net: formatted\n1 file formatted\n"
    assert Path("loose.net").read_bytes() == NEAT.encode()


def test_stdin_goes_to_stdout() -> None:
    result = call("fmt", "-", stdin=LOOSE)
    assert (result.exit_code, result.stdout, result.stderr) == (0, NEAT, "")
    assert call("fmt", "--check", "-", stdin=LOOSE).exit_code == 1
    assert call("fmt", "--check", "-", stdin=NEAT).stdout == ""
    broken = call("fmt", "-", stdin=BROKEN)
    assert (broken.exit_code, broken.stdout) == (3, "")
    assert "--> <stdin>:2:12" in broken.stderr


def test_a_newer_language_is_not_touched() -> None:
    Path("loose.net").write_text("netspec 2\nnet  a\n")
    result = call("fmt", "loose.net")
    assert result.exit_code == 3
    assert "written in version 2" in result.stderr
    assert Path("loose.net").read_text() == "netspec 2\nnet  a\n"


def test_a_text_that_grows_beyond_the_limit_stays() -> None:
    text = "netspec 1\nnet " + "->".join(["[" * 8 + "\n#" + "\n" + "a" + "]" * 8] * 900) + "\n"
    Path("loose.net").write_text(text)
    result = call("fmt", "loose.net")
    assert result.exit_code == 6
    assert "NS801" in result.stderr
    assert Path("loose.net").read_text() == text


def test_a_form_that_means_something_else_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fmt_verb, "format_file", lambda file: "netspec 1\nnet affine\n")
    result = call("fmt", "loose.net")
    assert result.exit_code == 1
    assert "formatted it means something else" in result.stderr
    assert Path("loose.net").read_text() == LOOSE


# fmt --explicit


WITH_DEFAULTS = """\
netspec 1
let gate = leaky_relu  # a value
def block(c, act = relu) = [affine(c)-bn-act]x2  # a block
defaults { dropout.p = 30% }
data { source = digits }  # the data
input 1x8x8
net block(20) -> block(10, act=gate)-dropout -> affine  # scores
    -> softmax
train { lr = 3e-3; schedule = warmup(2ep, then=cosine(5ep)) }  # how
"""
EXPLICIT = """\
netspec 1
let gate = leaky_relu(slope=0.01)  # a value
def block(c, act = relu) = [
    affine(c, frozen=false, lr_scale=1.0)-bn(eps=1e-05, momentum=0.9, frozen=false, lr_scale=1.0)
        -act
]x2  # a block
defaults { dropout.p = 30% }
data { source = digits; split = 0.8 / 0.1 / 0.1; normalize = none }  # the data
input 1x8x8
net block(20)
    -> block(10, act=gate)-dropout(p=0.3)
    -> affine(bias=true, init=xavier, frozen=false, lr_scale=1.0)  # scores
    -> softmax
train {
    lr = 3e-3
    schedule = warmup(2ep, then=cosine(5ep, end=0.0))
    optimizer = adam(beta1=0.9, beta2=0.999, eps=1e-08)
    batch = 100
    epochs = 10
    lr_decay = 1.0
    l2 = 0.0
    loss = cross_entropy
    label_smoothing = 0.0
    drop_last = false
    monitor_rows = 1000
    dtype = float32
    fuse = true
}  # how
seed 0
"""


def test_explicit_writes_every_default_where_it_is_used() -> None:
    Path("spec.net").write_text(WITH_DEFAULTS)
    assert call("fmt", "--explicit", "spec.net").exit_code == 0
    assert Path("spec.net").read_text() == EXPLICIT
    assert call("fmt", "--explicit", "--check", "spec.net").exit_code == 0
    Path("before.net").write_text(WITH_DEFAULTS)
    assert call("diff", "before.net", "spec.net").exit_code == 0


@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_explicit_leaves_no_default_in_the_summary(model: Path) -> None:
    """But for a bias that bn cancels, and the arguments of layers in other files."""
    text = model.read_text(encoding="utf-8")
    Path("spec.net").write_text(text)
    shutil.copytree(model.parent / "blocks", "blocks")
    assert call("fmt", "--explicit", "spec.net").exit_code == 0
    shown = json.loads(call("summary", "spec.net", "--json").stdout)
    elsewhere = any(word in text for word in ("act =", "\nuse ", "(proj)"))
    defaulted = {name for layer in shown["layers"] for name in layer["defaulted"]}
    assert defaulted <= {"bias"} or elsewhere
    assert "lr_scale" in Path("spec.net").read_text()


def test_names_of_the_text_itself_are_not_taken_for_words_of_the_catalogue() -> None:
    Path("spec.net").write_text(
        "netspec 1 let same = 1 let he = 3 input 2x5x5 net conv(4)-conv(same, init=normal)-flatten-affine(he)-affine"
    )
    result = call("fmt", "--explicit", "spec.net")
    assert result.exit_code == 0
    text = Path("spec.net").read_text()
    assert "pad=same" not in text
    assert re.search(r"conv\(\s*same,\s*init=normal\(std=", text)
    assert "width=3" not in text


def test_explicit_needs_a_program() -> None:
    Path("spec.net").write_text("netspec 1\nnet afine\n")
    result = call("fmt", "--explicit", "spec.net")
    assert result.exit_code == 3
    assert "error[NS201]" in result.stderr
    assert Path("spec.net").read_text() == "netspec 1\nnet afine\n"


def test_a_bare_chain_becomes_a_net() -> None:
    Path("spec.net").write_text("relu -> affine(3)")
    assert call("fmt", "--explicit", "spec.net").exit_code == 0
    assert (
        Path("spec.net")
        .read_text()
        .startswith("netspec 1\nnet relu -> affine(3, bias=true, init=xavier, frozen=false, lr_scale=1.0)\ntrain {\n")
    )


# diff


A = "netspec 1\ninput 5\nclasses 3\nnet [affine(8)-relu]x5 -> affine -> softmax\ntrain { batch = 10 }\n"


def test_diff_of_what_means_the_same() -> None:
    Path("a.net").write_text(A)
    Path("b.net").write_text(A.replace("->", "-").replace("affine(8)", "affine(width=8, bias=true)"))
    result = call("diff", "a.net", "b.net")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "a.net and b.net mean the same\n", "")


def test_diff_shows_layers_settings_and_totals() -> None:
    Path("a.net").write_text(A)
    Path("b.net").write_text(A.replace("affine(8)", "affine(9)").replace("x5", "x6").replace("batch = 10", "epochs = 3"))
    result = call("diff", "a.net", "b.net")
    assert result.exit_code == 1
    assert (
        result.stdout
        == """\
A a.net
B b.net

   layer                              what    A  B
~  affine1, affine2, ... affine5 (5)  width   8  9
                                      output  8  9
~  relu1, relu2, ... relu5 (5)        output  8  9
+  affine6                            layer   -  affine(width=9, bias=true)
+  relu6                              layer   -  relu

setting       A   B
train.batch   10  100
train.epochs  10  3

total          A      B
parameters   363    534  +171 (x1.47)
FLOPs a row  723  1,065  +342 (x1.47)
"""
    )


def test_diff_as_json() -> None:
    Path("a.net").write_text(A)
    Path("b.net").write_text(A.replace("relu", "tanh").replace("classes 3", "classes 4"))
    result = call("diff", "a.net", "b.net", "--json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert {key: found[key] for key in ("a", "b", "same", "shapes")} == {"a": "a.net", "b": "b.net", "same": False, "shapes": True}
    assert [one["change"] for one in found["layers"]].count("added") == 5
    assert found["settings"] == [{"key": "classes", "a": "3", "b": "4"}]
    assert found["totals"]["parameters"] == {"a": 363, "b": 372}
    same = call("diff", "a.net", "a.net", "--json")
    assert (same.exit_code, json.loads(same.stdout)["same"]) == (0, True)


def test_diff_without_shapes_says_so_and_takes_them() -> None:
    Path("a.net").write_text("netspec 1\nnet affine(3)-relu -> affine\n")
    Path("b.net").write_text("netspec 1\nnet affine(4)-relu -> affine -> softmax\n")
    blind = call("diff", "a.net", "b.net")
    assert blind.exit_code == 1
    assert "not compared, for nothing gives the shape of a row" in " ".join(blind.stdout.split())
    assert "total" not in blind.stdout
    seeing = call("diff", "a.net", "b.net", "--input", "5", "--classes", "4")
    assert "FLOPs a row" in seeing.stdout
    same = call("diff", "a.net", "a.net")
    assert (same.exit_code, same.stdout) == (0, "a.net and a.net mean the same, as far as can be told\n")
    assert "give --input" in same.stderr


def test_diff_of_what_cannot_be_read() -> None:
    Path("a.net").write_text(A)
    assert call("diff", "a.net", "none.net").exit_code == 2
    result = call("diff", "broken.net", "broken.net")
    assert (result.exit_code, result.stdout, result.stderr.count("error[NS104]")) == (3, "", 2)
    Path("wrong.net").write_text(A.replace("relu", "conv(3)"))
    assert call("diff", "a.net", "wrong.net").exit_code == 3
    assert call("diff", "a.net").exit_code == 2
    assert call("diff", "a.net", ".").exit_code == 2
    Path("junk.safetensors").write_bytes(b"junk")
    assert call("diff", "a.net", "junk.safetensors").exit_code == 4


def test_diff_of_runs(folder: Path) -> None:
    Path("d.net").write_text(
        "netspec 1\ndata { source = digits }\nnet affine(8)-relu -> affine -> softmax\ntrain { epochs = 1; batch = 500 }\n"
    )
    assert call("train", "d.net", "-q").exit_code == 0
    assert call("train", "d.net", "-q", "--set", "train.lr=1e-2").exit_code == 0
    assert call("diff", "d.net", "runs/d").exit_code == 0
    assert call("diff", "runs/d", "runs/d/weights/best.safetensors").exit_code == 0
    found = json.loads(call("diff", "runs/d", "runs/d-2", "--json").stdout)
    assert (found["layers"], found["settings"]) == ([], [{"key": "train.optimizer.lr", "a": "0.001", "b": "0.01"}])


def test_diff_of_a_run_whose_rows_came_from_python(folder: Path) -> None:
    text = "netspec 1\nnet affine(8)-relu -> affine -> softmax\ntrain { epochs = 1; batch = 10 }\n"
    Path("p.net").write_text(text)
    code = (
        "import numpy as np, netspec\nm = netspec.compile('p.net')\n"
        "m.fit(np.ones((20, 5)), np.arange(20) % 3, run_dir='run')\nm.save('w.safetensors')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert call("diff", "run", "w.safetensors").stdout == "run and w.safetensors mean the same\n"
    assert call("diff", "p.net", "run", "--input", "5", "--classes", "3").exit_code == 0
    assert call("diff", "p.net", "run", "--input", "6", "--classes", "3").exit_code == 1


# migrate


def test_migrate_of_the_newest() -> None:
    result = call("migrate", "loose.net")
    assert (result.exit_code, result.stdout) == (0, "loose.net: in version 1 of the language, the newest\n")
    assert Path("loose.net").read_text() == LOOSE
    assert call("migrate", "--check", "loose.net").exit_code == 0
    assert call("migrate", "--diff", "loose.net").stdout == ""


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("net   affine\n", "netspec 1\nnet   affine\n"),
        ("# a\n\nlet a = 3  net affine(a)", "netspec 1\n# a\n\nlet a = 3  net affine(a)"),
        (" # a chain\n  relu -> affine  # b\n", "netspec 1\n # a chain\n  net relu -> affine  # b\n"),
    ],
)
def test_migrate_adds_a_missing_version_line(text: str, after: str) -> None:
    Path("old.net").write_text(text)
    check = call("migrate", "--check", "old.net")
    assert (check.exit_code, check.stdout) == (1, "old.net: would be given its version line, netspec 1\n")
    diff = call("migrate", "--diff", "old.net")
    assert (diff.exit_code, diff.stdout.split("\n")[3]) == (0, "+netspec 1")
    assert Path("old.net").read_text() == text
    result = call("migrate", "old.net")
    assert (result.exit_code, result.stdout) == (0, "old.net: given its version line, netspec 1\n")
    assert Path("old.net").read_text() == after
    assert parse(Source(after)).entries[1:] == tuple(
        entry if not isinstance(entry, syntax.Net) else syntax.Net(entry.chain) for entry in parse(Source(text)).entries
    )
    assert call("migrate", "old.net").stdout == "old.net: in version 1 of the language, the newest\n"


def test_migrate_takes_the_steps_and_says_what_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrations, "STEPS", {})
    for number in (1, 2):

        @migration(from_=number, to=number + 1)
        def step(file: syntax.File) -> syntax.File:
            """Nothing but the number."""
            return file

    explicit = call("fmt", "--explicit", "loose.net")
    assert (explicit.exit_code, "first: netspec migrate loose.net" in explicit.stderr) == (2, True)
    result = call("migrate", "loose.net")
    assert result.exit_code == 0
    assert result.stdout == (
        "loose.net: brought from version 1 to 2: Nothing but the number.\nloose.net: brought from version 2 to 3: Nothing but the number.\n"
    )
    assert Path("loose.net").read_text() == NEAT.replace("netspec 1", "netspec 3")


def test_migrate_of_what_cannot_be_read() -> None:
    assert call("migrate", "none.net").exit_code == 2
    assert call("migrate", "broken.net").exit_code == 3
    Path("new.net").write_text("netspec 2\n")
    assert call("migrate", "new.net").exit_code == 3
