"""The innermost loops of a compiled kernel: what they compute on single floats, and what LLVM noted of them; its packed instructions."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from netspec.kernels import f32

# on some CPUs with 64-byte registers LLVM prefers those of 32 bytes
PACKED = r"%[xyz]mm\d" if f32.SIMD.width == 16 else r"%[yz]mm\d"
ARITHMETIC = re.compile(rf"^\s+v?(?:add|sub|mul|div|sqrt|max|min|fn?m(?:add|sub)\d*|cmp\w*)p[sd]\s.*{PACKED}", re.MULTILINE)
OF_FLOAT = re.compile(r"= (?:fadd|fsub|fmul|fdiv|fneg|fcmp)\b[\w ]* (?:float|double) ")
SLOW = re.compile(
    r"= (?:fdiv|bitcast)\b|@sqrtf?\(|@llvm\.(?!fabs|fmuladd|assume|copysign|minnum|maxnum)"
)  # functions work on a float's bits
FUNCTION_OF_FLOAT = re.compile(r"@sqrtf?\(|@llvm\.(\w+)[\w.]*\.f(?:32|64)\(")


@dataclass(frozen=True)
class Loop:
    """A loop that has none inside, in optimised code."""

    function: str
    label: str
    lines: tuple[str, ...]
    notes: frozenset[str]

    @property
    def calls(self) -> list[str]:
        """Functions that it calls, LLVM's own and roots, which are instructions, apart; those called through an address as `?`."""
        found = [re.search(r"@\"?([^\s\"(]+)", line) for line in self.lines if re.search(r"\bcall\b", line)]
        names = [match[1] if match else "?" for match in found]
        return [name for name in names if not name.startswith("llvm.") and name not in ("sqrt", "sqrtf")]

    @property
    def computes(self) -> bool:
        """Whether it does arithmetic on single floats, or calls something."""
        return bool(self.calls) or any(OF_FLOAT.search(line) or FUNCTION_OF_FLOAT.search(line) for line in self.lines)

    @property
    def vectorized(self) -> bool:
        """Whether it is a vector loop or the remainder of one."""
        return "llvm.loop.isvectorized" in self.notes

    @property
    def is_rest(self) -> bool:
        """Whether it is what unrolling left over: it has a main loop, which is judged."""
        return "llvm.loop.unroll.disable" in self.notes

    @property
    def is_fold(self) -> bool:
        """Whether a float goes from one turn to the next and is only added, multiplied or compared on the way: no division, root or
        function."""
        carries = any(re.search(r"= phi (?:float|double) ", line) for line in self.lines)
        return carries and not any(SLOW.search(line) for line in self.lines)

    def __str__(self) -> str:
        return f"{self.function}: {self.label}" + (f" calls {', '.join(self.calls)}" if self.calls else "")


@cache
def inspected(source: str) -> dict[str, tuple[str, str]]:
    """(optimised code, assembly) of each kernel of a source, compiled here: what comes out of a cache cannot be looked into."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"inspected_{hashlib.sha256(source.encode()).hexdigest()[:16]}.py"
        path.write_text(source.replace("@cfunc(KERNEL, **OPTIONS)", '@cfunc(KERNEL, **{**OPTIONS, "cache": False})'))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    libraries = {name: kernel._library for name, kernel in vars(module).items() if hasattr(kernel, "native_name")}
    return {name: (library.get_llvm_str(), library.get_asm_str()) for name, library in libraries.items()}


def loops(code: str) -> list[Loop]:
    """The innermost loops of every function of a module; one that calls a function of the module with loops of its own is none."""
    notes = dict(re.findall(r"^(![\d]+) = (?:distinct )?!\{(.*)\}$", code, re.MULTILINE))
    found = []
    for name, body in re.findall(r"^define [^\n]*?@\"?([^\s\"(]+)[^\n]*\{\n(.*?)^\}", code, re.MULTILINE | re.DOTALL):
        blocks = _blocks(body)
        for label, members in _innermost(blocks):
            lines = tuple(line for member in members for line in blocks[member])
            mark = re.search(r"!llvm\.loop (!\d+)", " ".join(line for line in lines if line.startswith("br ")))
            inside = " ".join(notes.get(number, "") for number in re.findall(r"!\d+", notes[mark[1]])) if mark else ""
            found.append(Loop(name, label, lines, frozenset(re.findall(r"llvm\.loop\.[\w.]+", inside))))
    with_loops = {loop.function for loop in found}
    return [loop for loop in found if not with_loops & set(loop.calls)]


def _blocks(body: str) -> dict[str, list[str]]:
    blocks: dict[str, list[str]] = {"entry": []}
    label = "entry"
    for line in body.splitlines():
        if start := re.match(r'("[^"]+"|[-\w.$]+):', line):
            label = start[1].strip('"')
            blocks[label] = []
        elif line.strip():
            blocks[label].append(line.strip())
    return {label: lines for label, lines in blocks.items() if lines}


def _innermost(blocks: dict[str, list[str]]) -> Iterator[tuple[str, set[str]]]:
    """(header, blocks) of each natural loop that contains no other."""
    after = {}
    for label, lines in blocks.items():
        ends = next(at for at, line in enumerate(lines) if re.match(r"(?:br|switch|ret|unreachable|invoke)\b", line))
        targets = re.findall(r'label %("[^"]+"|[-\w.$]+)', " ".join(lines[ends:]))
        after[label] = [target.strip('"') for target in targets]
    before: dict[str, list[str]] = {label: [] for label in blocks}
    for label, targets in after.items():
        for target in targets:
            before[target].append(label)
    over = _dominators(next(iter(blocks)), after, before)
    found: dict[str, set[str]] = {}
    for label, targets in after.items():
        for header in targets:
            if label in over and header in over[label]:
                found.setdefault(header, {header}).update(_reaching(label, header, before))
    for header, members in found.items():
        if not any(other != header and other in members for other in found):
            yield header, members


def _reaching(label: str, header: str, before: dict[str, list[str]]) -> set[str]:
    members, waiting = {header, label}, [label] if label != header else []
    while waiting:
        for earlier in before[waiting.pop()]:
            if earlier not in members:
                members.add(earlier)
                waiting.append(earlier)
    return members


def _dominators(entry: str, after: dict[str, list[str]], before: dict[str, list[str]]) -> dict[str, set[str]]:
    """For each block that can be reached, the blocks that every way to it goes through."""
    order, seen, waiting = [], {entry}, [entry]
    while waiting:
        order.append(waiting.pop())
        fresh = [target for target in after[order[-1]] if target not in seen]
        seen.update(fresh)
        waiting += fresh
    over = {label: set(order) for label in order}
    over[entry] = {entry}
    changed = True
    while changed:
        changed = False
        for label in order[1:]:
            now = set.intersection(*(over[earlier] for earlier in before[label] if earlier in over)) | {label}
            changed, over[label] = changed or now != over[label], now
    return over
