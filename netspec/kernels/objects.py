"""Compiled kernels as bytes: machine code out of numba, into a file, and back into memory without numba's compiler.

A file is the sha256 of its kernel's name and of what follows: a line of JSON (for each function its name, its symbol and the bytes of its
object; the symbols that they need from outside), then the objects. It holds no pickle: reading a damaged one, or one of another name,
raises ValueError. Damaged machine code could end the process, so none is run before the sum is right; that takes 5 microseconds for most
kernels, 70 for the largest. What a whole file says is run, so it must come from a folder that is the user's alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import registry
from numba.core.runtime import _nrt_python

DIGEST_BYTES = 64
RELOCATIONS = {"x86": "static", "ppc": "pic"}  # by the target's first letters; the code is compiled for these
_engines: list[Any] = []  # they own the memory that the code lies in
_lock = threading.Lock()


@dataclass(frozen=True)
class Compiled:
    """The functions of a kernel module, (name, symbol, object) each, and the symbols that they need from outside."""

    functions: tuple[tuple[str, str, bytes], ...]
    externals: tuple[str, ...]

    def to_bytes(self, name: str) -> bytes:
        """As the file of that kernel."""
        rows = [(name, symbol, len(code)) for name, symbol, code in self.functions]
        head = json.dumps({"functions": rows, "externals": self.externals}).encode() + b"\n"
        body = head + b"".join(code for _, _, code in self.functions)
        return _digest(name, body) + body


def _digest(name: str, body: bytes) -> bytes:
    digest = hashlib.sha256(name.encode() + b"\n")
    digest.update(body)
    return digest.hexdigest().encode()


def from_bytes(content: bytes, name: str) -> Compiled:
    """What `Compiled.to_bytes` made for that kernel. Raises ValueError for anything else."""
    digest, body = content[:DIGEST_BYTES], content[DIGEST_BYTES:]
    if _digest(name, body) != digest:
        raise ValueError("its checksum is wrong")
    end = body.index(b"\n") + 1
    head = json.loads(body[:end])
    functions = []
    for name, symbol, size in head["functions"]:
        functions.append((name, symbol, body[end : end + size]))
        end += size
    return Compiled(tuple(functions), tuple(head["externals"]))


def from_module(module: ModuleType) -> Compiled:
    """The machine code of a module's cfuncs, as numba compiled it a moment ago."""
    functions, externals = [], set()
    for name, function in vars(module).items():
        if hasattr(function, "native_name"):
            library = function._library
            functions.append((name, function.native_name, bytes(library._get_compiled_object())))
            outside = [*library._final_module.functions, *library._final_module.global_variables]
            externals |= {value.name for value in outside if value.is_declaration and not value.name.startswith("llvm.")}
    return Compiled(tuple(functions), tuple(sorted(externals)))


def link(compiled: Compiled) -> dict[str, int]:
    """The functions' addresses by name, in memory of this process. Raises ImportError where it lacks a symbol that they need."""
    with _lock:
        llvm.initialize_native_target()  # numba does, when it first compiles
        llvm.initialize_native_asmprinter()
        _provide(compiled.externals)
        target = llvm.Target.from_triple(llvm.get_process_triple())
        relocation = next((kind for start, kind in RELOCATIONS.items() if target.name.startswith(start)), "default")
        machine = target.create_target_machine(reloc=relocation, codemodel="jitdefault", jit=True)
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
        for _, _, code in compiled.functions:
            engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        addresses = {name: int(engine.get_function_address(symbol)) for name, symbol, _ in compiled.functions}
        if not all(addresses.values()):
            raise ImportError("a kernel's symbol is not in its object")
        _engines.append(engine)
        return addresses


def _after_fork() -> None:
    """Another thread of the parent may have held it, and does not exist here."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _lacking(names: Iterable[str]) -> list[str]:
    return [name for name in names if not llvm.address_of_symbol(name)]


def _provide(names: Iterable[str]) -> None:
    """Makes symbols of Python, libm and numba known to the linker. Registering all of numba's types takes 0.2 s and is the last resort."""
    lacking = _lacking(names)
    if not lacking:
        return
    context = registry.cpu_target.target_context  # knows Python's, libm's and numba's own
    for name in lacking:
        address = _nrt_python.c_helpers.get(name.removeprefix("NRT_"))
        if name.startswith("NRT_") and address:
            llvm.add_symbol(name, address)
    if _lacking(lacking):
        numba.get_num_threads()  # starts the thread pool, whose functions are symbols too
    if _lacking(lacking):
        context.refresh()
    lacking = _lacking(lacking)
    if lacking:
        raise ImportError(f"no symbol {', '.join(lacking)}")
