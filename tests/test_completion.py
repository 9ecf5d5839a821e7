"""Completion: what `netspec` answers a shell, and what bash, zsh and fish make of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from netspec.base.layer import Layer
from netspec.catalog.registry import entries
from netspec.frontend.explain import codes
from netspec.ui.cli import app
from netspec.ui.completion import candidates, scripts

SPEC = "netspec 1\nlet width = 8\n  let deep = 2  # layers\ninput 5 classes 3\nnet [affine(width)-relu]x(deep) -> affine -> softmax\n"
SHELLS = ("bash", "zsh", "fish")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Specs, folders and runs to complete, and a home of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("one.net", "two.net", "specs/three.net", "odd name.net", "notes.txt", ".hidden.net"):
        path = Path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(SPEC)
    for name in ("first", "second"):
        Path("runs", name, "weights").mkdir(parents=True)
        Path("runs", name, "spec.net").write_text(SPEC)
        Path("runs", name, "weights", "best.safetensors").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "_NETSPEC_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    programs = tmp_path / "home" / "bin"
    programs.mkdir(parents=True)
    (programs / "netspec").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m netspec "$@"\n')
    (programs / "netspec").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return tmp_path


def call(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, list(words), env=environment, prog_name="netspec")


def ask(line: str) -> dict[str, str]:
    """What netspec answers for a line as far as it is typed: candidates, with what they are."""
    done = call(_NETSPEC_COMPLETE="1", _TYPER_COMPLETE_ARGS=line)
    assert done.stderr == ""
    parts = [text.partition("\t") for text in done.stdout.splitlines() if text]
    return {value: told for value, _, told in parts}


ANSWERS: dict[str, list[str]] = {
    "netspec tra": ["train"],
    "netspec train ": ["home/", "odd name.net", "one.net", "runs/", "specs/", "two.net"],
    "netspec check one.net t": ["two.net"],
    "netspec check sp": ["specs/", "specs/three.net"],
    "netspec check .hid": [".hidden.net"],
    "netspec train --resume ": ["runs/first", "runs/second"],
    "netspec eval ": ["runs/first", "runs/second"],
    "netspec eval runs/f": ["runs/first"],
    "netspec watch ru": ["runs/", "runs/first", "runs/second"],
    "netspec eval runs/first/": ["runs/first/weights/", "runs/first/weights/best.safetensors"],
    "netspec plot runs/first runs/s": ["runs/second"],
    "netspec report ": ["runs/first", "runs/second"],
    "netspec report runs/first ": ["runs/first", "runs/second"],
    "netspec report runs/f": ["runs/first"],
    "netspec export ": ["runs/first", "runs/second"],
    "netspec diff o": ["odd name.net", "one.net"],
    "netspec diff one.net runs/s": ["runs/second"],
    "netspec launch ": ["train"],
    "netspec launch -n 2 tr": ["train"],
    "netspec launch --max-r": ["--max-restarts"],
    "netspec launch -n 2 train o": ["odd name.net", "one.net"],
    "netspec launch -n 2 train one.net --see": ["--seed"],
    "netspec launch -n 2 --max-restarts 3 train --resume ": ["runs/first", "runs/second"],
    "netspec launch -n 2 train one.net --set wi": ["width="],
    "netspec launch train one.net --set train.fuse=": ["train.fuse=true", "train.fuse=false"],
    "netspec runs ": ["home/", "runs/", "specs/"],
    "netspec explain NS40": [code for code in codes() if code.startswith("NS40")],
    "netspec explain ns402": ["ns402"],
    "netspec layers avg": ["avgpool"],
    "netspec compile one.net --emit g": ["graph", "groups"],
    "netspec train one.net --dtype ": ["float32", "float64"],
    "netspec train one.net --set wi": ["width="],
    "netspec train one.net --set de": ["deep="],
    "netspec train two.net --epochs 3 --set train.mon": ["train.monitor_rows="],
    "netspec train one.net --set train.lr": ["train.lr_decay=", "train.lr="],
    "netspec train one.net --set train.fuse=": ["train.fuse=true", "train.fuse=false"],
    "netspec train one.net --set train.optimizer=ada": ["train.optimizer=adagrad", "train.optimizer=adam", "train.optimizer=adamw"],
    "netspec train one.net --set data.source=dig": ["data.source=digits"],
    "netspec train one.net --log m": ["mlflow"],
    "netspec train one.net --see": ["--seed"],
    "netspec predict runs/first ": [],
    "netspec train --epochs ": [],
    "netspec train absent.net --set wi": [],
    "netspec check nowhere/x": [],
}


@pytest.mark.parametrize("line", ANSWERS)
def test_what_can_come_next(line: str) -> None:
    assert list(ask(line)) == ANSWERS[line]


def test_all_verbs_and_all_layers() -> None:
    shown = [line.split()[0] for line in call("--help").stdout.partition("Commands:")[2].splitlines() if line]
    assert list(ask("netspec ")) == shown
    assert set(entries(Layer)) <= set(ask("netspec layers "))  # type: ignore[type-abstract]


def test_candidates_are_explained() -> None:
    assert ask("netspec explain NS402")["NS402"] == "a window larger than the image"
    assert ask("netspec train one.net --set de") == {"deep=": "let deep = 2"}
    assert ask("netspec train one.net --set train.bat")["train.batch="] == "rows of a step"


def test_no_answer_is_an_error(folder: Path) -> None:
    """Whatever the files are."""
    Path("bad.net").write_bytes(b"\xff\xfelet \x00 = " * 100)
    Path("runs/first/events.jsonl").write_text("rubbish")
    Path("pipe.net").symlink_to("/dev/null")
    for line in (
        "netspec train bad.net --set ",
        "netspec runs --sort ",
        "netspec train pipe.net --set w",
        "netspec watch ''",
        "netspec '",
        "",
    ):
        assert call(_NETSPEC_COMPLETE="1", _TYPER_COMPLETE_ARGS=line).exit_code == 0
    assert "train.batch=" in ask("netspec train bad.net --set tr")
    assert "val_loss" in ask("netspec runs --sort ")


def test_folders_of_runs_are_told_beside_runs() -> None:
    trial = Path("runs/sweeps/one/trial-0001")
    trial.mkdir(parents=True)
    (trial / "events.jsonl").touch()
    assert list(ask("netspec watch ")) == ["runs/first", "runs/second", "runs/sweeps/"]
    assert list(ask("netspec report runs/sweeps/")) == ["runs/sweeps/one/", "runs/sweeps/one/trial-0001"]


def test_many_files_are_not_all_told() -> None:
    Path("many").mkdir()
    for number in range(candidates.MOST + 5):
        Path("many", f"{number}.net").touch()
    assert len(candidates.net_files("many/")) == candidates.MOST


LIGHT = ("netspec ", "netspec train ", "netspec eval ", "netspec launch -n 2 train ", "netspec train one.net --se", "netspec explain NS40")


@pytest.mark.parametrize("line", LIGHT)
def test_what_needs_no_catalogue_loads_none(line: str) -> None:
    """Somebody waits at a key."""
    heavy = "{'numpy', 'lark', 'rich', 'safetensors', 'netspec.catalog.registry', 'netspec.frontend.program'}"
    code = f"import sys\nfrom netspec.ui.cli import main\ntry: main()\nfinally: print(sorted({heavy} & set(sys.modules)))"
    asked = {"_NETSPEC_COMPLETE": "1", "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert len(done.stdout.splitlines()) > 1


def test_completing_loads_no_compiler() -> None:
    loaded = "print(sorted({'numba', 'llvmlite', 'matplotlib'} & set(sys.modules)))"
    code = f"import sys\nfrom netspec.ui.cli import main\ntry: main()\nfinally: {loaded}"
    for line in ("netspec ", "netspec train one.net --set ", "netspec explain ", "netspec eval ", "netspec train --log "):
        asked = {"_NETSPEC_COMPLETE": "1", "_TYPER_COMPLETE_ARGS": line}
        done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **asked}, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]"
        assert len(done.stdout.splitlines()) > 2


# scripts


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_is_shown_and_installed_once(shell: str) -> None:
    shown = call("--show-completion", shell)
    assert (shown.exit_code, shown.stdout) == (0, scripts.SCRIPTS[shell])
    for _ in range(2):
        done = call("--install-completion", shell)
        assert (done.exit_code, done.stderr) == (0, "")
    place = Path(done.stdout.splitlines()[0])
    assert place.read_text() == scripts.SCRIPTS[shell]
    assert place.is_relative_to(Path.home())
    rc = {"bash": Path.home() / ".bashrc", "zsh": Path.home() / ".zshrc"}.get(shell)
    if rc is not None:
        assert len(rc.read_text().splitlines()) == 1


def test_what_a_user_has_is_kept() -> None:
    rc = Path.home() / ".bashrc"
    rc.write_bytes(b"alias ll='ls -l' # \xff")
    call("--install-completion", "bash")
    assert rc.read_bytes().startswith(b"alias ll='ls -l' # \xff\n[ -f ")


def test_the_shell_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scripts, "_parent", lambda: "fish")
    assert call("--show-completion").stdout == scripts.FISH
    monkeypatch.setattr(scripts, "_parent", lambda: "python")
    assert call("--show-completion", SHELL="/usr/bin/zsh").stdout == scripts.ZSH
    done = call("--show-completion", SHELL="/bin/tcsh")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "give bash, zsh or fish" in done.stderr
    assert call("--show-completion", "tcsh").exit_code == 2


def in_shell(shell: str, script: str) -> str:
    """What a script prints in a real shell."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    plain = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"], "fish": ["--no-config"]}[shell]
    done = subprocess.run([shell, *plain, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.stdout


BASH_ASKS = """
source ./script
compopt() {{ printf '%s ' "$@"; }}
COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}} COMP_WORDS=({words}) COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_netspec
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("netspec tra", "train\n"),
        ("netspec check o", "odd\\ name.net\none.net\n"),
        ("netspec check sp", "-o nospace specs/\nspecs/three.net\n"),
        ("netspec train one.net --set wi", "-o nospace width=\n"),
        ("netspec train one.net --set train.fuse = t", "true\n"),
        ("netspec train one.net --set train.fuse =", "true\nfalse\n"),
        ("netspec predict runs/first ''", "\n"),
    ],
)
def test_bash(words: str, reply: str) -> None:
    """As readline calls it: words in an array, taken apart at the equals sign."""
    Path("script").write_text(scripts.BASH)
    line = words.replace(" = ", "=").replace(" =", "=").replace("''", "")
    assert in_shell("bash", BASH_ASKS.format(line=line, words=words)) == reply


def test_bash_registers_it() -> None:
    Path("script").write_text(scripts.BASH)
    assert in_shell("bash", "source ./script; complete -p netspec") == "complete -o bashdefault -o default -F _netspec netspec\n"


ZSH_ASKS = """
function compdef {{ print -r compdef "$@"; }}
function compadd {{ local name=$@[-1]; print -r -- ${{@[1,-2]}} ${{(qqqP)name}}; }}
function _files {{ print files; }}
source ./script
words=({words}) CURRENT=$#words
_netspec
"""


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("netspec tra", '-l -d closed_told -a "train"\n'),
        ("netspec check sp", '-l -d closed_told -a "specs/three.net"\n-S -l -d open_told -a "specs/"\n'),
        ("netspec train one.net --set wi", '-S -l -d open_told -a "width="\n'),
        ("netspec predict runs/first ''", "files\n"),
    ],
)
def test_zsh(words: str, reply: str) -> None:
    Path("script").write_text(scripts.ZSH)
    assert in_shell("zsh", ZSH_ASKS.format(words=words)) == f"compdef _netspec netspec\n{reply}"


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("netspec tra", ["train\tTrain a net on its data, into a run folder."]),
        ("netspec check sp", ["specs/", "specs/three.net"]),
        ("netspec train one.net --set train.fu", ["train.fuse=\tcomputes layers in common loops; false to compare"]),
        ("netspec predict runs/first not", ["notes.txt"]),
    ],
)
def test_fish(line: str, reply: list[str]) -> None:
    """By fish's own completion."""
    Path("script").write_text(scripts.FISH)
    assert [text.removesuffix("\t") for text in in_shell("fish", f"source ./script; complete -C {line!r}").splitlines()] == reply


def test_help_stays_short() -> None:
    text = call("--help").stdout
    assert text.count("completion") == 2
    assert max(map(len, text.splitlines())) <= 80
