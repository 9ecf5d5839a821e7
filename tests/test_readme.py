"""The README's blocks, run in a copy of what a reader has: commands and Python work, and what is shown is what comes out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
INSTALL = "python -m venv .venv && .venv/bin/pip install -e . && .venv/bin/netspec train models/digits.net"
TEST = ".venv/bin/pip install -e '.[test]' && .venv/bin/pytest"


@dataclass(frozen=True)
class Block:
    """A fenced block that is run, and the block of text right behind it: what it prints."""

    language: str
    code: str
    shown: str | None


def blocks() -> list[Block]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$(\n^```text\n(.*?)^```$)?", TEXT, flags=re.M | re.S)
    return [Block(language, code, shown if behind else None) for language, code, behind, shown in fenced if language in ("bash", "python")]


def masked(text: str) -> str:
    """The text with every number as #: seconds differ between runs, and the last digits of results between processors."""
    return NUMBER.sub("#", text).strip()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder with the examples, and an environment whose path finds `netspec` and `python`."""
    folder = tmp_path_factory.mktemp("reader")
    shutil.copytree(ROOT / "models", folder / "models")
    programs = folder / "bin"
    programs.mkdir()
    for name, words in (("netspec", "-m netspec"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        (programs / name).chmod(0o755)
    return folder, {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}


def test_the_two_commands_stand_there_word_for_word() -> None:
    fences = re.findall(r"^```\n(.*?)\n```$", TEXT, flags=re.M | re.S)
    assert fences[:2] == [INSTALL, TEST]


def test_every_block_runs_and_prints_what_is_shown(reader: tuple[Path, dict[str, str]]) -> None:
    folder, environment = reader
    found = blocks()
    assert {block.language for block in found} == {"bash", "python"}
    assert sum(block.shown is not None for block in found) >= 6
    for block in found:
        (folder / "block").write_text(block.code)  # a file, for the kernels of a class are made from its source
        words = ["bash", "block"] if block.language == "bash" else [sys.executable, "-W", "error", "block"]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.stderr == "", block.code
        assert (done.returncode != 0) == ("error[" in (block.shown or "")), block.code
        if block.shown is not None:
            assert masked(done.stdout) == masked(block.shown)


def test_a_shown_text_that_differs_is_noticed() -> None:
    assert masked("loss 0.0571  accuracy 0.9778") == masked("loss 0.1  accuracy 1,000.5")
    assert masked("loss 0.0571") != masked("accuracy 0.0571")


def test_names_of_files_and_verbs_exist() -> None:
    for path in re.findall(r"`((?:models|netspec|tests)/[\w/.]+)`", TEXT):
        assert (ROOT / path).exists(), path
