"""Last words of a container, which the operator makes a condition of.

Called by `modelfleet fetch` and `modelfleet serve` before they end. Must import the standard
library only: it stands in the way of a pod's start.
"""

import json
import sys
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")


def write_last_words(words: dict[str, object], log: Path = TERMINATION_LOG) -> None:
    """One line of JSON to standard error, and to the pod's termination log where there is one."""
    line = json.dumps(words)
    sys.stderr.write(line + "\n")
    if log.exists():
        log.write_text(line)
