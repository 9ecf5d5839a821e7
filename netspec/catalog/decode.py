"""Image files to arrays: PNG, JPEG and BMP, decoded by several threads, and kept in netspec's cache until a file changes.

An entry of the cache is an .npy file with four more bytes, the CRC-32 of all before: one that is cut off or altered is decoded anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import threading
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from netspec.base.cache import image_bytes, image_folder, why_not_trusted, why_not_used
from netspec.base.entries import discard, discard_all, opened, trim, written
from netspec.base.errors import DataError, LimitError
from netspec.base.extras import library
from netspec.base.shape import Shape, show
from netspec.catalog.arrays import HEADER_DAMAGE, first_line, refuse_larger

FORMATS = ("PNG", "JPEG", "BMP")
MOST_PIXELS = 50_000_000
"""Of one image."""
LARGE_PIXELS, ONE_AT_A_TIME = 4_000_000, threading.Lock()
"""Images from which no two are decoded at once: a few kilobytes may hold one that takes 300 MB."""
PNG, DEPTH_AT = b"\x89PNG\r\n\x1a\n", 24
"""How a PNG file begins, and which of its bytes holds the bits a channel: Pillow cuts 16 of a colour to 8 and does not tell."""
GRAY, COLOUR = ("1", "L", "LA"), ("P", "RGB", "RGBA", "CMYK", "YCbCr")
"""Pillow's modes of 8 bits a channel: what is read as one channel, and what as three. Transparency is left out."""
BLOCK = 256
"""Images that a thread decodes at a time."""
VERSION = 2
ARRAY = "i_"
"""How the names of entries begin."""


@dataclass(frozen=True)
class Images:
    """Encoded images in order. `names` are for messages and `stamps` change with the files; `read` gives the content of a name.

    With `size` (height, width) each is resized to it, else all must have one size; with `channels` (1 or 3) each is converted to them,
    else all must be gray or all in colour.
    """

    origin: str
    names: Sequence[str]
    stamps: Sequence[tuple[int, ...]]
    read: Callable[[str], bytes]
    size: tuple[int, int] | None = None
    channels: int | None = None

    @cached_property
    def shape(self) -> Shape:
        """Of one image as it is decoded: that of the first."""
        return self.decoded(0).shape

    def decoded(self, row: int, shape: Shape | None = None) -> NDArray[np.uint8]:
        """One image (C, H, W). Raises DataError naming its file, and the first one where its `shape` is another."""
        name = self.names[row]
        pillow = library("PIL.Image", "data")
        try:
            content = self.read(name)
            with pillow.open(io.BytesIO(content), formats=FORMATS) as image:
                self._check(name, image.size[::-1], image.mode, shape)
                if content.startswith(PNG) and content[DEPTH_AT] == 16:
                    raise DataError(f"{self.origin}: {name} has 16 bits a channel; allowed are 8 bits a channel, gray or colour")
                gray = image.mode in GRAY if self.channels is None else self.channels == 1
                with ONE_AT_A_TIME if prod(image.size) > LARGE_PIXELS else contextlib.nullcontext():
                    plain = image.convert("L" if gray else "RGB")
                    if self.size is not None:
                        plain = plain.resize(self.size[::-1], pillow.Resampling.BILINEAR)
                    pixels = np.asarray(plain, np.uint8)
        except (DataError, LimitError):
            raise
        except pillow.UnidentifiedImageError:
            raise DataError(f"{self.origin}: {name} is no image that can be read; allowed are {', '.join(FORMATS)}") from None
        except (pillow.DecompressionBombError, pillow.DecompressionBombWarning):
            raise DataError(self._too_large(name)) from None
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, zlib.error) as error:
            raise DataError(f"{self.origin}: {name} does not decode: {first_line(error)}") from None
        return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    def _check(self, name: str, sides: tuple[int, int], mode: str, shape: Shape | None) -> None:
        """What the header alone tells."""
        if prod(sides) > MOST_PIXELS:
            raise DataError(self._too_large(name, f"{show(sides)} pixels, "))
        if mode not in GRAY + COLOUR:
            raise DataError(f"{self.origin}: {name} has pixels of the kind {mode}; allowed are 8 bits a channel, gray or colour")
        if shape is None:
            return
        first, gray = self.names[0], mode in GRAY
        if self.channels is None and gray != (shape[0] == 1):
            kinds = ("grayscale", "colour") if gray else ("colour", "grayscale")
            raise DataError(f"{self.origin}: {name} is {kinds[0]}, and {first} is {kinds[1]}; convert one kind, or leave it out")
        if self.size is None and sides != shape[1:]:
            found = f"{name} is {show(sides)} pixels (height x width), and {first} is {show(shape[1:])}"
            raise DataError(f"{self.origin}: {found}; to resize all of them write size = {show(shape[1:])}")

    def _too_large(self, name: str, found: str = "") -> str:
        return f"{self.origin}: {name} is too large: {found}the limit is {MOST_PIXELS // 10**6} million"

    @property
    def key(self) -> str:
        """A name for the cache, in two parts: where the images come from, and how they are."""
        place = json.dumps([self.origin, self.size, self.channels])
        content = json.dumps([VERSION, library("PIL", "data").__version__, list(zip(self.names, self.stamps, strict=True))])
        return f"{ARRAY}{hashlib.sha256(place.encode()).hexdigest()[:20]}_{hashlib.sha256(content.encode()).hexdigest()[:40]}.npy"


def decode(images: Images, limit_bytes: int) -> NDArray[np.uint8]:
    """All images (N, C, H, W), from the cache where they are there; then the array is mapped from its file.

    Raises DataError naming the file that is damaged or unlike the first, LimitError where they are too many together.
    """
    folder = image_folder()
    if why_not_used(folder) is not None:
        return decode_anew(images, limit_bytes)
    path = folder / images.key
    found = _cached(path)
    if found is not None:
        return found
    _require_room(images, limit_bytes, in_memory=False)
    try:
        _write(path, images)
    except OSError:  # the disk is full, or the folder has gone
        return decode_anew(images, limit_bytes)
    found = _cached(path)
    return found if found is not None else decode_anew(images, limit_bytes)


def clear_images() -> tuple[int, int]:
    """Deletes every cached array, where the folder is this user's; a process that reads one keeps it. Returns how many went, and how many
    could not be deleted."""
    folder = image_folder()
    return discard_all(folder, ARRAY) if why_not_trusted(folder) is None else (0, 0)


def _require_room(images: Images, limit_bytes: int, *, in_memory: bool = True) -> None:
    name = f"{images.origin}: {len(images.names)} images of {show(images.shape)}"
    refuse_larger(name, len(images.names) * prod(images.shape), limit_bytes, in_memory=in_memory)


def decode_anew(images: Images, limit_bytes: int) -> NDArray[np.uint8]:
    """As `decode`, in memory, without the cache."""
    _require_room(images, limit_bytes)
    rows = np.empty((len(images.names), *images.shape), np.uint8)
    for start, block in _blocks(images):
        rows[start : start + len(block)] = block
    return rows


def _blocks(images: Images) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """(first row, images), in order; the earliest image that is wrong raises. A few blocks are held at a time."""
    shape = images.shape

    def block(start: int) -> NDArray[np.uint8]:
        rows = np.empty((min(BLOCK, len(images.names) - start), *shape), np.uint8)
        for place in range(len(rows)):
            rows[place] = images.decoded(start + place, shape)
        return rows

    workers = os.cpu_count() or 1
    waiting: deque[tuple[int, Future[NDArray[np.uint8]]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for start in range(0, len(images.names), BLOCK):
                waiting.append((start, pool.submit(block, start)))
                if len(waiting) > 2 * workers:
                    first, done = waiting.popleft()
                    yield first, done.result()
            for first, done in waiting:
                yield first, done.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _write(path: Path, images: Images) -> None:
    """Decodes into a new file, which takes the name when it is whole. Older arrays of the same images go, and those that were not used for
    longest where all together are too large; what was just written stays. Raises OSError, UsageError."""
    bound = image_bytes()
    with written(path) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(images.names), *images.shape)}
        begin = io.BytesIO()
        np.lib.format.write_array_header_1_0(begin, header)
        file.write(begin.getvalue())
        checksum = zlib.crc32(begin.getvalue())
        for _, block in _blocks(images):
            file.write(block.data)
            checksum = zlib.crc32(block.data, checksum)
        file.write(checksum.to_bytes(4, "little"))
    for other in path.parent.glob(f"{path.name[:22]}_*.npy"):
        if other != path:
            discard(other)
    trim(path.parent, ARRAY, bound)


def _cached(path: Path) -> NDArray[np.uint8] | None:
    """The array of an entry, mapped; None where there is none, or a damaged one, which is deleted."""
    try:
        with opened(path) as file:
            whole = _is_whole(file)
        if whole:
            return np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        return None
    except HEADER_DAMAGE:
        pass
    discard(path)
    return None


def _is_whole(file: IO[bytes]) -> bool:
    np.lib.format.read_magic(file)
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype != np.uint8:
        return False
    begin = file.tell()
    file.seek(0)
    left, checksum = prod(shape), zlib.crc32(file.read(begin))
    while left:
        part = file.read(min(left, 1 << 22))
        if not part:
            return False
        checksum, left = zlib.crc32(part, checksum), left - len(part)
    return file.read() == checksum.to_bytes(4, "little")
