"""`netspec export RUN`: a trained net as ONNX, as a module of PyTorch, as a file that needs NumPy alone."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from netspec.base.errors import UsageError
from netspec.base.transform import Flattening
from netspec.model import Model
from netspec.pipeline import restore_file
from netspec.save.atomic import save_error, write_atomic
from netspec.save.environment import version_of
from netspec.save.export.numpy_source import numpy_source
from netspec.save.export.onnx_file import onnx_bytes
from netspec.save.export.subject import Subject
from netspec.save.export.torch_source import torch_files
from netspec.save.run_folder import Located, find
from netspec.save.weights import plain_bytes
from netspec.train.source import resolved_as_seen_from
from netspec.ui.given import run_path
from netspec.ui.guard import tell
from netspec.ui.screen import print_json, say

Files = Mapping[str, bytes]
"""Contents by the names of files."""


@dataclass(frozen=True)
class Form:
    """What an option asks for: the end of the name of its file, what stands before that end where the name is not given, and what makes
    the files, the first one of the name that it gets."""

    option: str
    suffix: str
    tail: str
    files: Callable[[Subject, str], Files]


def onnx_files(subject: Subject, name: str) -> Files:
    return {name: onnx_bytes(subject)}


def torch_module(subject: Subject, name: str) -> Files:
    weights = f"{name.removesuffix('.py')}.safetensors"
    source, tensors = torch_files(subject, weights)
    return {name: source.encode(), weights: plain_bytes(tensors)}


def numpy_file(subject: Subject, name: str) -> Files:
    return {name: numpy_source(subject, name).encode()}


FORMS = (
    Form("--onnx", ".onnx", "", onnx_files),
    Form("--torch", ".py", "_torch", torch_module),
    Form("--numpy", ".py", "_numpy", numpy_file),
)


def run(run: Path, options: Sequence[str], *, output: Path | None, last: bool, json: bool) -> int:
    """Writes the files and prints where they are; none that is there is overwritten. Raises UsageError, DataError."""
    wanted = [form for form in FORMS if form.option in options]
    if not wanted:
        raise UsageError(f"into which form? Write one or more of {', '.join(form.option for form in FORMS)}")
    found = find(run_path(run), last)
    title = title_of(found)
    paths = [path_of(form, output, title, alone=len(wanted) == 1) for form in wanted]
    subject = subject_of(restore_file(found.weights), title, paths[0].parent)
    contents = {
        path.parent / name: content
        for form, path in zip(wanted, paths, strict=True)
        for name, content in form.files(subject, path.name).items()
    }
    for path in contents:
        require_free(path)
    for path, content in contents.items():
        make_folder(path.parent)
        write_atomic(path, content)
    if json:
        print_json({"files": [str(path) for path in contents]})
    else:
        say("\n".join(map(str, contents)))
    if subject.category_texts and "--onnx" in options:
        tell("note: ONNX takes the columns of text as numbers, one for each text; the list `features` in the metadata has their order")
    return 0


def title_of(found: Located) -> str:
    """What the net is called: its run folder, else its weights file, as a name of Python."""
    name = found.folder.path.resolve().name if found.folder is not None else found.weights.stem
    title = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "net"
    return f"net_{title}" if title[0].isdigit() else title


def path_of(form: Form, output: Path | None, title: str, *, alone: bool) -> Path:
    """Where a form's first file goes: `output`, if that is a name of its kind and no other form is asked for, else into that folder.
    Raises UsageError."""
    own = f"{title}{form.tail}{form.suffix}"
    if output is None:
        return Path(own)
    if output.is_dir() or not (output.suffix or output.exists()):
        return output / own
    if not alone:
        raise UsageError(f"-o {output}: several forms are asked for, so -o names a folder")
    if output.suffix != form.suffix:
        raise UsageError(f"-o {output}: the name of what {form.option} writes ends in {form.suffix}; a folder has no such end")
    if not output.parent.is_dir():
        raise UsageError(f"-o {output}: there is no folder {output.parent}")
    return output


def require_free(path: Path) -> None:
    """Raises UsageError where something is."""
    if os.path.lexists(path):
        raise UsageError(f"{path}: exists already, and is not overwritten; -o names another place")


def make_folder(path: Path) -> None:
    """Raises SaveError where it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(path, error) from None


def subject_of(model: Model, title: str, place: Path | None = None) -> Subject:
    """What is exported of a model; into the folder `place`, from which the data paths of its spec then lead."""
    section, normalization, origin = model.program.data, model.normalization, model.origin
    row = model.graph.input.shape
    flattens = section is not None and any(isinstance(step, Flattening) for step in section.preparations)
    if flattens and len(row) == 1 and origin is not None and len(origin.row) == 3:
        row = tuple(origin.row)
    return Subject(
        title=title,
        version=version_of("netspec") or "",
        program=model.program if place is None else replace(model.program, resolved=resolved_as_seen_from(model.program, place)),
        graph=model.graph,
        arrays={**model.params, **model.state},
        dtype=model.network.dtype.name,
        row=row,
        shift=None if normalization is None else normalization.shift,
        scale=None if normalization is None else normalization.scale,
        labels=model.labels,
        columns=model.columns,
        class_weights=model.class_weights,
    )
