"""Test files side by side, each in a pytest of its own; what they say comes line by line.

Used by `tests.run`. Which files must have the cluster for themselves they say by the marker
`alone` (`pytestmark = pytest.mark.alone`): those that count writes of everybody, kill what others
need, or restart it. The rest stay in namespaces or networks of their own.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from tests import stack

ALONE = re.compile(r"^pytestmark = pytest\.mark\.alone$", re.MULTILINE)
_VERDICT = re.compile(r"^(?P<test>\S+::.*?) (?P<verdict>PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)")


def files(folder: str) -> list[Path]:
    """Test files of a folder, the largest first: what takes longest must not begin last."""
    found = (stack.ROOT / folder).glob("test_*.py")
    return sorted(found, key=lambda path: (-path.stat().st_size, path.name))


def is_alone(path: Path) -> bool:
    """Whether the tests of a file must have the cluster for themselves."""
    return ALONE.search(path.read_text()) is not None


class Lanes:
    """Some pytest processes at a time, until no file is left."""

    def __init__(self, waiting: Sequence[Path], *arguments: str) -> None:
        """`arguments` go to each pytest."""
        self.codes: list[int] = []
        self._arguments = arguments
        self._print = threading.Lock()
        self._files = len(waiting)
        self._waiting: queue.SimpleQueue[Path] = queue.SimpleQueue()
        for path in waiting:
            self._waiting.put(path)

    def run(self, count: int) -> int:
        """Run all in `count` lanes; returns 0 when every file ran and passed.

        A pytest that a signal ended has a negative code, and a lane that broke leaves none.
        """
        lanes = [threading.Thread(target=self._lane, daemon=True) for _ in range(count)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()
        return int(any(self.codes) or len(self.codes) != self._files)

    def _lane(self) -> None:
        while True:
            try:
                path = self._waiting.get_nowait()
            except queue.Empty:
                return
            self.codes.append(self._one(path))

    def _one(self, path: Path) -> int:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-v", "--no-header", str(path), *self._arguments],
            cwd=stack.ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout
        said = []
        for line in process.stdout:
            said.append(line)
            verdict = _VERDICT.match(line)
            if verdict:
                self._say(f"  {verdict['verdict']:<7} {verdict['test'].removeprefix('tests/')}")
        code = process.wait()
        took = time.monotonic() - began
        if code == 0:
            self._say(f"  {path.relative_to(stack.ROOT)} passed in {took:.0f} s")
        else:
            self._say(f"{''.join(said)}\n  {path.relative_to(stack.ROOT)} FAILED in {took:.0f} s")
        return code

    def _say(self, text: str) -> None:
        with self._print:
            print(text, flush=True)
