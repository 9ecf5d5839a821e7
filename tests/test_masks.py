"""Several answers of yes or no a row, in the shape that they have: the mask of an image is a row of labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec as ns

SHAPE = (1, 6, 5)
PIXELS = 30
NET = "conv(4)-relu-conv(1)-flatten -> sigmoid"
rng = np.random.default_rng(3)
X = rng.normal(size=(60, *SHAPE)).astype(np.float32)
Y = (X > 0).astype(np.float32)
FLAT = Y.reshape(len(Y), -1)
TRAIN = "epochs = 30; batch = 10; optimizer = adam(lr=1e-2)"


def trained(y: np.ndarray) -> ns.Model:
    model = ns.compile(NET, train=TRAIN)
    model.fit(X, y, validation=(X[:20], y[:20]))
    return model


def test_masks_train_as_their_flattened_rows_do() -> None:
    mask, flat = trained(Y), trained(FLAT)
    assert mask.graph.classes == PIXELS
    assert mask.history.loss == flat.history.loss
    assert all((mask.params[name] == flat.params[name]).all() for name in mask.params)


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint8, np.bool_])
def test_masks_may_have_any_kind_of_number(kind: type) -> None:
    assert trained(Y.astype(kind)).history.loss == trained(Y).history.loss


def test_a_mask_is_learnt_and_figures_are_of_pixels() -> None:
    model = trained(Y)
    figures = model.evaluate(X, Y)
    assert figures == model.evaluate(X, FLAT)
    predicted = model.predict(X)
    assert predicted.shape == FLAT.shape
    assert figures["accuracy"] == np.mean(predicted == FLAT) > 0.95
    assert model.loss(X, Y)[0] == model.loss(X, FLAT)[0]


def test_a_saved_net_reads_masks(tmp_path: Path) -> None:
    model = trained(Y)
    model.save(tmp_path / "mask.safetensors")
    again = ns.restore(tmp_path / "mask.safetensors")
    assert (again.predict(X) == model.predict(X)).all()
    assert again.evaluate(X, Y) == model.evaluate(X, Y)


def test_a_file_of_masks_trains_and_counts_its_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "masks.npz", x=X, y=Y)
    data = 'data { source = npz; path = "masks.npz"; split = 40 / 10 / 10 }'
    Path("mask.net").write_text(f"netspec 1\n{data}\nnet {NET}\ntrain {{ {TRAIN} }}\n")
    run = ns.train("mask.net")
    assert run.model.graph.classes == PIXELS
    assert ns.restore(run.path).evaluate(X[50:], Y[50:])["accuracy"] > 0.9
    Path("seven.net").write_text(Path("mask.net").read_text() + "classes 7\n")
    with pytest.raises(ns.SpecError, match="classes 7 contradicts the data, which has 30 classes"):
        ns.train("seven.net")


def test_a_single_answer_may_have_any_number_of_sides() -> None:
    y = (X.mean(axis=(1, 2, 3), keepdims=True) > 0).astype(int)
    models = [ns.compile("affine -> sigmoid", train="epochs = 2").fit(X, one) for one in (y, y.reshape(-1))]
    assert models[0].loss == models[1].loss


def test_what_is_no_mask_is_refused_with_its_place() -> None:
    wrong = Y.copy()
    wrong[7, 0, 2, 3] = 0.5
    with pytest.raises(ns.DataError, match=r"label 0\.5 in row 7, element \(0, 2, 3\)"):
        ns.compile(NET).fit(X, wrong)
    wrong[7, 0, 2, 3] = np.nan
    with pytest.raises(ns.DataError, match=r"label NaN in row 7, element \(0, 2, 3\)"):
        ns.compile(NET).fit(X, wrong)
    model = trained(Y)
    with pytest.raises(ns.DataError, match=r"shape \(60, 1, 6, 4\); sigmoid with classes 30 takes 0/1 rows \(N, 30\)"):
        model.evaluate(X, Y[..., :4])


@pytest.mark.parametrize("head", ["softmax", "svm"])
def test_heads_of_exclusive_classes_say_which_head_takes_masks(head: str) -> None:
    with pytest.raises(ns.DataError, match=r"shape \(60, 1, 6, 5\); class labels are .* end the net in 30 scores and sigmoid"):
        ns.compile(NET.replace("sigmoid", head)).fit(X, Y)


def test_sigmoid_on_an_image_says_to_flatten() -> None:
    with pytest.raises(ns.SpecError, match="or flatten where every element is an answer of its own"):
        ns.compile("conv(1) -> sigmoid", input=SHAPE)
