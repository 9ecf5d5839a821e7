"""PyTorch's printed modules, `print(model)`: the text of a `Sequential`, read by a grammar and never evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, VisitError

from netspec.base.errors import DataError
from netspec.frontend.convert.config import Config
from netspec.frontend.convert.rows import Row, Sides
from netspec.frontend.convert.sketch import INPUT, Made, NoChain, Sketch, Step
from netspec.frontend.convert.torch_layers import MODULES, NOT_PRINTED, operation, takes

GRAMMAR = r"""
module: NAME "(" [_item (","? _item)* ","?] ")"
_item: child | keyword | value
child: CHILD [COUNT] module
keyword: NAME "=" value
?value: number | word | text | tuple | list | call
number: NUMBER
word: NAME
text: STRING
tuple: "(" [value ("," value)* ","?] ")"
list: "[" [value ("," value)* ","?] "]"
call: NAME "(" [value ("," value)* ","?] ")"
CHILD.3: /\([A-Za-z0-9_.\-]+\):/
COUNT.3: /[0-9]+ x /
NUMBER.2: /[+-]?([0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?|inf|nan)(?!\w)/
NAME: /[A-Za-z_][\w.]*/
STRING: /'[^'\n]*'|"[^"\n]*"/
%ignore /\s+/
"""
MOST_NESTING = 60
MOST_MODULES = 5000
THROUGH = ("DataParallel", "DistributedDataParallel", "OptimizedModule")
"""Modules around another one that change nothing of what it computes."""
SEQUENCES = ("Sequential", "Conv2dNormActivation")
"""Modules that hand rows from each part to the next."""
RESHAPES = ("Flatten", "Unflatten")
"""Modules behind which rows have other channels than before."""


@dataclass(frozen=True)
class Module:
    """One printed module. `arguments` are those without a key, `children` its parts with their names."""

    name: str
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    children: tuple[tuple[str, Module], ...]

    @cached_property
    def count(self) -> int:
        """Modules in all, itself among them."""
        return 1 + sum(child.count for _, child in self.children)


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """The parser's tree as modules and Python's plain values."""

    def module(self, name: Token, *items: Any) -> Module:
        found = [item for item in items if item is not None]
        children = [part for item in found if isinstance(item, _Child) for part in item.parts]
        keywords = {item.key: item.value for item in found if isinstance(item, _Keyword)}
        plain = [item for item in found if not isinstance(item, (_Child, _Keyword))]
        made = Module(str(name), tuple(plain), keywords, tuple(children))
        if made.count > MOST_MODULES:
            raise NoChain(f"it has more than {MOST_MODULES} modules")
        return made

    def child(self, key: Token, count: Token | None, module: Module) -> _Child:
        name, times = key[1:-2], int(count.split()[0]) if count is not None else 1
        if times * module.count > MOST_MODULES:
            raise NoChain(f"it has more than {MOST_MODULES} modules")
        return _Child(tuple((name if times == 1 else f"{name}:{number}", module) for number in range(times)))

    def keyword(self, key: Token, value: Any) -> _Keyword:
        return _Keyword(str(key), value)

    def number(self, text: Token) -> int | float:
        return int(text) if text.lstrip("+-").isdigit() and len(text) < 20 else float(text)

    def word(self, name: Token) -> Any:
        return {"True": True, "False": False, "None": None}.get(str(name), str(name))

    def text(self, quoted: Token) -> str:
        return quoted[1:-1]

    def tuple(self, *values: Any) -> list[Any]:
        return [value for value in values if value is not None or len(values) > 1]

    def list(self, *values: Any) -> list[Any]:
        return self.tuple(*values)

    def call(self, _name: Token, *values: Any) -> Any:
        inner = [value for value in values if value is not None]
        return inner[0] if len(inner) == 1 else inner


@dataclass(frozen=True)
class _Child:
    parts: tuple[tuple[str, Module], ...]


@dataclass(frozen=True)
class _Keyword:
    key: str
    value: Any


@cache
def _parser() -> Lark:
    return Lark(GRAMMAR, parser="lalr", start="module", maybe_placeholders=True)


def parse_module(text: str, name: str) -> Module:
    """The module that a text prints. Raises DataError with line and column where it is none."""
    depth = 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if depth > MOST_NESTING:
            raise DataError(f"{name}: brackets lie more than {MOST_NESTING} deep in each other")
    try:
        return _Build().transform(_parser().parse(text))  # type: ignore[no-any-return]
    except UnexpectedInput as error:
        raise DataError(_unexpected(text, name, error)) from None
    except VisitError as error:
        if isinstance(error.orig_exc, NoChain):
            raise error.orig_exc from None
        raise DataError(f"{name}: is no printed module of PyTorch") from None


def _unexpected(text: str, name: str, error: UnexpectedInput) -> str:
    advice = "of PyTorch what print(model) writes for a torch.nn.Sequential is needed, from its first word to its last bracket; of Keras "
    advice += "the JSON of model.to_json()"
    line, column = error.line, error.column
    if line is None or line < 1 or getattr(getattr(error, "token", None), "type", "") == "$END":
        return f"{name}: ends within a module, where a bracket is missing; {advice}"
    shown = text.split("\n")[line - 1].strip()[:100]
    return f"{name}: line {line}, column {column}: cannot be read as a printed module: {shown!r}; {advice}"


def read_torch(text: str, name: str) -> Sketch:
    """The sketch of a printed `Sequential`. Raises DataError for another text, NoChain for a module whose forward is not printed."""
    module = parse_module(text, name)
    while module.name in THROUGH and len(module.children) == 1:
        module = module.children[0][1]
    if module.name not in SEQUENCES and module.children:
        raise NoChain(
            f"{module.name} is a module of its own: what is printed lists its parts, and not what `forward` does with them. Print a "
            "torch.nn.Sequential of the parts, or save torch.export.export(model, (x,)) with torch.export.save to a .pt2 file"
        )
    steps: list[Step] = []
    _add(module, "", INPUT, name, steps)
    output = steps[-1].name if steps else INPUT
    paths = tuple(step.place.removeprefix("(").removesuffix(")") for step in steps)
    return Sketch("PyTorch", f"PyTorch, a printed {module.name}", tuple(steps), output, _input(module), modules=paths)


def _add(module: Module, path: str, value: str, name: str, steps: list[Step]) -> str:
    """Adds the steps of a module that reads `value`, and gives the name of what it gives."""
    while module.name in THROUGH and len(module.children) == 1:
        module = module.children[0][1]
    if module.name in SEQUENCES:
        for key, child in module.children:
            value = _add(child, f"{path}.{key}" if path else key, value, name, steps)
        return value
    if len(steps) > MOST_MODULES:
        raise NoChain(f"it has more than {MOST_MODULES} modules")
    place = f"({path})" if path else "the module"
    config = Config(named(module), f"{name}: {place} {module.name}")

    def own(rows: Sequence[Row]) -> Made:
        found = operation(module.name, config, rows, composed=bool(module.children))
        hidden = NOT_PRINTED.get(module.name)
        return found if hidden is None else replace(found, notes=(*found.notes, hidden))

    own_name = f"m{len(steps)}"  # a text may have a path twice, though no module has
    steps.append(Step(own_name, place, words_of(module), own, (value,)))
    return own_name


def words_of(module: Module) -> str:
    """`Linear(784, 128)`: the module with its first arguments."""
    values = [*module.arguments, *(value for value in module.keywords.values() if type(value) in (int, float))]
    return f"{module.name}({', '.join(map(_shown, values[:2]))})"


def _shown(value: Any) -> str:
    return "(" + ", ".join(map(_shown, value)) + ")" if isinstance(value, list) else str(value)


def named(module: Module) -> dict[str, Any]:
    """The arguments by name; those without a key go by the names that the module takes them by."""
    return {**dict(zip(takes(module.name), module.arguments, strict=False)), **module.keywords}


def _input(module: Module) -> Sides | None:
    """What the first module with weights says of the rows: (D,), or (C, H, W) with unknown sides."""
    for one in _leaves(module):
        config = named(one)
        if one.name in ("Linear", "LazyLinear", "BatchNorm1d"):
            features = config.get("in_features", config.get("num_features"))
            return (features,) if type(features) is int and features > 0 else None
        if one.name in ("Conv2d", "BatchNorm2d"):
            channels = config.get("in_channels", config.get("num_features"))
            return (channels, None, None) if type(channels) is int and channels > 0 else None
        if one.name not in MODULES or one.name in RESHAPES:
            return None
    return None


def _leaves(module: Module) -> list[Module]:
    """The modules in their order; of one whose forward is not printed the module itself."""
    if module.name not in (*SEQUENCES, *THROUGH):
        return [module]
    return [leaf for _, child in module.children for leaf in _leaves(child)]
