"""A file that describes a model, told by what it holds, to a sketch. Nothing in it is run or unpickled, and its size is bounded."""

from __future__ import annotations

import json
import re
import zipfile
from typing import IO, Any

from netspec.base.errors import DataError, LimitError
from netspec.catalog.arrays import DAMAGE, MOST_ENTRIES_BYTES, first_line, require_short_list
from netspec.frontend.convert.keras import read_keras
from netspec.frontend.convert.sketch import Sketch
from netspec.frontend.convert.torch_export import read_export
from netspec.frontend.convert.torch_text import read_torch

MOST_BYTES = 16 << 20
"""Of a description: a thousand layers of Keras take one million bytes."""
MOST_VALUES = 400_000
"""In a document of JSON, told by its commas, brackets and backslashes: five thousand layers of Keras have as many."""
MOST_TEXT, MOST_WORDS = 1 << 20, 200_000
"""Of a printed model, in bytes, and in words and marks: five thousand modules."""
MOST_DEPTH = 200
BRACKET = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A text, so that the brackets in it do not count, or a bracket."""
WORD = re.compile(r"[\w.]+|[^\w\s]")
PICKLED = (
    "a pickle, which may hold a program and is never opened: print the model (print(model) > model.txt), or write it with "
    "torch.export.save(torch.export.export(model, (x,)), 'model.pt2')"
)
FORMS = "model.to_json() or an archive .keras of Keras; print(model) of a torch.nn.Sequential, or a .pt2 of torch.export.save"


def read_model(stream: IO[bytes], name: str) -> Sketch:
    """The sketch of a description. Raises DataError for what is none, NoChain for a model that is no chain of one input and one output."""
    content = stream.read(MOST_BYTES + 1)
    if content.startswith(b"PK\x03\x04"):
        return _from_archive(stream, name)
    if content.startswith(b"\x80"):
        raise DataError(f"{name}: is {PICKLED}")
    if content.startswith(b"\x89HDF"):
        raise DataError(
            f"{name}: is an HDF5 file, which holds weights; write the layers with open('model.json', 'w').write(model.to_json())"
        )
    if len(content) > MOST_BYTES:
        raise DataError(f"{name}: is longer than {MOST_BYTES >> 20} MiB, too long for a description of layers")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: is no text in UTF-8 (byte {error.start}); what can be read is {FORMS}") from None
    if not text.strip():
        raise DataError(f"{name}: is empty; what can be read is {FORMS}")
    if text.lstrip()[0] in '{["':
        return read_keras(_unwrapped(load_json(text, name)), name)
    if len(text) > MOST_TEXT or len(WORD.findall(text)) > MOST_WORDS:
        raise DataError(f"{name}: is longer than what print(model) writes of five thousand modules; what can be read is {FORMS}")
    return read_torch(text, name)


def _unwrapped(found: Any) -> Any:
    """The model, also where its JSON was dumped once more, as a text."""
    try:
        return load_json(found, "") if isinstance(found, str) else found
    except DataError:
        return found


def load_json(text: str, name: str) -> Any:
    """A JSON document of bounded depth and size. Raises DataError."""
    if sum(map(text.count, ",[{\\")) > MOST_VALUES:
        raise DataError(f"{name}: its JSON holds more than {MOST_VALUES:,} values, too many for a description of layers")
    _require_shallow(text, name)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: is no JSON: {first_line(error)}") from None


def _require_shallow(text: str, name: str) -> None:
    depth = 0
    for found in BRACKET.finditer(text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if depth > MOST_DEPTH:
            raise DataError(f"{name}: its JSON is nested more than {MOST_DEPTH} deep")


def _from_archive(stream: IO[bytes], name: str) -> Sketch:
    """Of an archive the one member that describes the layers."""
    try:
        require_short_list(stream, name, MOST_ENTRIES_BYTES)
        with zipfile.ZipFile(stream) as archive:
            members = {entry.filename: entry for entry in archive.infolist()}
            program = next((one for one in members if one == "models/model.json" or one.endswith("/models/model.json")), None)
            wanted = "config.json" if "config.json" in members else program
            if wanted is None:
                pickled = any(one.endswith("data.pkl") for one in members)
                raise DataError(f"{name}: is {PICKLED}" if pickled else f"{name}: is an archive without a description of a model; {FORMS}")
            if members[wanted].file_size > MOST_BYTES:
                raise DataError(f"{name}: {wanted} declares more than {MOST_BYTES >> 20} MiB, too much for a description of layers")
            text = archive.read(wanted).decode("utf-8-sig")
    except (DataError, LimitError):
        raise
    except DAMAGE as error:
        raise DataError(f"{name}: cannot be read as an archive: {first_line(error)}") from None
    place = f"{name}: {wanted}"
    return read_export(load_json(text, place), name) if wanted == program else read_keras(load_json(text, place), name)
