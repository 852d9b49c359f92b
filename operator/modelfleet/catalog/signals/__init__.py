"""Catalogue of signals. A new one needs a file here, a line in SIGNALS, and a test."""

from modelfleet.catalog.signals.base import Signal, staffed
from modelfleet.catalog.signals.concurrency import ConcurrencySignal
from modelfleet.catalog.signals.forecast import RateSignal
from modelfleet.catalog.signals.query import QuerySignal

SIGNALS: tuple[Signal, ...] = (RateSignal(), ConcurrencySignal(), QuerySignal())

__all__ = ["SIGNALS", "Signal", "staffed"]
