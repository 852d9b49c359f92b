"""Last words of a container, from which the operator sets a condition.

`modelfleet fetch` and `modelfleet serve` write them before they end. Must import the standard
library only: every other import would delay the start of a pod.
"""

import json
import sys
from pathlib import Path

TERMINATION_LOG = Path("/dev/termination-log")


def write_last_words(words: dict[str, object], log: Path = TERMINATION_LOG) -> None:
    """Write a line of JSON to standard error, and to the pod's termination log if it exists."""
    line = json.dumps(words)
    sys.stderr.write(line + "\n")
    if log.exists():
        log.write_text(line)
