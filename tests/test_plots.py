"""The pictures: curves of runs, filters of the first layer, curves.png of a run folder."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread
from typer.testing import CliRunner, Result

import netspec
from netspec.ui.cli import app
from netspec.ui.curves import COLOURS, VALIDATED, Curves, draw_curves, names_of, read_curves, smooth
from netspec.ui.filters import GAP, first_filters, grid

ROWS = np.random.default_rng(0).normal(size=(60, 5))
LABELS = np.arange(60) % 3
IMAGES = np.random.default_rng(1).normal(size=(20, 3, 8, 6))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def train(folder: Path | str, train: str = "", epochs: int = 3) -> netspec.Model:
    """A run of a small net with classes."""
    model = netspec.compile("affine(6)-relu -> affine -> softmax", input=5, classes=3, train=f"batch = 10; {train}")
    model.fit(ROWS, LABELS, validation=0.2, epochs=epochs, run_dir=folder)
    return model


def train_values(folder: str) -> None:
    netspec.compile("affine", input=5, train="batch = 10").fit(ROWS, ROWS[:, 0], validation=0.2, epochs=3, run_dir=folder)


def has_colour(picture: Any, colour: str) -> bool:
    """Whether a PNG has pixels of this colour."""
    return bool((np.abs(picture[:, :, :3] - np.array(to_rgb(colour))).max(axis=2) < 0.02).any())


# curves


@pytest.mark.parametrize("decades", [2, 4, 11])
def test_losses_of_many_decades_have_numbers_beside_them(tmp_path: Path, decades: int) -> None:
    steps = np.arange(1, 201)
    run = Curves(
        "far",
        steps,
        10.0 ** (decades * np.sin(steps / 30) ** 2),
        [{"epoch": 1, "train_accuracy": 0.5, "val_accuracy": 0.5, "val_loss": None}],
    )
    draw_curves([run], tmp_path / "far.svg")
    axes = (tmp_path / "far.svg").read_text()
    figure = axes[axes.index('id="axes_1"') : axes.index('id="axes_2"')]
    assert figure.count('id="ytick_') >= 3


def test_a_run_folder_gets_its_curves(folder: Path) -> None:
    train("run")
    picture = imread("run/curves.png")
    assert picture.shape[1] == 1430
    assert has_colour(picture, COLOURS[0])
    assert not has_colour(picture, COLOURS[1])
    assert has_colour(picture, VALIDATED)  # the loss on validation rows, of a single run


def test_without_matplotlib_a_run_has_no_picture_and_plot_names_the_extra(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    train("run")
    assert not Path("run/curves.png").exists()
    result = call("plot", "run")
    assert (result.exit_code, result.stderr) == (2, "error: this needs matplotlib: pip install 'netspec[plot]'\n")
    assert not Path("curves.png").exists()


def test_every_run_has_its_colour_and_its_name(folder: Path) -> None:
    for name in ("one", "two", "three"):
        train(name)
    result = call("plot", "one", "two", "three", "-o", "all.png")
    assert (result.exit_code, result.stdout) == (0, "all.png\n")
    picture = imread("all.png")
    assert [has_colour(picture, colour) for colour in COLOURS[:4]] == [True, True, True, False]
    assert call("plot", "one", "two", "three", "-o", "all.svg").exit_code == 0
    written = re.findall(r"<!-- (.*?) -->", Path("all.svg").read_text())
    assert {"one", "two", "three", "step", "training loss", "epoch", "accuracy", "training", "validation"} <= set(written)


def test_the_default_name_and_the_same_bytes_again(folder: Path) -> None:
    train("run")
    for suffix in ("png", "svg"):
        written = []
        for _ in range(2):
            assert call("plot", "run", "-o", f"x.{suffix}").exit_code == 0
            written.append(Path(f"x.{suffix}").read_bytes())
        assert written[0] == written[1]
    assert call("plot", "run").stdout == "curves.png\n"
    assert Path("curves.png").read_bytes() == Path("run/curves.png").read_bytes()


def test_runs_on_values_show_losses(folder: Path) -> None:
    train_values("values")
    assert call("plot", "values", "-o", "values.svg").exit_code == 0
    assert "accuracy" not in re.findall(r"<!-- (.*?) -->", Path("values.svg").read_text())


def test_the_legend_names_what_is_drawn(folder: Path) -> None:
    for name, validation, rows in (("both", 0.2, 1000), ("training", None, 1000), ("validation", 0.2, 0)):
        model = netspec.compile("affine -> softmax", input=5, classes=3, train=f"monitor_rows = {rows}")
        model.fit(ROWS, LABELS, validation=validation, epochs=2, run_dir=name)
        assert call("plot", name, "-o", f"{name}.svg").exit_code == 0
        right = Path(f"{name}.svg").read_text().split('id="axes_2"')[1].replace(f"<!-- {name} -->", "", 1)
        written = re.findall(r"<!-- (.*?) -->", right)
        assert {"training", "validation"} & set(written) == ({"training", "validation"} if name == "both" else {name})


def test_a_picture_holds_many_runs_and_odd_names(folder: Path) -> None:
    names = [f"run{number}" for number in range(10)] + ["$x^2$", "_hidden", "a long name of a run that goes on"]
    train(names[0])
    for name in names[1:]:
        Path(name).symlink_to(names[0])
    assert call("plot", *(Path(name) for name in names), "-o", "many.svg").exit_code == 0
    assert names_of([Path("a/run"), Path("b/run"), Path("c/other")]) == ["a/run", "b/run", "c/other"]
    assert names_of([Path("a/run"), Path("b/other")]) == ["run", "other"]


def test_one_epoch_and_one_step_are_a_picture(folder: Path) -> None:
    netspec.compile("affine -> softmax", input=5, classes=3).fit(ROWS, LABELS, epochs=1, run_dir="run")
    assert call("plot", "run").exit_code == 0


def test_all_losses_of_a_short_run_and_some_of_a_long_one_are_drawn(folder: Path) -> None:
    short = train("short", epochs=4)
    curves = read_curves(Path("short"), "short")
    assert curves.losses.tolist() == short.history.loss
    assert curves.steps.tolist() == list(range(1, len(short.history.loss) + 1))
    assert curves.epochs == short.history.epochs


def test_smoothing_keeps_lines_and_averages_noise() -> None:
    flat, line = np.full(300, 2.5), np.linspace(0, 1, 300)
    np.testing.assert_allclose(smooth(flat), flat, rtol=1e-12)
    np.testing.assert_allclose(smooth(line)[60:-60], line[60:-60], rtol=1e-12)
    noise = np.random.default_rng(0).normal(size=3000)
    assert smooth(noise)[200:].std() < 0.12
    assert smooth(np.array([3.0])).tolist() == [3.0]
    falling = 5 * np.exp(-np.arange(600) / 8)
    assert abs(smooth(falling)[0] - 5) < 0.2  # the start is not smoothed away
    assert len(smooth(np.ones(50_000))) == 50_000


USAGE = {
    "pdf": (("plot", "run", "-o", "x.pdf"), "x.pdf: pictures are written as .png or .svg"),
    "folder": (("plot", "run", "-o", "none/x.png"), "there is no folder none"),
    "absent": (("plot", "absent"), "absent: no such run folder"),
    "no run": (("plot", "."), "not a run folder"),
    "spec": (("plot", "run/spec.net"), "is a spec; the run is its folder, run"),
    "weights": (("plot", "alone.safetensors"), "outside a run folder"),
    "no epoch": (("plot", "empty"), "the run has no finished epoch"),
    "mixed": (("plot", "run", "values"), "values: has no accuracy"),
    "two runs": (("plot", "run", "values", "--filters"), "--filters shows one run; 2 are given"),
    "a vector": (("plot", "run", "--filters"), "affine1.W: the first layer with weights reads a vector (5), and a vector is no picture"),
    "last": (("plot", "run", "--last"), "--last goes with --filters"),
}


@pytest.mark.parametrize("name", USAGE)
def test_what_cannot_be_drawn_is_told(folder: Path, name: str) -> None:
    model = train("run")
    train_values("values")
    model.save("alone.safetensors")
    netspec.compile("affine -> softmax", input=5, classes=3).fit(ROWS, LABELS, epochs=0, run_dir="empty")
    words, part = USAGE[name]
    result = call(*words)
    assert result.exit_code == 2
    assert part in result.stderr
    assert not [path for path in Path().iterdir() if path.suffix in (".png", ".svg", ".pdf")]


# filters


def test_conv_filters_are_those_of_the_parameters() -> None:
    model = netspec.compile("conv(5, kernel=3x2)-relu -> affine -> softmax", input=(3, 8, 6), classes=2)
    filters = first_filters(model)
    assert filters.name == "conv1.W"
    np.testing.assert_array_equal(filters.images, model.params["conv1.W"].astype(float))


@pytest.mark.parametrize("text", ["affine(7)-relu -> affine -> softmax", "relu -> flatten -> affine(7) -> affine -> softmax"])
def test_affine_weights_are_seen_as_the_image_that_they_read(text: str) -> None:
    model = netspec.compile(text, input=(3, 8, 6), classes=2)
    filters = first_filters(model)
    assert filters.images.shape == (7, 3, 8, 6)
    # the unit's answer is the product of its filter with the image
    answers = model.forward(np.abs(IMAGES), at="affine1") - model.params["affine1.b"]
    np.testing.assert_allclose(answers, np.tensordot(np.abs(IMAGES), filters.images, axes=([1, 2, 3], [1, 2, 3])), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "shape", "part"),
    [
        ("conv(4)-relu -> affine -> softmax", (2, 8, 8), "conv1.W: its filters have 2 channels; only 1 (grey) and 3"),
        ("conv(4, kernel=1)-relu -> affine -> softmax", (3, 8, 8), "single pixels"),
        ("globalpool -> affine(9) -> affine -> softmax", (3, 8, 8), "reads a vector (3)"),
        ("affine(9) -> affine -> softmax", (12,), "reads a vector (12)"),
        ("relu", (12,), "no layer with weights"),
    ],
)
def test_weights_that_are_no_pictures_are_told(text: str, shape: tuple[int, ...], part: str) -> None:
    model = netspec.compile(text, input=shape) if text == "relu" else netspec.compile(text, input=shape, classes=2)
    with pytest.raises(netspec.UsageError) as caught:
        first_filters(model)
    assert part in str(caught.value)


def test_a_grid_scales_each_filter_and_pads_between() -> None:
    images = np.random.default_rng(0).normal(size=(5, 1, 4, 3)) * np.array([1, 10, 0.1, 100, 0])[:, None, None, None]
    whole = grid(images, gap=2)
    assert whole.shape == (2 * 6 + 2, 3 * 5 + 2, 3)
    for number, image in enumerate(images):
        row, column = divmod(number, 3)
        shown = whole[2 + 6 * row : 6 + 6 * row, 2 + 5 * column : 5 + 5 * column]
        expected = (image - image.min()) / (np.ptp(image) or 1) if np.ptp(image) else np.full_like(image, 0.5)
        np.testing.assert_allclose(shown, np.broadcast_to(expected.transpose(1, 2, 0), shown.shape))
    assert (whole[:2] == GAP).all()
    assert (whole[8:12, 12:] == GAP).all()  # no sixth filter


def test_the_picture_shows_the_grid_pixel_by_pixel(folder: Path) -> None:
    labels = np.arange(20) % 2
    model = netspec.compile("conv(4, kernel=5)-relu -> affine -> softmax", input=(3, 8, 6), classes=2)
    model.fit(IMAGES, labels, epochs=1, run_dir="run")
    assert call("plot", "--filters", "run").stdout == "filters.png\n"
    picture = imread("filters.png")[:, :, :3]
    whole = grid(first_filters(model).images, gap=1)
    scale = 32
    left = (picture.shape[1] - scale * whole.shape[1]) // 2
    shown = picture[-scale * whole.shape[0] :, left : left + scale * whole.shape[1]]
    np.testing.assert_allclose(shown[scale // 2 :: scale, scale // 2 :: scale], whole, atol=1 / 255)
    assert call("plot", "--filters", "run", "--last", "-o", "last.svg").exit_code == 0
    assert call("plot", "--filters", "run/weights/last.safetensors").exit_code == 0
