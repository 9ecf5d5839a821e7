"""A walk over a module's syntax tree for constructs by which a file or a text could run something, or reach what it should not."""

from __future__ import annotations

import ast
from collections.abc import Iterator

MODULES = {
    "unpickles": {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "copyreg", "yaml"},
    "runs text as code": {"builtins", "code", "codeop", "runpy", "imp", "zipimport", "pty"},
    "starts processes": {"subprocess", "multiprocessing", "_posixsubprocess"},
    "reaches the network": {
        "socket", "socketserver", "ssl", "select", "urllib", "urllib3", "http", "requests", "httpx", "aiohttp", "websockets", "xmlrpc",
        "ftplib", "smtplib", "poplib", "imaplib", "nntplib", "telnetlib", "webbrowser", "fsspec",
    },
    "calls machine code": {"ctypes", "_ctypes", "cffi"},
    "waits for events": {"asyncio"},
    "is not a dependency": {"scipy"},
}  # fmt: skip
"""Modules by what they could do; where one is needed, the test's list names the place and the reason."""

BUILTINS = {"eval", "exec", "compile", "__import__", "breakpoint", "__builtins__", "__loader__"}
ATTRIBUTES = {
    **dict.fromkeys(("system", "popen", "startfile", "fork", "forkpty", "posix_spawn", "posix_spawnp"), ("os",)),
    **dict.fromkeys((f"{how}{kind}" for how in ("exec", "spawn") for kind in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")), ("os",)),
    "mktemp": ("tempfile",), "CodeType": ("types",), "FunctionType": ("types",), "ctypeslib": ("numpy",),
}  # fmt: skip
"""Functions of modules, by name."""
METHODS = {
    "read_pickle",
    "to_pickle",
    "extract",
    "extractall",
    "start_tcp",
    "start_ws",
    "create_subprocess_exec",
    "create_subprocess_shell",
}
"""Methods whose names say enough, whatever they are called on."""
LOADERS = {"spec_from_file_location", "spec_from_loader", "module_from_spec", "exec_module", "load_module", "SourceFileLoader"}
IMPORTERS = {"import_module", "library", "tool", "installed", "find_spec"}
PARSERS_OF_XML = {"etree", "dom", "expat", "parsers", "minidom", "pulldom", "make_parser"}


Names = dict[str, str]
"""What names stand for, by imports: `{"np": "numpy", "load": "numpy.load"}`."""


def imports(tree: ast.Module) -> Names:
    """The names of a module's imports; np is NumPy wherever it comes from."""
    names = {"np": "numpy"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.asname: alias.name for alias in node.names if alias.asname}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def root(node: ast.expr, names: Names) -> str:
    """`a.b.c` of the function of `a.b.c(...)`, as text, with what its first name stands for; empty for what is no dotted name."""
    if not isinstance(node, (ast.Name, ast.Attribute)):
        return ""
    first, *others = ast.unparse(node).split(".")
    return ".".join([names.get(first, first), *others])


def bound(tree: ast.Module) -> set[str]:
    """Names that the module itself defines or imports at its top: they are no builtins there."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "netspec":
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def is_constant(node: ast.expr | None, *values: object) -> bool:
    return isinstance(node, ast.Constant) and any(node.value is value for value in values)


def of_imports(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        modules = [alias.name for alias in node.names]
    else:
        modules = [node.module or ""]
        for alias in node.names:
            if node.module in ATTRIBUTES.get(alias.name, ()) or alias.name in LOADERS:
                yield f"{node.module}.{alias.name}"
    for module in modules:
        parts = module.split(".")
        yield from (parts[0] for names in MODULES.values() if parts[0] in names)
        if parts[0] == "xml" and PARSERS_OF_XML.intersection(parts):
            yield module


def of_call(node: ast.Call, names: Names) -> Iterator[str]:
    called, named = root(node.func, names), {word.arg: word.value for word in node.keywords}
    last = called.split(".")[-1]
    if called == "numpy.load" and not is_constant(named.get("allow_pickle"), False):
        yield "np.load that may unpickle"
    elif "allow_pickle" in named and not is_constant(named["allow_pickle"], False):
        yield "allow_pickle"
    if called == "torch.load":
        yield "torch.load"
    if "shell" in named and not is_constant(named["shell"], False):
        yield "shell"
    if "cache" in named:  # lark's and numba's are pickles
        yield "cache="
    if last in IMPORTERS and not (node.args and isinstance(node.args[0], ast.Constant)):
        yield f"{last} of a computed name"
    if last == "getattr" and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
        yield from (f"getattr {node.args[1].value}" for known in (ATTRIBUTES, METHODS, BUILTINS) if node.args[1].value in known)


def offences(text: str) -> list[str]:
    """What stands in a module's text that a trusted module does not have; in the order of the text."""
    tree = ast.parse(text)
    own, names, found = bound(tree), imports(tree), []
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                found += list(of_imports(node))
            case ast.Call():
                found += list(of_call(node, names))
            case ast.Name(id=name, ctx=ast.Load()) if name in BUILTINS - own:
                found.append(name)
            case ast.Attribute(attr=name, value=value):
                if root(value, names) in ATTRIBUTES.get(name, ()) or name in METHODS:
                    found.append(f"{root(value, names)}.{name}")
                elif name in LOADERS:
                    found.append(name)
            case ast.Dict(keys=keys, values=values):
                found += ["cache=" for key, value in zip(keys, values, strict=True) if is_constant(value, True) and _says(key, "cache")]
    return found


def _says(key: ast.expr | None, word: str) -> bool:
    return isinstance(key, ast.Constant) and key.value == word


def imported_by_name(text: str) -> set[str]:
    """The modules that a module imports by constant names: libraries of extras, and its own."""
    tree = ast.parse(text)
    from_extras = any(isinstance(node, ast.ImportFrom) and node.module == "netspec.base.extras" for node in ast.walk(tree))
    functions = {"import_module", "importlib.import_module", *(("library", "tool", "installed") if from_extras else ())}
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and root(node.func, {}) in functions and node.args]
    return {str(call.args[0].value) for call in calls if isinstance(call.args[0], ast.Constant)}
