"""The shipped model server, in which each inference takes some time more and no more CPU.

The entry point of the image `modelfleet/paced` (`images`): the server's own code, arguments and
signals, with one method that waits first. A replica of it carries as few requests a second as one
of a large model on an accelerator, on any machine: tests and the demo scale for that reason, and
not because replicas of one machine share its cores. Nothing that is shipped may import it.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from modelfleet.__main__ import main
from modelfleet.server.onnx_model import OnnxModel

PACE_SECONDS = float(os.environ.get("PACE_MILLISECONDS", "20")) / 1000

_infer = OnnxModel.infer


def infer(self: OnnxModel, *given: Any) -> Any:
    """Wait, then do what the shipped server does."""
    time.sleep(PACE_SECONDS)
    return _infer(self, *given)


if __name__ == "__main__":
    OnnxModel.infer = infer  # type: ignore[method-assign]
    sys.exit(main())
