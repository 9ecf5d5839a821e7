"""`netspec init`: the file that it writes checks, trains and learns, whatever the data is; bad data is told as training tells it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from netspec.base.dataset import Dataset, Rows
from netspec.catalog.sources.cifar10 import Cifar10
from netspec.frontend.format import format_file
from netspec.frontend.text import load, source_of
from netspec.graph.check import diagnose
from netspec.pipeline import train
from netspec.ui.cli import app
from netspec.ui.start.look import _are_classes
from netspec.ui.start.places import place_of

ROWS = 400


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def init(*words: object) -> str:
    """The text that init writes, which has to be as `fmt` has it, without a finding."""
    result = call("init", *words, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    path = json.loads(result.stdout)["output"]
    text = Path(path).read_text()
    assert format_file(load(path)) == text
    assert diagnose(source_of(Path(path))) == []
    return text


def trained(path: str) -> dict[str, float]:
    """Figures on the test rows."""
    result = call("train", path, "--json")
    assert (result.exit_code, result.stderr) == (0, "")
    found: dict[str, float] = json.loads(result.stdout.splitlines()[-1])["metrics"]
    return found


def numbers(rows: int = ROWS, columns: int = 4, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(rows, columns))


def flowers(rows: int = ROWS) -> pandas.DataFrame:
    x = numbers(rows)
    words = np.array(["iris", "lily", "rose"])[(x[:, 0] + x[:, 1] > 0).astype(int) + (x[:, 2] > 0.3)]
    return pandas.DataFrame(x, columns=list("abcd")).assign(species=words)


def houses(rows: int = 1000) -> pandas.DataFrame:
    generator = np.random.default_rng(0)
    rooms, city = generator.integers(1, 8, rows), generator.choice(["Basel", "Bern", "Chur"], rows)
    price = rooms * 60_000 + (city == "Basel") * 90_000 + generator.normal(0, 8000, rows)
    return pandas.DataFrame({"id": range(1, rows + 1), "rooms": rooms, "city": city, "land": "CH", "price": price.round()})


def pictures(channels: int = 3, classes: int = 3, each: int = 40, sides: tuple[int, int] = (12, 12)) -> None:
    """Folders of pictures, told apart by where they are bright."""
    generator = np.random.default_rng(0)
    for number in range(classes):
        Path(f"pictures/k{number}").mkdir(parents=True)
        for place in range(each):
            pixels = generator.integers(0, 90, (*sides, channels)).astype(np.uint8)
            pixels[4 * number : 4 * number + 4, :, :] = 230
            Image.fromarray(pixels if channels == 3 else pixels[:, :, 0]).save(f"pictures/k{number}/{place}.png")


# what is written


def test_text_labels_in_the_last_column(folder: Path) -> None:
    flowers().to_csv("flowers.csv", index=False)
    text = init("flowers.csv")
    lines = ["source = csv", 'path = "flowers.csv"', 'target = "species"', "normalize = per_feature", "classes 3", "-> affine -> softmax"]
    for line in lines:
        assert line in text
    assert trained("flowers.net")["accuracy"] > 0.85


def test_values_far_from_1_and_columns_that_are_no_use(folder: Path) -> None:
    houses().to_csv("houses.csv", index=False)
    text = init("houses.csv")
    assert 'features = "rooms", "city"' in text
    assert "# Left out: id, which counts the rows." in text
    assert "# Left out: land, which is the same in every row." in text
    assert "transforms = one_hot, per_feature" in text
    assert "affine(lr_scale=100000) -> linear" in text
    assert trained("houses.net")["r2"] > 0.95


def test_values_are_not_learnt_without_the_scale(folder: Path) -> None:
    """The control of the one above: what the scale of the last layer is for."""
    houses().to_csv("houses.csv", index=False)
    Path("plain.net").write_text(init("houses.csv").replace("(lr_scale=100000)", ""))
    assert trained("plain.net")["r2"] < 0


def test_small_values(folder: Path) -> None:
    x = numbers()
    pandas.DataFrame(x, columns=list("abcd")).assign(v=0.002 * x[:, 0] - 0.001 * x[:, 1]).to_parquet("small.parquet")
    text = init("small.parquet")
    assert "source = parquet" in text
    assert "affine(init=zeros, lr_scale=0.002) -> linear" in text
    assert trained("small.net")["r2"] > 0.9


def test_values_that_hardly_spread_are_cautioned_about(folder: Path) -> None:
    x = numbers()
    pandas.DataFrame(x, columns=list("abcd")).assign(v=1e-6 * x[:, 0]).to_csv("tiny.csv", index=False)
    assert "multiply them by a number such as 1,000,000 first" in init("tiny.csv")


def test_values_around_a_number_far_away_are_cautioned_about(folder: Path) -> None:
    x = numbers()
    pandas.DataFrame(x, columns=list("abcd")).assign(year=2000 + 5 * x[:, 0]).to_csv("years.csv", index=False)
    assert "subtract 2,000 from them first" in init("years.csv")
    houses().to_csv("houses.csv", index=False)
    assert "subtract" not in init("houses.csv")


def test_two_classes_get_one_logit(folder: Path) -> None:
    x = numbers(1500, 6)
    np.savez("two.npz", x=x, y=np.where(x[:, 0] * x[:, 1] > 0, 1, -1))
    assert "classes 2\nnet [affine(64)-bn-relu-dropout(10%)]x2 -> affine -> sigmoid" in init("two.npz")
    assert trained("two.net")["accuracy"] > 0.85


@pytest.mark.parametrize("words", [(1, 2, 3), (10, 20, 30, 40)])
def test_classes_that_do_not_begin_at_0_are_learnt_as_they_are(folder: Path, words: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    rows = (f"{draw.normal(k):.3f},{draw.normal(-k):.3f},{word}" for k, word in list(enumerate(words)) * 30)
    Path("kinds.csv").write_text("\n".join(["a,b,kind", *rows]))
    assert "\nclasses" not in init("kinds.csv")
    run = train(Path("kinds.net"), **{"train.epochs": 2})
    assert run.model.classes_ is not None
    assert run.model.classes_.tolist() == list(words)


def test_a_target_by_its_name(folder: Path) -> None:
    table = flowers()
    table[["species", "a", "b", "c", "d"]].to_csv("first.csv", index=False)
    assert 'target = "species"' in init("first.csv", "--target", "species")
    table.rename(columns={"species": "Label"})[["Label", "a", "b", "c", "d"]].to_csv("named.csv", index=False)
    assert 'target = "Label"' in init("named.csv")
    assert 'target = "d"' in init("first.csv", "-o", "last.net")


def test_names_with_spaces_and_quotes(folder: Path) -> None:
    table = flowers().rename(columns={"a": 'a "b"', "species": "the kind\\"}).assign(id=range(ROWS))
    table[["id", 'a "b"', "b", "c", "d", "the kind\\"]].to_csv("odd names.csv", index=False)
    text = init("odd names.csv")
    assert r'target = "the kind\\"' in text
    assert r'features = "a \"b\"", "b", "c", "d"' in text
    assert trained("odd names.net")["accuracy"] > 0.8


def test_arrays_under_other_names(folder: Path) -> None:
    x = numbers()
    np.savez("named.npz", images=x, labels=(x[:, 0] > 0).astype(int))
    text = init("named.npz")
    assert 'x = "images"' in text
    assert 'y = "labels"' in text
    np.save("train_x.npy", x)
    np.save("train_y.npy", np.stack([x[:, 0], x[:, 1] + 1], axis=1))
    text = init("train_x.npy")
    assert 'x = "train_x.npy"' in text
    assert "outputs 2" in text
    assert trained("train_x.net")["r2"] > 0.9


def test_rows_of_labels(folder: Path) -> None:
    x = numbers()
    np.savez("hot.npz", x=x, y=np.eye(3)[(x[:, 0] > 0).astype(int) + (x[:, 1] > 0)])
    assert "classes 3" in init("hot.npz")
    assert trained("hot.net")["accuracy"] > 0.8
    np.savez("hot2.npz", x=x, y=np.eye(2)[(x[:, 0] > 0).astype(int)])
    assert "-> affine -> softmax" in init("hot2.npz")
    assert trained("hot2.net")["accuracy"] > 0.8
    np.savez("many.npz", x=x, y=(x[:, :3] > 0).astype(int))
    assert "classes 3" in init("many.npz")
    assert "-> affine -> sigmoid" in Path("many.net").read_text()
    assert trained("many.net")["accuracy"] > 0.5


def test_pictures(folder: Path) -> None:
    pictures()
    text = init("pictures")
    assert "normalize = per_channel" in text
    assert "net [conv(c)-bn-relu-pool]x(c: 32, 64) -> affine(64)-bn-relu-dropout(25%) -> affine -> softmax" in text
    assert trained("pictures.net")["accuracy"] > 0.9


def test_pictures_of_several_sizes_are_resized(folder: Path) -> None:
    pictures(channels=1, classes=2)
    Image.new("L", (30, 20), 9).save("pictures/k0/large.png")
    text = init("pictures")
    assert "size = 32x32" in text
    assert "normalize = rescale" in text
    assert trained("pictures.net")["accuracy"] > 0.9


def test_an_official_test_part_leaves_two_parts_to_the_split(folder: Path) -> None:
    pictures(classes=2)
    for part in ("train", "test"):
        for name in ("k0", "k1"):
            Path(f"parts/{part}/{name}").mkdir(parents=True)
            for place in range(30 if part == "train" else 5):
                shutil.copy(f"pictures/{name}/{place}.png", f"parts/{part}/{name}/{place}.png")
    text = init("parts")
    assert "split = 90% / 10%" in text
    assert "the test part is the data's own" in text
    assert trained("parts.net")["accuracy"] > 0.9


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "diabetes"])
def test_what_comes_with_the_package(folder: Path, name: str) -> None:
    assert f"source = {name}" in init(name)
    figures = trained(f"{name}.net")
    assert figures["r2" if name == "diabetes" else "accuracy"] > (0.3 if name == "diabetes" else 0.9)


def test_published_files_are_told_by_their_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "mnist/train-images-idx3-ubyte.gz",
        "fashion/train-images-idx3-ubyte",
        "c/data_batch_1.bin",
        "d/cifar-10-batches-py/data_batch_1",
    ):
        Path(name).parent.mkdir(parents=True)
        Path(name).write_text("")
    sources = [place_of(Path(name), Path("a.net")).source for name in ("mnist", "fashion", "c", "d")]
    assert sources == ["mnist", "fashion_mnist", "cifar10", "cifar10"]
    np.savez("mnist.npz", x_train=[0], y_train=[0], x_test=[0], y_test=[0])
    assert place_of(Path("mnist.npz"), Path("a.net")).source == "mnist"
    dataset = _photographs()
    monkeypatch.setattr(Cifar10, "read", lambda *_: dataset)
    text = init("c")
    assert "[conv(c)-bn-relu-pool]x(c: 32, 64, 128, 256)" in text
    assert "split = 90% / 10%" in text


def _photographs() -> Dataset:
    generator = np.random.default_rng(0)
    rows = [Rows(generator.integers(0, 255, (count, 3, 32, 32)).astype(np.uint8), np.arange(count) % 10) for count in (500, 100)]
    return Dataset(rows[0], test=rows[1], labels=tuple(f"k{number}" for number in range(10)))


@pytest.mark.parametrize("rows", [4, 5, 9, 30, 199, 200])
def test_tables_of_any_length_train(folder: Path, rows: int) -> None:
    flowers(rows).to_csv("some.csv", index=False)
    init("some.csv")
    assert call("train", "some.net", "--quiet", "--epochs", "2").exit_code == 0


def test_a_text_with_a_text_for_each_row_is_left_out(folder: Path) -> None:
    flowers().assign(name=[f"n{row}" for row in range(ROWS)])[["name", "a", "b", "c", "species"]].to_csv("names.csv", index=False)
    assert "# Left out: name, which holds 400 different texts in 400 rows." in init("names.csv")
    assert call("train", "names.net", "--quiet", "--epochs", "1").exit_code == 0


CLASSES = {
    "few": (np.arange(90) % 3, True),
    "many": (np.arange(900), False),
    "two of any": (np.arange(90) % 2 * 7 - 1, True),
    "three with negative ones": (np.arange(90) % 3 - 1, False),
    "fractions": (np.arange(90) % 2 + 0.5, False),
    "ages": (np.arange(500) % 80, False),
    "many with many rows": (np.arange(9000) % 60, True),
    "far apart": (np.arange(90) % 3 * 500, False),
    "truth": (np.arange(9) % 2 == 0, True),
    "text": (np.array(["a", "b"] * 5), True),
}


@pytest.mark.parametrize("name", CLASSES)
def test_what_are_classes(name: str) -> None:
    labels, are = CLASSES[name]
    assert bool(_are_classes(labels, np.unique(labels))) is are


# where it is written, and what is said


def test_what_is_printed(folder: Path) -> None:
    houses().to_csv("houses.csv", index=False)
    result = call("init", "houses.csv")
    assert result.stderr == ""
    assert result.stdout == (
        "data      houses.csv: 1,000 rows of 2 features\n"
        "text      city: one_hot\n"
        "left out  id counts the rows; land is the same in every row\n"
        f"target    price: numbers, {houses().price.min():,.6g} to {houses().price.max():,.6g}\n"
        "net       affine(32)-bn-relu -> affine(lr_scale=100000) -> linear\n"
        "written   houses.net\n"
        "next      netspec train houses.net\n"
    )


def test_nothing_is_overwritten(folder: Path) -> None:
    flowers().to_csv("flowers.csv", index=False)
    Path("flowers.net").write_text("mine")
    result = call("init", "flowers.csv")
    assert result.exit_code == 2
    assert "flowers.net: exists already" in result.stderr
    assert Path("flowers.net").read_text() == "mine"
    assert call("init", "flowers.csv", "-o", "other.net").exit_code == 0


def test_paths_are_relative_to_what_a_spec_may_read(folder: Path) -> None:
    Path("data").mkdir()
    Path("specs").mkdir()
    flowers().to_csv("data/flowers.csv", index=False)
    assert 'path = "data/flowers.csv"' in init("data/flowers.csv")
    assert 'path = "flowers.csv"' in init("data/flowers.csv", "-o", "data/here.net")
    assert 'path = "data/flowers.csv"' in init(folder / "data" / "flowers.csv", "-o", "specs/there.net")
    for spec in ("flowers.net", "data/here.net", "specs/there.net"):
        assert call("train", spec, "--quiet", "--epochs", "1").exit_code == 0


def test_data_elsewhere_is_refused_unless_it_is_allowed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    flowers().to_csv(elsewhere / "flowers.csv", index=False)
    result = call("init", elsewhere / "flowers.csv")
    assert result.exit_code == 4
    assert "outside the folders that a spec may read" in result.stderr
    assert not Path("flowers.net").exists()
    result = call("init", elsewhere / "flowers.csv", "--allow-path", elsewhere)
    assert result.exit_code == 0
    command = result.stdout.splitlines()[-1].split()[2:]
    assert call(*command, "--quiet", "--epochs", "1").exit_code == 0


def bad_files() -> None:
    x, y = numbers(50), np.arange(50) % 2
    holed = x.copy()
    holed[7, 2] = np.nan
    np.savez("nan.npz", x=holed, y=y)
    np.savez("flat.npz", x=np.zeros((50, 8, 8)), y=y)
    np.savez("which.npz", a=x, b=x)
    np.savez("deep.npz", x=x, y=np.zeros((50, 2, 2)))
    np.save("alone.npy", x)
    Path("missing.csv").write_text("a,b\n1,2\n,3\n4,5\n")
    Path("one.csv").write_text("a,b\n1,x\n2,x\n")
    Path("row.csv").write_text("a,b\n1,x\n")
    Path("empty.csv").write_text("")
    Path("column.csv").write_text("a\n1\n2\n")
    Path("constant.csv").write_text("a,b\n1,2\n1,3\n")
    Path("comma.csv").write_text("a;b\n" + "\n".join(f"{row},5;{row % 2}" for row in range(30)))
    for name in ("notes.doc", "book.xlsx", "rows.json"):
        Path(name).write_text("")
    Path("nothing").mkdir()


BAD = {
    "nan.npz": (4, "row 7, feature 2 is NaN"), "flat.npz": (4, "reshape to (N, 1, H, W)"), "which.npz": (4, "which of its arrays"),
    "deep.npz": (4, "labels of shape (50, 2, 2)"), "alone.npy": (2, "beside it"), "missing.csv": (4, "line 3, column a: no value"),
    "one.csv": (4, "every label is x"), "row.csv": (4, "every label is x"), "empty.csv": (4, "is empty"),
    "column.csv": (4, "a is the only column"), "constant.csv": (4, "no column is left to learn b from: a is the same in every row"),
    "comma.csv": (4, "decimal comma"), "notes.doc": (2, "no source reads"),
    "book.xlsx": (2, 'pandas.read_excel("table.xlsx").to_csv'), "rows.json": (2, "pandas.read_json"), "nothing": (4, "has no pictures"),
    "absent.csv": (4, "no such file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_data(folder: Path, name: str) -> None:
    bad_files()
    before = sorted(path.name for path in folder.iterdir())
    code, part = BAD[name]
    result = call("init", name)
    assert (result.exit_code, result.stdout) == (code, "")
    assert part in result.stderr
    assert "Traceback" not in result.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (("flowers.csv", "--target", "spicies"), 4, "did you mean species?"),
        (("digits", "--target", "a"), 2, "has no columns"),
        (("flowers.csv", "-o", "flowers.txt"), 2, "ends in .net"),
        (("flowers.csv", "-o", "no/flowers.net"), 2, "there is no folder no"),
        ((), 2, "DATA"),
    ],
)
def test_calls_that_are_refused(folder: Path, words: tuple[object, ...], code: int, part: str) -> None:
    flowers().to_csv("flowers.csv", index=False)
    result = call("init", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert part in result.stderr


def test_a_folder_of_two_arrays_is_read_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("arrays").mkdir()
    np.save("arrays/x.npy", np.random.default_rng(0).normal(size=(50, 3)))
    np.save("arrays/y.npy", np.arange(50) % 2)
    assert call("init", "arrays").exit_code == 0
    assert 'x = "arrays/x.npy"' in Path("arrays.net").read_text()


def test_a_folder_of_tables_says_to_name_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("tables").mkdir()
    Path("tables/a.csv").write_text("a,b\n1,2\n")
    done = call("init", "tables")
    assert done.exit_code == 2
    assert "tables: holds a.csv, and no pictures; name the file: netspec init tables/a.csv" in done.stderr


def test_decimal_commas_are_no_categories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("commas.csv").write_text("a;b;y\n" + "1,5;2;3\n2;4;1\n-1.200,75;6;2\n" * 9)
    done = call("init", "commas.csv")
    assert done.exit_code == 4
    assert "commas.csv: line 2, column a: 1,5 has a decimal comma; write 1.5" in done.stderr
    Path("pairs.csv").write_text("a;b;y\n" + "1,5 kg;2;0\n2,0 kg;4;1\n1,5 kg;6;2\n" * 9)
    assert call("init", "pairs.csv").exit_code == 0
