"""`modelfleet fetch`: fetch one artifact and verify its digest; or only print the digest.

The init container of each replica and the one-shot resolve pod run it. Its last line goes to the
termination log as JSON, from which the operator sets a condition. Must never write outside the
target's folder.
"""

import argparse
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from modelfleet.artifacts import by_uri
from modelfleet.artifacts.base import SINGLE_FILE, FetchError, FetchLimits
from modelfleet.artifacts.digests import FileDigest, digest_of
from modelfleet.telemetry.termination import write_last_words

_PAUSES = (0.5, 1.0, 2.0, 4.0)


def fetch(arguments: list[str]) -> int:
    """Run the command; return the exit code (0 done, 1 failed)."""
    options = _options(arguments)
    limits = FetchLimits(most_bytes=options.most_bytes, most_seconds=options.most_seconds)
    try:
        if options.resolve:
            digest, size = with_retries(lambda: _digest_of(options.uri, limits, None))
            _verify(options.uri, digest, options.digest)
        else:
            target = safe_target(Path(options.target), Path(options.root))
            digest, size = with_retries(lambda: _store(options, limits, target))
    except FetchError as error:
        write_last_words({"reason": error.reason, "message": str(error), "final": error.is_final})
        return 1
    reason = "Resolved" if options.resolve else "Fetched"
    write_last_words({"reason": reason, "digest": digest, "bytes": size})
    return 0


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="modelfleet fetch", description=fetch.__doc__)
    parser.add_argument("--uri", required=True, help="http or https address of the artifact")
    parser.add_argument("--digest", help="sha256:… that the bytes must have")
    parser.add_argument("--target", default="/model/artifact", help="file or folder to write")
    parser.add_argument("--root", default="/model", help="folder that the target must be in")
    parser.add_argument("--resolve", action="store_true", help="only print the digest")
    parser.add_argument("--most-bytes", type=int, default=FetchLimits().most_bytes)
    parser.add_argument("--most-seconds", type=float, default=FetchLimits().most_seconds)
    return parser.parse_args(arguments)


def with_retries(
    attempt: Callable[[], tuple[str, int]], sleep: Callable[[float], None] = time.sleep
) -> tuple[str, int]:
    """Try again after failures that may pass; raise the last error."""
    for pause in _PAUSES:
        try:
            return attempt()
        except FetchError as error:
            if error.is_final:
                raise
            sys.stderr.write(f"{error}; again in {pause} s\n")
            sleep(pause)
    return attempt()


def safe_target(target: Path, root: Path) -> Path:
    """Return the target's real path, which must lie below `root`.

    Raises FetchError.
    """
    real = target.parent.resolve() / target.name
    if root.resolve() not in real.parents:
        msg = f"the target '{target}' must lie below '{root}'"
        raise FetchError(msg, is_final=True)
    return real


def _store(options: argparse.Namespace, limits: FetchLimits, target: Path) -> tuple[str, int]:
    """Store the artifact beside the target, and rename it only when its digest is right."""
    partial = target.with_name(f".{target.name}.partial")
    _remove(partial)
    try:
        digest, size = _digest_of(options.uri, limits, partial)
        _verify(options.uri, digest, options.digest)
        _remove(target)
        partial.replace(target)
    except OSError as error:
        msg = f"{options.uri} cannot be stored at {target}: {error.strerror or error}"
        raise FetchError(msg, is_final=False) from error
    finally:
        _remove(partial)
    return digest, size


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _digest_of(uri: str, limits: FetchLimits, copy: Path | None) -> tuple[str, int]:
    """Return the digest of the artifact and its bytes in all; store it at `copy` if given."""
    files: dict[str, FileDigest] = {}
    bounds = _FetchBounds(uri, limits)
    for file in by_uri(uri).files(uri, limits):
        path = safe_path(file.path, uri, files)
        bounds.count_file()
        with _place(copy, path).open("wb") as sink:
            files[path] = _copied(bounds.checked(file.chunks), sink)
    return digest_of(files, uri), sum(file.size for file in files.values())


def safe_path(path: str, uri: str, known: Collection[str]) -> str:
    """Return the path of a file of an artifact.

    Worked example: `a/b` is safe. `/a`, `../a`, `a//b`, a path twice, and a tree beside a single
    file are refused. Raises FetchError for a path that could leave its folder.
    """
    parts = path.split("/")
    is_odd = path != SINGLE_FILE and any(
        part in {"", ".", ".."} or not part.isprintable() or "\\" in part for part in parts
    )
    is_mixed = bool(known) and (path == SINGLE_FILE or SINGLE_FILE in known)
    if is_odd or is_mixed or path in known:
        msg = f"{uri} has a file of the path {path!r}, which is not allowed"
        raise FetchError(msg, is_final=True)
    return path


def _place(copy: Path | None, path: str) -> Path:
    if copy is None:
        return Path(os.devnull)
    target = copy / path if path else copy
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _copied(chunks: Iterator[bytes], sink: BinaryIO) -> FileDigest:
    hashed, size = hashlib.sha256(), 0
    for chunk in chunks:
        hashed.update(chunk)
        sink.write(chunk)
        size += len(chunk)
    return FileDigest(hashed.hexdigest(), size)


class _FetchBounds:
    """Bytes, files and seconds of one fetch, counted over all files."""

    def __init__(self, uri: str, limits: FetchLimits) -> None:
        self._uri, self._limits = uri, limits
        self._started, self._size, self._files = time.monotonic(), 0, 0

    def count_file(self) -> None:
        """Count one more file.

        Raises FetchError above the bound.
        """
        self._files += 1
        if self._files > self._limits.most_files:
            msg = f"{self._uri} has more than {self._limits.most_files} files"
            raise FetchError(msg, is_final=True)

    def checked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the same pieces.

        Raises FetchError above a bound.
        """
        for chunk in chunks:
            self._size += len(chunk)
            if self._size > self._limits.most_bytes:
                msg = f"{self._uri} is larger than {self._limits.most_bytes} bytes"
                raise FetchError(msg, is_final=True)
            if time.monotonic() - self._started > self._limits.most_seconds:
                msg = f"{self._uri} took longer than {self._limits.most_seconds:.0f} s"
                raise FetchError(msg, is_final=True)
            yield chunk


def _verify(uri: str, digest: str, wanted: str | None) -> None:
    if wanted is not None and digest != wanted:
        msg = f"{uri} has digest {digest}, not {wanted}"
        raise FetchError(msg, is_final=True, reason="ArtifactMismatch")
