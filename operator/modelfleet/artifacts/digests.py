"""Digest of an artifact: of one file, or of a tree of files.

A single file has the SHA-256 of its bytes. A tree has the SHA-256 of one line for each file, sorted
by path: SHA-256 in hexadecimal, size in bytes, path. The digest therefore depends on neither the
order of the files nor their folder.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from modelfleet.artifacts.base import SINGLE_FILE, FetchError


@dataclass(frozen=True, slots=True)
class FileDigest:
    """SHA-256 in hexadecimal, and size in bytes."""

    sha256: str
    size: int


def digest_of(files: Mapping[str, FileDigest], uri: str) -> str:
    """Return `sha256:...` of an artifact.

    Worked example: one file `a` of zero bytes: the SHA-256 of `e3b0...b855 0 a` and a line feed.
    Raises FetchError for an artifact without files.
    """
    if not files:
        msg = f"{uri} has no file"
        raise FetchError(msg, is_final=True)
    if set(files) == {SINGLE_FILE}:
        return f"sha256:{files[SINGLE_FILE].sha256}"
    lines = (f"{file.sha256} {file.size} {path}\n" for path, file in sorted(files.items()))
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"
