"""Format of the memory file: blocks of arrays, checked as a whole before any block is used.

`memory.learned_file` writes and reads it in threads. The file begins with a line that has the
number of the format. Each block is its length in 8 bytes and an npz without pickle. The last block
has length 0; the SHA-256 of everything before it follows. A file gets its name only when all of it
is on the disk. Must never be used when any part of it is wrong.
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
"""Enough for seven thousand models with eleven busy days each."""
_LENGTH_BYTES, _DIGEST_BYTES, _PIECE_BYTES = 8, 32, 1 << 20


class Unusable(Exception):
    """The file cannot be used; the text gives the reason."""


class MemoryFileWriter:
    """Writes one file beside the old one, and replaces the old one at the end.

    For one task that writes in threads, one after the other. `abandon` may be called at any time.
    """

    def __init__(self, path: Path) -> None:
        """Start without opening a file."""
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._file: IO[bytes] | None = None
        self._hash = hashlib.sha256()
        self._lock = Lock()
        self._is_over = False
        self.written_bytes = 0

    def write(self, arrays: Arrays) -> None:
        """Write one more block.

        Raises OSError when the disk does not take it.
        """
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays)
        with self._lock:
            if self._is_over:
                return
            if self._file is None:
                self._file = self._part.open("wb")
                self._put(MAGIC)
            self._put(len(packed.getbuffer()).to_bytes(_LENGTH_BYTES, "little"))
            self._put(packed.getbuffer())

    def _put(self, data: bytes | memoryview) -> None:
        assert self._file is not None  # noqa: S101 - opened by the caller
        self.written_bytes += len(data)
        if self.written_bytes > MAX_BYTES:
            msg = f"more than {MAX_BYTES >> 20} MiB"
            raise OSError(msg)
        self._hash.update(data)
        self._file.write(data)

    def finish(self) -> None:
        """Write the end to the disk and give the new file its name."""
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
        """Leave the old file as it was; no effect after `finish`."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
            if self._file is not None:
                # Closing writes the buffer, which fails on a full disk; nothing needs it now.
                with suppress(OSError):
                    self._file.close()
                self._part.unlink(missing_ok=True)


def check_file(path: Path) -> None:
    """Check that a file is complete and of this format.

    Raises Unusable for a file that is foreign, of another format, cut off, damaged or too large.
    Raises FileNotFoundError when there is none.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        msg = f"it has {size >> 20} MiB, more than {MAX_BYTES >> 20}"
        raise Unusable(msg)
    with path.open("rb") as file:
        first = file.read(len(MAGIC))
        if not first.startswith(FAMILY):
            raise Unusable("it is not a memory file of modelfleet")
        if first != MAGIC:
            raise Unusable("another release has written it in another format")
        digest = hashlib.sha256(first)
        unread_bytes = size - len(MAGIC) - _DIGEST_BYTES
        while unread_bytes > 0 and (piece := file.read(min(_PIECE_BYTES, unread_bytes))):
            digest.update(piece)
            unread_bytes -= len(piece)
        if unread_bytes or file.read() != digest.digest():
            raise Unusable("it is cut off or damaged: its checksum differs")


def blocks(path: Path) -> Iterator[Arrays]:
    """Yield the blocks of a file that was checked, one at a time.

    Raises Unusable when a block cannot be read.
    """
    with path.open("rb") as file:
        file.seek(len(MAGIC))
        while length := int.from_bytes(file.read(_LENGTH_BYTES), "little"):
            if length > MAX_BYTES:
                raise Unusable("a block is longer than the file may be")
            yield _arrays(file.read(length))


def _arrays(data: bytes) -> Arrays:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            if sum(member.file_size for member in archive.zip.infolist()) > len(data):
                raise Unusable("a block is packed, which no release does")
            return {name: archive[name] for name in archive.files}
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        msg = f"a block cannot be read: {error}"
        raise Unusable(msg) from error
