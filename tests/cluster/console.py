"""What the verbs tell the person who started them.

Called by all steps of the package. One line for a step; for long work a moving line on a terminal,
and a line every 15 seconds elsewhere, so that a log of a build server stays readable. It must
never hide the output of a step that failed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from .base import ClusterError

TERMINAL_SECONDS = 0.5
LOG_SECONDS = 15.0
TAIL_LINES = 20


def say(text: str) -> None:
    """Print one line at once, to standard error: standard output is for answers."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def run(argv: Sequence[str], *, stdin: str | None = None, cwd: Path | None = None) -> str:
    """Run a short command and give its standard output; its errors become a ``ClusterError``."""
    try:
        done = subprocess.run(
            argv, input=stdin, cwd=cwd, capture_output=True, text=True, check=False
        )
    except OSError as error:
        message = f"cannot start {argv[0]}: {error.strerror}"
        raise ClusterError(message) from error
    if done.returncode:
        message = f"{' '.join(argv)}: {tail(done.stderr or done.stdout)}"
        raise ClusterError(message)
    return done.stdout


def tail(text: str) -> str:
    """Give the last lines of a text, where the cause usually is."""
    return "\n".join(text.strip().splitlines()[-TAIL_LINES:])


class Meter:
    """A line that shows how far long work has come: text from ``describe`` and the seconds."""

    def __init__(self, title: str, describe: Callable[[], str]) -> None:
        self._title = title
        self._describe = describe
        self._started = time.monotonic()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> Self:
        say(self._title)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        seconds = time.monotonic() - self._started
        end = "\r\033[K" if sys.stderr.isatty() else ""
        say(f"{end}  {self._describe()}; {seconds:.0f} s in all")

    def _show(self) -> None:
        terminal = sys.stderr.isatty()
        while not self._done.wait(TERMINAL_SECONDS if terminal else LOG_SECONDS):
            seconds = time.monotonic() - self._started
            text = f"  {self._describe()}; {seconds:.0f} s"
            sys.stderr.write(f"\r\033[K{text}" if terminal else f"{text}\n")
            sys.stderr.flush()


def run_long(
    argv: Sequence[str],
    *,
    title: str,
    describe: Callable[[int], str],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a long command that prints a line for each piece of work, and show the count.

    An interrupt ends the command too: it would go on writing into the cache otherwise.
    """
    lines: list[str] = []
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=environment
    ) as process:
        try:
            with Meter(title, lambda: describe(len(lines))):
                lines.extend(process.stdout or ())
        except BaseException:
            with suppress(ProcessLookupError):
                process.terminate()
            raise
    if process.returncode:
        message = f"{' '.join(argv)} failed:\n{tail(''.join(lines))}"
        raise ClusterError(message)
