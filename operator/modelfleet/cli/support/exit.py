"""Exit of a verb: success, interruption, or one line with the reason of a failure.

`bench autoscale` and `simulate` run inside `ended`. Must never show a traceback for an error that
the user can correct.
"""

import sys
from collections.abc import Callable
from concurrent.futures import BrokenExecutor

from modelfleet.cli.support.arguments import UsageError

INTERRUPTED = 130
"""Exit code of shells for Ctrl-C: 128 + SIGINT."""


def ended(verb: str, run: Callable[[], int]) -> int:
    """Return the exit code of `run`; errors go to stderr, each in one line."""
    try:
        return run()
    except KeyboardInterrupt:
        sys.stderr.write(f"modelfleet {verb}: interrupted\n")
        return INTERRUPTED
    except MemoryError as fault:
        why = f"out of memory ({fault})" if str(fault) else "out of memory"
        reason = f"{why}; take a shorter piece, --rate-times below 1, or fewer --slots"
    except BrokenExecutor:
        reason = "a measuring process was killed, most likely because memory ran out; try --jobs 1"
    except (UsageError, ValueError, ImportError, OSError) as fault:
        reason = str(fault)
    sys.stderr.write(f"modelfleet {verb}: {reason}\n")
    return 2
