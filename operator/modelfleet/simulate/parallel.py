"""Independent measurements side by side, each in a process of its own.

Called by `modelfleet bench`. Processes are started anew, not forked, so that it works alike
everywhere; what goes to them is pickled. Must never change a result or the order of results.
"""

import contextlib
import functools
import multiprocessing
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from modelfleet.simulate.comparison import Note

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
    with _deaf():
        manager = context.Manager()
    with manager:
        sent: queue.Queue[str] = manager.Queue()
        ended = threading.Event()
        listener = threading.Thread(target=_listen, args=(sent, ended, note), daemon=True)
        listener.start()
        try:
            with ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=context) as pool:
                return _results(pool, [functools.partial(task, _Notes(sent)) for task in tasks])
        finally:
            ended.set()
            listener.join()


def _results(pool: ProcessPoolExecutor, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """What the tasks give; when one fails, or at Ctrl-C, the others are ended at once."""
    try:
        with _deaf():
            waiting = [pool.submit(task) for task in tasks]
        return [one.result() for one in waiting]
    except BaseException:
        # Leaving the pool would wait for measurements that nobody wants any more.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C waits until the end; processes that are started within never hear it.

    A terminal sends it to all of them, and each would show a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(sent: "queue.Queue[str]", ended: threading.Event, note: Note) -> None:
    while not (ended.is_set() and sent.empty()):
        try:
            note(sent.get(timeout=POLL_SECONDS))
        except queue.Empty:
            continue
