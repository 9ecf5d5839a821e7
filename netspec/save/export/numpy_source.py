"""A net as one Python file that needs NumPy alone: the layers as functions, the net as one function, the weights at its end."""

from __future__ import annotations

import ast
import base64
import inspect
import io
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netspec.base.errors import UsageError
from netspec.base.shape import show, size
from netspec.graph.graph import Node
from netspec.save.export.numpy_layers import LAYERS, NEEDS, OPERATORS
from netspec.save.export.subject import Subject
from netspec.save.export.table_source import columns_source, spread_source
from netspec.save.export.torch_calls import is_of_catalogue
from netspec.save.export.words import docstring, literal, shorten

MOST_BYTES = 256 << 20
"""Of weights within a source file."""
COLUMNS = 120
VARIABLES = ("x", "y", "z", "u", "v", "w")
STATISTICS = ("normalization.shift", "normalization.scale")
MAIN = '''def read(path):
    """Rows of an .npy file, or of a .csv file{what}."""
    if path.endswith(".npy"):
        return np.load(path, allow_pickle=False)
    with open(path, newline="", encoding="utf-8") as stream:
        reader = csv.reader(stream)
        lines = [(reader.line_num, row) for row in reader if row]
    rows = [row for _, row in lines]
    for number, row in lines:
        if len(row) != len(rows[0]):
            raise ValueError(f"line {{number}} and the first line have {{len(row)}} and {{len(rows[0])}} cells")
{body}


def main(words):
    """Predictions for the rows of a file, a line for each."""
    usage = {usage}
    if words in (["-h"], ["--help"]):
        print(usage)
        return
    if len(words) != 1:
        sys.exit(usage)
    try:
        answers = predict(read(words[0]))
    except (OSError, ValueError, EOFError, csv.Error) as error:
        sys.exit(f"{{words[0]}}: {{getattr(error, 'strerror', None) or error}}")
    sys.stdout.reconfigure(errors="backslashreplace")  # labels with letters that the terminal's encoding lacks
    try:
        for answer in answers:
            print(*np.ravel(answer))
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())'''
PLAIN_BODY = """    if rows and not all(is_number(cell) for cell in rows[0]):
        rows = rows[1:]  # names of columns
    return np.array(rows, dtype=np.float64)


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True"""
NAMED_BODY = """    names = [name for name, _ in COLUMNS]
    missing = [name for name in names if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"there is no column {', '.join(missing)}")
    places = [rows[0].index(name) for name in names]
    return [[row[place] for place in places] for row in rows[1:]]"""


def numpy_source(subject: Subject, name: str) -> str:
    """The file, whose name is `name`. Raises UsageError for a layer of one's own, and for weights too many for text."""
    arrays = _arrays(subject)
    size = sum(array.nbytes for array in arrays.values())
    if size > MOST_BYTES:
        raise UsageError(
            f"--numpy: the weights take {size >> 20} MiB, and the text of one file at most {MOST_BYTES >> 20} MiB; "
            "--onnx and --torch take them"
        )
    functions, lines = _net(subject)
    table = subject.columns is not None and all(column.named for column in subject.columns)
    what = ", by the names of its columns" if table else ", with or without names of columns"
    main = MAIN.format(what=what, usage=literal(f"usage: python {name} ROWS.npy|ROWS.csv"), body=NAMED_BODY if table else PLAIN_BODY)
    constants = [f"CLASSES = np.array({literal(list(subject.labels))})"] if subject.labels is not None else []
    constants += [columns_source(subject).rstrip("\n")] if subject.columns is not None else []
    spread = [spread_source("np.array", "np.float64")] if subject.category_texts else []
    libraries = ["base64", "csv", "io", *(["math"] if "gelu" in functions else []), "os", "sys"]
    imports = [*(f"import {one}" for one in libraries), "", "import numpy as np"]
    head = "\n".join([docstring(_described(subject, name)), "", *imports, *(["", *constants] if constants else [])])
    own = [_plain(function) for function in functions.values()]
    body = [*own, *spread, _prepare(subject), "\n".join(lines), *_answers(subject), main, WEIGHTS.format(text=_encoded(arrays))]
    return "\n\n\n".join([head, *body]) + "\n"


WEIGHTS = '''def load(text):
    """Arrays by name, of an .npz file in base64."""
    with np.load(io.BytesIO(base64.b64decode(text)), allow_pickle=False) as stored:
        return {{name: stored[name] for name in stored}}


P = load("""
{text}
""")

if __name__ == "__main__":
    main(sys.argv[1:])'''


def _arrays(subject: Subject) -> dict[str, NDArray[Any]]:
    arrays = {name: np.ascontiguousarray(array) for name, array in subject.arrays.items()}
    if subject.shift is not None and subject.scale is not None:
        arrays |= dict(zip(STATISTICS, (subject.shift, subject.scale), strict=True))
    return arrays


def _encoded(arrays: dict[str, NDArray[Any]]) -> str:
    stream = io.BytesIO()
    np.savez(stream, allow_pickle=False, **arrays)
    text = base64.b64encode(stream.getvalue()).decode()
    return "\n".join(text[start : start + COLUMNS] for start in range(0, len(text), COLUMNS))


def _described(subject: Subject, name: str) -> str:
    module = name.removesuffix(".py")
    graph = subject.graph
    return "\n".join(
        [
            f"{subject.title}: a net in NumPy, from {show(subject.row)} to {show(graph.output.shape)}, for the head {graph.head.name}.",
            "",
            f"Written by netspec {subject.version} for this spec:",
            "",
            *(f"    {line}" if line else "" for line in subject.program.resolved.rstrip("\n").split("\n")),
            "",
            f"`from {module} import predict` in Python, `python {name} rows.csv` on the command line. Rows go in as they are.",
            "",
        ]
    )


def _plain(function: Callable[..., Any]) -> str:
    """The source of one of our functions, without its annotations."""
    source = textwrap.dedent(inspect.getsource(function)).rstrip("\n")
    made = ast.parse(source).body[0]
    assert isinstance(made, ast.FunctionDef)
    body = source.split("\n")[made.body[0].lineno - 1 :]
    made.returns = None
    for argument in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs, *filter(None, [made.args.vararg])):
        argument.annotation = None
    return "\n".join([f"def {made.name}({ast.unparse(made.args)}):", *body])


def _net(subject: Subject) -> tuple[dict[str, Callable[..., Any]], list[str]]:
    """The functions that are needed, and the lines of the one that computes the scores."""
    graph = subject.graph
    functions: dict[str, Callable[..., Any]] = {}
    last = {value.index: place for place, node in enumerate(graph.nodes) for value in node.inputs}
    last[graph.output.index] = len(graph.nodes)
    variables, body = {graph.input.index: "x"}, list[str]()
    for place, node in enumerate(graph.nodes):
        reads = [value.index for value in node.inputs]
        taken = [variables[read] for read in reads]
        text = _expression(node, taken, functions)
        for read in dict.fromkeys(reads):
            if last[read] == place:
                del variables[read]
        if text == taken[0]:  # what gives what it takes
            variables[node.output.index] = taken[0]
            continue
        used = set(variables.values())
        names = (*taken, *VARIABLES, *(f"v{number}" for number in range(1, len(used) + 2)))
        variables[node.output.index] = next(name for name in names if name not in used)
        body.append(f"{variables[node.output.index]} = {text}")
    body.append(f"return {variables[graph.output.index]}")
    shorten(body)
    shape = ", ".join(map(str, graph.output.shape))
    told = f'    """What the net gives for rows (N, ...) that are prepared: (N, {shape})."""'
    return functions, ["def scores(x):", told, *(f"    {line}" for line in body)]


def _expression(node: Node, taken: Sequence[str], functions: dict[str, Callable[..., Any]]) -> str:
    kind = node.layer.name
    if kind not in (*OPERATORS, *LAYERS) or not is_of_catalogue(node):
        raise UsageError(
            f"--numpy: {node.name}: the layer {kind} is none of the catalogue's, and source of your own is not copied; "
            "--onnx takes it, for a layer of your own declares its ONNX form"
        )
    if kind in OPERATORS:
        return OPERATORS[kind].join(taken)
    function, arguments = LAYERS[kind]
    if function is None or node.is_nothing:
        return taken[0]
    for needed in (*NEEDS.get(function.__name__, ()), function):
        functions[needed.__name__] = needed
    arrays = [f"P[{literal(node.array(key))}]" + (".T" if node.turned and key == "W" else "") for key in (*node.parameters, *node.state)]
    more = [f"{key}={literal(value)}" for key, value in arguments(node).items()]
    return f"{function.__name__}({', '.join([*taken, *arrays, *more])})"


def _prepare(subject: Subject) -> str:
    lines = ["def prepare(rows):", '    """Raw rows as the net reads them."""']
    if subject.features is not None:
        lines.append('    if hasattr(rows, "columns"):  # a table of pandas or polars, whose columns go by their names')
        lines.append("        rows = rows[[name for name, _ in COLUMNS]].to_numpy()")
    if subject.category_texts:
        lines.append('    rows = rows if hasattr(rows, "dtype") and rows.dtype.kind in "buif" else spread(rows)')
    lines.append("    x = np.asarray(rows, dtype=np.float64)")
    is_vector = len(subject.row) == 1
    wanted = f"!= {literal(subject.row)}" if is_vector else f"not in {literal((subject.row, (size(subject.row),)))}"
    lines.append(f"    if x.shape[1:] {wanted}:")
    lines.append(f'        raise ValueError(f"rows of {{x.shape[1:]}}, and the net takes {show(subject.row)}")')
    lines.append("    lacking = np.argwhere(~np.isfinite(x))")
    lines.append("    if len(lacking):")
    lines.append('        raise ValueError(f"row {lacking[0, 0]}: {x[tuple(lacking[0])]} is no finite number")')
    lines += [] if is_vector else [f"    x = x.reshape({literal((-1, *subject.row))})"]
    if subject.flattens:
        lines.append("    x = x.reshape(len(x), -1)")
    if subject.shift is not None:
        lines.append(f"    x = (x - P[{literal(STATISTICS[0])}]) / P[{literal(STATISTICS[1])}]")
    return "\n".join([*lines, f"    return x.astype(np.{subject.dtype})"])


def _answers(subject: Subject) -> list[str]:
    """`all_scores`, `predict`, and `predict_proba` where the head has probabilities."""
    head = subject.graph.head
    found = [
        '''def all_scores(rows, batch=1000):
    """Scores of raw rows, some at a time."""
    x = prepare(rows)
    parts = [scores(x[start : start + batch]) for start in range(0, max(len(x), 1), batch)]
    return np.concatenate(parts)'''
    ]
    named = "CLASSES[{}]" if subject.labels is not None else "{}"
    single = head.target == "binary" and not subject.several_answers
    answer, told = {
        "class": (named.format("all_scores(rows).argmax(axis=1)"), "The class (N,) of each raw row"),
        "binary": (named.format(f"(all_scores(rows) > 0).astype(int){'[:, 0]' if single else ''}"), "0 or 1 for each raw row"),
        "value": (f"all_scores(rows){'[:, 0]' if subject.graph.output.shape == (1,) else ''}", "Values for raw rows"),
    }[head.target]
    told = told if subject.labels is None else "The label (N,) of each raw row"
    found.append(f'def predict(rows):\n    """{told}."""\n    return {answer}')
    if not head.has_probabilities:
        return found
    lines = ["def predict_proba(rows):", '    """Probabilities of raw rows, in float64."""', "    s = all_scores(rows).astype(np.float64)"]
    if head.target == "class":
        lines += ["    powers = np.exp(s - s.max(axis=1, keepdims=True))", "    return powers / powers.sum(axis=1, keepdims=True)"]
    else:
        lines += ["    s = np.hstack([-s, s])"] if single else []
        lines += ["    small = np.exp(-np.abs(s))", "    return np.where(s >= 0, 1, small) / (1 + small)"]
    return [*found, "\n".join(lines)]
