"""`modelfleet fetch`: fetch one artifact, verify its digest; or only tell the digest.

Run as the init container of every replica, and as the one-shot resolve pod. Its last words go to
the termination log as one line of JSON, from which the operator makes a condition. Must never
write outside the target's folder.
"""

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from modelfleet.artifacts import by_uri
from modelfleet.artifacts.base import FetchError, FetchLimits
from modelfleet.telemetry.termination import write_last_words

_PAUSES = (0.5, 1.0, 2.0, 4.0)


def fetch(arguments: list[str]) -> int:
    """Run the command; returns the exit code (0 done, 1 failed)."""
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
    parser.add_argument("--target", default="/model/artifact", help="file to write")
    parser.add_argument("--root", default="/model", help="folder that the target must be in")
    parser.add_argument("--resolve", action="store_true", help="only tell the digest")
    parser.add_argument("--most-bytes", type=int, default=FetchLimits().most_bytes)
    parser.add_argument("--most-seconds", type=float, default=FetchLimits().most_seconds)
    return parser.parse_args(arguments)


def with_retries(
    attempt: Callable[[], tuple[str, int]], sleep: Callable[[float], None] = time.sleep
) -> tuple[str, int]:
    """Try again after failures that may pass; the last error is raised."""
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
    """The target's real path, which must lie below `root`; raises FetchError."""
    real = target.parent.resolve() / target.name
    if root.resolve() not in real.parents:
        msg = f"the target '{target}' must lie below '{root}'"
        raise FetchError(msg, is_final=True)
    return real


def _store(options: argparse.Namespace, limits: FetchLimits, target: Path) -> tuple[str, int]:
    """Into a file beside the target, renamed only when its digest is right."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        digest, size = _digest_of(options.uri, limits, partial)
        _verify(options.uri, digest, options.digest)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return digest, size


def _digest_of(uri: str, limits: FetchLimits, copy: Path | None) -> tuple[str, int]:
    """SHA-256 and size of the artifact; also written to `copy` if given."""
    hashed = hashlib.sha256()
    size = 0
    with (copy if copy is not None else Path(os.devnull)).open("wb") as sink:
        for chunk in _bounded(by_uri(uri).chunks(uri, limits), uri, limits):
            hashed.update(chunk)
            sink.write(chunk)
            size += len(chunk)
    return f"sha256:{hashed.hexdigest()}", size


def _bounded(chunks: Iterator[bytes], uri: str, limits: FetchLimits) -> Iterator[bytes]:
    started, size = time.monotonic(), 0
    for chunk in chunks:
        size += len(chunk)
        if size > limits.most_bytes:
            msg = f"{uri} is larger than {limits.most_bytes} bytes"
            raise FetchError(msg, is_final=True)
        if time.monotonic() - started > limits.most_seconds:
            msg = f"{uri} took longer than {limits.most_seconds:.0f} s"
            raise FetchError(msg, is_final=True)
        yield chunk


def _verify(uri: str, digest: str, wanted: str | None) -> None:
    if wanted is not None and digest != wanted:
        msg = f"{uri} has digest {digest}, not {wanted}"
        raise FetchError(msg, is_final=True, reason="ArtifactMismatch")
