"""Writes the public traces that the package ships from those in this folder. Run by hand."""

import csv
import gzip
from pathlib import Path

import numpy as np

from modelfleet.core.forecasting.features.arrivals_history import encode_counts

HERE = Path(__file__).parent
WEEK_BINS = 7 * 17_280
NAMES = {"large": "servegen_m-large_tail_5s.csv.gz", "small": "servegen_m-small_x0.01_5s.csv.gz"}


def week(name: str) -> np.ndarray:
    """Codes of the arrivals of the first week."""
    with gzip.open(HERE / name, "rt") as lines:
        rows = csv.reader(lines)
        next(rows)
        rates = np.array([float(row[1]) for row in rows], dtype=np.float32)
    return encode_counts(np.rint(rates[:WEEK_BINS] * 5).astype(np.float32))


def main() -> None:
    """Both traces into one file."""
    target = HERE.parents[1] / "operator/modelfleet/engine/memory/public_traces.npz"
    np.savez_compressed(target, **{key: week(name) for key, name in NAMES.items()})
    print(target.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
