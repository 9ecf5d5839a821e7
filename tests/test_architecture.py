"""The tree is the pipeline: what may import what, and what the package never does."""

from __future__ import annotations

import ast
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import pytest

import netspec

PACKAGE = Path(netspec.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
FOLDERS = sorted(folder for folder in PACKAGE.iterdir() if folder.is_dir() and (folder / "__init__.py").exists())
LAST = {"model": 1, "pipeline": 2, "__main__": 3}
"""Modules beside the folders that come after all of them, in order; `ui` shows what they make, and may import them."""


def name_of(path: Path) -> str:
    return ".".join(["netspec", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


def imported(tree: ast.AST) -> list[tuple[str, ast.stmt]]:
    """Every module that a file imports, with the statement."""
    found: list[tuple[str, ast.stmt]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append(("." * node.level + (node.module or ""), node))
    return found


def stage(module: str) -> str | None:
    """The folder of the package that a module lies in; None for the rest of the world."""
    parts = module.split(".")
    return parts[1] if parts[0] == "netspec" and len(parts) > 1 else None


def breaks_the_rule(own: str, other: str) -> bool:
    """A folder imports only folders that sort before it. The face and the pipeline come last, and only the interface shows them."""
    if own == other or (own == "ui" and other in LAST):
        return False
    return (LAST.get(other, 0), other) > (LAST.get(own, 0), own)


def offences(path: Path, text: str) -> list[str]:
    """What is wrong with the imports of one file."""
    tree, own = ast.parse(text), stage(name_of(path))
    top = {id(node) for node in tree.body}
    typing_only = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    top |= {id(node) for block in typing_only for node in block.body}
    found = []
    for module, node in imported(tree):
        if module.startswith("."):
            found.append(f"{path.name}:{node.lineno} relative import")
        other = stage(module)
        if own and other and breaks_the_rule(own, other):
            found.append(f"{path.name}:{node.lineno} {own} imports {other}")
        if id(node) not in top:
            found.append(f"{path.name}:{node.lineno} import of {module} below the top")
    return found


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports(path: Path) -> None:
    assert offences(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("file", "text", "reason"),
    [
        ("base/x.py", "import netspec.catalog.registry", "base imports catalog"),
        ("graph/x.py", "from netspec.plan.plan import Plan", "graph imports plan"),
        ("train/x.py", "from netspec.model import Model", "train imports model"),
        ("model.py", "from netspec.pipeline import compile", "model imports pipeline"),
        ("graph/x.py", "from . import build", "relative import"),
        ("graph/x.py", "def f():\n    import json", "import of json below the top"),
    ],
)
def test_the_rule_rejects(file: str, text: str, reason: str) -> None:
    assert any(reason in offence for offence in offences(PACKAGE / file, text))


def test_the_stages_are_those_of_the_pipeline() -> None:
    assert [folder.name for folder in FOLDERS] == sorted(
        ["base", "catalog", "frontend", "graph", "groups", "kernels", "plan", "save", "train", "ui"]
    )
    assert (PACKAGE / "py.typed").exists()


FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "subprocess", "socket", "urllib", "http", "requests", "scipy"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}


def dangers(text: str) -> list[str]:
    """Modules and calls that could run what a file or a spec says."""
    tree = ast.parse(text)
    found = [module for module, _ in imported(tree) if module.split(".")[0] in FORBIDDEN_MODULES]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            plain = called.id if isinstance(called, ast.Name) else ""
            of_os = called.attr if isinstance(called, ast.Attribute) and ast.unparse(called.value) in ("os", "builtins") else ""
            found += [name for name in (plain, of_os) if name in FORBIDDEN_CALLS]
            found += [word.arg for word in node.keywords if word.arg == "allow_pickle" and ast.unparse(word.value) != "False"]
    return found


STARTS_PROCESSES = "netspec.kernels.compile"
"""The one module that may: it starts this same interpreter, for compiling."""


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_dangerous(path: Path) -> None:
    allowed = ["subprocess"] if name_of(path) == STARTS_PROCESSES else []
    assert dangers(path.read_text()) == allowed


def test_the_only_processes_are_this_interpreter() -> None:
    """No shell, no other program: every start has a list whose first word is sys.executable."""
    tree = ast.parse((PACKAGE / "kernels" / "compile.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("subprocess.")]
    assert [ast.unparse(call.func) for call in calls] == ["subprocess.Popen"]
    command = calls[0].args[0]
    assert isinstance(command, ast.List)
    assert [ast.unparse(word) for word in command.elts[:3]] == ["sys.executable", "'-m'", "'netspec.kernels.compile'"]
    assert "shell" not in {word.arg for word in calls[0].keywords}


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from subprocess import run",
        "eval('1')",
        "exec(text)",
        "import os; os.system('ls')",
        "np.load(f, allow_pickle=True)",
    ],
)
def test_dangers_are_seen(text: str) -> None:
    assert dangers(text)


def test_generated_code_is_imported_in_one_module() -> None:
    """Only kernels/store.py loads modules from files."""
    loading = [
        path for path in FILES if any(word in path.read_text() for word in ("spec_from_file_location", "exec_module", "SourceFileLoader"))
    ]
    assert [name_of(path) for path in loading] == ["netspec.kernels.store"]


def test_modules_by_name_are_loaded_in_few_places() -> None:
    """importlib finds the catalogue's files, the public names, the verbs, and the libraries of extras; nothing else."""
    places = {name_of(path) for path in FILES if "import_module" in path.read_text()}
    assert places <= {"netspec", "netspec.catalog.registry", "netspec.ui.cli", "netspec.base.extras", "netspec.ui.verbs.doctor"}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_every_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "no docstring"


@pytest.mark.parametrize(
    "statement",
    [
        "import netspec",
        "import netspec.ui.cli",
        "import netspec; netspec.check('netspec 1 input 5 classes 3 net affine -> softmax')",
        "import netspec; netspec.parse('affine -> softmax')",
        "import netspec.catalog.registry, netspec.frontend.validate, netspec.graph.check",
        "from netspec.ui.cli import main",
    ],
)
def test_numba_stays_out_of_the_way(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(sum(name.split('.')[0] in ('numba', 'llvmlite', 'torch') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_numba_is_seen_where_it_is_loaded() -> None:
    """The control of the test above."""
    code = "import sys, netspec.kernels.native\nprint('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "True"


def test_files_are_short() -> None:
    lines = sorted(len(path.read_text().splitlines()) for path in FILES)
    assert lines[len(lines) // 2] <= 200
    assert lines[-1] <= 600
    assert len(list(takewhile(lambda count: count <= 500, lines))) >= 0.97 * len(lines)
