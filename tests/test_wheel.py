"""The wheel that PyPI and pipx hand out: all that the package reads lies in it, nothing else does, and it works outside a checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
READ = {".npz", ".md", ".lark", ".typed", ".j2"}
"""Suffixes of files that the package reads beside its modules."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", out], cwd=ROOT, check=True, capture_output=True)
    (path,) = out.glob("netspec-*.whl")
    return path


def test_all_files_of_the_package_are_in_it(wheel: Path) -> None:
    found = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("netspec/")}
    own = {str(path.relative_to(ROOT)) for path in (ROOT / "netspec").rglob("*") if path.suffix in {".py", *READ}}
    assert found == {*own, "netspec/frontend/netspec.lark"}
    for name in ("netspec/py.typed", "netspec/frontend/explain/NS402.md", "netspec/catalog/sources/digits.npz"):
        assert name in found


def test_a_program_is_declared(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (entry,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
    assert "netspec = netspec.ui.cli:main" in archive.read(entry).decode()


def test_it_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    (tmp_path / "my.net").write_bytes((ROOT / "models" / "digits.net").read_bytes())
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PYTHONSAFEPATH": "1"}

    def call(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "netspec", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import netspec; print(netspec.__file__)"], cwd=tmp_path, env=environment, capture_output=True
    )
    assert where.stdout.decode().startswith(str(tmp_path))
    assert call("check", "my.net") == "my.net: fine\n"
    assert call("train", "my.net", "--epochs", "2", "-q") == "runs/my\n"
    assert "ended" in call("runs")
    assert "window" in call("explain", "NS402")
