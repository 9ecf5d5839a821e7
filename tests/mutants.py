"""Every mutant of a template: its function with one thing changed, of the kinds that mutation testing usually changes."""

from __future__ import annotations

import ast
import copy
import inspect
import math
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Change = tuple[str, ast.AST]
EXCHANGED: dict[type[ast.AST], tuple[type[ast.AST], ...]] = {
    ast.Add: (ast.Sub,), ast.Sub: (ast.Add,), ast.Mult: (ast.Div,), ast.Div: (ast.Mult,), ast.FloorDiv: (ast.Mult,),
    ast.Mod: (ast.FloorDiv,), ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt), ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.And: (ast.Or,), ast.Or: (ast.And,),
}  # fmt: skip
BOUNDARY = {(ast.Lt, ast.LtE), (ast.LtE, ast.Lt), (ast.Gt, ast.GtE), (ast.GtE, ast.Gt)}
"""Exchanges of comparisons that differ where both sides are equal, and nowhere else."""


@dataclass(frozen=True)
class Mutant:
    """What was changed, the function, and for a changed boundary the number of the node of its comparison, in the order of a walk."""

    change: str
    function: Callable[..., Any]
    boundary: int | None = None


def tree_of(function: Callable[..., Any]) -> ast.FunctionDef:
    """The template's function without what surrounds it: decorators, annotations."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    found = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    found.decorator_list, found.returns = [], None
    for argument in found.args.args:
        argument.annotation = None
    return found


def made(tree: ast.FunctionDef, **more: Any) -> Callable[..., Any]:
    """The function of a tree, over the names that templates may use, and `more`."""
    names: dict[str, Any] = {"np": np, "math": math, **more}
    module = ast.fix_missing_locations(ast.Module([tree], []))
    exec(compile(module, f"<{tree.name}>", "exec"), names)
    return names[tree.name]  # type: ignore[no-any-return]


def is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


def changes(node: ast.AST, parameters: Sequence[str]) -> Iterator[Change]:
    """Everything that may stand in the place of a node, each with the kind of the change."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in parameters:
        yield from (("name exchanged", ast.Name(other, ast.Load())) for other in parameters if other != node.id)
    match node:
        case ast.BinOp(left=left, op=op, right=right):
            for other in EXCHANGED.get(type(op), ()):
                yield "operator", ast.BinOp(left, other(), right)  # type: ignore[call-arg]
            yield "right term dropped", left
            yield "left term dropped", right
            if isinstance(op, (ast.Sub, ast.Div, ast.FloorDiv, ast.Mod)):
                yield "operands swapped", ast.BinOp(right, op, left)
        case ast.AugAssign(target=target, op=op, value=value):
            for other in EXCHANGED.get(type(op), ()):
                yield "operator", ast.AugAssign(target, other(), value)  # type: ignore[call-arg]
            yield "term dropped", ast.Pass()
            yield "sum forgotten", ast.Assign([target], value, lineno=0)
        case ast.Assign(targets=[target], value=value) if not (is_number(value) or isinstance(value, (ast.Tuple, ast.BoolOp))):
            yield "result forgotten", ast.Assign([target], ast.Constant(0.0), lineno=0)
            yield "sign flipped", ast.Assign([target], ast.UnaryOp(ast.USub(), value), lineno=0)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            for other in EXCHANGED.get(type(op), ()):
                yield "comparison", ast.Compare(left, [other()], [right])  # type: ignore[list-item]
        case ast.BoolOp(op=op, values=values):
            yield "and, or", ast.BoolOp(EXCHANGED[type(op)][0](), values)  # type: ignore[arg-type]
            for place in range(len(values)):
                yield "condition dropped", ast.BoolOp(op, [*values[:place], *values[place + 1 :]])
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield "branches swapped", ast.IfExp(test, orelse, body)
            yield "always", body
            yield "never", orelse
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield "sign flipped", operand
        case ast.Call(func=ast.Name(id=("min" | "max") as name), args=given):
            yield "min, max", ast.Call(ast.Name("max" if name == "min" else "min", ast.Load()), given, [])
            for one in given:
                yield "bound dropped", one
        case ast.Call(args=[only]) if not isinstance(node.func, ast.Name):
            yield "function dropped", only
        case ast.Return(value=ast.Tuple(elts=[first, *others])):
            yield "sign flipped", ast.Return(ast.Tuple([ast.UnaryOp(ast.USub(), first), *others], ast.Load()))
        case ast.Return(value=ast.expr() as value) if not is_number(value):
            yield "sign flipped", ast.Return(ast.UnaryOp(ast.USub(), value))
    if isinstance(node, ast.Constant) and is_number(node):
        yield "constant + 1", ast.Constant(node.value + 1)  # type: ignore[operator]
        if node.value != 0:
            yield "constant 0", ast.Constant(type(node.value)(0))  # type: ignore[call-arg]


def parameters_of(tree: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in tree.args.args]


class _Put(ast.NodeTransformer):
    """One node in the place of another."""

    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


def with_change(tree: ast.FunctionDef, number: int, place: int) -> tuple[ast.FunctionDef, ast.AST, Change]:
    """A copy of the tree with the change `place` of the node `number`; the node, and the change."""
    whole = copy.deepcopy(tree)
    node = list(ast.walk(whole))[number]
    change = list(changes(node, parameters_of(tree)))[place]
    before = copy.deepcopy(node)
    return _Put(node, change[1]).visit(whole), before, change


def mutants(function: Callable[..., Any]) -> Iterator[Mutant]:
    """Each change of each node of a template, one at a time; `size` is asked of the arrays of a row alike, which are of one length."""
    tree = tree_of(function)
    sized = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "size"}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in sized:
            continue
        for place, _ in enumerate(changes(node, parameters_of(tree))):
            mutated, before, (kind, after) = with_change(tree, number, place)
            boundary = isinstance(before, ast.Compare) and isinstance(after, ast.Compare)
            at = number if boundary and (type(before.ops[0]), type(after.ops[0])) in BOUNDARY else None  # type: ignore[attr-defined]
            yield Mutant(f"{kind}: {ast.unparse(before)} -> {ast.unparse(after)}", made(mutated), at)


def decided(function: Callable[..., Any], number: int, answer: bool) -> tuple[Callable[..., Any], list[bool]]:
    """A template whose comparison `number` comes out as `answer` where its two sides are equal; and a list that it appends True to each
    time that they were."""
    tree = tree_of(function)
    node = list(ast.walk(tree))[number]
    assert isinstance(node, ast.Compare)
    equal: list[bool] = []

    def ask(left: Any, right: Any, written: Any) -> Any:
        if left != right:
            return written
        equal.append(True)
        return answer

    question = ast.Call(ast.Name("_ask", ast.Load()), [node.left, node.comparators[0], copy.deepcopy(node)], [])
    return made(_Put(node, question).visit(tree), _ask=ask), equal
