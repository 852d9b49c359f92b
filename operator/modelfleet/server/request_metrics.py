"""Metrics of the model server: latency, answers by code, histograms of the outputs.

`server.app` sets them. The output histograms are for the detection of drift: confidences in ten
buckets, classes up to a bound.
"""

import numpy as np
from prometheus_client import Counter, Histogram

from modelfleet.server.base import Array, TensorSpec

MAX_CLASSES = 100
_TENTHS = tuple(n / 10 for n in range(1, 11))

REQUESTS = Counter("modelfleet_server_requests_total", "Inference requests by answer.", ["code"])
INFERENCE_SECONDS = Histogram(
    "modelfleet_server_inference_duration_seconds",
    "Time in the model, without the wait for a worker.",
    buckets=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
WAIT_SECONDS = Histogram(
    "modelfleet_server_wait_duration_seconds",
    "Time that a request waited for a worker.",
    buckets=(0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
LOAD_SECONDS = Histogram("modelfleet_server_load_duration_seconds", "Time to load the model.")
CONFIDENCE = Histogram(
    "modelfleet_server_output_confidence_ratio",
    "Highest score of each answer, for outputs with scores between 0 and 1.",
    ["output"],
    buckets=_TENTHS,
)
CLASSES = Counter(
    "modelfleet_server_output_classes_total",
    "Answers by class, for whole-number outputs below the bound.",
    ["output", "label"],
)


def observe_outputs(outputs: list[tuple[TensorSpec, Array]]) -> None:
    """Count the classes and confidences of one answer."""
    for spec, array in outputs:
        if spec.datatype == "BF16" or not array.size:
            continue
        if array.dtype.kind in "iu" and array.ndim == 1:
            for label, count in zip(*np.unique(array, return_counts=True), strict=True):
                if 0 <= label < MAX_CLASSES:
                    CLASSES.labels(spec.name, str(int(label))).inc(int(count))
        elif array.dtype.kind == "f" and array.ndim == 2:  # noqa: PLR2004 - batch x classes
            best = array.max(axis=1)
            if ((best >= 0) & (best <= 1)).all():
                for value in best:
                    CONFIDENCE.labels(spec.name).observe(float(value))
