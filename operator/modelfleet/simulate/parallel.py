"""Parallel measurements that are independent of each other, each in a process of its own.

Each runs functions of `comparison`. Processes are spawned, not forked: this works alike on every
platform. All arguments are pickled. Must never change a result or the order of results.
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
    """Callback that sends the name of a finished step to the process with the progress bar."""

    sent: "queue.Queue[str]"

    def __call__(self, done: str) -> None:
        self.sent.put(done)


def side_by_side(tasks: Sequence[Callable[[Note], T]], jobs: int, note: Note) -> list[T]:
    """Return the results in the order of `tasks`; at most `jobs` tasks run at once.

    The first error of a task is raised. Tasks must be picklable where `jobs` is above one. The most
    expensive task should come first.
    """
    if min(jobs, len(tasks)) <= 1:
        return [task(note) for task in tasks]
    context = multiprocessing.get_context("spawn")
    with _sigint_blocked():
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
    """Return the results of the tasks.

    When a task fails, or at Ctrl-C, the other processes are terminated at once.
    """
    try:
        with _sigint_blocked():
            waiting = [pool.submit(task) for task in tasks]
        return [future.result() for future in waiting]
    except BaseException:
        # The exit of the pool would wait for all measurements; their results are not needed now.
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise


@contextlib.contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT (Ctrl-C) until the end; processes started within never receive it.

    A terminal sends SIGINT to all of them, and each would print a traceback.
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
