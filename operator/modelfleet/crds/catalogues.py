"""The parts of the CRDs that come from catalogues: enums of names, and the rule of addresses.

`structural` merges the part into each field that `api.base.named_in` marks. So a spec can name a
new member of a catalogue without another edit.
"""

from collections.abc import Callable, Mapping
from typing import Any

from modelfleet.api.base import validations
from modelfleet.catalog.probes import PROBE_KINDS
from modelfleet.catalog.runtimes import RUNTIMES
from modelfleet.catalog.schemes import scheme_names
from modelfleet.catalog.signals.server_series import SERIES
from modelfleet.catalog.strategies import STRATEGIES


def _enum(*names: str) -> dict[str, Any]:
    return {"enum": list(names)}


def _schemes() -> dict[str, Any]:
    beginnings = [f"{name}://" for name in scheme_names()]
    rule = " || ".join(f"self.startsWith('{beginning}')" for beginning in beginnings)
    return validations((rule, f"model.uri must start with {' or '.join(beginnings)}"))


PARTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "formats": lambda: _enum(*(name for runtime in RUNTIMES for name in runtime.formats)),
    "metrics": lambda: _enum(*SERIES),
    "probes": lambda: _enum(*(kind.name for kind in PROBE_KINDS)),
    "schemes": _schemes,
    "strategies": lambda: _enum(*(strategy.name for strategy in STRATEGIES)),
}
"""By catalogue: the part of a field's schema."""
