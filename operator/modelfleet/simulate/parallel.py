"""Independent measurements side by side, each in a process of its own.

Called by `modelfleet bench`. Processes are started anew, not forked, so that it works alike
everywhere; what goes to them is pickled. Must never change a result or the order of results.
"""

import multiprocessing
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from modelfleet.simulate.bench import Note

T = TypeVar("T")
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Notes:
    """Sends what was just finished to the process that shows it."""

    sent: "queue.Queue[str]"

    def __call__(self, done: str) -> None:
        self.sent.put(done)


def side_by_side(tasks: Sequence[Callable[[Note], T]], jobs: int, note: Note) -> list[T]:
    """Results in the order of `tasks`, at most `jobs` at once; the first error is raised.

    Tasks must be picklable where `jobs` is above one. The dearest should come first.
    """
    if min(jobs, len(tasks)) <= 1:
        return [task(note) for task in tasks]
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        sent: queue.Queue[str] = manager.Queue()
        ended = threading.Event()
        listener = threading.Thread(target=_listen, args=(sent, ended, note), daemon=True)
        listener.start()
        try:
            with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
                waiting = [pool.submit(task, _Notes(sent)) for task in tasks]
                return [one.result() for one in waiting]
        finally:
            ended.set()
            listener.join()


def _listen(sent: "queue.Queue[str]", ended: threading.Event, note: Note) -> None:
    while not (ended.is_set() and sent.empty()):
        try:
            note(sent.get(timeout=POLL_SECONDS))
        except queue.Empty:
            continue
