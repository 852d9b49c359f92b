"""What all tests share: markers, properties that are not timed, and a word where no cluster is."""

import os

import pytest
from hypothesis import HealthCheck, settings

from tests import ground, stack

# As the operator's manifest says it: fits take one core, also beside other tests.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# The machines are shared and noisy: a slow draw says nothing about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

MARKERS = (
    "alone: must have the cluster for itself (tests.lanes)",
    "long: computes for long; not in `make unit`, but in `make unit-long` and `make test`",
)
ON_CLUSTER = tuple(stack.ROOT / "tests" / name for name in ("e2e", "faults"))


def pytest_configure(config: pytest.Config) -> None:
    """Markers are strict: each is made known here."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Without modelfleet on a cluster its tests end in one line and not in a traceback each."""
    if session.config.option.collectonly:
        return
    first = next(
        (
            i.path
            for i in session.items
            if ON_CLUSTER[0] in i.path.parents or ON_CLUSTER[1] in i.path.parents
        ),
        None,
    )
    if first is not None and not ground.is_installed():
        file = first.relative_to(stack.ROOT)
        pytest.exit(f"no modelfleet on a local Kubernetes: `python -m tests.run {file}`", 2)
