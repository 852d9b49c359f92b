"""Where the local cluster keeps its files.

Used by every module of the package. What can be made again for this checkout lies in ``build/``;
what is dear and the same for every checkout (compiled binaries, the Debian root) lies in the
user's cache directory. Nothing else on the machine may be written to.
"""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CLUSTER = BUILD / "cluster"
IMAGES = BUILD / "images"
BIN = BUILD / "bin"


def cache() -> Path:
    """Give the directory for results that outlive a checkout."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "modelfleet"
