"""The signal catalogue. To add one: a file here, a line in SIGNALS, a test beside the others."""

from modelfleet.catalog.signals.base import Signal, staffed
from modelfleet.catalog.signals.concurrency import ConcurrencySignal
from modelfleet.catalog.signals.forecast import RateSignal
from modelfleet.catalog.signals.query import QuerySignal

SIGNALS: tuple[Signal, ...] = (RateSignal(), ConcurrencySignal(), QuerySignal())

__all__ = ["SIGNALS", "Signal", "staffed"]
