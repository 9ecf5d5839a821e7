"""What design says of trust, proved on the code: nothing is unpickled or evaluated, and no text of a spec reaches generated code.

How many branches of the frontend, of saving and of training the tests take is measured beside the suite, which it slows down so much
that tests of times fail, as do those of a full disk, where nothing can be noted:

    coverage run -m pytest -n 4; coverage combine -q; coverage report -m --skip-covered --include="netspec/save/*"

Compiled code counts as well without the JIT as with it: in these folders there is none.
"""

from __future__ import annotations

import ast
import codecs
import pickle
import pickletools
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from random_programs import programs
from trusted import imported_by_name, offences

import netspec
from netspec.base.errors import DataError
from netspec.base.optimizer import Optimizer
from netspec.base.shape import Shape
from netspec.catalog.pickled import NAMES, load_pickled
from netspec.catalog.registry import FOLDERS, entries
from netspec.graph.check import overrides_of
from netspec.kernels.context import Context
from netspec.pipeline import read, stages

PACKAGE = Path(netspec.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(["netspec", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


ALLOWED: dict[str, tuple[tuple[str, ...], str]] = {
    "netspec": (
        ("import_module of a computed name", "find_spec of a computed name"), "public names load their modules when first used; own tables",
    ),
    "netspec.base.extras": (("import_module of a computed name",) * 3, "libraries of extras; who calls it gives a constant"),
    "netspec.catalog.registry": (("import_module of a computed name",) * 3, "the modules that lie in the catalogue's own folders"),
    "netspec.kernels.compile": (("subprocess",), "starts this same interpreter, for compiling"),
    "netspec.kernels.store": (
        ("module_from_spec", "spec_from_file_location", "importlib.machinery.SourceFileLoader", "exec_module"),
        "the one place where generated code is imported",
    ),
    "netspec.plan.plan": (("ctypes",), "calls the driver, which is machine code of the package's own"),
    "netspec.ui.options": (("import_module of a computed name",), "a verb's module, when the verb is called"),
    "netspec.ui.language.server": (("asyncio",), "waits for a pause in typing; the server speaks over stdin and stdout"),
    "netspec.ui.peers.compare": (
        ("multiprocessing", "find_spec of a computed name"), "times each library in an interpreter of its own; the names are a table's",
    ),
    "netspec.ui.verbs.launch": (("subprocess",), "starts mpiexec, which starts this same interpreter"),
    "netspec.ui.sweep.order": (("urllib",), "quotes the path of a folder in the address of its database"),
    "netspec.ui.sweep.crew": (("subprocess",), "starts this same interpreter, for the workers of a sweep"),
    "netspec.ui.verbs.doctor": (("import_module of a computed name",), "which of numba's threading layers loads; the names are a table's"),
}  # fmt: skip
"""Where something of the walker's list stands, and why it may; `of a computed name` are those whose names stand in the package."""


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_has_nothing_that_it_needs_trust_for(path: Path) -> None:
    assert sorted(offences(path.read_text())) == sorted(ALLOWED.get(name_of(path), ((), ""))[0])


FORBIDDEN = {
    "os by another name": "import os as o\no.system('ls')", "NumPy by another name": "import numpy as n\nn.load(f)",
    "load of NumPy": "from numpy import load\nload(f)", "importer by another name": "from importlib import import_module as im\nim(name)",
    "pickle": "import pickle", "its alias": "import pickle as p", "from it": "from pickle import loads", "c": "import _pickle",
    "marshal": "import marshal", "shelve": "import shelve", "dill": "import dill", "cloudpickle": "from cloudpickle import loads",
    "joblib": "import joblib", "yaml": "import yaml", "inside a function": "def f():\n    import pickle",
    "eval": "eval('1')", "eval as a value": "f = eval", "exec": "exec(text)", "compile": "code = compile(text, '', 'exec')",
    "import": "__import__(name)", "builtins": "import builtins", "getattr eval": "getattr(b, 'eval')('1')",
    "system": "import os\nos.system('ls')", "system as a value": "f = os.system", "from os": "from os import system",
    "popen": "os.popen('ls')", "execv": "os.execv(p, a)", "fork": "os.fork()", "getattr system": "getattr(os, 'system')('ls')",
    "subprocess": "import subprocess", "from subprocess": "from subprocess import run", "shell": "Popen('ls', shell=True)",
    "shell by a name": "Popen('ls', shell=words)", "multiprocessing": "import multiprocessing.pool",
    "async": "await loop.create_subprocess_shell('ls')" , "np.load": "np.load(f)", "np.load pickles": "np.load(f, allow_pickle=True)",
    "numpy.load": "numpy.load(f, 'r')", "np.load by a name": "np.load(f, allow_pickle=words)",
    "np.save": "np.save(f, x, allow_pickle=True)", "torch": "torch.load(f)", "pandas": "pandas.read_pickle(f)",
    "socket": "import socket", "urllib": "from urllib.request import urlopen", "http": "import http.client", "requests": "import requests",
    "tcp": "server.start_tcp(host, port)", "lark": "Lark(grammar, cache=True)", "lark's file": "Lark(grammar, cache=path)",
    "numba": "njit(cache=True)(f)", "options": "njit(**{'cache': True})(f)", "mktemp": "tempfile.mktemp()",
    "from tempfile": "from tempfile import mktemp", "ctypes": "import ctypes", "its names": "from ctypes import CDLL",
    "numpy's": "np.ctypeslib.load_library(a, b)", "module": "importlib.import_module(name)",
    "a name with a part from outside": "import_module(f'netspec.{name}')", "library": "library(name, 'data')", "tool": "tool(name, name)",
    "file": "importlib.util.spec_from_file_location(name, path)", "from util": "from importlib.util import module_from_spec",
    "code": "types.CodeType(0)", "archive": "archive.extractall(path)",
    "xml": "import xml.etree.ElementTree", "scipy": "import scipy.special",
}  # fmt: skip


@pytest.mark.parametrize("case", FORBIDDEN)
def test_the_walker_finds(case: str) -> None:
    text = f"async def g():\n    {FORBIDDEN[case]}" if case == "async" else FORBIDDEN[case]
    assert len(offences(text)) >= 1
    own = (PACKAGE / "base" / "shape.py").read_text()
    assert offences(own) == []
    assert offences(f"{own}\n{text}") == offences(text)


@pytest.mark.parametrize(
    "text",
    [
        "np.load(f, allow_pickle=False)", "np.save(f, x, allow_pickle=False)", "json.load(f)", "re.compile(p)",
        "library('pyarrow', 'data')", "importlib.import_module('netspec.ui.cli')", "def compile(t): return compile(t)",
        "from netspec.pipeline import compile\ncompile(text)", "pool.system(x)", "array.ctypes.data", "Popen(['ls'], shell=False)",
        "{'cache': facts()}", "from xml.sax.saxutils import escape", "'import pickle'", "# eval(text)",
    ],
)  # fmt: skip
def test_the_walker_leaves(text: str) -> None:
    assert offences(text) == []


def test_libraries_imported_by_name_are_those_of_extras() -> None:
    """None of them is asked for by a name that a spec or a file could choose."""
    found = {module for path in FILES for module in imported_by_name(path.read_text())}
    roots = {module.split(".")[0] for module in found}
    assert roots == {
        "IPython", "PIL", "alembic", "importlib", "jax", "jinja2", "lsprotocol", "markupsafe", "matplotlib", "mlflow", "mpi4py", "netspec",
        "onnx", "optax", "optuna", "pyarrow", "pygls", "sklearn", "sqlalchemy", "tensorboardX", "torch", "wandb",
    }  # fmt: skip
    assert not {module for module in found if module.startswith(("pyarrow.", "torch."))} - {
        "pyarrow.compute", "pyarrow.csv", "pyarrow.parquet",
    }  # fmt: skip


def starts(module: str) -> list[ast.expr]:
    """What a module gives to subprocess.Popen."""
    tree = ast.parse((PACKAGE / module).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess.")]
    assert {ast.unparse(call.func) for call in calls} == {"subprocess.Popen"}
    return [call.args[0] for call in calls]


def test_the_only_processes_are_this_interpreter() -> None:
    """No shell, no other program: every start has a list whose first word is sys.executable."""
    started = {
        "kernels/compile.py": ["sys.executable", "'-m'", "'netspec.kernels.compile'"],
        "ui/sweep/crew.py": ["sys.executable", "'-P'", "'-m'", "'netspec.ui.sweep.worker'"],
    }
    for file, words in started.items():
        (command,) = starts(file)
        assert isinstance(command, ast.List)
        assert [ast.unparse(word) for word in command.elts[: len(words)]] == words


def test_ranks_are_this_interpreter_too() -> None:
    """The program that starts them is the extra's, or that of the path; what they are is one list."""
    assert [ast.unparse(command) for command in starts("ui/verbs/launch.py")] == ["list(command)"]
    tree = ast.parse((PACKAGE / "ui/verbs/launch.py").read_text())
    (command,) = [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "attempts.run"]
    assert isinstance(command, ast.List)
    words = [ast.unparse(word) for word in command.elts]
    assert words == ["program", "'-n'", "str(count)", "*mpi", "sys.executable", "'-m'", "'netspec'", "'train'", "*train_words"]


# what a crafted pickle could do

TELLING = (
    "import",
    "exec",
    "compile",
    "open",
    "pickle.",
    "marshal.",
    "os.",
    "subprocess.",
    "socket.",
    "ctypes.",
    "code.",
    "object.__setattr__",
)
"""How the interpreter's events begin that something ran, was loaded, or was reached."""
_heard: list[str] = []
_listening = False


def _hear(event: str, _: Any) -> None:
    if _listening and event.startswith(TELLING):
        _heard.append(event)


@pytest.fixture(scope="module", autouse=True)
def hook() -> None:
    sys.addaudithook(_hear)  # it stays: there is no way to take one away


@contextmanager
def heard() -> Iterator[list[str]]:
    """The telling events while it is open."""
    global _listening
    _heard.clear()
    _listening = True
    try:
        yield _heard
    finally:
        _listening = False


TARGETS = ("os system", "posix system", "builtins eval", "builtins exec", "builtins getattr", "subprocess Popen", "numpy load")
CALLS = {
    "GLOBAL REDUCE": lambda m, n: f"c{m}\n{n}\n(X\x04\x00\x00\x00exittR.".encode(),
    "STACK_GLOBAL REDUCE": lambda m, n: b"X" + len(m).to_bytes(4, "little") + m.encode() + b"X" + len(n).to_bytes(4, "little") + n.encode()
    + b"\x93(X\x04\x00\x00\x00exittR.",
    "INST": lambda m, n: f"(X\x04\x00\x00\x00exiti{m}\n{n}\n.".encode(),
    "OBJ": lambda m, n: f"(c{m}\n{n}\nX\x04\x00\x00\x00exito.".encode(),
    "NEWOBJ": lambda m, n: f"c{m}\n{n}\n(X\x04\x00\x00\x00exitt\x81.".encode(),
    "NEWOBJ_EX": lambda m, n: f"c{m}\n{n}\n(X\x04\x00\x00\x00exitt}}\x92.".encode("latin-1"),
    "EXT1": lambda m, n: b"\x82\x01.",
    "PERSID": lambda m, n: f"P{m}.{n}\n.".encode(),
    "BUILD": lambda m, n: f"c{m}\n{n}\n}}X\x01\x00\x00\x00aX\x01\x00\x00\x00bsb.".encode(),
    "inside an allowed call": lambda m, n: f"cnumpy\ndtype\n(c{m}\n{n}\n(X\x04\x00\x00\x00exittRtR.".encode(),
    "as a state": lambda m, n: f"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85Rc{m}\n{n}\n(X\x04\x00\x00\x00exittRb.".encode("latin-1"),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("call", CALLS)
def test_a_crafted_pickle_imports_and_calls_nothing(call: str, target: str) -> None:
    module, name = target.split()
    content = b"\x80\x04" + CALLS[call](module, name)
    with heard() as events, pytest.raises(DataError, match=r"^f: "):
        load_pickled(content, "f")
    assert events == []


@pytest.mark.parametrize("call", [call for call in CALLS if call not in ("EXT1", "PERSID")])
def test_the_interpreter_tells_what_a_crafted_pickle_does(call: str) -> None:
    """The control of the test above: Python's own reader runs them."""
    with heard() as events, suppress(Exception):
        pickle.loads(b"\x80\x04" + CALLS[call]("posix", "putenv"))
    assert "pickle.find_class" in events


def test_no_string_of_operations_does_anything_but_be_refused() -> None:
    """Operations drawn from all that there are, with arguments that fit them."""
    draw = random.Random(0)
    codes = [operation.code.encode("latin-1") for operation in pickletools.opcodes]
    names = [b"\n".join(name.encode().rsplit(b".", 1)) for name in (*NAMES, "os.system")]
    pieces = [*codes, *codes, b"K\x01", b"U\x02u1", b"X\x01\x00\x00\x00a", b"(", b"t", *(b"c" + name + b"\n" for name in names)]
    codecs.lookup("raw_unicode_escape")  # Python loads the codec of a fixed name when it is first used
    read_ones = 0
    for _ in range(20_000):
        content = b"\x80\x02" + b"".join(draw.choices(pieces, k=draw.randint(1, 8))) + b"."
        with heard() as events:
            try:
                read_ones += isinstance(load_pickled(content, "f"), dict)
            except DataError as error:
                assert str(error).startswith("f: ")  # noqa: PT017  most are refused, and some are read
        assert events == [], content
    assert read_ones > 10


# no text of a spec in generated code

HOSTILE = {
    "block": "__import__", "w": "os_system", "act": "exec__payload", "point": "_subprocess_popen", "code": "_eval__globals",
    "number": "_lambda__builtins",
}  # fmt: skip
PATH = "__import__('os').system('touch sprung')\\\"\\\\ # njit.npz"
WORD = re.compile(r"[A-Za-z_]+")


def hostile(text: str) -> str:
    """The same program under other names: of defs and their parameters, of points, and of numbers, which become lets."""
    for word in ("point", "code"):
        text = re.sub(rf"\b{word}_(\w+)", rf"{HOSTILE[word]}_\1", text)
    for word in ("block", "w", "act"):
        text = re.sub(rf"(?<!@)\b{word}\b", HOSTILE[word], text)
    text = re.sub(r"affine\((\d)\)", rf"affine({HOSTILE['number']}_\1)", text)
    lets = "\n".join(f"let {HOSTILE['number']}_{number} = {number}" for number in range(10))
    return f'{lets}\ndata {{ source = npz; path = "{PATH}"; x = "eval(x)"; y = "exec(y)" }}\n{text}'


def sources(text: str, shape: Shape) -> list[str]:
    """The text of all kernels of a program: of its step and of its test form."""
    plan = stages(read(text, overrides_of(input=shape, classes=3))).plan
    return [*plan.train.sources, *plan.test.sources]


@cache
def own_words() -> frozenset[str]:
    """All words of the modules that kernels are made from and of."""
    places = [*(PACKAGE / "kernels").rglob("*.py"), *(PACKAGE / "catalog").rglob("*.py"), PACKAGE / "base" / "kinds.py"]
    return frozenset(word for path in places for word in WORD.findall(path.read_text()))


@cache
def templates() -> frozenset[str]:
    """Names that kernels join: those of the catalogue's entries, each with its template's; of slots."""
    names = {name for contract in FOLDERS for name in entries(contract)}
    parts = {"forward", "backward", "other_backward", "slope_gradient", "begin", "fold", "finish", "row", "update", "clip", "place"}
    slots = {f"{slot}_slot" for rule in entries(Optimizer).values() for slot in rule.slots}
    return frozenset({f"{name}_{part}" for name in names for part in parts} | slots)


def foreign(source: str) -> set[str]:
    """Words of a kernel's text that are in none of those modules, and are no template of an entry with its name."""
    return set(WORD.findall(source)) - own_words() - templates()


def strings(source: str) -> list[str]:
    """The texts in quotes, but those that describe a function or a module."""
    tree = ast.parse(source)
    documented = [node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node)]
    told = {id(node.body[0].value) for node in documented}  # type: ignore[attr-defined]  # an expression
    return [
        node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told
    ]


DRAWN = settings(max_examples=40, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@DRAWN
@given(programs())
def test_no_text_of_a_spec_reaches_generated_code(program: tuple[str, Shape]) -> None:
    text, shape = program
    found = sources(hostile(text), shape)
    assert found == sources(text, shape)  # whatever the names are
    for source in found:
        assert not [word for word in (*HOSTILE.values(), "sprung", "touch") if word in source]
        assert foreign(source) == set()
        assert {word for text in strings(source) for word in WORD.findall(text)} <= {"forceinline", "fastmath", "contract", "reassoc"}


def test_the_hostile_programs_have_all_the_names() -> None:
    seen = ""

    @DRAWN
    @given(programs())
    def collect(program: tuple[str, Shape]) -> None:
        nonlocal seen
        seen += hostile(program[0])

    collect()
    calls, reads = (
        ("def __import__(", "__import__(", "affine(_lambda__builtins_"),
        ("@_subprocess_popen_", "tie = _eval__globals_", "-exec__payload"),
    )
    assert [use for use in (*calls, *reads) if use not in seen] == []


def test_a_name_that_leaks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lowering that writes the names of arrays into its kernels, as a comment, a text or an identifier."""
    text, shape = "net [affine(3) @point_a] -> relu -> affine -> softmax", (4,)
    emitted, number = Context.emitted, count()
    forms = ("# {}\n", "NAME = '{}'\n", "{} = 1\n")
    clean = sources(text, shape)
    for form in forms:

        def leaking(self: Context, templates: Any, body: str, form: str = form) -> str:
            name = next(iter(self.parameters)).split(".")[0]
            return emitted(self, templates, f"{body}\n{form.format(name)}")

        monkeypatch.setattr(Context, "emitted", leaking)
        found = sources(hostile(text), shape)
        assert found != clean, next(number)
        assert any(HOSTILE["point"] in source for source in found)
        assert any(foreign(source) for source in found)
        assert any(strings(source) != strings(one) for source, one in zip(found, clean, strict=True)) is ("NAME" in form)
