"""Rows that the command line names: tables, and pictures, for prediction and with their labels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

import netspec
from netspec.catalog import decode
from netspec.ui.cli import app

pillow = pytest.importorskip("PIL.Image", reason="Pillow, of the extra data, is not installed")
pytest.importorskip("pyarrow", reason="pyarrow, of the extra data, is not installed")


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def answer(*words: object) -> Any:
    result = call(*words, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    return json.loads(result.stdout)


def refusal(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 4, (result.exit_code, result.stderr)
    return result.stderr


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(decode, "image_folder", lambda: tmp_path / "cache")
    yield tmp_path
    assert not (tmp_path / "cache").exists() or len(list((tmp_path / "cache").iterdir())) <= 3  # training's and evaluation's


def paint(path: str, low: int, high: int, size: tuple[int, int] = (6, 8), gray: bool = False) -> NDArray[np.uint8]:
    """A picture of noise between two values; returns what is stored, (H, W, C)."""
    draw = np.random.default_rng(list(path.encode()))
    pixels = draw.integers(low, high, size if gray else (*size, 3)).astype(np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    pillow.fromarray(pixels).save(path)
    return pixels


def sky(flat: bool = False) -> netspec.Run:
    for n in range(10):
        paint(f"sky/night/{n}.png", 0, 90)
        paint(f"sky/day/{n}.png", 160, 256)
    net = "affine(8)-relu" if flat else "conv(4)-relu-globalpool"
    Path("sky.net").write_text(
        f"netspec 1 net {net} -> affine -> softmax train {{ optimizer = adam(lr = 2e-2); batch = 4; epochs = 40 }} "
        f'data {{ source = images; path = "sky"; size = 6x8; split = 80% / 20%; transforms = rescale{", flatten" if flat else ""} }}'
    )
    return netspec.train("sky.net")


@pytest.mark.parametrize("flat", [False, True], ids=["images", "vectors"])
def test_pictures_are_predicted_by_name(flat: bool) -> None:
    run = sky(flat)
    dark, light = paint("new/a.png", 0, 90), paint("new/deep/b.bmp", 160, 256)
    Path("new/notes.txt").write_text("no picture")
    found = answer("predict", run.path, "new")
    assert [row["file"] for row in found] == ["a.png", "deep/b.bmp"]
    rows = np.stack([dark, light]).transpose(0, 3, 1, 2)
    assert [row["label"] for row in found] == run.model.predict(rows).tolist()
    assert flat or [row["label"] for row in found] == ["night", "day"]
    probabilities = run.model.predict_proba(rows)
    np.testing.assert_allclose([[row["p_day"], row["p_night"]] for row in found], probabilities, rtol=1e-6)
    with zipfile.ZipFile("new.zip", "w") as file:
        for name in ("a.png", "deep/b.bmp"):
            file.write(f"new/{name}", name)
    assert answer("predict", run.path, "new.zip") == found
    (one,) = answer("predict", run.path, "new/a.png")
    assert one == found[0]
    assert call("predict", run.path, "new").stdout.splitlines()[0] == "file,label,p_day,p_night"
    assert call("predict", run.path, "new", "-o", "out.npz").exit_code == 0
    with np.load("out.npz") as stored:
        assert stored["files"].tolist() == ["a.png", "deep/b.bmp"]


def test_pictures_of_other_sizes_and_kinds_become_the_net_s() -> None:
    run = sky()
    pixels = paint("new/large.png", 0, 90, (30, 20), gray=True)
    paint("new/small.png", 160, 256, (3, 4))
    assert [row["label"] for row in answer("predict", run.path, "new")] == ["night", "day"]
    resized = np.asarray(pillow.fromarray(pixels).convert("RGB").resize((8, 6), pillow.Resampling.BILINEAR))
    wanted = run.model.predict_proba(resized.transpose(2, 0, 1)[np.newaxis])
    (one,) = answer("predict", run.path, "new/large.png")
    assert one["p_day"] == pytest.approx(wanted[0, 0], rel=1e-6)


def test_pictures_that_cannot_be_read() -> None:
    run = sky()
    Path("empty").mkdir()
    assert "empty: has no pictures; they end in .png" in refusal("predict", run.path, "empty")
    Path("bad.png").write_bytes(b"no picture")
    assert "bad.png is no image that can be read" in refusal("predict", run.path, "bad.png")
    assert "none.png: no such file" in refusal("predict", run.path, "none.png")
    Path("v.net").write_text("netspec 1 data { source = breast_cancer } net affine -> softmax train { epochs = 1 }")
    vectors = netspec.train("v.net")
    paint("one.png", 0, 90)
    assert "the net takes rows of 30 numbers, no pictures" in refusal("predict", vectors.path, "one.png")


def test_pictures_in_folders_of_classes_are_evaluated() -> None:
    run = sky()
    for n in range(3):
        paint(f"more/night/{n}.png", 0, 90, (12, 16))
        paint(f"more/day/{n}.png", 160, 256, (7, 7))
    paint("more/day/odd.png", 0, 90)
    found = answer("eval", run.path, "--data", "more")
    assert (found["split"], found["rows"], found["accuracy"]) == ("data", 7, pytest.approx(6 / 7))
    paint("more/dusk/1.png", 90, 160)
    assert "'dusk'" in refusal("eval", run.path, "--data", "more")


TABLE = "age,city,income\n30,Rome,low\n50,Oslo,high\n31,Rome,low\n52,Oslo,high\n29,Rome,low\n55,Oslo,high\n33,Rome,low\n51,Oslo,high\n"


@pytest.mark.parametrize("target", ["", 'target = "income"; '])
def test_tables_are_evaluated_by_the_names_of_their_columns(target: str) -> None:
    Path("t.csv").write_text(TABLE)
    Path("t.net").write_text(
        f'netspec 1 data {{ source = csv; path = "t.csv"; {target}split = 6 / 2; transforms = one_hot, per_feature }} '
        "net affine(8)-relu -> affine -> softmax train { batch = 3; epochs = 60; optimizer = adam(lr=0.05) }"
    )
    run = netspec.train("t.net")
    Path("new.csv").write_text(
        "city,note,age,income\nRome,x,30,low\nRome,x,31,low\nRome,y,33,high\n"
    )  # the city is constant, and in another place
    found = answer("eval", run.path, "--data", "new.csv")
    assert (found["rows"], found["accuracy"]) == (3, pytest.approx(2 / 3))
    Path("new.csv").write_text("city,age,income\nBern,30,low\n")
    assert "new.csv: line 2, city: 'Bern' is not among the texts" in refusal("eval", run.path, "--data", "new.csv")
    Path("new.csv").write_text("city,age,income\nRome,30,middling\n")
    assert "'middling'" in refusal("eval", run.path, "--data", "new.csv")
    Path("new.csv").write_text("city,income\nRome,low\n")
    assert "new.csv: has no column age" in refusal("eval", run.path, "--data", "new.csv")


def test_labels_from_1_go_through_a_run() -> None:
    draw = np.random.default_rng(0)
    Path("wine.csv").write_text(
        "a,b,k\n" + "".join(f"{draw.normal() + 3 * (i % 3):.3f},{draw.normal():.3f},{i % 3 + 1}\n" for i in range(90))
    )
    Path("w.net").write_text(
        'netspec 1 data { source = csv; path = "wine.csv" } net affine(8)-relu -> affine -> softmax train { epochs = 30; batch = 8 }'
    )
    run = netspec.train("w.net")
    assert run.model.graph.classes == 3
    assert answer("eval", run.path)["accuracy"] == run.metrics["accuracy"]
    assert {row["label"] for row in answer("predict", run.path, "wine.csv")} <= {1, 2, 3}
    assert answer("eval", run.path, "--data", "wine.csv")["rows"] == 90


def test_the_label_among_the_largest_scores() -> None:
    Path("v.net").write_text("netspec 1 data { source = digits } net affine -> softmax train { epochs = 1 }")
    run = netspec.train("v.net")
    found = [answer("eval", run.path, "--top", k) for k in (1, 3, 5, 10)]
    assert found[0]["top1"] == found[0]["accuracy"] < found[1]["top3"] < found[2]["top5"]
    assert not [key for key in found[3] if key.startswith("top")]  # every label is among all ten
    x, y = np.random.default_rng(0).normal(size=(50, 1, 8, 8)), np.arange(50) % 10
    scores = run.model.predict_proba(x)
    ranks = (scores > np.take_along_axis(scores, y[:, None], 1)).sum(axis=1)
    assert run.model.evaluate(x, y, top=3)["top3"] == np.mean(ranks < 3)
    assert run.model.report(x, y, top=2).figures["top2"] == np.mean(ranks < 2)
    for wrong in (0, 2.5, True):
        with pytest.raises(netspec.UsageError, match="whole number of classes"):
            run.model.evaluate(x, y, top=wrong)


def test_the_column_of_labels_is_that_of_training() -> None:
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=60), draw.normal(size=60)
    Path("t.csv").write_text("a,b,y\n" + "".join(f"{p},{q},{3 * p - q}\n" for p, q in zip(a, b, strict=True)))
    Path("t.net").write_text(
        'netspec 1 data { source = csv; path = "t.csv" } net affine train { optimizer = adam(lr=0.1); epochs = 60; batch = 8 }'
    )
    run = netspec.train("t.net")
    wanted = answer("eval", run.path, "--data", "t.csv")
    assert wanted["r2"] > 0.9
    for header, row in (("a,b,y,id", "{a},{b},{y},{id}"), ("y,id,b,a", "{y},{id},{b},{a}")):
        lines = (row.format(a=p, b=q, y=3 * p - q, id=number) for number, (p, q) in enumerate(zip(a, b, strict=True)))
        Path("new.CSV").write_text(header + "\n" + "\n".join(lines) + "\n")
        assert answer("eval", run.path, "--data", "new.CSV") == wanted
        assert len(answer("predict", run.path, "new.CSV")) == 60
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    frame = pandas.read_csv("t.csv")
    model = netspec.compile("affine", train="optimizer = adam(lr=0.1); epochs = 60; batch = 8")
    model.fit(frame[["a", "b"]], frame.y)
    model.save("w.safetensors")
    assert answer("eval", "w.safetensors", "--data", "t.csv")["r2"] > 0.9
    assert "which column holds the labels? Beside the net's columns there is" in refusal("eval", "w.safetensors", "--data", "new.CSV")
    Path("none.csv").write_text("a,b,y\n")
    for words in (("predict", run.path, "none.csv"), ("eval", run.path, "--data", "none.csv")):
        assert "none.csv: has no rows" in refusal(*words)


def test_gray_pictures_and_pictures_without_a_size() -> None:
    pixels, words = [], []
    for n in range(10):
        for word, low, high in (("day", 160, 256), ("night", 0, 90)):
            paint(f"sky/{word}/{n}.png", low, high)
            pixels.append(np.repeat(paint(f"gray/{word}/{n}.png", low, high, gray=True)[np.newaxis], 3, axis=0))
            words.append(word)
    Path("sky.net").write_text(
        "netspec 1 net affine -> softmax train { batch = 4 } "
        'data { source = images; path = "sky"; split = 80% / 20%; transforms = rescale, flatten }'
    )
    run = netspec.train("sky.net")
    wanted = run.model.evaluate(np.stack(pixels), words)
    found = answer("eval", run.path, "--data", "gray")
    assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-5)
    assert answer("eval", run.path, "--data", "sky")["rows"] == len(answer("predict", run.path, "sky")) == 20
