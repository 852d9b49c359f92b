"""Catalogue of gates. A new one needs a file here, a line in GATES, and a test."""

from modelfleet.catalog.gates.base import Gate, Verdict

GATES: tuple[Gate, ...] = ()

__all__ = ["GATES", "Gate", "Verdict"]
