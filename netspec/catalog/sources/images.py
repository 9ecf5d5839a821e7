"""Pictures in folders, one folder a class: `cats/1.png`, `dogs/1.png`; or a zip file of such folders.

PNG, JPEG and BMP. All pictures have one size, or are resized to the key `size = 32x32` (height x width); gray pictures are 1xHxW, colour
3xHxW, of bytes. The classes are the names of the folders, in sorted order. Folders `train` and `test` above them are the training part
and the official test part. What begins with a dot is passed over. Decoded once, and kept in netspec's cache until a file changes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from netspec.base.dataset import Dataset, DataSource, Rows
from netspec.base.errors import DataError, NetspecError
from netspec.base.shape import Shape
from netspec.catalog.arrays import DAMAGE, LIMIT_BYTES, first_line, refuse_larger, require_file, require_short_list
from netspec.catalog.decode import Images, decode, decode_anew
from netspec.catalog.paths import resolve_path

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
OTHERS = ("__MACOSX", "Thumbs.db", "desktop.ini")
"""What systems leave in folders; like names that begin with a dot, they are passed over."""
MOST_FILE_BYTES = 1 << 28
MOST_LIST_BYTES = 32 << 20
"""Of what a zip holds: four hundred thousand pictures."""
DEEPEST = 5
PARTS = ("test", "train")

Place = tuple[str, ...]
"""Names from the top down to a file or folder."""


@dataclass(frozen=True)
class Tree:
    """What a folder or zip holds: files with a stamp that changes with them, folders, and how to read a file."""

    files: dict[Place, tuple[int, ...]]
    folders: set[Place]
    read: Callable[[str], bytes]


class ImageFolders(DataSource):
    """Pictures in folders, one a class, or in a zip of them."""

    name: ClassVar[str] = "images"
    keys: ClassVar[tuple[str, ...]] = ("path", "size")

    def read(self, path: Path | None, keys: dict[str, Any], folders: Sequence[Path]) -> Dataset:
        """All pictures. Raises DataError naming the file that does not decode or is unlike the others, or the class that is empty."""
        if path is None:
            raise DataError('source = images needs a folder, or a zip file: path = "pictures"')
        tree = _in_folder(path, folders or (path,)) if path.is_dir() else _in_zip(path)
        top = _top(tree.files)
        names = sorted(tree.files)
        train, test = _parts(path, [name for name in names if name[: len(top)] == top], len(top))
        _require_filled(path, tree, top if test is None else (*top, "train"))
        if test is not None:
            _require_filled(path, tree, (*top, "test"))
        words = tuple(sorted({name[-2] for name in train}))
        if len(words) < 2:
            raise DataError(
                f"{path}: has pictures in {len(words)} folder{'s' * (not words)}; at least two classes are needed, a folder each"
            )
        every = [*train, *(test or ())]
        stamps = [tree.files[name] for name in every]
        files = ["/".join(name) for name in every]
        images = Images(str(path), files, stamps, tree.read, keys.get("size"), keys.get("channels"))
        x = decode(images, keys.get("limit_bytes", LIMIT_BYTES))
        y = _labels(path, every, words)
        held_out = None if test is None else Rows(x[len(train) :], y[len(train) :])
        return Dataset(Rows(x[: len(train)], y[: len(train)]), test=held_out, labels=words, origin=str(path))


def pictures(path: Path, shape: Shape) -> tuple[NDArray[np.uint8], list[str]]:
    """The pictures of a file, of a folder or of a zip, at any depth, in the order of their names, and these: (N, C, H, W), each resized
    and converted to gray or colour where its shape is another. Raises DataError where there is none, or for one that does not decode."""
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        require_file(path)
        path, names = path.parent, [path.name]
        tree = Tree({}, set(), lambda name: _content(path / name))
    else:
        tree = _in_folder(path, (path,)) if path.is_dir() else _in_zip(path)
        names = ["/".join(place) for place in sorted(tree.files) if place[-1].lower().endswith(SUFFIXES)]
    if not names:
        raise DataError(f"{path}: has no pictures; they end in {', '.join(SUFFIXES)}")
    images = Images(str(path), names, [], tree.read, (shape[1], shape[2]), shape[0])
    return decode_anew(images, LIMIT_BYTES), names


def _top(files: Sequence[Place] | dict[Place, Any]) -> Place:
    """The folders around all others that hold pictures, such as the one that a zip wraps everything in."""
    top: Place = ()
    while True:
        below = [name[len(top) :] for name in files if len(name) > len(top) + 1 or name[-1].lower().endswith(SUFFIXES)]
        first = {name[0] for name in below}
        if len(first) != 1 or any(len(name) < 3 for name in below):
            return top
        top = (*top, *first)


def _parts(path: Path, names: Sequence[Place], depth: int) -> tuple[list[Place], list[Place] | None]:
    """The files of the training and of the test part (None: there is none), each in a folder of its class."""
    names = [name for name in names if len(name) > depth + 1 or name[-1].lower().endswith(SUFFIXES)]
    if not names:
        raise DataError(f"{path}: has no pictures; they lie in folders, one a class, as in cats/1.png")
    has_parts = {name[depth] for name in names} == set(PARTS) and all(len(name) == depth + 3 for name in names)
    level = depth + (3 if has_parts else 2)
    for name in names:
        if len(name) != level:
            where = "beside the folders of the classes" if len(name) < level else "in a folder inside that of a class"
            raise DataError(f"{path}: {'/'.join(name)} lies {where}; each picture lies in the folder of its class, as in cats/1.png")
    if not has_parts:
        return list(names), None
    return [name for name in names if name[depth] == "train"], [name for name in names if name[depth] == "test"]


def _require_filled(path: Path, tree: Tree, top: Place) -> None:
    filled = {name[: len(top) + 1] for name in tree.files}
    for folder in sorted(tree.folders):
        if folder[:-1] == top and folder not in filled:
            raise DataError(f"{path}: the class folder {'/'.join(folder)} is empty; fill it, or remove it")


def _labels(path: Path, names: Sequence[Place], words: Sequence[str]) -> Any:
    numbers = {word: number for number, word in enumerate(words)}
    for name in names:
        if name[-2] not in numbers:
            raise DataError(f"{path}: {'/'.join(name[:-1])}: the training part has no class {name[-2]}; it has {', '.join(words)}")
    return np.array([numbers[name[-2]] for name in names], np.int64)


def _is_passed_over(name: str) -> bool:
    return name.startswith(".") or name in OTHERS


def _in_folder(path: Path, allowed: Sequence[Path]) -> Tree:
    files: dict[Place, tuple[int, ...]] = {}
    folders: set[Place] = set()

    def walk(folder: Path, place: Place) -> None:
        for entry in sorted(folder.iterdir()):
            if _is_passed_over(entry.name):
                continue
            here = (*place, entry.name)
            real = resolve_path(entry, allowed) if entry.is_symlink() else entry
            if real.is_dir() and len(here) <= DEEPEST:
                folders.add(here)
                walk(real, here)
            else:
                facts = real.stat()
                files[here] = facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino

    try:
        walk(path, ())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from None

    return Tree(files, folders, lambda name: _content(path / name))


def _content(file: Path) -> bytes:
    require_file(file)
    refuse_larger(str(file), file.stat().st_size, MOST_FILE_BYTES)
    return file.read_bytes()


def _in_zip(path: Path) -> Tree:
    require_file(path)
    try:
        with path.open("rb") as stream:
            require_short_list(stream, str(path), MOST_LIST_BYTES)
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        if isinstance(error, NetspecError):
            raise
        raise DataError(f"{path}: cannot be read as a zip file: {first_line(error)}; `images` takes a folder or a zip") from None
    files: dict[Place, tuple[int, ...]] = {}
    folders: set[Place] = set()
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        place = PurePosixPath(entry.filename).parts
        if not place and not entry.filename.endswith("/"):
            raise DataError(f"{path}: cannot be read as a zip file: a file in it has no name; pack the folder again")
        if not place or any(map(_is_passed_over, place)):
            continue
        if entry.is_dir():
            folders.add(place)
        else:
            files[place] = entry.file_size, entry.CRC
            entries["/".join(place)] = entry
            folders.update(place[:depth] for depth in range(1, len(place)))

    def read(name: str) -> bytes:
        entry = entries[name]
        refuse_larger(f"{path}: {name}", entry.file_size, MOST_FILE_BYTES)
        try:
            return archive.read(entry)
        except DAMAGE as error:
            raise DataError(f"{path}: {name} cannot be read: {first_line(error)}") from None

    return Tree(files, folders, read)
