"""Templates of the catalogue as kernel source: the function's text with every literal typed and its functions mapped to fast ones.

Only source of Python functions goes through here, never text of a spec; numbers of a spec reach kernels as words.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from netspec.base.errors import UsageError

ALLOWED = {"np", "math", "range", "min", "max", "abs", "len"}
FAST = {"exp", "expm1", "log", "log1p", "tanh", "erf"}
"""Functions of `np` (erf: of `math`) that kernels have their own form of, in functions.py for float32 and in f64.py."""


@dataclass(frozen=True)
class Template:
    """A function for kernels: its name, its parameters, and its source."""

    name: str
    parameters: tuple[str, ...]
    source: str

    def call(self, values: dict[str, str]) -> str:
        """The call, with an expression for each parameter."""
        return f"{self.name}({', '.join(values[parameter] for parameter in self.parameters)})"


class _Typed(ast.NodeTransformer):
    def __init__(self, integers: bool) -> None:
        self.integers = integers

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        kinds = (int, float) if self.integers else (float,)
        if isinstance(node.value, kinds) and not isinstance(node.value, bool):
            return ast.Call(ast.Name("F", ast.Load()), [node], [])
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if isinstance(node.value, ast.Name) and node.value.id in {"np", "math"}:
            if node.attr in FAST:
                return ast.Name(node.attr, ast.Load())
            if node.attr in {"inf", "nan", "pi"}:
                return ast.Call(ast.Name("F", ast.Load()), [node], [])
        return self.generic_visit(node)


def _names(tree: ast.FunctionDef) -> tuple[set[str], set[str]]:
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    written = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return read, written | {argument.arg for argument in tree.args.args}


@cache
def template(function: Callable[..., Any], name: str, integers: bool = True) -> Template:
    """The kernel form of a template. With `integers` whole-number literals are typed too (templates on scalars, which index nothing);
    without, it is a template on a row, whose sums may be taken in another order.

    Raises TypeError for one that uses names from outside, UsageError for one that stands in no file.
    """
    try:
        text = textwrap.dedent(inspect.getsource(function))
    except OSError:
        raise UsageError(
            f"{function.__qualname__}: its source cannot be read, as when it is typed into a console; write its class into a file"
        ) from None
    tree = next(node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef))
    tree.decorator_list, tree.returns, tree.name = [], None, name
    for argument in tree.args.args:
        argument.annotation = None
    if tree.body and isinstance(tree.body[0], ast.Expr) and isinstance(tree.body[0].value, ast.Constant):
        tree.body = tree.body[1:]
    read, own = _names(tree)
    foreign = sorted(read - own - ALLOWED)
    if foreign:
        raise TypeError(f"template {name} uses {', '.join(foreign)}: only its parameters, np and math may appear in it")
    parameters = tuple(argument.arg for argument in tree.args.args)
    typed = ast.fix_missing_locations(_Typed(integers).visit(tree))
    return Template(name, parameters, f"@njit(**{'ELEMENT' if integers else 'ROW'})\n{ast.unparse(typed)}\n")
