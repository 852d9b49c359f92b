"""The file of the autoscaler's memory: blocks of arrays, checked as a whole before any is used.

Written and read by `memory.learned_file`, in threads. A line with the format's number; blocks, each
its length in 8 bytes and an npz without pickle; a length of 0; the SHA-256 of all before. A file
appears under its name only when it is whole and on the disk. Must never be read when anything about
it is wrong.
"""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import IO

import numpy as np

from modelfleet.core.forecasting.rows.transfer import Arrays

FAMILY = b"modelfleet memory "
MAGIC = FAMILY + b"1\n"
MAX_BYTES = 2 << 30
"""Seven thousand models with eleven busy days each."""
_LENGTH_BYTES, _DIGEST_BYTES, _PIECE_BYTES = 8, 32, 1 << 20


class Unusable(Exception):
    """The file cannot be used; the text says why."""


class MemoryFileWriter:
    """Writes one file beside the old one, and takes its place at the end.

    For one task that writes in threads, one after the other; `abandon` may come at any time.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is opened yet."""
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._lock = Lock()
        self._is_over = False
        self.written_bytes = 0

    def write(self, arrays: Arrays) -> None:
        """One more block; OSError when the disk does not take it."""
        held = io.BytesIO()
        np.savez(held, allow_pickle=False, **arrays)
        with self._lock:
            if self._is_over:
                return
            if self._file is None:
                self._file = self._part.open("wb")
                self._put(MAGIC)
            self._put(len(held.getbuffer()).to_bytes(_LENGTH_BYTES, "little"))
            self._put(held.getbuffer())

    def _put(self, data: bytes | memoryview) -> None:
        assert self._file is not None  # noqa: S101 - opened by the caller
        self.written_bytes += len(data)
        if self.written_bytes > MAX_BYTES:
            msg = f"more than {MAX_BYTES >> 20} MiB"
            raise OSError(msg)
        self._hash.update(data)
        self._file.write(data)

    def finish(self) -> None:
        """The new file is on the disk and has the name."""
        with self._lock:
            if self._file is None or self._is_over:
                return
            self._put((0).to_bytes(_LENGTH_BYTES, "little"))
            self._file.write(self._hash.digest())
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._path)
            # The name is on the disk only after its directory is.
            folder = os.open(self._path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._is_over = True

    def abandon(self) -> None:
        """Leave the old file as it was; of no effect after `finish`."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._file is not None:
                # A full disk does not take what is buffered either; it is not wanted any more.
                with suppress(OSError):
                    self._file.close()
                self._part.unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """Raises Unusable for a file that is foreign, of another format, cut off, damaged, too large.

    FileNotFoundError when there is none.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        msg = f"it has {size >> 20} MiB, more than {MAX_BYTES >> 20}"
        raise Unusable(msg)
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        if not first.startswith(FAMILY):
            raise Unusable("it is no memory of modelfleet")
        if first != MAGIC:
            raise Unusable("another release has written it in another format")
        found = hashlib.sha256(first)
        left = size - len(MAGIC) - _DIGEST_BYTES
        while left > 0 and (piece := file.read(min(_PIECE_BYTES, left))):
            found.update(piece)
            left -= len(piece)
        if left or file.read() != found.digest():
            raise Unusable("it is cut off or damaged: its checksum differs")


def blocks(path: Path) -> Iterator[Arrays]:
    """The blocks of a file that was checked, one at a time; Unusable when one cannot be read."""
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        while length := int.from_bytes(file.read(_LENGTH_BYTES), "little"):
            if length > MAX_BYTES:
                raise Unusable("a block is longer than the file may be")
            yield _arrays(file.read(length))


def _arrays(data: bytes) -> Arrays:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            if sum(one.file_size for one in found.zip.infolist()) > len(data):
                raise Unusable("a block is packed, which no release does")
            return {name: found[name] for name in found.files}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        msg = f"a block cannot be read: {error}"
        raise Unusable(msg) from error
