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
