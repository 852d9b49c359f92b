"""How a verb ends: done, interrupted, or with one line that says why not.

Called by `bench autoscale` and `simulate`. Must never show a traceback for what its user can mend.
"""

import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor

from modelfleet.cli.support.arguments import UsageError

INTERRUPTED = 130
"""What shells report for Ctrl-C: 128 + SIGINT."""


def ended(verb: str, run: Callable[[], int]) -> int:
    """The exit code of `run`; faults go to stderr, each in one line."""
    try:
        return run()
    except KeyboardInterrupt:
        sys.stderr.write(f"modelfleet {verb}: interrupted\n")
        return INTERRUPTED
    except MemoryError as fault:
        why = f"out of memory ({fault})" if str(fault) else "out of memory"
        told = f"{why}; take a shorter piece, --rate-times below 1, or fewer --slots"
    except BrokenExecutor:
        told = "a measuring process was ended, most likely for want of memory; try --jobs 1"
    except (UsageError, ValueError, ImportError, OSError) as fault:
        told = str(fault)
    sys.stderr.write(f"modelfleet {verb}: {told}\n")
    return 2
