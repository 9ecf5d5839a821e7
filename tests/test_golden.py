"""Each stage's print of each example is the one on file. NETSPEC_GOLDEN=write writes them anew: look at the difference before a commit.

Plans are those of the AVX2 unit and of two threads on any machine: the sizes of panels and of scratch differ with them.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netspec.frontend.program import Overrides
from netspec.kernels import context, simd
from netspec.plan import network
from netspec.ui.verbs.compile import stage_text

MODELS = sorted((Path(__file__).parents[1] / "models").glob("*.net"))
GOLDEN = Path(__file__).parent / "golden"
STAGES = ("ast", "program", "graph", "groups", "plan")


def compare(found: str, path: Path) -> None:
    """The text equals that of the file. A missing file fails."""
    if os.environ.get("NETSPEC_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(found + "\n")
    assert path.exists(), f"{path} is missing: NETSPEC_GOLDEN=write writes it"
    assert found + "\n" == path.read_text(), f"{path.name} differs: NETSPEC_GOLDEN=write writes it anew"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("model", MODELS, ids=lambda path: path.stem)
def test_print(model: Path, stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "current", lambda: simd.UNITS["avx2"])
    monkeypatch.setattr(network, "thread_count", lambda wanted: 2)
    compare(stage_text(model, Overrides(), stage), GOLDEN / stage / f"{model.stem}.txt")


def test_no_file_is_left_over() -> None:
    """Every file of these folders belongs to a model."""
    files = {(path.parent.name, path.stem) for stage in STAGES for path in (GOLDEN / stage).iterdir()}
    assert files == {(stage, model.stem) for stage in STAGES for model in MODELS}


def test_a_missing_or_different_file_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NETSPEC_GOLDEN", raising=False)
    with pytest.raises(AssertionError, match="is missing"):
        compare("text", tmp_path / "none.txt")
    (tmp_path / "one.txt").write_text("text\n")
    compare("text", tmp_path / "one.txt")
    with pytest.raises(AssertionError, match="differs"):
        compare("other text", tmp_path / "one.txt")
