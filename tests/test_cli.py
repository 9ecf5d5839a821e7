"""The command line as a user meets it: verbs, exit codes, messages, JSON, colour, speed."""

from __future__ import annotations

import csv
import json
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from alarm import ended_after
from pyarrow import parquet
from typer.testing import CliRunner, Result

from netspec.frontend.explain import codes
from netspec.frontend.later import OTHER_KEYS, OTHER_WORDS
from netspec.frontend.sections import SECTION_MODELS
from netspec.pipeline import restore_file
from netspec.ui.cli import app
from netspec.ui.verbs import layers as layers_verb

MODELS = Path(__file__).parents[1] / "models"
DIGITS = MODELS / "digits.net"
LOGITS = Path(__file__).with_name("keras") / "logits_3.json"
VERBS = (
    "check", "summary", "compile", "train", "launch", "sweep", "eval", "predict", "gradcheck", "bench", "draw", "plot", "report", "export",
    "runs", "watch", "fmt", "diff", "migrate", "layers", "init", "convert", "explain", "doctor", "lsp",
)  # fmt: skip
TINY = """netspec 1
let width = 8
data { source = npz; path = "rows.npz"; split = 60% / 20% / 20% }
net affine(width)-relu -> affine -> softmax
train { optimizer = sgd(lr=0.1); batch = 20; epochs = 3 }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a small spec, tiny.net, and its data, rows.npz."""
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(100, 5))
    np.savez("rows.npz", x=x, y=(x[:, 0] > 0).astype(int))
    Path("tiny.net").write_text(TINY)
    return tmp_path


def call(*words: object) -> Result:
    """The command in this process: cheap, for numba is loaded once."""
    return CliRunner().invoke(app, [str(word) for word in words])


def process(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    command = [sys.executable, "-m", "netspec", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, **more)


def answer(*words: object) -> Any:
    """The JSON of a command that succeeds and says nothing on stderr."""
    result = call(*words, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


# help, speed, imports


def test_help_names_every_verb() -> None:
    result = call("--help")
    assert result.exit_code == 0
    listed = [line.split()[0] for line in result.stdout.split("Commands:")[1].splitlines() if line.strip()]
    assert sorted(listed) == sorted(VERBS)
    assert call("-h").stdout == result.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_help_of_80_columns(verb: str) -> None:
    result = call(verb, "--help")
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_version() -> None:
    assert call("--version").stdout.startswith("netspec 0.")


PROBE = """
import sys
from netspec.ui.cli import main
sys.argv = ["netspec", *sys.argv[1:]]
try:
    main()
finally:
    print("numba" in sys.modules, file=sys.stderr)
"""


def numba_is_imported(*words: object) -> bool:
    done = subprocess.run([sys.executable, "-c", PROBE, *map(str, words)], capture_output=True, text=True, timeout=300, check=True)
    return done.stderr.split()[-1] == "True"


LIGHT = [("--help",), ("check", DIGITS), ("layers",), ("layers", "conv"), ("explain", "NS402"), ("--version",)]
LIGHT += [("fmt", "--diff", DIGITS), ("fmt", "--explicit", "--diff", DIGITS), ("diff", DIGITS, DIGITS), ("migrate", DIGITS)]
LIGHT += [("convert", LOGITS)]


@pytest.mark.parametrize("words", LIGHT)
def test_light_verbs_leave_numba_alone(words: tuple[object, ...]) -> None:
    assert not numba_is_imported(*words)


def test_the_probe_sees_numba_where_it_is_needed() -> None:
    assert numba_is_imported("summary", DIGITS)


def processor_seconds(*words: object) -> float:
    """Of a Python process, with one thread: what the clock shows on a machine that does nothing else."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    subprocess.run([sys.executable, *map(str, words)], env=environment, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cost(*words: object) -> float:
    """Time of a command by the time that the libraries it stands on take to load, run in turn: 0.1 s on an idle machine, so 4 are 0.4 s."""
    libraries, command = [], []
    for _ in range(5):
        libraries.append(processor_seconds("-c", "import numpy.typing, pydantic, lark, typer"))
        command.append(processor_seconds("-m", "netspec", *words))
    return min(command) / min(libraries)


def test_help_and_check_are_fast() -> None:
    assert cost("--help") < 1
    assert cost("check", DIGITS) < 4


def test_the_measure_sees_a_verb_that_loads_numba() -> None:
    assert cost("summary", DIGITS) > 4


# exit codes and messages

WRONG_NETS = {
    "misspelt": ("netspec 1\ninput 5\nnet afine(3) -> affine", 3, ["NS201", "misspelt.net:3:5", "^^^^^", "did you mean `affine`?"]),
    "wrong_type": ("netspec 1\ninput 5\nnet affine(wide) -> affine", 3, ["wrong_type.net:3:12", "^^^^"]),
    "bomb": ("netspec 1\ninput 5\nnet [affine-relu]x1000000000 -> affine", 6, ["NS804", "10000"]),
    "too_small": ("netspec 1\ninput 1x8x8\nnet [conv-relu-pool]x4 -> affine", 3, ["NS402", "copy 4 of 4"]),
    "too_many": ("netspec 1\ninput 100000\nnet affine(100000) -> affine", 6, ["NS806", "10,000"]),
    "bracket": ("netspec 1\nnet [affine(3) -> affine", 3, ["NS104", "`]` is missing"]),
    "empty": ("", 3, ["NS102", "the text is empty"]),
}


@pytest.mark.parametrize("name", WRONG_NETS)
@pytest.mark.parametrize("verb", ["check", "summary", "compile", "train", "gradcheck"])
def test_a_wrong_net_is_refused_by_every_verb(folder: Path, name: str, verb: str) -> None:
    text, code, parts = WRONG_NETS[name]
    Path(f"{name}.net").write_text(text)
    result = call(verb, f"{name}.net")
    assert result.exit_code == code
    said = result.stdout if verb == "check" else result.stderr
    for part in parts:
        assert part in said
    assert verb == "check" or (verb == "summary" and "layers whose shapes are known" in result.stdout) or result.stdout == ""
    assert not Path("runs").exists()


def test_check_prints_what_a_spec_error_says(folder: Path) -> None:
    Path("misspelt.net").write_text(WRONG_NETS["misspelt"][0])
    checked, trained = call("check", "misspelt.net"), call("train", "misspelt.net")
    assert checked.stdout.startswith(trained.stderr.rstrip())
    assert checked.stdout.endswith("misspelt.net: 1 error\n")


def save(name: str, x: Any, y: Any) -> None:
    np.savez(name, x=x, y=y)


def make_bad_data() -> None:
    """Data files that are each wrong in one way, in the working folder."""
    x, y = np.zeros((100, 5)), np.arange(100) % 2
    holed = x.copy()
    holed[17, 3] = np.nan
    save("nan.npz", holed, y)
    save("infinite.npz", np.where(holed == holed, x, np.inf), y)
    save("one_class.npz", x, np.zeros(100, int))
    save("ragged.npz", x, y[:50])
    save("text.npz", x.astype(str), y)
    save("negative.npz", x, y - 1)
    save("fractions.npz", x, y + 0.5)
    np.savez("other.npz", inputs=x, y=y)
    Path("damaged.npz").write_bytes(Path("nan.npz").read_bytes()[:-300])
    Path("foreign.npz").write_text("x,y\n1,2\n")
    np.savez("objects.npz", x=np.array([{}, {}], dtype=object), y=y[:2])


BAD_DATA = {
    "nan": ["row 17", "feature 3", "NaN"], "infinite": ["row 17", "feature 3", "infinite"], "one_class": ["one_class.npz"],
    "ragged": ["100 rows", "50"], "text": ["text.npz"], "negative": ["-1"], "fractions": ["0.5"], "other": ["inputs"],
    "damaged": ["damaged.npz", "cannot be read"], "foreign": ["foreign.npz", "not a zip file"], "objects": ["objects.npz"],
    "absent": ["absent.npz", "no such file"], "../outside": ["outside the folders", "--allow-path"],
    "/etc/hostname": ["outside the folders"],
}  # fmt: skip

UNREADABLE = BAD_DATA.keys() - {"nan", "infinite", "one_class", "negative", "fractions"}
"""Those that have not even a shape."""


@pytest.mark.parametrize("name", BAD_DATA)
def test_bad_data_ends_with_exit_4_and_nothing_written(folder: Path, name: str) -> None:
    make_bad_data()
    before = sorted(os.listdir())
    result = call("train", "tiny.net", "--set", f"data.path={name}.npz")
    assert result.exit_code == 4, result.stderr
    for part in BAD_DATA[name]:
        assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize("verb", ["summary", "compile", "gradcheck"])
@pytest.mark.parametrize("name", BAD_DATA)
def test_verbs_that_need_the_shape_of_the_data_say_what_is_wrong_with_it(folder: Path, name: str, verb: str) -> None:
    make_bad_data()
    words = (verb, "tiny.net", "--set", f"data.path={name}.npz")
    result = call(*words)
    assert "NS409" not in result.stderr
    if verb == "gradcheck" or name in UNREADABLE:
        assert result.exit_code == 4, result.stderr
        assert all(part in result.stderr for part in BAD_DATA[name])
    assert call(*words, "--input", "5", "--classes", "2").exit_code == 0


@pytest.mark.parametrize(("classes", "code", "part"), [(2, 4, "label 2 in row 2"), (3, 0, ""), (4, 0, "")])
def test_labels_beyond_the_given_count_are_out_of_range(folder: Path, classes: int, code: int, part: str) -> None:
    save("three.npz", np.random.default_rng(0).normal(size=(90, 5)), np.arange(90) % 3)
    result = call("train", "tiny.net", "--set", "data.path=three.npz", "--classes", classes)
    assert result.exit_code == code
    assert part in result.stderr


def test_a_count_that_contradicts_the_words_of_the_labels_is_an_error_of_the_text(folder: Path) -> None:
    save("words.npz", np.zeros((90, 5)), np.array(["cat", "dog", "hen"])[np.arange(90) % 3])
    result = call("train", "tiny.net", "--set", "data.path=words.npz", "--classes", "2")
    assert result.exit_code == 3
    assert "NS601" in result.stderr


@pytest.mark.parametrize("shape", ["3", "5000", "5x1x1"])
def test_an_input_that_contradicts_the_data_is_refused(folder: Path, shape: str) -> None:
    result = call("train", "tiny.net", "--input", shape, "--classes", "2")
    assert result.exit_code == 3
    assert f"input {shape} contradicts the data, whose rows are 5" in result.stderr
    assert not Path("runs").exists()


def test_a_file_without_end_is_refused_at_once() -> None:
    result = call("check", "/dev/zero")
    assert result.exit_code == 6
    assert "NS801" in result.stdout


def test_good_data_is_the_control_of_the_bad(folder: Path) -> None:
    assert call("train", "tiny.net", "--set", "data.path=rows.npz").exit_code == 0


def test_a_path_outside_may_be_allowed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    Path("rows.npz").rename(elsewhere / "rows.npz")
    words = ("train", "tiny.net", "--set", f'data.path="{elsewhere}/rows.npz"')
    assert call(*words).exit_code == 4
    assert call(*words, "--allow-path", elsewhere).exit_code == 0


USAGE = {
    "no such verb": (("fly",), "No such command 'fly'"),
    "no such option": (("check", "tiny.net", "--fast"), "--fast"),
    "no file": (("check",), "FILE"),
    "missing spec": (("train", "absent.net"), "absent.net: no such file"),
    "folder": (("check", "."), "is a folder"),
    "shape": (("summary", "tiny.net", "--input", "3x3"), "--input 3x3"),
    "zero epochs": (("train", "tiny.net", "--epochs", "0"), "--epochs"),
    "dtype": (("train", "tiny.net", "--dtype", "float16"), "--dtype"),
    "pair": (("train", "tiny.net", "--set", "width"), "--set key=value"),
    "twice": (("train", "tiny.net", "--set", "width=3", "--set", "width=4"), "given twice"),
    "no run": (("eval", "absent"), "absent: no such run folder"),
    "no layer": (("layers", "conf"), "did you mean conv?"),
    "another's layer": (("layers", "dense"), "did you mean affine?"),
    "another's key": (("layers", "batch_size"), "did you mean batch?"),
    "no code": (("explain", "NS999"), "no diagnostic NS999"),
    "no output folder": (("predict", "absent", "rows.npz", "-o", "nodir/o.csv"), "-o nodir/o.csv: there is no folder nodir"),
    "format": (("predict", "absent", "rows.npz", "-o", "out.xls"), ".csv, .parquet, .npz, .jsonl"),
    "stage": (("compile", "tiny.net", "--emit", "assembler"), "--emit"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage_errors_exit_2(folder: Path, name: str) -> None:
    words, part = USAGE[name]
    result = call(*words)
    assert result.exit_code == 2
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_errors_begin_in_one_way(folder: Path) -> None:
    for words in (("eval", "runs", "--split", "foo"), ("fly",), ("train",), ("train", "tiny.net", "--epochs", "0"), ("eval", "absent")):
        said = call(*words).stderr
        assert said.splitlines()[-1].startswith("error: ")
        assert "Error: " not in said
    said = call("eval", "runs", "--split", "foo").stderr
    assert said.count("foo") == 1
    assert "Value error" not in said


def test_a_spec_in_place_of_a_run_is_told_where_the_run_is(folder: Path) -> None:
    call("train", "tiny.net", "--epochs", "1")
    for words in (("eval",), ("predict", "rows.npz")):
        for spec, place in (("runs/tiny/spec.net", "its folder, runs/tiny"), ("tiny.net", "runs/tiny")):
            result = call(words[0], spec, *words[1:])
            assert result.exit_code == 2
            assert f"{spec}: is a spec" in result.stderr
            assert place in result.stderr
    assert call("eval", "runs/tiny").exit_code == 0


def test_a_run_folder_that_is_not_empty_is_refused(folder: Path) -> None:
    Path("full").mkdir()
    Path("full/notes.txt").write_text("mine")
    result = call("train", "tiny.net", "--run-dir", "full")
    assert (result.exit_code, os.listdir("full")) == (2, ["notes.txt"])
    assert "not empty" in result.stderr
    Path("new").mkdir()
    assert call("train", "tiny.net", "--run-dir", "new").exit_code == 0


def test_a_diverging_run_exits_5_and_names_the_step(folder: Path) -> None:
    result = call("train", "tiny.net", "--set", "train.lr=1e30", "--epochs", "20")
    assert result.exit_code == 5
    assert "the loss became" in result.stderr
    assert "step" in result.stderr


def test_a_plan_beyond_the_memory_exits_6(folder: Path) -> None:
    result = call("train", "tiny.net", "--set", "train.batch=100000000000")
    assert result.exit_code == 6
    assert "NS8" in result.stderr
    assert not Path("runs").exists()


LIMITED = 'ulimit -f 48; exec "$0" -m netspec train tiny.net --set width=4000 --set train.epochs=1 --run-dir limited'


def test_a_full_disk_exits_1_and_leaves_nothing_torn(folder: Path) -> None:
    assert call("train", "tiny.net", "--set", "width=4000", "--set", "train.epochs=1").exit_code == 0  # kernels are in the cache
    # the limit on a file's size stands for the disk: the weights of 4000 units are larger, everything before them is not
    done = subprocess.run(["bash", "-c", LIMITED, sys.executable], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 1
    assert "the disk is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("limited").exists()  # a run without weights is nothing


def test_a_full_disk_behind_stdout_exits_1() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "netspec", "layers"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: output: the disk is full\n"


def test_a_reader_that_goes_away_is_no_error_message() -> None:
    done = subprocess.run(
        ["bash", "-c", '"$0" -m netspec explain --json | head -c 10', sys.executable], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""


@pytest.mark.parametrize("closed", ["0<&-", ">&-", "2>&-", "0<&- >&- 2>&-"])
def test_a_closed_stream_is_no_error(folder: Path, closed: str) -> None:
    """What is written to it is lost, and no file takes its place."""
    command = f'"$0" -m netspec train tiny.net --run-dir run {closed}'
    done = subprocess.run(["bash", "-c", command, sys.executable], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path("run/events.jsonl").read_text().startswith("{")
    assert process("check", "tiny.net").returncode == 0


@pytest.mark.parametrize("debug", ["", "1"])
def test_an_unexpected_error_is_one_line_without_traceback(monkeypatch: pytest.MonkeyPatch, debug: str) -> None:
    def broken(*_words: object, **_more: object) -> int:
        raise RuntimeError("a wheel\ncame off")

    monkeypatch.setattr(layers_verb, "run", broken)
    monkeypatch.setenv("NETSPEC_DEBUG", debug)
    result = call("layers")
    assert result.exit_code == 1
    assert "error: RuntimeError: a wheel came off\nThis is a bug in netspec" in result.stderr
    assert ("Traceback" in result.stderr) == bool(debug)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_saves_and_exits(folder: Path, number: int, code: int) -> None:
    command = [sys.executable, "-m", "netspec", "train", "tiny.net", "--epochs", "10000000", "--run-dir", "run", "--json"]
    with Path("out").open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, text=True) as running:
        deadline = time.monotonic() + 120
        while not Path("out").read_text() and time.monotonic() < deadline:  # the first epoch's line
            time.sleep(0.05)
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    assert running.returncode == code
    assert "the weights are saved in run" in said
    last = json.loads(Path("out").read_text().splitlines()[-1])
    assert last == {"event": "interrupted", "code": code, "message": said.splitlines()[0]}
    assert restore_file(Path("run/weights/last.safetensors")).step_count > 0


def test_names_of_files_move_no_cursor(folder: Path) -> None:
    """Wherever a path is printed; --json has it to the letter."""
    place, shown = Path("odd\x1b[2Jname\r"), "odd\\x1b[2Jname\\x0d"
    place.mkdir()
    shutil.copy("tiny.net", place / "tiny.net")
    run = place / "run"
    for words in (
        ("check", place / "tiny.net"), ("train", "tiny.net", "--epochs", 1, "--run-dir", run, "--quiet"),
        ("train", "tiny.net", "--epochs", 1, "--run-dir", place / "again"), ("report", run), ("plot", run, "-o", place / "one.png"),
        ("export", run, "--numpy", "-o", place), ("diff", run, place / "again"), ("draw", place / "tiny.net", "-o", place / "one.svg"),
        ("runs", place), ("watch", run), ("watch", run, "--once"), ("migrate", place / "tiny.net"), ("eval", place / "absent"),
    ):  # fmt: skip
        done = call(*words)
        text = done.stdout + done.stderr
        assert text
        assert all(line.isprintable() for line in text.split("\n")), words
        assert shown in text or words[0] in ("runs", "watch"), words  # which show what a file says with question marks
    assert json.loads(call("report", run, "--json").stdout)["path"] == str(run / "report.html")


# check


def test_check_json_has_the_keys_of_the_contract(folder: Path) -> None:
    Path("two.net").write_text("net afine(3) -> affine(0)")
    result = call("check", "two.net", "tiny.net", "--json")
    found = json.loads(result.stdout)
    assert result.exit_code == 3
    keys = {"code", "severity", "message", "path", "line", "column", "end_column", "notes", "help"}
    assert all(set(one) == keys for one in found)
    assert [(one["code"], one["path"], one["line"], one["column"], one["end_column"]) for one in found] == [
        ("NS201", "two.net", 1, 5, 10),
        ("NS302", "two.net", 1, 24, 25),
    ]


def test_warnings_leave_exit_0(folder: Path) -> None:
    Path("warned.net").write_text("input 5\nnet affine(8)-relu-dropout(80%) -> affine")
    result = call("check", "warned.net")
    assert result.exit_code == 0
    assert "warning[W103]" in result.stdout
    assert result.stdout.endswith("warned.net: 2 warnings\n")


def test_check_goes_on_after_a_file_that_is_missing(folder: Path) -> None:
    result = call("check", "absent.net", "tiny.net")
    assert result.exit_code == 2
    assert result.stdout == "tiny.net: fine (of its data the beginning was read: netspec train tiny.net --dry-run reads all)\n"


def test_shapes_from_outside_are_checked_too(folder: Path) -> None:
    Path("bare.net").write_text("[affine-bn-relu-dropout]x4 -> affine -> softmax")
    assert call("check", "bare.net").exit_code == 0
    assert call("check", "bare.net", "--input", "3x32x32", "--classes", "10").exit_code == 0
    result = call("check", "bare.net", "--input", "3x32x32")
    assert result.exit_code == 3
    assert "NS405" in result.stdout


def test_what_the_terminal_cannot_write_is_escaped(folder: Path) -> None:
    name = os.fsdecode(b"na\xefve.net")
    Path(name).write_text("netspec 1\ninput 5\nnet affine(3) → café", encoding="utf-8")
    done = process("check", name, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 3
    assert "\\u2192" in done.stdout
    assert "bug" not in done.stderr


# the catalogue and the pages


@pytest.mark.parametrize("section", ["train", "data"])
def test_layers_shows_every_key_of_a_section(section: str) -> None:
    facts = answer("layers", section)
    page = call("layers", section).stdout
    assert max(map(len, page.splitlines())) <= 80
    assert [fact["name"] for fact in facts["keys"]] == list(SECTION_MODELS[section].model_fields)
    for fact in facts["keys"]:
        assert fact["description"], fact["name"]
        assert f"\n  {fact['name']}" in page
        assert fact["name"] in call("layers").stdout
        if fact["name"] not in ("clip",):
            assert answer("layers", fact["name"]) == {"kind": f"a key of {section}", **fact}
            assert call("layers", fact["name"]).stdout.startswith(f"a key of {section}\n  {fact['name']}")


def test_what_layers_suggests_it_knows() -> None:
    for word in {*OTHER_KEYS.values(), *OTHER_WORDS.values()}:
        assert call("layers", word).exit_code == 0, word
    assert call("layers", "lr").stdout.startswith("an argument of adagrad, adam, adamw, rmsprop, sgd\n")
    assert set(answer("layers", "kernel")["of"]) == {"conv"}


def test_layers_shows_every_entry_in_80_columns() -> None:
    everything = answer("layers")
    assert {"affine", "conv", "bn", "softmax", "adam", "he", "digits", "hinge"} <= {one["name"] for one in everything}
    listing = call("layers").stdout
    assert max(map(len, listing.splitlines())) <= 80
    for one in everything:
        assert one["name"] in listing
        page = call("layers", one["name"]).stdout
        assert max(map(len, page.splitlines())) <= 80
        for argument in one["arguments"]:
            assert argument["description"]
            assert argument["name"] in page


def test_layer_facts_are_those_of_the_contract() -> None:
    facts = {argument["name"]: argument["default"] for argument in answer("layers", "conv")["arguments"]}
    assert (facts["filters"], facts["kernel"], facts["stride"], facts["pad"], facts["bias"]) == ("32", "3", "1", "same", "true")
    assert answer("layers", "dropout")["arguments"][0]["default"] == "0.5"


@pytest.mark.parametrize("code", codes())
def test_every_diagnostic_has_a_page_of_80_columns(code: str) -> None:
    result = call("explain", code.lower())
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{code}: ")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "```" not in result.stdout


def test_explain_lists_all_codes() -> None:
    assert [one["code"] for one in answer("explain")] == codes()


# summary and compile


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.net")), ids=lambda path: path.stem)
def test_summary_fits_80_columns_and_its_totals_are_sums(path: Path) -> None:
    facts = answer("summary", path)
    for total in ("parameters", "flops", "memory_bytes"):
        assert facts[total] == sum(row[total] for row in facts["layers"]) > 0
    text = call("summary", path).stdout
    assert max(map(len, text.splitlines())) <= 80
    assert f"{facts['parameters']:,} parameters" in text


@pytest.mark.parametrize(("width", "columns"), [(80, 7), (66, 6), (60, 5), (50, 4), (45, 4), (30, 2)])
def test_summary_in_few_columns_keeps_the_names_of_layers_whole(width: int, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    path = MODELS / "digits_conv.net"
    text = call("summary", path).stdout
    header, *rows = text.split("\n\n")[0].splitlines()
    assert max(map(len, [header, *rows])) <= width
    assert len(header.split()) <= columns
    for row in answer("summary", path)["layers"]:
        assert sum(line.split()[0] == row["name"] for line in rows) == 1


def test_no_page_of_the_catalogue_offers_what_cannot_be_written() -> None:
    for one in answer("layers"):
        assert ".py" not in one["summary"]
        assert not any("none:" in argument["description"] for argument in one["arguments"])
    assert "head of yes-no questions" in call("layers").stdout


def test_summary_marks_values_by_origin(folder: Path) -> None:
    Path("marked.net").write_text(
        "netspec 1\ninput 5\nclasses 3\ndefaults { dropout.p = 30% }\nnet [affine-dropout]x2 -> affine -> softmax"
    )
    text = call("summary", "marked.net").stdout
    for part in ("affine1 (100*)", "dropout2 (0.3~)", "affine3 (3+)", "copy 2 of 2", "head softmax, loss cross_entropy, 3 classes"):
        assert part in text
    rows = answer("summary", "marked.net")["layers"]
    assert rows[0]["units"][0] == {"unit": "affine-dropout", "copy": 1, "copies": 2}
    assert "width" in rows[0]["defaulted"]
    assert "width" not in rows[-1]["defaulted"]


def test_summary_memory_grows_with_the_batch() -> None:
    small, large = (answer("summary", DIGITS, "--batch", batch) for batch in (10, 20))
    assert large["memory_bytes"] == 2 * small["memory_bytes"]
    assert large["peak_bytes"] > small["peak_bytes"]


STAGES = {
    "ast": "Net", "program": "optimizer = sgd(lr=0.1", "graph": "affine1", "groups": "contraction, pointwise", "kernels": "@cfunc",
    "plan": "affine1",
}  # fmt: skip


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_prints_and_the_print_is_stable(folder: Path, stage: str) -> None:
    words = ("compile", "tiny.net", "--input", "5", "--classes", "2", "--emit", stage)
    first = call(*words)
    assert first.exit_code == 0
    assert STAGES[stage] in first.stdout
    assert call(*words).stdout == first.stdout
    assert answer(*words) == {"stage": stage, "text": first.stdout.rstrip("\n")}


def test_the_data_gives_the_shapes_where_it_is_there(folder: Path) -> None:
    with_data = answer("summary", "tiny.net")
    assert (with_data["input"], with_data["classes"]) == ([5], 2)
    assert answer("summary", "tiny.net", "--input", "5", "--classes", "2") == with_data
    Path("rows.npz").unlink()
    result = call("summary", "tiny.net")
    assert result.exit_code == 4
    assert "rows.npz: no such file" in result.stderr
    Path("no_data.net").write_text("netspec 1\nnet affine(3) -> affine")
    result = call("summary", "no_data.net")
    assert result.exit_code == 3
    assert "NS409" in result.stderr


def test_an_emitted_program_means_the_same(folder: Path) -> None:
    words = ("--input", "5", "--classes", "2")
    Path("again.net").write_text(call("compile", "tiny.net", *words, "--emit", "program").stdout)
    assert call("compile", "again.net", "--emit", "graph").stdout == call("compile", "tiny.net", *words, "--emit", "graph").stdout


def test_compile_says_what_it_launches_and_whether_it_compiled(folder: Path) -> None:
    words = ("compile", "tiny.net", "--input", "5", "--classes", "2")
    call(*words)
    again = call(*words).stdout
    assert max(map(len, again.splitlines())) <= 80
    for part in ("affine1", "cross_entropy", "sgd", "peak memory", "were in the cache"):
        assert part in again
    facts = answer(*words)
    assert facts["kernels_compiled"] == 0
    assert facts["flops"] == sum(launch["flops"] for launch in facts["launches"])


# train, eval, predict


def test_train_writes_the_run_folder_of_the_contract(folder: Path) -> None:
    result = call("train", "tiny.net", "--set", "width=6", "--seed", "3")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert [line.split("  ")[0] for line in result.stdout.splitlines()] == [
        "rows",
        "best epoch",
        "validation",
        "test",
        "time",
        "run folder",
    ]
    assert "runs/tiny" in result.stdout
    found = {str(path.relative_to("runs/tiny")) for path in Path("runs/tiny").rglob("*") if path.is_file()}
    assert found == {
        "spec.net", "spec.resolved.net", "plan.txt", "env.json", "results.csv", "events.jsonl", "curves.png", "report.html",
        "weights/last.safetensors", "weights/best.safetensors", "state/last.safetensors",
    }  # fmt: skip
    with Path("runs/tiny/results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert Path("runs/tiny/spec.net").read_text() == TINY
    call("train", "tiny.net")
    assert Path("runs/tiny-2").is_dir()


def test_overrides_reach_the_program(folder: Path) -> None:
    call("train", "tiny.net", "--set", "width=6", "--epochs", "2", "--seed", "3", "--dtype", "float64", "--threads", "1", "--quiet")
    resolved = Path("runs/tiny/spec.resolved.net").read_text()
    for part in ("let width = 6", "seed 3", "epochs = 2", "dtype = float64"):
        assert part in resolved
    assert "threads" not in resolved  # the machine's matter


def test_quiet_prints_the_run_folder_alone(folder: Path) -> None:
    result = call("train", "tiny.net", "--quiet")
    assert (result.stdout, result.stderr) == ("runs/tiny\n", "")


def test_a_dry_run_trains_and_writes_nothing(folder: Path) -> None:
    before = sorted(os.listdir())
    facts = answer("train", "tiny.net", "--dry-run")
    assert facts["rows"] == {"train": 60, "validation": 20, "test": 20}
    assert (facts["steps_per_epoch"], facts["parameters"]) == (3, 5 * 8 + 8 + 8 * 2 + 2)
    assert "nothing was written" in call("train", "tiny.net", "--dry-run").stdout
    assert sorted(os.listdir()) == before


METRICS = {"loss", "accuracy", "f1", "roc_auc", "log_loss"}


def test_json_lines_while_training(folder: Path) -> None:
    result = call("train", "tiny.net", "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["event"] for line in lines] == ["epoch", "epoch", "epoch", "end"]
    columns = {"epoch", "step", "lr", "loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"}
    assert set(lines[0]) == {"event", *columns}
    end = lines[-1]
    assert set(end) == {"event", "run", "rows", "epochs", "best_epoch", "seconds", "split", "metrics", "stopped"}
    assert (end["run"], end["split"], set(end["metrics"])) == ("runs/tiny", "test", METRICS)
    best = max(lines[:-1], key=lambda line: (line["val_accuracy"], -line["epoch"]))
    assert end["best_epoch"] == best["epoch"]


FAILURES = {
    "no file": (("absent.net",), 2, "absent.net: no such file"),
    "wrong text": (("tiny.net", "--set", "train.optimizer=sdg"), 3, "NS208"),
    "no data": (("tiny.net", "--set", "data.path=absent.npz"), 4, "absent.npz"),
    "diverged": (("tiny.net", "--set", "train.lr=1e30", "--epochs", "20"), 5, "the loss became"),
    "no pair": (("tiny.net", "--set", "width"), 2, "--set width"),
    "dry run": (("tiny.net", "--dry-run", "--set", "data.path=absent.npz"), 4, "absent.npz"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_the_last_json_line_of_a_training_that_fails_says_why(folder: Path, name: str) -> None:
    words, code, part = FAILURES[name]
    result = call("train", *words, "--json")
    *_, last = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == code
    assert (set(last), last["event"], last["code"]) == ({"event", "code", "message"}, "error", code)
    assert part in last["message"]
    assert part in result.stderr
    assert call("train", *words).stdout == ""


def test_overfit_learns_a_few_rows_by_heart(folder: Path) -> None:
    result = call("train", "tiny.net", "--overfit", "10", "--epochs", "300", "--set", "width=50")
    measured = next(line for line in result.stdout.splitlines() if line.startswith("same rows"))
    assert measured.endswith("accuracy 1.0000")


def test_eval_repeats_the_figures_of_the_run(folder: Path) -> None:
    end = json.loads(call("train", "tiny.net", "--json").stdout.splitlines()[-1])
    facts = answer("eval", "runs/tiny")
    by_class, confusion = facts.pop("by_class"), facts.pop("confusion")
    means = facts.pop("macro")
    assert facts == {"split": "test", "rows": 20, **end["metrics"]}
    assert set(facts) == {"split", "rows", *METRICS}
    assert [one["label"] for one in by_class] == [0, 1]
    assert [sum(row) for row in confusion] == [one["support"] for one in by_class]
    assert sum(map(sum, confusion)) == 20
    assert facts["accuracy"] == sum(confusion[k][k] for k in range(2)) / 20
    assert facts["f1"] == by_class[1]["f1"]
    assert means["precision"] == pytest.approx(sum(one["precision"] for one in by_class) / 2)
    facts = answer("eval", "runs/tiny")
    assert answer("eval", "runs/tiny/weights/best.safetensors") == facts
    assert answer("eval", "runs/tiny", "--split", "validation")["rows"] == 20
    assert answer("eval", "runs/tiny", "--data", "rows.npz")["rows"] == 100
    assert call("eval", "runs/tiny", "--data", "rows.npz", "--split", "test").exit_code == 2
    last = restore_file(Path("runs/tiny/weights/last.safetensors"))
    with np.load("rows.npz") as rows:
        assert answer("eval", "runs/tiny", "--last", "--data", "rows.npz")["loss"] == last.evaluate(rows["x"], rows["y"])["loss"]


def test_eval_prints_a_table_by_class_and_the_confusion_matrix(folder: Path) -> None:
    call("train", "tiny.net")
    lines = call("eval", "runs/tiny").stdout.splitlines()
    facts = answer("eval", "runs/tiny")
    assert lines[0] == "test: 20 rows"
    assert lines[1].startswith(f"loss {facts['loss']:.4f}  accuracy {facts['accuracy']:.4f}  f1 ")
    assert max(map(len, lines)) <= 80
    head = next(at for at, line in enumerate(lines) if line.startswith("class"))
    assert lines[head].split() == ["class", "precision", "recall", "f1", "roc_auc", "rows"]
    one = facts["by_class"][0]
    assert lines[head + 1].split() == ["0", *(f"{one[name]:.4f}" for name in ("precision", "recall", "f1", "roc_auc")), str(one["support"])]
    assert [list(map(int, line.split()))[1:] for line in lines[-2:]] == facts["confusion"]


YES_NO = """netspec 1
data { source = npz; path = "rows.npz"; split = 60% / 20% / 20% }
net affine -> sigmoid
train { epochs = 3; batch = 10; class_weights = balanced }
"""


def test_a_threshold_from_the_command_line(folder: Path) -> None:
    Path("yes.net").write_text(YES_NO)
    assert call("train", "yes.net").exit_code == 0
    assert call("train", "tiny.net").exit_code == 0
    model = restore_file(Path("runs/yes/weights/best.safetensors"))
    with np.load("rows.npz") as rows:
        x, y = rows["x"], rows["y"]
    found = answer("eval", "runs/yes", "--data", "rows.npz", "--threshold", "0.3")
    assert found["threshold"] == 0.3
    assert {name: found[name] for name in ("accuracy", "f1")} == {
        name: model.evaluate(x, y, threshold=0.3)[name] for name in ("accuracy", "f1")
    }
    assert "threshold" not in answer("eval", "runs/yes")
    labels = [one["label"] for one in answer("predict", "runs/yes", "rows.npz", "--threshold", "0.3")]
    assert labels == model.predict(x, threshold=0.3).tolist()
    assert labels != model.predict(x).tolist()
    for words, part in (
        (("eval", "runs/yes", "--threshold", "1.5"), "threshold=1.5: give a number between 0 and 1"),
        (("predict", "runs/yes", "rows.npz", "--threshold", "0"), "give a number between 0 and 1"),
        (("eval", "runs/tiny", "--threshold", "0.3"), "softmax takes the class with the largest score and has none"),
        (("predict", "runs/tiny", "rows.npz", "--threshold", "0.3"), "goes with the head sigmoid"),
    ):
        result = call(*words)
        assert result.exit_code == 2
        assert part in result.stderr


def test_eval_without_a_test_part_takes_validation(folder: Path) -> None:
    call("train", "tiny.net", "--set", "data.split=60% / 40%")
    assert answer("eval", "runs/tiny")["split"] == "validation"
    assert call("eval", "runs/tiny", "--split", "test").exit_code == 2


def test_rows_that_a_split_leaves_out_are_told(folder: Path) -> None:
    Path("few.net").write_text("netspec 1 data { source = digits; split = 80 / 10 / 10 } net affine -> softmax train { epochs = 1 }")
    told = "train 80, validation 10, test 10; the split leaves out 1,697"
    assert f"rows         {told}\n" in call("train", "few.net").stdout
    dry = call("train", "few.net", "--dry-run").stdout
    assert dry.startswith(f"rows         {told}\nof           1x8x8 numbers each\ntraining     1 epoch of 1 step, 100 rows each\n")
    found = json.loads(call("train", "few.net", "--json").stdout.splitlines()[-1])
    assert found["rows"] == {"train": 80, "validation": 10, "test": 10, "unused": 1697}
    few = call("train", "few.net", "--overfit", "20", "--set", "train.early_stop=1ep", "--epochs", "30").stdout
    assert few.startswith("rows         20, to train on and to measure on\nbest epoch")
    assert "of 30\n" in few
    assert "validation" not in few


def test_predictions_are_the_same_in_every_format(folder: Path) -> None:
    call("train", "tiny.net")
    with np.load("rows.npz") as stored:
        x = stored["x"]
    np.save("rows.npy", x)
    np.savetxt("rows.csv", x, delimiter=",", fmt="%.17g", header="a,b,c,d,e", comments="")
    model = restore_file(Path("runs/tiny/weights/best.safetensors"))
    objects = answer("predict", "runs/tiny", "rows.npy")
    assert [one["label"] for one in objects] == model.predict(x).tolist()
    np.testing.assert_allclose([[one["p_0"], one["p_1"]] for one in objects], model.predict_proba(x))
    text = call("predict", "runs/tiny", "rows.npy").stdout
    assert text.splitlines()[0] == "label,p_0,p_1"
    assert call("predict", "runs/tiny", "rows.npz").stdout == text
    assert call("predict", "runs/tiny", "rows.csv").stdout == text
    rows = Path("rows.csv").read_text().replace(",", " , ")
    for content in (rows, rows.partition("\n")[2]):  # with a byte order mark, as spreadsheets write it, and without names
        Path("rows.csv").write_text(content, encoding="utf-8-sig")
        assert call("predict", "runs/tiny", "rows.csv").stdout == text
    for name in ("out.csv", "out.npz", "out.jsonl", "out.parquet"):
        assert answer("predict", "runs/tiny", "rows.npy", "-o", name) == {"rows": 100, "output": name}
    assert Path("out.csv").read_text() == text
    assert [json.loads(line) for line in Path("out.jsonl").read_text().splitlines()] == objects
    assert parquet.read_table("out.parquet").to_pylist() == objects
    with np.load("out.npz") as out:
        assert out["predicted"].tolist() == model.predict(x).tolist()
        np.testing.assert_array_equal(out["classes"], [0, 1])


def test_a_missing_extra_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call("train", "tiny.net")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = call("predict", "runs/tiny", "rows.npz", "-o", "out.parquet")
    assert result.exit_code == 2
    assert result.stderr == "error: this needs pyarrow: pip install 'netspec[data]'\n"
    assert not Path("out.parquet").exists()


def test_arrays_are_found_under_the_names_of_the_run_or_as_x_and_y(folder: Path) -> None:
    with np.load("rows.npz") as stored:
        np.savez("named.npz", inputs=stored["x"], labels=stored["y"])
        np.savez("other.npz", features=stored["x"])
    call("train", "tiny.net", "--set", "data.path=named.npz", "--set", "data.x=inputs", "--set", "data.y=labels", "--run-dir", "named")
    call("train", "tiny.net", "--run-dir", "plain")
    figures = answer("eval", "named", "--data", "named.npz")
    assert answer("eval", "named", "--data", "rows.npz") == figures
    rows = answer("predict", "named", "named.npz")
    assert answer("predict", "named", "rows.npz") == rows
    for run, verb, name in (("named", "predict", "inputs"), ("plain", "predict", "x"), ("named", "eval", "inputs"), ("plain", "eval", "x")):
        result = call(verb, run, *(("--data",) if verb == "eval" else ()), "other.npz")
        assert result.exit_code == 4
        assert f"has no array {name}" in result.stderr
        assert "It holds features" in result.stderr
        assert f"as {name}" in result.stderr
        assert "x =" not in result.stderr


def test_predict_names_the_cell_that_is_no_number(folder: Path) -> None:
    call("train", "tiny.net")
    for content, part in (
        ("1,2,3,4,5\n1,2,x,4,5\n", "row 2, column 3: 'x' is not a number"), ("1,2,3,4,5\n1,2,1_0,4,5\n", "row 2, column 3: '1_0' is"),
        ("1_0,2_0,3_0,4_0,5_0\n1,2,3,4,5\n", "row 1, column 1: '1_0' is not"), ("nan,nan,nan,nan,nan\n1,2,3,4,5\n", "row 1, column 1"),
        ("1,2,3,4,\u0665\n", "row 1, column 5"),
    ):  # fmt: skip
        Path("rows.csv").write_text(content, encoding="utf-8")
        result = call("predict", "runs/tiny", "rows.csv")
        assert result.exit_code == 4
        assert part in result.stderr
    os.mkfifo("pipe.csv")
    with ended_after(30):
        assert "pipe.csv: is a pipe or a device" in call("predict", "runs/tiny", "pipe.csv").stderr
    np.save("wide.npy", np.zeros((2, 6)))
    result = call("predict", "runs/tiny", "wide.npy")
    assert result.exit_code == 4
    assert "a row is 6, and the net takes 5" in result.stderr


def test_values_are_predicted_without_probabilities(folder: Path) -> None:
    call("train", MODELS / "diabetes.net", "--epochs", "2")
    np.save("patient.npy", np.zeros(10))
    assert list(answer("predict", "runs/diabetes", "patient.npy")[0]) == ["value"]
    assert set(answer("eval", "runs/diabetes")) == {"split", "rows", "loss", "r2", "mae", "rmse"}


# gradcheck

WRONG_LAYER = """
import sys
from netspec.base.kinds import Pointwise
from netspec.base.layer import BadSample, OnnxForm, OnnxNode, Sample
from netspec.ui.cli import main

class Cube(Pointwise):
    '''y = x^3.'''
    name = "cube"
    forward = staticmethod(lambda x: x)
    backward = staticmethod(lambda x: x)
    @staticmethod
    def forward(x: float) -> float:
        return x * x * x
    @staticmethod
    def backward(dy: float, x: float) -> float:
        return dy * FACTOR * x * x
    def onnx(self, shape):
        return OnnxForm((OnnxNode("Identity", ("x",), ("y",)),))
    def reference(self, x, parameters, state, context):
        return x ** 3
    samples = (Sample("cube", (3,)),)
    bad_samples = (BadSample("cube(1)", (3,), "NS304", "takes no arguments"),)

main()
"""


@pytest.mark.parametrize(("factor", "code"), [("3.0", 0), ("3.001", 1)])
def test_gradcheck_passes_a_right_layer_and_fails_a_wrong_one(folder: Path, factor: str, code: int) -> None:
    Path("run.py").write_text(WRONG_LAYER.replace("FACTOR", factor))
    Path("cube.net").write_text("netspec 1\ninput 5\nnet affine(4)-cube -> affine")
    words = [sys.executable, "run.py", "gradcheck", "cube.net", "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report["passed"] == (code == 0)
    assert set(report["errors"]) == {"affine1.W", "affine1.b", "affine2.W", "affine2.b", "x"}
    assert (report["max_error"] <= 1e-6) == (code == 0)


def test_gradcheck_draws_rows_where_the_data_is_absent(folder: Path) -> None:
    Path("rows.npz").unlink()
    shapeless = call("gradcheck", "tiny.net")
    assert shapeless.exit_code == 4
    assert "rows.npz: no such file" in shapeless.stderr
    assert "drawn rows" in answer("gradcheck", "tiny.net", "--input", "5", "--classes", "2")["rows"]


# doctor


def test_doctor_reports_and_clears_the_cache(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSPEC_CACHE", str(folder / "kernels"))
    environment = {**os.environ, "NETSPEC_CACHE": str(folder / "kernels")}
    process("compile", "tiny.net", "--input", "5", "--classes", "2", env=environment)
    facts = json.loads(process("doctor", "--json", env=environment).stdout)
    assert set(facts) == {"versions", "platform", "cpu", "threads", "memory_available_bytes", "cache", "extras"}
    assert facts["cache"]["folder"] == str(folder / "kernels")
    assert facts["cache"]["kernels"] > 0
    assert {"data", "plot", "onnx", "test"} <= set(facts["extras"])
    done = process("doctor", "--clear-cache", env=environment)
    assert f"{facts['cache']['kernels']} deleted" in " ".join(done.stdout.split())
    assert all(len(line) <= 80 or " " not in line[19:] for line in done.stdout.splitlines())
    assert json.loads(process("doctor", "--json", env=environment).stdout)["cache"]["kernels"] == 0


# colour and bars


def on_terminal(*words: object, **variables: str) -> str:
    """What the command writes where stdout and stderr are a terminal of 80 columns."""
    leader, follower = pty.openpty()
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "TERM")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "80", **variables}
    command = [sys.executable, "-m", "netspec", *map(str, words)]
    with subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment) as running:
        os.close(follower)
        pieces = []
        while True:
            try:
                piece = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            pieces.append(piece)
        running.wait(timeout=60)
    os.close(leader)
    return b"".join(pieces).decode()


def test_colour_is_for_terminals_and_no_color_is_honoured(folder: Path) -> None:
    Path("two.net").write_text("net afine(3) -> affine(0)")
    assert "\x1b[1;31merror[NS201]" in on_terminal("check", "two.net")
    assert "\x1b[" not in on_terminal("check", "two.net", NO_COLOR="1")
    assert "\x1b[" not in on_terminal("check", "two.net", TERM="dumb")
    piped = process("check", "two.net", env={**os.environ, "FORCE_COLOR": "1"})
    assert "\x1b[" not in piped.stdout


def test_a_terminal_is_told_of_kernels_that_are_compiled(folder: Path) -> None:
    """While it takes, and the line is gone before anything else is shown."""
    Path("relu.net").write_text("input 3 net relu")
    command, cold = ("compile", "relu.net"), {"NETSPEC_CACHE": str(folder / "kernels")}
    told = "kernels, once on this machine ...\r\x1b[2K"
    first = on_terminal(*command, **cold)
    assert "\x1b[2Kcompiling " in first
    assert told in first
    assert "once on this machine" not in on_terminal(*command, **cold)


def test_the_bar_is_for_terminals(folder: Path) -> None:
    shown = on_terminal("train", "tiny.net", "--epochs", "3000")
    assert "epoch" in shown
    assert "rows/s" in shown
    assert "loss" in shown
    assert "rows/s" not in on_terminal("train", "tiny.net", "--quiet")
    piped = process("train", "tiny.net")
    assert piped.stderr == ""
    assert "run folder" in piped.stdout
