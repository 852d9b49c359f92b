"""Catalogue of runtimes. A new one needs a file here, a line in RUNTIMES, and a test."""

from modelfleet.catalog.runtimes.base import PodShape, Runtime
from modelfleet.catalog.runtimes.custom import CustomRuntime
from modelfleet.catalog.runtimes.onnx import OnnxRuntime

RUNTIMES: tuple[Runtime, ...] = (OnnxRuntime(), CustomRuntime())

__all__ = ["RUNTIMES", "PodShape", "Runtime", "runtime_for_format", "runtime_named"]


def runtime_named(name: str) -> Runtime | None:
    """Return the runtime of that name, or None."""
    return next((runtime for runtime in RUNTIMES if runtime.name == name), None)


def runtime_for_format(artifact_format: str) -> Runtime | None:
    """Return the first runtime for artifacts of that format, or None."""
    return next((runtime for runtime in RUNTIMES if artifact_format in runtime.formats), None)
