"""What layernorm and groupnorm promise beyond the laws of every layer: precision, rows apart, fusion, their message."""

from __future__ import annotations

from typing import Any

import laws
import numpy as np
import pytest
from calls import layer_of
from compiled import Compiled, graph_of, network_of

import netspec
from netspec.base.layer import Array, ReferenceContext

CALLS = [
    ("layernorm", (100,)), ("groupnorm(4)", (64,)), ("groupnorm(8)", (32, 32, 32)), ("layernorm", (3, 16, 15)),
    ("groupnorm(2)", (6, 40, 9)),
]  # fmt: skip
CONTEXT = ReferenceContext(True)


def single(call: str, x: Array, dy: Array | None = None) -> tuple[dict[str, Array], dict[str, Array]]:
    """What float32 kernels give for rows that float32 holds exactly, and what the reference and float64 kernels give."""
    layer, shape = layer_of(call), x.shape[1:]
    parameters = {name: array.astype(np.float32).astype(float) for name, array in laws.arrays(layer, shape)[0].items()}
    found = {"y": Compiled("float32").forward(layer, x, parameters, {}, CONTEXT)}
    wanted = {"y": layer.reference(x, parameters, {}, CONTEXT)}
    if dy is not None:
        for run, results in ((Compiled("float32"), found), (Compiled(), wanted)):
            dx, grads = run.backward(layer, dy, x, parameters, {}, CONTEXT)
            results.update({"x": dx, **grads})
    return found, wanted


@pytest.mark.parametrize(("call", "shape"), CALLS)
def test_rows_far_from_zero_keep_their_precision(call: str, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(1000, 1, (5, *shape)).astype(np.float32).astype(float)
    dy = draw.normal(size=x.shape).astype(np.float32).astype(float)
    found, wanted = single(call, x, dy)
    for name, array in found.items():
        laws.close(array, wanted[name], 1e-5)


def test_a_mean_of_few_elements_may_be_far_off() -> None:
    """The runs whose mean comes first hold nothing but outliers."""
    x = np.random.default_rng(0).normal(0, 1e-3, (2, 4, 32, 32))
    pixels = np.arange(1024).reshape(32, 32)
    x[:, :, pixels // 64 % 16 == 0] += 1000
    x = x.astype(np.float32).astype(float)
    found, wanted = single("groupnorm(2)", x)
    laws.close(found["y"], wanted["y"], 1e-5)


def test_a_constant_row_gives_beta() -> None:
    for call, shape in CALLS:
        x = np.full((2, *shape), 1000.1, np.float32).astype(float)
        found, wanted = single(call, x)
        laws.close(found["y"], wanted["y"], 1e-5)


@pytest.mark.parametrize(("call", "shape"), CALLS)
def test_a_nan_stays_in_its_row(call: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(5, *shape))
    x[3].flat[1] = np.nan
    y = Compiled("float32").forward(layer_of(call), x, laws.arrays(layer_of(call), shape)[0], {}, CONTEXT)
    assert np.isfinite(y[[0, 1, 2, 4]]).all()
    assert np.isnan(y[3]).any()


@pytest.mark.parametrize(("call", "shape"), CALLS)
def test_a_row_does_not_depend_on_its_batch(call: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(9, *shape))
    text = f"{call}-relu -> affine -> softmax"
    model = netspec.compile(text, input=shape, classes=3, dtype="float64", train="batch = 9")
    scores = model.forward(x)
    laws.close(model.forward(x, train=True), scores, 1e-12)
    for rows in (slice(0, 1), slice(4, 8)):
        laws.close(model.forward(x[rows]), scores[rows], 1e-12)
    assert not model.state


def test_layernorm_of_images_is_one_group() -> None:
    x, dy = np.random.default_rng(0).normal(size=(2, 5, 6, 8, 7))
    parameters = laws.arrays(layer_of("layernorm"), (6, 8, 7))[0]
    results: list[Any] = []
    for call in ("layernorm", "groupnorm(1)"):
        run = Compiled()
        results.append(
            (run.forward(layer_of(call), x, parameters, {}, CONTEXT), *run.backward(layer_of(call), dy, x, parameters, {}, CONTEXT))
        )
    np.testing.assert_array_equal(results[0][0], results[1][0])
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert results[0][2].keys() == results[1][2].keys() == {"gamma", "beta"}


@pytest.mark.parametrize(
    ("text", "shape"),
    [("affine(7)-layernorm-relu -> affine -> softmax", (5,)), ("conv(4)-groupnorm(2)-relu -> affine -> softmax", (2, 5, 4))],
)
def test_a_bias_before_it_has_a_gradient(text: str, shape: tuple[int, ...]) -> None:
    model = netspec.compile(text, input=shape, classes=3, dtype="float64")
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(9, *shape)), draw.integers(0, 3, 9)
    grads = model.loss(x, y)[1]
    assert np.abs(next(grads[name] for name in grads if name.endswith("1.b"))).min() > 1e-9
    assert model.gradcheck(x, y).max_error <= 1e-6
    assert not [found for found in netspec.check(text.replace(")-", ", bias=true)-", 1), input=shape, classes=3) if found.code == "W101"]


@pytest.mark.parametrize("wanted", [True, False], ids=["with dx", "without dx"])
@pytest.mark.parametrize(("call", "shape"), [("layernorm", (100,)), ("groupnorm(4)", (64,)), ("groupnorm(8)", (32, 16, 15))])
def test_parts_of_many_rows_add_up(call: str, shape: tuple[int, ...], wanted: bool) -> None:
    """Several tasks: their parts of the gradients are those of the rows; as the first layer it has no input gradient to compute."""
    layers = [*([layer_of("id")] if wanted else []), layer_of(call), layer_of("tanh")]
    network = network_of(graph_of(layers, shape), batch=700)
    name = f"n{len(layers) - 2}"
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(700, *shape)), draw.normal(size=(700, *shape))
    labels = network.labels_to_layout(y)
    _, plan = network.loss(x, labels, input_gradient=wanted)
    launches = [one for one in plan.layout.lowered.launches if one.label.endswith("norm-tanh gradient")]
    assert [one.tasks > 1 for one in launches] == [True]
    whole = network.store.gradients.copy()
    pieces = []
    for rows in np.array_split(np.arange(700), 7):
        network.loss(x[rows], network.labels_to_layout(y[rows]), input_gradient=wanted)
        pieces.append(network.store.gradients.copy())
    for key in ("gamma", "beta"):
        laws.close(whole[f"{name}.{key}"], np.mean([piece[f"{name}.{key}"] for piece in pieces], axis=0), 1e-13)


def test_it_follows_the_contraction_task_by_task() -> None:
    text = "[conv(16)-groupnorm(4)-relu]x2 -> globalpool -> affine -> softmax"
    layout = netspec.compile(text, input=(3, 16, 16), classes=10, train="batch = 32").plan.train
    launches = layout.lowered.launches
    forward = [chain for wave in layout.waves if wave.section == "forward" for chain in wave.chains]
    labels = [[one.label for one in launches[chain.first : chain.last]] for chain in forward]
    assert ["conv", "groupnorm-relu", "conv", "groupnorm-relu"] in [
        [label for label in chain if "gather" not in label][:4] for chain in labels
    ]


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        (
            "conv(12)-groupnorm(5)",
            (3, 8, 8),
            ("12 channels do not fall into 5 equal groups, from conv (line 1)", "groups can be 1, 2, 3, 4, 6 or 12"),
        ),
        ("affine(7)-groupnorm(2)", (3,), ("7 features do not fall into 2 equal groups, from affine (line 1)", "groups can be 1 or 7")),
        ("groupnorm", (1, 8, 8), ("1 channel does not fall into 32 equal groups", "groups can be 1")),
    ],
)
def test_the_message_names_both_numbers_and_the_divisors(text: str, shape: tuple[int, ...], words: tuple[str, str]) -> None:
    with pytest.raises(netspec.SpecError) as refused:
        netspec.compile(f"{text} -> affine(2) -> softmax", input=shape)
    (found,) = refused.value.diagnostics
    assert found.code == "NS411"
    assert words[0] in found.message
    assert words[1] in (found.help or "")
    start = text.index("groupnorm")
    assert found.column == (start + len("groupnorm(") + 1 if "groupnorm(" in text else start + 1)
