"""A long run takes no more memory, files or descriptors at its end than near its beginning."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from small_runs import MLP, write_spec

STEPS = 100_000
GROWTH_KB = 2048
WATCHED = """
import json, os, sys
from pathlib import Path
from netspec import model
from netspec.ui.verbs import train
from netspec.frontend.program import Overrides

def facts():
    status = Path("/proc/self/status").read_text()
    resident = int(status.partition("VmRSS:")[2].split()[0])
    files = sum(len(names) for _, _, names in os.walk("run"))
    return {"kb": resident, "blocks": sys.getallocatedblocks(), "descriptors": len(os.listdir("/proc/self/fd")), "files": files}

class Watch:
    def begin(self, **_): pass
    def steps(self, *, step, **_):
        if step // 5000 > len(seen):
            seen.append({"step": step, **facts()})
    def epoch(self, row): pass
    def end(self): pass

seen = []
train.Bar = lambda stream: Watch()
train.JsonLines = Watch
more = {"run_dir": Path("run"), "allow": (), "overfit": None, "resume": None, "quiet": False, "json": True}
train.run(Path("net.net"), Overrides(keys={"train.epochs": int(sys.argv[1])}), **more)
Path("seen.json").write_text(json.dumps(seen))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_flat_over_100_000_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_spec(tmp_path, MLP.replace("batch = 8", "batch = 4"), 4000)
    each = 4000 * 7 // 10 // 4
    subprocess.run([sys.executable, "-c", WATCHED, str(STEPS // each + 20)], check=True, stdout=subprocess.DEVNULL)
    seen = json.loads(Path("seen.json").read_text())
    first = next(one for one in seen if one["step"] >= 20_000)
    last = seen[-1]
    assert last["step"] >= STEPS
    assert last["kb"] - first["kb"] < GROWTH_KB, seen
    assert last["blocks"] - first["blocks"] < STEPS / 10, "Python keeps nothing for each step"
    assert (last["descriptors"], last["files"]) == (first["descriptors"], first["files"])
