"""The loss, the optimizer and a step of a train section as source for PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netspec.base.errors import UsageError
from netspec.base.loss import Loss
from netspec.save.export.subject import Subject
from netspec.save.export.words import literal, wrapped

LOSSES: Mapping[str, Callable[[Any, str], str]] = {
    "cross_entropy": lambda loss, more: f"F.cross_entropy(scores, y{_smoothing(loss)}{more})",
    "hinge": lambda loss, more: f"F.multi_margin_loss(scores, y{more}) * scores.shape[1]",  # PyTorch divides by the number of classes
    "squared_error": lambda loss, more: f"F.mse_loss(scores, y{more})",
    "l1": lambda loss, more: f"F.l1_loss(scores, y{more})",
    "huber": lambda loss, more: f"F.huber_loss(scores, y, delta={literal(loss.delta)}{more})",
    "bce": lambda loss, more: f"F.binary_cross_entropy_with_logits(scores, y{more})",
}
"""The mean loss of `scores` and `y` by name, with arguments more."""
OPTIMIZERS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "sgd": ("SGD", {"momentum": "momentum", "nesterov": "nesterov"}),
    "rmsprop": ("RMSprop", {"alpha": "decay", "eps": "eps"}),
    "adam": ("Adam", {"eps": "eps"}),
    "adamw": ("AdamW", {"eps": "eps"}),
    "adagrad": ("Adagrad", {"eps": "eps"}),
}
"""PyTorch's class of an optimizer, and its arguments by the names of ours."""


def _smoothing(loss: Loss) -> str:
    share = getattr(loss, "label_smoothing", 0.0)
    return f", label_smoothing={literal(share)}" if share else ""


def training_source(subject: Subject, paths: Mapping[str, str]) -> str:
    """The functions `loss`, `make_optimizer` and `training_step`; `paths` are PyTorch's names of the arrays. Raises UsageError for a rule
    that PyTorch has no counterpart of."""
    return "\n\n\n".join([_loss(subject), _optimizer(subject, paths), _step(subject)])


def penalised(subject: Subject) -> bool:
    """Whether l2 is a part of the loss: behind a bound on the gradient, or beside adamw's decay, the optimizer's own is another one."""
    train = subject.program.train
    return bool(train.l2) and (train.clip is not None or train.optimizer.name == "adamw")


def _loss(subject: Subject) -> str:
    graph = subject.graph
    made = LOSSES.get(graph.loss.name)
    if made is None:
        raise UsageError(f"--torch: PyTorch has no counterpart of the loss {graph.loss.name}")
    told = {
        "class": "class numbers (N,)", "binary": "0 and 1, one for each score", "value": "values of the shape of the scores",
    }[graph.loss.target]  # fmt: skip
    lines = [f'    """The mean loss of scores; y holds {told}."""']
    if graph.loss.target != "class":
        lines.append("    y = y.reshape(scores.shape).to(scores.dtype)")
    if subject.class_weights is None or (subject.class_weights == 1).all():
        lines.append(f"    return {made(graph.loss, '')}")
    else:
        rows = made(graph.loss, ', reduction="none"')
        rows = rows if graph.loss.target == "class" else f"{rows}.mean(1)"
        lines.append(f"    weights = scores.new_tensor({literal(subject.class_weights.tolist())})  # of the classes")
        lines.append(f"    return ({rows} * weights[y.reshape(-1).long()]).mean()")
    return "\n".join(["def loss(scores, y):", *lines])


def _optimizer(subject: Subject, paths: Mapping[str, str]) -> str:
    train, graph = subject.program.train, subject.graph
    rule: Any = train.optimizer
    if rule.name not in OPTIMIZERS:
        raise UsageError(f"--torch: PyTorch has no counterpart of the optimizer {rule.name}")
    kind, arguments = OPTIMIZERS[rule.name]
    given = [f"lr={literal(rule.lr)}"]
    if rule.name in ("adam", "adamw"):
        given.append(f"betas={literal((rule.beta1, rule.beta2))}")
    given += [f"{key}={literal(getattr(rule, own))}" for key, own in arguments.items() if getattr(rule, own)]
    decay = rule.weight_decay if rule.name == "adamw" else 0.0 if penalised(subject) else train.l2
    rates = {paths[node.array(key)]: node.lr_scale for node in graph.nodes for key in node.own_parameters if node.lr_scale != 1}
    still = _still(subject, paths)
    lines = ["def make_optimizer(net):", *_told(decay, rule.name, has_schedule=train.schedule is not None or train.lr_decay != 1)]
    if not (rates or decay or still or any(node.frozen for node in graph.nodes)):
        return "\n".join([*lines, wrapped(f"return torch.optim.{kind}(", ["net.parameters()", *given], ")", "    ")])
    lines.append("    trained = {name: parameter for name, parameter in net.named_parameters() if parameter.requires_grad}")
    if still:
        lines.append("    # a bias right before batch normalisation: of its gradient, 0 but for rounding, adam would make steps")
        lines.append(wrapped("for name in (", [literal(name) for name in still], ",):" if len(still) == 1 else "):", "    "))
        lines.append("        trained.pop(name, None)")
    lines += _groups(decay, rates, rule.lr)
    moved = "groups" if decay or rates else "trained.values()"
    return "\n".join([*lines, wrapped(f"return torch.optim.{kind}(", [moved, *given], ")", "    ")])


def _groups(decay: float, rates: Mapping[str, float], lr: float) -> list[str]:
    """Lines that part the trained parameters by what differs: the decay of weights, the factors on the rate of some."""
    if rates:
        parts = ['"params": [parameter]', f'"lr": {literal(lr)} * rates.get(name, 1.0)']
        parts += [f'"weight_decay": {literal(decay)} if parameter.ndim > 1 else 0.0'] if decay else []
        return [
            wrapped("rates = {", [f"{literal(name)}: {literal(rate)}" for name, rate in rates.items()], "}", "    "),
            "    groups = []",
            "    for name, parameter in trained.items():",
            wrapped("groups.append({", parts, "})", "        "),
        ]
    if not decay:
        return []
    return [
        "    weights = [parameter for parameter in trained.values() if parameter.ndim > 1]",
        "    others = [parameter for parameter in trained.values() if parameter.ndim <= 1]",
        f'    groups = [{{"params": weights, "weight_decay": {literal(decay)}}}, {{"params": others, "weight_decay": 0.0}}]',
    ]


def _told(decay: float, name: str, *, has_schedule: bool) -> list[str]:
    """The docstring."""
    share = f"; {'its decay' if name == 'adamw' else 'l2'} is of weights alone, which have more than one axis" if decay else ""
    first = f'    """The spec\'s optimizer{share}.'
    if not has_schedule:
        return [f'{first}"""']
    return [first, "", "    Its rate is the first one; what changes it later is a matter of torch.optim.lr_scheduler.", '    """', ""]


def _still(subject: Subject, paths: Mapping[str, str]) -> list[str]:
    """Biases that a batch normalisation takes away again, wherever they are used."""
    moved: dict[str, bool] = {}
    for node in subject.graph.nodes:
        if "b" in node.parameters:
            name = node.array("b")
            moved[name] = moved.get(name, False) or not subject.graph.bias_is_cancelled(node)
    return [paths[name] for name, is_moved in moved.items() if not is_moved]


def _step(subject: Subject) -> str:
    train = subject.program.train
    without = ", without the l2 that the optimizer adds" if train.l2 and not penalised(subject) else ""
    lines = [
        "def training_step(net, optimizer, x, y):",
        f'    """One update on raw rows x with their y; gives the loss before it{without}."""',
    ]
    lines += ["    net.train()", "    optimizer.zero_grad()", "    value = loss(net(x), y)"]
    if penalised(subject):
        lines.append("    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]")
        lines.append("    penalty = sum(parameter.square().sum() for parameter in trained if parameter.ndim > 1)")
        lines.append(f"    value = value + {literal(0.5 * train.l2)} * penalty  # l2, of weights alone")
    lines.append("    value.backward()")
    clip: Any = train.clip
    if clip is not None and clip.name == "norm":
        lines.append(f"    nn.utils.clip_grad_norm_(net.parameters(), {literal(clip.bound)})")
    elif clip is not None:
        lines.append(f"    nn.utils.clip_grad_value_(net.parameters(), {literal(clip.bound)})")
    return "\n".join([*lines, "    optimizer.step()", "    return value.item()"])
