"""Clients that ask a model of any kind all the time, beside the generator that checks digits."""

import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def asked_all_the_time(url: str) -> Iterator[list[str]]:
    """Five requests a second by as many clients as that takes; their codes."""
    codes: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        command = ["curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}", url]
        codes.append(subprocess.run(command, capture_output=True, text=True, check=False).stdout)

    def begin(clients: ThreadPoolExecutor) -> None:
        while not stop.wait(0.2):
            clients.submit(ask)

    with ThreadPoolExecutor(50) as clients, ThreadPoolExecutor(1) as clock:
        clock.submit(begin, clients)
        try:
            yield codes
        finally:
            stop.set()
